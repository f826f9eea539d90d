"""The closed form of the grokking time in a metric of (u, m): η_D γ t is the integral of its clock along the
valley and then along the wall.

From the start, decay takes the network along dm/du = b/a. Where the loss outweighs that, on the wall, it
slides along the contour on which the loss does not change. In the flat metric of Eq. 6 the first is a
straight line, and the whole is the corrected form; `reduced.drift_derivation` has the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.drift import Mobility, clock
from groktime.reduced.events import Test
from groktime.reduced.surface import Domain, LossSurface

Floats = NDArray[np.float64]

_STEPS = 400  # in u over the whole domain
_ROWS = 200  # in m along the wall
_HALVINGS = 30
_FELT = 0.01


@dataclass(frozen=True)
class Flat:
    """The metric that Eq. 6 takes: a = 1, b = 0, μ = ρ."""

    def terms(self, u: Floats, m: Floats, gamma: Floats, ratio: Floats) -> Floats:
        """See `reduced.drift.Mobility`."""
        terms = np.zeros((3, 3, len(u)))
        terms[0, 0], terms[2, 0] = 1.0, ratio
        return terms


@dataclass(frozen=True)
class Way:
    """A landscape as the closed form walks it, for one γ and ρ = η_R/η_D."""

    surface: LossSurface
    domain: Domain
    mobility: Mobility
    generalized: Test
    gamma: float
    ratio: float

    def tau(self, u: float, m: float) -> float:
        """η_D γ t from (u, m) until the test metric passes; NaN where it does not on the grid."""
        valley, wall = self.parts(u, m)
        return valley + wall

    def parts(self, u: float, m: float) -> tuple[float, float]:
        """What of it passes along the valley, and what along the wall; NaN both where it does not pass."""
        nowhere = float("nan"), float("nan")
        if not self.domain.contains(np.array(u), np.array(m)) or self.gamma <= 0:
            return nowhere
        if self._passes(u, m):
            return 0.0, 0.0
        found = self._points(u, m)
        if found is None:
            return nowhere
        points, valley = found
        u_, m_ = points.T
        middle = (u_[1:] + u_[:-1]) / 2, (m_[1:] + m_[:-1]) / 2
        passed = clock(self._terms(*middle), middle[0], np.diff(u_), np.diff(m_))
        if not np.all(np.isfinite(passed) & (passed >= 0)):
            return nowhere
        return float(passed[:valley].sum()), float(passed[valley:].sum())

    def _points(self, u: float, m: float) -> tuple[Floats, int] | None:
        """The polyline [point, (u, m)] from the start to where the test metric passes, and how many of its
        pieces lie in the valley."""
        points = [(u, m)]
        while not self._on_wall(u, m):
            after = self._along_valley(u, m)
            if after is None:
                return None
            if self._passes(*after):
                points.append(self._between(points[-1], after, self._passes))
                return np.array(points), len(points) - 1
            u, m = after
            points.append(after)
        if len(points) > 1:  # as far as the wall, not into it
            points[-1] = self._between(points[-2], points[-1], self._on_wall)
        valley = len(points) - 1
        for row in np.linspace(points[-1][1], self.domain.m_low, _ROWS)[1:]:
            place = self._wall(float(row), points[-1][0])
            if place is None:
                return None
            after = (place, float(row))
            if self._passes(*after):
                return np.array([*points, self._between(points[-1], after, self._passes)]), valley
            points.append(after)
        return None

    def _along_valley(self, u: float, m: float) -> tuple[float, float] | None:
        """The next point of dm/du = b/a (the midpoint rule), held at the ends of m."""
        h = (self.domain.u_high - self.domain.u_low) / _STEPS
        half = m - h / 2 * self._slope(u, m)
        m = m - h * self._slope(u - h / 2, half)
        if self.domain.m_low == 0:
            m = max(m, 0.0)
        u -= h
        return (u, m) if self.domain.contains(np.array(u), np.array(m)) else None

    def _slope(self, u: float, m: float) -> float:
        m = float(np.clip(m, self.domain.m_low, self.domain.m_high))
        a, b, _ = self._terms(np.array([u]), np.array([m]))[:, 0, 0]
        return float(b / a)

    def _wall(self, m: float, near: float) -> float | None:
        """u of the wall at m, next to a point of it on the row beside."""
        reach = (self.domain.u_high - self.domain.u_low) / 8
        grid = np.linspace(
            max(near - reach, self.domain.u_low), min(near + reach, self.domain.u_high), _STEPS
        )
        wins = self._wins(grid, np.full_like(grid, m))
        edges = np.flatnonzero((wins[:-1] > 0) & (wins[1:] <= 0))
        if not len(edges):
            return None
        k = int(edges[np.argmin(np.abs(grid[edges] - near))])
        share = wins[k] / (wins[k] - wins[k + 1])
        return float(grid[k] + share * (grid[k + 1] - grid[k]))

    def _between(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        test: Callable[[float, float], bool],
    ) -> tuple[float, float]:
        """The point between two from which a test holds that does at the second."""
        low, high = 0.0, 1.0
        (u, m), (u1, m1) = start, end
        for _ in range(_HALVINGS):
            share = (low + high) / 2
            low, high = (low, share) if test(u + share * (u1 - u), m + share * (m1 - m)) else (share, high)
        return u + high * (u1 - u), m + high * (m1 - m)

    def _passes(self, u: float, m: float) -> bool:
        return bool(self.generalized(np.array([u]), np.array([m]))[0] >= 0)

    def _on_wall(self, u: float, m: float) -> bool:
        return bool(self._wins(np.array([u]), np.array([m]))[0] > 0)

    def _wins(self, u: Floats, m: Floats) -> Floats:
        """Above 0 where decay alone would raise the loss, and the loss outweighs that: there, -dl/dτ. A loss
        that moves neither u nor m by a hundredth of what decay does, or of the domain in τ = 1, is no
        wall."""
        _, lu, lm, *_ = self.surface.derivatives(u, m, second=False)
        a, b, mu = self._terms(u, m)[:, 0]
        shrink = np.exp(-2 * u)
        raised = a * lu + b * lm
        push_u, push_m = (a * lu + b * lm) * shrink, b * lu * shrink + mu * lm
        height = np.maximum(np.abs(b), self.domain.m_high - self.domain.m_low)
        least = _FELT * self.gamma
        felt = (np.abs(push_u) > least * a) | (np.abs(push_m) > least * height)
        wall = (lu < 0) & (raised < 0) & felt
        return np.asarray(np.where(wall, lu * push_u + lm * push_m + self.gamma * raised, -1.0))

    def _terms(self, u: Floats, m: Floats) -> Floats:
        each = np.ones_like(u)
        return self.mobility.terms(u, m, self.gamma * each, self.ratio * each)
