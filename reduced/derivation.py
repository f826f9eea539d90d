"""Both closed forms of the grokking time, derived by sympy from the flow.

"P" is Liu, Michaud, Tegmark, "Omnigrok" (ICLR 2023). `python -m groktime.reduced.derivation` prints the
formulas as the Markdown lines of the README. This module is a leaf: nothing imports it.

The plane is (u = ln w, m). A steep wall of training loss stands along a contour of slope
s = |dm/du| = tan θ; the loss falls towards larger u. Decay carries the network from the start C
straight towards smaller u until it meets the wall, and then down the wall to E: L is the distance
from C to E in u, and h the one in m. The corrected forms are exact for an infinitely steep wall; E lies
on the contour that is followed, the one where the force is that of `sliding_speed`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sympy as sp

Expr = Any  # sympy publishes no types

L, h, θ, w, s, t = sp.symbols("L h theta w s t", positive=True)
η_D, η_R, γ, ρ = sp.symbols("eta_D eta_R gamma rho", positive=True)  # ρ = η_R / η_D
f = sp.Symbol("f", positive=True)  # |∂l/∂u| on the wall
w_start, w_c = sp.symbols("w_start w_c", positive=True)  # norm at C, largest norm that generalizes
m, m_E = sp.symbols("m m_E", nonnegative=True)  # messiness, and its value at E
l_u, l_m = sp.symbols("l_u l_m", real=True)  # partial derivatives of the training loss in u and m
u_dot = sp.Symbol("udot", real=True)  # du/dt along the wall
w_of_m, s_of_m = sp.Function("w", positive=True)(m), sp.Function("s", positive=True)(m)


class Velocity(NamedTuple):
    """du/dt and dm/dt."""

    u: Expr
    m: Expr


class Sliding(NamedTuple):
    """What `sliding_speed` solves for: the force |∂l/∂u| on the wall, and du/dt along it."""

    force: Expr
    speed: Expr


class Balance(NamedTuple):
    """What `balance_condition` finds: the stationary-loss equation, and its root |∂l/∂u| on the wall."""

    condition: Expr
    force: Expr


def flow() -> Velocity:
    """P Eq. 6 in u = ln w. dw/dt = −η_D(∂l/∂w + γw) is divided by w, and ∂l/∂w is l_u / w."""
    w_dot = -η_D * (l_u / w + γ * w)
    return Velocity(sp.expand(w_dot / w), -η_R * l_m)


def on_the_wall(expression: Expr) -> Expr:
    """Put in a force f = |∂l/∂u| normal to the contour.

    The loss does not change along (du, dm) = (1, s), so l_u + s l_m = 0; it falls with u, so l_u = −f.
    """
    (push,) = sp.solve(sp.Eq(-f + s * l_m, 0), l_m)
    return expression.subs({l_u: -f, l_m: push})


def printed() -> Expr:
    """P §5.1: L1 at the speed of decay v = η_D γ, then L2 along the wall at v cos θ.

    Needs h cot θ ≤ L (else L1 < 0). The paper states η_D = η_R (footnote 6) and takes the wall's force
    to be normal to it in (u, m); Eq. 6 agrees where η_D = η_R w², as `corrected_straight` shows.
    """
    v = η_D * γ
    L1, L2 = L - h * sp.cot(θ), h / sp.sin(θ)
    return sp.Eq(t, sp.simplify(L1 / v + L2 / (v * sp.cos(θ))))


def sliding_speed() -> Sliding:
    """Find the force that keeps Eq. 6 on the contour, dm/dt = s du/dt, and the speed that is left.

    The force fixes the contour: it is the one where |∂l/∂u| has this value, so its level falls with γ.
    """
    velocity = Velocity(*map(on_the_wall, flow()))
    (force,) = sp.solve(sp.Eq(velocity.m, s * velocity.u), f)
    return Sliding(sp.factor(force), sp.factor(velocity.u.subs(f, force)))


def balance_condition() -> Balance:
    """Find the same force from a loss at rest in the flow: 0 = dl/dt = l_u du/dt + l_m dm/dt.

    With ρ = η_R/η_D this reads l_u²/w² + ρ l_m² + γ l_u = 0, which needs no slope: it can be
    contoured on a sampled landscape as it stands. On the wall its one root f > 0 is `sliding_speed`'s.
    """
    velocity = flow()
    loss_rate = (l_u * velocity.u + l_m * velocity.m).subs(η_R, ρ * η_D)
    condition = sp.expand(loss_rate / -η_D)
    (force,) = sp.solve(on_the_wall(condition), f)  # f > 0 leaves out the free flat, f = 0
    return Balance(sp.Eq(condition, 0), sp.factor(force.subs(ρ, η_R / η_D)))


def corrected() -> Expr:
    """General time for any wall and rates: η_D γ t = L + ∫ (η_D/(η_R w²)) |dm/du| dm.

    In the flat η_D γ dt = |du|, on the wall it is η_D γ |du| / |du/dt|. The |du| of both add up to L;
    what is left of the second, with |du| = dm/s, is the integrand. w is absolute, both w and s are
    taken on the wall at m, and m runs from E up to where the wall is met.
    """
    delay = sp.simplify((η_D * γ / -sliding_speed().speed - 1) / s)
    integrand = delay.subs({w: w_of_m, s: s_of_m})
    return sp.Eq(η_D * γ * t, L + sp.Integral(integrand, (m, m_E, m_E + h)))


def corrected_straight() -> Expr:
    """Integrate `corrected` for a straight wall and constant w; η_D = η_R w² makes it `printed`."""
    straight = corrected().subs({w_of_m: w, s_of_m: sp.tan(θ)}).doit()
    (time,) = sp.solve(straight, t)
    return sp.Eq(t, sp.expand(time * η_D * γ) / (η_D * γ))


def flat() -> Expr:
    """No wall, h = 0: the LU mechanism (P §2), ln(w_start/w_c)/(η_D γ)."""
    time = corrected_straight().rhs.subs({h: 0, L: sp.log(w_start) - sp.log(w_c)})
    return sp.Eq(t, sp.logcombine(time * η_D * γ) / (η_D * γ))


def formulas() -> list[tuple[str, str]]:
    """List (name, LaTeX) of every result above, in the order of the derivation."""
    sliding, balance = sliding_speed(), balance_condition()
    results = [
        ("printed (P §5.1)", printed()),
        ("balance of decay and loss (from P Eq. 6)", balance.condition),
        ("force on the wall, f = |∂l/∂u|", sp.Eq(f, sliding.force)),
        ("sliding speed along the wall", sp.Eq(u_dot, sliding.speed)),
        ("corrected, w and s = |dm/du| on the wall", corrected()),
        ("corrected, straight wall", corrected_straight()),
        ("flat, h = 0 (P §2)", flat()),
    ]
    return in_latex(results)


def in_latex(results: Iterable[tuple[str, sp.Basic]]) -> list[tuple[str, str]]:
    """Names and formulas, in LaTeX."""
    return [(name, str(sp.latex(equation, ln_notation=True))) for name, equation in results]


def show(found: Iterable[tuple[str, str]]) -> None:
    """Print formulas as Markdown."""
    for name, formula in found:
        print(f"- {name}: ${formula}$")


if __name__ == "__main__":
    show(formulas())
