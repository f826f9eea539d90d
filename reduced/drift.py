"""How decay moves (w, m) where the training set holds the network: Eq. 6 on the network's own metric.

Eq. 6 of Omnigrok takes changes of w and m to move nothing else. But the direction of the weights has to turn
with them. With the three numbers that `fullnet.engine.valley` finds of a network, ρ = η_R/η_D, u = ln w and τ
= η_D γ t,

    μ = 1/(1/ρ + turn)    a = 1 - normal + μ overlap²/w²    b = -μ overlap

    du/dτ = -a (1 + ∂l/∂u /(γw²)) - b ∂l/∂m /(γw²)
    dm/dτ = -b (1 + ∂l/∂u /(γw²)) - μ ∂l/∂m /γ

(`reduced.drift_derivation` derives them). Where the loss is flat, decay moves u at the speed a, and m at b.
Eq. 6 is a = 1, b = 0, μ = ρ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.arrays import Arrays
from groktime.reduced.spline import GridSpline

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

FIELDS = ("drift_normal", "drift_overlap", "drift_turn")
LOOP = "drift_loop"  # how far dm/dτ of two ways to a cell are apart
CUTOFF = "cutoff"
CUTOFFS = (1e-4, 1e-3, 1e-2)  # weight decays at which it is measured, unless others are asked for
_HELD = 1 - 1e-6  # the most of its weights that the training set is taken to hold: decay still moves the rest


class Mobility(Protocol):
    """What the flow needs of a metric of (u, m)."""

    def terms(self, u: Floats, m: Floats, gamma: Floats, ratio: Floats) -> Floats:
        """a, b and μ with their slopes: [a b μ, value ∂u ∂m, point]."""
        ...


def held(terms: Floats, u: Floats) -> Floats:
    """The same where m cannot move: a is smaller by what m would have given way, [3, 3, point]."""
    (a, a_u, a_m), (b, b_u, b_m), (mu, mu_u, mu_m) = terms
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(mu > 0, b / mu, 0.0)  # -overlap
    w2 = np.exp(2 * u)
    given, per = share * b / w2, share / w2
    in_u = per * (2 * b_u - share * mu_u) - 2 * given
    in_m = per * (2 * b_m - share * mu_m)
    nothing = np.zeros_like(a)
    return np.array([[a - given, a_u - in_u, a_m - in_m], *[[nothing] * 3] * 2])


@dataclass(frozen=True)
class Drift:
    """The drift of one seed over a landscape's grid. `cutoffs`: the γ, ascending, at which it was measured,
    of which those next to a lane's γ are joined by a straight line in ln γ. `fields` [field][cutoff]: -ln(1 -
    normal), overlap and ln turn as smooth surfaces; the last two are None in a landscape of w alone."""

    cutoffs: Floats
    normal: Sequence[GridSpline]
    overlap: Sequence[GridSpline] | None
    turn: Sequence[GridSpline] | None

    @classmethod
    def read(cls, one: Arrays | xr.Dataset, u: Floats, m: Floats) -> Self | None:
        """That of a layer [cutoff, m, alpha] of a landscape; None where it was not measured everywhere."""
        if FIELDS[0] not in one:
            return None
        normal, overlap, turn = (np.asarray(one[name].values, float) for name in FIELDS)
        if not np.isfinite(normal).all() or (len(m) > 1 and not np.isfinite(overlap + turn).all()):
            return None
        return cls.of(np.asarray(one[CUTOFF].values, float), u, m, normal, overlap, turn)

    @classmethod
    def of(cls, cutoffs: Floats, u: Floats, m: Floats, normal: Floats, overlap: Floats, turn: Floats) -> Self:
        """From values [cutoff, m, u]."""
        rows = m if len(m) > 1 else np.array([m[0], m[0] + 1.0])

        def fitted(values: Floats) -> list[GridSpline]:
            each = values if len(m) > 1 else np.repeat(values, 2, axis=1)
            return [GridSpline.through(u, rows, one) for one in each]

        first = fitted(-np.log1p(-np.minimum(normal, _HELD)))
        if len(m) == 1:
            return cls(cutoffs, first, None, None)
        return cls(cutoffs, first, fitted(overlap), fitted(np.log(np.maximum(turn, 1e-300))))

    def terms(self, u: Floats, m: Floats, gamma: Floats, ratio: Floats) -> Floats:
        """See `Mobility`; beyond the grid as at its edge."""
        first = self.normal[0]
        at = np.clip(u, first.u[0], first.u[-1]), np.clip(m, first.m[0], first.m[-1])
        outside = np.array([np.zeros(len(u), bool), at[0] != u, at[1] != m])
        place = np.interp(np.log(gamma), np.log(self.cutoffs), np.arange(len(self.cutoffs)))

        def field(each: Sequence[GridSpline]) -> Floats:
            found = np.zeros((3, len(u)))
            for k, one in enumerate(each):
                share = np.maximum(1 - np.abs(place - k), 0)
                if share.any():
                    found += share * np.array(one.derivatives(*at, second=False)[:3])
            return np.where(outside, 0.0, found)

        free, free_u, free_m = field(self.normal)
        a = np.exp(-free)
        still = np.array([a, -a * free_u, -a * free_m])  # 1 - normal
        if self.overlap is None or self.turn is None:
            nothing = np.zeros_like(a)
            return np.array([still, [nothing] * 3, [ratio, nothing, nothing]])
        c, c_u, c_m = field(self.overlap)
        ln_q, q_u, q_m = field(self.turn)
        q = np.exp(ln_q)
        mu = ratio / (1 + ratio * q)
        mu_u, mu_m = -(mu**2) * q * q_u, -(mu**2) * q * q_m
        shrink = np.exp(-2 * u)
        drawn = c * c * mu * shrink
        drawn_u = c * (2 * c_u * mu + c * mu_u) * shrink - 2 * drawn
        drawn_m = c * (2 * c_m * mu + c * mu_m) * shrink
        return np.array(
            [
                still + np.array([drawn, drawn_u, drawn_m]),
                [-c * mu, -c_u * mu - c * mu_u, -c_m * mu - c * mu_m],
                [mu, mu_u, mu_m],
            ]
        )


def clock(terms: Floats, u: Floats, du: Floats, dm: Floats) -> Floats:
    """τ that passes along the small piece (du, dm) of a curve at u, which the loss holds the network to: the
    closed form's integrand, (dx)ᵀ G dx/(w² |du|) with G the metric of these terms [3, 3, point]."""
    a, b, mu = terms[:, 0]
    shrink = np.exp(-2 * u)
    moved = mu * du**2 - 2 * b * shrink * du * dm + a * shrink * dm**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(moved / ((a * mu - b * b * shrink) * np.abs(du)))
