"""What the closed forms need, read off a surface: the start C, the boundary, the solution E, and
L, h, θ between them (Omnigrok §5.1, Fig. 6f).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.surface import Domain, LossSurface

Floats = NDArray[np.float64]
Test = Callable[[Floats, Floats], Floats]

_ROWS = 61
_COLUMNS = 601


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


@dataclass(frozen=True)
class Sheet:
    """The loss and its slopes [row of m, column of u] below the start's m, where contours are looked for."""

    rows: Floats
    grid: Floats
    loss: Floats
    lu: Floats
    lm: Floats

    @staticmethod
    def of(surface: LossSurface, domain: Domain, m: float) -> Sheet:
        rows = np.linspace(domain.m_low, m, _ROWS)
        grid = np.linspace(domain.u_low, domain.u_high, _COLUMNS)
        u, at = np.broadcast_arrays(grid[None], rows[:, None])
        values = surface.derivatives(u.ravel(), at.ravel(), second=False)[:3]
        return Sheet(rows, grid, *(v.reshape(u.shape) for v in values))


def on_level(
    surface: LossSurface, sheet: Sheet, level: float, u: float, m: float, generalized: Test
) -> Geometry:
    """The geometry on the contour on which the training loss is `level` (a convention)."""
    place = _last_crossing(sheet.grid, np.log(sheet.loss) - np.log(level))
    return _geometry(place, sheet.rows, level, u, m, surface, generalized)


def on_balance(
    surface: LossSurface,
    sheet: Sheet,
    level: float,
    u: float,
    m: float,
    generalized: Test,
    gamma: float,
    ratio: float,
) -> Geometry:
    """The geometry on the contour along which the flow slides.

    There the loss does not change, dl/ds = 0 under Eq. 6, which is
    (∂l/∂u)²/w² + ρ (∂l/∂m)² + γ ∂l/∂u = 0 (reduced.derivation.balance_condition). It is looked for
    from the contour of `level` on, towards larger w first.
    """
    rows, grid, loss, lu, lm = sheet.rows, sheet.grid, sheet.loss, sheet.lu, sheet.lm
    wins = lu**2 * np.exp(-2 * grid)[None] + ratio * lm**2 + gamma * lu  # > 0: loss outweighs decay
    wins = np.where(lu < 0, wins, -np.inf)
    place = np.full(len(rows), np.nan)
    for j in range(len(rows)):
        above = np.flatnonzero(loss[j] >= level)
        start = int(above[-1]) if len(above) else 0
        losing = np.flatnonzero(wins[j, start:] <= 0)
        if len(losing) and losing[0] > 0:
            place[j] = _between(grid, wins[j], start + int(losing[0]) - 1)
        elif len(losing):
            winning = np.flatnonzero(wins[j, :start] > 0)
            if len(winning):
                place[j] = _between(grid, wins[j], int(winning[-1]))
    return _geometry(place, rows, level, u, m, surface, generalized)


def critical_norm(domain: Domain, u: float, m: float, generalized: Test) -> float:
    """ln w_c: the largest norm up to the start at which the test metric passes (NaN: none)."""
    grid = np.linspace(domain.u_low, min(u, domain.u_high), _COLUMNS)
    margin = generalized(grid, np.full_like(grid, m))
    passed = np.flatnonzero(margin >= 0)
    if not len(passed):
        return float("nan")
    last = int(passed[-1])
    return float(grid[last]) if last == len(grid) - 1 else _between(grid, margin, last)


def _last_crossing(grid: Floats, height: Floats) -> Floats:
    """In each row the largest u at which the height falls through 0 (NaN: nowhere)."""
    place = np.full(len(height), np.nan)
    for j, row in enumerate(height):
        above = np.flatnonzero(row >= 0)
        if len(above) and above[-1] < len(grid) - 1:
            place[j] = _between(grid, row, int(above[-1]))
    return place


def _between(grid: Floats, values: Floats, i: int) -> float:
    a, b = values[i], values[i + 1]
    share = a / (a - b) if np.isfinite(b) and a != b else 0.0
    return float(grid[i] + share * (grid[i + 1] - grid[i]))


def _geometry(
    place: Floats,
    rows: Floats,
    level: float,
    u: float,
    m: float,
    surface: LossSurface,
    generalized: Test,
) -> Geometry:
    known = np.isfinite(place)
    passed = np.zeros(len(rows), bool)
    passed[known] = generalized(place[known], rows[known]) >= 0
    at_start = place[-1]
    nan = float("nan")
    w_start, w_boundary = float(np.exp(u)), float(np.exp(at_start))
    if not passed.any() or not known[-1]:
        return Geometry(level, nan, nan, nan, w_start, w_boundary, nan, m, nan, nan, place, rows)
    end = int(np.flatnonzero(passed)[-1])  # the messiest solution on the contour that generalizes
    curve, line = place[end:].copy(), rows[end:].copy()
    if end + 1 < len(rows) and known[end + 1]:  # E lies between this row and the next
        low, high = 0.0, 1.0
        for _ in range(30):
            share = (low + high) / 2
            at = place[end] + share * (place[end + 1] - place[end])
            row = rows[end] + share * (rows[end + 1] - rows[end])
            passes = generalized(np.array([at]), np.array([row]))[0] >= 0
            low, high = (share, high) if passes else (low, share)
        curve[0] += low * (curve[1] - curve[0])
        line[0] += low * (line[1] - line[0])
    h = float(m - line[0])
    return Geometry(
        level=level,
        L=float(u - curve[0]),
        h=h,
        theta=float(np.arctan2(h, at_start - curve[0])) if h > 0 else 0.0,
        w_start=w_start,
        w_boundary=w_boundary,
        w_end=float(np.exp(curve[0])),
        m_start=m,
        m_end=float(line[0]),
        slide=_slide(surface, curve, line),
        u=curve,
        m=line,
    )


def _slide(surface: LossSurface, u: Floats, m: Floats) -> float:
    """∫ |dm/du| / w² dm, the slope from the gradient: on a contour dm/du = -(∂l/∂u)/(∂l/∂m)."""
    if not np.all(np.isfinite(u)):
        return float("nan")
    _, lu, lm, *_ = surface.derivatives(u, m, second=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = -lu / lm
        if len(m) > 1:  # where the contour lies in the noise of the floor, its own shape is what is left
            slope = np.where(np.isfinite(slope) & (slope > 0), slope, 1 / np.gradient(u, m))
    if not np.all(np.isfinite(slope) & (slope > 0)):
        return float("inf")
    return float(np.trapezoid(slope * np.exp(-2 * u), m))
