"""The table of a comparison: what was measured of each run, and what each predictor says of it.

Dimensions are `run`, `predictor` and, of the intervals, `interval`; a further predictor is one more entry,
and what the others have to know of it lies beside its name: its `role`, what it is a form of, what it was
fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.runs import SETTINGS, Runs
from groktime.reduced.flow import Status
from groktime.reduced.remarks import LONG
from groktime.validation.ask import INTERVALS, Answer
from groktime.validation.baselines import Baseline

Floats = NDArray[np.float64]

SCHEMA = "groktime-comparison/2"
_STEPS, _NORM = "optimizer steps", "L2 norm of all weights and biases"
NAMES = {  # unit and long name
    "run": ("1", "place in the runs file"),
    "gamma": ("1", "weight decay"),
    "eta_d": ("1/step", "learning rate of the network"),
    "eta_r": ("1/step", "learning rate of the representation"),
    "alpha": ("w / w0", "start, weight norm over the norm at initialization"),
    "n_train": ("samples", "size of the training set"),
    "seed": ("1", "seed"),
    "m_start": ("1", "start, messiness"),
    "predictor": ("1", "what predicts"),
    "role": ("1", "source, form of a source, or baseline"),
    "form_of": ("1", "the source that a form belongs to"),
    "kind": ("1", "what a source is"),
    "file": ("1", "file or name that a source came from"),
    "options": ("1", "what a source was asked with"),
    "fit": ("1", "what a baseline was fitted on"),
    "interval": ("1", "of the run's own seed (where the source has it), or over the seeds of the source"),
    "measured_t_mem": (_STEPS, "time to fit the training set"),
    "measured_t_grok": (_STEPS, "time to generalize"),
    "measured_after": (_STEPS, "evaluation before the one at measured_t_grok"),
    "measured_delay": (_STEPS, "measured_t_grok - measured_t_mem"),
    "train_censored": ("1", "whether it never fitted the training set"),
    "test_censored": ("1", "whether it never generalized"),
    "diverged": ("1", "whether training diverged"),
    "last": (_STEPS, "step to which the run was watched"),
    "watched": (_STEPS, "step to which the run was, or would have been, watched"),
    "short": ("1", f"whether the delay is not known to be at least {LONG:g} times measured_t_mem"),
    "norm_at_mem": (_NORM, "norm at measured_t_mem"),
    "norm_at_grok": (_NORM, "norm at measured_t_grok"),
    "threshold": ("1", "test metric that counts as generalized"),
    "decay_rate": ("1/step", "share of the norm that decays in a step at the full rate"),
    "predicted": (_STEPS, "predicted time to generalize"),
    "predicted_t_mem": (_STEPS, "predicted time to fit the training set"),
    "predicted_delay": (_STEPS, "predicted - predicted_t_mem"),
    "low": (_STEPS, "lower end of the 90 % interval of predicted"),
    "high": (_STEPS, "upper end of the 90 % interval of predicted"),
    "inside": ("1", "whether what was measured is within the interval"),
    "status": ("1", "what becomes of the network, as predicted"),
    "remark": ("1", "what a reader has to know of the prediction"),
    "seed_matched": ("1", "whether the source has the seed of the run"),
    "fitted": ("1", "whether a baseline was fitted on the run"),
    "predicted_norm": (_NORM, "predicted norm at the predicted time"),
    "log_error": ("1", "ln(predicted / measured_t_grok)"),
}
_BY_PREDICTOR = ("predicted", "predicted_t_mem", "predicted_delay", "predicted_norm")


@dataclass(frozen=True)
class Column:
    """One predictor's part of the table. `facts` are its coordinates; times [run], `low` and `high`
    [run, interval]. What it does not say is NaN, "" or False."""

    name: str
    facts: Mapping[str, str]
    times: Mapping[str, Floats]
    status: NDArray[Any]
    low: Floats
    high: Floats
    remark: NDArray[Any]
    seed_matched: NDArray[np.bool_]
    fitted: NDArray[np.bool_]


def source_columns(name: str, answer: Answer, facts: Mapping[str, str], taken: Sequence[str]) -> list[Column]:
    """The columns of a source and of its forms; a form whose name is taken bears its source's, too."""
    count = len(answer.t_grok)
    nan, none = np.full(count, np.nan), np.full((count, len(INTERVALS)), np.nan)
    shared: dict[str, Any] = {
        "status": answer.status,
        "seed_matched": answer.matched,
        "fitted": np.zeros(count, bool),
    }
    times = {"predicted": answer.t_grok, "predicted_t_mem": answer.t_mem, "predicted_norm": answer.norm}
    source = Column(
        name,
        {"role": "source", **facts},
        times,
        low=answer.low,
        high=answer.high,
        remark=answer.remark,
        **shared,
    )
    forms = [
        Column(
            form if form not in taken else f"{name}_{form}",
            {"role": "form", "form_of": name},
            {"predicted": each, "predicted_t_mem": answer.t_mem, "predicted_norm": nan},
            low=none,
            high=none,
            remark=np.full(count, ""),
            **shared,
        )
        for form, each in answer.forms.items()
    ]
    return [source, *forms]


def baseline_column(name: str, made: Baseline) -> Column:
    """The column of a baseline, which goes by the name of no source."""
    count = len(made.t_grok)
    none = np.full((count, len(INTERVALS)), np.nan)
    return Column(
        name,
        {"role": "baseline", "fit": made.words},
        {"predicted": made.t_grok, "predicted_delay": made.delay},
        status=np.where(np.isfinite(made.t_grok), Status.GENERALIZES.value, Status.OUTSIDE.value),
        low=none,
        high=none,
        remark=np.full(count, ""),
        seed_matched=np.zeros(count, bool),
        fitted=made.fitted,
    )


def measured(runs: Runs, delays: xr.Dataset, decay_rate: Floats) -> xr.Dataset:
    """What was measured of each run, [run], with its settings."""
    t_mem, t_grok, last = (delays[k].values.astype(float) for k in ("t_mem", "t_grok", "last"))
    delay, censored = delays["delay"].values, delays["test_censored"].values
    # of a run that never generalized, the delay is at least as long as it was watched
    shown = np.where(censored, last - t_mem, delay)
    at = np.searchsorted(runs.step, np.nan_to_num(t_mem))
    passed = np.searchsorted(runs.step, np.nan_to_num(t_grok))
    metric = runs.dataset[f"test_{delays.attrs['metric']}"].values
    before = [_before(row, k, runs.imported) for row, k in zip(metric, passed, strict=True)]
    norms = np.take_along_axis(runs.dataset["weight_norm"].values, at[:, None], axis=1)[:, 0]
    columns = {
        "measured_t_mem": t_mem,
        "measured_t_grok": t_grok,
        "measured_after": np.where(np.isnan(t_grok), np.nan, runs.step[before]),
        "measured_delay": delay,
        "train_censored": delays["train_censored"].values,
        "test_censored": censored,
        "diverged": runs.dataset["diverged"].values.astype(bool),
        "last": last,
        # up to where it was, or had it not been done, would have been watched
        "watched": np.where(censored, last, float(runs.step[-1])),
        "short": ~(shown >= LONG * t_mem),
        "norm_at_mem": np.where(np.isnan(t_mem), np.nan, norms),
        "norm_at_grok": delays["norm_at_grok"].values,
        "threshold": np.broadcast_to(delays.attrs["threshold"], len(last)).astype(float),
        "decay_rate": decay_rate,
    }
    return xr.Dataset(
        {k: ("run", v) for k, v in columns.items()},
        {"run": np.arange(len(last))} | {k: ("run", runs.dataset[k].values) for k in SETTINGS},
    )


def _before(curve: Floats, place: int, imported: bool) -> int:
    """Where the evaluation before one lies; in a log, the one before it that was recorded."""
    known = np.flatnonzero(~np.isnan(curve[:place])) if imported else np.arange(place)
    return int(known[-1]) if len(known) else place if imported else 0


def assemble(rows: xr.Dataset, columns: Sequence[Column], attributes: Mapping[str, Any]) -> xr.Dataset:
    """The table of measured rows and of what every predictor says, judged."""
    dims, both = ("run", "predictor"), ("run", "predictor", "interval")
    unknown = np.full(rows.sizes["run"], np.nan)

    def of_each(name: str) -> Floats:
        return np.stack([_times(c, name, unknown) for c in columns], axis=1)

    facts = {
        name: ("predictor", np.array([c.facts.get(name, "") for c in columns], np.str_))
        for name in ("role", "form_of", "kind", "file", "options", "fit")
    }
    low, high = (np.stack([getattr(c, end) for c in columns], axis=1) for end in ("low", "high"))
    table = rows.assign_coords(
        {"predictor": np.array([c.name for c in columns], np.str_), **facts, "interval": list(INTERVALS)}
    ).assign(
        {name: (dims, of_each(name)) for name in _BY_PREDICTOR}
        | {"low": (both, low), "high": (both, high), "inside": (both, _inside(rows, low, high))}
        | {
            name: (
                dims,
                np.stack([[str(x) for x in getattr(c, name)] for c in columns], axis=1).astype(np.str_),
            )
            for name in ("status", "remark")
        }
        | {
            name: (dims, np.stack([getattr(c, name) for c in columns], axis=1))
            for name in ("seed_matched", "fitted")
        }
        | {"log_error": (dims, _log_error(rows, of_each("predicted")))}
    )
    return described(table.assign_attrs({"schema": SCHEMA, **attributes, "long": LONG}))


def missing(table: xr.Dataset) -> list[str]:
    """The variables that a table lacks."""
    return [name for name in NAMES if name not in table.variables]


def described(table: xr.Dataset) -> xr.Dataset:
    """The table with units and long names."""
    for name, (unit, words) in NAMES.items():
        table[name].attrs |= {"units": unit, "long_name": words}
    return table


def _times(column: Column, name: str, unknown: Floats) -> Floats:
    if name == "predicted_delay" and name not in column.times:
        return column.times["predicted"] - column.times["predicted_t_mem"]
    return column.times.get(name, unknown)


def _inside(rows: xr.Dataset, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """A run that never got there says only that its time is later than it was watched; another that it
    passed between two evaluations, at the second of which it is measured."""
    time, after, last = (rows[k].values[:, None, None] for k in ("measured_t_grok", "measured_after", "last"))
    return np.asarray(np.where(np.isnan(time), high >= last, (low <= time) & (high >= after)))


def _log_error(rows: xr.Dataset, predicted: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.log(predicted / rows["measured_t_grok"].values[:, None])
    return np.where(np.isfinite(error), error, np.nan)


def sources(table: xr.Dataset) -> list[str]:
    """The names of the predictors that are no forms and no baselines."""
    return [str(p) for p in table["predictor"].values[table["role"].values == "source"]]
