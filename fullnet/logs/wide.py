"""Wide tables, in which a column belongs to one run: "run - test_acc", "run/test_acc", "test_acc_seed3"."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from groktime.fullnet.logs.names import CURVES, rank_of

_NUMBERED = r"(?:seed|run|member)[\s_\-=]*\d+"
_FORMS = (
    re.compile(r"(?P<run>.+) - (?P<metric>.+?)"),  # as Weights & Biases exports a chart
    re.compile(rf"(?P<run>{_NUMBERED})[\s_\-./]+(?P<metric>.+)"),
    re.compile(r"(?P<run>.+)/(?P<metric>.+)"),
    re.compile(rf"(?P<metric>.+?)[\s_\-./(\[]+(?P<run>{_NUMBERED}|s?\d+)[)\]]*"),
)
_BANDS = ("__MIN", "__MAX")  # beside each column of such an export


def long(frame: pd.DataFrame, chosen: Mapping[str, str]) -> pd.DataFrame:
    """The table with a row a run and step; one whose columns name their quantities is returned as it is."""
    names = [str(name) for name in frame.columns if not str(name).endswith(_BANDS)]
    frame = frame[names]
    if any(_is_curve(name, chosen) for name in names):
        return frame
    of_runs: dict[str, dict[str, str]] = {}
    for name in names:
        run, metric = _split(name, chosen)
        if metric:
            of_runs.setdefault(run, {})[name] = metric
    if not of_runs:
        return frame
    shared = [name for name in names if not any(name in columns for columns in of_runs.values())]
    shared = [name for name in shared if " - " not in name]  # of a run, and no quantity that is known
    parts = [
        frame[[*shared, *columns]].rename(columns=columns).assign(run=run) for run, columns in of_runs.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _is_curve(name: str, chosen: Mapping[str, str]) -> bool:
    if any(chosen.get(quantity) == name for quantity in CURVES):
        return True
    return any(rank_of(name, quantity) is not None for quantity in CURVES)


def _split(name: str, chosen: Mapping[str, str]) -> tuple[str, str]:
    """The run and the quantity that a column is of; empty where it is none."""
    for form in _FORMS:
        found = form.fullmatch(name)
        if found and _is_curve(found["metric"], chosen):
            return found["run"], found["metric"]
    return "", ""
