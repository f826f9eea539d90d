"""The inner problem of a reduced loss landscape (Omnigrok, Eq. 1): minimize the training loss over
all directions at fixed weight norm, for many cells at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groktime.fullnet.engine.ensemble import read
from groktime.fullnet.engine.optimizer import Setting, project, tangent, weight_norm
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.engine.probe import Probe, probed
from groktime.fullnet.engine.valley import valley
from groktime.fullnet.job import drive
from groktime.fullnet.members import Bools, Floats, Members, Setup
from groktime.fullnet.task import Task

# A cell is converged when the mean training loss over the last tenth of the budget is within
# this share of the mean over the tenth before, or when it met the task's stop_loss.
CONVERGED_WITHIN = 0.02
STOP_RULE = (
    f"converged: mean training loss of the last tenth of the budget within {CONVERGED_WITHIN:.0%} "
    "of the tenth before, or below stop_loss, where the cell stops"
)
METRICS = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "converged")
# Of cells that go on to further spheres: how their directions turned.
TURNS = ("turned", "straight")
# Of cells whose drift is asked for: see `fullnet.engine.valley`.
DRIFTS = ("normal", "overlap", "turn")
# The same by a probe, and where: see `fullnet.engine.probe`.
PROBED = ("normal", "below")
# Cells below stop_loss are looked for, and the batch compacted, once in so many steps.
_LOOK_EVERY = 100


@dataclass(frozen=True)
class Cell:
    """One point of a landscape: relative norm, messiness, and what the data and weights come from."""

    seed: int
    n_train: int
    m: float
    alpha: float


@dataclass
class SphereState:
    """`history` [row, step]: training losses on this sphere; the metrics [cell, sphere, budget].

    `turned` [cell, sphere, budget] : squared angle (radians) from the direction with which a cell came to the
        sphere; `straight` [cell, sphere] : cosine between the turn to the sphere and the one before.
    `came`, `way` [row, parameter] : that direction, and the turn that led to it; empty without `shrink`.
    `normal`, `overlap`, `turn` [cell, sphere, cutoff] : how decay moves (w, m) there, at the end of the
    budget. `below` : how far below its sphere a probe measured that.
    """

    members: Members
    history: Tensor
    came: Tensor
    way: Tensor
    train_loss: Floats
    test_loss: Floats
    train_accuracy: Floats
    test_accuracy: Floats
    converged: Bools
    turned: Floats
    straight: Floats
    normal: Floats
    overlap: Floats
    turn: Floats
    below: Floats


@dataclass(frozen=True)
class Spheres:
    """Train all cells on their spheres, with snapshots at the budgets (steps, ascending).

    All weights are rescaled to the target norm after every optimizer step. Metrics are those of the last
    iterate, never of the best one.

    `gradient` is what Adam is given. At a minimum on the sphere the loss gradient is radial, g = -λw,
    and Adam, which divides each component by its own size, still moves along sign(w): with the
    "full" gradient (as published) the iteration does **not** come to rest at the minimum, and stalls
    at a far higher loss where w is small. With the "tangent" one, g - (g·w)w/|w|², it does.

    `shrink`: where cells go on to further spheres, as weight decay would bring them there, what the norm is
    multiplied by each time. Such a cell starts on a sphere with the solution on the one before, Adam's
    moments with it, and never stops before its budget. How far its direction turns is kept, too.

    `along`: values of m, descending, by way of which cells come to their own on their first sphere, likewise;
    a cell whose own is larger stays there. The first is there as often as the fit takes, under the task's own
    schedule, which then goes no further: the optimizer would kick the cell off its valley.

    `cutoffs`: weight decays, ascending, at which the drift of (w, m) is measured; none: it is not.
    `probe`: by training on, of w alone; None: by the projection.
    """

    setup: Setup
    budgets: tuple[int, ...]
    gradient: str = "tangent"
    shrink: tuple[float, ...] = ()
    along: tuple[float, ...] = ()
    cutoffs: tuple[float, ...] = ()
    probe: Probe | None = None

    @property
    def stages(self) -> int:
        """How often a cell is minimized."""
        return max(len(self.along), 1) + len(self.shrink)

    @property
    def _goes_on(self) -> bool:
        return bool(self.shrink or self.along or self.cutoffs)

    def _scheduled(self, step: int) -> int:
        """The step of the schedule: of each stage, or of the fit, and then its last."""
        fit = self.along.count(self.along[0]) if self.along else 0
        return min(step, fit * self.budgets[-1] - 1) if fit else step % self.budgets[-1]

    def init(self, members: Sequence[Cell]) -> SphereState:
        adam = self.setup.task.optimizer
        settings = [Setting(adam.rate, betas=adam.betas, eps=adam.eps)] * len(members)
        some = Members(self.setup, members, "adam", settings)
        some.norm = weight_norm(some.flat, some.decays)
        history = some.flat.new_full((len(members), self.budgets[-1]), torch.nan)
        shape = (len(members), 1 + len(self.shrink), len(self.budgets))
        a, b, c, d, turned = np.full((5, *shape), np.nan)
        came, way = some.flat.new_zeros((2, *(some.flat.shape if self.shrink else (0,))))
        found = (a, b, c, d, np.zeros(shape, bool), turned, np.full(shape[:2], np.nan))
        drifts = np.full((4, *shape[:2], len(self.cutoffs)), np.nan)
        return SphereState(some, history, came, way, *found, *drifts)

    def step(self, state: SphereState) -> int:
        some, (stage, done) = state.members, divmod(state.members.step, self.budgets[-1])
        if not done:
            self._begin(state, stage)
        assert some.norm is not None
        loss, gradient, _ = some.gradient()
        if self.gradient == "tangent":
            tangent(gradient, some.flat, some.norm, some.decays)
        some.advance(gradient, factor=self.setup.task.optimizer.sampling.at(self._scheduled(some.step)))
        state.history[:, done] = loss
        return len(some.rows)

    def _begin(self, state: SphereState, stage: int) -> None:
        """Bring the cells to the m and the sphere of a stage."""
        some, on_first = state.members, max(len(self.along), 1)
        assert some.norm is not None
        if stage < len(self.along):
            own = torch.tensor([some.starts[row].m for row in some.rows.tolist()])
            with torch.no_grad():
                some.slow[:, 0] = own.clamp(min=self.along[stage]).to(some.slow)
        if stage >= on_first:
            some.norm = some.norm * self.shrink[stage - on_first]
            project(some.flat, some.norm, some.decays)
        state.history.fill_(torch.nan)

    def record(self, state: SphereState) -> None:
        some, last = state.members, self.budgets[-1]
        if not some.step:
            return
        sphere, done = divmod(some.step - 1, last)
        sphere, done = sphere + 1 - max(len(self.along), 1), done + 1
        if sphere < 0:
            return
        if done in self.budgets:
            at = self.budgets.index(done)
            everyone = np.ones(len(some.rows), bool)
            self._write(state, everyone, sphere, slice(at, at + 1), self._settled(state, done))
            if self.shrink:
                self._turn(state, sphere, done)
        if done == last and self.cutoffs:
            self._drift(state, sphere)
        if done == last and sphere == len(self.shrink):
            some.retire(np.ones(len(some.rows), bool))
        elif not self._goes_on and self.setup.task.stop_loss and done % _LOOK_EVERY == 0:
            self._retire_fitted(state, done)

    def _drift(self, state: SphereState, sphere: int) -> None:
        """Measure how decay moves (w, m), by the projection or the probe."""
        some = state.members
        rows = some.rows.numpy()
        if self.probe is not None:
            for name, values in probed(some, self.cutoffs, self.probe)._asdict().items():
                getattr(state, name)[rows, sphere] = values
            return
        found = valley(some, self.cutoffs)
        for name in DRIFTS:
            getattr(state, name)[rows, sphere] = getattr(found, name)

    def _turn(self, state: SphereState, sphere: int, done: int) -> None:
        """Keep how far the directions have turned since the sphere before, and whether as they did there."""
        some, cells = state.members, state.members.rows.numpy()
        assert some.norm is not None
        direction = some.flat / some.norm.unsqueeze(1)
        if some.decays is not None:  # the norm, and so the direction, is of what decays
            direction = direction * some.decays
        turn = direction - state.came
        if sphere:
            chord = weight_norm(turn).double().cpu().numpy()
            at = self.budgets.index(done)
            state.turned[cells, sphere, at] = 4 * np.arcsin(np.minimum(chord / 2, 1)) ** 2
        if done == self.budgets[-1]:
            if sphere > 1:
                state.straight[cells, sphere] = _cosine(turn, state.way)
            state.came.copy_(direction)
            state.way.copy_(turn)

    def _retire_fitted(self, state: SphereState, done: int) -> None:
        fitted = (state.history[:, done - 1] < self.setup.task.stop_loss).cpu().numpy()
        if fitted.any():
            later = slice(sum(b <= done for b in self.budgets), len(self.budgets))
            self._write(state, fitted, 0, later, fitted)
            kept = state.members.retire(fitted)
            state.history = state.history[kept.to(state.history.device)]

    def _settled(self, state: SphereState, budget: int) -> Bools:
        """Which rows have converged by the stated rule."""
        history, tenth = state.history, max(budget // 10, 1)
        last = history[:, budget - tenth : budget].mean(1)
        before = history[:, max(budget - 2 * tenth, 0) : budget - tenth].mean(1)
        settled = (last - before).abs() <= CONVERGED_WITHIN * before
        fitted = history[:, budget - 1] < self.setup.task.stop_loss
        return np.asarray((settled | fitted).cpu().numpy())

    def _write(
        self, state: SphereState, chosen: Bools, sphere: int, budgets: slice, converged: Bools
    ) -> None:
        """Keep the metrics of the chosen rows."""
        some = state.members
        cells = some.rows.numpy()[chosen]
        for split, data in (("train", some.train), ("test", some.test)):
            for name, values in zip(
                ("loss", "accuracy"), read(some.ensemble.evaluated(data), [data]), strict=True
            ):
                getattr(state, f"{split}_{name}")[cells, sphere, budgets] = values[chosen, None]
        state.converged[cells, sphere, budgets] = converged[chosen, None]

    def result(self, state: SphereState) -> Arrays:
        names = METRICS + (TURNS if self.shrink else ()) + (DRIFTS if self.cutoffs else ())
        names += PROBED[1:] if self.probe else ()
        return {name: getattr(state, name) for name in names}


def _cosine(one: Tensor, other: Tensor) -> Floats:
    """Between the vectors of each row, as `weight_norm` sees them."""
    one, other = (x / weight_norm(x).unsqueeze(1) for x in (one, other))
    cosine = 1 - weight_norm(one - other).square() / 2
    return np.asarray(cosine.clamp(-1, 1).double().cpu().numpy())


@dataclass(frozen=True)
class Metrics:
    """What is kept of the cells: [budget, cell] each."""

    train_loss: Floats
    test_loss: Floats
    train_accuracy: Floats
    test_accuracy: Floats
    converged: NDArray[np.bool_]


def minimize(
    task: Task,
    cells: Sequence[Cell],
    budgets: Sequence[int],
    gradient: str = "tangent",
    device: torch.device | str = "cpu",
    on_steps: Callable[[int], None] = lambda member_steps: None,
    compiled: bool = False,
) -> Metrics:
    """The metrics of cells of one `n_train`, each on its sphere, as one piece (see `Spheres`).

    `on_steps` is given the member-steps done. `compiled`: see `fullnet.engine.ensemble.Ensemble`.
    """
    setup = Setup(task, batch=task.batch, device=torch.device(device), compiled=compiled)
    found = drive(Spheres(setup, tuple(budgets), gradient), cells, on_steps)
    return Metrics(**{name: values[:, 0].T for name, values in found.items()})
