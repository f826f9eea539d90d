"""Eq. 6 integrated: against other integrators, against the closed forms, and how a lane can end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from groktime.recipes.results import table_flow as study
from groktime.recipes.shared.walls import (
    ExponentialWall,
    Flat,
    Floats,
    KnownCliff,
    Scaled,
    ridge,
    straight_cliff,
)
from groktime.reduced import closed_form, geometry
from groktime.reduced.events import Test
from groktime.reduced.flow import FlowResult, Status, integrate
from groktime.reduced.surface import Domain

CASES = [pytest.param(c, id=f"θ={c.theta:.0f} k={c.k:.0f} w={c.norm:.0f}") for c in study.CASES]
STEEP = [p for p in CASES if p.values[0].k >= 50]

# ---- (a) exponential walls ----


@pytest.mark.parametrize("case", CASES)
def test_flow_is_cvodes_and_radaus(case: study.Case) -> None:
    """All 12 lanes of the wall (γ from 1e-4 to 1e-1, η_R/η_D from 0.1 to 10), both at rtol 1e-10."""
    flow = study.flow_times(case)
    for oracle in (study.cvode_times(case), study.radau_times(case)):
        assert np.array_equal(np.isnan(flow), np.isnan(oracle))
        assert flow == pytest.approx(oracle, rel=1e-3, nan_ok=True)
        assert flow == pytest.approx(oracle, rel=2e-7, nan_ok=True)  # what it does reach
    assert np.isfinite(flow).all()  # an exponential wall is passed by no decay


@pytest.mark.parametrize("case", STEEP)
def test_corrected_form_is_the_flow(case: study.Case) -> None:
    corrected, _ = study.closed_times(case)
    assert corrected == pytest.approx(study.flow_times(case), rel=0.02)


def test_corrected_form_does_not_hang_on_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A threshold on m just below the next of the rows that the contour is looked for on."""
    monkeypatch.setattr(study, "M_END", 0.1082)
    case = study.Case(60.0, 50.0, 1.0)
    corrected, _ = study.closed_times(case)
    assert corrected == pytest.approx(study.flow_times(case), rel=5e-3)


@pytest.mark.parametrize("case", [p for p in STEEP if p.values[0].norm == 40])
def test_printed_form_is_not_the_flow_at_large_norms(case: study.Case) -> None:
    """η_D = η_R w² is far from any of the rates: it is from 26 % to 20 times too long."""
    _, printed = study.closed_times(case)
    assert (printed / study.flow_times(case) > 1.2).all()


@pytest.mark.parametrize("theta", [30.0, 60.0, 80.0])
@pytest.mark.parametrize("norm", [1.0, 40.0])
@pytest.mark.parametrize("gamma", [1e-4, 1e-2])
def test_printed_is_corrected_where_its_assumptions_hold(theta: float, norm: float, gamma: float) -> None:
    """η_D = η_R w², a straight wall, w all but constant, and the contour that is slid along."""
    fall, k, ratio = 2e-3 * float(np.tan(np.radians(theta))), 5e3, norm**-2
    wall = ExponentialWall(0.05, k, np.radians(theta), np.log(norm))
    start = wall.foot(fall) + 20 / k
    domain = Domain(wall.foot(0.0) - 0.005, start + 1e-3, 0.0, 1.0)

    def at_zero(u: Floats, m: Floats) -> Floats:
        return -m

    lane = {"u": start, "m": fall, "gamma": gamma, "ratio": ratio}
    each = {name: np.array([value]) for name, value in lane.items()}
    (balance,) = geometry.contours(wall, domain, at_zero, 0.05, **each)[1]
    on_end = wall.derivatives(np.array([balance.u[0]]), np.array([balance.m[0]]))[0]
    (fixed,) = geometry.contours(wall, domain, at_zero, float(on_end[0]), **each)[0]
    printed = closed_form.printed(fixed, gamma, 1.0)
    # ln w leaves ln(norm), of which η_R w² = η_D is true, by less than this in all
    away = start - float(np.log(norm))
    assert away < 0.007
    assert printed == pytest.approx(closed_form.corrected(balance, gamma, 1.0, ratio), rel=2 * away)
    assert np.degrees(fixed.theta) == pytest.approx(theta, abs=0.05)


def test_table_has_a_row_for_each_angle_and_steepness() -> None:
    cases, study.CASES = study.CASES, study.CASES[:2]
    angles, study.THETAS = study.THETAS, study.THETAS[:1]
    steep, study.STEEPNESS = study.STEEPNESS, study.STEEPNESS[:1]
    try:
        lines = study.table().splitlines()
    finally:
        study.CASES, study.THETAS, study.STEEPNESS = cases, angles, steep
    assert len(lines) == 3
    assert lines[-1].startswith("| 30° | 20 | 24 | 24 |")
    assert len({line.count("|") for line in lines}) == 1


# ---- (b) how a lane can end ----

WIDE = Domain(float(np.log(5.0)), float(np.log(60.0)), 0.0, 0.1)
START = float(np.log(36.0))


def passes_below(w_c: float) -> Test:
    return lambda u, m: np.log(w_c) - u


def clean(u: Floats, m: Floats) -> Floats:
    return 0.012 - m


def nowhere(u: Floats, m: Floats) -> Floats:
    return np.full_like(u, -1.0)


def flat_run(gamma: ArrayLike, w_c: float = 20.0, u: ArrayLike = START, m: float = 0.05) -> FlowResult:
    test = passes_below(w_c)
    return integrate(Flat(), WIDE, gamma=gamma, ratio=1.0, u=u, m=m, generalized=test, memorized=test)


def test_flat_landscape_is_free_decay() -> None:
    gamma = np.geomspace(1e-6, 10, 15)
    done = flat_run(gamma)
    assert (done.status == Status.GENERALIZES).all()
    assert done.generalized == pytest.approx(np.log(36 / 20) / gamma, rel=1e-6)
    assert done.u == pytest.approx(np.full(15, np.log(20.0)), abs=1e-6)
    assert np.array_equal(done.m, np.full(15, 0.05))
    assert done.generalized[3] == pytest.approx(closed_form.flat(36.0, 20.0, gamma[3], 1.0), rel=1e-6)


def test_memorization_and_generalization_are_two_events() -> None:
    done = integrate(
        Flat(),
        WIDE,
        gamma=1e-3,
        ratio=1.0,
        u=START,
        m=0.05,
        generalized=passes_below(20.0),
        memorized=passes_below(30.0),
    )
    assert done.memorized[0] == pytest.approx(np.log(36 / 30) / 1e-3, rel=1e-6)
    assert done.generalized[0] == pytest.approx(np.log(36 / 20) / 1e-3, rel=1e-6)


def test_no_decay_never_generalizes() -> None:
    done = flat_run([0.0, 1e-3])
    assert list(done.status) == [Status.NEVER, Status.GENERALIZES]
    assert np.isnan(done.generalized[0])
    assert (done.u[0], done.m[0]) == (START, 0.05)


def test_start_that_passes_is_already_there() -> None:
    done = flat_run([1e-3, 0.0], u=np.log(19.0))
    assert list(done.status) == [Status.ALREADY] * 2
    assert list(done.generalized) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("u", "m"), [(np.log(61.0), 0.05), (np.log(4.9), 0.05), (START, 0.11), (START, -0.01)]
)
def test_start_off_the_grid_is_outside(u: float, m: float) -> None:
    done = flat_run(1e-3, u=u, m=m)
    assert done.status[0] == Status.OUTSIDE
    assert np.isnan([done.generalized[0], done.memorized[0]]).all()


def cliff_run(surface: KnownCliff, gamma: ArrayLike, domain: Domain = WIDE, wall: float = 0.0) -> FlowResult:
    return integrate(
        surface,
        domain,
        gamma=gamma,
        ratio=1.0,
        u=START,
        m=0.08,
        generalized=clean,
        memorized=clean,
        wall=wall,
        record=True,
    )


def cliff(k: float = 200.0) -> KnownCliff:
    """From w = 25 at m = 0 to 35 at m = 0.1."""
    slope = float(np.log(35 / 25)) / 0.1
    return KnownCliff(k, lambda m: np.log(25.0) + slope * m, lambda m: np.full_like(m, slope), np.zeros_like)


def test_strong_decay_passes_the_wall_and_collapses() -> None:
    """A plateau of 0.1 pushes u with at most 0.1 k / 4 w² = 0.01: a decay of 100 outruns it."""
    done = cliff_run(cliff(), [1e-3, 1e2])
    assert list(done.status) == [Status.GENERALIZES, Status.COLLAPSES]
    assert np.isnan(done.generalized[1])
    assert done.u[1] == pytest.approx(WIDE.u_low, abs=1e-6)
    assert done.m[1] > 0.012


def test_loss_that_holds_the_norm_is_never() -> None:
    """At m = 0 the wall stands at w = 25 and decay of 1e-4 cannot pass it: w = 20 is not reached."""
    test = passes_below(20.0)
    done = integrate(cliff(), WIDE, gamma=1e-4, ratio=1.0, u=START, m=0.0, generalized=test, memorized=test)
    assert done.status[0] == Status.NEVER
    assert done.m[0] == 0.0
    balance = float(np.exp(done.u[0]))
    assert 24.5 < balance < 27


def test_ridge_traps() -> None:
    done = cliff_run(ridge(200.0), [1e-4, 1e-3])
    assert (done.status == Status.TRAPPED).all()
    assert np.isnan(done.generalized).all()
    # at rest in the dip right of the bump, where the boundary has its minimum
    m = np.linspace(0.045, 0.08, 2001)
    dip = m[np.argmin(ridge(200.0).u_b(m))]
    assert done.m == pytest.approx(np.full(2, dip), abs=2e-3)


def test_leaving_the_grid_sideways_is_outside() -> None:
    """The wall leads below the lowest sampled m, which is not 0."""
    narrow = Domain(WIDE.u_low, WIDE.u_high, 0.03, 0.1)
    done = cliff_run(cliff(), 1e-3, domain=narrow)
    assert done.status[0] == Status.OUTSIDE
    assert done.m[0] == pytest.approx(0.03, abs=1e-6)


def test_flow_is_held_at_m_zero_and_goes_on() -> None:
    """m is a share: pushed to 0 it stays there, and decay goes on along the edge to the threshold."""
    test = passes_below(25.5)
    done = integrate(cliff(), WIDE, gamma=1e-3, ratio=1.0, u=START, m=0.05, generalized=test, memorized=test)
    assert done.status[0] == Status.GENERALIZES
    assert done.m[0] == 0.0


# ---- (c) what must not matter ----


def test_a_lane_among_a_thousand_is_the_lane_alone() -> None:
    rng = np.random.default_rng(0)
    n = 1000
    lanes = {
        "gamma": np.exp(rng.uniform(np.log(1e-4), np.log(10), n)),
        "ratio": np.exp(rng.uniform(np.log(0.1), np.log(10), n)),
        "u": np.log(rng.uniform(30, 62, n)),
        "m": rng.uniform(0.0, 0.1, n),
        "wall": rng.normal(0.0, 0.02, n),
        "tolerance": rng.choice([1e-4, 1e-6], n),
    }
    tests = {"generalized": clean, "memorized": passes_below(33.0)}
    together = integrate(cliff(), WIDE, **lanes, **tests)
    assert {str(s) for s in together.status} >= {"generalizes", "collapses", "already", "outside"}
    for k in range(0, n, 40):
        alone = integrate(cliff(), WIDE, **{a: v[k] for a, v in lanes.items()}, **tests)
        assert alone.status[0] == together.status[k]
        assert alone.steps[0] == together.steps[k]
        for one, many in (
            (alone.generalized, together.generalized),
            (alone.memorized, together.memorized),
        ):
            assert one[0] == pytest.approx(many[k], rel=1e-9, nan_ok=True)
        assert (alone.u[0], alone.m[0]) == pytest.approx((together.u[k], together.m[k]), rel=1e-9)


def test_a_moved_wall_is_the_surface_moved() -> None:
    place = cliff()
    beside = replace(place, u_b=lambda m: place.u_b(m) + 0.03)
    moved = cliff_run(place, np.array([1e-3, 1e-2]), wall=0.03)
    there = cliff_run(beside, np.array([1e-3, 1e-2]))
    assert moved.generalized == pytest.approx(there.generalized, rel=1e-9)
    assert moved.generalized[0] != pytest.approx(cliff_run(place, np.array([1e-3])).generalized[0], rel=1e-3)


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_loss_and_decay_together_only_rescale_time(factor: float) -> None:
    gamma = np.array([1e-3, 1e-2])
    plain = cliff_run(cliff(), gamma)
    scaled = integrate(
        Scaled(cliff(), factor),
        WIDE,
        gamma=factor * gamma,
        ratio=1.0,
        u=START,
        m=0.08,
        generalized=clean,
        memorized=clean,
    )
    assert scaled.generalized * factor == pytest.approx(plain.generalized, rel=1e-9)
    assert np.array_equal(scaled.status, plain.status)


def test_dense_output_is_the_flow() -> None:
    """Against Radau at 200 times within and between the steps."""
    gamma, surface = 1e-3, cliff()
    done = cliff_run(surface, gamma)
    path = done.trajectories[0]
    assert path.end == pytest.approx(done.generalized[0], rel=1e-9)
    assert path.starts[0] == 0.0

    def velocity(_: float, y: Floats) -> list[float]:
        _, lu, lm, *_ = surface.derivatives(y[:1], y[1:])
        return [-float(lu[0] * np.exp(-2 * y[0]) / gamma) - 1, -float(lm[0] / gamma)]

    s = np.linspace(0, path.end, 200)
    again = solve_ivp(
        velocity, (0, gamma * path.end), [START, 0.08], "Radau", t_eval=gamma * s, rtol=1e-9, atol=1e-11
    ).y
    u, m = path.at(s)
    assert u == pytest.approx(again[0], abs=2e-5)
    assert m == pytest.approx(again[1], abs=2e-5)
    outside = path.at([-1.0, 2 * path.end])
    assert outside[0] == pytest.approx([START, done.u[0]])
    assert outside[1] == pytest.approx([0.08, done.m[0]])


def test_step_size_and_tolerance_do_not_matter() -> None:
    plain = cliff_run(cliff(), [1e-3, 1e-2])
    fine = integrate(
        cliff(),
        WIDE,
        gamma=[1e-3, 1e-2],
        ratio=1.0,
        u=START,
        m=0.08,
        generalized=clean,
        memorized=clean,
        tolerance=1e-9,
        largest_move=(2e-3, 2e-3),
    )
    assert plain.generalized == pytest.approx(fine.generalized, rel=1e-4)


# ---- properties ----

DECAY = st.floats(-5, 1).map(lambda x: 10.0**x)


@settings(deadline=None)
@given(st.lists(DECAY, min_size=2, max_size=6, unique=True))
def test_time_falls_with_decay_on_the_flat(decays: list[float]) -> None:
    gamma = np.sort(decays)
    done = flat_run(gamma)
    assert (np.diff(done.generalized) < 0).all()
    assert done.generalized * gamma == pytest.approx(np.full(len(gamma), np.log(36 / 20)), rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["flat", "cliff", "ridge", "wall"]),
    st.one_of(st.just(0.0), DECAY),
    st.floats(-2, 2).map(lambda x: 10.0**x),
    st.floats(1.4, 4.3),
    st.floats(-0.01, 0.12),
)
def test_every_lane_ends_with_a_status(name: str, gamma: float, ratio: float, u: float, m: float) -> None:
    surface = {
        "flat": Flat(),
        "cliff": cliff(),
        "ridge": ridge(200.0),
        "wall": ExponentialWall(0.05, 50.0, np.radians(15), 3.0),
    }[name]
    done = integrate(surface, WIDE, gamma=gamma, ratio=ratio, u=u, m=m, generalized=clean, memorized=nowhere)
    status = done.status[0]
    assert status in set(Status)
    assert np.isfinite(done.generalized[0]) == (status in {Status.GENERALIZES, Status.ALREADY})
    assert np.isnan(done.memorized[0])
    if not WIDE.contains(*WIDE.snapped(np.array(u), np.array(m))):
        assert status == Status.OUTSIDE
    else:
        assert np.isfinite([done.u[0], done.m[0]]).all()


def test_known_surfaces_have_the_derivatives_they_state() -> None:
    """The rulers themselves, by finite differences."""
    rng = np.random.default_rng(1)
    u, m, e = rng.uniform(3.15, 3.35, 50), rng.uniform(0.0, 0.1, 50), 1e-6
    walls = (
        ExponentialWall(0.05, 20.0, 1.0, 3.2),
        cliff(20.0),
        ridge(20.0),
        straight_cliff(20.0, 1.0, 3.2),
    )
    for surface in (*walls, Scaled(cliff(20.0), 3.0), Flat()):
        loss, lu, lm, luu, lum, lmm = surface.derivatives(u, m)
        right, left = surface.derivatives(u + e, m), surface.derivatives(u - e, m)
        up, down = surface.derivatives(u, m + e), surface.derivatives(u, m - e)
        by_u = [(a - b) / (2 * e) for a, b in zip(right, left, strict=True)]
        by_m = [(a - b) / (2 * e) for a, b in zip(up, down, strict=True)]
        pairs = zip((lu, lm, luu, lum, lmm), (by_u[0], by_m[0], by_u[1], by_m[1], by_m[2]), strict=True)
        for stated, found in pairs:
            assert stated == pytest.approx(found, rel=1e-4, abs=1e-5 * (1 + np.abs(stated).max()))
        assert (loss > 0).all()
