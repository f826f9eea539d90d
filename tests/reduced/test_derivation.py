"""Each formula of `reduced.derivation`, against its statement and against the integrated flow."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sympy as sp  # type: ignore[import-untyped]
from scipy.integrate import quad, solve_ivp  # type: ignore[import-untyped]

from groktime.reduced import derivation as d
from groktime.reduced.derivation import Expr, L, f, h, m, s, t, w, γ, η_D, η_R, θ, ρ

ROOT = Path(__file__).parents[2]
TAN = r"\frac{L + h \tan{\left(\theta \right)}}{\eta_{D} \gamma}"
LN = r"\frac{\ln{\left(\frac{w_{start}}{w_{c}} \right)}}{\eta_{D} \gamma}"
EUCLIDEAN = {η_D: η_R, w: 1}  # the metric in which P's force is normal to the wall


def same(a: Expr, b: Expr) -> bool:
    return bool(sp.simplify(a - b) == 0)


# ---- symbols ----


def test_printed_is_the_formula_of_the_paper() -> None:
    assert d.printed().lhs == t
    assert same(d.printed().rhs, (L + h * sp.tan(θ)) / (η_D * γ))


def test_flow_is_eq_6() -> None:
    velocity = d.flow()
    assert same(velocity.u, -η_D * (d.l_u / w**2 + γ))
    assert same(velocity.m, -η_R * d.l_m)


def test_sliding_force_and_speed() -> None:
    force, speed = d.sliding_speed()
    assert same(force, η_D * γ * s**2 / (η_R + (η_D / w**2) * s**2))
    assert same(speed, -η_D * γ / (1 + η_D * s**2 / (η_R * w**2)))


def test_sliding_stays_on_the_contour_and_goes_down() -> None:
    force, speed = d.sliding_speed()
    velocity = d.Velocity(*(d.on_the_wall(v).subs(f, force) for v in d.flow()))
    assert same(velocity.u, speed)
    assert same(velocity.m, s * speed)
    assert speed.is_negative and (s * speed).is_negative


def test_papers_speed_on_the_wall_is_the_euclidean_case() -> None:
    """P §5.1 states v cos θ without proof; ds along the wall is |du| / cos θ."""
    along = -d.sliding_speed().speed.subs({s: sp.tan(θ)} | EUCLIDEAN) / sp.cos(θ)
    assert same(along, η_R * γ * sp.cos(θ))
    general = -d.sliding_speed().speed.subs(s, sp.tan(θ)) / sp.cos(θ)
    assert not same(general, η_D * γ * sp.cos(θ))


def test_balance_is_the_stationary_loss() -> None:
    condition, force = d.balance_condition()
    assert condition.rhs == 0
    assert same(condition.lhs, d.l_u**2 / w**2 + ρ * d.l_m**2 + γ * d.l_u)
    velocity = d.flow()
    rate = d.l_u * velocity.u + d.l_m * velocity.m
    assert same(rate.subs(η_R, ρ * η_D), -η_D * condition.lhs)
    assert same(force, d.sliding_speed().force)


def test_lower_decay_follows_a_lower_contour() -> None:
    assert sp.simplify(sp.diff(d.sliding_speed().force, γ)).is_positive


def test_corrected_is_one_integral_along_the_wall() -> None:
    equation = d.corrected()
    (integral,) = equation.rhs.atoms(sp.Integral)
    assert equation.lhs == η_D * γ * t and equation.rhs == L + integral
    assert same(integral.function, η_D / (η_R * d.w_of_m**2) * d.s_of_m)
    assert integral.limits == ((m, d.m_E, d.m_E + h),)


def test_corrected_is_the_time_of_the_two_legs() -> None:
    """Independent of the integral: a straight wall walked at the sliding speed, as P walks it."""
    L1, run = L - h * sp.cot(θ), h * sp.cot(θ)
    time = L1 / (η_D * γ) - run / d.sliding_speed().speed.subs(s, sp.tan(θ))
    assert same(d.corrected_straight().rhs, time)


def test_corrected_on_a_straight_wall() -> None:
    time = d.corrected_straight().rhs
    assert same(time, (L + η_D / (η_R * w**2) * h * sp.tan(θ)) / (η_D * γ))
    assert same(time.subs(η_D, η_R * w**2), d.printed().rhs.subs(η_D, η_R * w**2))
    assert not same(time.subs(η_D, η_R), d.printed().rhs.subs(η_D, η_R))  # equal rates are not enough


def test_flat() -> None:
    assert d.flat().rhs == sp.log(d.w_start / d.w_c) / (η_D * γ)
    assert same(d.printed().rhs.subs(h, 0), d.corrected_straight().rhs.subs(h, 0))


# ---- numbers: Eq. 6 integrated on the exponential wall l = exp(-k (u - u_c(m))) ----


@dataclass(frozen=True)
class Wall:
    """u_c(m) = a m + b m², steepness k, decay γ, η_D = 1, η_R = `ratio`; Euclidean or literal metric."""

    a: float
    b: float
    k: float
    decay: float
    ratio: float = 1.0
    euclidean: bool = False

    def u_c(self, x: float) -> float:
        return self.a * x + self.b * x**2

    def slope(self, x: float) -> float:
        """Return s = |dm/du| at m = x."""
        return 1 / (self.a + 2 * self.b * x)

    def time(self, u: float, m_start: float, m_end: float) -> tuple[float, float]:
        """η_D γ t and u when Eq. 6, integrated, brings m to m_end."""

        def velocity(_: float, y: list[float]) -> list[float]:
            # trial steps of the solver reach far behind the wall: capped at l = e and w = 1/e
            force = self.k * np.exp(min(self.k * (self.u_c(y[1]) - y[0]), 1))
            metric = 1 if self.euclidean else np.exp(-2 * max(y[0], -1))
            return [metric * force / self.decay - 1, -self.ratio * force / self.slope(y[1]) / self.decay]

        def arrives(_: float, y: list[float]) -> float:
            return y[1] - m_end

        arrives.terminal = True  # type: ignore[attr-defined]
        start = (u, m_start)
        tight = {"rtol": 1e-10, "atol": 1e-12}
        path = solve_ivp(velocity, (0, 50), start, method="Radau", events=arrives, **tight)
        assert path.status == 1
        return float(path.t[-1]), float(path.y[0, -1])


def test_straight_wall_in_the_euclidean_metric() -> None:
    """The example of theory.md, "Which contour".

    Printed there: 1.2094 integrated, 1.4316 fixed contour, 1.2096 balance contour. They come out, to
    2e-4, for A = 1 with the fixed contour l = A, through u_wall = u_c. The exact solution of this wall
    is 1.209457, by integration and by formula alike. The contour l = 0.05 would give 1.3717.
    """
    slope, k, decay, fall, gap = float(np.tan(np.pi / 3)), 50.0, 1e-3, 0.49, 0.3
    wall = Wall(1 / slope, 0, k, decay, euclidean=True)
    flow, _ = wall.time(wall.u_c(0.5) + gap, 0.5, 0.5 - fall)
    numbers = {η_D: 1, η_R: 1, γ: decay, w: 1, s: slope, θ: sp.pi / 3, h: fall}

    def closed(level: float) -> float:
        foot = -np.log(level) / k  # the contour l = level stands at u_c + foot
        return decay * float(d.corrected_straight().rhs.subs(numbers | {L: gap - foot + fall / slope}))

    balance = closed(float(d.sliding_speed().force.subs(numbers)) / k)
    assert flow == pytest.approx(balance, rel=1e-8)
    assert [flow, closed(1.0), balance] == pytest.approx([1.2094, 1.4316, 1.2096], abs=2e-4)
    assert closed(0.05) == pytest.approx(1.3717, abs=1e-4)


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
def test_curved_wall_with_the_absolute_norm(ratio: float) -> None:
    """Literal Eq. 6, 1/w² and all: the general integral meets the flow, the printed formula does not."""
    wall = Wall(0.2, 0.3, k=400, decay=1e-2, ratio=ratio)  # w from 1 to 1.7
    m_start, m_end = 0.8, 0.1
    u_start = wall.u_c(m_start) + 0.2
    flow, u_end = wall.time(u_start, m_start, m_end)
    rates = {η_D: 1, η_R: ratio, γ: wall.decay}
    (integral,) = d.corrected().rhs.atoms(sp.Integral)
    integrand = sp.lambdify((d.w_of_m, d.s_of_m), integral.function.subs(rates))
    force = sp.lambdify((w, s), d.sliding_speed().force.subs(rates))

    def balance(x: float) -> float:
        """Return u on the balance contour, where the force k l has its value at this very u."""
        u = wall.u_c(x)
        for _ in range(30):
            u = wall.u_c(x) - np.log(force(np.exp(u), wall.slope(x)) / wall.k) / wall.k
        return float(u)

    def rate(x: float) -> float:
        return float(integrand(np.exp(balance(x)), wall.slope(x)))

    length, fall = u_start - balance(m_end), m_start - m_end
    assert u_end == pytest.approx(balance(m_end), abs=1e-4)
    assert length + quad(rate, m_end, m_start)[0] == pytest.approx(flow, rel=2e-4)
    secant = fall / (wall.u_c(m_start) - wall.u_c(m_end))
    as_printed = (d.printed().rhs * η_D * γ).subs({L: length, h: fall, sp.tan(θ): secant})
    assert abs(float(as_printed) / flow - 1) > 0.15


# ---- the printed page ----


def test_page_is_markdown_and_the_same_every_time() -> None:
    pages = [
        subprocess.run(
            [sys.executable, "-m", "groktime.reduced.derivation"],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout.decode()
        for seed in ("1", "2")
    ]
    assert pages[0] == pages[1]
    lines = pages[0].splitlines()
    assert lines == [f"- {name}: ${formula}$" for name, formula in d.formulas()]
    assert lines[0] == rf"- printed (P §5.1): $t = {TAN}$"
    assert lines[-1] == rf"- flat, h = 0 (P §2): $t = {LN}$"
