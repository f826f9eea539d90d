"""Eq. 6 of Omnigrok with the networks in the loop: no grid, no interpolation.

    dw/dt = -η_D (∂l/∂w + γ w)        dm/dt = -η_R ∂l/∂m

l is the reduced training loss. It is not looked up: in each turn the direction of a member's weights is
minimized anew on the sphere |w|, from where it was, and the two slopes are read off the network there.
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

from groktime.fullnet.engine.optimizer import Setting, project, tangent
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.members import Bools, Floats, Member, Members, Setup
from groktime.fullnet.procedures.recording import check_curves, evaluation_times, stays_beyond
from groktime.reduced.arguments import choice
from groktime.reduced.law import DecayLaw
from groktime.reduced.starts import M_RATES

Ints = NDArray[np.int64]

NAME = "eq6"  # the "optimizer" of its runs files


@dataclass
class FlowState:
    """Of each member: its time (t, in optimizer steps), u = ln w and m; γ and the rates of u and m;
    m and dm/dt of the turn `before`; the `sums` of g_u and g_m over the last quarter of a round; t and
    curves of the last record; how many columns of the curves are `written`; turns done."""

    members: Members
    time: Floats
    u: Floats
    m: Floats
    gamma: Floats
    rates: Floats
    before: Floats
    sums: Floats
    records: Floats
    written: Ints
    turned: Ints
    curves: Floats
    passed: Ints
    steps_done: Ints
    diverged: Bools


@dataclass(frozen=True)
class Flow:
    """Members under Eq. 6, each at its own time t. How it is integrated is a numerical resolution, nothing
    that is fitted.

    start, inner : optimizer steps on the sphere before the first turn, and of each turn.
    move : (in u = ln w and in ηγt, in m) the most that a turn may change.
    rate : of the inner optimizer after the start. turns : after so many a member is given up.

    A turn: `inner` tangent-gradient steps of Adam at fixed (u, m); the slopes g_u = g·w = ∂l/∂u and
    g_m = ∂l/∂m are means over the last quarter of them. Then one step of

        du/dt = -η_D (g_u/w² + γ)        dm/dt = -η_R g_m

    as long as u, and ηγt, change by no more than du, and m by no more than dm. At a wall the flow is
    stiff: the time that m needs to cross it is tiny beside that of decay. An explicit step may stay
    as it is there: m leaps out of the wall by dm in next to no time, and then waits on the flat until
    decay has brought the wall back, so that it keeps within dm of the wall and the clock stays right.
    Where m has overshot a valley, its velocity having turned round, the secant through both places
    gives the rate λ at which it relaxes, and m moves by m' h / (1 + λh) (linearly implicit Euler), which
    for λh >> 1 is a step to the valley's floor that costs no time.
    """

    setup: Setup
    steps: int
    start: int
    inner: int
    move: tuple[float, float]
    rate: float
    m_rate: str = "eq6"
    turns: int = 10_000
    resolution: float = 0.02
    stop_at: float | None = None

    def check(self, members: Sequence[Member]) -> None:
        """Refuse bad settings by name."""
        choice("m_rate", self.m_rate, M_RATES)
        check_curves(self.steps, self.resolution)
        self.setup.check(members[0])

    def configuration(self) -> dict[str, Any]:
        """Everything that the numbers depend on, but for the runs' own settings."""
        names = ("steps", "resolution", "stop_at", "start", "inner", "rate", "m_rate", "turns")
        how = {name: getattr(self, name) for name in names}
        return self.setup.configuration() | how | {"optimizer": NAME, "move": list(self.move)}

    @property
    def law(self) -> DecayLaw:
        """Eq. 6 itself, at the full rate."""
        return DecayLaw(NAME, no_decay=self.setup.task.no_decay)

    @cached_property
    def times(self) -> Ints:
        """Times of the curves' columns."""
        return evaluation_times(self.steps, self.resolution)

    @property
    def _read(self) -> int:
        """Steps of a round over which the slopes are averaged."""
        return max(self.inner // 4, 1)

    def init(self, members: Sequence[Member]) -> FlowState:
        count, adam = len(members), self.setup.task.optimizer
        some = Members(
            self.setup, members, "adam", [Setting(self.rate, betas=adam.betas, eps=adam.eps)] * count
        )
        scale = np.ones(count)
        if self.m_rate == "representation" and some.representation.trained:
            scale = np.array([p.delta_norm or math.nan for p in some.problems]) ** -2
        names = self.setup.curves
        state = FlowState(
            some,
            time=np.zeros(count),
            u=np.log(some.w0 * [c.alpha for c in members]),
            m=np.array([c.m for c in members]),
            gamma=np.array([c.gamma for c in members]),
            rates=np.array([[c.eta_d, c.eta_r] for c in members]) * np.stack([np.ones(count), scale], 1),
            before=np.full((count, 2), np.nan),
            sums=np.zeros((count, 2)),
            records=np.full((count, len(names) + 1), np.nan),
            written=np.zeros(count, np.int64),
            turned=np.zeros(count, np.int64),
            curves=np.full((len(names), count, len(self.times)), np.nan),
            passed=np.zeros(count, np.int64),
            steps_done=np.full(count, self.steps),
            diverged=np.zeros(count, bool),
        )
        some.norm = torch.as_tensor(np.exp(state.u)).to(some.flat)
        return state

    def _since(self, step: int) -> int:
        """Steps done of the round that the step is in, as if the start were the end of one."""
        early = step < self.start
        return self.inner - self.start + step if early else (step - self.start) % self.inner

    def _turns(self, step: int) -> bool:
        """Whether a round has ended just before this step."""
        return step >= self.start and (step - self.start) % self.inner == 0

    def step(self, state: FlowState) -> int:
        """At a round's beginning a turn, and an optimizer step on the direction; steps of time gained."""
        some, task = state.members, self.setup.task
        gained = self._move(state) if self._turns(some.step) else 0
        _, gradient, slow = some.gradient()
        assert some.norm is not None
        radial = tangent(gradient, some.flat, some.norm, some.decays)
        if self._since(some.step) >= self.inner - self._read:
            rows = some.rows.numpy()
            slopes = [radial] if slow is None else [radial, slow[:, 0]]
            state.sums[rows, : len(slopes)] += torch.stack(slopes, 1).cpu().double().numpy()
        factor = 1.0
        if some.step < self.start:  # the task's own schedule, pressed into the start
            factor = task.optimizer.sampling.at(some.step * task.steps // self.start)
            factor *= task.optimizer.rate / self.rate
        some.advance(gradient, factor=factor)
        return gained

    def record(self, state: FlowState) -> None:
        some = state.members
        if not self._turns(some.step):
            return
        rows = some.rows.numpy()
        record, lost = some.measured()
        lost = lost | ~np.isfinite(state.sums[rows]).all(1)
        known = state.written[rows]
        for k in np.flatnonzero(~lost):
            self._write(state, int(rows[k]), record[:, k])
        done = lost | (state.time[rows] >= self.steps) | (state.turned[rows] >= self.turns)
        done |= stays_beyond(record, state.passed, rows, self.stop_at, state.written[rows] > known)
        if done.any():
            state.diverged[rows[lost]] = True
            state.steps_done[rows[done]] = self.times[np.maximum(state.written[rows[done]], 1) - 1]
            some.retire(done)

    def _write(self, state: FlowState, row: int, record: Floats) -> None:
        """The curves' columns up to now, on a straight line from the record before."""
        now, last = np.array([state.time[row], *record]), state.records[row]
        first = state.written[row]
        end = int(np.searchsorted(self.times, now[0], "right"))
        if first == 0:
            state.curves[:, row, 0] = record
        elif end > first:
            share = (self.times[first:end] - last[0]) / (now[0] - last[0])
            state.curves[:, row, first:end] = last[1:, None] + share * (now - last)[1:, None]
        state.written[row], state.records[row] = max(end, first), now

    def _move(self, state: FlowState) -> int:
        """Bring every member to the (u, m) of its next turn; steps of time gained."""
        rows = state.members.rows.numpy()
        (du, dm), (eta_d, eta_r) = self.move, state.rates[rows].T
        g_u, g_m = (state.sums[rows] / self._read).T
        state.sums[:] = 0.0
        u, m, gamma, start = state.u[rows], state.m[rows], state.gamma[rows], state.time[rows]
        in_u = -eta_d * (g_u * np.exp(-2 * u) + gamma)
        in_m = -eta_r * g_m
        in_m[((m <= 0) & (in_m < 0)) | ((m >= 1) & (in_m > 0))] = 0.0  # m is a share
        moved, turned = m - state.before[rows, 0], in_m * state.before[rows, 1] < 0
        with np.errstate(divide="ignore", invalid="ignore"):
            secant = (state.before[rows, 1] - in_m) / moved
            relaxation = np.where(turned & (secant > 0), secant, 0.0)  # λ, per step
            # the longest step within dm: h |m'| / (1 + λh) = dm
            free = np.abs(in_m) - dm * relaxation
            longest = np.where(free > 0, dm / free, np.inf)
            h = np.min([du / (eta_d * gamma), du / np.abs(in_u), longest, self.steps - start], 0)
        state.before[rows] = np.stack([m, in_m], 1)
        state.u[rows] = u + h * in_u
        state.m[rows] = np.clip(m + h * in_m / (1 + relaxation * h), 0.0, 1.0)
        ahead = start + h
        near = self.steps - ahead < 1e-6  # of a step: rounding
        before = int(state.time.sum())
        state.time[rows] = np.where(near, self.steps, ahead)
        state.turned[rows] += 1
        self._place(state)
        return int(state.time.sum()) - before

    def _place(self, state: FlowState) -> None:
        """Bring the networks to their (u, m)."""
        some, rows = state.members, state.members.rows.numpy()
        some.norm = torch.as_tensor(np.exp(state.u[rows])).to(some.flat)
        with torch.no_grad():
            if some.representation.trained:
                some.slow[:, 0] = torch.as_tensor(state.m[rows]).to(some.slow)
            project(some.flat, some.norm, some.decays)

    def result(self, state: FlowState) -> Arrays:
        curves = dict(zip(self.setup.curves, state.curves, strict=True))
        ends = {"steps_done": state.steps_done, "diverged": state.diverged, "w0": state.members.w0}
        return curves | ends
