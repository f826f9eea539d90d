"""What logs hold in groktime's words: a row a run and step, with the quantities that were recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from groktime.fullnet.logs.names import CURVES, SETTINGS, columns_of, listed
from groktime.fullnet.logs.readers import Log, log_of
from groktime.reduced.arguments import shown
from groktime.reduced.errors import InputError

TESTS = ("test_accuracy", "test_loss")
_NOTHING = ("", "nan", "none", "null", "na", "n/a", "-")


@dataclass(frozen=True)
class Rows:
    """`frame`: columns `name` (of the run), `step`, `CURVES` and `SETTINGS`, NaN where nothing was recorded;
    rows in the order of the logs. `columns`: what each quantity was called. `remarks`: what a reader has to
    know."""

    frame: pd.DataFrame
    columns: Mapping[str, str]
    source: str
    remarks: tuple[str, ...]


def rows_of(logs: Sequence[object], chosen: Mapping[str, str]) -> Rows:
    """The rows of several logs. Two that hold other quantities of a run of one name are of one run; where
    they hold the same ones, the runs are two.

    Raises
    ------
    InputError : on what cannot be read, or has no steps or no test curve.
    """
    parts: list[pd.DataFrame] = []
    columns: dict[str, str] = {}
    remarks: list[str] = []
    held: dict[str, set[str]] = {}
    read = [log_of(log, chosen) for log in logs]
    for log in read:
        part, own = _mapped(log, chosen, remarks)
        columns |= own
        names = {run: _free(str(run), set(own) & {*CURVES}, held, log) for run in part["name"].unique()}
        parts.append(part.assign(name=part["name"].map(names)))
        for name in names.values():
            held.setdefault(name, set()).update({*own} & {*CURVES})
    source = ", ".join(log.source for log in read[:3])
    source += f" and {len(read) - 3} more" if len(read) > 3 else ""
    there = dict.fromkeys(name for log in read for name in log.frame.columns)
    for quantity, name in chosen.items():
        if name not in there:
            raise InputError(f"{source}: has no column {name!r} for {quantity}; it has {listed(there)}")
    if not any(name in columns for name in TESTS):
        raise InputError(
            f"{source}: no column looks like a test accuracy or a test loss; it has {listed(there)}; "
            "expected --column test_accuracy=NAME (columns={'test_accuracy': NAME})"
        )
    frame = pd.concat(parts, ignore_index=True).reindex(columns=["name", "step", *CURVES, *SETTINGS])
    return Rows(frame, columns, source, tuple(dict.fromkeys(remarks)))


def _free(run: str, own: set[str], held: Mapping[str, set[str]], log: Log) -> str:
    """The name of a run: its own, unless another log has the same quantities of a run of that name."""
    name, k = run, 1
    while held.get(name, set()) & own:
        k += 1
        name = f"{log.run} {run}" if k == 2 else f"{log.run} {run} ({k})"
    return name


def _mapped(log: Log, chosen: Mapping[str, str], remarks: list[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows of one log, and what its columns were called."""
    frame = log.frame
    here = {quantity: name for quantity, name in chosen.items() if name in frame.columns}
    columns = columns_of(frame.columns, here, log.source)
    if "step" not in columns:
        raise InputError(
            f"{log.source}: no column looks like the step; it has {listed(frame.columns)}; expected "
            "--column step=NAME (columns={'step': NAME})"
        )
    out = {q: _numbers(frame[name], q, log.source) for q, name in columns.items() if q != "run"}
    made = pd.DataFrame(out, index=frame.index)
    if "epoch" in columns["step"].lower():
        remarks.append(f"{log.source}: steps are epochs ({columns['step']}), and times are in epochs")
    made = made.assign(name=_runs(frame, made, columns, log))
    known = made["step"].notna()
    if not known.all():
        remarks.append(f"{log.source}: {int((~known).sum())} rows without a step were left out")
    made = made[known]
    wrong = (made["step"] < 0) | (made["step"] != np.floor(made["step"])) | (made["step"] > 2**53)
    if wrong.any():
        raise InputError(
            f"{log.source}: {columns['step']} is {made['step'][wrong].iloc[0]:g}; expected whole numbers "
            "from 0"
        )
    return made, columns


def _numbers(column: pd.Series, quantity: str, source: str) -> pd.Series:
    """A column as floats; what says that there is nothing is NaN."""
    if column.dtype.kind in "biuf":
        return column.astype(float)
    text = column.astype(str).str.strip().str.removesuffix("%")
    missing = column.isna() | text.str.lower().isin(_NOTHING)
    found = pd.to_numeric(text.where(~missing), errors="coerce").astype(float)
    wrong = found.isna() & ~missing
    if wrong.any():
        raise InputError(
            f"{source}: {quantity} is {shown(column[wrong].iloc[0])} in row {int(np.argmax(wrong)) + 1}; "
            "expected a number"
        )
    return found


def _runs(frame: pd.DataFrame, made: pd.DataFrame, columns: Mapping[str, str], log: Log) -> pd.Series:
    """The name of the run of each row: that of its column, or else what it has that others have not.

    A learning rate that changes is a schedule, unless without it a step would be there twice.
    """
    words = {q: frame[columns[q]].ffill().bfill().map(_word) for q in ("run", *SETTINGS) if q in columns}
    if "run" in words and not _repeats(made, [words["run"]]):
        return words["run"]
    keys = [q for q in words if q != "eta_d" and words[q].nunique() > 1]
    if "eta_d" in words and _repeats(made, [words[q] for q in keys]):
        keys.append("eta_d")
    if not keys:
        return words.get("run", pd.Series(log.run, frame.index))
    names = [words[q] if q == "run" else f"{q} " + words[q] for q in keys]
    return names[0].str.cat(names[1:], sep=", ") if len(names) > 1 else names[0]


def _repeats(made: pd.DataFrame, by: Sequence[pd.Series]) -> bool:
    """Whether a quantity was recorded more than once at a step, among rows that are alike in these words."""
    place = pd.concat([made["step"], *by], axis=1, ignore_index=True)
    return any(place[made[q].notna()].duplicated().any() for q in CURVES if q in made)


def _word(value: object) -> str:
    """A value as part of a name; 3.0 is 3."""
    return f"{value:.15g}" if isinstance(value, float) else str(value).strip()
