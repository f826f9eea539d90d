"""Times measured from curves that were written down by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from trained import NAN, trained

from groktime.fullnet.runs import SETTINGS
from groktime.reduced.errors import InputError
from groktime.reduced.files import read_dataset, write_dataset
from groktime.validation.measure import crossing, measure

GROKS = [0.0, 0.1, 0.2, 0.9, 1.0, 1.0, 1.0]
NEVER = [0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
FITS = [0.2, 0.95, 1.0, 1.0, 1.0, 1.0, 1.0]


def times(row: list[float], **how: Any) -> float:
    """t_grok of one run; further words of `trained` are picked out."""
    runs = {k: how.pop(k) for k in ("steps_done", "diverged", "step") if k in how}
    return float(measure(trained([row], **runs), **how)["t_grok"][0])


def test_known_crossings() -> None:
    delays = measure(trained([GROKS, NEVER], [FITS, FITS], gamma=[1e-2, 0.0]))
    np.testing.assert_array_equal(delays["t_mem"], [10, 10])
    np.testing.assert_array_equal(delays["t_grok"], [30, NAN])
    np.testing.assert_array_equal(delays["delay"], [20, NAN])
    np.testing.assert_array_equal(delays["train_censored"], [False, False])
    np.testing.assert_array_equal(delays["test_censored"], [False, True])
    np.testing.assert_array_equal(delays["last"], [60, 60])
    np.testing.assert_array_equal(delays["norm_at_grok"], [9.5, NAN])
    np.testing.assert_array_equal(delays["gamma"], [1e-2, 0.0])
    assert set(delays.coords) == set(SETTINGS)
    assert delays.attrs["schema"] == "groktime-delays/2"
    assert delays.attrs["threshold"] == 0.9
    assert delays.attrs["train_threshold"] == 0.95
    assert delays["delay"].attrs["units"] == "optimizer steps"


def test_times_are_steps_and_not_counts() -> None:
    assert times(GROKS, step=[0, 1, 10, 100, 1000, 10_000, 100_000]) == 100


#        step 0    10   20   30   40   50   60   70   80
WAVERS = [0.0, 0.95, 0.1, 0.95, 0.95, 0.95, 0.2, 0.95, 1.0]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, 30),
        ({"rule": "first"}, 10),
        ({"persist": 1}, 10),
        ({"persist": 2}, 30),
        ({"persist": 4}, NAN),
        ({"rule": "stable"}, NAN),  # two evaluations have not shown that it stays
        ({"rule": "stable", "persist": 2}, 70),
        ({"rule": "stable", "persist": 1}, 70),
        ({"threshold": 0.96}, NAN),
        ({"threshold": 0.2, "rule": "stable"}, 30),
        ({"threshold": 0.1, "rule": "stable"}, 10),
    ],
)
def test_rules_on_a_curve_that_wavers(how: dict[str, Any], expected: float) -> None:
    np.testing.assert_equal(times(WAVERS, **how), expected)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, NAN),  # trained to the last step: passing twice is not yet passing for good
        ({"steps_done": 50}, 40),  # retired as done after two passes
        ({"steps_done": 55}, 40),
        ({"steps_done": 40}, 40),
        ({"steps_done": 30}, NAN),
        ({"steps_done": 50, "rule": "stable"}, 40),
        ({"steps_done": 50, "diverged": True}, NAN),
        ({"rule": "first"}, 40),
    ],
)
def test_a_pass_at_the_end(how: dict[str, Any], expected: float) -> None:
    row = [0.0, 0.1, 0.2, 0.3, 0.9, 1.0]
    row += [0.2] if "steps_done" in how else []
    np.testing.assert_equal(times(row, **how), expected)


def test_exactly_persist_evaluations_at_the_end_count() -> None:
    assert times([0.0, 0.1, 0.9, 0.9, 0.9]) == 20
    assert times([0.9, 0.9, 0.9]) == 0


def test_a_diverged_run_is_censored_where_it_ended() -> None:
    runs = trained([[0.0, 0.1, 0.2, 0.3, 0.3]], steps_done=20, diverged=True)
    delays = measure(runs)
    assert bool(delays["test_censored"][0])
    assert float(delays["last"][0]) == 20


@pytest.mark.parametrize(("right", "samples"), [(9, 10), (19, 20), (7, 10), (57, 60)])
def test_single_precision_does_not_decide(right: int, samples: int) -> None:
    curve = np.full(5, np.float32(right) / np.float32(samples))
    assert times([0.0, *curve], threshold=right / samples) == 10
    assert times([0.0, *curve], threshold=(right + 0.5) / samples) != 10


def test_losses() -> None:
    runs = trained([GROKS], [FITS])  # losses are 1 - accuracy
    delays = measure(runs, metric="loss", threshold=0.06)
    assert float(delays["t_grok"][0]) == 40
    assert float(delays["t_mem"][0]) == 10  # the same threshold, unless told
    assert delays.attrs["train_threshold"] == 0.06
    assert float(measure(runs, metric="loss", threshold=0.06, train_threshold=0.01)["t_mem"][0]) == 20


def test_a_threshold_of_each_run() -> None:
    runs = trained([GROKS, GROKS], threshold_relative=True)
    delays = measure(runs, threshold=[0.2, 1.0])
    np.testing.assert_array_equal(delays["t_grok"], [20, 40])
    np.testing.assert_array_equal(delays.attrs["threshold"], [0.2, 1.0])


def test_the_data_can_be_written(tmp_path: Path) -> None:
    delays = measure(trained([GROKS, NEVER]), threshold=[0.2, 1.0])
    path = write_dataset(delays, tmp_path / "delays.nc")
    xr.testing.assert_identical(read_dataset(path, "delays"), delays)


def test_the_runs_stay_as_they_were() -> None:
    runs = trained([GROKS, NEVER])
    before = runs.dataset.copy(deep=True)
    measure(runs)
    xr.testing.assert_identical(runs.dataset, before)


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"metric": "taste"}, "metric = 'taste'"),
        ({"rule": "last"}, "rule = 'last': expected 'persist', 'first' or 'stable'"),
        ({"persist": 0}, "persist = 0"),
        ({"persist": 1.5}, "persist = 1.5"),
        ({"persist": NAN}, "persist = nan"),
        ({"metric": "loss"}, "^threshold: expected the test loss"),
        ({"threshold": 1.5}, "^threshold = 1.5"),
        ({"threshold": 0}, "^threshold = 0"),
        ({"threshold": NAN}, "^threshold = nan"),
        ({"threshold": [0.5, 0.5, 0.5]}, "^threshold: 3 numbers; expected one, or 2"),
        ({"threshold": "high"}, "^threshold = 'high': expected a finite number"),
        ({"train_threshold": -1}, "^train_threshold = -1"),
        ({"metric": "loss", "threshold": -0.1}, "^threshold = -0.1"),
    ],
)
def test_bad_arguments(how: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        measure(trained([GROKS, NEVER]), **how)


def test_a_relative_threshold_has_to_be_given() -> None:
    with pytest.raises(InputError, match=r"^threshold: .*relative"):
        measure(trained([GROKS], threshold_relative=True))


def test_what_was_not_measured_cannot_be_asked_for() -> None:
    with pytest.raises(InputError, match="test_accuracy was not measured in run 1"):
        measure(trained([GROKS, [NAN] * 7]))


curves = st.lists(st.sampled_from([k / 20 for k in range(21)]), min_size=1, max_size=12)
thresholds = st.sampled_from([k / 20 for k in range(1, 21)])
persists = st.integers(1, 4)


def first_index(
    row: list[float], limit: float, persist: int, stable: bool = False, done: bool = False
) -> float:
    """Where the row passes for good, inf where it does not."""
    passes = np.array([row]) >= limit
    at = crossing(passes, np.ones_like(passes), np.array([done]), persist, stable)[0]
    return float("inf") if at < 0 else float(at)


@given(row=curves, limit=thresholds, persist=persists, done=st.booleans())
def test_persistent_crossing_by_definition(row: list[float], limit: float, persist: int, done: bool) -> None:
    """The first evaluation from which on `persist` in a row pass, or all that a done run has left."""
    expected = float("inf")
    for k in reversed(range(len(row))):
        window = row[k : k + persist]
        if min(window) >= limit and (len(window) == persist or done):
            expected = k
    assert first_index(row, limit, persist, done=done) == expected


@given(row=curves, limit=thresholds, persist=persists, done=st.booleans())
def test_stable_crossing_by_definition(row: list[float], limit: float, persist: int, done: bool) -> None:
    """The first evaluation from which on all pass, if they are enough."""
    start = min(k for k in range(len(row) + 1) if all(a >= limit for a in row[k:]))
    enough = start < len(row) and (len(row) - start >= persist or done)
    assert first_index(row, limit, persist, True, done) == (start if enough else float("inf"))


@given(row=curves, limits=st.tuples(thresholds, thresholds), persist=persists, stable=st.booleans())
def test_a_higher_threshold_is_passed_no_earlier(
    row: list[float], limits: tuple[float, float], persist: int, stable: bool
) -> None:
    low, high = sorted(limits)
    assert first_index(row, low, persist, stable) <= first_index(row, high, persist, stable)


@given(row=curves, limit=thresholds, persist=persists)
def test_rules_in_order(row: list[float], limit: float, persist: int) -> None:
    kept = first_index(row, limit, persist)
    assert first_index(row, limit, 1) <= kept <= first_index(row, limit, persist, stable=True)


@given(row=curves.map(sorted), limit=thresholds, persist=persists)
def test_monotone_curves_pass_once(row: list[float], limit: float, persist: int) -> None:
    kept = first_index(row, limit, persist)
    assert kept == first_index(row, limit, persist, stable=True)
    assert kept in (first_index(row, limit, 1), float("inf"))
