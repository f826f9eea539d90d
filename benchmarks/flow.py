"""Eq. 6 for 10,000 settings: `reduced.flow` in one call against a loop of scipy's LSODA.

    python benchmarks/flow.py [--lanes N] [--rival-lanes N] [--landscape NAME_OR_PATH] [--json]

Both sides integrate the same scaled equations on the same fitted surface (fitted once, outside of the
times), on the same machine in the same run, in turns (A B A B A B). The rival is given the analytic
Jacobian, a first event for the test threshold, others for the grid's edges and for rest, and steps no
longer than half a cell in u, as the flow itself takes: without that limit it can jump through a wall
thinner than a step. It runs over a random subset of the lanes, and its time is extrapolated lane by lane.
Both sides evaluate the surface with the same code, which is written for many points at once: of the
rival's time, the share spent in it is printed too.

Nothing is printed before both sides agree on the subset: the same end, and the same time to AGREE.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from groktime.reduced.errors import InputError
from groktime.reduced.flow import FlowResult, Status
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.system import System, systems
from groktime.reduced.what_if import what_if

Floats = NDArray[np.float64]

ROUNDS = 3
AGREE = 1e-3  # relative difference of the two times
ENOUGH = 0.9  # share of the subset that must agree for a table to be printed
TOLERANCE = 1e-6  # rtol and atol of the rival; the flow's own is 1e-6 of u and of m
# The rival is at rest below this share of free decay: sooner than the flow, which waits for 1e-7, and so
# to the rival's advantage. Its span is 1000 time constants of decay; the flow's is 10,000.
AT_REST = 1e-6
HORIZON = 1e3
MAP = 100  # decays, and rates, of the second row


@dataclass(frozen=True)
class Lanes:
    """γ, ρ = η_R/η_D and the one start (u = ln w, m)."""

    gamma: Floats
    ratio: Floats
    u: float
    m: float


@dataclass(frozen=True)
class End:
    """How a lane of the rival ended, and s = η_D t of generalizing (NaN: never)."""

    status: str
    time: float


@dataclass(frozen=True)
class Row:
    """Times in seconds of processor time; the rival's is extrapolated from the subset."""

    name: str
    ours: float
    rival: float
    ratio: float
    least: float
    most: float


def rival(system: System, gamma: float, ratio: float, u: float, m: float) -> End:
    """One lane by solve_ivp, in units of γ s = γ η_D t."""
    surface, domain = system.surface, system.surface.domain

    def point(y: Floats) -> tuple[Floats, Floats]:
        return np.array([y[0]]), np.clip(np.array([y[1]]), domain.m_low, domain.m_high)

    def held(m: float, lm: float) -> bool:  # at an end of m that is an end of the share itself
        low = domain.m_low == 0 and m <= 0 and lm >= 0
        return low or (domain.m_high == 1 and m >= 1 and lm <= 0)

    def velocity(_: float, y: Floats) -> list[float]:
        lu, lm = surface.derivatives(*point(y), second=False)[1:3]
        du = -(lu[0] * np.exp(-2 * y[0]) / gamma + 1)
        return [du, 0.0 if held(y[1], lm[0]) else -ratio / gamma * lm[0]]

    def jacobian(_: float, y: Floats) -> list[list[float]]:
        _, lu, lm, luu, lum, lmm = (x[0] for x in surface.derivatives(*point(y)))
        shrink, push = np.exp(-2 * y[0]) / gamma, 0.0 if held(y[1], lm) else ratio / gamma
        return [[-shrink * (luu - 2 * lu), -shrink * lum], [-push * lum, -push * lmm]]

    def passes(_: float, y: Floats) -> float:
        return float(system.generalized(*point(y))[0])

    def low(_: float, y: Floats) -> float:
        return float(y[0] - domain.u_low)

    def high(_: float, y: Floats) -> float:
        return float(domain.u_high - y[0])

    def side(_: float, y: Floats) -> float:
        bottom = np.inf if domain.m_low == 0 else y[1] - domain.m_low
        top = np.inf if domain.m_high == 1 else domain.m_high - y[1]
        return float(min(bottom, top, 1.0))

    def rest(t: float, y: Floats) -> float:
        return float(np.max(np.abs(velocity(t, y)))) - AT_REST

    events: list[Any] = [passes, low, high, side, rest]
    for event in events:
        event.terminal = True
    if passes(0.0, np.array([u, m])) >= 0:
        return End(Status.ALREADY.value, 0.0)
    found = solve_ivp(
        velocity,
        (0.0, HORIZON),
        [u, m],
        method="LSODA",
        rtol=TOLERANCE,
        atol=TOLERANCE,
        max_step=system.move[0],  # in γ s, u falls by 1 in 1 while it decays freely
        events=events,
        jac=jacobian,
    )
    if found.status < 0:
        return End(f"failed: {found.message}", np.nan)
    hit = [len(t) > 0 for t in found.t_events]
    if hit[0]:
        return End(Status.GENERALIZES.value, float(found.t_events[0][0]) / gamma)
    if hit[1]:
        return End(Status.COLLAPSES.value, np.nan)
    if hit[2] or hit[3]:
        return End(Status.OUTSIDE.value, np.nan)
    at_bottom = found.y[1, -1] <= domain.m_low
    return End((Status.NEVER if at_bottom else Status.TRAPPED).value, np.nan)


def ours(system: System, lanes: Lanes) -> FlowResult:
    """All lanes in one call."""
    return system.flow(gamma=lanes.gamma, ratio=lanes.ratio, u=lanes.u, m=lanes.m, wall=False)[0]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time, of all threads: wall time would hold others' work."""
    begin = time.process_time()
    value = call()
    return time.process_time() - begin, value


def disagreements(flow: FlowResult, ends: list[End], subset: NDArray[np.intp], lanes: Lanes) -> list[str]:
    """The lanes of the subset on which the two sides do not agree, each in a line."""
    out = []
    for end, k in zip(ends, subset, strict=True):
        mine, t = str(flow.status[k]), float(flow.generalized[k])
        same = mine == end.status and (np.isnan(t) or abs(t - end.time) <= AGREE * abs(end.time))
        if not same:
            out.append(
                f"gamma = {lanes.gamma[k]:.6g}, ratio = {lanes.ratio[k]:.6g}: "
                f"flow {mine} s = {t:.8g}, LSODA {end.status} s = {end.time:.8g}"
            )
    return out


def in_surface(system: System, lanes: Lanes, subset: NDArray[np.intp]) -> tuple[float, float]:
    """Of the rival: evaluations of the surface a lane, and the share of its time they take."""
    calls, spent = 0, 0.0

    class Counted:
        domain = system.surface.domain

        def derivatives(self, u: Floats, m: Floats, second: bool = True, wall: Floats | float = 0.0) -> Any:
            nonlocal calls, spent
            seconds, value = timed(lambda: system.surface.derivatives(u, m, second, wall))
            calls, spent = calls + 1, spent + seconds
            return value

    counted = System(**(vars(system) | {"surface": Counted()}))
    some = subset[: max(1, len(subset) // 6)]
    total, _ = timed(lambda: [rival(counted, lanes.gamma[k], lanes.ratio[k], lanes.u, lanes.m) for k in some])
    return calls / len(some), spent / total


def row(name: str, pairs: list[tuple[float, float]]) -> Row:
    """The medians of both sides' times and of the rounds' ratios."""
    ratios = [b / a for a, b in pairs]
    mine, other = (statistics.median(x) for x in zip(*pairs, strict=True))
    return Row(name, mine, other, statistics.median(ratios), min(ratios), max(ratios))


def run(land: Landscape, options: argparse.Namespace) -> dict[str, Any]:
    """Both rows, and how far the two sides agree."""
    rng = np.random.default_rng(options.random_seed)
    seed = land.seeds[0] if options.seed is None else options.seed
    (system,) = systems(land, seed=seed)
    n = options.lanes
    lanes = Lanes(
        gamma=np.exp(rng.uniform(np.log(1e-4), np.log(1e-1), n)),
        ratio=np.exp(rng.uniform(np.log(0.1), np.log(10.0), n)),
        u=float(np.log(options.alpha * system.w0)),
        m=options.m,
    )
    subset = np.sort(rng.choice(n, min(options.rival_lanes, n), replace=False))
    decays, rates = np.geomspace(1e-4, 1e-1, MAP), np.geomspace(1e-4, 1e-1, MAP)

    def loop() -> list[End]:
        return [rival(system, lanes.gamma[k], lanes.ratio[k], lanes.u, lanes.m) for k in subset]

    def whole_map() -> Any:
        return what_if(land, gamma=decays, eta_d=rates, alpha=options.alpha, m=options.m, seed=seed)

    few = Lanes(lanes.gamma[:8], lanes.ratio[:8], lanes.u, lanes.m)
    ours(system, few)  # warm both sides up
    rival(system, lanes.gamma[0], lanes.ratio[0], lanes.u, lanes.m)
    first: list[tuple[float, float]] = []
    second: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        a, flow = timed(lambda: ours(system, lanes))
        b, ends = timed(loop)
        c, _ = timed(whole_map)
        each = b / len(subset)
        first.append((a, each * n))
        second.append((c, each * MAP * MAP))
        print(f"round {number + 1}: {a:.2f} s, {b:.2f} s, {c:.2f} s", file=sys.stderr)
    differ = disagreements(flow, ends, subset, lanes)
    evaluations, share = in_surface(system, lanes, subset)
    names, counts = np.unique(flow.status.astype(str), return_counts=True)
    return {
        "rows": [
            vars(row(f"{n:,} distinct lanes", first)),
            vars(row(f"what_if map of {MAP} x {MAP}, one ratio", second)),
        ],
        "agree": 1 - len(differ) / len(subset),
        "disagreeing": differ,
        "ends": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "steps": float(np.mean(flow.steps)),
        "evaluations": evaluations,
        "surface_share": share,
        "landscape": land.source,
        "seed": seed,
        "start": {"alpha": options.alpha, "m": options.m},
        "lanes": n,
        "rival_lanes": len(subset),
        "machine": machine(),
        "versions": {k: version(k) for k in ("numpy", "scipy", "xarray")}
        | {"python": platform.python_version()},
    }


def machine() -> str:
    """Processor, cores and the load at the end: others' work on them makes ratios wander."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), platform.machine())
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    return f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, OMP_NUM_THREADS {threads}"


def table(found: dict[str, Any]) -> str:
    """The result as Markdown."""
    start = found["start"]
    lines = [
        f"{found['landscape']}, seed {found['seed']}, start alpha = {start['alpha']:g}, m = {start['m']:g}; "
        f"ends: {', '.join(f'{k} {v:,}' for k, v in found['ends'].items())}.",
        "",
        "| settings | groktime (CPU s) | LSODA loop (CPU s, extrapolated) | LSODA / groktime (min-max) |",
        "|---|---:|---:|---:|",
    ]
    for r in found["rows"]:
        lines.append(
            f"| {r['name']} | {r['ours']:.3g} | {r['rival']:.3g} | "
            f"{r['ratio']:,.0f} ({r['least']:,.0f}-{r['most']:,.0f}) |"
        )
    lines += [
        "",
        f"Medians of {ROUNDS} rounds in turns. The rival ran {found['rival_lanes']} random lanes; its "
        "time is extrapolated: that of a lane, times the number of settings. Status and time (to "
        f"{AGREE:g}) agree on {found['agree']:.1%} of them.",
        f"The flow takes {found['steps']:.0f} steps a lane in the mean; the rival evaluates the surface "
        f"{found['evaluations']:,.0f} times a lane, {found['surface_share']:.0%} of its time.",
        f"The map holds only {MAP} distinct lanes, as steps are s/eta_D; a loop that used this too would be "
        f"{MAP} times as fast there. what_if's time holds the fit of the surface; the rival's does not.",
        f"{found['machine']}; {', '.join(f'{k} {v}' for k, v in found['versions'].items())}.",
    ]
    return "\n".join([*lines, *(f"DISAGREES {text}" for text in found["disagreeing"])])


def main() -> int:
    """Run it; 1 where the two sides do not agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lanes", type=int, default=10_000)
    parser.add_argument("--rival-lanes", type=int, default=60)
    parser.add_argument("--landscape", default="addition", help="a shipped name or a path")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the landscape (1, whose start slides along the wall)"
    )
    parser.add_argument("--alpha", type=float, default=3.9, help="start")
    parser.add_argument("--m", type=float, default=0.08, help="start")
    parser.add_argument("--random-seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        found = run(open_landscape(options.landscape), options)
    except InputError as error:
        parser.error(str(error))
    good = found["agree"] >= ENOUGH
    if not good:
        print("\n".join(found["disagreeing"]), file=sys.stderr)
        print(f"the two sides agree on {found['agree']:.1%} only: no table", file=sys.stderr)
    elif options.json:
        print(json.dumps(found))
    else:
        print(table(found))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
