"""Measured runs as points of the page: their settings, and when they generalized."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from groktime.fullnet.runs import Runs, runs_of
from groktime.reduced.errors import InputError
from groktime.reduced.files import FileName
from groktime.reduced.source import Options, Source, option
from groktime.validation.ask import file_of
from groktime.validation.match import check_match
from groktime.validation.measure import measure

Measured = Runs | xr.Dataset | FileName
"""Trained networks, their file, or their measured times: those of `measure`, or a CSV table of them."""

_SETTINGS = {"gamma": "gamma", "eta_d": "eta_d", "alpha": "alpha", "m": "m_start"}
_NEEDED = ("gamma", "eta_d", "t_grok")


def points(source: Source, given: Sequence[Measured], options: Options) -> list[dict[str, float | None]]:
    """A point a run: settings, `t_grok` (None where it never generalized) and `last`, the step up to which it
    was watched.

    Raises
    ------
    InputError : naming the file, where the runs are of other networks than the source, or it is no table of
        measured times.
    """
    return [point for one in given for point in _points(source, one, options)]


def _points(source: Source, given: Measured, options: Options) -> list[dict[str, float | None]]:
    if isinstance(given, xr.Dataset):
        return _of_columns("runs", {str(k): v.values for k, v in given.variables.items()})
    if not isinstance(given, Runs) and str(given).endswith(".csv"):
        return _of_columns(str(given), _read(Path(given)))
    runs = runs_of(given)
    threshold, metric = option(options, "threshold"), option(options, "metric")
    check_match(file_of(source), runs, threshold, metric)
    times = measure(runs, threshold, metric=metric)
    return _of_columns(runs.source, {str(k): v.values for k, v in times.variables.items()})


def _read(path: Path) -> dict[str, list[str]]:
    """The columns of a table, without lines that begin with #."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable table; expected the CSV of `groktime measure`") from error
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return {str(name): [row[name] or "" for row in rows] for name in (rows[0] if rows else ())}


def _of_columns(name: str, columns: dict[str, Any]) -> list[dict[str, float | None]]:
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise InputError(
            f"{name}: has no column {missing[0]}; expected measured times, as `groktime measure` gives them"
        )
    wanted = _SETTINGS | {"t_grok": "t_grok", "last": "last"}
    each = {k: _numbers(name, v, columns[v]) for k, v in wanted.items() if v in columns}
    if "eta_r" in columns:
        each["eta_ratio"] = [
            None if a is None or b is None else a / b
            for a, b in zip(_numbers(name, "eta_r", columns["eta_r"]), each["eta_d"], strict=True)
        ]
    if any(x is None for column in ("gamma", "eta_d") for x in each[column]):
        raise InputError(f"{name}: a run without gamma or eta_d; expected both of every run")
    return [dict(zip(each, values, strict=True)) for values in zip(*each.values(), strict=True)]


def _numbers(name: str, column: str, values: Any) -> list[float | None]:
    """Numbers of a column; None where one is empty or NaN."""
    try:
        found = [float("nan") if v == "" else float(v) for v in values]
    except ValueError as error:
        raise InputError(
            f"{name}: column {column} holds {error.args[0].split(': ')[-1]}; expected numbers"
        ) from None
    return [x if np.isfinite(x) else None for x in found]
