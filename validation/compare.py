"""`compare`: what the theory says of trained networks beside what became of them, run by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from groktime.fullnet.runs import SETTINGS, Runs
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape
from groktime.reduced.path_prediction import LONG
from groktime.reduced.prediction import Prediction, SeedPrediction, predict
from groktime.reduced.system import LEVEL, MEMORIZED, systems
from groktime.validation.baselines import QUANTITIES, baselines
from groktime.validation.match import check_match, starts
from groktime.validation.match_path import check_path
from groktime.validation.measure import measure
from groktime.validation.on_path import path_columns
from groktime.validation.score import FORMS, INTERVALS, PREDICTORS, column, predictors, summary

if TYPE_CHECKING:
    from groktime.validation.ladder import Ladder

Floats = NDArray[np.float64]

SCHEMA = "groktime-comparison/1"
_STEPS = "optimizer steps"
_NORM = "L2 norm of all weights and biases"
_UNITS = {
    **{f"measured_{k}": _STEPS for k in ("t_mem", "t_grok", "after", "delay")},
    **{column(q, p): _STEPS for q in QUANTITIES for p in PREDICTORS},
    **dict.fromkeys(("predicted_t_mem", "predicted_low", "predicted_high"), _STEPS),
    **dict.fromkeys(("predicted_t_mem_path", "path_low", "path_high"), _STEPS),
    **dict.fromkeys(("spread_low", "spread_high", "last", "watched"), _STEPS),
    **dict.fromkeys(("norm_at_mem", "norm_at_grok", "predicted_norm_at_grok"), _NORM),
    "decay_rate": "share of the norm, per optimizer step",
}


@dataclass(frozen=True)
class Comparison:
    """What `compare` returns: `table`, one row a run, and `summary`, the scores.

    docs/comparing.md says what each column is; `validation.score.summary` what each score is.
    `lands`, `runs` and `path` are what was compared.
    """

    table: xr.Dataset
    summary: xr.Dataset = field(repr=False)
    lands: tuple[Landscape, ...] = field(repr=False)
    runs: Runs = field(repr=False)
    path: DecayPath | None = field(default=None, repr=False)

    @property
    def land(self) -> Landscape:
        """The landscape; of several, the one with the largest alpha."""
        return self.lands[-1]

    def text(self) -> str:
        """Medians by settings and the scores, as tables for a person."""
        from groktime.validation.comparison_text import text

        return text(self.table, self.summary)

    def to_dict(self) -> dict[str, Any]:
        """Table and summary as plain dicts, for scripts."""
        return {"table": self.table.to_dict(), "summary": self.summary.to_dict()}

    def report(self, path: str | Path, overwrite: bool = False, ladder: Ladder | None = None) -> Path:
        """Write report.html, tables and figures into a folder, whole or not at all; docs/comparing.md lists
        them. `ladder`, of the same networks, is one more section of the page.

        Raises
        ------
        InputError : for a folder or file that exists (unless `overwrite`, and never one that holds
            anything else than such a report), or one that cannot be written.
        """
        from groktime.validation.folder import write_report

        return write_report(self, Path(path), overwrite, ladder)


def compare(
    land: Landscape | Sequence[Landscape],
    runs: Runs,
    path: DecayPath | None = None,
    *,
    threshold: float | None = None,
    metric: str = "accuracy",
    persist: int = 3,
    rule: str = "persist",
    train_threshold: float | None = None,
    level: float = LEVEL,
    m_rate: str = "eq6",
    sampled_steps: int | None = None,
) -> Comparison:
    """Predicted and measured times of each run, and how good the predictions were.

    Predictions use the landscape and the run's settings (gamma, eta_d, eta_r, alpha, m_start, N) and
    nothing else: nothing is fitted. A run whose seed the landscape holds is predicted from that seed,
    another from the median over the landscape's seeds. The baselines are fitted, and say on what.
    `path`, a decay path of the same networks, is one more predictor.

    Parameters
    ----------
    land : of several landscapes, each run is predicted from the one whose largest alpha is next at or
        above its start, as those that were sampled from above, each from another start.
    threshold, metric : what counts as generalised, of prediction and measurement alike (default: the
        files' accuracy; one relative to the ceiling is taken from the landscape, seed by seed).
    persist, rule, train_threshold : of the measurement, see `measure`.
    level, m_rate, sampled_steps : of the prediction, see `predict`.

    Raises
    ------
    InputError : naming an argument, or what keeps the two from being compared: another task or its
        settings, loss, threshold, n_train, network, or an optimizer without a known law of decay.
    """
    lands = (land,) if isinstance(land, Landscape) else tuple(sorted(land, key=lambda one: one.alpha[-1]))
    if not lands:
        raise InputError("land: expected a landscape, or one or more")
    remarks = list(dict.fromkeys(text for one in lands for text in check_match(one, runs, threshold, metric)))
    if path is not None:
        remarks += check_path(path, runs, threshold, metric)
    start = starts(lands[0], runs)
    of_run = _of_run(lands, start["alpha"])
    how = {"sampled_steps": sampled_steps, "threshold": threshold, "metric": metric}
    limits = _limits(of_run, runs, start, how)
    delays = measure(runs, limits, persist, metric, train_threshold, rule)
    fitted_alike = all(_fitted_alike(one, delays) for one in lands)
    if not fitted_alike:
        remarks.append(
            f"t_mem is measured by another threshold than the landscape's (train accuracy {MEMORIZED:g}, "
            f"or without accuracies loss {LEVEL:g}): it and the delay are not predicted"
        )
    columns = _measured(runs, delays)
    columns |= _predicted(of_run, runs, start, how | {"level": level, "m_rate": m_rate}, fitted_alike)
    if path is not None:
        columns |= path_columns(path, runs, delays)
    columns["threshold"] = np.broadcast_to(delays.attrs["threshold"], runs.dataset.sizes["run"]).copy()
    columns["decay_rate"] = start["eta_d"] * start["gamma"]
    table = xr.Dataset(
        {k: ("run", v) for k, v in columns.items()},
        {k: runs.dataset[k].variable for k in SETTINGS},
        {
            "schema": SCHEMA,
            "landscape": ", ".join(one.source for one in lands),
            "runs": runs.source,
            "path": "" if path is None else path.source,
            **{k: delays.attrs[k] for k in ("task", "loss", "metric", "rule", "persist", "train_threshold")},
            "level": level,
            "m_rate": m_rate,
            "sampled_steps": lands[-1].budgets[-1] if sampled_steps is None else sampled_steps,
            "long": LONG,
            "remarks": "\n".join(remarks),
        },
    )
    table = _judged(_with_baselines(table))
    for name in table.data_vars:
        if name in _UNITS:
            table[name].attrs["units"] = _UNITS[str(name)]
    return Comparison(table, summary(table), lands, runs, path)


def _of_run(lands: Sequence[Landscape], alpha: Floats) -> list[Landscape]:
    """The landscape of each run, [run]: the first that reaches its start, or the largest."""
    tops = [one.alpha[-1] * (1 + 1e-9) for one in lands]
    return [lands[min(int(np.searchsorted(tops, a)), len(lands) - 1)] for a in alpha]


def _limits(
    lands: Sequence[Landscape], runs: Runs, start: Mapping[str, Floats], how: Mapping[str, Any]
) -> ArrayLike | None:
    """The test threshold of the measurement: one for all, or that of each run's landscape seed."""
    relative = any(land.dataset.attrs["threshold_relative"] for land in lands)
    if how["threshold"] is not None or how["metric"] != "accuracy" or not relative:
        return how["threshold"]  # type: ignore[no-any-return]
    found: dict[tuple[str, int], tuple[dict[int, float], float]] = {}
    limits = []
    for land, n, seed in zip(lands, start["n_train"].astype(int), runs.dataset["seed"].values, strict=True):
        key = (land.source, int(n))
        if key not in found:
            each = {s.seed: s.threshold for s in systems(land, n_train=int(n), **how)}
            found[key] = each, float(np.median(list(each.values())))
        each, middle = found[key]
        limits.append(each.get(int(seed), middle))
    return limits


def _fitted_alike(land: Landscape, delays: xr.Dataset) -> bool:
    """Whether "memorised" means the same in the landscape's prediction and in the measurement."""
    accuracies = not np.isnan(land.dataset["train_accuracy"].values).all()
    limit = np.unique(delays.attrs["train_threshold"])
    if delays.attrs["metric"] == "accuracy":
        return accuracies and bool(np.all(limit == MEMORIZED))
    return not accuracies and bool(np.all(limit == LEVEL))


def _measured(runs: Runs, delays: xr.Dataset) -> dict[str, NDArray[Any]]:
    t_mem, t_grok, last = (delays[k].values.astype(float) for k in ("t_mem", "t_grok", "last"))
    delay = delays["delay"].values
    censored, diverged = delays["test_censored"].values, runs.dataset["diverged"].values.astype(bool)
    # of a run that never generalised, the delay is at least as long as it was watched
    shown = np.where(censored, last - t_mem, delay)
    at = np.searchsorted(runs.step, np.nan_to_num(t_mem))
    passed = np.searchsorted(runs.step, np.nan_to_num(t_grok))
    norms = np.take_along_axis(runs.dataset["weight_norm"].values, at[:, None], axis=1)[:, 0]
    return {
        "measured_t_mem": t_mem,
        "measured_t_grok": t_grok,
        "measured_after": np.where(np.isnan(t_grok), np.nan, runs.step[np.maximum(passed - 1, 0)]),
        "measured_delay": delay,
        "train_censored": delays["train_censored"].values,
        "test_censored": censored,
        "diverged": diverged,
        "last": last,
        # up to where it was, or had it not been done, would have been watched
        "watched": np.where(censored, last, float(runs.step[-1])),
        "short": ~(shown >= LONG * t_mem),
        "norm_at_mem": np.where(np.isnan(t_mem), np.nan, norms),
        "norm_at_grok": delays["norm_at_grok"].values,
    }


def _predicted(
    lands: Sequence[Landscape],
    runs: Runs,
    start: Mapping[str, Floats],
    how: Mapping[str, Any],
    fitted_alike: bool,
) -> dict[str, NDArray[Any]]:
    made: dict[tuple[float, ...], Prediction] = {}
    rows: list[dict[str, Any]] = []
    names = list(start)
    for land, seed, *values in zip(lands, runs.dataset["seed"].values, *start.values(), strict=True):
        key = tuple(float(f"{x:.15g}") for x in values)  # as text NaN equals NaN, but not as a number
        known = tuple(-1.0 if np.isnan(x) else x for x in key)
        if known not in made:
            given: dict[str, Any] = dict(zip(names, key, strict=True))
            given["n_train"] = int(given["n_train"])
            if not land.two_dimensional:
                given |= {"m": None, "eta_r": None}
            made[known] = predict(land, **given, **how)
        rows.append(_row(made[known], int(seed), fitted_alike))
    return {k: np.array([row[k] for row in rows]) for k in rows[0]}


def _row(p: Prediction, seed: int, fitted_alike: bool) -> dict[str, Any]:
    """The columns of one run's prediction: from its own seed, or from all where there is none."""
    own = next((s for s in p.seeds if s.seed == seed), None)
    one: Prediction | SeedPrediction = p if own is None else own
    nan = float("nan")
    low, high = p.interval if own is None else (own.low, own.high)
    spread = p.interval
    # Nothing is said where nothing was sampled; and one seed of w alone has a time, but no uncertainty.
    if one.status is Status.OUTSIDE or (own is not None and not p.landscape.two_dimensional):
        low = high = nan
    if p.status is Status.OUTSIDE:
        spread = (nan, nan)
    times = dict(zip(FORMS, (one.t_grok, one.closed_form, one.corrected), strict=True))
    fit = one.t_mem if fitted_alike else nan
    return {
        "seed_matched": own is not None,
        "predicted_status": one.status.value,
        "predicted_t_mem": fit,
        **{column("t_grok", form): time for form, time in times.items()},
        **{column("delay", form): time - fit for form, time in times.items()},
        "predicted_low": low,
        "predicted_high": high,
        "spread_low": spread[0],
        "spread_high": spread[1],
        "predicted_norm_at_grok": _norm(p.typical if own is None else own, p.settings["eta_d"]),
    }


def _norm(one: SeedPrediction, eta_d: float) -> float:
    """The norm at which the flow generalises."""
    if one.status is Status.ALREADY:
        return one.geometry.w_start
    if one.path is None or not np.isfinite(one.t_grok):
        return float("nan")
    return float(np.exp(one.path.at(one.t_grok * eta_d)[0][0]))


def _with_baselines(table: xr.Dataset) -> xr.Dataset:
    for name, made in baselines(table).items():
        table[column("t_grok", name)] = ("run", made.t_grok, {"fitted": made.told})
        table[column("delay", name)] = ("run", made.delay, {"fitted": made.told})
        table[f"fitted_{name}"] = ("run", made.fitted)
    return table


def _judged(table: xr.Dataset) -> xr.Dataset:
    """The table with signed log errors, and whether the measured times are inside the intervals."""
    measured, last = table["measured_t_grok"].values, table["last"].values
    censored = np.isnan(measured)
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in predictors(table):
            error = np.log(table[column("t_grok", name)].values / measured)
            suffix = "" if name == "flow" else f"_{name}"
            table[f"log_error{suffix}"] = ("run", np.where(np.isfinite(error), error, np.nan))
    for low_name, inside, _ in INTERVALS:
        if low_name not in table:
            continue
        part = low_name.removesuffix("_low")
        low, high = (table[f"{part}_{end}"].values for end in ("low", "high"))
        # A run that never got there says only that its time is later than it was watched; another that it
        # passed between two evaluations, at the second of which it is measured.
        met = (low <= measured) & (high >= table["measured_after"].values)
        table[inside] = ("run", np.where(censored, high >= last, met))
    return table
