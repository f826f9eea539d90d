"""Can the flow be trusted on a sampled cliff? Known landscapes, sampled and predicted from.

A cliff from 0.1 down to 1e-5 stands at a smooth monotone boundary u_b(m), one of many drawn at random; 20
curves a row take some minutes. It is sampled on a grid with log-normal noise (σ = 0.5) on the floor, as the
sampler leaves it on real networks, and the flow over it is held against the exact time: by formula for a
step, by the flow on the known surface for a cliff of steepness k = 200. Beside it the same flow on a bicubic
spline of the logarithm of the loss, knots at the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, RectBivariateSpline

from groktime.recipes.registry import recipe
from groktime.recipes.shared.tables import keep
from groktime.recipes.shared.walls import Curve, Floats, KnownCliff, Six
from groktime.reduced.flow import FlowResult, Status, integrate
from groktime.reduced.landscape import Landscape
from groktime.reduced.surface import Domain, LossSurface, surface_of

W0, M_TOP = 9.0, 0.1
U_START, M_START, M_END = float(np.log(W0 * 3.95)), 0.08, 0.012
DOMAIN = Domain(float(np.log(W0 * 2.5)), float(np.log(W0 * 4.0)), 0.0, M_TOP)
GAMMAS = np.array([1e-3, 1e-2])
STEP = float("inf")
SIZES = ((16, 11), (21, 21), (41, 41))  # cells of α x cells of m
FLOOR_NOISE, QUANTILE = 0.5, 1.645


def clean(u: Floats, m: Floats) -> Floats:
    return M_END - m


@cache
def curve(seed: int) -> CubicSpline:
    """A smooth monotone u_b(m), from α = 2.6 to 2.9 at m = 0 to 3.4 to 3.9 at m = 0.1.

    Its slope is the exponential of four random cosines, scaled to the two ends.
    """
    rng = np.random.default_rng(seed)
    waves = rng.normal(0, 0.6, 4)
    low, high = np.log(rng.uniform(2.6, 2.9)), np.log(rng.uniform(3.4, 3.9))
    t = np.linspace(0, 1, 2001)
    slope = np.exp(sum(c * np.cos(np.pi * (k + 1) * t) for k, c in enumerate(waves)))
    rise = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2)])
    return CubicSpline(t * M_TOP, np.log(W0) + low + (high - low) * rise / rise[-1])


def cliff(boundary: CubicSpline, k: float) -> KnownCliff:
    """The landscape itself."""
    return KnownCliff(k, boundary, boundary.derivative(), boundary.derivative(2))


def sample(boundary: Curve, k: float, size: tuple[int, int], seed: int) -> Landscape:
    """The landscape as a file would hold it: size is cells of α x cells of m."""
    rng = np.random.default_rng([seed, *size])
    alpha, m = np.linspace(2.5, 4, size[0]), np.linspace(0, M_TOP, size[1])
    x = np.log(alpha * W0)[None] - boundary(m)[:, None]
    wall = 1 / (1 + np.exp(np.clip(min(k, 1e12) * x, -700, 700)))
    loss = 1e-5 * np.exp(FLOOR_NOISE * rng.standard_normal(x.shape)) + 0.1 * wall
    return Landscape.from_arrays(
        alpha=alpha,
        m=m,
        train_loss=loss,
        test_loss=loss + 0.1,
        train_accuracy=(loss < 0.05) * 1.0,
        test_accuracy=np.broadcast_to(np.clip(1 - 3 * m, 0, 1)[:, None], loss.shape),
        w0=W0,
        delta_norm=1.0,
    )


@dataclass(frozen=True)
class RawSpline:
    """A bicubic spline of log l with its knots at the samples [m, u]: what one would try first."""

    spline: RectBivariateSpline

    @staticmethod
    def through(land: Landscape) -> RawSpline:
        one = land.one(0)
        u = np.log(one["alpha"].values * W0)
        return RawSpline(RectBivariateSpline(u, one["m"].values, np.log(one["train_loss"].values).T))

    def derivatives(self, u: Floats, m: Floats, second: bool = True, wall: Floats | float = 0.0) -> Six:
        f, u = self.spline, u - wall
        loss, yu, ym = np.exp(f.ev(u, m)), f.ev(u, m, 1, 0), f.ev(u, m, 0, 1)
        if not second:
            return loss, loss * yu, loss * ym, loss, loss, loss
        yuu, yum, ymm = (f.ev(u, m, *orders) for orders in ((2, 0), (1, 1), (0, 2)))
        curved = loss * (yuu + yu**2), loss * (yum + yu * ym), loss * (ymm + ym**2)
        return loss, loss * yu, loss * ym, *curved


def flow(surface: LossSurface, move: tuple[float, float], wall: float = 0.0) -> FlowResult:
    """Both decays from the start; a threshold on m."""
    return integrate(
        surface,
        DOMAIN,
        gamma=GAMMAS,
        ratio=1.0,
        u=U_START,
        m=M_START,
        generalized=clean,
        memorized=clean,
        wall=wall,
        largest_move=move,
    )


def half_a_cell(size: tuple[int, int]) -> tuple[float, float]:
    alpha = np.linspace(2.5, 4, size[0])
    return float(np.diff(np.log(alpha)).min()) / 2, M_TOP / (size[1] - 1) / 2


def exact_times(seed: int, k: float) -> Floats:
    """η_D t: of an infinitely steep wall by the corrected formula, of a finite one by the flow on it."""
    boundary = curve(seed)
    if np.isinf(k):
        m = np.linspace(M_END, M_START, 4001)
        slide = np.trapezoid(np.exp(-2 * boundary(m)) / boundary(m, 1), m)
        return (U_START - float(boundary(M_END)) + float(slide)) / GAMMAS
    return flow(cliff(boundary, k), (0.005, 0.005)).generalized


@dataclass(frozen=True)
class Trial:
    """One curve on one grid, for both decays: [γ]."""

    seed: int
    status: NDArray[np.object_]
    error: Floats  # predicted / exact - 1, NaN where the flow does not arrive
    inside: NDArray[np.bool_]  # exact time within the interval
    open_ends: NDArray[np.intp]  # how many of the interval's two ends do not arrive
    raw_status: NDArray[np.object_]
    raw_error: Floats


@cache
def trial(seed: int, k: float, size: tuple[int, int], raw: bool = True, interval: bool = True) -> Trial:
    """Sample, fit, predict; without the raw spline or the interval where they are not asked for."""
    land = sample(curve(seed), k, size, seed)
    exact, move = exact_times(seed, k), half_a_cell(size)
    surface = surface_of(land, 0)
    middle = flow(surface, move)
    # the interval of `reduced.prediction`: an end that does not arrive is infinite
    sides = (z * surface.boundary.deviation for z in (-QUANTILE, QUANTILE) if interval)
    moved = (flow(surface, move, wall).generalized for wall in sides)
    ends = np.stack([middle.generalized, *moved])
    trapped = np.isnan(ends[1:]).sum(0)
    ends[np.isnan(ends)] = np.inf
    spline = flow(RawSpline.through(land), move) if raw else middle
    return Trial(
        seed,
        middle.status,
        middle.generalized / exact - 1,
        (ends.min(0) <= exact) & (exact <= ends.max(0)),
        trapped,
        spline.status,
        spline.generalized / exact - 1,
    )


@dataclass(frozen=True)
class Summary:
    """All curves and decays of one cliff on one grid. Errors are of those that arrive."""

    cases: int
    false: int  # not reported as generalizing
    median: float
    p95: float
    worst: float
    inside: float
    open_ends: int
    raw_false: int
    raw_median: float
    raw_worst: float


def summary(trials: Sequence[Trial]) -> Summary:
    def together(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(t, name) for t in trials])

    error, raw = np.abs(together("error")), np.abs(together("raw_error"))
    raw = raw[np.isfinite(raw)]
    return Summary(
        cases=len(error),
        false=int((together("status") != Status.GENERALIZES).sum()),
        median=float(np.nanmedian(error)),
        p95=float(np.nanquantile(error, 0.95)),
        worst=float(np.nanmax(error)),
        inside=float(together("inside").mean()),
        open_ends=int(together("open_ends").sum()),
        raw_false=int((together("raw_status") != Status.GENERALIZES).sum()),
        raw_median=float(np.median(raw)) if len(raw) else float("nan"),
        raw_worst=float(raw.max()) if len(raw) else float("nan"),
    )


def _percent(x: float) -> str:
    return "–" if np.isnan(x) else f"{x:.1%}"


def row(k: float, size: tuple[int, int], s: Summary) -> str:
    name = "step" if np.isinf(k) else f"k = {k:.0f}"
    return (
        f"| {name} | {size[0]} × {size[1]} | {s.cases} "
        f"| {s.false} | {s.median:.1%} | {s.p95:.1%} | {s.worst:.1%} | {s.inside:.0%} | {s.open_ends} "
        f"| {s.raw_false} | {_percent(s.raw_median)} | {_percent(s.raw_worst)} |"
    )


HEAD = (
    "| cliff | α × m | cases | not arriving | median error | 95 % | worst | in the interval "
    "| its ends at ∞ | raw spline: not arriving | median error | worst |\n" + "|---" * 12 + "|"
)


@recipe("table_cliffs", "the flow on sampled cliffs that are known exactly")
def run(out: Path, *, curves: Annotated[int, "random boundaries a row (20)"] = 20) -> None:
    """Print one line of the table as soon as it is known."""
    lines = [HEAD]
    print(HEAD, flush=True)
    every: list[Trial] = []
    for k in (STEP, 200.0):
        for size in SIZES:
            trials = [trial(seed, k, size) for seed in range(curves)]
            every += trials
            lines.append(row(k, size, summary(trials)))
            print(lines[-1], flush=True)
    keep("cliffs", "\n".join(lines))
    print(f"\nIn the interval over all {2 * len(every)} cases: {summary(every).inside:.1%}")
