"""Training whose decay is hastened once the training set is fitted: an optimizer step counts as many.

A network is trained in earnest until it has fitted; which solution it drifts to is decided by then. From
there on its decay is all that takes long, and it is slow against everything else: after each step the
weights are shrunk by what decay would do in `pace - 1` more, and the clock t goes on by `pace`,

    pace = max(1, min(t - t_fit, 1/(ηγ)) / efold),

so that every e-fold of the time since the fit takes `efold` steps, and so does every 1/(ηγ), in which
decay alone shrinks the weights by e. Adam's second moment forgets by that clock, too: its thousand steps
would reach back to the fit, whose gradients are large, and the network would follow late. With `efold` at
the horizon or above no step is hastened, and this is training itself; halving it tells the error. See
docs/forecast.md.
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

from groktime.fullnet.engine.optimizer import Setting, scale
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.members import Bools, Floats, Member, Members, Setup
from groktime.fullnet.procedures.recording import PERSIST
from groktime.fullnet.procedures.training import check_rule, momentum_set
from groktime.fullnet.runs import CURVES
from groktime.reduced.law import DecayLaw
from groktime.reduced.system import MEMORIZED

Ints = NDArray[np.int64]

_TRAIN, _TEST = CURVES.index("train_accuracy"), CURVES.index("test_accuracy")
_FORGOT = 0.5  # training accuracy below which a network that had fitted has forgotten what it fitted
_LOST = 5  # such records in a row after which a hastened one is done: decay outruns the optimizer


@dataclass(frozen=True)
class Hastened(Member):
    """A member with `efold` steps to an e-fold of the time since its fit, up to the time `horizon`."""

    efold: int
    horizon: int


@dataclass
class HastenedState:
    """Each member's `efold`, `horizon` and `rate`, the τ = ηγt of a step. On its own clock: `time`, `t_fit`
    (-1: not fitted yet) and `due`, when the next record is; `records` kept, in `curves` [curve, member,
    record] and `times` [member, record]; `passed`: records in a row at the threshold, `forgot`: without the
    training set; `real`: optimizer steps; [member]."""

    members: Members
    efold: Floats
    horizon: Floats
    rate: Floats
    time: Floats
    t_fit: Floats
    due: Floats
    records: Ints
    curves: Floats
    times: Floats
    passed: Ints
    forgot: Ints
    real: Ints
    diverged: Bools


@dataclass(frozen=True)
class Hastening:
    """Ordinary steps of the members' own decay and rate, and decay alone in between. `horizon`: the furthest
    of any member's, which says how many records there are."""

    setup: Setup
    fit_steps: int
    horizon: int
    optimizer: str = "adamw"
    resolution: float = 0.03
    stop_at: float | None = None
    momentum: float | None = None

    def check(self, members: Sequence[Member]) -> None:
        """Refuse bad settings by name."""
        check_rule(self.optimizer, members, self.momentum)
        self.setup.check(members[0])

    def configuration(self) -> dict[str, Any]:
        """Everything that the numbers depend on, but for the members' own settings."""
        names = ("optimizer", "stop_at", "fit_steps", "horizon", "resolution")
        made = self.setup.configuration() | {name: getattr(self, name) for name in names}
        return made | momentum_set(self.law) | {"kind": "forecast"}

    @cached_property
    def law(self) -> DecayLaw:
        """By which law the networks decay."""
        return self.setup.task.law(self.optimizer, self.momentum)

    @property
    def most(self) -> int:
        """Records that a member can have: a grid of times at the resolution, up to the horizon."""
        first = min(1 / self.resolution, self.horizon)
        return 3 + math.ceil(first + math.log(self.horizon / first) / math.log1p(self.resolution))

    def steps(self, c: Hastened) -> int:
        """About as many optimizer steps as a member takes, for the progress."""
        late, unit = c.horizon - min(self.fit_steps, c.horizon), 1 / (c.eta_d * c.gamma * self.law.speed)
        hastened = 1 + math.log1p(min(late, unit) / c.efold) + max(late / unit - 1, 0)
        return min(c.horizon, self.fit_steps + math.ceil(c.efold * hastened))

    def init(self, members: Sequence[Hastened]) -> HastenedState:
        count, betas, momentum = len(members), self.setup.task.optimizer.betas, self.law.momentum
        settings = [Setting(c.eta_d, c.gamma, betas, momentum) for c in members]
        slow = [Setting(c.eta_r, 0.0, betas, momentum) for c in members]
        return HastenedState(
            Members(self.setup, members, self.optimizer, settings, slow),
            efold=np.array([float(c.efold) for c in members]),
            horizon=np.array([float(c.horizon) for c in members]),
            rate=self.law.speed * np.array([c.eta_d * c.gamma for c in members]),
            time=np.zeros(count),
            t_fit=np.full(count, -1.0),
            due=np.zeros(count),
            records=np.zeros(count, np.int64),
            curves=np.full((len(CURVES), count, self.most), np.nan),
            times=np.full((count, self.most), np.nan),
            passed=np.zeros(count, np.int64),
            forgot=np.zeros(count, np.int64),
            real=np.zeros(count, np.int64),
            diverged=np.zeros(count, bool),
        )

    def step(self, state: HastenedState) -> int:
        some, schedule = state.members, self.law.schedule
        rows = some.rows.numpy()
        _, gradient, slow = some.gradient()
        some.advance(gradient, slow, schedule.at(some.step), schedule.settled(some.step))
        more = self._pace(state, rows) - 1
        if more.any():
            some.optimizer.age(gradient, torch.as_tensor(more))
            with torch.no_grad():
                factor = torch.as_tensor(np.exp(-state.rate[rows] * more)).to(some.flat)
                scale(some.flat, factor, some.decays)
        state.time[rows] += 1 + more
        state.real[rows] += 1
        return len(rows)

    def _pace(self, state: HastenedState, rows: Ints) -> Floats:
        """How much time a step of each row counts."""
        since = np.where(state.t_fit[rows] < 0, 0.0, state.time[rows] - state.t_fit[rows])
        slow = np.minimum(since, 1 / state.rate[rows])
        return np.asarray(np.maximum(1.0, np.floor(slow / state.efold[rows])))

    def record(self, state: HastenedState) -> None:
        some = state.members
        rows = some.rows.numpy()
        time, hastened = state.time[rows], self._pace(state, rows) > 1
        # those of different clocks are evaluated together, or they would be for each other's sake
        apart = max(1, round(self.resolution * state.efold[rows].min()))
        ready = ~hastened | (some.step % apart == 0)
        last = time >= state.horizon[rows]
        due = last | ((time >= state.due[rows]) & ready)
        if not due.any():
            return
        record, lost = some.measured()
        kept = due & ~lost
        columns = state.records[rows[kept]]
        state.curves[:, rows[kept], columns] = record[: len(CURVES), kept]
        state.times[rows[kept], columns] = time[kept]
        state.records[rows[kept]] += 1
        state.due[rows[due]] = np.maximum(time + 1, time * (1 + self.resolution))[due]
        fitted = (record[_TRAIN] >= MEMORIZED) & (state.t_fit[rows] < 0) & kept
        state.t_fit[rows[fitted]] = time[fitted]
        if self.stop_at is not None:
            beyond = record[_TEST] >= self.stop_at
            state.passed[rows[due]] = np.where(beyond, state.passed[rows] + 1, 0)[due]
        known = state.t_fit[rows] >= 0
        forgets = known & (record[_TRAIN] < _FORGOT)
        state.forgot[rows[due]] = np.where(forgets, state.forgot[rows] + 1, 0)[due]
        done = due & ((known & (state.passed[rows] >= PERSIST)) | (~known & (time >= self.fit_steps)))
        done |= due & (state.forgot[rows] >= _LOST) & hastened
        lost &= due
        state.diverged[rows[lost]] = True
        if (gone := last | lost | done).any():
            some.retire(gone)

    def result(self, state: HastenedState) -> Arrays:
        curves = {name: state.curves[k] for k, name in enumerate(CURVES)}
        ends = {"t": state.times, "real_steps": state.real, "diverged": state.diverged}
        return curves | ends | {"w0": state.members.w0}
