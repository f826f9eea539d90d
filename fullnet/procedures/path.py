"""Networks followed along their zero-loss valley, in big steps of the time τ = ηγt.

A splitting of "decay, and stay in the valley": all weights are shrunk by e^(-dtau), then refitted with
some ordinary optimizer steps without decay, again and again. See docs/decay-path.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from groktime.fullnet.engine.ensemble import read
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.members import Bools, Floats, Member, Members, Setup
from groktime.fullnet.procedures.training import check_law, check_rule, momentum_set
from groktime.fullnet.runs import CURVES
from groktime.reduced.arguments import choice
from groktime.reduced.law import DecayLaw
from groktime.reduced.system import MEMORIZED

Ints = NDArray[np.int64]

STOP_RULE = (
    "95 % of training accuracy and fit_loss, or fit_steps, then shrink and refit up to tau, or stop_at"
)
_LOOK = 10  # steps between two looks at the training set while it is being fitted
_ROUND = 100  # a fit ends at a multiple of these, so that members shrink, and are evaluated, together
_PERSIST = 5  # records in a row at `stop_at` after which a member is done
_FITTED = 1e-3  # share of the loss at the start below which the training set is fitted


@dataclass(frozen=True)
class Follower(Member):
    """A member on its path, with so many steps from one shrink to the next."""

    refit: int


@dataclass
class PathState:
    """`curves` [curve, member, record]; `fit_end`: the step at which a member entered its path, -1: not
    yet; `target`: training loss at which it does; `passed`: records in a row at `stop_at`; [member]."""

    members: Members
    refit: Ints
    target: Floats
    curves: Floats
    passed: Ints
    t_fit: Floats
    fit_end: Ints
    diverged: Bools


@dataclass(frozen=True)
class Following:
    """Members that fit, or shrink and refit, each at its own place.

    A member enters its path when it has fitted, whoever is beside it, so that it is a function of its
    own settings alone, to rounding. `records`: after the one at τ = 0.
    """

    setup: Setup
    dtau: float
    records: int
    fit_steps: int
    fit_loss: float | None = None
    fit: str = "along"
    optimizer: str = "adamw"
    stop_at: float | None = None
    momentum: float | None = None

    def check(self, members: Sequence[Member]) -> None:
        """Refuse bad settings by name."""
        choice("fit", self.fit, ("first", "along"))
        check_rule(self.setup.task, self.optimizer, members, self.momentum)
        check_law(self.law)
        self.setup.check(members[0])

    def configuration(self) -> dict[str, Any]:
        """Everything that the numbers depend on, but for the members' own settings."""
        names = ("optimizer", "stop_at", "dtau", "records", "fit_steps", "fit", "fit_loss")
        made = self.setup.configuration() | {name: getattr(self, name) for name in names}
        return made | momentum_set(self.law) | {"kind": "decay path"}

    @cached_property
    def law(self) -> DecayLaw:
        """By which law the networks decay that are to be predicted."""
        return self.setup.task.law(self.optimizer, self.momentum)

    def init(self, members: Sequence[Follower]) -> PathState:
        count, task = len(members), self.setup.task
        settings, slow = self.setup.optimizer_settings(members, self.law)
        some = Members(self.setup, members, self.optimizer, settings, slow)
        target = self.fit_loss if self.fit_loss is not None else task.stop_loss
        if not target:
            loss = some.ensemble.metrics(some.train)[0].double().numpy()
        return PathState(
            some,
            refit=np.array([c.refit for c in members]),
            target=np.full(count, target) if target else _FITTED * loss,
            curves=np.full((len(self.setup.curves), count, self.records + 1), np.nan),
            passed=np.zeros(count, np.int64),
            t_fit=np.full(count, np.nan),
            fit_end=np.full(count, 0 if self.fit == "along" else -1),
            diverged=np.zeros(count, bool),
        )

    def step(self, state: PathState) -> int:
        some = state.members
        on_path, shrinks = self._on_path(state)
        if shrinks.any():
            with torch.no_grad():  # the representation's variables never decay
                self._shrink(some, np.flatnonzero(shrinks))
        _, gradient, slow = some.gradient()
        # in τ a falling rate makes no difference: after the warm-up a path is followed at the full one
        some.advance(gradient, slow, self.law.schedule.rising.at(some.step))
        return int(on_path.sum())

    def _shrink(self, some: Members, rows: Ints) -> None:
        chosen, factor = torch.as_tensor(rows, device=some.flat.device), math.exp(-self.dtau)
        if some.decays is None:
            some.flat[chosen] *= factor
        else:
            each, one = (some.flat.new_tensor(x) for x in (factor, 1.0))
            some.flat[chosen] *= torch.where(some.decays, each, one)

    def record(self, state: PathState) -> None:
        _, due = self._on_path(state)
        if due.any():
            self._keep(state, due)
        some, rows = state.members, state.members.rows.numpy()
        fitting = (state.fit_end[rows] < 0) | np.isnan(state.t_fit[rows])
        if fitting.any() and (some.step % _LOOK == 0 or some.step == self.fit_steps):
            self._look(state)

    def _on_path(self, state: PathState) -> tuple[Bools, Bools]:
        """Which rows are on their path, and which of them have just been refitted, and are to be recorded
        and shrunk next."""
        rows = state.members.rows.numpy()
        end = state.fit_end[rows]
        return end >= 0, (end >= 0) & ((state.members.step - end) % state.refit[rows] == 0)

    def _look(self, state: PathState) -> None:
        """Who has fitted the training set since the last look."""
        some, step = state.members, state.members.step
        loss, accuracy = read(some.ensemble.evaluated(some.train), [some.train])
        rows = some.rows.numpy()
        fitting = state.fit_end[rows] < 0
        first = (accuracy >= MEMORIZED) & np.isnan(state.t_fit[rows]) & (step <= self.fit_steps)
        state.t_fit[rows[first]] = step
        fitted = (loss <= state.target[rows]) & ~np.isnan(state.t_fit[rows]) & (step % _ROUND == 0)
        ends = fitting & (fitted | ~np.isfinite(loss) | (step >= self.fit_steps))
        if ends.any():
            state.fit_end[rows[ends]] = step
            self._keep(state, ends)

    def _keep(self, state: PathState, due: Bools) -> None:
        """Record the rows that are due, and retire those that are done or have diverged."""
        some = state.members
        record, lost = some.measured(due)
        rows = some.rows.numpy()
        lost &= due
        kept = due & ~lost
        columns = (some.step - state.fit_end[rows]) // state.refit[rows]
        state.curves[:, rows[kept], columns[kept]] = record[:, kept]
        if self.stop_at is not None:
            beyond = record[CURVES.index("test_accuracy")] >= self.stop_at
            state.passed[rows[due]] = np.where(beyond, state.passed[rows] + 1, 0)[due]
        # who passes while it fits goes on until it has fitted, or when that was would not be known
        passed = (state.passed[rows] >= _PERSIST) & ~np.isnan(state.t_fit[rows])
        done = due & (passed | (columns == self.records))
        state.diverged[rows[lost]] = True
        if (lost | done).any():
            some.retire(lost | done)

    def result(self, state: PathState) -> Arrays:
        curves = {name: state.curves[k] for k, name in enumerate(CURVES)}
        ends = {name: getattr(state, name) for name in ("t_fit", "fit_end", "diverged")}
        return curves | ends | {"w0": state.members.w0}
