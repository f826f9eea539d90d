"""A comparison in a sentence, and run by run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from groktime.reduced.source import COVERAGE
from groktime.validation.report import groups, table
from groktime.validation.table import sources

REASONS = {
    "short": "short delay",
    "censored": "never got there (censored)",
    "at_start": "there from the start",
    "not_predicted": "no predicted time",
    "fitted_on": "fitted on",
}


def headline(rows: xr.Dataset, scores: xr.Dataset) -> list[str]:
    """How far off the predictions were on average, over how many runs, and which are in none of it."""
    lines = [line for name in sources(rows) for line in _of(rows, scores, name)]
    return [*lines, "Nothing was fitted to the runs."]


def _of(rows: xr.Dataset, scores: xr.Dataset, predictor: str) -> list[str]:
    one = scores.sel(quantity="t_grok", predictor=predictor)
    every, lasting = one.sel(runs="all"), one.sel(runs="long")
    counts = zip(every["reason"].values, every["n_excluded"].values, strict=True)
    left_out = ", ".join(f"{n} {REASONS[str(reason)]}" for reason, n in counts if n) or "none"
    total, n, long = rows.sizes["run"], int(every["n"]), int(lasting["n"])
    if not n:
        return [
            f"{predictor}: no run of {total} has both a predicted and a measured time. Left out: {left_out}."
        ]
    lines = [
        f"{predictor} predicts t_grok of {n} of {total} runs with a mean error of {_percent(every, 'mean')}, "
        f"median {_percent(every, 'median')}.",
        f"Left out: {left_out}.",
    ]
    if 0 < long < n:
        lines[1] += (
            f" Over the {long} with a delay of at least {rows.attrs['long']:g} times t_mem: "
            f"mean {_percent(lasting, 'mean')}, median {_percent(lasting, 'median')}."
        )
    return lines


def error_name(predictor: str, of: Sequence[str]) -> str:
    """The head of a column of errors, of one among these predictors."""
    return "error %" if predictor == of[0] else f"error % ({predictor})"


def by_run(rows: xr.Dataset) -> str:
    """Predicted beside measured t_grok of each run, by settings and seed."""
    names, predictors = [*groups(rows), "seed"], sources(rows)
    order = np.lexsort([rows[k].values for k in reversed(names)])
    rows = rows.isel(run=order)
    measured, never, last = (rows[k].values for k in ("measured_t_grok", "test_censored", "last"))
    predicted = {name: rows["predicted"].sel(predictor=name).values for name in predictors}
    columns: dict[str, Iterable[object]] = {k: rows[k].values for k in names}
    columns |= {name: np.round(times) for name, times in predicted.items()}
    reached = zip(measured, last, never, strict=True)
    columns["measured"] = [f"> {end:.0f}" if late else f"{time:.0f}" for time, end, late in reached]
    for name, times in predicted.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(measured > 0, 100 * (times / measured - 1), np.nan)
        columns[error_name(name, predictors)] = np.round(error, 1)
    for name in predictors:
        status = rows["status"].sel(predictor=name).values
        if np.any(status != "generalizes"):
            columns["predicted to" if name == predictors[0] else f"by {name}"] = [str(s) for s in status]
    return f"t_grok of each run ({', '.join(predictors)})\n" + table(columns)


def _percent(one: xr.Dataset, which: str) -> str:
    value, low, high = (100 * float(one[f"ape_{which}{end}"]) for end in ("", "_low", "_high"))
    ends = "" if np.isnan(low) else f" ({COVERAGE:.0%}: {low:.1f} to {high:.1f})"
    return f"{value:.1f}%{ends}"
