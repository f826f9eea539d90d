"""The flow against two other integrators, and against the closed forms, on exponential walls.

l = 0.05 exp(-k (u - u_c(m))), θ, k, γ and η_R/η_D as below, the literal metric with w near 1 and near
40 at E. Every lane starts 20 e-foldings right of l = 0.05 at m = 0.5 and generalizes at m <= 0.1.
Times are of reaching that m, by `reduced.flow`, by CVODE of SUNDIALS, and by Radau of scipy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groktime.recipes.registry import recipe
from groktime.recipes.shared.tables import keep
from groktime.recipes.shared.walls import ExponentialWall, Floats
from groktime.reduced import closed_form, geometry
from groktime.reduced.flow import Status, integrate
from groktime.reduced.surface import Domain

THETAS = (30.0, 60.0, 80.0)  # degrees
STEEPNESS = (20.0, 50.0, 200.0)
DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)
RATIOS = (0.1, 1.0, 10.0)
NORMS = (1.0, 40.0)
A, M_START, M_END, FOLDS = 0.05, 0.5, 0.1, 20.0


@dataclass(frozen=True)
class Case:
    """One wall; its lanes are all pairs of DECAYS and RATIOS."""

    theta: float
    k: float
    norm: float

    @property
    def wall(self) -> ExponentialWall:
        angle = np.radians(self.theta)
        return ExponentialWall(A, self.k, angle, np.log(self.norm) - M_END / np.tan(angle))

    @property
    def u_start(self) -> float:
        return self.wall.foot(M_START) + FOLDS / self.k

    @property
    def domain(self) -> Domain:
        return Domain(self.wall.foot(0.0) - 1.0, self.u_start + 0.5, 0.0, 1.0)


CASES = tuple(Case(t, k, w) for t in THETAS for k in STEEPNESS for w in NORMS)
LANES = tuple((g, r) for g in DECAYS for r in RATIOS)


def generalized(u: Floats, m: Floats) -> Floats:
    return M_END - m


def flow_times(case: Case, lanes: Iterable[tuple[float, float]] = LANES) -> Floats:
    """η_D γ t of every lane by `reduced.flow`; NaN where it does not generalize."""
    gamma, ratio = np.array(list(lanes)).T
    done = integrate(
        case.wall,
        case.domain,
        gamma=gamma,
        ratio=ratio,
        u=case.u_start,
        m=M_START,
        generalized=generalized,
        memorized=generalized,
    )
    assert set(done.status) <= set(Status)
    return np.where(done.status == Status.GENERALIZES, done.generalized * gamma, np.nan)


class _Oracle:
    """Eq. 6 in η_D γ t, written down a second time, for one lane."""

    def __init__(self, case: Case, gamma: float, ratio: float) -> None:
        self.case, self.wall, self.gamma, self.ratio = case, case.wall, gamma, ratio

    def loss(self, u: float, m: float) -> float:
        wall = self.wall
        return float(wall.A * np.exp(min(-wall.k * (u - wall.u0 - m * wall.cot), 80.0)))

    def velocity(self, u: float, m: float) -> tuple[float, float]:
        push = self.wall.k * self.loss(u, m) / self.gamma
        return push * float(np.exp(-2 * u)) - 1, -self.ratio * push * self.wall.cot

    def jacobian(self, u: float, m: float) -> list[list[float]]:
        k, c = self.wall.k, self.wall.cot
        push = k * self.loss(u, m) / self.gamma
        radial = push * float(np.exp(-2 * u))
        turn = self.ratio * k * c * push
        return [[-(k + 2) * radial, k * c * radial], [turn, -c * turn]]

    # by then u has left the domain, whatever the wall does
    horizon = 200.0

    def cvode(self) -> float:
        from sksundae.cvode import CVODE

        def rate(_: float, y: Floats, out: Floats) -> None:
            out[:] = self.velocity(*y)

        def slopes(_: float, y: Floats, __: Floats, out: Floats) -> None:
            out[:] = self.jacobian(*y)

        def events(_: float, y: Floats, out: Floats) -> None:
            out[0], out[1] = y[1] - M_END, y[0] - self.case.domain.u_low

        tight = {"rtol": 1e-10, "atol": 1e-12, "max_num_steps": 100_000}
        solver = CVODE(rate, jacfn=slopes, eventsfn=events, num_events=2, **tight)
        path = solver.solve(np.array([0.0, self.horizon]), np.array([self.case.u_start, M_START]))
        if path.i_events is None or path.i_events[-1][0] == 0:
            return float("nan")
        return float(path.t_events[-1])

    def radau(self) -> float:
        from scipy.integrate import solve_ivp

        def arrives(_: float, y: Floats) -> float:
            return float(y[1] - M_END)

        def leaves(_: float, y: Floats) -> float:
            return float(y[0] - self.case.domain.u_low)

        arrives.terminal = leaves.terminal = True  # type: ignore[attr-defined]
        path = solve_ivp(
            lambda _, y: self.velocity(*y),
            (0.0, self.horizon),
            [self.case.u_start, M_START],
            method="Radau",
            jac=lambda _, y: self.jacobian(*y),
            events=(arrives, leaves),
            rtol=1e-10,
            atol=1e-12,
        )
        return float(path.t_events[0][0]) if len(path.t_events[0]) else float("nan")


def cvode_times(case: Case, lanes: Iterable[tuple[float, float]] = LANES) -> Floats:
    """The same by CVODE, rtol 1e-10."""
    return np.array([_Oracle(case, *lane).cvode() for lane in lanes])


def radau_times(case: Case, lanes: Iterable[tuple[float, float]] = LANES) -> Floats:
    """The same by Radau, rtol 1e-10."""
    return np.array([_Oracle(case, *lane).radau() for lane in lanes])


def closed_times(case: Case, lanes: Iterable[tuple[float, float]] = LANES) -> tuple[Floats, Floats]:
    """η_D γ t by the corrected form on the balance contour, and as printed (η_R = η_D) on l = 0.05."""
    gamma, ratio = np.array(list(lanes)).T
    start = {"u": np.full(len(gamma), case.u_start), "m": np.full(len(gamma), M_START)}
    shapes = geometry.contours(case.wall, case.domain, generalized, A, gamma=gamma, ratio=ratio, **start)
    each = list(zip(*shapes, gamma.tolist(), ratio.tolist(), strict=True))
    corrected = [g * closed_form.corrected(balance, g, 1.0, r) for _, balance, g, r in each]
    printed = [g * closed_form.printed(fixed, g, 1.0) for fixed, _, g, _ in each]
    return np.array(corrected), np.array(printed)


def worst(off: Floats) -> float:
    return float(np.nanmax(np.abs(off)))


def table() -> str:
    """Markdown: per θ and k, the worst over γ, η_R/η_D and w."""
    names = "θ, k, lanes, arrive, flow/CVODE − 1, flow/Radau − 1, flow/corrected − 1, printed/flow"
    lines = ["| " + names.replace(",", " |") + " |", "|---" * 8 + "|"]
    for theta in THETAS:
        for k in STEEPNESS:
            cases = [c for c in CASES if (c.theta, c.k) == (theta, k)]
            every = (np.concatenate(list(map(f, cases))) for f in (flow_times, cvode_times, radau_times))
            flow, cvode, radau = every
            corrected, printed = (np.concatenate(x) for x in zip(*map(closed_times, cases), strict=True))
            arrive = [np.isfinite(x) for x in (flow, cvode, radau)]
            doubt = "" if np.array_equal(arrive[0], arrive[1] & arrive[2]) else " (not all agree)"
            off, ratio = [worst(flow / x - 1) for x in (cvode, radau, corrected)], printed / flow
            lines.append(
                f"| {theta:.0f}° | {k:.0f} | {len(flow)} | {arrive[0].sum()}{doubt} "
                f"| {off[0]:.1e} | {off[1]:.1e} "
                f"| {off[2]:.2%} | {np.nanmin(ratio):.2f} to {np.nanmax(ratio):.2f} |"
            )
    return "\n".join(lines)


@recipe("table_flow", "the flow against CVODE, Radau and the closed forms, on exponential walls", minutes=1)
def run(out: Path) -> None:
    print(keep("flow", table()))
