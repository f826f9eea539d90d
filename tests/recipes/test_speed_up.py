"""How many times fewer steps a forecast takes is told of its own training."""

from __future__ import annotations

from pathlib import Path

import pytest

from groktime.recipes.__main__ import main
from groktime.recipes.results.speed_up import rows
from groktime.reduced.forecast import open_forecast
from groktime.validation.measure import measure


def test_a_network_beside_its_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["speed_up", "--gamma", "1", "--seeds", "1", "--steps", "4000", "-o", str(tmp_path)]
    assert main(asked) == 0
    ((gamma, seed, *texts),) = rows(open_forecast(tmp_path / "forecast.nc"), measure(tmp_path / "runs.nc"))
    assert (gamma, seed) == ("1", "110")
    trained, told, error, apart, steps, fewer = (float(x.replace(",", "").rstrip(" %")) for x in texts)
    assert error == pytest.approx(100 * (told / trained - 1), abs=0.1)
    assert abs(error) < 10
    assert 0 <= apart < 10.6  # precision 0.1 of ln t_grok
    assert fewer == pytest.approx(trained / steps, abs=0.5)
    assert " | ".join(texts) in capsys.readouterr().out
