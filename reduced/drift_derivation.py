"""Eq. 6 on the network's own metric, derived by sympy: `python -m groktime.reduced.drift_derivation` prints
it.

The training set holds residuals at 0: A(θ̇, ṁ) = 0 with A = [J, q], J = ∂y/∂θ and q = ∂y/∂m. The loss pulls
with S Aᵀλ, S = diag(1, ρ), against decay, -(θ, 0). Three numbers are all that (u = ln w, m) feels of it, in K
= JJᵀ and c = Jθ: normal n = cᵀK⁻¹c/w², overlap C = cᵀK⁻¹q and turn Q = qᵀK⁻¹q. This module is a leaf: nothing
imports it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sympy as sp

from groktime.reduced.derivation import in_latex, show

Expr = Any  # sympy publishes no types

w, w_0, w_c, r, ρ, Q = sp.symbols("w w_0 w_c r rho Q", positive=True)
n = sp.Symbol("n", nonnegative=True)  # below 1
C, σ = sp.symbols("C sigma", real=True)  # σ = dm/du along a curve
η_D, γ, t, τ = sp.symbols("eta_D gamma t tau", positive=True)
l_u, l_m, pull, u_dot, m_dot = sp.symbols("l_u l_m s u' m'", real=True)


class Speed(NamedTuple):
    """-du/dτ and -dm/dτ in the valley."""

    a: Expr
    b: Expr


def projection() -> Speed:
    """From the projection itself, d(θ, m)/dτ = -(I - S Aᵀ(A S Aᵀ)⁻¹A)(θ, 0).

    λ = (K + ρqqᵀ)⁻¹c, so Kλ = c - ρ q s with s = qᵀλ, and m moves by ρs. Times qᵀK⁻¹: s = C - ρQs. Times
    cᵀK⁻¹: cᵀλ = nw² - ρCs, and w² du/dτ = -w² + cᵀλ.
    """
    (found,) = sp.solve(sp.Eq(pull, C - ρ * Q * pull), pull)
    return Speed(1 - n + ρ * C * found / w**2, -ρ * found)


def length(du: Expr, dm: Expr) -> Expr:
    """|dx|² = |dθ|² + dm²/ρ of the shortest way to change u and m by so much within the valley.

    It has two legs at right angles. m draws θ by -J⁺q dm, |J⁺q|² = Q, which changes u by -C dm/w². What is
    left of du is gone along θ's own part in the valley, Pθ, of squared length (1 - n)w².
    """
    return (du + C * dm / w**2) ** 2 * w**2 / (1 - n) + (Q + 1 / ρ) * dm**2


def metric() -> Expr:
    """G(u, m) of this length, in units of 1/η_D."""
    du, dm = steps = sp.symbols("du dm")
    half = sp.expand(length(du, dm)) / 2
    return sp.Matrix(2, 2, lambda i, j: sp.factor(sp.diff(half, steps[i], steps[j])))


def mobility() -> Expr:
    """G⁻¹."""
    return metric().inv().applyfunc(sp.factor)


def flow() -> Expr:
    """(du/dτ, dm/dτ) of G ẋ = -∇(l/γ + w²/2)."""
    return -(mobility() * sp.Matrix([l_u / γ + w**2, l_m / γ]))


def clock() -> Expr:
    """dτ/|du| along a curve of slope σ = dm/du to which the loss holds the network, or which it follows by
    itself.

    The force of the loss is normal to the curve. Along it, T = (1, σ): Tᵀ G ẋ = -w², and ẋ = T du/dτ, so that
    dτ/|du| = Tᵀ G T/w².
    """
    return sp.expand(length(1, σ) / w**2, deep=False)


def valley() -> Expr:
    """The clock where nothing but decay moves the network, σ = b/a: 1/a."""
    a, b = projection()
    return sp.simplify(clock().subs(σ, b / a))


def literal() -> Expr:
    """The clock in the metric that Eq. 6 takes, diag(w², 1/ρ): that of the corrected form."""
    return clock().subs({n: 0, C: 0, Q: 0})


def turning() -> Expr:
    """The clock of w alone: 1 + κ, where κ = |dŵ/du|² is n/(1 - n)."""
    return clock().subs(σ, 0)


def regression() -> Expr:
    """η_D γ t from w_0 to w_c of linear regression with fewer samples than weights: y of norm r is held."""
    u = sp.Symbol("u", real=True)
    held = turning().subs(n, r**2 / w**2).subs(w, sp.exp(u))
    whole = sp.integrate(sp.simplify(held), u)
    passed = whole.subs(u, sp.log(w_0)) - whole.subs(u, sp.log(w_c))
    return sp.Eq(η_D * γ * t, sp.logcombine(passed, force=True))


def formulas() -> list[tuple[str, str]]:
    """List (name, LaTeX) of the results above."""
    a, b = projection()
    results = [
        ("drift in the valley, -du/dτ", sp.Eq(sp.Symbol("a"), a)),
        ("drift in the valley, -dm/dτ", sp.Eq(sp.Symbol("b"), b)),
        ("clock along a curve of slope σ = dm/du", sp.Eq(sp.Symbol("dτ/|du|"), clock())),
        ("the same in the metric of Eq. 6", sp.Eq(sp.Symbol("dτ/|du|"), literal())),
        ("linear regression", regression()),
    ]
    return in_latex(results)


if __name__ == "__main__":
    show(formulas())
