"""What a shell offers at the end of a line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from groktime.commands import COMMANDS
from groktime.fullnet.built_in import BUILT_IN


def completed(line: str, tmp_path: Path) -> set[str]:
    """What argcomplete offers at the end of a line, as a shell asks for it."""
    out = tmp_path / "offered"
    environment = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "63",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    code = "import sys; sys.argv[0] = 'groktime'; from groktime.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    return {word.strip() for word in out.read_text().split("\n")}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("groktime ", set(COMMANDS)),
        ("groktime sample-path ", set(BUILT_IN)),
        ("groktime predict teacher-student --metric ", {"accuracy", "loss"}),
        ("groktime predict ", {"teacher-student", "addition", "mine.nc"}),
        ("groktime measure ", {"mine.nc"}),
        ("groktime train mnist --preset ", {"small", "fig12"}),
        ("groktime train mnist --opt", {"--optimizer"}),
        ("groktime figure fig1", {"fig10a", "fig10b"}),
    ],
)
def test_a_shell_completes(line: str, offered: set[str], tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    for name in ("mine.nc", "notes.txt"):
        (tmp_path / name).touch()
    found = completed(line, tmp_path)
    assert offered <= found
    assert not any("notes" in word for word in found)
