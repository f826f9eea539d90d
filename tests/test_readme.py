"""README says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from reduced.landscape import shipped

ROOT = Path(__file__).parents[1]


def test_the_formulas_are_those_that_the_derivation_prints() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "reduced.derivation"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()
    assert printed
    assert printed in (ROOT / "README.md").read_text()


def test_every_shipped_landscape_has_its_command() -> None:
    commands = (ROOT / "reduced" / "landscapes" / "README.md").read_text()
    for name in shipped():
        assert f"| `{name}` | `groktime sample" in commands
