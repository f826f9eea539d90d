"""A comparison's report on disk: a folder that is complete or is not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from groktime.reduced.errors import InputError
from groktime.reduced.files import write_dataset

if TYPE_CHECKING:
    from groktime.validation.comparison import Comparison
    from groktime.validation.ladder import Ladder

FIGURES = ("predicted.png", "errors.png", "curves.png", "trajectory.png")
LADDER = "ladder.png"  # only of a report that was given one
FILES = ("report.html", "table.csv", "table.nc", "summary.nc", "summary.txt", *FIGURES)
LADDER_FILES = ("ladder.txt", "table.csv", "table.nc", LADDER)


def check_folder(path: Path, overwrite: bool, files: Sequence[str] = (*FILES, LADDER)) -> None:
    """Refuse, before any work, a folder that exists or that cannot be made."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path}: is not a folder; expected the name of a folder to write")
    if path.exists():
        if not overwrite:
            raise InputError(f"{path}: exists already; name another folder, or allow it to be overwritten")
        foreign = sorted(p.name for p in path.iterdir() if p.name not in files or not p.is_file())
        if foreign:
            raise InputError(
                f"{path}: holds {foreign[0]}, which is no part of a report; expected a folder to replace "
                "that holds nothing else"
            )
    parent = path.absolute().parent
    if not parent.is_dir():
        raise InputError(f"{path}: its folder {path.parent} does not exist")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{path}: its folder {path.parent} is not writable")


def write_report(
    comparison: Comparison, path: Path, overwrite: bool = False, ladder: Ladder | None = None
) -> Path:
    """Write the files of `FILES`, and with a ladder its figure."""
    from groktime.validation.figures import plot
    from groktime.validation.page import page

    check_folder(path, overwrite)
    with _replacing(path) as folder:
        table = comparison.table
        (folder / "table.csv").write_text(comparison.to_dataframe().to_csv(index=False), encoding="utf-8")
        write_dataset(table, folder / "table.nc")
        write_dataset(comparison.summary, folder / "summary.nc")
        (folder / "summary.txt").write_text(comparison.report() + "\n", encoding="utf-8")
        for name in FIGURES:
            plot(comparison, folder / name, kind=Path(name).stem)
        if ladder is not None:
            ladder.plot(folder / LADDER)
        (folder / "report.html").write_text(page(comparison, folder, ladder), encoding="utf-8")
    return path


def write_ladder(ladder: Ladder, path: Path, overwrite: bool = False) -> Path:
    """Write the files of `LADDER_FILES`."""
    check_folder(path, overwrite, LADDER_FILES)
    with _replacing(path) as folder:
        (folder / "ladder.txt").write_text(ladder.report() + "\n", encoding="utf-8")
        (folder / "table.csv").write_text(ladder.to_dataframe().to_csv(index=False), encoding="utf-8")
        write_dataset(ladder.table, folder / "table.nc")
        ladder.plot(folder / LADDER)
    return path


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`, renamed to it when all went well and removed otherwise."""
    path = path.absolute()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        temporary.mkdir()
        yield temporary
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(temporary, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
