"""`sample`: a landscape file from networks, resumable, in pieces of a few cells each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from groktime.fullnet.engine.device import device_of, members_at_once
from groktime.fullnet.engine.device import workers as default_workers
from groktime.fullnet.engine.ensemble import initial_parameters
from groktime.fullnet.engine.parts import Checkpoint, Parts, clean
from groktime.fullnet.engine.pieces import Arrays, Executor, OnSteps, Piece, run
from groktime.fullnet.engine.progress import Progress
from groktime.fullnet.sphere import STOP_RULE, Cell, Metrics, descend, minimise
from groktime.fullnet.task import Task, whole
from groktime.reduced.boundary import bracket
from groktime.reduced.errors import InputError
from groktime.reduced.files import check_output
from groktime.reduced.landscape import Landscape

Floats = NDArray[np.float64]


def sample(
    task: Task,
    *,
    alpha: Sequence[float],
    m: Sequence[float] = (1.0,),
    seeds: Sequence[int] = range(4),
    n_train: Sequence[int] | None = None,
    steps: int | None = None,
    budgets: Sequence[int] | None = None,
    gradient: str = "tangent",
    start: str = "fresh",
    refine: int = 0,
    out: str | Path,
    device: str = "auto",
    cells_at_once: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    compiled: bool = False,
    progress: bool = True,
    overwrite: bool = False,
) -> Landscape:
    """Sample the reduced train and test losses of a task on a grid of (w, m), one a seed.

    Parameters
    ----------
    alpha, m : ascending grids of the relative norm w/w0 and of the messiness.
    seeds, n_train : further axes. A seed fixes data, initial weights and representation.
    steps : optimizer steps per cell (default: the task's). `budgets`: ascending step counts at
        which snapshots are taken (default: a third, two thirds and all of `steps`).
    gradient : "tangent" or "full" (as published); see `fullnet.sphere.minimise`.
    start : where a cell's networks start. "fresh": at their initial weights, scaled to the sphere.
        "above": with the solution on the next larger sphere, as weight decay would bring them there; the
        largest alpha ought to be that of the runs. `steps` a cell are then training at a weight decay
        of about -d ln(alpha)/(steps * rate), d ln(alpha) the grid's.
    refine : rounds of bisection along alpha, after the grid, of the cell in which the foot of the
        wall lies; each halves `foot_low`..`foot_high` of the landscape.
    device : "auto" (a GPU if there is one), "cpu", "cuda" or "mps".
    workers : pieces trained side by side (default: one a core on the CPU). `executor`: where to train
        them instead; anything with the `submit` of concurrent.futures.
    compiled : have torch compile the networks for this machine, which takes some seconds and can pay for
        long runs of small networks (docs/results/speed.md). Numbers are the same to rounding.
    out : the file. It is written whole at the end; until then finished pieces lie beside it, and
        the same call goes on where it was stopped.

    Raises
    ------
    InputError : on axes out of order, an unknown option, or an output that exists.
    """
    out = Path(out)
    clean(out)
    check_output(out, overwrite)
    steps = task.steps if steps is None else whole("steps", steps, 1)
    where = device_of(device)
    plan = _Plan(
        task=task,
        alpha=_axis("alpha", alpha, positive=True),
        m=_axis("m", m) if task.messiness else np.array([1.0]),
        seeds=tuple(int(s) for s in seeds),
        n_train=tuple(int(n) for n in ([task.n_train] if n_train is None else n_train)),
        budgets=tuple(
            sorted({steps // 3, 2 * steps // 3, steps} - {0}) if budgets is None else map(int, budgets)
        ),
        gradient=gradient,
        start=start,
        refine=refine,
        device=where,
        workers=default_workers(where) if workers is None else whole("workers", workers, 1),
        compiled=compiled,
        most=None if cells_at_once is None else whole("cells_at_once", cells_at_once, 1),
    )
    plan.check()
    parts = Parts(out, plan.configuration())

    grid = plan.grid()
    with Progress(len(grid) * plan.budgets[-1], f"sampling {task.name}", progress) as bar:
        if start == "above":
            metrics, order = _descend(plan, parts, bar, executor)
        else:
            metrics, order = _run(plan, parts, "grid", grid, bar, executor), plan.order()
    dataset_shape = (len(plan.seeds), len(plan.n_train), len(plan.m), len(plan.alpha))
    arrays = {f.name: _unsort(getattr(metrics, f.name), order, dataset_shape) for f in fields(Metrics)}
    if refine:
        arrays |= _bisect(plan, parts, arrays["train_loss"][:, :, -1], progress, executor)

    problems = [task.problem(s, plan.n_train[0]) for s in plan.seeds]
    norms = [torch.linalg.vector_norm(initial_parameters(task, s)) for s in plan.seeds]
    land = Landscape.assemble(
        **arrays,
        coords={
            "seed": plan.seeds,
            "n_train": plan.n_train,
            "budget": plan.budgets,
            "m": plan.m if task.messiness else None,
            "alpha": plan.alpha,
        },
        w0=np.array([float(n) for n in norms]),
        delta_norm=np.array([p.delta_norm for p in problems]) if task.messiness else None,
        task=task.name,
        loss=task.loss_name,
        threshold=task.threshold,
        threshold_relative=task.relative,
        stop_rule=STOP_RULE,
        configuration=plan.configuration(),
    )
    parts.finish(land.save, overwrite)
    return land


@dataclass(frozen=True)
class _Plan:
    task: Task
    alpha: Floats
    m: Floats
    seeds: tuple[int, ...]
    n_train: tuple[int, ...]
    budgets: tuple[int, ...]
    gradient: str
    start: str
    refine: int
    device: torch.device
    workers: int
    most: int | None
    compiled: bool

    def check(self) -> None:
        if self.gradient not in ("tangent", "full"):
            raise InputError(f"gradient = {self.gradient!r}: expected 'tangent' or 'full'")
        if self.start not in ("fresh", "above"):
            raise InputError(f"start = {self.start!r}: expected 'fresh' or 'above'")
        if self.start == "above" and self.refine:
            raise InputError("refine: bisects with fresh networks; expected 0 with start = 'above'")
        if not self.seeds or list(self.seeds) != sorted(set(self.seeds)) or self.seeds[0] < 0:
            raise InputError(f"seeds = {self.seeds}: expected ascending whole numbers from 0")
        if not self.n_train or list(self.n_train) != sorted(set(self.n_train)):
            raise InputError(f"n_train = {self.n_train}: expected ascending numbers of samples")
        if len(self.alpha) < 4:
            raise InputError(f"alpha: expected at least 4 values, not {len(self.alpha)}")
        if len(self.m) in (2, 3):
            raise InputError(f"m: expected one value, or at least 4, not {len(self.m)}")
        if not self.budgets or list(self.budgets) != sorted(set(self.budgets)) or self.budgets[0] < 1:
            raise InputError(f"budgets = {self.budgets}: expected ascending numbers of steps from 1")
        if self.refine < 0:
            raise InputError(f"refine = {self.refine}: expected 0 or a number of rounds")
        if not 0 <= self.m[0] <= self.m[-1] <= 1:
            raise InputError(f"m = {self.m[0]:g} to {self.m[-1]:g}: expected values in [0, 1]")
        for n in self.n_train:
            if n < 1 or (self.task.n_total is not None and n > self.task.n_total):
                raise InputError(f"n_train = {n}: expected {self.task.sizes}")

    def configuration(self) -> dict[str, Any]:
        """Everything that the numbers depend on."""
        adam = asdict(self.task.optimizer)
        del adam["warmup"]  # of trainings alone
        return {
            "task": self.task.name,
            "settings": dict(self.task.settings),
            "optimizer": {"name": "Adam", **adam},
            **self.task.handling,
            "gradient": self.gradient,
            **({"start": self.start} if self.start != "fresh" else {}),
            "stop_loss": self.task.stop_loss,
            "alpha": self.alpha.tolist(),
            "m": self.m.tolist(),
            "seeds": list(self.seeds),
            "n_train": list(self.n_train),
            "budgets": list(self.budgets),
            "refine": self.refine,
            "dtype": "float32",
            "compiled": self.compiled,
        }

    def order(self) -> list[tuple[int, int, int, int]]:
        """(seed, n_train, m, alpha) indices of the cells in the order in which they are trained:
        cells of one size and like norm together, because those finish together."""
        sizes = (len(self.n_train), len(self.alpha), len(self.seeds), len(self.m))
        return [(s, n, j, i) for n, i, s, j in itertools.product(*map(range, sizes))]

    def grid(self) -> list[Cell]:
        return [self.cell(*indices) for indices in self.order()]

    def cell(self, s: int, n: int, j: int, i: int) -> Cell:
        return Cell(self.seeds[s], self.n_train[n], float(self.m[j]), float(self.alpha[i]))

    def at_once(self, cells: int) -> int:
        """How many cells are trained together."""
        parameters = len(initial_parameters(self.task, 0))
        return self.most or members_at_once(self.device, parameters, cells, self.workers)


def _run(
    plan: _Plan, parts: Parts, name: str, cells: Sequence[Cell], bar: Progress, executor: Executor | None
) -> Metrics:
    """Train cells piece by piece."""

    def work(piece: Sequence[Cell]) -> Callable[[OnSteps, Checkpoint], Arrays]:
        def minimised(on_steps: OnSteps, _: Checkpoint) -> Arrays:
            how = (plan.gradient, plan.device, on_steps, plan.compiled)
            return asdict(minimise(plan.task, piece, plan.budgets, *how))

        return minimised

    at_once = plan.at_once(len(cells))
    pieces = [
        Piece(f"{name}-{at_once}-{k}", len(some) * plan.budgets[-1], work(some))
        for k, some in enumerate(_pieces(cells, at_once))
    ]
    return _joined(run(pieces, parts, bar, plan.workers, executor))


def _descend(
    plan: _Plan, parts: Parts, bar: Progress, executor: Executor | None
) -> tuple[Metrics, list[tuple[int, int, int, int]]]:
    """Train the grid from the largest alpha down; returns the cells' indices, too, as `_Plan.order`."""
    last = len(plan.alpha) - 1
    columns = sorted((c for c in plan.order() if c[3] == last), key=lambda c: c[1])
    at_once = plan.at_once(len(columns))
    pieces: list[Piece] = []
    order: list[tuple[int, int, int, int]] = []

    def work(piece: Sequence[Cell]) -> Callable[[OnSteps, Checkpoint], Arrays]:
        def descended(on_steps: OnSteps, _: Checkpoint) -> Arrays:
            how = (plan.gradient, plan.device, on_steps, plan.compiled)
            return asdict(descend(plan.task, piece, plan.alpha[::-1].tolist(), plan.budgets, *how))

        return descended

    for _, group in itertools.groupby(columns, key=lambda c: c[1]):
        same = list(group)
        for first in range(0, len(same), at_once):
            some = same[first : first + at_once]
            cells = [plan.cell(*c) for c in some]
            steps = len(cells) * len(plan.alpha) * plan.budgets[-1]
            pieces.append(Piece(f"above-{at_once}-{len(pieces)}", steps, work(cells)))
            order += [(s, n, j, i) for i in range(last, -1, -1) for s, n, j, _ in some]
    return _joined(run(pieces, parts, bar, plan.workers, executor)), order


def _joined(results: Sequence[Arrays]) -> Metrics:
    return Metrics(**{f.name: np.concatenate([r[f.name] for r in results], 1) for f in fields(Metrics)})


def _pieces(cells: Sequence[Cell], at_once: int) -> Iterator[Sequence[Cell]]:
    """Consecutive cells of one training-set size, at most `at_once` together."""
    for _, group in itertools.groupby(cells, key=lambda c: c.n_train):
        same = list(group)
        yield from (same[i : i + at_once] for i in range(0, len(same), at_once))


def _unsort(values: NDArray[Any], order: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> NDArray[Any]:
    """[budget, cell] in training order -> [seed, n_train, budget, m, alpha]."""
    full = np.empty((len(values), *shape), values.dtype)
    s, n, j, i = np.array(order).T
    full[:, s, n, j, i] = values
    return full.transpose(1, 2, 0, 3, 4)


def _bisect(
    plan: _Plan, parts: Parts, train_loss: Floats, progress: bool, executor: Executor | None
) -> dict[str, Floats]:
    """Narrow the cell that holds the foot of the wall; [seed, n_train, m] low and high alpha."""
    low = np.full(train_loss.shape[:3], np.nan)
    high = np.full_like(low, np.nan)
    level = np.full(train_loss.shape[:2], np.nan)
    for s, n in np.ndindex(level.shape):
        found = bracket(plan.alpha, train_loss[s, n])
        low[s, n], high[s, n], level[s, n] = found.low, found.high, found.level
    inside = np.isfinite(low) & np.isfinite(high)
    rows = [tuple(int(k) for k in row) for row in np.argwhere(inside)]
    rows.sort(key=lambda row: row[1])  # one training-set size after the other
    if not rows:
        return {"foot_low": low, "foot_high": high}
    total = plan.refine * len(rows) * plan.budgets[-1]
    with Progress(total, "refining the wall", progress) as bar:
        for turn in range(plan.refine):
            middle = np.sqrt(low * high)
            cells = [
                Cell(plan.seeds[s], plan.n_train[n], float(plan.m[j]), float(middle[s, n, j]))
                for s, n, j in rows
            ]
            loss = _run(plan, parts, f"refine{turn}", cells, bar, executor).train_loss[-1]
            for (s, n, j), value in zip(rows, loss, strict=True):
                side = low if value > level[s, n] else high
                side[s, n, j] = middle[s, n, j]
    return {"foot_low": low, "foot_high": high}


def _axis(name: str, values: Sequence[float], positive: bool = False) -> Floats:
    axis = np.asarray(values, float).reshape(-1)
    if not len(axis) or not np.all(np.isfinite(axis)) or np.any(np.diff(axis) <= 0):
        raise InputError(f"{name}: expected finite, ascending values without repetition")
    if positive and axis[0] <= 0:
        raise InputError(f"{name} = {axis[0]:g}: expected values above 0")
    return axis
