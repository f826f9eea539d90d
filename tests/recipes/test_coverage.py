"""The recipe that counts runs inside of intervals, on seeds and runs that are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from groktime.recipes.results import coverage
from groktime.recipes.results.coverage import FRESH, HELD, SIZES, inside, least_to_greatest, shares, subsets
from groktime.reduced.flow import Status
from groktime.reduced.source import About, Lanes, Readings


def test_the_runs_are_of_seeds_that_the_files_do_not_hold() -> None:
    assert not set(HELD) & set(FRESH)
    assert len(FRESH) >= 16
    assert max(SIZES) == len(HELD)


def test_subsets_are_disjoint() -> None:
    for n in SIZES:
        found = np.concatenate([*subsets(16, n)])
        np.testing.assert_array_equal(found, np.arange(16))


class _Source:
    """Sixteen seeds of the same time but for a known spread."""

    name, seeds = "made up", range(16)
    about = About(refused={"wall": "there is none"})

    def read(self, lanes: Lanes, detail: bool = False, **options: Any) -> Readings:
        each = np.exp(np.log(1000) + 0.1 * np.random.default_rng(3).normal(size=16))
        times = np.broadcast_to(each[:, None], (16, len(lanes))) / lanes.gamma
        status = np.full(times.shape, Status.GENERALIZES, object)
        return Readings(tuple(self.seeds), status, times, np.zeros(times.shape), times, times, times)


def test_shares_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four runs two are beyond the greatest seed, within the interval for another; one is far beyond."""
    found = _Source().read(Lanes(np.ones(1), np.ones(1), np.ones(1)))
    low, high = least_to_greatest(found)
    over = found.over_seeds()
    assert (low[0], high[0]) == (found.t_grok.min(), found.t_grok.max())
    assert (over.low[0], over.high[0]) != (low[0], high[0])
    between = [np.sqrt(over.high[0] * high[0])] if over.high[0] > high[0] else [np.sqrt(over.low[0] * low[0])]
    time = np.array([over.t_grok[0], *between, 10 * high[0], np.nan])
    rows = xr.Dataset(
        {
            "measured_t_grok": ("run", time),
            "measured_after": ("run", time - 1),
            "last": ("run", np.array([1e4, 1e4, 1e5, 100.0])),  # the fourth was not watched for long
            "gamma": ("run", np.ones(4)),
        }
    )
    assert inside(rows, np.full(4, over.low[0]), np.full(4, over.high[0])).tolist() == [
        True,
        True,
        False,
        True,
    ]
    monkeypatch.setattr(
        coverage, "lanes_of", lambda source, runs, which: Lanes(np.ones(4), np.ones(4), np.ones(4))
    )
    made: Any = SimpleNamespace(rows=rows, runs=None, options={})
    (one,) = shares(_Source(), made, sizes=(16,))
    assert (one.n, one.subsets, one.before, one.after) == (16, 1, 0.5, 0.75)
    assert [x.n for x in shares(_Source(), made)] == [2, 4, 8, 16]
