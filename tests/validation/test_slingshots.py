"""Runs that fall back below the threshold: when they first pass, and when for good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logged import EARLY, LATE, one, two
from trained import NAN, trained

import groktime as gt
from groktime.cli import main
from groktime.validation.measure import crossing, measure

#         0    10   20   30   40   50   60   70   80   90
FALLS = [0.0, 0.95, 0.1, 0.95, 0.95, 0.95, 0.2, 0.95, 1.0, 1.0]


def test_first_and_stable_pass_and_the_share_between() -> None:
    delays = measure(trained([FALLS, [0.0] * 10, [1.0] * 10, [*FALLS[:-1], 0.0]]))
    np.testing.assert_array_equal(delays["t_grok_first"], [10, NAN, 0, 10])
    np.testing.assert_array_equal(delays["t_grok"], [30, NAN, 0, 30])
    np.testing.assert_array_equal(delays["t_grok_stable"], [70, NAN, 0, NAN])
    np.testing.assert_allclose(delays["share_below"], [2 / 8, NAN, 0, 3 / 8])


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=30), st.integers(1, 4), st.booleans())
def test_what_was_not_evaluated_changes_nothing(kinds: list[int], persist: int, stable: bool) -> None:
    """A time is the same with and without the columns in which a run was not seen."""
    code = np.array([kinds])
    seen, finished = code > 0, np.array([False])
    found = crossing(code == 2, seen, finished, persist, stable)[0]
    if not seen.any():
        assert found == -1
        return
    where = np.flatnonzero(seen[0])
    dense = crossing((code == 2)[:, where], seen[:, where], finished, persist, stable)[0]
    assert found == (-1 if dense < 0 else where[dense])


def test_the_table_tells_of_runs_that_fall_back_and_only_of_those(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fallen = EARLY.copy()
    fallen[5] = 0.4
    for name, test in (("quiet", EARLY), ("fallen", fallen)):
        one(test).to_csv(tmp_path / f"{name}.csv", index=False)
        assert main(["measure", str(tmp_path / f"{name}.csv"), "--rule", "first"]) == 0
        assert ("1 runs fall back" in capsys.readouterr().out) == (name == "fallen")


def test_an_evaluation_before_is_one_of_the_run_itself() -> None:
    """`compare` asks after which evaluation a run passed: in a log not one of another run."""
    from groktime.validation.table import measured

    other = one(EARLY, run="other")
    other["step"] = other["step"] + 1
    runs = gt.import_runs(pd.concat([two(), other]))
    rows = measured(runs, measure(runs), np.zeros(3))
    assert rows["measured_after"].values.tolist() == [80, 20, 21]


def test_a_log_is_compared_where_its_settings_are_known(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    two(weight_norm="norm").to_csv(tmp_path / "log.csv", index=False)
    said = ["--gamma", "0.1", "--eta-d", "3e-4", "--alpha", "3", "--n-train", "100"]
    assert main(["compare", "teacher-student", str(tmp_path / "log.csv"), *said]) == 2
    assert "does not tell optimizer, with which" in capsys.readouterr().err
    assert main(["compare", "teacher-student", str(tmp_path / "log.csv"), *said, "--optimizer", "adamw"]) == 0
    out = capsys.readouterr().out
    assert "does not tell its task: taken as that of teacher-student" in out
    runs = gt.import_runs(two(), gamma=0.1, eta_d=3e-4, alpha=3.0, n_train=100, optimizer="adamw")
    table = gt.compare("teacher-student", runs).table
    assert not table["seed_matched"].values.any()  # seeds of a log are not those of the landscape
    assert np.isfinite(table["predicted"].sel(predictor="flow").values).all()


def test_a_log_is_drawn_by_what_it_holds() -> None:
    """Without settings in one panel; where a run was not evaluated its line goes on."""
    late = one(LATE, run="late")
    late["step"] = late["step"] + 5
    (panel,) = gt.plot(gt.import_runs(pd.concat([late, one(EARLY, run="early")]))).figure.axes
    assert panel.get_title().startswith("settings not told")
    assert {len(line.get_xdata()) for line in panel.lines} == {7, 8}  # one has its first evaluation at 0


def test_import_writes_a_file_that_measures_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, out = tmp_path / "log.csv", tmp_path / "runs.nc"
    two(test_accuracy="odd").to_csv(log, index=False)
    assert main(["import", str(log), "-o", str(out)]) == 0
    assert "test_accuracy" not in capsys.readouterr().out  # the test loss alone
    assert main(["import", str(log), "--column", "test_accuracy=odd", "-o", str(out), "--overwrite"]) == 0
    assert "2 runs to step 640" in capsys.readouterr().out
    tables = []
    for name in (log, out):
        more = ["--column", "test_accuracy=odd"] if name == log else []
        assert main(["measure", str(name), *more]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] and "late" in tables[0] and " 160 " in tables[0]
    assert main(["import", str(log), "-o", str(log)]) == 2
    assert main(["measure", str(out), "--gamma", "0.1"]) == 2
    assert "gamma: expected a log" in capsys.readouterr().err
