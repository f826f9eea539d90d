"""The derivation of Eq. 6 on the network's own metric, symbol by symbol, and against plain linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

from groktime.reduced import derivation
from groktime.reduced import drift_derivation as d
from groktime.reduced.drift_derivation import C, Q, n, w, γ, ρ, σ

Expr = Any


def same(one: Expr, other: Expr) -> bool:
    return bool(sp.simplify(one - other) == 0)


def test_the_metric_moves_as_the_projection_does() -> None:
    u_dot, m_dot = d.flow().subs({d.l_u: 0, d.l_m: 0})
    a, b = d.projection()
    assert same(u_dot, -a) and same(m_dot, -b)


def test_without_a_turn_it_is_eq6() -> None:
    """A direction that neither m nor u turns: n = C = Q = 0."""
    u_dot, m_dot = d.flow().subs({n: 0, C: 0, Q: 0})
    theirs = derivation.flow()
    rename = {derivation.w: w, derivation.γ: γ, derivation.l_u: d.l_u, derivation.l_m: d.l_m}
    per_step = {derivation.η_R: ρ * derivation.η_D}
    assert same(u_dot * derivation.η_D * γ, theirs.u.subs(rename))
    assert same(m_dot * derivation.η_D * γ, theirs.m.subs(per_step).subs(rename))


def test_the_clock_in_the_metric_of_eq6_is_the_corrected_form() -> None:
    """dτ = |du| + (η_D/(η_R w²)) |dm/du| dm, with dm = σ du."""
    (integral,) = derivation.corrected().rhs.atoms(sp.Integral)
    theirs = integral.function.subs(
        {derivation.w_of_m: w, derivation.s_of_m: σ, derivation.η_R: ρ * derivation.η_D}
    )
    assert same(d.literal(), 1 + theirs * σ)


def test_the_clock_is_that_of_the_force_along_the_curve() -> None:
    """The speed along T at which a force normal to it, f (-σ, 1), leaves the flow on the curve."""
    f, speed = sp.symbols("f speed", real=True)
    held = d.flow().subs({d.l_u: -f * σ, d.l_m: f})
    found = sp.solve([held[0] + speed, held[1] + σ * speed], [f, speed])
    assert same(d.clock(), 1 / found[speed])


def test_the_clock_of_the_valley_is_the_speed_of_u() -> None:
    assert same(d.valley(), 1 / d.projection().a)


def test_m_is_slaved_to_the_direction_where_its_turn_outweighs_its_rate() -> None:
    """The mobility of m is 1/(1/ρ + Q): its own rate counts where Q < 1/ρ."""
    assert same(d.mobility()[1, 1], 1 / (1 / ρ + Q))
    assert same(sp.limit(d.projection().b, ρ, sp.oo), -C / Q)


def test_w_alone_has_the_clock_of_the_turning() -> None:
    kappa = sp.Symbol("kappa", positive=True)
    assert same(d.turning().subs(n, kappa / (1 + kappa)), 1 + kappa)


def test_linear_regression() -> None:
    closed = sp.log((d.w_0**2 - d.r**2) / (d.w_c**2 - d.r**2)) / 2
    values = {d.w_0: 3, d.w_c: sp.Rational(8, 5), d.r: sp.Rational(3, 2)}
    assert float(d.regression().rhs.subs(values)) == pytest.approx(float(closed.subs(values)), rel=1e-12)
    assert same(sp.diff(d.regression().rhs, d.w_0), sp.diff(closed, d.w_0))


@pytest.mark.parametrize("ratio", [1.0, 0.01])
def test_the_projection_of_any_residuals(ratio: float) -> None:
    """d(θ, m)/dτ = -(I - S Aᵀ(A S Aᵀ)⁻¹A)(θ, 0) by matrices, 7 residuals of 12 weights and m."""
    rng = np.random.default_rng(3)
    a, theta = rng.normal(size=(7, 13)), rng.normal(size=12)
    s = np.diag([*np.ones(12), ratio])
    x = np.append(theta, 0.0)
    moved = -(x - s @ a.T @ np.linalg.solve(a @ s @ a.T, a @ x))
    j, q = a[:, :12], a[:, 12]
    k, c = np.linalg.inv(j @ j.T), j @ theta
    w2 = theta @ theta
    values = {n: c @ k @ c / w2, C: c @ k @ q, Q: q @ k @ q, ρ: ratio, w: np.sqrt(w2)}
    found = [float(x.subs(values)) for x in d.projection()]
    assert found == pytest.approx([-moved[:12] @ theta / w2, -moved[12]], rel=1e-9)
    assert np.allclose(a @ moved, 0)


def test_the_page() -> None:
    names = [name for name, _ in d.formulas()]
    assert len(names) == len(set(names)) == 5
    assert d.formulas()[-1][1].startswith(r"\eta_{D} \gamma t = ")
