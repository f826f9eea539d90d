"""A comparison in a sentence, and run by run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from validation.report import groups, table
from validation.survival import LEVEL

REASONS = {
    "short": "short delay",
    "censored": "never got there (censored)",
    "at_start": "there from the start",
    "not_predicted": "no predicted time",
    "fitted_on": "fitted on",
}


def headline(rows: xr.Dataset, scores: xr.Dataset) -> list[str]:
    """How far off the flow was on average, over how many runs, and which are in none of these numbers."""
    one = scores.sel(quantity="t_test", predictor="flow")
    every, lasting = one.sel(runs="all"), one.sel(runs="long")
    counts = zip(every["reason"].values, every["n_excluded"].values, strict=True)
    left_out = ", ".join(f"{n} {REASONS[str(reason)]}" for reason, n in counts if n) or "none"
    total, n = rows.sizes["run"], int(every["n"])
    if not n:
        return [f"No run of {total} has both a predicted and a measured time. Left out: {left_out}."]
    told = [
        f"The flow predicts t_test of {n} of {total} runs with a mean error of {_percent(every, 'mean')}, "
        f"median {_percent(every, 'median')}.",
        f"Nothing was fitted to them. Left out: {left_out}.",
    ]
    long = int(lasting["n"])
    if 0 < long < n:
        told.append(
            f"Over the {long} with a delay of at least {rows.attrs['long']:g} times t_train: "
            f"mean {_percent(lasting, 'mean')}, median {_percent(lasting, 'median')}."
        )
    return told


def by_run(rows: xr.Dataset) -> str:
    """Predicted beside measured t_test of each run, by settings and seed."""
    names = [*groups(rows), "seed"]
    order = np.lexsort([rows[k].values for k in reversed(names)])
    rows = rows.isel(run=order)
    predicted, measured = (rows[f"{kind}_t_test"].values for kind in ("predicted", "measured"))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(measured > 0, 100 * (predicted / measured - 1), np.nan)
    never = rows["test_censored"].values
    columns: dict[str, Iterable[object]] = {k: rows[k].values for k in names}
    columns |= {
        "predicted": np.round(predicted),
        "measured": [
            f"> {last:.0f}" if c else f"{t:.0f}"
            for c, t, last in zip(never, measured, rows["last"].values, strict=True)
        ],
        "error %": np.round(error, 1),
    }
    status = rows["predicted_status"].values
    if np.any(status != "generalizes"):
        columns["predicted to"] = [str(s) for s in status]
    return "t_test of each run (flow)\n" + table(columns)


def _percent(one: xr.Dataset, which: str) -> str:
    value, low, high = (100 * float(one[f"ape_{which}{end}"]) for end in ("", "_low", "_high"))
    ends = "" if np.isnan(low) else f" ({LEVEL:.0%}: {low:.1f} to {high:.1f})"
    return f"{value:.1f}%{ends}"
