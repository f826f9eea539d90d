"""A field along fixed columns of u, for thousands of rows of m: what depends on a column alone is done once,
and where a contour cannot be is not looked at.

y(u, m) = S(u - u_b(m)) + c(u, m), see `reduced.surface`. Along a column c is a cubic of m in each cell, and S
moves with the row alone. A cubic lies within its Bernstein coefficients, which bounds both from above; and
what the loss is at the most, where it bends off, tells where it cannot outweigh decay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.spline import ColumnSpline, GridSpline

if TYPE_CHECKING:
    from groktime.reduced.surface import Field

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
ColumnTest = Callable[[Ints, Ints], Bools]  # rows [row], columns [row, k] -> [row, k]

_ROUNDING = 1e-9  # what bounds are wider by than they would have to be
_COLUMNS, _ROWS = 64, 256  # that are looked at together: their values stay in the cache


class Columns:
    """The field with a rest and a floor, along columns u [column]."""

    def __init__(self, field: Field, rest: GridSpline, floor: float, u: Floats) -> None:
        self.field, self.floor, self.u = field, floor, u
        self.rest: ColumnSpline = rest.on_columns(u)

    def reaches(self, value: float, m: Floats, column: Ints) -> Bools:
        """Whether the field is `value` or more in rows m [row] at columns [row, k]."""
        shift = self.field.boundary.curve(m)[:, None]
        y = self.field.profile(self.u[column] - shift) + self.rest(m, column)
        return np.asarray(y >= self.field.plain(value))

    def may_reach(self, value: float, m: Floats) -> Ints:
        """In each row m [row] a column, -1 or more, beyond which the field is below `value` everywhere."""
        profile, least, count = self.field.profile, self.field.plain(value) - _ROUNDING, len(self.u)
        b = self.field.boundary.curve(m)
        cell, _ = self.rest.cell(m)
        pieces, beyond = profile.pieces.shape[1], (self.u[-1] - b - profile.start) / profile.step
        unknown = beyond >= pieces  # beyond its last knot the profile is bounded by nothing

        def may(column: Ints) -> Bools:
            position = (self.u[column] - b - profile.start) / profile.step
            piece = np.clip(position.astype(np.intp), 0, pieces - 1)
            most = self._most_of_profile[piece] + self._most_of_rest[cell, column]
            return np.asarray(unknown | (position < 0) | (most >= least))

        low, high = np.full(len(m), -1), np.full(len(m), count - 1)  # the last that may lies within
        while (low < high).any():
            middle = (low + high + 1) // 2
            yes = may(np.maximum(middle, 0))
            low, high = np.where(yes, middle, low), np.where(yes, high, np.minimum(high, middle - 1))
        return low

    def may_outweigh(self, m: Floats, gamma: Floats, ratio: Floats, columns: slice) -> Bools:
        """Whether the loss may outweigh decay, (∂l/∂u)²/w² + ρ (∂l/∂m)² + γ ∂l/∂u > 0 with ∂l/∂u < 0, in rows
        m [row] of these γ and ρ at the columns, [row, column]. Where it may not, it does not."""
        field, profile, u = self.field, self.field.profile, self.u[columns]
        b, b1, _ = field.boundary.curve.derivatives(m, second=False)
        s, s1, _ = profile.derivatives(u - b[:, None], second=False)
        c, cu, cm = self.rest.derivatives(m, columns)
        in_u, in_m = s1 + cu, cm - s1 * b1[:, None]
        # the loss is exp(y) and bends off at the floor, by a factor 2^bend at the most; its slopes are less
        most = np.exp(np.maximum(s + c, self.floor)) * 2**field.BEND
        pull = most * (in_u * in_u * np.exp(-2 * u) + ratio[:, None] * in_m * in_m)
        falls = in_u <= _ROUNDING * np.abs(cu)
        return np.asarray(falls & (pull >= (1 - 1e-6) * -gamma[:, None] * in_u))

    def last_outweighing(
        self, m: Floats, gamma: Floats, ratio: Floats, start: Ints, wins: ColumnTest
    ) -> Ints:
        """In each row the last column up to `start` at which the field wins, -1 where none is."""
        found = np.full(len(m), -1)
        for first in range(0, len(m), _ROWS):
            rows = np.arange(first, min(first + _ROWS, len(m)))
            self._search(found, rows, m, gamma, ratio, start, wins)
        return found

    def _search(
        self,
        found: Ints,
        rows: Ints,
        m: Floats,
        gamma: Floats,
        ratio: Floats,
        start: Ints,
        wins: ColumnTest,
    ) -> None:
        block = int(start[rows].max(initial=-1)) // _COLUMNS
        while block >= 0 and rows.size:
            begin = block * _COLUMNS
            here = rows[start[rows] >= begin]
            columns = slice(begin, min(begin + _COLUMNS, len(self.u)))
            may = self.may_outweigh(m[here], gamma[here], ratio[here], columns)
            may &= np.arange(begin, columns.stop) <= start[here][:, None]
            left = np.flatnonzero(may.any(1))
            while left.size:  # mostly once
                last = may.shape[1] - 1 - may[left, ::-1].argmax(1)
                won = wins(here[left], (begin + last)[:, None])[:, 0]
                found[here[left[won]]] = begin + last[won]
                may[left, last] = False
                left = left[~won]
                left = left[may[left].any(1)]
            rows = rows[found[rows] < 0]
            block -= 1

    @cached_property
    def _most_of_profile(self) -> Floats:
        """The most that the profile is in each piece and those after it."""
        return _most_from_here(_bernstein(self.field.profile.pieces, 1.0))

    @cached_property
    def _most_of_rest(self) -> Floats:
        """The most that c is at each column and those after it, within each cell of m, [cell, column]."""
        width = np.diff(self.rest.m)[:, None]
        return _most_from_here(_bernstein(self.rest.pieces, width))


def _bernstein(cubics: Floats, h: Floats | float) -> Floats:
    """The largest Bernstein coefficient on [0, h] of cubics [power, ...]."""
    c3, c2, c1, c0 = cubics
    third = c1 * h / 3
    inner = c2 * h * h / 3
    most: Floats = np.max([c0, c0 + third, c0 + 2 * third + inner, ((c3 * h + c2) * h + c1) * h + c0], axis=0)
    return most


def _most_from_here(x: Floats) -> Floats:
    return np.asarray(np.maximum.accumulate(x[..., ::-1], -1)[..., ::-1])
