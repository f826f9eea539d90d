"""Plain training with weight decay, at the end of which every member has its learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.engine.optimizer import RULES, weight_norm
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.members import Bools, Floats, Member, Members, Setup
from groktime.fullnet.procedures.recording import check_curves, check_reach, evaluation_times, stays_beyond
from groktime.fullnet.task import Task
from groktime.reduced.arguments import choice
from groktime.reduced.errors import InputError
from groktime.reduced.law import MOMENTA, OWN, DecayLaw

Ints = NDArray[np.int64]

NO_LAW = "Adam divides a decay that is added to the gradient by the gradient's size, and there is no 1/γ law"


@dataclass
class TrainingState:
    """`curves` [curve, member, time]; `passed`: evaluations in a row beyond both thresholds; [member]."""

    members: Members
    curves: Floats
    passed: Ints
    steps_done: Ints
    diverged: Bools


@dataclass(frozen=True)
class Training:
    """So many steps of an optimizer; with `constrained`, the weights keep the norm they started with."""

    setup: Setup
    steps: int
    optimizer: str = "adamw"
    resolution: float = 0.02
    stop_at: float | None = None
    constrained: bool = False
    momentum: float | None = None

    def check(self, members: Sequence[Member]) -> None:
        """Refuse bad settings by name."""
        check_rule(self.setup.task, self.optimizer, members, self.momentum)
        check_reach(self.setup.task, self.steps)
        check_curves(self.steps - self.setup.task.begin, self.resolution)
        self.setup.check(members[0])

    def configuration(self) -> dict[str, Any]:
        """Everything that the numbers depend on, but for the runs' own settings."""
        names = ("optimizer", "steps", "resolution", "stop_at")
        made = self.setup.configuration() | {name: getattr(self, name) for name in names}
        made |= momentum_set(self.law)
        return made | ({"constrained": True} if self.constrained else {})

    @cached_property
    def law(self) -> DecayLaw:
        """By which law the networks decay."""
        return self.setup.task.law(self.optimizer, self.momentum)

    @cached_property
    def times(self) -> Ints:
        """Steps of the evaluations."""
        begin = self.setup.task.begin
        return begin + evaluation_times(self.steps - begin, self.resolution)

    @cached_property
    def _columns(self) -> dict[int, int]:
        return {int(step): k for k, step in enumerate(self.times)}

    def init(self, members: Sequence[Member]) -> TrainingState:
        count = len(members)
        settings, slow = self.setup.optimizer_settings(members, self.law)
        some = Members(self.setup, members, self.optimizer, settings, slow)
        some.take_up()
        some.norm = weight_norm(some.flat, some.decays) if self.constrained else None
        return TrainingState(
            some,
            curves=np.full((len(self.setup.curves), count, len(self.times)), np.nan),
            passed=np.zeros(count, np.int64),
            steps_done=np.full(count, self.steps),
            diverged=np.zeros(count, bool),
        )

    def step(self, state: TrainingState) -> int:
        some = state.members
        _, gradient, slow = some.gradient()
        schedule = self.law.schedule
        some.advance(gradient, slow, schedule.at(some.step), schedule.settled(some.step))
        return len(some.rows)

    def record(self, state: TrainingState) -> None:
        some = state.members
        column = self._columns.get(some.step)
        if column is None:
            return
        record, lost = some.measured()
        rows = some.rows.numpy()
        state.curves[:, rows, column] = record
        done = lost | stays_beyond(record, state.passed, rows, self.stop_at) | (some.step == self.steps)
        if done.any():
            state.diverged[rows[lost]] = True
            state.steps_done[rows[done]] = some.step
            some.retire(done)

    def result(self, state: TrainingState) -> Arrays:
        curves = dict(zip(self.setup.curves, state.curves, strict=True))
        ends = {"steps_done": state.steps_done, "diverged": state.diverged, "w0": state.members.w0}
        return curves | ends


def check_rule(task: Task, optimizer: str, members: Sequence[Member], momentum: float | None = None) -> None:
    """Refuse an optimizer that there is not, or that cannot decay where it is to, or has no such momentum."""
    choice("optimizer", optimizer, (*RULES, OWN) if task.rule.update else RULES)
    if optimizer == "adam" and any(c.gamma for c in members):
        raise InputError("optimizer = 'adam': is without decay; expected gamma = 0, or 'adamw'")
    if momentum is None:
        return
    if isinstance(momentum, bool) or not isinstance(momentum, int | float) or not 0 <= momentum < 1:
        raise InputError(f"momentum = {momentum!r}: expected a number in [0, 1)")
    if optimizer not in MOMENTA:
        expected = " or ".join(map(repr, MOMENTA))
        raise InputError(f"momentum = {momentum:g}: {optimizer!r} has none; expected optimizer = {expected}")


def check_law(law: DecayLaw) -> None:
    """Refuse an optimizer whose decay is no shrinking by ηγ a step, which is all that can be hastened."""
    if law.rule == "adam_l2":
        raise InputError(f"optimizer = {law.rule!r}: {NO_LAW}; expected 'adamw'")


def momentum_set(law: DecayLaw) -> dict[str, float]:
    """The momentum for a file's configuration, where it is not the usual one."""
    return {"momentum": law.momentum} if law.momentum != MOMENTA.get(law.rule, 0.0) else {}
