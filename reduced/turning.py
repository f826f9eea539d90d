"""How the direction of the weights turns as the norm falls, and the clock that Eq. 6 then has.

Let θ(u) = e^u ŵ(u), u = ln w, be the minimum of the training loss on each sphere. Networks that are held
on this curve by the loss move along it, and its element is |dθ|² = w² (1 + κ) du² with κ = |dŵ/du|², so that
gradient flow with decay is

    du/dt = -η_D (∂l/∂u / w² + γ) / (1 + κ):

Eq. 6 of Omnigrok, whose κ is 0, with time stretched by 1 + κ. In the valley, where the loss is at its
minimum, decay moves the whole vector, and of its pull only the part along the valley is left: η_D γ t
passes as (1 + κ) du.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.arrays import Arrays
from groktime.reduced.spline import monotone_slopes

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Turning:
    """κ(u, m): in each row of m the derivative of a monotone cubic through the ∫ κ du at the spheres, so
    that over each cell it is what was measured there, and never below 0; straight between rows.

    `u` [sphere], `m` [row]; `ends` [row, sphere] is κ at the spheres, `mean` [row, cell] that over each cell.
    """

    u: Floats
    m: Floats
    mean: Floats
    ends: Floats

    @classmethod
    def read(cls, one: Arrays | xr.Dataset, u: Floats, m: Floats) -> Self | None:
        """That of a layer [m, alpha] of a landscape; None where it was not recorded everywhere."""
        if "turning" not in one:
            return None
        mean = np.asarray(one["turning"].values, float)[:, :-1]
        return cls.of(u, m, mean) if np.isfinite(mean).all() else None

    @classmethod
    def of(cls, u: Floats, m: Floats, mean: Floats) -> Self:
        """From the means over the cells [row, cell] between the spheres u."""
        rising = [np.concatenate([[0.0], np.cumsum(row * np.diff(u))]) for row in mean]
        return cls(u, m, mean, np.stack([monotone_slopes(u, row) for row in rising]))

    def derivatives(self, u: Floats, m: Floats) -> tuple[Floats, Floats, Floats]:
        """κ, ∂κ/∂u and ∂κ/∂m at the points, each [point]; beyond the grid as at its end."""
        i = np.clip(np.searchsorted(self.u, u, "right") - 1, 0, len(self.u) - 2)
        h = self.u[i + 1] - self.u[i]
        t = (np.clip(u, self.u[0], self.u[-1]) - self.u[i]) / h
        if len(self.m) == 1:
            value, slope = self._row(0, i, t)
            return value, slope / h, np.zeros_like(value)
        j = np.clip(np.searchsorted(self.m, m, "right") - 1, 0, len(self.m) - 2)
        width = self.m[j + 1] - self.m[j]
        share = (np.clip(m, self.m[0], self.m[-1]) - self.m[j]) / width
        (low, low_u), (high, high_u) = self._row(j, i, t), self._row(j + 1, i, t)
        return low + share * (high - low), (low_u + share * (high_u - low_u)) / h, (high - low) / width

    def terms(self, u: Floats, m: Floats, gamma: Floats, ratio: Floats) -> Floats:
        """See `reduced.drift.Mobility`: u is slower by 1 + κ, and m moves as in Eq. 6."""
        kappa, *slopes = self.derivatives(u, m)
        a, nothing = 1 / (1 + kappa), np.zeros_like(u)
        in_u, in_m = (-a * a * slope for slope in slopes)
        return np.array([[a, in_u, in_m], [nothing] * 3, [ratio, nothing, nothing]])

    def range(self, low: float, high: float) -> tuple[float, float]:
        """Least and greatest mean over the cells, of all rows, that lie between two u at least in part."""
        met = self.mean[:, (self.u[1:] > low) & (self.u[:-1] < high)]
        return float(met.min()), float(met.max())

    def _row(self, j: NDArray[np.intp] | int, i: NDArray[np.intp], t: Floats) -> tuple[Floats, Floats]:
        """κ in row j, at the share t of cell i, and its slope along t: a parabola of the cell's mean."""
        a, b, mean = self.ends[j, i], self.ends[j, i + 1], self.mean[j, i]
        bend = a + b - 2 * mean
        return a + t * (2 * (3 * mean - 2 * a - b) + 3 * t * bend), 2 * (3 * mean - 2 * a - b) + 6 * t * bend
