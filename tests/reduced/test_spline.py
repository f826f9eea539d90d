"""The piecewise cubics of `reduced.spline`, against scipy's and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.optimize import isotonic_regression

from groktime.reduced.spline import (
    Floats,
    GridSmoother,
    GridSpline,
    UniformSpline,
    monotone_cubic,
    monotone_slopes,
    pool_adjacent_violators,
)

VALUES = arrays(np.float64, st.integers(3, 30), elements=st.floats(-10, 10, width=32))


# ---- UniformSpline ----


def test_uniform_derivatives_are_those_of_the_value() -> None:
    rng = np.random.default_rng(0)
    spline = UniformSpline.through(-1.0, 0.25, rng.normal(size=17))
    x, e = np.linspace(-1.3, 3.4, 400), 1e-5  # past both ends
    value, first, second = spline.derivatives(x)
    assert np.array_equal(value, spline(x))
    assert first == pytest.approx((spline(x + e) - spline(x - e)) / (2 * e), abs=1e-6)
    slope = [spline.derivatives(x + d)[1] for d in (e, -e)]
    # the second derivative has kinks at the knots
    away = np.abs((x + 1) / 0.25 - np.round((x + 1) / 0.25)) > 1e-3
    assert second[away] == pytest.approx(((slope[0] - slope[1]) / (2 * e))[away], abs=1e-6)


def test_uniform_is_twice_continuous_at_the_knots() -> None:
    spline = UniformSpline.through(2.0, 0.5, np.random.default_rng(1).normal(size=12))
    knots, e = 2.0 + 0.5 * np.arange(1, 11), 1e-9
    for left, right in zip(spline.derivatives(knots - e), spline.derivatives(knots + e), strict=True):
        assert left == pytest.approx(right, abs=1e-6)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-3, 3), st.floats(0.01, 3), st.integers(2, 30))
def test_uniform_reproduces_straight_lines(a: float, b: float, start: float, step: float, n: int) -> None:
    spline = UniformSpline.through(start, step, a + b * (start + step * np.arange(n)))
    x = np.linspace(start - step, start + n * step, 61)
    value, first, second = spline.derivatives(x)
    assert value == pytest.approx(a + b * x, abs=1e-9)
    assert first == pytest.approx(np.full(61, b), abs=1e-9 / step)
    assert np.abs(second).max() < 1e-8 / step**2


@given(VALUES)
def test_uniform_does_not_overshoot(values: Floats) -> None:
    spline = UniformSpline.through(0.0, 1.0, values)
    inside = spline(np.linspace(0, len(values) - 1, 301))
    assert values.min() - 1e-9 <= inside.min()
    assert inside.max() <= values.max() + 1e-9


@given(VALUES)
def test_uniform_is_monotone_where_the_values_are(values: Floats) -> None:
    rising = np.sort(values)
    first = UniformSpline.through(0.0, 1.0, rising).derivatives(np.linspace(0, len(values) - 1, 301))[1]
    assert first.min() >= -1e-9


def test_uniform_holds_a_cliff() -> None:
    """One step down in the values: the spline falls within two knots on either side, and no further."""
    values = np.where(np.arange(20) < 10, -2.3, -11.5)
    spline = UniformSpline.through(0.0, 1.0, values)
    assert spline(np.linspace(0, 8, 50)) == pytest.approx(np.full(50, -2.3))
    assert spline(np.linspace(11, 19, 50)) == pytest.approx(np.full(50, -11.5))


# ---- GridSpline ----


def tensor(u: Floats, m: Floats, values: Floats, at: tuple[Floats, Floats], nu: int, nm: int) -> Floats:
    """scipy's natural cubic spline in u, of it one in m, one point at a time."""
    along_u = CubicSpline(u, values, axis=1, bc_type="natural")(at[0], nu)  # [m, point]
    along_m = CubicSpline(m, along_u, axis=0, bc_type="natural")(at[1], nm)  # [point, point]
    return np.asarray(along_m.diagonal())


def uneven(rng: np.random.Generator, n: int) -> Floats:
    return np.cumsum(rng.uniform(0.5, 1.5, n)) / n


@pytest.mark.parametrize("shape", [(3, 3), (5, 9), (12, 7)])
def test_grid_is_scipys_natural_tensor_spline(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    m, u = uneven(rng, shape[0]), 3 + uneven(rng, shape[1])
    values = rng.normal(size=shape)
    spline = GridSpline.through(u, m, values)
    at = rng.uniform(u[0], u[-1], 80), rng.uniform(m[0], m[-1], 80)
    six = spline.derivatives(*at)
    orders = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    for ours, (nu, nm) in zip(six, orders, strict=True):
        theirs = tensor(u, m, values, at, nu, nm)
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9 * np.abs(theirs).max())
    first_only = spline.derivatives(*at, second=False)
    for ours, without in zip(six[:3], first_only[:3], strict=True):
        assert np.array_equal(ours, without)


def test_grid_goes_through_its_values_and_nodes_are_no_special_case() -> None:
    rng = np.random.default_rng(3)
    m, u = uneven(rng, 6), uneven(rng, 8)
    values = rng.normal(size=(6, 8))
    grid_u, grid_m = (x.ravel() for x in np.meshgrid(u, m))
    assert GridSpline.through(u, m, values).derivatives(grid_u, grid_m)[0] == pytest.approx(values.ravel())


# ---- GridSmoother ----

U, M = np.linspace(3.1, 3.6, 21), np.linspace(0, 0.1, 16)
TRUTH = np.sin(9 * U)[None] * np.cos(25 * M)[:, None] + 3 * U[None]


def test_smoother_keeps_smooth_values_without_noise() -> None:
    smoother = GridSmoother(U, M)
    smooth = smoother.smooth(TRUTH, smoother.choose(TRUTH))
    # What is lost lies at the rim, where a natural spline is straight and these values are not.
    assert np.sqrt(np.mean((smooth - TRUTH) ** 2)) < 1e-3 * np.ptp(TRUTH)
    assert np.abs(smooth - TRUTH).max() < 3e-3 * np.ptp(TRUTH)


def test_smoother_at_no_strength_is_the_identity() -> None:
    values = np.random.default_rng(4).normal(size=TRUTH.shape)
    # The least strength is 1e-7 of a grid cell's roughness: of the spectrum only rounding is lost.
    assert GridSmoother(U, M).smooth(values, (0, 0)) == pytest.approx(values, abs=1e-4)


def test_smoother_at_full_strength_is_a_bilinear_fit() -> None:
    values = np.random.default_rng(5).normal(size=TRUTH.shape)
    u, m = np.meshgrid(U - U.mean(), M - M.mean())
    design = np.stack([np.ones_like(u), u, m, u * m], -1).reshape(-1, 4)
    fit = design @ np.linalg.lstsq(design, values.ravel(), rcond=None)[0]
    smooth = GridSmoother(U, M).smooth(values, (-1, -1))
    # Strength 1e6 leaves the longest wave of 21 rows a few parts in 1e4.
    assert smooth.ravel() == pytest.approx(fit, abs=5e-3)


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_smoother_takes_the_noise_away(noise: float) -> None:
    smoother = GridSmoother(U, M)
    left = []
    for seed in range(10):
        values = TRUTH + noise * np.random.default_rng(seed).normal(size=TRUTH.shape)
        smooth = smoother.smooth(values, smoother.choose(values))
        left.append(np.sqrt(np.mean((smooth - TRUTH) ** 2)) / noise)
    assert np.median(left) < 0.4
    assert max(left) < 0.6


def test_smoother_finds_pure_noise_to_be_nothing() -> None:
    smoother = GridSmoother(U, M)
    left = []
    for seed in range(10):
        values = np.random.default_rng(seed).normal(size=TRUTH.shape)
        left.append(np.std(smoother.smooth(values, smoother.choose(values))))
    assert np.median(left) < 0.2


# ---- monotone cubic ----


@given(VALUES, st.integers(0, 2**32 - 1))
def test_monotone_cubic_is_monotone_and_goes_through_the_data(values: Floats, seed: int) -> None:
    y = np.sort(values)
    x = np.cumsum(np.random.default_rng(seed).uniform(0.1, 2, len(y)))
    assert monotone_cubic(x, y, x) == pytest.approx(y, abs=1e-9)
    dense = monotone_cubic(x, y, np.linspace(x[0] - 1, x[-1] + 1, 1001))
    assert np.diff(dense).min() >= -1e-9
    assert dense[0] == y[0]
    assert dense[-1] == pytest.approx(y[-1])


@given(VALUES)
def test_monotone_cubic_adds_no_extremum(values: Floats) -> None:
    x = np.arange(len(values), dtype=float)
    t = np.linspace(0, 1, 21)
    for k in range(len(values) - 1):
        piece = monotone_cubic(x, values, k + t)
        assert np.diff(piece * np.sign(values[k + 1] - values[k])).min() >= -1e-9


def test_monotone_cubic_is_scipys_pchip_inside_an_even_grid() -> None:
    """On uneven grids PCHIP weighs its harmonic mean; its ends are of another formula."""
    y = np.random.default_rng(6).normal(size=15)
    x = np.arange(15.0)
    at = np.linspace(1, 13, 500)
    assert monotone_cubic(x, y, at) == pytest.approx(PchipInterpolator(x, y)(at), abs=1e-12)


def test_monotone_slopes_at_the_ends_and_at_an_extremum() -> None:
    slopes = monotone_slopes(np.array([0.0, 1, 2, 3]), np.array([0.0, 1, 4, 3]))
    assert slopes == pytest.approx([1, 1.5, 0, -1])


# ---- isotonic regression ----


@settings(max_examples=200)
@given(VALUES)
def test_pool_adjacent_violators_is_isotonic_regression(values: Floats) -> None:
    pooled, block = pool_adjacent_violators(values)
    theirs = isotonic_regression(values)
    assert pooled == pytest.approx(theirs.x, abs=1e-9)
    assert np.diff(pooled).min() >= 0
    # equal neighbours may be one block or two, but a block has one value
    for k in np.unique(block):
        assert np.ptp(pooled[block == k]) == 0
    assert np.array_equal(np.unique(block), np.arange(block[-1] + 1))
