"""The inner problem of a reduced loss landscape (Omnigrok, Eq. 1): minimise the training loss over
all directions at fixed weight norm, for many cells at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groktime.fullnet.engine.ensemble import Ensemble, initial_parameters
from groktime.fullnet.engine.optimizer import Optimizer, Setting, project, tangent, weight_norm
from groktime.fullnet.engine.samples import Data, Minibatches
from groktime.fullnet.task import Task

# A cell is converged when the mean training loss over the last tenth of the budget is within
# this share of the mean over the tenth before, or when it met the task's stop_loss.
CONVERGED_WITHIN = 0.02
STOP_RULE = (
    f"converged: mean training loss of the last tenth of the budget within {CONVERGED_WITHIN:.0%} "
    "of the tenth before, or below stop_loss, where the cell stops"
)
# Cells below stop_loss are looked for, and the batch compacted, once in so many steps.
_LOOK_EVERY = 100


@dataclass(frozen=True)
class Cell:
    """One point of a landscape: relative norm, messiness, and what the data and weights come from."""

    seed: int
    n_train: int
    m: float
    alpha: float


@dataclass(frozen=True)
class Metrics:
    """What is kept of the cells: [budget, cell] each."""

    train_loss: NDArray[np.float64]
    test_loss: NDArray[np.float64]
    train_accuracy: NDArray[np.float64]
    test_accuracy: NDArray[np.float64]
    converged: NDArray[np.bool_]

    @staticmethod
    def blank(budgets: int, cells: int) -> Metrics:
        a, b, c, d = np.full((4, budgets, cells), np.nan)
        return Metrics(a, b, c, d, np.zeros((budgets, cells), bool))


class _Spheres:
    """The cells still in training; each row of every tensor is one of them."""

    def __init__(
        self,
        task: Task,
        cells: Sequence[Cell],
        steps: int,
        gradient: str,
        device: torch.device,
        compiled: bool,
    ) -> None:
        problems = {(c.seed, c.n_train): task.problem(c.seed, c.n_train) for c in cells}
        own = [problems[c.seed, c.n_train] for c in cells]
        start = {seed: initial_parameters(task, seed) for seed in {c.seed for c in cells}}
        self.task, self.tangent = task, gradient == "tangent"
        self.cells = torch.arange(len(cells), device=device)
        self.train = Data.of([p.train for p in own], device=device)
        self.test = Data.of([p.test for p in own], device=device)
        seeds = [c.seed for c in cells]
        self.batches = Minibatches(seeds, cells[0].n_train, task.batch, device, task.augment)
        self.flat = torch.stack([start[c.seed] * c.alpha for c in cells]).to(device)
        self.slow = torch.tensor([[c.m] for c in cells], device=device, dtype=self.flat.dtype)
        self.target = weight_norm(self.flat)
        self.history = self.flat.new_full((len(cells), steps), torch.nan)
        self.ensemble = Ensemble(task, self.flat, self.slow, compiled=compiled)
        setting = Setting(task.optimizer.rate, betas=task.optimizer.betas)
        self.optimizer = Optimizer("adam", self.flat, [setting] * len(cells))

    def step(self, step: int, before: int = 0) -> None:
        """One optimizer step on the direction, then back to the sphere. `before`: the steps on other
        spheres, which go on through the minibatches."""
        loss, gradient, _ = self.ensemble.loss_and_gradient(self.batches.of_step(self.train, before + step))
        if self.tangent:
            tangent(gradient, self.flat, self.target)
        self.optimizer.step(gradient, self.task.optimizer.factor_at(step))
        project(self.flat, self.target)
        self.history[:, step] = loss

    def converged(self, budget: int) -> NDArray[np.bool_]:
        """The stated rule, [row]."""
        tenth = max(budget // 10, 1)
        last = self.history[:, budget - tenth : budget].mean(1)
        before = self.history[:, max(budget - 2 * tenth, 0) : budget - tenth].mean(1)
        settled = (last - before).abs() <= CONVERGED_WITHIN * before
        fitted = self.history[:, budget - 1] < self.task.stop_loss
        return np.asarray((settled | fitted).cpu().numpy())

    def record(self, out: Metrics, budgets: slice, rows: Tensor, converged: NDArray[np.bool_]) -> None:
        """Write the metrics of some rows to the cells that they are."""
        cells, chosen = self.cells[rows].cpu().numpy(), rows.cpu().numpy()
        for split, data in (("train", self.train), ("test", self.test)):
            loss, accuracy = self.ensemble.metrics(data)
            getattr(out, f"{split}_loss")[budgets, cells] = loss.cpu().numpy()[chosen]
            getattr(out, f"{split}_accuracy")[budgets, cells] = accuracy.cpu().numpy()[chosen]
        out.converged[budgets, cells] = converged[chosen]

    def shrink(self, factor: float) -> None:
        """Go on from here on smaller spheres."""
        self.target = self.target * factor
        project(self.flat, self.target)
        self.history.fill_(torch.nan)

    def keep(self, rows: Tensor) -> None:
        """Retire all other rows; what is kept goes on as if it had always been alone."""
        self.flat, self.slow = self.flat[rows].contiguous(), self.slow[rows]
        self.cells, self.target, self.history = self.cells[rows], self.target[rows], self.history[rows]
        self.train, self.test = self.train.keep(rows), self.test.keep(rows)
        self.batches.keep(rows)
        self.ensemble.adopt(self.flat, self.slow)
        self.optimizer.keep(rows, self.flat)


def minimise(
    task: Task,
    cells: Sequence[Cell],
    budgets: Sequence[int],
    gradient: str = "tangent",
    device: torch.device | str = "cpu",
    on_steps: Callable[[int], None] = lambda member_steps: None,
    compiled: bool = False,
) -> Metrics:
    """Train all cells on their spheres and take snapshots at the budgets (steps, ascending).

    All cells must have the same `n_train`. The whole parameter vector is rescaled to the target
    norm after every optimizer step. Metrics are those of the last iterate, never of the best one.

    `gradient` is what Adam is given. At a minimum on the sphere the loss gradient is radial, g = -λw,
    and Adam, which divides each component by its own size, still moves along sign(w): with the
    "full" gradient (as published) the iteration does **not** come to rest at the minimum, and stalls
    at a far higher loss where w is small. With the "tangent" one, g - (g·w)w/|w|², it does.

    `on_steps` is told the member-steps done. `compiled`: see `fullnet.engine.ensemble.Ensemble`.
    """
    spheres = _Spheres(task, cells, budgets[-1], gradient, torch.device(device), compiled)
    out = Metrics.blank(len(budgets), len(cells))
    everyone = np.ones(len(cells), bool)
    for done in range(1, budgets[-1] + 1):
        spheres.step(done - 1)
        on_steps(len(spheres.cells))
        if done in budgets:
            at, rows = budgets.index(done), torch.arange(len(spheres.cells))
            spheres.record(out, slice(at, at + 1), rows, spheres.converged(done))
        if task.stop_loss and done % _LOOK_EVERY == 0:
            finished = spheres.history[:, done - 1] < task.stop_loss
            if bool(finished.any()):
                later = slice(sum(b <= done for b in budgets), len(budgets))
                spheres.record(out, later, torch.nonzero(finished).squeeze(1), everyone)
                spheres.keep(torch.nonzero(~finished).squeeze(1))
                if not len(spheres.cells):
                    break
    return out


def descend(
    task: Task,
    columns: Sequence[Cell],
    alpha: Sequence[float],
    budgets: Sequence[int],
    gradient: str = "tangent",
    device: torch.device | str = "cpu",
    on_steps: Callable[[int], None] = lambda member_steps: None,
    compiled: bool = False,
) -> Metrics:
    """As `minimise`, on one sphere after the other, from large to small, as weight decay does.

    Each of the `columns`, whose own alpha does not count, goes through all of `alpha` (descending):
    its networks start on a sphere with the solution on the next larger one, shrunk, Adam's moments
    with them. Returns the metrics [budget, alpha * column]. No cell stops before its budget.
    """
    start = [replace(c, alpha=alpha[0]) for c in columns]
    spheres = _Spheres(task, start, budgets[-1], gradient, torch.device(device), compiled)
    cells, out = spheres.cells, Metrics.blank(len(budgets), len(alpha) * len(columns))
    for k in range(len(alpha)):
        if k:
            spheres.shrink(alpha[k] / alpha[k - 1])
        spheres.cells = cells + k * len(columns)  # where these are written
        for done in range(1, budgets[-1] + 1):
            spheres.step(done - 1, k * budgets[-1])
            on_steps(len(columns))
            if done in budgets:
                at = budgets.index(done)
                spheres.record(out, slice(at, at + 1), torch.arange(len(columns)), spheres.converged(done))
    return out
