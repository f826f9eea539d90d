"""Piecewise cubics for batched evaluation, and the smoothing spline on a grid.

Every evaluation gives all derivatives up to the second for thousands of points at once. numpy alone:
importing scipy's interpolate and optimize would double the time of a prediction on the command line.
The tests hold each piece against scipy's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Triple = tuple[Floats, Floats, Floats]
Six = tuple[Floats, Floats, Floats, Floats, Floats, Floats]


@dataclass(frozen=True)
class UniformSpline:
    """A C² cubic on uniform knots; beyond the ends it goes on with the last piece.

    `pieces` is [power, piece], the powers 3, 2, 1, 0 of the distance from the piece's left end in
    units of `step`.
    """

    start: float
    step: float
    pieces: Floats

    @staticmethod
    def through(start: float, step: float, values: Floats) -> UniformSpline:
        """Schoenberg's variation-diminishing spline: the values are the B-spline coefficients.

        It reproduces straight lines, never leaves the range of the values, and is monotone where
        they are: no overshoot at a cliff.
        """
        first, last = 2 * values[0] - values[1], 2 * values[-1] - values[-2]
        c = np.concatenate([[first], values, [last]])
        a, b, d, e = c[:-3], c[1:-2], c[2:-1], c[3:]
        pieces = np.stack(
            [
                (-a + 3 * b - 3 * d + e) / 6,
                (a - 2 * b + d) / 2,
                (d - a) / 2,
                (a + 4 * b + d) / 6,
            ]
        )
        return UniformSpline(start, step, pieces)

    def derivatives(self, x: Floats, second: bool = True) -> Triple:
        """Value, first and second derivative at x [point]; the last is the first unless `second`."""
        t, (c3, c2, c1, c0) = self._piece(x)
        value = ((c3 * t + c2) * t + c1) * t + c0
        first = ((3 * c3 * t + 2 * c2) * t + c1) / self.step
        return value, first, (6 * c3 * t + 2 * c2) / self.step**2 if second else first

    def __call__(self, x: Floats) -> Floats:
        t, (c3, c2, c1, c0) = self._piece(np.asarray(x, float))
        value: Floats = ((c3 * t + c2) * t + c1) * t + c0
        return value

    def _piece(self, x: Floats) -> tuple[Floats, Floats]:
        """How far into its piece each x lies, and that piece's coefficients [power, ...]."""
        position = (x - self.start) / self.step
        index = _within(position.astype(np.intp), self.pieces.shape[1])
        return position - index, self.pieces.take(index, axis=1)


@dataclass(frozen=True)
class GridSpline:
    """The natural bicubic spline through values [m, u] on a grid, C² in both."""

    u: Floats
    m: Floats
    pieces: Floats

    @staticmethod
    def through(u: Floats, m: Floats, values: Floats) -> GridSpline:
        along_u = _natural(u, values.T)  # [cell u, power u, m]
        both = _natural(m, along_u.transpose(2, 0, 1))  # [cell m, power m, cell u, power u]
        # [power m, power u, cell]: one contiguous row a coefficient
        pieces = np.ascontiguousarray(both.transpose(1, 3, 0, 2)).reshape(4, 4, -1)
        return GridSpline(u, m, pieces)

    def derivatives(self, u: Floats, m: Floats, second: bool = True) -> Six:
        """Value, ∂u, ∂m, ∂uu, ∂um, ∂mm at the points (u, m); the last three 0 unless `second`."""
        x, y, (c3, c2, c1, c0) = self._piece(u, m)
        # Horner in m for every power of u, and then in u
        in_m = _horner(y, c3, c2, c1, c0)
        in_m1 = _horner(y, 3 * c3, 2 * c2, c1)
        value, d_m, d_u = in_m[0], in_m1[0], np.zeros_like(x)
        d_uu = d_um = d_mm = d_u
        if second:
            in_m2 = 6 * c3 * y + 2 * c2
            d_mm = in_m2[0]
        for k in range(1, 4):
            if second:
                d_uu = d_uu * x + 2 * d_u
                d_um = d_um * x + d_m
                d_mm = d_mm * x + in_m2[k]
            d_u = d_u * x + value
            d_m = d_m * x + in_m1[k]
            value = value * x + in_m[k]
        return value, d_u, d_m, d_uu, d_um, d_mm

    def __call__(self, u: Floats, m: Floats) -> Floats:
        """The value alone."""
        x, y, powers = self._piece(u, m)
        return _horner(x, *_horner(y, *powers))

    def _piece(self, u: Floats, m: Floats) -> tuple[Floats, Floats, Floats]:
        """How far into its cell each point lies, and its coefficients [power m, power u, point].

        `take` leaves the points of a row side by side in memory, which an index in brackets does not: what
        is done with the rows is ten times as fast.
        """
        i = _within(np.searchsorted(self.u, u, "right") - 1, len(self.u) - 1)
        j = _within(np.searchsorted(self.m, m, "right") - 1, len(self.m) - 1)
        x, y = u - self.u.take(i), m - self.m.take(j)
        return x, y, self.pieces.take(j * (len(self.u) - 1) + i, axis=2)

    def on_columns(self, u: Floats) -> ColumnSpline:
        """The same along the columns u [column]."""
        i = _within(np.searchsorted(self.u, u, "right") - 1, len(self.u) - 1)
        x = u - self.u[i]
        c3, c2, c1, c0 = self.pieces.reshape(4, 4, len(self.m) - 1, -1)[..., i].swapaxes(0, 1)
        return ColumnSpline(self.m, ((c3 * x + c2) * x + c1) * x + c0, (3 * c3 * x + 2 * c2) * x + c1)


@dataclass(frozen=True)
class ColumnSpline:
    """A `GridSpline` along fixed columns: cubics of m in each cell of m, of the value (`pieces`) and of ∂u
    (`slopes`), [power m, cell m, column]."""

    m: Floats
    pieces: Floats
    slopes: Floats

    def cell(self, m: Floats) -> tuple[NDArray[np.intp], Floats]:
        """The cell that each m lies in, and how far into it."""
        j = _within(np.searchsorted(self.m, m, "right") - 1, len(self.m) - 1)
        return j, m - self.m[j]

    def __call__(self, m: Floats, column: NDArray[np.intp]) -> Floats:
        """The value in rows m [row] at columns [row, k]."""
        j, y = self.cell(m)
        count = self.pieces.shape[2]
        c3, c2, c1, c0 = self.pieces.reshape(4, -1).take(j[:, None] * count + column, axis=1)
        y = y[:, None]
        value: Floats = ((c3 * y + c2) * y + c1) * y + c0
        return value

    def derivatives(self, m: Floats, columns: slice) -> Triple:
        """Value, ∂u and ∂m in rows m [row] at the columns, [row, column]."""
        j, y = self.cell(m)
        y = y[:, None]
        c3, c2, c1, c0 = self.pieces[..., columns].take(j, axis=1)
        slopes = self.slopes[..., columns].take(j, axis=1)
        return _horner(y, c3, c2, c1, c0), _horner(y, *slopes), _horner(y, 3 * c3, 2 * c2, c1)


def _horner(x: Floats, first: Floats, *further: Floats) -> Floats:
    """The polynomial of these coefficients, the highest power's first; in place, for the cache's sake."""
    value = first * x
    for coefficient in further[:-1]:
        value += coefficient
        value *= x
    value += further[-1]
    return value


def _within(index: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    # np.clip costs three times as much on few points, and a single lane is few points.
    return np.minimum(np.maximum(index, 0), count - 1)


class GridSmoother:
    """Tensor product of natural cubic smoothing splines on a grid (Reinsch 1967; Green & Silverman
    1994, §2.3), its two strengths chosen by generalized cross-validation.

    GCV counts each degree of freedom 1.4 times, the usual guard against following the noise.
    """

    _STRENGTHS = np.geomspace(1e-7, 1e6, 27)

    def __init__(self, u: Floats, m: Floats) -> None:
        self._u, self._shrink_u = _reinsch(u, self._STRENGTHS)
        self._m, self._shrink_m = _reinsch(m, self._STRENGTHS)

    def choose(self, values: Floats) -> tuple[int, int]:
        """The strengths (of m, of u) with the least GCV score for values [m, u]."""
        spectrum = self._m.T @ values @ self._u
        n = values.size
        freedom = 1.4 * self._shrink_m.sum(1)[:, None] * self._shrink_u.sum(1)[None, :]
        kept_m, kept_u, power = self._shrink_m, self._shrink_u, spectrum**2
        # Σ (1 - a_j b_i)² p = Σ p - 2 Σ a b p + Σ a² b² p for every pair of strengths at once
        residual = power.sum() - 2 * kept_m @ power @ kept_u.T + kept_m**2 @ power @ kept_u.T**2
        residual = np.maximum(residual, 1e-12 * power.sum())  # what rounding leaves of it
        score = np.where(freedom < n, residual / np.maximum(n - freedom, 1e-9) ** 2, np.inf)
        j, i = np.unravel_index(np.argmin(score), score.shape)
        return int(j), int(i)

    def smooth(self, values: Floats, strengths: tuple[int, int]) -> Floats:
        """Smoothed values [m, u]."""
        j, i = strengths
        spectrum = self._m.T @ values @ self._u
        kept = self._shrink_m[j][:, None] * spectrum * self._shrink_u[i][None]
        smooth: Floats = self._m @ kept @ self._u.T
        return smooth


def _reinsch(x: Floats, strengths: Floats) -> tuple[Floats, Floats]:
    """Eigenvectors [node, mode] of the roughness ∫ f'' ² and the shrinkage [strength, mode]."""
    q, r = _bands(x / np.mean(np.diff(x)))
    roughness = q @ np.linalg.solve(r, q.T)
    values, vectors = np.linalg.eigh((roughness + roughness.T) / 2)
    values[:2] = 0  # straight lines cost nothing
    return vectors, 1 / (1 + strengths[:, None] * np.maximum(values, 0)[None])


def _bands(x: Floats) -> tuple[Floats, Floats]:
    """Q [node, inner node] and R of a natural cubic spline: R f'' = Qᵀ f (Green & Silverman §2.1)."""
    n, h = len(x), np.diff(x)
    k = np.arange(n - 2)
    q, r = np.zeros((n, n - 2)), np.zeros((n - 2, n - 2))
    q[k, k], q[k + 1, k], q[k + 2, k] = 1 / h[:-1], -1 / h[:-1] - 1 / h[1:], 1 / h[1:]
    r[k, k] = (h[:-1] + h[1:]) / 3
    r[k[:-1], k[1:]] = r[k[1:], k[:-1]] = h[1:-1] / 6
    return q, r


def _natural(x: Floats, values: Floats) -> Floats:
    """Pieces [cell, power 3 2 1 0, ...] of the natural cubic spline through values [node, ...]."""
    q, r = _bands(x)
    flat = values.reshape(len(x), -1)
    bend = np.zeros_like(flat)
    bend[1:-1] = np.linalg.solve(r, q.T @ flat)
    h = np.diff(x)[:, None]
    rise = np.diff(flat, axis=0) / h
    pieces = np.stack(
        [
            np.diff(bend, axis=0) / (6 * h),
            bend[:-1] / 2,
            rise - h * (2 * bend[:-1] + bend[1:]) / 6,
            flat[:-1],
        ],
        1,
    )
    return pieces.reshape(len(x) - 1, 4, *values.shape[1:])


def monotone_slopes(x: Floats, y: Floats) -> Floats:
    """Slopes at the nodes of a cubic that is monotone where the data are (Fritsch & Butland 1984)."""
    rise = np.diff(y) / np.diff(x)
    a, b = rise[:-1], rise[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(a * b > 0, 2 * a * b / (a + b), 0.0)
    return np.concatenate([rise[:1], inner, rise[-1:]])


def monotone_cubic(x: Floats, y: Floats, at: Floats) -> Floats:
    """The monotone cubic through (x, y), constant beyond the ends."""
    slopes = monotone_slopes(x, y)
    at = np.clip(at, x[0], x[-1])
    i = np.clip(np.searchsorted(x, at, "right") - 1, 0, len(x) - 2)
    h = x[i + 1] - x[i]
    t = (at - x[i]) / h
    a, b = h * slopes[i], h * slopes[i + 1]
    rise = y[i + 1] - y[i]
    return y[i] + t * (a + t * (3 * rise - 2 * a - b + t * (a + b - 2 * rise)))


def pool_adjacent_violators(y: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """The non-decreasing sequence nearest to y, and the block that each entry belongs to."""
    means: list[float] = []
    sizes: list[int] = []
    for value in y.tolist():
        means.append(value)
        sizes.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            high, n = means.pop(), sizes.pop()
            means[-1] = (means[-1] * sizes[-1] + high * n) / (sizes[-1] + n)
            sizes[-1] += n
    block = np.repeat(np.arange(len(sizes)), sizes)
    return np.repeat(means, sizes), block
