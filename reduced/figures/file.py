"""Writing a figure."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from groktime.reduced.errors import InputError
from groktime.reduced.files import check_output, replacing

SUFFIXES = (".png", ".pdf", ".svg")


def check_figure(path: str | Path, overwrite: bool) -> Path:
    """The path, if a figure may be written there; asked before any work is done."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected the name of a figure, ending in one of {', '.join(SUFFIXES)}")
    check_output(path, overwrite)
    return path


def save(figure: Figure, path: str | Path, overwrite: bool = False) -> Path:
    """Write the figure as PNG, PDF or SVG, by the suffix of the path.

    Raises
    ------
    InputError : for another suffix, a file that exists, or a folder that cannot be written to.
    """
    path = check_figure(path, overwrite)
    with replacing(path, overwrite) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=150)
    return path
