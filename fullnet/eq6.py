"""Eq. 6 of Omnigrok with the networks in the loop: no grid, no interpolation.

    dw/dt = -η_D (∂l/∂w + γ w)        dm/dt = -η_R ∂l/∂m

l is the reduced training loss. It is not looked up: in each turn the direction of a member's weights is
minimised anew on the sphere |w|, from where it was, and the two slopes are read off the network there.
`integrate_networks` writes a runs file whose time is t of Eq. 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from groktime.fullnet.engine.device import device_of
from groktime.fullnet.engine.optimizer import Optimizer, Setting, project, tangent
from groktime.fullnet.engine.parts import Checkpoint, clean
from groktime.fullnet.engine.pieces import Arrays, Executor, OnSteps
from groktime.fullnet.runs import Runs
from groktime.fullnet.task import Task, whole
from groktime.fullnet.trainer import in_pieces, members_of
from groktime.fullnet.training import Member, Plan, Training, drive
from groktime.reduced.errors import InputError
from groktime.reduced.files import check_output

Floats = NDArray[np.float64]

NAME = "eq6"  # the "optimizer" of its runs files
M_RATES = ("eq6", "representation")


@dataclass(frozen=True)
class Loop:
    """How Eq. 6 is integrated: a numerical resolution, nothing that is fitted.

    start, inner : optimizer steps on the sphere before the first turn, and of each turn.
    move : (in u = ln w and in ηγt, in m) the most that a turn may change.
    rate : of the inner optimizer after the start. turns : after so many a member is given up.
    """

    plan: Plan
    start: int
    inner: int
    move: tuple[float, float]
    rate: float
    m_rate: str
    turns: int

    def check(self, members: Sequence[Member]) -> None:
        if self.m_rate not in M_RATES:
            raise InputError(f"m_rate = {self.m_rate!r}: expected one of {', '.join(M_RATES)}")
        for name, value in (("du", self.move[0]), ("dm", self.move[1]), ("rate", self.rate)):
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} = {value:g}: expected a finite number above 0")
        replace(self.plan, optimizer="adamw").check(members)  # "adam", the inner rule, refuses decay

    def configuration(self) -> dict[str, Any]:
        how = {k: getattr(self, k) for k in ("start", "inner", "rate", "m_rate", "turns")}
        return self.plan.configuration() | how | {"optimizer": NAME, "move": list(self.move)}


class NetworkFlow(Training):
    """Members under Eq. 6, each at its own time t.

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

    _KEPT = (*Training._KEPT, "time", "u", "m", "before", "sums", "records", "written", "turned")

    def __init__(self, way: Loop, members: Sequence[Member]) -> None:
        super().__init__(way.plan, members)
        self.way, count = way, len(members)
        betas = way.plan.task.optimizer.betas
        self.optimizer = Optimizer("adam", self.flat, [Setting(way.rate, betas=betas)] * count)
        self.read = max(way.inner // 4, 1)  # steps of a round over which the slopes are averaged
        self.time = np.zeros(count)  # t, in optimizer steps
        self.u = np.log(self.w0 * [c.alpha for c in members])
        self.m = np.array([c.m for c in members])
        self.before = np.full((count, 2), np.nan)  # m and dm/dt of the turn before
        self.sums = np.zeros((count, 2))  # of g_u and g_m over the last quarter of the round
        self.records = np.full((count, len(self.plan.curves) + 1), np.nan)  # t and curves of the turn before
        self.written = np.zeros(count, np.int64)  # columns of the curves that are known
        self.turned = np.zeros(count, np.int64)
        scale = np.ones(count)
        if way.m_rate == "representation" and self.representation.trained:
            scale = np.array([p.delta_norm or math.nan for p in self.problems]) ** -2
        self.rates = np.stack([[c.eta_d, c.eta_r] for c in members]) * np.stack([np.ones(count), scale], 1)
        self.gamma = np.array([c.gamma for c in members])
        self._columns = way.plan.times()
        self.norm = torch.as_tensor(np.exp(self.u)).to(self.flat)

    def one_step(self) -> int:
        """One optimizer step on the direction, and at a round's end a turn; steps of time gained."""
        way, task = self.way, self.plan.task
        samples = self.batches.of_step(self.train, self.step)
        _, gradient, slow = self.ensemble.loss_and_gradient(samples)
        radial = tangent(gradient, self.flat, self.norm)
        starting = self.step < way.start
        since = way.inner - way.start + self.step if starting else (self.step - way.start) % way.inner
        if since >= way.inner - self.read:
            rows = self.rows.numpy()
            self.sums[rows, 0] += radial.cpu().double().numpy()
            if slow is not None:
                self.sums[rows, 1] += slow[:, 0].cpu().double().numpy()
        factor = 1.0
        if starting:  # the task's own schedule, pressed into the start
            factor = task.optimizer.factor_at(self.step * task.steps // way.start)
            factor *= task.optimizer.rate / way.rate
        self.optimizer.step(gradient, factor)
        project(self.flat, self.norm)
        self.step += 1
        return self._turn() if since == way.inner - 1 else 0

    def _turn(self) -> int:
        """Record where the members are, retire those that are done, and move the others on."""
        before = int(self.time.sum())
        rows = self.rows.numpy()
        slopes = self.sums[rows] / self.read
        self.sums[:] = 0.0
        record, lost = self.measured()
        lost = lost | ~np.isfinite(slopes).all(1)
        known = self.written[rows]
        for k in np.flatnonzero(~lost):
            self._write(int(rows[k]), record[:, k])
        done = lost | (self.time[rows] >= self.plan.steps) | (self.turned[rows] >= self.way.turns)
        done |= self.held(record, self.written[rows] > known)
        if done.any():
            self.diverged[rows[lost]] = True
            self.steps_done[rows[done]] = self._columns[np.maximum(self.written[rows[done]], 1) - 1]
            self.keep(torch.as_tensor(np.flatnonzero(~done)))
        self._move(slopes[~done])
        return int(self.time.sum()) - before

    def _write(self, row: int, record: Floats) -> None:
        """The curves' columns up to now, on a straight line from the record before."""
        now, last = np.array([self.time[row], *record]), self.records[row]
        first = self.written[row]
        end = int(np.searchsorted(self._columns, now[0], "right"))
        if first == 0:
            self.curves[:, row, 0] = record
        elif end > first:
            share = (self._columns[first:end] - last[0]) / (now[0] - last[0])
            self.curves[:, row, first:end] = last[1:, None] + share * (now - last)[1:, None]
        self.written[row], self.records[row] = max(end, first), now

    def _move(self, slopes: Floats) -> None:
        rows = self.rows.numpy()
        if not len(rows):
            return
        (du, dm), (eta_d, eta_r) = self.way.move, self.rates[rows].T
        g_u, g_m = slopes.T
        u, m, gamma = self.u[rows], self.m[rows], self.gamma[rows]
        in_u = -eta_d * (g_u * np.exp(-2 * u) + gamma)
        in_m = -eta_r * g_m
        in_m[((m <= 0) & (in_m < 0)) | ((m >= 1) & (in_m > 0))] = 0.0  # m is a share: held at its ends
        moved, turned = m - self.before[rows, 0], in_m * self.before[rows, 1] < 0
        with np.errstate(divide="ignore", invalid="ignore"):
            secant = (self.before[rows, 1] - in_m) / moved
            relaxation = np.where(turned & (secant > 0), secant, 0.0)  # λ, per step
            # the longest step within dm: h |m'| / (1 + λh) = dm
            free = np.abs(in_m) - dm * relaxation
            longest = np.where(free > 0, dm / free, np.inf)
            h = np.min(
                [du / (eta_d * gamma), du / np.abs(in_u), longest, self.plan.steps - self.time[rows]], 0
            )
        self.before[rows] = np.stack([m, in_m], 1)
        self.u[rows] = u + h * in_u
        self.m[rows] = np.clip(m + h * in_m / (1 + relaxation * h), 0.0, 1.0)
        ahead = self.time[rows] + h
        near = self.plan.steps - ahead < 1e-6  # of a step: rounding
        self.time[rows] = np.where(near, self.plan.steps, ahead)
        self.turned[rows] += 1
        self._place()

    def _place(self) -> None:
        """Bring the networks to their (u, m)."""
        rows = self.rows.numpy()
        self.norm = torch.as_tensor(np.exp(self.u[rows])).to(self.flat)
        with torch.no_grad():
            if self.representation.trained:
                self.slow[:, 0] = torch.as_tensor(self.m[rows]).to(self.slow)
            project(self.flat, self.norm)

    def keep(self, rows: torch.Tensor) -> None:
        super().keep(rows)
        self.norm = self.norm[rows.to(self.norm.device)]

    def restore(self, state: Arrays) -> None:
        super().restore(state)
        self.norm = torch.as_tensor(np.exp(self.u[self.rows.numpy()])).to(self.flat)


def integrate_networks(
    task: Task,
    *,
    gamma: float | Sequence[float],
    alpha: float | Sequence[float],
    eta_d: float | Sequence[float],
    eta_r: float | Sequence[float] | None = None,
    m: float | Sequence[float] = 1.0,
    n_train: int | Sequence[int] | None = None,
    seeds: Sequence[int] = range(4),
    steps: int,
    paired: bool = False,
    start: int | None = None,
    inner: int = 100,
    du: float = 0.005,
    dm: float = 0.002,
    rate: float | None = None,
    m_rate: str = "eq6",
    turns: int = 10_000,
    resolution: float = 0.02,
    stop_at: float | None = None,
    dtype: str = "float32",
    out: str | Path,
    device: str = "auto",
    members: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    compiled: bool = False,
    progress: bool = True,
    overwrite: bool = False,
) -> Runs:
    """Integrate Eq. 6 with the networks in the loop, into a runs file of optimizer "eq6".

    Parameters
    ----------
    gamma, alpha, eta_d, eta_r, m, n_train, seeds, paired : the settings and starts, as in `train`. Where
        the task has no messiness, Eq. 6 is that of w alone.
    steps : where the integration ends, in optimizer steps t of Eq. 6.
    start : optimizer steps on the sphere of the start, before t = 0 (default: the task's sampling budget).
    inner : optimizer steps on the sphere in each turn; as many as the direction needs to follow.
    du, dm : the most that a turn may change u = ln w, and ηγt, and m. With `inner` the resolution:
        halving du and dm, and doubling inner, must not change the times.
    rate : of the inner Adam after the start (default: that at the end of the task's schedule).
    m_rate : "eq6", as printed, or "representation", with the factor 1/||R_random - R_linear||².
    turns : after so many a member is given up, and counts as watched up to there.
    resolution, stop_at, dtype, out, device, members, workers, executor, compiled : as in `train`. Between
        two turns the curves are straight lines.

    Raises
    ------
    InputError : on a bad setting or an output that exists.
    """
    out = Path(out)
    clean(out)
    check_output(out, overwrite)
    chosen = members_of(task, paired, gamma, eta_d, eta_r, alpha, m, n_train, seeds)
    where, schedule = device_of(device), task.optimizer
    plan = Plan(
        task=task, steps=whole("steps", steps, 1), optimizer="adam",
        representation="line" if task.messiness else "fixed", batch=task.batch, resolution=resolution,
        stop_at=stop_at, dtype=dtype, device=where, compiled=compiled,
    )  # fmt: skip
    inner = whole("inner", inner, 1)
    way = Loop(
        plan=plan,
        start=max(whole("start", task.steps if start is None else start, 1), inner),
        inner=inner,
        move=(du, dm),
        rate=schedule.rate * schedule.factor_at(task.steps - 1) if rate is None else rate,
        m_rate=m_rate,
        turns=whole("turns", turns, 1),
    )
    way.check(chosen)
    return in_pieces(
        plan, way.configuration(), chosen, lambda some: flow_of(way, some), name="eq6", optimizer=NAME,
        title=f"Eq. 6 of {task.name}", out=out, members=members, workers=workers, executor=executor,
        progress=progress, overwrite=overwrite,
    )  # fmt: skip


def flow_of(way: Loop, members: Sequence[Member]) -> Callable[[OnSteps, Checkpoint], Arrays]:
    def curves(on_steps: OnSteps, checkpoint: Checkpoint) -> Arrays:
        flow = NetworkFlow(way, members)
        known = checkpoint.load()
        if known is not None:
            flow.restore(known)
            on_steps(int(flow.time.sum()))
        drive(flow, flow.one_step, lambda: True, on_steps=on_steps, checkpoint=checkpoint)
        return flow.result()

    return curves
