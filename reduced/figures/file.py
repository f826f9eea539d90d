"""Writing a figure: whole or not at all, and never over a file by accident."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from reduced.errors import InputError
from reduced.landscape import check_output

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=150)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path
