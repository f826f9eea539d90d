"""Tables of schema "groktime-comparison/1", in which a predictor was the end of a column's name."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.runs import SETTINGS
from groktime.reduced.flow import Status
from groktime.validation.ask import INTERVALS
from groktime.validation.baselines import BASELINES
from groktime.validation.table import Column, assemble

FIRST = "groktime-comparison/1"
_MEASURED = (
    "measured_t_mem", "measured_t_grok", "measured_after", "measured_delay", "train_censored",
    "test_censored", "diverged", "last", "watched", "short", "norm_at_mem", "norm_at_grok",
    "threshold", "decay_rate",
)  # fmt: skip
# the words of an earlier vocabulary, longest first
_WORDS = {
    "t_train": "t_mem",
    "t_test": "t_grok",
    "norm_at_train": "norm_at_mem",
    "norm_at_test": "norm_at_grok",
}
# of each source: what ends its columns, the begins of its intervals, its status, and its seeds
_SOURCES = {
    "flow": ("", ("predicted", "spread"), "predicted_status", "seed_matched"),
    "path": ("_path", ("path", ""), "path_status", "path_seed_matched"),
}
_COARSE = "gamma is above what the path resolves"


def from_first(table: xr.Dataset) -> xr.Dataset:
    """The same numbers as a table of today."""
    table = table.rename({str(k): _today(str(k)) for k in table.data_vars if _today(str(k)) != k})
    rows = table[list(_MEASURED)].assign_coords(run=np.arange(table.sizes["run"]))
    rows = rows.reset_coords(drop=True).assign_coords(
        {"run": np.arange(table.sizes["run"])} | {k: ("run", table[k].values) for k in SETTINGS}
    )
    for name in ("train_censored", "test_censored", "diverged", "short"):
        rows[name] = rows[name].astype(bool)
    columns = _flow(table)
    if "path_status" in table:
        columns.append(_source(table, "path"))
    columns += [_baseline(table, name) for name in BASELINES]
    kept = (
        "runs",
        "task",
        "loss",
        "metric",
        "rule",
        "persist",
        "train_threshold",
        "level",
        "m_rate",
        "remarks",
    )
    return assemble(rows, columns, {k: table.attrs[k] for k in kept})


def _today(name: str) -> str:
    for old, new in _WORDS.items():
        name = name.replace(old, new)
    return name


def _flow(table: xr.Dataset) -> list[Column]:
    flow = _source(table, "flow")
    none = np.full(flow.low.shape, np.nan)
    forms = [
        Column(
            name,
            {"role": "form", "form_of": "flow"},
            {
                "predicted": table[f"predicted_t_grok_{name}"].values,
                "predicted_t_mem": table["predicted_t_mem"].values,
            },
            status=flow.status,
            low=none,
            high=none,
            remark=np.full(len(none), ""),
            seed_matched=flow.seed_matched,
            fitted=flow.fitted,
        )
        for name in ("printed", "corrected")
    ]
    return [flow, *forms]


def _source(table: xr.Dataset, name: str) -> Column:
    end, begins, status, matched = _SOURCES[name]
    count = table.sizes["run"]
    nan = np.full(count, np.nan)

    def ends(which: str) -> NDArray[np.float64]:
        each = [table[f"{begin}_{which}"].values if begin else nan for begin in begins]
        return np.stack(each, axis=1).reshape(count, len(INTERVALS))

    resolved = table["path_resolved"].values.astype(bool) if name == "path" else np.ones(count, bool)
    known = np.isfinite(table[f"predicted_t_grok{end}"].values)
    norms = table["predicted_norm_at_grok"].values if name == "flow" else nan
    how = table.attrs
    asked = f"sampled_steps = {how['sampled_steps']}, level = {how['level']:g}, m_rate = {how['m_rate']}"
    return Column(
        name,
        {
            "role": "source",
            "kind": "landscape" if name == "flow" else "decay path",
            "file": str(how["landscape" if name == "flow" else "path"]),
            "options": asked if name == "flow" else "",
        },
        {
            "predicted": table[f"predicted_t_grok{end}"].values,
            "predicted_t_mem": table[f"predicted_t_mem{end}"].values,
            "predicted_norm": norms,
        },
        status=table[status].values,
        low=ends("low"),
        high=ends("high"),
        remark=np.where(~resolved & known, _COARSE, ""),
        seed_matched=table[matched].values.astype(bool),
        fitted=np.zeros(count, bool),
    )


def _baseline(table: xr.Dataset, name: str) -> Column:
    time = table[f"predicted_t_grok_{name}"]
    count, none = table.sizes["run"], np.full((table.sizes["run"], len(INTERVALS)), np.nan)
    return Column(
        name,
        {"role": "baseline", "fit": str(time.attrs["fitted"])},
        {"predicted": time.values, "predicted_delay": table[f"predicted_delay_{name}"].values},
        status=np.where(np.isfinite(time.values), Status.GENERALIZES.value, Status.OUTSIDE.value),
        low=none,
        high=none,
        remark=np.full(count, ""),
        seed_matched=np.zeros(count, bool),
        fitted=table[f"fitted_{name}"].values.astype(bool),
    )
