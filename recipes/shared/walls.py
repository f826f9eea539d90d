"""Loss surfaces that are known exactly, to hold the flow against (`reduced.surface.LossSurface`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Six = tuple[Floats, Floats, Floats, Floats, Floats, Floats]
Curve = Callable[[Floats], Floats]


@dataclass(frozen=True)
class ExponentialWall:
    """l = A exp(-k (u - u_c(m))), u_c(m) = u0 + m cot θ: no plateau, so no decay passes through it."""

    A: float
    k: float
    theta: float
    u0: float

    @property
    def cot(self) -> float:
        return float(1 / np.tan(self.theta))

    def foot(self, m: float) -> float:
        """u_c(m), where l = A."""
        return self.u0 + m * self.cot

    def derivatives(self, u: Floats, m: Floats, second: bool = True, wall: Floats | float = 0.0) -> Six:
        k, c, u = self.k, self.cot, u - wall
        # trial steps of a solver reach far behind the wall: the exponent is capped there
        loss = self.A * np.exp(np.minimum(-k * (u - self.u0 - m * c), 80.0))
        return loss, -k * loss, k * c * loss, k * k * loss, -k * k * c * loss, (k * c) ** 2 * loss


@dataclass(frozen=True)
class KnownCliff:
    """l = floor + plateau / (1 + exp(k (u - u_b(m)))), with the curve's first two derivatives."""

    k: float
    u_b: Curve
    du_b: Curve
    ddu_b: Curve
    plateau: float = 0.1
    floor: float = 1e-5

    def derivatives(self, u: Floats, m: Floats, second: bool = True, wall: Floats | float = 0.0) -> Six:
        k, height, b, u = self.k, self.plateau, self.du_b(m), u - wall
        p = 1 / (1 + np.exp(np.clip(k * (u - self.u_b(m)), -700, 700)))
        d = -height * k * p * (1 - p)
        dd = height * k**2 * p * (1 - p) * (1 - 2 * p)
        return self.floor + height * p, d, -d * b, dd, -dd * b, dd * b * b - d * self.ddu_b(m)


@dataclass(frozen=True)
class Flat:
    """The same loss everywhere: only decay acts."""

    loss: float = 1e-5

    def derivatives(self, u: Floats, m: Floats, second: bool = True, wall: Floats | float = 0.0) -> Six:
        zero = np.zeros_like(u)
        return np.full_like(u, self.loss), zero, zero, zero, zero, zero


@dataclass(frozen=True)
class Scaled:
    """Another surface with its loss times a factor."""

    surface: ExponentialWall | KnownCliff
    factor: float

    def derivatives(self, u: Floats, m: Floats, second: bool = True, wall: Floats | float = 0.0) -> Six:
        loss, *rest = self.surface.derivatives(u, m, second, wall)
        a, b, c, d, e = (self.factor * x for x in rest)
        return self.factor * loss, a, b, c, d, e


def straight_cliff(k: float, theta: float, u0: float) -> KnownCliff:
    """A cliff with the boundary u0 + m cot θ."""
    cot = float(1 / np.tan(theta))
    return KnownCliff(k, lambda m: u0 + m * cot, lambda m: np.full_like(m, cot), np.zeros_like)


def ridge(k: float, w0: float = 9.0) -> KnownCliff:
    """A cliff whose boundary α_b = 2.7 + 10 m has a bump of 0.7 at m = 0.04.

    On the way down from m = 0.08 the boundary has to be climbed by 0.46 in α, from 3.34 at m = 0.061 to
    3.81: more than two cells of a grid of 0.1, so no monotone curve goes through its samples. The flow
    rests in the dip, unless decay outruns the whole wall there, γ > 0.1 k / 4 w².
    """

    def alpha(m: Floats) -> tuple[Floats, Floats, Floats]:
        x = (m - 0.04) / 0.012
        bump = 0.7 * np.exp(-(x**2))
        return (
            2.7 + 10 * m + bump,
            10 - 2 * x / 0.012 * bump,
            (4 * x**2 - 2) / 0.012**2 * bump,
        )

    def second(m: Floats) -> Floats:
        a, a1, a2 = alpha(m)
        return a2 / a - (a1 / a) ** 2

    def value(m: Floats) -> Floats:
        return np.log(w0 * alpha(m)[0])

    def first(m: Floats) -> Floats:
        a, a1, _ = alpha(m)
        return a1 / a

    return KnownCliff(k, value, first, second)
