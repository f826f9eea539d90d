"""Where the wall stands: from a cliff one grid cell wide to a smooth boundary u_b(m)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.spline import UniformSpline, pool_adjacent_violators

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bracket:
    """For each row m: the foot of the wall lies in alpha between `low` and `high`, [m].

    `level` is the training loss that separates the two sides. Where a row has no foot on the grid,
    the missing side is NaN (all of the row is on the other one).
    """

    low: Floats
    high: Floats
    level: float


def bracket(alpha: Floats, train_loss: Floats) -> Bracket:
    """Find the cell [alpha_i, alpha_{i+1}] that holds the foot of the wall in each row.

    The level is the geometric mean of the sampled floor and plateau (5th and 95th percentile). A
    row's foot is the cut that leaves the fewest cells, weighed by how far they lie from the level,
    on the wrong side of it: a single failed cell does not move the wall.
    """
    y = _logarithm(train_loss)
    floor, plateau = np.quantile(y, [0.05, 0.95])
    level = 0.5 * (floor + plateau)
    above = y - level  # > 0: on the plateau's side
    # cost of a cut before column i: what lies below the level left of it and above right of it
    left = np.concatenate([np.zeros((len(y), 1)), np.cumsum(np.maximum(-above, 0), 1)], 1)
    right = np.cumsum(np.maximum(above, 0)[:, ::-1], 1)[:, ::-1]
    cut = np.argmin(left + np.concatenate([right, np.zeros((len(y), 1))], 1), 1)
    edges = np.concatenate([[np.nan], alpha, [np.nan]])
    return Bracket(edges[cut], edges[cut + 1], float(np.exp(level)))


def _logarithm(loss: Floats) -> Floats:
    # A loss of 0, or of the rounding of float32 arithmetic, says no more than "fitted".
    logarithm: Floats = np.log(np.maximum(loss, 1e-7 * loss.max()))
    return logarithm


@dataclass(frozen=True)
class Boundary:
    """The wall as a C² curve u_b(m), u = ln w, and the standard deviation of its place.

    One number for all m, by which the wall is moved as a whole: one that bends would fall with m
    somewhere, and trap.

    `ridges` are the intervals of m in which u_b falls with m although the brackets of the rows, as
    wide as they are, leave no room for a monotone curve: there the landscape has a real ridge.
    """

    curve: UniformSpline
    deviation: float
    ridges: tuple[tuple[float, float], ...] = ()

    @staticmethod
    def nowhere(m: Floats) -> Boundary:
        """No wall to follow: u_b = 0 for all m."""
        flat = UniformSpline.through(float(m[0]), 1.0, np.zeros(2))
        return Boundary(flat, 0.0)

    def angle(self, low: float, high: float) -> float:
        """θ, the wall's angle to the u axis between two m, in radians: of the chord, in the plane (u, m)
        (P Fig. 6f)."""
        near, far = self.curve(np.array([low, high]))
        return float(np.arctan2(high - low, far - near))

    def widened(self, width: float) -> Boundary:
        """The same wall with a further error of its place."""
        return replace(self, deviation=float(np.hypot(self.deviation, width)))


# Knots of u_b: fine enough that the curve between them is the fitted one, and uniform, so that the
# piece of a point is found by a division.
_KNOTS = 81
# The foot of the pooled profile is known to about this part of a grid cell (tests/reduced/test_cliffs).
_FOOT = 0.5


def fit_boundary(u: Floats, m: Floats, train_loss: Floats, feet: tuple[Floats, Floats] | None) -> Boundary:
    """A smooth wall through the brackets of the rows of a landscape [m, u].

    A cliff thinner than a cell is known only to lie in its cell, so the rows' feet form a staircase.
    They are read as a smooth curve (a cubic smoothing spline, that is a Gaussian process with the
    kernel of the integrated Wiener process) seen with the error of a cell's width, h/√12, or less
    where the wall is resolved, and with a scatter of its own; both strengths are those of greatest
    restricted likelihood. Where some non-decreasing curve passes through all brackets, a dip of the
    fit is within its error, and is levelled. Where none does, the dip is a ridge and stays.

    `feet`: ln w at the two ends of each row's bracket, where the sampler refined it.
    """
    rows = _rows(u, m, train_loss, feet)
    if rows is None:
        return Boundary.nowhere(m)
    at, place, deviation = rows.m, rows.place, rows.deviation
    knots = np.linspace(m[0], m[-1], _KNOTS)
    scatter, strength = _likeliest(at, place, deviation)
    if scatter == 0:
        place, deviation = _within_brackets(rows, strength)
    mean, sd = _posterior(at, place, deviation, scatter, strength, knots)
    ridges = _ridges(at, rows.low - 2 * scatter, rows.high + 2 * scatter)
    free = np.zeros(_KNOTS, bool)
    for first, last in ridges:
        free |= (knots >= first) & (knots <= last)
    levelled = mean.copy()
    for run in np.split(np.arange(_KNOTS), np.flatnonzero(np.diff(free)) + 1):
        if not free[run[0]]:
            levelled[run] = pool_adjacent_violators(mean[run])[0]
    # A levelled stretch is one whose slope the grid cannot tell; half an error's worth of slope over
    # the whole range keeps it from being a trap that nothing in the data shows.
    levelled += np.where(free, 0.0, 1.0) * 0.5 * float(np.median(sd)) * np.linspace(-0.5, 0.5, _KNOTS)
    step = float(knots[1] - knots[0])
    # Where on its profile the wall is ridden is known to a part of a cell as well.
    own = float(np.sqrt(np.mean(sd**2)))
    whole = float(np.hypot(own, _FOOT * float(np.median(np.diff(u)))))
    return Boundary(UniformSpline.through(float(m[0]), step, levelled), whole, ridges)


@dataclass(frozen=True)
class _Rows:
    """The rows that have a foot on the grid: where it is, and how well that is known."""

    m: Floats
    place: Floats
    deviation: Floats
    low: Floats
    high: Floats


def _rows(u: Floats, m: Floats, train_loss: Floats, feet: tuple[Floats, Floats] | None) -> _Rows | None:
    if len(m) == 1:
        return None
    found = bracket(np.exp(u), train_loss)
    low, high = np.log(found.low), np.log(found.high)
    inside = np.isfinite(low) & np.isfinite(high)
    if inside.sum() < 3:
        return None
    y = _logarithm(train_loss)[inside]
    low, high, level = low[inside], high[inside], np.log(found.level)
    left = np.searchsorted(u, low - 1e-12)
    rows = np.arange(len(low))
    before, after = y[rows, left], y[rows, left + 1]
    fall = np.maximum(before - after, 1e-12)
    place = low + (high - low) * np.clip((before - level) / fall, 0.0, 1.0)
    # the part of the whole fall that happens inside this one cell: 1 for a cliff, small for a slope
    within = np.clip(fall / max(float(np.ptp(np.quantile(y, [0.05, 0.95]))), 1e-12), 0.0, 1.0)
    if feet is not None:
        finer = np.isfinite(feet[0][inside]) & np.isfinite(feet[1][inside])
        low, high = np.where(finer, feet[0][inside], low), np.where(finer, feet[1][inside], high)
        place = np.where(finer, (low + high) / 2, place)
        within = np.where(finer, 1.0, within)
    deviation = np.maximum((high - low) / np.sqrt(12) * within, 1e-6)
    return _Rows(m[inside], place, deviation, low, high)


def _kernel(a: Floats, b: Floats) -> Floats:
    """Covariance of the integrated Wiener process on [0, 1]: its posterior mean is a cubic spline."""
    small = np.minimum(a[:, None], b[None])
    covariance: Floats = small**2 * (3 * np.maximum(a[:, None], b[None]) - small) / 6
    return covariance


_SCATTERS = np.concatenate([[0.0], np.geomspace(0.25, 8, 6)])  # in units of the rows' median error
_STRENGTHS = np.geomspace(1e-3, 1e4, 22)  # of the process, in units of the boundary's own spread


def _likeliest(m: Floats, place: Floats, deviation: Floats) -> tuple[float, float]:
    """The scatter and the process strength of greatest restricted likelihood (REML)."""
    t = (m - m[0]) / (m[-1] - m[0])
    line = np.stack([np.ones_like(t), t], 1)
    unit, spread = float(np.median(deviation)), float(np.var(place)) + 1e-12
    scatters, strengths = (
        x.ravel() for x in np.meshgrid(_SCATTERS * unit, _STRENGTHS * spread, indexing="ij")
    )
    noise = (deviation**2 + scatters[:, None] ** 2)[:, :, None] * np.eye(len(t))
    covariance = noise + strengths[:, None, None] * _kernel(t, t)  # [trial, row, row]
    half = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(half, np.column_stack([line, place])[None])
    x, r = whitened[..., :2], whitened[..., 2:]
    gram = x.mT @ x
    rest = r - x @ np.linalg.solve(gram, x.mT @ r)
    volume = 2 * np.log(np.diagonal(half, axis1=1, axis2=2)).sum(1) + np.linalg.slogdet(gram)[1]
    best = int(np.argmin(volume + np.square(rest).sum((1, 2))))
    return float(scatters[best]), float(strengths[best])


def _posterior(
    m: Floats, place: Floats, deviation: Floats, scatter: float, strength: float, at: Floats
) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the wall's place at the knots."""
    span = m[-1] - m[0]
    t, s = (m - m[0]) / span, (at - m[0]) / span
    ground = np.stack([np.ones_like(t), t], 1)
    there = np.stack([np.ones_like(s), s], 1)
    # The kernel starts at 0; the process before the first row is a straight line on, as a natural
    # spline is.
    cross = strength * _kernel(np.maximum(s, 0), t)
    covariance = np.diag(deviation**2 + scatter**2) + strength * _kernel(t, t)
    inverse = np.linalg.inv(covariance)
    gram = np.linalg.inv(ground.T @ inverse @ ground)
    beta = gram @ ground.T @ inverse @ place
    mean = there @ beta + cross @ inverse @ (place - ground @ beta)
    lever = there - cross @ inverse @ ground
    own = strength * _kernel(np.maximum(s, 0), np.maximum(s, 0)).diagonal()
    explained = np.einsum("ij,jk,ik->i", cross, inverse, cross)
    variance = own - explained + np.einsum("ij,jk,ik->i", lever, gram, lever)
    return mean, np.sqrt(np.maximum(variance, 0.0))


def _within_brackets(rows: _Rows, strength: float) -> tuple[Floats, Floats]:
    """Data whose fit passes through every bracket: a row that it misses is held at the near end.

    Only then do all cells of the plateau lie left of the curve and all of the floor right of it, and
    the pooled profile of the wall is as sharp as the brackets allow.
    """
    place, deviation = rows.place.copy(), rows.deviation.copy()
    width = rows.high - rows.low
    low, high = rows.low + 0.05 * width, rows.high - 0.05 * width
    for _ in range(20):
        fit, _ = _posterior(rows.m, place, deviation, 0.0, strength, rows.m)
        missed = (fit < rows.low) | (fit > rows.high)
        if not missed.any():
            break
        place = np.where(missed, np.clip(fit, low, high), place)
        deviation = np.where(missed, 0.5 * deviation, deviation)
    return place, deviation


def _ridges(m: Floats, low: Floats, high: Floats) -> tuple[tuple[float, float], ...]:
    """Intervals of m over which every curve through the brackets has to fall."""
    merged: list[tuple[float, float]] = []
    for k in range(len(m)):
        over = np.flatnonzero(low[:k] > high[k])
        if not len(over):
            continue
        first, last = float(m[over[0]]), float(m[k])
        if merged and first <= merged[-1][1]:
            first = min(first, merged.pop()[0])
        merged.append((first, last))
    return tuple(merged)
