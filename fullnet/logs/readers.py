"""Which reader a log has: by its name, and of event files by that of what a folder holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from groktime.fullnet.logs.arrays import read_arrays
from groktime.fullnet.logs.kinds import ARRAYS, RECORDS, TEXT, WORDS, holds_events, plain
from groktime.fullnet.logs.records import read_records
from groktime.fullnet.logs.tensorboard import read_events
from groktime.fullnet.logs.text import read_text
from groktime.fullnet.logs.wide import long
from groktime.reduced.arguments import shown
from groktime.reduced.errors import InputError

_COMMON = (
    "metrics",
    "log",
    "logs",
    "history",
    "trainer_state",
    "progress",
    "results",
)  # the folder tells more


@dataclass(frozen=True)
class Log:
    """A long table, its columns as the file has them. `run`: what its run is called where none tells."""

    frame: pd.DataFrame
    source: str
    run: str


def log_of(given: object, chosen: Mapping[str, str]) -> Log:
    """A log, from its file, its folder or a data frame; `chosen`: columns that a user named.

    Raises
    ------
    InputError : naming the file and what was expected of it.
    """
    if isinstance(given, pd.DataFrame):
        frame = given.reset_index() if any(given.index.names) else given
        log = Log(long(frame.rename(columns=str), chosen), "data frame", "run")
    elif isinstance(given, str | os.PathLike):
        path = Path(given)
        log = Log(long(_frame(path, chosen), chosen), str(path), _run(path))
    else:
        raise InputError(f"logs: {shown(given)}: expected a file, or a pandas.DataFrame")
    if log.frame.empty:
        raise InputError(f"{log.source}: holds no rows; expected evaluations")
    return log


def _frame(path: Path, chosen: Mapping[str, str]) -> pd.DataFrame:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir() or holds_events(path):
        return read_events(path)
    suffix = plain(path).suffix.lower()
    if suffix in TEXT:
        return read_text(path)
    if suffix in RECORDS and suffix == path.suffix.lower():
        return read_records(path)
    if suffix in ARRAYS:
        return read_arrays(path, chosen)
    raise InputError(f"{path}: is no log that is known by its name; expected {WORDS}")


def _run(path: Path) -> str:
    stem = plain(path).stem.removesuffix(".curves")
    folder = path.absolute().parent.name
    return folder if stem in _COMMON and folder else stem
