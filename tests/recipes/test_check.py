"""How verdicts are scored: on runs of which the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from groktime.fullnet.runs import Runs, import_runs
from groktime.recipes.results.check import Set, auroc, constants, some, times, verdicts, within
from groktime.validation.time_to_go import TEST

STEP = np.unique(np.round(np.append(0, np.geomspace(1, 20_000, 300))))
RATES = (4e-4, 5e-4, 6e-4, 8e-4, 0.0, 0.0)  # of the test loss; without one, nothing generalizes


def runs() -> Runs:
    """Runs whose test loss falls by a law from step 100 on, and is κ of its highest when they generalize."""
    frames = []
    for k, rate in enumerate(RATES):
        late = np.maximum(STEP - 100, 0)
        there = np.exp(-rate * late) <= TEST.kappa
        curves = {"train_acc": np.where(STEP < 100, 0.5, 1.0), "test_acc": np.where(there, 1.0, 0.1)}
        losses = {"train_loss": 1e-3, "test_loss": 4 * np.exp(-rate * late), "weight_norm": 10.0}
        frames.append(pd.DataFrame({"step": STEP, "seed": k, **curves, **losses}))
    return import_runs(pd.concat(frames))


def test_the_area_counts_pairs() -> None:
    yes = np.array([True, True, False, False])
    assert auroc(np.array([3.0, 2.0, 1.0, 0.0]), yes) == 1
    assert auroc(np.array([0.0, 1.0, 2.0, 3.0]), yes) == 0
    assert auroc(np.array([1.0, 3.0, 2.0, 0.0]), yes) == 0.75
    assert auroc(np.full(4, -np.inf), yes) == 0.5
    assert np.isnan(auroc(np.arange(4.0), np.ones(4, bool)))


def test_runs_by_a_law_are_all_right() -> None:
    one = Set.of("law", runs())
    assert np.isfinite(one.t_grok).tolist() == [True] * 4 + [False] * 2
    for row in within([one], "law"):
        assert row[2] == "2 of 6" and row[3] == "1.00" and row[4] == "0.50"  # the norm says nothing
    for share, row in zip(("25%", "50%"), times(one), strict=True):
        assert row[1:3] == [share, "4 of 4"] and row[4] == "100 %"
        assert int(row[3].split()[0]) <= 3
    assert verdicts([one])[-1] == ["plain overfitting", "50%", "2", "0"]


def test_the_constants_are_those_of_the_law() -> None:
    ((name, count, _, middle, *_), *_) = constants([Set.of("law", runs())])
    assert (name, count) == ("test curves", "8")
    assert float(middle) == pytest.approx(1, abs=0.05)


def test_seeds_that_choose_are_not_those_that_are_scored() -> None:
    odd, even = some(runs(), odd=True), some(runs(), odd=False)
    assert odd["seed"].values.tolist() == [1, 3, 5] and even["seed"].values.tolist() == [0, 2, 4]
