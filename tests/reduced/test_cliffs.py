"""The flow on sampled cliffs of known boundary: `groktime figure table_cliffs` prints all of it."""

from __future__ import annotations

import numpy as np
import pytest

from groktime.recipes.results import table_cliffs as study
from groktime.recipes.shared.walls import ridge
from groktime.reduced.boundary import Boundary
from groktime.reduced.flow import Status
from groktime.reduced.spline import UniformSpline
from groktime.reduced.surface import surface_of

KINDS = [pytest.param(study.STEP, id="step"), pytest.param(200.0, id="k=200")]
SIZES = [pytest.param(size, id="{}x{}".format(*size)) for size in study.SIZES]
MIDDLE = (21, 21)


INTERVALS = 5  # curves of which the interval is looked at: it takes two flows more


def curves(size: tuple[int, int]) -> range:
    return range(20 if size == MIDDLE else 8 if size == (16, 11) else 6)


def one(seed: int, k: float, size: tuple[int, int]) -> study.Trial:
    return study.trial(seed, k, size, False, seed < INTERVALS)


def run(k: float, size: tuple[int, int]) -> study.Summary:
    return study.summary([one(seed, k, size) for seed in curves(size)])


@pytest.mark.parametrize("seed", range(20))
def test_the_curves_are_monotone_and_stay_on_the_grid(seed: int) -> None:
    u_b = study.curve(seed)
    m = np.linspace(0, study.M_TOP, 1001)
    assert (u_b(m, 1) > 0).all()
    assert study.DOMAIN.u_low < u_b(0.0)
    assert u_b(study.M_START) < study.U_START


def test_step_is_the_limit_of_steep_cliffs() -> None:
    """The formula used for a step and the flow on the known surface are one thing."""
    k = 3e3
    steep = study.exact_times(3, k)
    # The wall is ridden where its force balances decay, in its tail: some ten e-foldings right of u_b.
    assert steep == pytest.approx(study.exact_times(3, study.STEP), rel=0.03)
    assert (
        abs(steep / study.exact_times(3, study.STEP) - 1).max()
        < abs(study.exact_times(3, k / 5) / study.exact_times(3, study.STEP) - 1).max()
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", KINDS)
def test_no_false_trap(k: float, size: tuple[int, int]) -> None:
    trials = [one(seed, k, size) for seed in curves(size)]
    ends = {(t.seed, g): s for t in trials for g, s in zip(study.GAMMAS, t.status, strict=True)}
    assert {case: str(s) for case, s in ends.items() if s != Status.GENERALIZES} == {}


@pytest.mark.parametrize("k", KINDS)
def test_error_on_the_middle_grid(k: float) -> None:
    """At most 5 % in 95 % of the 40 cases of 20 curves; of more curves see the slow test."""
    assert run(k, MIDDLE).p95 <= 0.05


@pytest.mark.parametrize("k", KINDS)
def test_error_on_the_middle_grid_is_of_a_cell(k: float) -> None:
    """The error of the time is one of place: η_D γ t is off by at most 1.5 cells of u, on any path."""
    cell = float(np.diff(np.log(np.linspace(2.5, 4, MIDDLE[0]))).max())
    for seed in curves(MIDDLE):
        path = study.exact_times(seed, k) * study.GAMMAS
        assert (np.abs(one(seed, k, MIDDLE).error) * path).max() < 1.5 * cell


def test_error_falls_with_the_grid_for_a_step() -> None:
    coarse, middle, fine = (
        study.summary([one(s, study.STEP, size) for s in range(6)]).median for size in study.SIZES
    )
    assert coarse > middle > fine


def test_exact_time_lies_in_the_interval() -> None:
    every = [
        one(seed, k, size) for k in (study.STEP, 200.0) for size in study.SIZES for seed in range(INTERVALS)
    ]
    assert study.summary(every).inside >= 0.85


def test_the_interval_has_two_ends() -> None:
    """Where the flow arrives, it does so with the wall moved by its error."""
    assert run(study.STEP, (16, 11)).open_ends == 0


MANY = 60


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", KINDS)
def test_no_false_trap_on_many_curves(k: float, size: tuple[int, int]) -> None:
    assert study.summary([study.trial(seed, k, size, False, False) for seed in range(MANY)]).false == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "k",
    [
        pytest.param(study.STEP, id="step"),
        pytest.param(
            200.0,
            id="k=200",
            marks=pytest.mark.xfail(
                reason="a decay of 1e-3 rides 4 % above the floor, under its noise of 50 %",
                strict=True,
            ),
        ),
    ],
)
def test_error_on_the_middle_grid_on_many_curves(k: float) -> None:
    assert study.summary([study.trial(seed, k, MIDDLE, False, False) for seed in range(MANY)]).p95 <= 0.05


@pytest.mark.parametrize("size", SIZES)
def test_a_raw_spline_is_trapped_on_the_stairs_of_a_step(size: tuple[int, int]) -> None:
    """What the wall-aware surface is for: the same landscapes, the same flow."""
    lands = [study.sample(study.curve(seed), study.STEP, size, seed) for seed in range(6)]
    ends = [study.flow(study.RawSpline.through(land), study.half_a_cell(size)).status for land in lands]
    assert (np.array(ends) == Status.TRAPPED).mean() >= 0.5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", KINDS)
def test_a_true_ridge_still_traps(k: float, size: tuple[int, int]) -> None:
    known = ridge(min(k, 2e3), study.W0)
    truth, move = study.flow(known, (0.005, 0.005)), study.half_a_cell(size)
    # A decay of 1e-2 outruns a cliff of k = 200 in the dip, where the slope of the wall is no help.
    trapped = np.array([True, k != 200])
    assert np.array_equal(truth.status == Status.TRAPPED, trapped)
    assert np.isnan(truth.generalized).all()
    surface = surface_of(study.sample(known.u_b, k, size, 0), 0)
    assert surface.boundary.ridges
    for deviations in (0.0, -study.QUANTILE, study.QUANTILE):
        done = study.flow(surface, move, deviations * surface.boundary.deviation)
        assert (done.status[trapped] == Status.TRAPPED).all()
        assert np.isnan(done.generalized).all()
        assert done.m[0] == pytest.approx(truth.m[0], abs=0.6 * study.M_TOP / (size[1] - 1))


@pytest.mark.parametrize("theta", [0.3, 0.8, np.pi / 2, 2.0])
def test_the_angle_of_a_straight_wall(theta: float) -> None:
    """u_b = 3 + m cot θ, between any two m; past a right angle it leans the other way."""
    m = np.linspace(0, 0.1, 5)
    wall = Boundary(UniformSpline.through(0.0, 0.025, 3 + m / np.tan(theta)), 0.01)
    for low, high in ((0.0, 0.1), (0.02, 0.07)):
        assert wall.angle(low, high) == pytest.approx(theta, rel=1e-9)
