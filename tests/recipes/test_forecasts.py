"""The table of forecasts beside trainings, from networks that were kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groktime.recipes.results import forecasts
from groktime.recipes.results.decay_systems import SYSTEMS
from groktime.recipes.results.forecasts import Scored, by_gamma, claimed, line
from groktime.reduced.forecast import open_forecast

NAN = float("nan")
MADE = Scored(
    gamma=np.array([0.1, 0.3, 0.1, 0.3]),
    seed=np.array([90.0, 90, 91, 91]),
    t_grok=np.array([1000.0, 400, 2000, NAN]),
    last=np.array([1100.0, 440, 2200, 5000]),
    told=np.array([1100.0, 380, NAN, 4000]),
    law=np.array([NAN, 500, 1000, 1 / 3]),
    inside=np.array([1.0, 0, 0, 0]),
    spent=np.array([100.0, 200, 300, 400]),
    numerical=np.array([0.02, 0.04, np.inf, 0.0]),
    twins=np.array([[1000.0, 400], [1100, 400]]),
)


def test_networks_are_written_and_read_again_to_the_last_digit(tmp_path: Path) -> None:
    MADE.write(tmp_path / "a.csv")
    again = Scored.read(tmp_path / "a.csv")
    for name in (*forecasts.COLUMNS, "twins"):
        np.testing.assert_array_equal(getattr(again, name), getattr(MADE, name), err_msg=name)
    assert (tmp_path / "a.csv").read_text().startswith("gamma,seed,t_grok,")


def test_networks_are_scored_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds at two strong decays, in real networks: every number is that of its own network."""
    few = replace(SYSTEMS["teacher-student"], gamma=(3.0, 6.0), steps=1_500)
    monkeypatch.setitem(SYSTEMS, "teacher-student", few)
    found = forecasts.scored("teacher-student", tmp_path, 2, 1)
    assert list(zip(found.seed, found.gamma, strict=True)) == [(90, 3), (91, 3), (90, 6), (91, 6)]
    own = open_forecast(tmp_path / "forecast.nc")
    for k, (seed, gamma) in enumerate(zip((0, 1, 0, 1), (0, 0, 1, 1), strict=True)):
        assert found.spent[k] == own.real_steps[seed, gamma, 0, 0]
        assert found.told[k] == pytest.approx(own.times().t_grok[seed, gamma, 0, 0], rel=1e-12)
    np.testing.assert_allclose(found.told, found.t_grok, rtol=0.2)
    np.testing.assert_allclose(found.twins[1], found.twins[0], rtol=0.02)


def test_the_line_of_a_system() -> None:
    """Three of four get there, two of these are told, 10 % late and 5 % early; the fourth is told, and wrong.
    The floor is of 1000 and 1100 either way, and of two 400."""
    apart = (100 / 1000 + 100 / 1100) / 4
    assert line("teacher-student", MADE) == [
        "teacher–student", "0.1 – 0.3", "3 of 4", "2", "7.5 % (+2.5)", f"{100 * apart:.1f} %", "2.0 %",
        "37.5 % (-12.5)", "1", "50 %", "250", "8.4",
    ]  # fmt: skip
    assert by_gamma("teacher-student", MADE) == [
        ["teacher–student", "0.1", "1,500", "10.0 % (+10.0)", "200", "7.5"],
        ["teacher–student", "0.3", "400", "5.0 % (-5.0)", "300", "9.0"],
    ]


def test_a_system_of_which_no_network_gets_there_has_its_line_and_no_score() -> None:
    made = replace(MADE, t_grok=np.full(4, NAN), told=np.full(4, NAN), twins=np.full((2, 2), NAN))
    assert MADE.scored and not made.scored
    assert line("addition", made)[2:6] == ["0 of 4", "0", "–", "–"]
    assert line("addition", made)[7:10] == ["–", "0", "–"]


def test_the_law_is_scored_where_it_is_claimed() -> None:
    made = replace(MADE, gamma=np.array([0.1, 1.0, 3.0, 3.0]), law=np.array([1.0, 2, 3, 4]))
    np.testing.assert_array_equal(claimed("mnist", made), [1, 2, NAN, NAN])
    np.testing.assert_array_equal(claimed("teacher-student", made), made.law)


def test_systems_that_were_run_before_stand_beside_those_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(forecasts, "KEPT", tmp_path)
    monkeypatch.setattr(forecasts, "scored", lambda *_: MADE)
    MADE.write(tmp_path / "mnist.csv")
    (tmp_path / "out").mkdir()
    forecasts.run(tmp_path / "out", 2, systems=("teacher-student",), twins=1)
    told = capsys.readouterr().out
    assert "| teacher–student | 0.1 – 0.3 | 3 of 4 |" in told
    assert "| MNIST | 0.1 – 0.3 | 3 of 4 |" in told
    assert "IMDb" not in told
    assert Scored.read(tmp_path / "out" / "teacher-student.csv").seed.tolist() == MADE.seed.tolist()
    assert (tmp_path / "out" / "forecasts.png").stat().st_size > 10_000
