"""The grokking time in closed form: as printed by the paper, and corrected.

`reduced.derivation` derives both with sympy, and the tests hold these functions against it.
"""

from __future__ import annotations

import numpy as np

from groktime.reduced.geometry import Geometry

NAN = float("nan")


def printed(geometry: Geometry, gamma: float, eta_d: float) -> float:
    """Steps by P §5.1: (L + h tan θ)/(η_D γ).

    It takes η_R = η_D, a straight boundary, and a force normal to the contour in the plain metric
    of (u, m). NaN where the start lies left of the contour, or the contour falls with m.
    """
    if gamma <= 0 or not _meets(geometry):
        return NAN
    return (geometry.L + geometry.h * float(np.tan(geometry.theta))) / (eta_d * gamma)


def corrected(balance: Geometry, gamma: float, eta_d: float, eta_r: float) -> float:
    """Steps by the corrected form: η_D γ t = L + ∫ η_D/(η_R w²) |dm/du| dm along the balance contour.

    `balance` is the geometry on the contour along which this γ and these rates slide
    (`geometry.on_balance`). NaN as for `printed`, and where the contour has a fold that traps.
    """
    if gamma <= 0 or not _meets(balance):
        return NAN
    if balance.h == 0:
        return balance.L / (eta_d * gamma)
    if eta_r <= 0 or not np.isfinite(balance.slide):
        return NAN
    return (balance.L + eta_d / eta_r * balance.slide) / (eta_d * gamma)


def flat(w_start: float, w_c: float, gamma: float, eta_d: float) -> float:
    """Steps of free decay from w_start to w_c, the h = 0 case (P §2): ln(w_start/w_c)/(η_D γ)."""
    if gamma <= 0 or not w_start >= w_c > 0:
        return NAN
    return float(np.log(w_start / w_c)) / (eta_d * gamma)


def _meets(geometry: Geometry) -> bool:
    return (
        bool(np.isfinite(geometry.L))
        and geometry.w_start >= geometry.w_boundary
        and geometry.w_boundary >= geometry.w_end
        and geometry.theta < np.pi / 2
    )
