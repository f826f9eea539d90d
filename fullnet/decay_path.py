"""`sample_path`: networks followed along their zero-loss valley, in big steps of the time τ = ηγt.

A splitting of "decay, and stay in the valley": all weights are shrunk by e^(-dtau), then refitted with
some ordinary optimizer steps without decay, again and again. See docs/decay-path.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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
from groktime.fullnet.runs import CURVES
from groktime.fullnet.task import Task, whole
from groktime.fullnet.trainer import members_of
from groktime.fullnet.training import Member, Plan, Training, drive
from groktime.reduced.decay_path import DIMS, DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.files import check_output
from groktime.reduced.system import MEMORIZED

Bools = NDArray[np.bool_]

_LOOK = 10  # steps between two looks at the training set while it is being fitted
_ROUND = 100  # a fit ends at a multiple of these, so that members shrink, and are evaluated, together
_HELD = 5  # records in a row at `stop_at` after which a member is done
_FITTED = 1e-3  # share of the loss at the start below which the training set is fitted
_RULE = "95 % of training accuracy and fit_loss, or fit_steps, then shrink and refit up to tau, or stop_at"


@dataclass(frozen=True)
class Way:
    """What the members of a path have in common but for their resolution."""

    plan: Plan
    dtau: float
    records: int  # after the one at τ = 0
    fit_steps: int
    fit_loss: float | None
    fit: str

    def check(self, members: Sequence[Member]) -> None:
        if self.plan.stop_at is not None and not 0 < self.plan.stop_at <= 1:
            raise InputError(f"stop_at = {self.plan.stop_at}: expected a test accuracy in (0, 1]")
        if self.fit not in ("first", "along"):
            raise InputError(f"fit = {self.fit!r}: expected 'first' or 'along'")
        self.plan.check(members)


class Walk(Training):
    """The members still on their way, each fitting, or shrinking and refitting, at its own place.

    A member enters its path when it has fitted, whoever is beside it, so that it is a function of its
    own settings alone.
    """

    _KEPT = (*Training._KEPT, "t_fit", "fit_end", "target")

    def __init__(self, way: Way, refit: int, members: Sequence[Member]) -> None:
        super().__init__(way.plan, members)
        count = len(members)
        self.way, self.refit = way, refit
        self.curves = np.full((len(self.curves), count, way.records + 1), np.nan)
        self.t_fit = np.full(count, np.nan)
        self.fit_end = np.full(count, -1)  # -1: not yet
        self.target = np.full(count, np.nan)

    def begin(self) -> None:
        """Before the first step."""
        loss = self.ensemble.metrics(self.train)[0].cpu().double().numpy()
        self.target = _FITTED * loss
        if self.way.fit_loss is not None:
            self.target = np.full(len(loss), self.way.fit_loss)
        elif self.plan.task.stop_loss:
            self.target = np.full(len(loss), self.plan.task.stop_loss)
        if self.way.fit == "along":
            self.fit_end[:] = 0
            self._record(np.ones(len(loss), bool))
        self._look()

    def one_step(self) -> int:
        """One optimizer step of every member; how many of them are on their path."""
        end = self.fit_end[self.rows.numpy()]
        walking, since = end >= 0, self.step - end
        shrinks = walking & (since % self.refit == 0)
        if shrinks.any():
            shrinking = torch.as_tensor(np.flatnonzero(shrinks), device=self.flat.device)
            with torch.no_grad():  # the representation's variables never decay
                self.flat[shrinking] *= math.exp(-self.way.dtau)
        self.advance()
        due = walking & ((since + 1) % self.refit == 0)
        if due.any():
            self._record(due)
        rows = self.rows.numpy()
        fitting = (self.fit_end[rows] < 0) | np.isnan(self.t_fit[rows])
        if fitting.any() and (self.step % _LOOK == 0 or self.step == self.way.fit_steps):
            self._look()
        return int(walking.sum())

    @property
    def walked(self) -> int:
        """Member-steps on the path so far, for a walk that is gone on with."""
        end = self.fit_end[self.rows.numpy()]
        done = len(self.members) - len(end)
        return int((self.step - end[end >= 0]).sum()) + done * self.way.records * self.refit

    def _look(self) -> None:
        """Who has fitted the training set since the last look."""
        loss, accuracy = (v.cpu().double().numpy() for v in self.ensemble.metrics(self.train))
        rows = self.rows.numpy()
        fitting = self.fit_end[rows] < 0
        first = (accuracy >= MEMORIZED) & np.isnan(self.t_fit[rows]) & (self.step <= self.way.fit_steps)
        self.t_fit[rows[first]] = self.step
        fitted = (loss <= self.target[rows]) & ~np.isnan(self.t_fit[rows]) & (self.step % _ROUND == 0)
        ends = fitting & (fitted | ~np.isfinite(loss) | (self.step >= self.way.fit_steps))
        if ends.any():
            self.fit_end[rows[ends]] = self.step
            self._record(ends)

    def _record(self, due: Bools) -> None:
        """Record the members that are due, and retire those that are done or have diverged."""
        record, lost = self.measured()
        rows = self.rows.numpy()
        lost &= due
        kept = due & ~lost
        columns = (self.step - self.fit_end[rows]) // self.refit
        self.curves[:, rows[kept], columns[kept]] = record[:, kept]
        if self.plan.stop_at is not None:
            beyond = record[CURVES.index("test_accuracy")] >= self.plan.stop_at
            self.passed[rows[due]] = np.where(beyond, self.passed[rows] + 1, 0)[due]
        # who passes while it fits goes on until it has fitted, or when that was would not be known
        passed = (self.passed[rows] >= _HELD) & ~np.isnan(self.t_fit[rows])
        done = due & (passed | (columns == self.way.records))
        self.diverged[rows[lost]] = True
        if (lost | done).any():
            self.keep(torch.as_tensor(np.flatnonzero(~(lost | done))))

    def result(self) -> Arrays:
        curves = {name: self.curves[k] for k, name in enumerate(CURVES)}
        names = ("t_fit", "fit_end", "diverged", "w0")
        return curves | {name: getattr(self, name) for name in names}


def sample_path(
    task: Task,
    *,
    alpha: float | Sequence[float],
    seeds: Sequence[int] = range(4),
    eta_d: float | None = None,
    m: float | Sequence[float] = 1.0,
    n_train: int | Sequence[int] | None = None,
    dtau: float = 0.01,
    refit: int | Sequence[int] = (25, 50, 100, 200),
    tau: float = 1.0,
    fit: str = "along",
    fit_steps: int | None = None,
    fit_loss: float | None = None,
    optimizer: str = "adamw",
    representation: str = "fixed",
    eta_r: float | None = None,
    stop_at: float | None = None,
    batch: int | None = None,
    dtype: str = "float32",
    out: str | Path,
    device: str = "auto",
    members: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    compiled: bool = False,
    progress: bool = True,
    overwrite: bool = False,
) -> DecayPath:
    """Shrink a task's networks and refit them, again and again, and record them against τ = ηγt.

    Parameters
    ----------
    alpha, m, n_train, seeds : starts, as in `train`; every combination is followed, at every resolution.
    eta_d, eta_r, optimizer, representation, batch, dtype : as in `train`. The optimizer ought to be that
        of the runs to be predicted: its metric decides which way the drift goes.
    dtau, refit : the weights are multiplied by exp(-dtau) and refitted with so many steps. `refit` steps
        per dtau are training at γ = dtau/(refit η); of several, the finer ones tell the error.
    tau : where the path ends.
    fit : "along": the weights are shrunk from the first step on, as decay does. "first": the training set
        is fitted without decay, and the path begins there. Where delays are long against the fit the two
        agree; where they are not, "first" leaves out what decay and fit do to each other.
    fit_loss : training loss at which a fit without decay ends, if 95 % of the training set is right,
        too (default: the task's `stop_loss`, or a thousandth of the loss at the start).
    fit_steps : at which it ends in any case (default: the task's sampling budget).
    stop_at : test accuracy at which a member is done, once it has held it for five records and has fitted
        95 % of the training set (default: all go on up to `tau`).
    out : the path file. Resumed as in `train`; `members`, `workers`, `executor`, `compiled`, too.

    Raises
    ------
    InputError : on a bad setting or an output that exists. A member that diverges is a result.
    """
    out = Path(out)
    clean(out)
    check_output(out, overwrite)
    for name, value in (("dtau", dtau), ("tau", tau), ("fit_loss", 1.0 if fit_loss is None else fit_loss)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise InputError(f"{name} = {value!r}: expected a finite number above 0")
    if not dtau < 1 or tau < dtau:
        raise InputError(f"dtau = {dtau:g}, tau = {tau:g}: expected dtau below 1 and tau from dtau on")
    refits = sorted({whole("refit", k, 1) for k in np.atleast_1d(np.asarray(refit)).tolist()})
    if np.ndim(eta_d if eta_d is not None else 0) or np.ndim(eta_r if eta_r is not None else 0):
        raise InputError("eta_d, eta_r: expected one number each; a path does not hang on the rate")
    chosen = members_of(task, False, 0.0, eta_d, eta_r, alpha, m, n_train, seeds)
    if not refits or not chosen:
        raise InputError("refit, seeds: expected one or more")
    chosen = sorted(chosen, key=lambda c: (c.n_train, c.seed, c.m, c.alpha))
    where = device_of(device)
    plan = Plan(
        task=task, steps=1, optimizer=optimizer, representation=representation,
        batch=whole("batch", task.batch if batch is None else batch, 0),
        resolution=1.0, stop_at=stop_at, dtype=dtype, device=where, compiled=compiled,
    )  # fmt: skip
    way = Way(
        plan=plan,
        dtau=float(dtau),
        records=max(round(tau / dtau), 1),
        fit_steps=whole("fit_steps", task.steps if fit_steps is None else fit_steps, 1),
        fit_loss=fit_loss,
        fit=fit,
    )
    way.check(chosen)
    configuration = plan.configuration() | {
        "kind": "decay path", "dtau": dtau, "records": way.records, "fit_steps": way.fit_steps,
        "fit": fit, "fit_loss": fit_loss, "refit": refits,
    }  # fmt: skip
    for name in ("steps", "resolution"):
        del configuration[name]
    parts = Parts(out, configuration | {"members": [asdict(c) for c in chosen]})
    side_by_side = default_workers(where) if workers is None else whole("workers", workers, 1)
    if members is None:
        parameters = len(initial_parameters(task, 0))
        at_once = members_at_once(where, parameters, len(chosen) * len(refits), side_by_side)
    else:
        at_once = whole("members", members, 1)
    pieces, places = [], []
    for place, k in enumerate(reversed(refits)):  # the longest first
        for size in sorted({c.n_train for c in chosen}):
            same = [i for i, c in enumerate(chosen) if c.n_train == size]
            for first in range(0, len(same), at_once):
                own = same[first : first + at_once]
                name = f"path-{at_once}-{k}-{size}-{first}"
                work = walk_of(way, k, [chosen[i] for i in own])
                pieces.append(Piece(name, len(own) * way.records * k, work))
                places += [(i, len(refits) - 1 - place) for i in own]
    total = sum(piece.steps for piece in pieces)
    with Progress(total, f"decay path of {task.name}", progress) as bar:
        results = run(pieces, parts, bar, side_by_side, executor)
    path = _assembled(way, refits, chosen, places, results, configuration)
    parts.finish(path.save, overwrite)
    return path


def walk_of(way: Way, refit: int, members: Sequence[Member]) -> Callable[[OnSteps, Checkpoint], Arrays]:
    def curves(on_steps: OnSteps, checkpoint: Checkpoint) -> Arrays:
        walk = Walk(way, refit, members)
        known = checkpoint.load()
        if known is None:
            walk.begin()
        else:
            walk.restore(known)
            on_steps(walk.walked)
        drive(walk, walk.one_step, lambda: True, on_steps=on_steps, checkpoint=checkpoint)
        return walk.result()

    return curves


def _assembled(
    way: Way,
    refits: Sequence[int],
    members: Sequence[Member],
    places: Sequence[tuple[int, int]],
    results: Sequence[Arrays],
    configuration: dict[str, Any],
) -> DecayPath:
    """The file of all members at all resolutions; `places` are (member, resolution) of the results' rows."""
    joined = {k: np.concatenate([r[k] for r in results]) for k in results[0]}
    coords: dict[str, Any] = {
        "seed": sorted({c.seed for c in members}),
        "n_train": sorted({c.n_train for c in members}),
        "m_start": sorted({c.m for c in members}),
        "alpha": sorted({c.alpha for c in members}),
        "refit": list(refits),
        "tau": way.dtau * np.arange(way.records + 1),
    }
    shape = tuple(len(coords[name]) for name in DIMS)
    at = []
    for i, k in places:
        c = members[i]
        start = (("seed", c.seed), ("n_train", c.n_train), ("m_start", c.m), ("alpha", c.alpha))
        at.append((*(coords[name].index(value) for name, value in start), k))
    index = tuple(np.array(at).T)

    def gridded(values: NDArray[Any], *more: int) -> NDArray[Any]:
        full = np.empty((*shape[:5], *more), values.dtype)
        full[index] = values
        return full

    task, plan = way.plan.task, way.plan
    return DecayPath.assemble(
        coords=coords,
        curves={name: gridded(joined[name], shape[5]) for name in CURVES},
        t_fit=gridded(joined["t_fit"])[..., -1],
        fit_end=gridded(joined["fit_end"])[..., -1],
        diverged=gridded(joined["diverged"]),
        w0=gridded(joined["w0"])[:, 0, 0, 0, 0],
        eta_d=members[0].eta_d,
        eta_r=members[0].eta_r,
        dtau=way.dtau,
        optimizer=plan.optimizer,
        representation=plan.representation,
        fit=way.fit,
        task=task.name,
        loss=task.loss_name,
        threshold=task.threshold,
        threshold_relative=task.relative,
        stop_rule=_RULE,
        configuration=configuration,
    )
