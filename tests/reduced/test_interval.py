"""The interval over seeds is one for a run of another seed: exact cases, then coverage on made-up seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, t

from groktime.reduced.interval import predictive

MEAN, S = np.log(1e4), 0.3


def ends(
    times: Any, low: Any = None, high: Any = None, outside: Any = None, model: float = 0.0
) -> tuple[float, float]:
    """Of one lane."""
    each = np.asarray(times, float)[:, None]
    first, last = (each if x is None else np.asarray(x, float)[:, None] for x in (low, high))
    out = np.zeros(each.shape, bool) if outside is None else np.asarray(outside, bool)[:, None]
    found = predictive(each, first, last, out, model)
    return float(found[0][0]), float(found[1][0])


def test_it_is_students_interval_of_the_logarithm() -> None:
    x = np.log([900.0, 1000.0, 1300.0])
    half = t.ppf(0.95, 2) * x.std(ddof=1) * np.sqrt(1 + 1 / 3)
    assert ends(np.exp(x)) == pytest.approx((np.exp(x.mean() - half), np.exp(x.mean() + half)))


def test_what_a_seed_is_not_known_to_and_the_error_of_the_predictor_widen_it() -> None:
    same = [1000.0] * 4
    assert ends(same) == pytest.approx((1000, 1000))
    assert ends(same, [900.0] * 4, [1200.0] * 4) == pytest.approx((900, 1200))
    assert ends(same, model=0.1) == pytest.approx(tuple(1000 * np.exp(norm.ppf([0.05, 0.95]) * 0.1)))
    both = ends(same, [900.0] * 4, [1200.0] * 4, model=0.1)
    assert np.log(both[1] / 1000) == pytest.approx(np.hypot(np.log(1.2), norm.ppf(0.95) * 0.1))


@pytest.mark.parametrize("n", [2, 3, 8, 50])
@pytest.mark.parametrize("share", [0.2, 0.5, 1.0, 3.0])
def test_nine_of_ten_with_the_error_of_the_predictor(n: int, share: float) -> None:
    """The seeds' scatter as a share of the predictor's error, which the runs have and no file shows."""
    rng = np.random.default_rng(n)
    model = 0.06
    x = rng.normal(MEAN, share * model, (n + 1, 40_000))
    new, held = np.exp(x[-1] + rng.normal(0, model, x.shape[1])), np.exp(x[:-1])
    low, high = predictive(held, held, held, np.zeros(held.shape, bool), model)
    assert 0.87 < ((low <= new) & (new <= high)).mean() < 0.95


def test_one_seed_has_none() -> None:
    assert np.isnan(ends([1000.0], [900.0], [1100.0], model=0.1)).all()


def test_seeds_that_never_generalize_lie_at_infinity() -> None:
    some = np.geomspace(800, 1200, 19)
    low, high = ends([*some, np.nan])  # one of 20 is the upper tail
    assert high == np.inf
    x, level = np.log(some), 0.05 / 0.95
    assert low == pytest.approx(
        np.exp(x.mean() + t.ppf(level, 18) * x.std(ddof=1) * np.sqrt(1 + 1 / 19)), rel=1e-9
    )
    thirty = np.geomspace(800, 1200, 30)
    assert ends([*thirty, np.nan])[1] > ends(thirty)[1]  # a later quantile of those that do
    assert ends([*thirty, np.nan])[1] < np.inf
    assert ends([np.nan] * 3) == (np.inf, np.inf)
    assert np.isnan(ends([1000.0, np.nan, np.nan])[0])  # one time has no spread
    assert ends([1000.0, np.nan, np.nan])[1] == np.inf


def test_seeds_that_are_there_from_the_start_lie_at_0() -> None:
    assert ends([0.0, 0.0, 0.0]) == (0, 0)
    low, high = ends([0.0, 900.0, 1000.0, 1100.0])
    assert low == 0
    assert 1100 < high < np.inf


def test_no_end_is_taken_from_a_seed_that_is_outside() -> None:
    times = [900.0, 1000.0, 1100.0, np.nan]
    low, high = ends(times, [900, 1000, 1100, 1.0], [900, 1000, 1100, 1e9], [False, False, False, True])
    assert 500 < low < 900
    assert np.isnan(high)  # the seed is later, or never: nobody knows
    assert np.isnan(ends([np.nan] * 3, outside=[True] * 3)).all()
    many = np.geomspace(800, 1200, 40)
    assert np.isfinite(ends([*many, np.nan], outside=[False] * 40 + [True])).all()


def test_seeds_that_may_never_generalize_open_it_where_they_are_most() -> None:
    times = [900.0, 1000.0, 1100.0]
    assert ends(times, times, [np.inf, np.inf, 1200])[1] == np.inf
    assert ends(times, times, [np.inf, 1100, 1200])[1] < np.inf


@pytest.mark.parametrize(
    ("n", "never"),
    # of two or three seeds that all do, none can tell that a third of the others do not
    [*((n, never) for n in (2, 3, 4, 8, 16, 50) for never in (0.0, 0.02)), (8, 0.3), (16, 0.3), (50, 0.3)],
)
def test_nine_of_ten_runs_of_other_seeds_are_inside(n: int, never: float) -> None:
    """Log-normal seeds, of which some never generalize; the least and the greatest of 8 hold 78 %."""
    rng = np.random.default_rng(n)
    x = np.exp(rng.normal(MEAN, S, (n + 1, 20_000)))
    x[rng.random(x.shape) < never] = np.nan
    new, held = x[-1], x[:-1]
    low, high = predictive(held, held, held, np.zeros(held.shape, bool))
    assert np.all(np.isnan(low) | np.isnan(high) | (low <= high))
    known = np.isfinite(low)  # two seeds or more have a time; where none has, no run is told to have one
    late = np.where(np.isnan(new), np.inf, new)
    inside = (low <= late) & (late <= high)
    early = (late < low)[known].mean()
    if never == 0:
        assert inside.mean() == pytest.approx(0.9, abs=0.01)
    assert early == pytest.approx(0.05, abs=0.025)
    assert inside[known].mean() > 0.85
    if never == 0.3 and n > 4:  # infinite above, as it must be
        assert inside[known].mean() == pytest.approx(0.95, abs=0.02)


def test_the_least_and_the_greatest_are_no_such_interval() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(MEAN, S, (9, 20_000))
    assert ((x[:8].min(0) <= x[8]) & (x[8] <= x[:8].max(0))).mean() == pytest.approx(7 / 9, abs=0.01)


def test_lanes_are_read_side_by_side() -> None:
    rng = np.random.default_rng(1)
    times = np.exp(rng.normal(MEAN, S, (5, 40)))
    times[rng.random(times.shape) < 0.2] = np.nan
    outside = np.isnan(times) & (rng.random(times.shape) < 0.5)
    low, high = predictive(times, 0.9 * times, 1.1 * times, outside, 0.05)
    for k in range(40):
        alone = ends(times[:, k], 0.9 * times[:, k], 1.1 * times[:, k], outside[:, k], 0.05)
        np.testing.assert_array_equal((low[k], high[k]), alone)
