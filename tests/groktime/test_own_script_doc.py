"""docs/own-script.md: its scripts as they are, but for the number of steps, each forecast in ten lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import groktime as gt
from groktime.cli import main

DOC = (Path(__file__).parents[2] / "docs" / "own-script.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", DOC, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("k", range(3))
def test_a_script_is_forecast_in_ten_lines(k: int, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert len(BLOCKS) == 3
    ours = BLOCKS[k].split("import groktime as gt\n")[1]
    assert len(ours.strip().splitlines()) < 10
    whole = gt.forecast
    short: dict[str, Any] = {"steps": 40, "machine": gt.Machine(workers=1, progress=False)}
    monkeypatch.setattr(gt, "forecast", lambda *args, **how: whole(*args, **how | short), raising=False)
    exec(BLOCKS[k], {})
    assert capsys.readouterr().out


def test_a_script_s_task_has_a_gamma_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    script = BLOCKS[0].split("found =")[0]
    Path("hinged.py").write_text(script)
    assert (
        main(
            [
                "forecast",
                "hinged:task",
                "--seeds",
                "2",
                "--steps",
                "30",
                "--workers",
                "1",
                "--quiet",
                "-o",
                "f.nc",
            ]
        )
        == 0
    )
    found = gt.open_forecast("f.nc")
    assert (float(found["gamma"].values[0]), found.attrs["optimizer"]) == (2e-3, "momentum")
    assert (
        main(
            [
                "train",
                "hinged:task",
                "--alpha",
                "1",
                "--seeds",
                "1",
                "--steps",
                "3",
                "--workers",
                "1",
                "--quiet",
                "-o",
                "r.nc",
            ]
        )
        == 0
    )
    assert gt.open_runs("r.nc").law.momentum == 0.9
    capsys.readouterr()
    assert main(["forecast", "teacher-student", "--seeds", "2", "--steps", "30", "--quiet"]) == 2
    assert "gamma: expected a weight decay; teacher-student has none" in capsys.readouterr().err
