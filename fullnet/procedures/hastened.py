"""Training that is hastened once the training set is fitted: an optimizer step counts as many.

A network is trained in earnest until it has fitted; which solution it drifts to is decided by then. From
there on its decay is all that takes long, and it is slow against everything else: after each step the
weights are shrunk by what decay would do in `pace - 1` more, and the clock t goes on by `pace`,

    pace = max(1, min(t - t_fit, 1/(ηγ)) / efold),

so that every e-fold of the time since the fit takes `efold` steps, and so does every 1/(ηγ), in which
decay alone shrinks the weights by e. What the gradient did in the step is done `stretch - 1` times more:
`stretch` is at most the pace, and grows as long as one gradient points where the one before did. Where they
do not, the network oscillates or its samples change, which goes by steps and cannot be hastened; then it
shrinks down to 1, and decay alone is. Adam's second moment forgets by the clock t, too, or its thousand
steps would reach back to the fit, whose gradients are large; but no faster than a stretched step has it, or
than in a quarter of `efold`, or it would be the square of a few gradients. With `efold` at the horizon or
above no step is hastened, and this is training itself; halving it tells the error. See docs/forecast.md.
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
from torch import Tensor

from groktime.fullnet.engine.optimizer import scale, weight_norm
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.members import Bools, Floats, Member, Members, Setup
from groktime.fullnet.procedures.recording import PERSIST
from groktime.fullnet.procedures.training import check_law, check_rule, momentum_set
from groktime.fullnet.runs import CURVES
from groktime.reduced.law import DecayLaw
from groktime.reduced.system import MEMORIZED

Ints = NDArray[np.int64]

_TRAIN, _TEST = CURVES.index("train_accuracy"), CURVES.index("test_accuracy")
_REMEMBERED = 4  # an e-fold over this is what Adam's second moment remembers at the least
_ALIGNED = 0.9  # mean cosine of one gradient and the next above which a step may be stretched
_SEEN = 0.1  # share of the last one in that mean
_STRETCHED = 1.05  # by how much from one step to the next
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
    training set; `real`: optimizer steps; `stretch` of the last of them, and `aligned`, the mean cosine of
    the last gradients, of which the last are `slopes` [row, parameter]; [member]."""

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
    stretch: Floats
    aligned: Floats
    slopes: Tensor


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
        check_rule(self.setup.task, self.optimizer, members, self.momentum)
        check_law(self.law)
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
        far = max(1, self.horizon - self.setup.task.begin)
        first = min(1 / self.resolution, far)
        return 3 + math.ceil(first + math.log(far / first) / math.log1p(self.resolution))

    def steps(self, c: Hastened) -> int:
        """About as many optimizer steps as a member takes, for the progress."""
        far = c.horizon - self.setup.task.begin
        late, unit = far - min(self.fit_steps, far), 1 / (c.eta_d * c.gamma * self.law.speed)
        hastened = 1 + math.log1p(min(late, unit) / c.efold) + max(late / unit - 1, 0)
        return min(far, self.fit_steps + math.ceil(c.efold * hastened))

    def init(self, members: Sequence[Hastened]) -> HastenedState:
        count = len(members)
        settings, slow = self.setup.optimizer_settings(members, self.law)
        some = Members(self.setup, members, self.optimizer, settings, slow)
        some.take_up()
        return HastenedState(
            some,
            efold=np.array([float(c.efold) for c in members]),
            horizon=np.array([float(c.horizon) for c in members]),
            rate=self.law.speed * np.array([c.eta_d * c.gamma for c in members]),
            time=np.full(count, float(self.setup.task.begin)),
            t_fit=np.full(count, -1.0),
            due=np.zeros(count),
            records=np.zeros(count, np.int64),
            curves=np.full((len(CURVES), count, self.most), np.nan),
            times=np.full((count, self.most), np.nan),
            passed=np.zeros(count, np.int64),
            forgot=np.zeros(count, np.int64),
            real=np.zeros(count, np.int64),
            diverged=np.zeros(count, bool),
            stretch=np.ones(count),
            aligned=np.ones(count),
            slopes=torch.zeros_like(some.flat),
        )

    def step(self, state: HastenedState) -> int:
        some, schedule = state.members, self.law.schedule
        rows = some.rows.numpy()
        _, gradient, slow = some.gradient()
        factor, settled = schedule.at(some.step), schedule.settled(some.step)
        pace = self.pace(state, rows)
        if (pace > 1).any():
            again = self.stretched(state, rows, gradient, pace) - 1
            before = some.flat.clone(), some.slow.clone()
            some.advance(gradient, slow, factor, settled)
            self.hasten(state, before, gradient, pace - 1, again, factor)
        else:
            some.advance(gradient, slow, factor, settled)
        state.time[rows] += pace
        state.real[rows] += 1
        return len(rows)

    @torch.no_grad()
    def stretched(self, state: HastenedState, rows: Ints, gradient: Tensor, pace: Floats) -> Floats:
        """How many times each row does what its gradient does; at most its pace."""
        if self.optimizer == "momentum":  # whose decay goes through the gradient
            return np.ones(len(rows))
        hastened = pace > 1  # the others have no part in it, so that a row does not depend on its company
        both = weight_norm(gradient) * weight_norm(state.slopes), (gradient * state.slopes).sum(1)
        lengths, product = torch.stack(both).cpu().double().numpy()
        state.slopes = gradient * torch.as_tensor(hastened).to(gradient).unsqueeze(1)
        seen = hastened & (lengths > 0)
        cosine = product / np.where(seen, lengths, 1.0)
        state.aligned[rows] += np.where(seen, _SEEN * (cosine - state.aligned[rows]), 0.0)
        grown = np.where(state.aligned[rows] > _ALIGNED, _STRETCHED, 1 / _STRETCHED)
        state.stretch[rows] = np.clip(state.stretch[rows] * grown, 1.0, pace)
        return np.asarray(state.stretch[rows])

    def remembered(self, state: HastenedState, rows: Ints, again: Floats) -> Floats:
        """How many steps Adam's second moment of each row remembers at the least."""
        stretched = 1 / (1 - self.setup.task.optimizer.betas[1] ** (1 + again))
        return np.maximum(np.minimum(state.efold[rows] / _REMEMBERED, stretched), 1.0)

    @torch.no_grad()
    def hasten(
        self,
        state: HastenedState,
        before: tuple[Tensor, Tensor],
        gradient: Tensor,
        more: Floats,
        again: Floats,
        factor: float,
    ) -> None:
        """After a step from the weights and the representation's variables `before`: the decay of `more`
        steps, and what the gradient did `again` times; [row]."""
        some = state.members
        rows = some.rows.numpy()
        rate, (weights, variables) = state.rate[rows], before
        scale(weights, torch.as_tensor(1 - factor * rate).to(weights), some.decays)
        done, moved = some.flat - weights, some.slow - variables
        least = self.remembered(state, rows, again)
        some.optimizer.age(gradient, torch.as_tensor(more), torch.as_tensor(least))
        scale(some.flat, torch.as_tensor(np.exp(-rate * more)).to(some.flat), some.decays)
        each = torch.as_tensor(again).to(some.flat).unsqueeze(1)
        some.flat.addcmul_(done, each)
        some.slow.addcmul_(moved, each.to(moved))

    def pace(self, state: HastenedState, rows: Ints) -> Floats:
        """How much time a step of each row counts."""
        since = np.where(state.t_fit[rows] < 0, 0.0, state.time[rows] - state.t_fit[rows])
        slow = np.minimum(since, 1 / state.rate[rows])
        return np.asarray(np.maximum(1.0, np.floor(slow / state.efold[rows])))

    def record(self, state: HastenedState) -> None:
        some = state.members
        rows = some.rows.numpy()
        time, hastened = state.time[rows], self.pace(state, rows) > 1
        # those of different clocks are evaluated together, or they would be for each other's sake
        apart = max(1, round(self.resolution * state.efold[rows].min()))
        ready = ~hastened | (some.step % apart == 0)
        last = time >= state.horizon[rows]
        due = last | ((time >= state.due[rows]) & ready)
        if not due.any():
            return
        record, lost = some.measured(due)
        kept = due & ~lost
        columns = state.records[rows[kept]]
        state.curves[:, rows[kept], columns] = record[: len(CURVES), kept]
        state.times[rows[kept], columns] = time[kept]
        state.records[rows[kept]] += 1
        state.due[rows[due]] = (time + np.maximum(1, self.resolution * (time - self.setup.task.begin)))[due]
        fitted = (record[_TRAIN] >= MEMORIZED) & (state.t_fit[rows] < 0) & kept
        state.t_fit[rows[fitted]] = time[fitted]
        if self.stop_at is not None:
            beyond = record[_TEST] >= self.stop_at
            state.passed[rows[due]] = np.where(beyond, state.passed[rows] + 1, 0)[due]
        known = state.t_fit[rows] >= 0
        forgets = known & (record[_TRAIN] < _FORGOT)
        state.forgot[rows[due]] = np.where(forgets, state.forgot[rows] + 1, 0)[due]
        unfitted = ~known & (time >= self.setup.task.begin + self.fit_steps)
        done = due & ((known & (state.passed[rows] >= PERSIST)) | unfitted)
        done |= due & (state.forgot[rows] >= _LOST) & hastened
        lost &= due
        state.diverged[rows[lost]] = True
        if (gone := last | lost | done).any():
            state.slopes = state.slopes[some.retire(gone).to(state.slopes.device)]

    def result(self, state: HastenedState) -> Arrays:
        curves = {name: state.curves[k] for k, name in enumerate(CURVES)}
        ends = {"t": state.times, "real_steps": state.real, "diverged": state.diverged}
        return curves | ends | {"w0": state.members.w0}
