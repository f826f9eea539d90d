"""A comparison's report on disk: a folder that is complete or is not there."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from groktime.reduced.errors import InputError
from groktime.reduced.files import FileName, check_not_read, check_place, mode_of, write_dataset
from groktime.reduced.folders import replacing_folder, restore

if TYPE_CHECKING:
    from groktime.validation.comparison import Comparison
    from groktime.validation.ladder import Ladder

FIGURES = ("predicted.png", "errors.png", "curves.png", "trajectory.png")
LADDER = "ladder.png"  # only of a report that was given one
FILES = ("report.html", "table.csv", "table.nc", "summary.nc", "summary.txt", *FIGURES)
LADDER_FILES = ("ladder.txt", "table.csv", "table.nc", LADDER)


def check_folder(
    path: Path,
    overwrite: bool,
    files: Sequence[str] = (*FILES, LADDER),
    inputs: Iterable[FileName | None] = (),
) -> None:
    """Refuse, before any work, a folder that exists, that holds an input, or that cannot be made."""
    restore(path)
    mode = mode_of(path)
    if mode is not None and not stat.S_ISDIR(mode):
        raise InputError(f"{path}: is not a folder; expected the name of a folder to write")
    if mode is not None:
        if not overwrite:
            raise InputError(f"{path}: exists already; name another folder, or allow it to be overwritten")
        foreign = _foreign(path, files)
        if foreign:
            raise InputError(
                f"{path}: holds {foreign[0]}, which is no part of a report; expected a folder to replace "
                "that holds nothing else"
            )
        check_not_read(path, inputs)
    check_place(path)


def _foreign(path: Path, files: Sequence[str]) -> list[str]:
    """What in a folder is no part of a report."""
    return sorted(p.name for p in path.iterdir() if p.name not in files or not p.is_file())


def write_report(
    comparison: Comparison, path: Path, overwrite: bool = False, ladder: Ladder | None = None
) -> Path:
    """Write the files of `FILES`, and with a ladder its figure."""
    from groktime.validation.figures import plot
    from groktime.validation.page import page

    check = partial(check_folder, path, overwrite)
    check()
    with replacing_folder(path, check) as folder:
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
    check = partial(check_folder, path, overwrite, LADDER_FILES)
    check()
    with replacing_folder(path, check) as folder:
        (folder / "ladder.txt").write_text(ladder.report() + "\n", encoding="utf-8")
        (folder / "table.csv").write_text(ladder.to_dataframe().to_csv(index=False), encoding="utf-8")
        write_dataset(ladder.table, folder / "table.nc")
        ladder.plot(folder / LADDER)
    return path
