"""docs/tutorial.md: its commands as they are, and what it says that they print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from groktime.cli import main
from tests.shown import same

PAGE = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text()
# (commands, the lines that are shown of what they print)
_BLOCKS = r"^```console\n((?:\$ groktime [^\n]*\n)+)```\n\n```text\n(.*?)^```$"
SHOWN = re.findall(_BLOCKS, PAGE, re.DOTALL | re.MULTILINE)


def check(commands: str, lines: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in re.findall(r"^\$ groktime (.*)$", commands, re.MULTILINE):
        assert main(shlex.split(command)) == 0
    printed = capsys.readouterr().out.splitlines()
    for line in lines.splitlines():
        assert any(same(line, one) for one in printed), line


def test_predictions_are_as_they_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(SHOWN) == 6
    for commands, lines in SHOWN[:3]:
        check(commands, lines, capsys)


@pytest.mark.slow
def test_forecast_training_and_comparison_are_as_they_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for commands, lines in SHOWN[3:]:
        check(commands, lines, capsys)
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(snippet, names)
    assert names["inside"] == [True] * 4
