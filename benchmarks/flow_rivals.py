"""Eq. 6 for many settings: `reduced.flow` beside diffrax and numbalsoda, compiled, all lanes at once.

    python benchmarks/flow_rivals.py [--lanes N ...] [--rounds N] [--rivals diffrax numbalsoda]

diffrax: Kvaerno5 under `jit` and `vmap`, with the test threshold, the grid's edge and rest as its events,
and steps no longer than half a cell in u, as the flow's. numbalsoda: LSODA in a loop that numba compiles.
It has no events, so each lane is integrated to the time at which the flow says that it ends, which a user
would not know; and no largest step, so that it may jump over a thin wall. Both have `reduced.surface`
written anew for their compiler; compiling is not in the times. Before a time is printed, the shares of lanes
that agree are: with diffrax in the end and the time (to 0.001), with numbalsoda in the place (to 0.001) at
that time. Seconds of the processor, of all threads; medians of rounds in turns.

The flow's own events are timed as well: what the tests, the edges and the search within steps take of it.

Needs diffrax and numbalsoda; a rival that is not installed is left out. numbalsoda 0.2.1 is the last that
needs no Fortran, and with a recent CMake is built with CMAKE_POLICY_VERSION_MINIMUM=3.5.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from flow import AGREE, AT_REST, HORIZON, TOLERANCE, Floats, Lanes, machine, ours, timed

from groktime.reduced import flow
from groktime.reduced.flow import FlowResult, Status
from groktime.reduced.landscape import open_landscape
from groktime.reduced.surface import Field
from groktime.reduced.system import System, systems

Side = Callable[[Lanes, FlowResult], tuple[Floats, ...]]  # lanes, and what the flow found of them
Three = Callable[[Any, Any], tuple[Any, Any, Any]]  # a point (u, m) -> y, ∂y/∂u, ∂y/∂m

STEPS = 20_000  # at most, of a lane


def surface_of(field: Field, xp: Any, compiled: Callable[[Any], Any]) -> Three:
    """`Field.derivatives` at one point, in plain arithmetic that `compiled` can take: `xp` is jax.numpy, or
    numpy for numba."""
    curve, profile, rest = field.boundary.curve, field.profile, field.rest
    assert rest is not None
    b, s, c = (xp.asarray(x.pieces) for x in (curve, profile, rest))
    grid_u, grid_m = xp.asarray(rest.u), xp.asarray(rest.m)
    b0, db, s0, ds = curve.start, curve.step, profile.start, profile.step
    last_b, last_s, last_u, last_m = (
        n - 1 for n in (curve.pieces.shape[1], profile.pieces.shape[1], len(rest.u) - 1, len(rest.m) - 1)
    )
    floored, floor, bend = field.floor is not None, field.floor or 0.0, field._BEND
    larger, smaller, search, exp, log1p = (
        (max, min, np.searchsorted, np.exp, np.log1p)
        if xp is np
        else (xp.maximum, xp.minimum, xp.searchsorted, xp.exp, xp.log1p)
    )
    whole = int if xp is np else lambda t: xp.trunc(t).astype(int)

    def three(u: Any, m: Any) -> tuple[Any, Any, Any]:
        t = (m - b0) / db
        k = smaller(larger(whole(t), 0), last_b)
        t = t - k
        wall = ((b[0, k] * t + b[1, k]) * t + b[2, k]) * t + b[3, k]
        wall_m = ((3 * b[0, k] * t + 2 * b[1, k]) * t + b[2, k]) / db
        t = (u - wall - s0) / ds
        k = smaller(larger(whole(t), 0), last_s)
        t = t - k
        y = ((s[0, k] * t + s[1, k]) * t + s[2, k]) * t + s[3, k]
        y_u = ((3 * s[0, k] * t + 2 * s[1, k]) * t + s[2, k]) / ds
        i = smaller(larger(search(grid_u, u, "right") - 1, 0), last_u)
        j = smaller(larger(search(grid_m, m, "right") - 1, 0), last_m)
        x, z, n = u - grid_u[i], m - grid_m[j], j * (last_u + 1) + i
        v = v_u = v_m = 0.0 * u
        for q in range(4):
            v_u = v_u * x + v
            v_m = v_m * x + ((3 * c[0, q, n] * z + 2 * c[1, q, n]) * z + c[2, q, n])
            v = v * x + (((c[0, q, n] * z + c[1, q, n]) * z + c[2, q, n]) * z + c[3, q, n])
        y_m = -y_u * wall_m + v_m
        y, y_u = y + v, y_u + v_u
        if not floored:
            return y, y_u, y_m
        near = exp(-abs(y - floor) / bend)
        loss = exp(larger(y, floor) + bend * log1p(near))
        weight = loss * (1 / (1 + exp(smaller((floor - y) / bend, 700.0))))
        return loss, weight * y_u, weight * y_m

    return compiled(three)  # type: ignore[no-any-return]


def diffrax_side(system: System) -> Side:
    """Status ("generalizes" or another end) and s = η_D t of each lane."""
    import diffrax
    import jax
    import optimistix
    from jax import numpy as jnp

    jax.config.update("jax_enable_x64", True)
    domain, margin = system.surface.domain, system.generalized
    three = surface_of(system.surface.train_loss, jnp, lambda f: f)
    tested = surface_of(margin.tested, jnp, lambda f: f)  # type: ignore[attr-defined]
    threshold, sign = margin.threshold, margin.sign  # type: ignore[attr-defined]

    def velocity(t: Any, y: Any, lane: Any) -> Any:
        gamma, ratio = lane
        m = jnp.clip(y[1], domain.m_low, domain.m_high)
        _, lu, lm = three(y[0], m)
        falls = -ratio / gamma * lm
        held = ((y[1] <= 0) & (domain.m_low == 0) & (falls <= 0)) | (
            (y[1] >= 1) & (domain.m_high == 1) & (falls >= 0)
        )
        return jnp.stack([-(lu * jnp.exp(-2 * y[0]) / gamma + 1), jnp.where(held, 0.0, falls)])

    def passes(y: Any) -> Any:
        return sign * (tested(y[0], jnp.clip(y[1], domain.m_low, domain.m_high))[0] - threshold)

    def goes_on(t: Any, y: Any, args: Any, **_: Any) -> Any:  # above 0 until the first of the ends
        edge = jnp.minimum(y[0] - domain.u_low, domain.u_high - y[0])
        rest = jnp.max(jnp.abs(velocity(t, y, args))) - AT_REST
        return jnp.minimum(jnp.minimum(edge, rest), -passes(y))

    def one(gamma: Any, ratio: Any, u: Any, m: Any) -> tuple[Any, Any]:
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(velocity), diffrax.Kvaerno5(), 0.0, HORIZON, 1e-4, jnp.stack([u, m]),
            (gamma, ratio), saveat=diffrax.SaveAt(t1=True), max_steps=STEPS, throw=False,
            stepsize_controller=diffrax.PIDController(TOLERANCE, TOLERANCE, dtmax=system.move[0]),
            event=diffrax.Event(goes_on, optimistix.Bisection(1e-10, 1e-10)),
        )  # fmt: skip
        return passes(found.ys[0]) > -1e-6, found.ts[0] / gamma

    solve = jax.jit(jax.vmap(one))

    def side(lanes: Lanes, _: FlowResult) -> tuple[Floats, ...]:
        n = len(lanes.gamma)
        there, s = solve(lanes.gamma, lanes.ratio, np.full(n, lanes.u), np.full(n, lanes.m))
        return np.asarray(there), np.asarray(s)

    return side


def numbalsoda_side(system: System) -> Side:
    """(u, m) of each lane at the s at which the flow says that it ends."""
    from numba import carray, cfunc, njit
    from numbalsoda import lsoda, lsoda_sig

    three = surface_of(system.surface.train_loss, np, njit)
    domain = system.surface.domain
    low, high, at_bottom, at_top = domain.m_low, domain.m_high, domain.m_low == 0, domain.m_high == 1

    @cfunc(lsoda_sig)  # type: ignore[untyped-decorator]
    def velocity(t: Any, y_: Any, dy: Any, lane_: Any) -> None:
        y, lane = carray(y_, (2,)), carray(lane_, (2,))
        gamma, ratio = lane[0], lane[1]
        _, lu, lm = three(y[0], min(max(y[1], low), high))
        falls = -ratio / gamma * lm
        held = (y[1] <= low and at_bottom and falls <= 0) or (y[1] >= high and at_top and falls >= 0)
        dy[0] = -(lu * np.exp(-2 * y[0]) / gamma + 1)
        dy[1] = 0.0 if held else falls

    address = velocity.address

    @njit  # type: ignore[untyped-decorator]
    def solve(gamma: Floats, ratio: Floats, u: float, m: float, end: Floats) -> Floats:
        out = np.empty((2, len(gamma)))
        for k in range(len(gamma)):
            lane = np.array([gamma[k], ratio[k]])
            found, _ = lsoda(
                address, np.array([u, m]), np.array([0.0, end[k]]), lane, rtol=TOLERANCE, atol=TOLERANCE
            )
            out[:, k] = found[-1]
        return out

    def side(lanes: Lanes, known: FlowResult) -> tuple[Floats, ...]:
        end = np.where(np.isnan(known.generalized), 1e-9, known.generalized * lanes.gamma)
        return tuple(solve(lanes.gamma, lanes.ratio, lanes.u, lanes.m, end))

    return side


def agree(name: str, answer: tuple[Floats, ...], found: FlowResult) -> float:
    """The share of lanes on which a rival and the flow agree; of those that generalize, without events."""
    there = found.status == Status.GENERALIZES
    if name == "diffrax":
        reached, s = answer
        same = np.abs(s / np.where(there, found.generalized, 1.0) - 1) <= AGREE
        return float(np.mean(np.where(there, reached & same, ~reached)))
    u, m = answer
    return float(np.mean(((np.abs(u - found.u) <= AGREE) & (np.abs(m - found.m) <= AGREE))[there]))


def events_share(system: System, lanes: Lanes) -> float:
    """The share of the flow's time that its events take: tests, edges, and the search within steps."""
    spent = 0.0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def timed_call(*args: Any) -> Any:
            nonlocal spent
            seconds, value = timed(lambda: call(*args))
            spent += seconds
            return value

        return timed_call

    run = flow._Run
    plain = run._accept, run._locate
    try:
        run._accept, run._locate = (counted(x) for x in plain)  # type: ignore[method-assign]
        total, _ = timed(lambda: ours(system, lanes))
    finally:
        run._accept, run._locate = plain  # type: ignore[method-assign]
    return spent / total


SIDES: Mapping[str, Callable[[System], Side]] = {"diffrax": diffrax_side, "numbalsoda": numbalsoda_side}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lanes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rivals", nargs="*", default=list(SIDES), choices=list(SIDES))
    options = parser.parse_args()
    (system,) = systems(open_landscape("addition"), seed=1)
    rivals = {name: SIDES[name](system) for name in options.rivals if find_spec(name)}
    print("| lanes | side | CPU s (min-max) | times the flow's | agrees |\n|---:|---|---:|---:|---:|")
    for n in options.lanes:
        rng = np.random.default_rng(0)
        gamma = np.exp(rng.uniform(np.log(1e-4), np.log(1e-1), n))
        ratio = np.exp(rng.uniform(np.log(0.1), np.log(10.0), n))
        lanes = Lanes(gamma, ratio, float(np.log(3.9 * system.w0)), 0.08)
        found = ours(system, lanes)
        shares = {name: agree(name, rival(lanes, found), found) for name, rival in rivals.items()}
        taken: dict[str, list[float]] = {name: [] for name in ("flow", *rivals)}
        for _ in range(options.rounds):
            taken["flow"].append(timed(lambda lanes=lanes: ours(system, lanes))[0])
            for name, rival in rivals.items():
                taken[name].append(timed(lambda r=rival, a=lanes, b=found: r(a, b))[0])
        base = statistics.median(taken["flow"])
        for name, times in taken.items():
            middle, told = statistics.median(times), f"{shares[name]:.1%}" if name in shares else ""
            print(f"| {n:,} | {name} | {middle:.3g} ({min(times):.3g}-{max(times):.3g}) "
                  f"| {middle / base:.2f} | {told} |", flush=True)  # fmt: skip
    print(f"\nThe flow's events take {events_share(system, lanes):.0%} of it. {machine()}.")


if __name__ == "__main__":
    sys.exit(main())
