"""README says what the code says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from groktime.cli import parser
from groktime.reduced.landscape import open_landscape
from groktime.reduced.shipped import shipped

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "docs").rglob("*.md")
WITH_COMMANDS = [
    *("README.md", "Makefile"),
    *sorted(str(page.relative_to(ROOT)) for page in PAGES if "\n$ groktime" in page.read_text()),
]


def test_the_formulas_are_those_that_the_derivation_prints() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "groktime.reduced.derivation"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.strip()
    assert printed
    assert printed in (ROOT / "docs" / "how-it-works.md").read_text()


@pytest.mark.parametrize(("kind", "command"), [("landscapes", "sample"), ("paths", "sample-path")])
def test_everything_that_ships_has_its_command(kind: str, command: str) -> None:
    commands = (ROOT / "reduced" / kind / "README.md").read_text()
    for name in shipped(kind):
        assert f"| `{name}` | `groktime {command} " in commands


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_every_command_is_one_that_the_command_line_takes(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    found = re.findall(r"^(?:\$ (?:\w+=\S+ )?|\t\$\(BIN\)/)groktime (.*)$", text, re.MULTILINE)
    assert found
    for words in found:
        parser().parse_args(shlex.split(words, comments=True))


def test_make_run_trains_networks_that_the_landscape_has_not_seen() -> None:
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (words,) = re.findall(r"groktime (train .*)$", text, re.MULTILINE)
    options = parser().parse_args(shlex.split(words))
    assert len(options.seeds) * len(options.gamma) * len(options.alpha) == 8
    assert not set(options.seeds) & set(open_landscape(options.task).seeds)
