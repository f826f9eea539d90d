"""Medians of censored times, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trained import NAN, trained

from groktime.reduced.errors import InputError
from groktime.validation.measure import measure
from groktime.validation.survival import median_time, slope, summary

INF = math.inf


def by_hand(times: list[float], censored: list[bool]) -> float:
    """The product-limit median, written out."""
    alive = 1.0
    for t in sorted({t for t, c in zip(times, censored, strict=True) if not c}):
        at_risk = sum(u >= t for u in times)
        passed = sum(u == t and not c for u, c in zip(times, censored, strict=True))
        alive *= 1 - passed / at_risk
        if alive <= 0.5 + 1e-9:
            return t
    return INF


def test_fan_belts() -> None:
    # The ten fan belts of scipy's manual: S = .875 at 47, .75 at 56, .5 at 77, .25 at 80, 0 at 81.
    worn = [77, 47, 81, 56, 80]
    whole = [62, 60, 43, 71, 37]
    times = [*worn, *[NAN] * 5]
    last = [99] * 5 + whole
    median, low, high = median_time(times, [False] * 5 + [True] * 5, last)
    assert median == 77
    # log-log band at 56: V = (1/56 + 1/42) / ln(.75)^2 = .5035, .75^exp(1.645 sqrt V) = .397 <= 1/2,
    # at 47: V = (1/56) / ln(.875)^2 = 1.0015, .875^exp(1.645 sqrt V) = .50022 > 1/2
    assert low == 56
    # at 80: V = (1/56 + 1/42 + 1/6 + 1/2) / ln(.25)^2 = .3686, .25^exp(-1.645 sqrt V) = .600 > 1/2
    assert high == INF


def test_nothing_censored() -> None:
    median, low, high = median_time(np.arange(1.0, 11), np.zeros(10, bool), np.full(10, 99))
    assert median == 5  # the first time by which half have passed
    # at 2: V = (1/90 + 1/72) / ln(.8)^2 = .5021, .8^exp(1.645 sqrt V) = .489; at 1 .547
    assert low == 2
    # at 8: V = (8/20) / ln(.2)^2 = .1544, .2^exp(-1.645 sqrt V) = .430; at 7 .528
    assert high == 8


def test_censored_runs_count() -> None:
    times, censored = [1.0, 2.0, 3.0, NAN, NAN, NAN, NAN], [False] * 3 + [True] * 4
    assert median_time(times, censored, [9] * 7)[0] == INF
    assert median_time(times[:3], censored[:3], [9] * 3)[0] == 2


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param([7.0], (7, 0, INF), id="one run"),
        pytest.param([NAN], (INF, 0, INF), id="one run that never did"),
        pytest.param([7.0] * 4, (7, 0, INF), id="four that agree: 1 in 16 has them all on one side"),
        pytest.param([7.0] * 5, (7, 7, 7), id="five that agree: 1 in 32"),
        pytest.param([NAN] * 4, (INF, 0, INF), id="four that never did"),
        pytest.param([NAN] * 5, (INF, 99, INF), id="five that never did: later than they were watched"),
    ],
)
def test_few_runs(times: list[float], expected: tuple[float, float, float]) -> None:
    assert median_time(times, np.isnan(times), [99] * len(times)) == expected


@pytest.mark.parametrize("times", [[], [INF], [NAN]])
def test_times_that_are_none(times: list[float]) -> None:
    with pytest.raises(InputError, match="times"):
        median_time(times, [False] * len(times), [99] * len(times))


watched = st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=30)


@given(watched)
def test_median_by_hand(runs: list[tuple[int, bool]]) -> None:
    last, censored = [float(t) for t, _ in runs], [c for _, c in runs]
    times = [NAN if c else t for t, c in zip(last, censored, strict=True)]
    median, low, high = median_time(times, censored, last)
    assert median == by_hand(last, censored)
    assert low <= median <= high


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_half_of_the_runs_is_half(case: tuple[int, int]) -> None:
    """Fractions that multiply to 1/2 only in exact arithmetic."""
    n, early = case
    times = np.arange(1.0, 2 * n + 1)
    censored = np.zeros(2 * n, bool)
    censored[n + early :] = True
    assert median_time(times, censored, times)[0] == n


def test_summary() -> None:
    yes, no = [0.0, 0.1, 1.0, 1.0, 1.0], [0.0, 0.1, 0.1, 0.1, 0.1]
    delays = measure(trained([yes, no, yes, no, no], gamma=[0.1, 0.0, 0.1, 0.0, 0.1], m_start=NAN))
    rows = summary(delays)
    assert dict(rows.sizes) == {"group": 2}
    np.testing.assert_array_equal(rows["gamma"], [0.0, 0.1])
    np.testing.assert_array_equal(rows["alpha"], [3.0, 3.0])
    np.testing.assert_array_equal(rows["n"], [2, 3])
    np.testing.assert_array_equal(rows["n_test_censored"], [2, 1])
    np.testing.assert_array_equal(rows["n_train_censored"], [0, 0])
    np.testing.assert_array_equal(rows["t_grok"], [INF, 20])
    np.testing.assert_array_equal(rows["t_mem"], [0, 0])
    assert (rows["t_grok_low"] <= rows["t_grok"]).all()
    assert (rows["t_grok"] <= rows["t_grok_high"]).all()
    by_messiness = summary(delays, by=("m_start",))  # all NaN: one group
    np.testing.assert_array_equal(by_messiness["n"], [5])


def test_summary_of_unknown_settings() -> None:
    with pytest.raises(InputError, match="by = 'colour'"):
        summary(measure(trained([[1.0, 1.0, 1.0]])), by=("colour",))


GAMMA = np.tile([1e-3, 1e-2, 1e-1], 8)
SEED = np.repeat(np.arange(8), 3)


def test_slope_of_a_power_law() -> None:
    assert slope(GAMMA, 5 / GAMMA, SEED) == pytest.approx((-1, -1, -1))
    # a factor of each seed shifts its line, not the slope
    assert slope(GAMMA, (1 + SEED) / GAMMA, SEED) == pytest.approx((-1, -1, -1))


def test_slope_is_least_squares_and_reproducible() -> None:
    t = np.exp(np.random.default_rng(0).normal(size=24)) / GAMMA
    expected = np.polyfit(np.log(GAMMA), np.log(t), 1)[0]
    found, low, high = slope(GAMMA, t, SEED)
    assert found == pytest.approx(expected)
    assert low < found < high
    assert slope(GAMMA, t, SEED) == (found, low, high)
    order = np.random.default_rng(1).permutation(24)
    assert slope(GAMMA[order], t[order], SEED[order]) == pytest.approx((found, low, high))


def test_the_interval_is_over_seeds() -> None:
    """Of seeds with one slope each, the bootstrap's spread is that of the mean of slopes."""
    each = np.array([-1.3, -1.1, -1.0, -1.0, -0.9, -0.9, -0.9, -0.9])
    found, low, high = slope(GAMMA, GAMMA ** each[SEED], SEED, draws=20_000)
    assert found == pytest.approx(each.mean())
    half = 1.645 * each.std() / math.sqrt(8)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_slope_leaves_censored_runs_out() -> None:
    t = 5 / GAMMA
    t[[0, 7]] = NAN
    assert slope(GAMMA, t, SEED) == pytest.approx((-1, -1, -1))


def test_slopes_that_the_runs_do_not_tell() -> None:
    np.testing.assert_equal(slope([0.1], [NAN], [0]), (NAN, NAN, NAN))
    np.testing.assert_equal(slope([0.1, 0.1], [5.0, 6.0], [0, 1]), (NAN, NAN, NAN))
    found, low, high = slope([0.1, 0.01], [1.0, 10.0], [0, 0])  # one seed has no spread
    assert found == pytest.approx(-1)
    np.testing.assert_equal((low, high), (NAN, NAN))


@pytest.mark.parametrize(("x", "t", "named"), [([0.0, 1], [1.0, 1], "x"), ([0.1, 1], [0.0, 1], "t")])
def test_slopes_without_a_logarithm(x: list[float], t: list[float], named: str) -> None:
    with pytest.raises(InputError, match=f"^{named}: "):
        slope(x, t, [0, 1])
