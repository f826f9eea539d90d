"""Parts of recipes that count, on cases that are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from groktime.recipes.paper.fig6 import descents
from groktime.recipes.poster import band
from groktime.recipes.results import drift_tables, table_teacher_student
from groktime.recipes.results.table_path import side_by_side


def test_descents_of_a_known_curve() -> None:
    """Fig. 6c: what counts as one, and the share by which it falls."""
    for corners, falls in (
        ([1.0, 0.8, 1.2, 0.6], [0.2, 0.5]),  # two, the second from the top between them
        ([1.0, 0.5, 0.505, 0.25], [0.75]),  # a rise of 1 % parts nothing
        ([1.0, 0.99, 2.0, 1.0, 4.0], [0.5]),  # a fall of 1 % is none, nor is a rise at the end
        ([1.0, 3.0], []),
    ):
        assert descents(np.array(corners)) == pytest.approx(falls)
        fine = np.interp(np.linspace(0, 1, 1001), np.linspace(0, 1, len(corners)), corners)
        assert descents(fine) == pytest.approx(falls, abs=0.03)


def test_cells_of_the_band_count_what_is_censored() -> None:
    """By hand: 1081 / 4 is inside, 1081 / 128 not; each has a run that fitted and did not generalize."""
    last, nan = np.full(3, 6000.0), np.nan
    inside = band.Cell(47, 4, 1081, np.array([900.0, 1000, nan]), np.array([100.0, nan, nan]), last)
    outside = band.Cell(47, 128, 1081, np.array([500.0, 500, 500]), np.array([400.0, 800, nan]), last)
    one, two = band.rows_of([inside, outside])
    assert one == ["47", "1,081", "4", "270", "yes", "3", "1", "1", "100", "0.37"]
    assert two == ["47", "1,081", "128", "8.45", "no", "3", "0", "1", "600", "75"]
    # the censored count: of 2 that fitted one takes 100 steps, of 3 two take 800 or less
    steps, epochs, failed = band.claims([inside, outside])
    assert steps[1] == epochs[1] == failed[1] == "yes"
    assert "inside 100 (" in steps[2] and "outside 800 (" in steps[2]
    assert steps[2].endswith("inside 1 of 3 generalized, 2 fitted; outside 2 of 3 generalized, 3 fitted")
    assert "inside 0.37 (" in epochs[2] and "outside 100 (" in epochs[2]
    assert failed[2] == "1 of 1 cells; outside 0 of 1"
    none = [replace(cell, delay=np.full(3, nan)) for cell in (inside, outside)]
    assert band.claims(none)[0][1] == "cannot be told"


def test_paths_and_runs_side_by_side() -> None:
    rows = [["2", "one path", "1", "10", "5"], ["2", "two paths", "1, 0.5", "30", "2"]]
    rows += [["2", "one run", "1", "12", "4"], ["2", "one run", "0.5", "20", "3"]]
    assert side_by_side(rows) == [
        ["2", "1", "10", "5", "1", "12", "4"],
        ["2", "", "", "", "0.5", "20", "3"],
        ["2", "1, 0.5", "30", "2", "", "", ""],
    ]


def test_spheres_are_set_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = [
        "flow",
        295.0,
        "4.2 (3.3 – 5.7)",
        "2.0",
        450.0,
        "7.6 (6.7 – 8.6)",
        "3.1",
        "1.040 (1.034 – 1.045)",
    ]
    shares = [["own seed's landscape", "–", "–"], ["landscape's seeds", "85 % of 295", "70 % of 450"]]
    monkeypatch.setattr(table_teacher_student, "headline", lambda made: ([], [scores]))
    monkeypatch.setattr(table_teacher_student, "coverage", lambda made: shares)
    made: Any = None
    told = table_teacher_student.spheres("from above", made)
    assert told == ["from above", "4.2 (3.3 – 5.7)", "7.6 (6.7 – 8.6)", "1.040", "85 %", "70 %"]


def test_when_a_curve_passes() -> None:
    """Straight between its points, upwards for an accuracy and downwards for a loss; never is never."""
    taus = np.array([0.0, 0.1, 0.2])
    assert drift_tables.reached(taus, np.array([0.1, 0.2, 0.6]), 0.3, "accuracy") == pytest.approx(0.125)
    assert drift_tables.reached(taus, np.array([2.0, 1.0, np.nan]), 1.5, "loss") == pytest.approx(0.05)
    assert drift_tables.reached(taus, np.array([1.0, 2.0, 3.0]), 1.5, "loss") == 0.0
    assert np.isnan(drift_tables.reached(taus, np.array([0.1, 0.2, np.nan]), 0.3, "accuracy"))
