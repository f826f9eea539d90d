"""Logs as the arguments of `Runs.assemble`: what `gt.import_runs` does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from numpy.typing import ArrayLike

from groktime.fullnet.logs.names import QUANTITIES
from groktime.reduced.arguments import choice, number, text
from groktime.reduced.errors import InputError
from groktime.reduced.system import MEMORIZED

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "not told"  # task, loss or optimizer of a log
Log: TypeAlias = "str | os.PathLike[str] | pd.DataFrame"


class LogOptions(TypedDict, total=False):
    """What a user says of a log, see `import_runs`."""

    columns: Mapping[str, str]
    accuracy: str | None
    gamma: ArrayLike | None
    eta_d: ArrayLike | None
    alpha: ArrayLike | None
    n_train: ArrayLike | None
    task: str
    loss: str
    optimizer: str


def read(logs: object, **how: Any) -> dict[str, Any]:
    """The arguments of `Runs.assemble`, and `source`, of one log or several.

    Raises
    ------
    InputError : naming the log or the argument, and what was expected.
    """
    from groktime.fullnet.logs.curves import UNITS, arrays_of  # pandas, which no runs file needs
    from groktime.fullnet.logs.rows import rows_of

    every = list(logs) if isinstance(logs, list | tuple) else [logs]
    if not every:
        raise InputError("logs: expected a file or a pandas.DataFrame, or several")
    chosen = _chosen(how.get("columns") or {})
    unit = how.get("accuracy")
    unit = None if unit is None else choice("accuracy", unit, UNITS)
    rows = rows_of(every, chosen)
    found = arrays_of(rows, how, unit)
    log = {"files": rows.source, "columns": dict(rows.columns), "remarks": found.pop("remarks")}
    return found | {
        "source": rows.source,
        "task": text("task", how.get("task", UNKNOWN)),
        "loss": text("loss", how.get("loss", UNKNOWN)),
        "optimizer": text("optimizer", how.get("optimizer", UNKNOWN)),
        "threshold": number("threshold", how.get("threshold", MEMORIZED)),
        "configuration": {"log": log},
    }


def _chosen(columns: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(columns, Mapping):
        raise InputError("columns: expected names by quantity, such as {'test_accuracy': 'val/acc'}")
    return {choice("columns", k, QUANTITIES): text(f"columns[{k!r}]", v) for k, v in columns.items()}
