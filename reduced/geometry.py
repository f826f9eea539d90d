"""What the closed forms need, read off a surface: the start C, the boundary, the solution E, and
L, h, θ between them (Omnigrok §5.1, Fig. 6f).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.columns import Columns, ColumnTest
from groktime.reduced.surface import Domain, LossSurface, Surface

Floats = NDArray[np.float64]
Test = Callable[[Floats, Floats], Floats]

_ROWS = 61
_COLUMNS = 601
_BLOCK = 8  # columns that are looked at together, at first
_BISECTIONS = 30
_AT_ONCE = 64  # lanes whose rows stay in the cache


@dataclass(frozen=True)
class Geometry:
    """L and h: distance from the start to E in u = ln w and in m. θ: angle (radians) between the
    boundary contour and the u axis. Norms are absolute. `u`, `m`: the contour between E and the
    start's m; `slide` is ∫ |dm/du| / w² dm along it, infinite where the contour folds back.
    NaN where the contour does not lead to a generalizing point.
    """

    level: float
    L: float
    h: float
    theta: float
    w_start: float
    w_boundary: float
    w_end: float
    m_start: float
    m_end: float
    slide: float
    u: Floats
    m: Floats


def contours(
    surface: LossSurface,
    domain: Domain,
    generalized: Test,
    level: float,
    *,
    u: Floats,
    m: Floats,
    gamma: Floats,
    ratio: Floats,
) -> tuple[list[Geometry], list[Geometry]]:
    """The geometries of lanes with starts u, m, decays γ and ρ = η_R/η_D, [lane] each, on two contours:

    that on which the training loss is `level` (a convention), and that along which the flow slides. There
    the loss does not change, dl/ds = 0 under Eq. 6, which is
    (∂l/∂u)²/w² + ρ (∂l/∂m)² + γ ∂l/∂u = 0 (reduced.derivation.balance_condition). It is looked for
    from the contour of `level` on, towards larger w first.
    """
    on_level: list[Geometry] = []
    on_balance: list[Geometry] = []
    grid = np.linspace(domain.u_low, domain.u_high, _COLUMNS)
    columns = surface.train_loss.columns(grid) if isinstance(surface, Surface) else None
    for start in range(0, len(u), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        rows = np.linspace(domain.m_low, m[some], _ROWS, axis=-1)  # [lane, row]
        each = (np.repeat(x[some], _ROWS) for x in (gamma, ratio))
        search = _Search(surface, columns, grid, rows.ravel(), *each)
        last = search.last(level)
        places = search.level(last, level), search.balance(np.maximum(last, 0))
        for found, place in zip((on_level, on_balance), places, strict=True):
            found += _geometries(
                surface, generalized, level, u[some], m[some], place.reshape(rows.shape), rows
            )
    return on_level, on_balance


def _last(hit: NDArray[np.bool_]) -> NDArray[np.intp]:
    """In each row the last column that is hit, -1 where none is."""
    return np.where(hit.any(1), hit.shape[1] - 1 - hit[:, ::-1].argmax(1), -1)


@dataclass(frozen=True)
class _Search:
    """Where contours cross rows of m, of which each has a γ and a ρ; [row] each. `columns`: the surface along
    the grid, where that makes it cheaper."""

    surface: LossSurface
    columns: Columns | None
    grid: Floats
    m: Floats
    gamma: Floats
    ratio: Floats

    def last(self, level: float) -> NDArray[np.intp]:
        """In each row the last column at which the loss is `level` or more, -1 where none is."""
        columns = self.columns
        every, end = np.arange(len(self.m)), np.full(len(self.m), len(self.grid) - 1)
        if columns is None:
            return self._next(every, end, -1, lambda k, column: self._loss(k, column)[0] >= level)
        may = columns.may_reach(level, self.m)
        return self._next(every, may, -1, lambda k, column: columns.reaches(level, self.m[k], column))

    def level(self, last: NDArray[np.intp], level: float) -> Floats:
        """In each row the largest u at which the loss falls through `level`; `last`: the last column that
        reaches it. NaN: nowhere."""
        place = np.full(len(last), np.nan)
        k = np.flatnonzero((last >= 0) & (last < len(self.grid) - 1))
        column = last[k][:, None] + np.arange(2)
        place[k] = self._between(last[k], np.log(self._loss(k, column)[0]) - np.log(level))
        return place

    def balance(self, start: NDArray[np.intp]) -> Floats:
        """In each row where decay begins to outweigh the loss, from the column `start` on, or else before it.
        NaN: nowhere."""
        place = np.full(len(start), np.nan)
        every = np.arange(len(start))
        losing = self._wins(every, start[:, None])[:, 0] <= 0
        after = self._next(every[~losing], start[~losing] + 1, 1, lambda k, c: self._wins(k, c) <= 0) - 1
        before = self._before(every[losing], start[losing] - 1)
        for k, column in ((every[~losing], after), (every[losing], before)):
            k, column = k[column >= 0], column[column >= 0]
            place[k] = self._between(column, self._wins(k, column[:, None] + np.arange(2)))
        return place

    def _before(self, rows: NDArray[np.intp], start: NDArray[np.intp]) -> NDArray[np.intp]:
        """The last column up to `start` at which the loss outweighs decay; -1 where it nowhere does."""

        def wins(k: NDArray[np.intp], column: NDArray[np.intp]) -> NDArray[np.bool_]:
            return self._wins(k, column) > 0

        if self.columns is None:
            return self._next(rows, start, -1, wins)
        m, gamma, ratio = self.m[rows], self.gamma[rows], self.ratio[rows]
        return self.columns.last_outweighing(m, gamma, ratio, start, lambda k, c: wins(rows[k], c))

    def _next(
        self, rows: NDArray[np.intp], start: NDArray[np.intp], step: int, test: ColumnTest
    ) -> NDArray[np.intp]:
        """The first column from `start` on in steps of ±1 at which the test of (rows, columns) is passed; -1
        where it nowhere is."""
        found, at, left = np.full(len(rows), -1), start.copy(), np.arange(len(rows))
        width = _BLOCK
        while left.size:
            column = at[left][:, None] + step * np.arange(width)
            there = (column >= 0) & (column < len(self.grid))
            hit = there & test(rows[left], np.clip(column, 0, len(self.grid) - 1))
            some = hit.any(1)
            found[left[some]] = column[some, hit[some].argmax(1)]
            at[left] += step * width
            left = left[~some & there[:, -1]]
            width = min(2 * width, 8 * _BLOCK)
        return found

    def _loss(self, rows: NDArray[np.intp], column: NDArray[np.intp]) -> Floats:
        """The loss and its slopes ∂u, ∂m at columns [row, column]: [3, row, column]."""
        u, m = np.broadcast_arrays(self.grid[column], self.m[rows][:, None])
        values = self.surface.derivatives(u.ravel(), m.ravel(), second=False)[:3]
        return np.array(values).reshape(3, *u.shape)

    def _wins(self, rows: NDArray[np.intp], column: NDArray[np.intp]) -> Floats:
        """By how much the loss outweighs decay at columns [row, column]; above 0 where it does."""
        _, lu, lm = self._loss(rows, column)
        gamma, ratio = self.gamma[rows][:, None], self.ratio[rows][:, None]
        wins = lu**2 * np.exp(-2 * self.grid[column]) + ratio * lm**2 + gamma * lu
        return np.where(lu < 0, wins, -np.inf)

    def _between(self, column: NDArray[np.intp], values: Floats) -> Floats:
        """Where, between each column and the next, a straight line through the values [row, 2] is 0."""
        return _zero(self.grid[column], self.grid[column + 1], *values.T)


def critical_norms(domain: Domain, u: Floats, m: Floats, generalized: Test) -> Floats:
    """ln w_c of starts u, m [lane]: the largest norm up to the start at which the test metric passes (NaN:
    none)."""
    found = np.full(len(u), np.nan)
    for first in range(0, len(u), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        grid = np.linspace(domain.u_low, np.minimum(u[some], domain.u_high), _COLUMNS, axis=-1)
        margin = generalized(grid.ravel(), np.repeat(m[some], _COLUMNS)).reshape(grid.shape)
        last = _last(margin >= 0)
        k, i = np.flatnonzero(last >= 0), last[last >= 0]
        to = np.minimum(i + 1, _COLUMNS - 1)
        found[some][k] = _zero(grid[k, i], grid[k, to], margin[k, i], margin[k, to])
    return found


def _zero(x: Floats, to: Floats, a: Floats, b: Floats) -> Floats:
    """Where a straight line from a at x to b at `to` is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(np.isfinite(b) & (a != b), a / (a - b), 0.0)
    return np.asarray(x + share * (to - x))


def _geometries(
    surface: LossSurface,
    generalized: Test,
    level: float,
    u: Floats,
    m: Floats,
    place: Floats,
    rows: Floats,
) -> list[Geometry]:
    """Those of starts u, m [lane] on contours that cross the rows at `place`, [lane, row]."""
    known = np.isfinite(place)
    passed = np.zeros(place.shape, bool)
    passed[known] = generalized(place[known], rows[known]) >= 0
    end = _last(passed)  # the messiest solution on the contour that generalizes
    leads = (end >= 0) & known[:, -1]
    place, rows = place.copy(), rows.copy()
    # E lies between this row and the next
    k = np.flatnonzero(leads & (end + 1 < _ROWS))
    k = k[known[k, end[k] + 1]]
    at, to = (k, end[k]), (k, end[k] + 1)
    low, high = np.zeros(len(k)), np.ones(len(k))
    for _ in range(_BISECTIONS if len(k) else 0):
        share = (low + high) / 2
        point = (x[at] + share * (x[to] - x[at]) for x in (place, rows))
        passes = generalized(*point) >= 0
        low, high = np.where(passes, share, low), np.where(passes, high, share)
    for x in (place, rows):
        x[at] += low * (x[to] - x[at])
    on = np.asarray(leads[:, None] & (np.arange(_ROWS) >= np.maximum(end, 0)[:, None]))
    slopes = np.full(place.shape, np.nan)
    whole = on & np.all(known | ~on, axis=1, keepdims=True)
    _, lu, lm, *_ = surface.derivatives(place[whole], rows[whole], second=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes[whole] = -lu / lm
    found = []
    for i, from_row in enumerate(np.where(leads, end, 0)):
        curve, line, slope = place[i, from_row:], rows[i, from_row:], slopes[i, from_row:]
        found.append(_geometry(level, float(u[i]), float(m[i]), curve, line, slope if leads[i] else None))
    return found


def _geometry(
    level: float, u: float, m: float, curve: Floats, line: Floats, slope: Floats | None
) -> Geometry:
    """That of one start on its contour from E on, along which it has a slope; None where there is no E."""
    w_start, w_boundary, nan = float(np.exp(u)), float(np.exp(curve[-1])), float("nan")
    if slope is None:
        return Geometry(level, nan, nan, nan, w_start, w_boundary, nan, m, nan, nan, curve, line)
    h = float(m - line[0])
    return Geometry(
        level=level,
        L=float(u - curve[0]),
        h=h,
        theta=float(np.arctan2(h, curve[-1] - curve[0])) if h > 0 else 0.0,
        w_start=w_start,
        w_boundary=w_boundary,
        w_end=float(np.exp(curve[0])),
        m_start=m,
        m_end=float(line[0]),
        slide=_slide(curve, line, slope),
        u=curve,
        m=line,
    )


def _slide(u: Floats, m: Floats, slope: Floats) -> float:
    """∫ |dm/du| / w² dm, the slope from the gradient: on a contour dm/du = -(∂l/∂u)/(∂l/∂m)."""
    if not np.all(np.isfinite(u)):
        return float("nan")
    good = np.isfinite(slope) & (slope > 0)
    if (
        len(m) > 1 and not good.all()
    ):  # where the contour lies in the noise of the floor, its own shape is left
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(good, slope, 1 / np.gradient(u, m))
        good = np.isfinite(slope) & (slope > 0)
    if not good.all():
        return float("inf")
    return float(np.trapezoid(slope * np.exp(-2 * u), m))
