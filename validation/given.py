"""Values or the names of their files: what every verb here takes."""

from __future__ import annotations

import os
from pathlib import Path

from groktime.fullnet.runs import Runs, open_runs
from groktime.reduced.decay_path import DecayPath, open_path
from groktime.reduced.landscape import Landscape, open_landscape

FileName = str | os.PathLike[str]


def runs_of(given: Runs | FileName) -> Runs:
    """Runs, or those of a file."""
    return given if isinstance(given, Runs) else open_runs(Path(given))


def path_of(given: DecayPath | FileName) -> DecayPath:
    """A decay path, or that of a file."""
    return given if isinstance(given, DecayPath) else open_path(Path(given))


def landscape_of(given: Landscape | FileName) -> Landscape:
    """A landscape, or the one of a name or file."""
    return given if isinstance(given, Landscape) else open_landscape(Path(given))
