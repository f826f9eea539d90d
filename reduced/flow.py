"""Eq. 6 of Omnigrok: the gradient flow of (w, m) over a reduced loss landscape.

    dw/dt = -η_D (∂l/∂w + γ w)        dm/dt = -η_R ∂l/∂m

in u = ln w and s = η_D t, in which only γ and ρ = η_R/η_D are left:

    du/ds = -(∂l/∂u / w² + γ)         dm/ds = -ρ ∂l/∂m

Where the direction of the weights turns on the way, they move as `reduced.turning` or `reduced.drift` says.
Every lane has its own γ, ρ, start and step size, and is retired when it is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced import drift
from groktime.reduced.events import Crossing, Test, Trajectory, first
from groktime.reduced.rosenbrock import ORDER, Step, rosenbrock_step
from groktime.reduced.surface import Domain, LossSurface

Floats = NDArray[np.float64]


class Status(StrEnum):
    """How a lane ended."""

    GENERALIZES = "generalizes"
    ALREADY = "already"  # the start passes the threshold
    NEVER = "never"  # no decay, or the loss holds the norm above where the threshold is passed
    TRAPPED = "trapped"  # comes to rest at m > 0, in a ridge of the landscape
    COLLAPSES = "collapses"  # decay drives w through the wall and off the grid
    OUTSIDE = "outside"  # starts off the grid, or leaves it elsewhere
    UNFITTED = "unfitted"  # the training set is never fitted: there is nothing to generalize from


@dataclass(frozen=True)
class FlowResult:
    """Per lane: status, s = η_D t of the two events (NaN where there is none), and where it ended."""

    status: NDArray[np.object_]
    generalized: Floats
    memorized: Floats
    u: Floats
    m: Floats
    steps: NDArray[np.intp]
    trajectories: tuple[Trajectory, ...] = field(default=())

    @staticmethod
    def joined(parts: list[FlowResult]) -> FlowResult:
        """The lanes of all parts, one after another."""
        names = [f.name for f in fields(FlowResult) if f.name != "trajectories"]
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return FlowResult(**arrays, trajectories=tuple(path for part in parts for path in part.trajectories))

    def first(self, lanes: int) -> FlowResult:
        """The result of the first so many lanes."""
        return FlowResult(*(getattr(self, f.name)[:lanes] for f in fields(self)))


# A lane is at rest when it moves slower than this share of free decay, and given up after so many
# time constants of decay: by then w would have shrunk beyond any number.
_AT_REST = 1e-7
_HORIZON = 1e4
_MOST_STEPS = 20_000
_TOGETHER = 2**15  # lanes: more would leave the cache, and save no more of what a call costs
# A step may not change the loss more than this many e-foldings, or it could jump through a thin wall.
_FOLD = 1.0


def integrate(
    surface: LossSurface,
    domain: Domain,
    *,
    gamma: ArrayLike,
    ratio: ArrayLike,
    u: ArrayLike,
    m: ArrayLike,
    generalized: Test,
    memorized: Test,
    wall: ArrayLike = 0.0,
    tolerance: ArrayLike = 1e-6,
    largest_move: tuple[float, float] = (0.02, 0.02),
    record: bool = False,
    mobility: drift.Mobility | None = None,
) -> FlowResult:
    """Integrate Eq. 6 for all lanes until each generalizes, comes to rest or leaves the domain.

    Parameters
    ----------
    gamma, ratio : weight decay γ and ρ = η_R/η_D, [lane] or scalars.
    u, m : the start, u = ln w with w the absolute norm.
    generalized, memorized : numbers >= 0 where the test, or training, metric passes its threshold.
    wall : how far to the right of its place, in u, the wall stands, [lane] or scalar. The tests
        stay where they are.
    tolerance : error of a step in u, and in m, [lane] or scalar.
    largest_move : the largest change of u and of m in a step; half a grid cell for a sampled surface.
    record : keep each lane's continuous solution.
    mobility : how u and m move; None: as if nothing else had to, which is Eq. 6.

    m is a share: where the domain reaches m = 0 or m = 1, the flow is held at that end and goes on
    along it.
    """
    lanes = np.broadcast_arrays(*(np.asarray(x, float) for x in (gamma, ratio, u, m, wall, tolerance)))
    each = tuple(x.ravel().astype(float) for x in lanes)
    parts = []
    for k in range(0, max(len(each[0]), 1), _TOGETHER):
        some = tuple(x[k : k + _TOGETHER] for x in each)
        run = _Run(surface, domain, some, (generalized, memorized), largest_move, record, mobility)
        # A trial stage may land far off the grid, where the surface overflows; the step is then refused.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            while len(run.active):
                run.advance()
        parts.append(run.result())
    return parts[0] if len(parts) == 1 else FlowResult.joined(parts)


class _Run:
    def __init__(
        self,
        surface: LossSurface,
        domain: Domain,
        lanes: tuple[Floats, ...],
        tests: tuple[Test, Test],
        largest_move: tuple[float, float],
        record: bool,
        mobility: drift.Mobility | None,
    ) -> None:
        gamma, ratio, u, m, wall, tolerance = lanes
        generalized, memorized = tests
        n = len(u)
        u, m = domain.snapped(u, m)
        self.surface, self.domain, self.mobility = surface, domain, mobility
        self.generalized, self.memorized = generalized, memorized
        self.largest = np.array(largest_move)[:, None]
        self.status = np.full(n, Status.NEVER, dtype=object)
        self.times = np.full((2, n), np.nan)  # s of memorized and of generalized
        self.crossings: tuple[list[Crossing], list[Crossing]] = ([], [])
        self.end = np.stack([u, m])
        self.steps = np.zeros(n, np.intp)
        self.record = record
        self.trail: list[list[tuple[float, float, float, Step]]] = [[] for _ in range(n if record else 0)]
        self.all_gamma = gamma

        inside = domain.contains(u, m)
        self.status[~inside] = Status.OUTSIDE
        ready = np.zeros(n, bool)
        ready[inside] = generalized(u[inside], m[inside]) >= 0
        self.status[ready], self.times[1, ready] = Status.ALREADY, 0.0
        fitted = np.zeros(n, bool)
        fitted[inside] = memorized(u[inside], m[inside]) >= 0
        self.times[0, fitted] = 0.0

        # the lanes still in motion, and their state
        self.active = np.flatnonzero(inside & ~ready & (gamma > 0))
        self.gamma, self.ratio = gamma[self.active], ratio[self.active]
        self.wall, self.tolerance = wall[self.active], tolerance[self.active]
        self.state = np.stack([u, m])[:, self.active]
        self.time = np.zeros(len(self.active))  # γ s: one unit is one time constant of decay
        self.h = np.full(len(self.active), 1e-4)
        self.here = self._loss(self.state, self.wall)
        self._look()

    # --- Eq. 6 -------------------------------------------------------------------------------

    def _loss(self, state: Floats, wall: Floats) -> Floats:
        """The loss and its derivatives, [6, lane]."""
        u, m = state
        return np.array(self.surface.derivatives(u, m, wall=wall))

    def _velocity(self, state: Floats) -> Floats:
        u, m = state
        _, lu, lm, *_ = self.surface.derivatives(u, m, second=False, wall=self.wall)
        return self._flow(u, lu, lm, self._terms(u, m))

    def _terms(self, u: Floats, m: Floats) -> Floats | None:
        """What u and m move by, where not as in Eq. 6."""
        if self.mobility is None:
            return None
        terms = self.mobility.terms(u, m, self.gamma, self.ratio)
        return np.where(self.held, drift.held(terms, u), terms) if self.held.any() else terms

    def _flow(self, u: Floats, lu: Floats, lm: Floats, terms: Floats | None) -> Floats:
        """du and dm in γ s, [2, lane]; of Eq. 6 itself without `terms`."""
        shrink = np.exp(-2 * u) / self.gamma
        pull = lu * shrink + 1
        if terms is None:
            return np.stack([-pull, np.where(self.held, 0.0, -self.ratio / self.gamma * lm)])
        a, b, mu = terms[:, 0]
        return np.stack([-(a * pull + b * lm * shrink), -(b * pull + mu * lm / self.gamma)])

    def _look(self) -> None:
        """Velocity and Jacobian at the present state; whether an end of m holds it there."""
        u, m = self.state
        loss, lu, lm, luu, lum, lmm = self.here
        self.held = np.zeros(len(u), bool)
        falls = self._flow(u, lu, lm, self._terms(u, m))[1]
        low = (m <= self.domain.m_low) & (self.domain.m_low == 0) & (falls <= 0)
        high = (m >= self.domain.m_high) & (self.domain.m_high == 1) & (falls >= 0)
        self.held = low | high
        # A loss that could not move the lane by a hundredth of decay over a step may change at will.
        in_u = np.exp(2 * u) * self.largest[0]
        in_m = self.largest[1] / np.maximum(self.ratio, 1e-300)
        self.negligible = 0.01 * self.gamma * np.minimum(in_u, in_m)
        self.log_loss = np.log(loss + self.negligible)
        terms = self._terms(u, m)
        self.velocity = self._flow(u, lu, lm, terms)
        shrink = np.exp(-2 * u) / self.gamma
        pull_u, pull_m = shrink * (luu - 2 * lu), shrink * lum
        if terms is None:
            push = np.where(self.held, 0.0, self.ratio / self.gamma)
            self.jacobian = np.array([[-pull_u, -pull_m], [-push * lum, -push * lmm]])
            return
        (a, *a_), (b, *b_), (mu, *mu_) = terms
        pull, push_m = lu * shrink + 1, lm * shrink
        steep = (
            (pull_u, pull_m),
            (shrink * (lum - 2 * lm), shrink * lmm),
            (lum / self.gamma, lmm / self.gamma),
        )
        self.jacobian = -np.array(
            [
                [a_[k] * pull + a * steep[0][k] + b_[k] * push_m + b * steep[1][k] for k in (0, 1)],
                [
                    b_[k] * pull + b * steep[0][k] + (mu_[k] * lm / self.gamma + mu * steep[2][k])
                    for k in (0, 1)
                ],
            ]
        )

    # --- one step of every lane --------------------------------------------------------------

    def advance(self) -> None:
        speed = np.max(np.abs(self.velocity) / self.largest, axis=0)
        h = np.minimum(self.h, 1 / np.maximum(speed, 1e-300))
        step = rosenbrock_step(self._velocity, self.jacobian, self.state, self.velocity, h)
        error = np.max(np.abs(step.error), axis=0) / self.tolerance
        moved = np.max(np.abs(step.end - step.start) / self.largest, axis=0)
        there = self._loss(step.end, self.wall)
        keeps = np.abs(np.log(there[0] + self.negligible) - self.log_loss) <= _FOLD
        good = (error <= 1) & (moved <= 2) & keeps
        factor = np.clip(0.9 * np.maximum(error, 1e-12) ** (-1 / ORDER), 0.2, 4.0)
        factor = np.where(np.isfinite(factor), factor, 0.2)
        self.h = h * np.where(good, factor, np.minimum(factor, 0.5))
        self.steps[self.active] += 1
        done = (self.steps[self.active] >= _MOST_STEPS) | (self.h < 1e-14) | (self.time > _HORIZON)
        self.status[self.active[done]] = self._at_rest(done)
        if good.any():
            k = np.flatnonzero(good)
            done[k] |= self._accept(step.lanes(k), k, h[k])
            self.here = np.where(good, there, self.here)
            cut = good & ~done & np.any(self.state != step.end, axis=0)  # held back at an end of m
            if cut.any():
                self.here[:, cut] = self._loss(self.state[:, cut], self.wall[cut])
        if done.any():
            self._retire(done)
        self._look()

    def _accept(self, step: Step, k: NDArray[np.intp], h: Floats) -> NDArray[np.bool_]:
        """Take the step for the lanes k: find its events in order; which of the lanes are done."""
        domain, lane = self.domain, self.active[k]
        bounds = (domain.u_low, domain.u_high, domain.m_low, domain.m_high)

        def inside(u: Floats, m: Floats) -> Floats:
            # Where m is held it stands exactly on its end of the domain, which is inside.
            in_u, in_m = np.minimum(u - bounds[0], bounds[1] - u), np.minimum(m - bounds[2], bounds[3] - m)
            return np.minimum(in_u, in_m)

        last = np.ones(len(k))  # the share of the step that lies on the grid
        off = inside(*step.end) < 0
        last[off] = first(lambda u, m: -inside(u, m), step.lanes(off), last[off])
        end = step.at(last)

        for which, test in enumerate((self.memorized, self.generalized)):
            when = self.times[which]
            crossed = np.isnan(when[lane])
            if crossed.any():
                crossed[crossed] = test(*end[:, crossed]) >= 0
            if crossed.any():
                when[lane[crossed]] = np.inf  # when in this step, is looked for in `_locate`
                at = Crossing(
                    lane[crossed], step.lanes(crossed), last[crossed], self.time[k[crossed]], h[crossed]
                )
                self.crossings[which].append(at)
        grown = ~np.isnan(self.times[1][lane])

        u, m = step.end
        end_of_share = off & (((m < bounds[2]) & (bounds[2] == 0)) | ((m > bounds[3]) & (bounds[3] == 1)))
        end[1] = np.where(end_of_share, np.clip(end[1], bounds[2], bounds[3]), end[1])
        end[1] = np.where(end_of_share & (m < bounds[2]), bounds[2], end[1])
        end[1] = np.where(end_of_share & (m > bounds[3]), bounds[3], end[1])
        gone = off & ~grown & ~end_of_share
        resting = ~grown & ~gone & (np.max(np.abs(self.velocity[:, k]), axis=0) < _AT_REST)
        self.status[lane[grown]] = Status.GENERALIZES
        self.status[lane[gone]] = np.where(u[gone] < bounds[0], Status.COLLAPSES, Status.OUTSIDE)
        self.state[:, k] = end
        self.status[lane[resting]] = self._at_rest(k[resting])
        if self.record:
            for j, number in enumerate(lane):
                self.trail[number].append((self.time[k[j]], h[j], last[j], step.lanes(np.array([j]))))
        self.time[k] += last * h
        self.h[k[end_of_share]] = 1e-4
        done: NDArray[np.bool_] = grown | gone | resting
        return done

    def _at_rest(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> NDArray[np.object_]:
        m = self.state[1, which]
        return np.where(m > self.domain.m_low, Status.TRAPPED, Status.NEVER)

    def _retire(self, done: NDArray[np.bool_]) -> None:
        self.end[:, self.active[done]] = self.state[:, done]
        stay = ~done
        self.active, self.gamma, self.ratio = self.active[stay], self.gamma[stay], self.ratio[stay]
        self.wall, self.tolerance = self.wall[stay], self.tolerance[stay]
        self.time, self.h = self.time[stay], self.h[stay]
        self.state, self.here = (x.compress(stay, axis=1) for x in (self.state, self.here))

    def _locate(self) -> None:
        """When within their steps the lanes crossed, and where those that generalized ended: of all at once,
        since a bisection costs as many calls for one lane as for all."""
        for which, test in enumerate((self.memorized, self.generalized)):
            if not self.crossings[which]:
                continue
            at = Crossing.joined(self.crossings[which])
            gamma = self.all_gamma[at.lane]
            when = (at.time + first(test, at.step, at.last) * at.h) / gamma
            self.times[which, at.lane] = when
            if which == 0:
                continue
            last = (when * gamma - at.time) / at.h
            u, m = at.step.at(last)
            low, high = self.domain.m_low, self.domain.m_high
            over = at.step.end[1]  # held at an end of m that is an end of the share itself
            m = np.where((over < low) & (low == 0), low, np.where((over > high) & (high == 1), high, m))
            self.end[:, at.lane] = u, m
            if self.record:
                for number, share in zip(at.lane, last, strict=True):
                    time, h, _, step = self.trail[number][-1]
                    self.trail[number][-1] = time, h, share, step

    def result(self) -> FlowResult:
        self._locate()
        trajectories = tuple(
            Trajectory(
                np.array([t for t, *_ in trail]) / g,
                np.array([h for _, h, *_ in trail]) / g,
                (trail[-1][0] + trail[-1][1] * trail[-1][2]) / g if trail else 0.0,
                tuple(step for *_, step in trail),
            )
            for trail, g in zip(self.trail, self.all_gamma, strict=False)
        )
        u, m = self.end
        return FlowResult(self.status, self.times[1], self.times[0], u, m, self.steps, trajectories)
