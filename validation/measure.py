"""Measured times: when the stored curves of full training pass a threshold, and when they did not."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from groktime.fullnet.runs import SETTINGS, Runs, runs_of
from groktime.reduced.arguments import LARGE, choice, numbers, whole_number
from groktime.reduced.errors import InputError
from groktime.reduced.files import FileName
from groktime.reduced.starts import METRICS
from groktime.reduced.system import MEMORIZED

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SCHEMA = "groktime-delays/2"
TIMES = {"train": "t_mem", "test": "t_grok"}  # the time of each metric's crossing
RULES = ("persist", "first", "stable")
_ROUND = 1e-6  # of an accuracy stored in single precision: 9 of 10 right is at 0.9
_STEPS = "optimizer steps"
_NAMES = {  # unit and long name
    "t_mem": (_STEPS, "time to fit the training set"),
    "t_grok": (_STEPS, "time to generalize"),
    "delay": (_STEPS, "t_grok - t_mem"),
    "train_censored": ("1", "whether it never fitted the training set"),
    "test_censored": ("1", "whether it never generalized"),
    "last": (_STEPS, "step to which the run was watched"),
    "norm_at_grok": ("L2 norm of all weights and biases", "norm at t_grok"),
    "t_grok_first": (_STEPS, "first time that the test metric passes, for however long"),
    "t_grok_stable": (_STEPS, "time after which the test metric passes to the end"),
    "share_below": ("1", "share of the evaluations after t_grok_first that do not pass"),
}


def measure(
    runs: Runs | FileName,
    threshold: ArrayLike | None = None,
    persist: int = 3,
    metric: str = "accuracy",
    train_threshold: ArrayLike | None = None,
    rule: str = "persist",
) -> xr.Dataset:
    """Fitting time, generalization time and delay of each run.

    A time is the step of an evaluation, so it is known to the spacing of the evaluations. A metric
    that passes only at the very end of a run has not been seen to stay: the run is censored,
    unless it was retired as done. In a log, only what was recorded counts: a time whose metric a run
    has nowhere is NaN without being censored, and `remarks` says so.

    Parameters
    ----------
    runs : the trained networks, or their runs file or log.
    threshold, train_threshold : what the test and train metric must reach, one number or one a run.
        Default for accuracies: the file's and 0.95. Losses have no default for the test; that of
        the train loss is the same as the test's.
    metric : "accuracy" (at or above the threshold) or "loss" (at or below).
    rule : "persist": the first pass that lasts `persist` evaluations in a row; "first": the first
        pass; "stable": the pass (of `persist` evaluations or more) that lasts to the run's end.

    Returns
    -------
    Dataset of schema "groktime-delays/2" over `run`, with the runs' settings as coordinates:
    `t_mem`, `t_grok` and `delay` = t_grok - t_mem in optimizer steps, NaN where censored;
    `train_censored`, `test_censored`; `last`, the step up to which a run was watched; and
    `norm_at_grok`, the weight norm at t_grok. Of runs that fall back ("slingshots") tell `t_grok_first`,
    `t_grok_stable` and `share_below`, the share of the evaluations after the first pass that do not pass.

    Raises
    ------
    InputError : naming the argument, or what the file does not hold.
    """
    runs = runs_of(runs)
    metric, rule = choice("metric", metric, METRICS), choice("rule", rule, RULES)
    persist = whole_number("persist", persist, 1)
    wanted = 1 if rule == "first" else persist
    ds = runs.dataset
    limits = {
        "test": _limit("threshold", _test_default(runs, threshold, metric), metric, ds),
        "train": _limit("train_threshold", _train_default(train_threshold, threshold, metric), metric, ds),
    }

    found: dict[str, NDArray[np.bool_] | Floats] = {}
    steps, remarks = runs.step, list(runs.remarks)
    for part in ("test", "train"):
        passes, seen = _passes(runs, f"{part}_{metric}", limits[part], metric, remarks)
        at = crossing(passes, seen, runs.finished, wanted, rule == "stable")
        found[TIMES[part]] = _at(steps, at)
        found[f"{part}_censored"] = (at < 0) & seen.any(1)
        if part == "test":
            norms = ds["weight_norm"].values[np.arange(len(at)), at]
            found["norm_at_grok"] = np.where(at < 0, np.nan, norms)
            found |= _fallen_back(passes, seen, runs, persist)
    found["delay"] = np.asarray(found["t_grok"], float) - found["t_mem"]
    found["last"] = ds["steps_done"].values

    delays = xr.Dataset(
        {k: ("run", found[k]) for k in _NAMES},
        {k: ds[k].variable for k in (*SETTINGS, *(("name",) if "name" in ds else ()))},
        {
            "schema": SCHEMA,
            "task": runs.task,
            "loss": ds.attrs["loss"],
            "metric": metric,
            "rule": rule,
            "persist": wanted,
            "threshold": _attribute(limits["test"]),
            "train_threshold": _attribute(limits["train"]),
            "remarks": "\n".join(remarks),
        },
    )
    for name, (unit, words) in _NAMES.items():
        delays[name].attrs |= {"units": unit, "long_name": words}
    return delays


def crossing(passes: Bools, seen: Bools, finished: Bools, persist: int, stable: bool) -> NDArray[np.intp]:
    """Index along time of the evaluation at which each run passed for good, [run]; -1 where none.

    passes, seen : [run, time], whether the metric passes, and whether it was evaluated there at all: while
        the run trained, and in a log where it was recorded. What was not seen does not interrupt a pass.
    finished : [run], whether the run ended because it was done.
    """
    # [time, run] from here on, so that what is read together lies together
    turned, there = np.ascontiguousarray((passes & seen).T), np.ascontiguousarray(seen.T)
    lasts = np.zeros(turned.shape, np.int32)  # for how many evaluations a pass goes on, from each
    lasts[-1] = turned[-1]
    for k in range(len(turned) - 2, -1, -1):
        lasts[k] = (lasts[k + 1] + there[k]) * (turned[k] | ~there[k])
    left = np.cumsum(there[::-1], axis=0, dtype=np.int32)[::-1]
    to_the_end = turned & (lasts == left)
    good = turned & ((lasts >= persist) | (to_the_end & finished))
    if stable:
        good &= to_the_end
    return np.where(good.any(0), good.argmax(0), -1)


def _fallen_back(passes: Bools, seen: Bools, runs: Runs, persist: int) -> dict[str, Floats]:
    """When each run first passed, from when on it passes to its end, and how often it does not between."""
    first = crossing(passes, seen, runs.finished, 1, False)
    stable = crossing(passes, seen, runs.finished, persist, True)
    later = seen & (np.arange(passes.shape[1]) > first[:, None])
    with np.errstate(invalid="ignore"):
        below = (later & ~passes).sum(1) / later.sum(1)
    return {
        "t_grok_first": _at(runs.step, first),
        "t_grok_stable": _at(runs.step, stable),
        "share_below": np.where(first < 0, np.nan, below),
    }


def _at(steps: NDArray[np.int64], place: NDArray[np.intp]) -> Floats:
    """The steps of places along time; NaN where there is none."""
    return np.where(place < 0, np.nan, steps[place])


def _passes(runs: Runs, name: str, limit: Floats, metric: str, remarks: list[str]) -> tuple[Bools, Bools]:
    """Where a metric passes, and where it was evaluated, [run, time]."""
    curve = np.asarray(runs.dataset[name].values, float)
    blown_up = runs.dataset["diverged"].values.astype(bool)
    unmeasured = np.isnan(curve).all(1) & ~blown_up
    if unmeasured.any():
        if not runs.imported or (name.startswith("test") and unmeasured.all()):
            raise InputError(
                f"{runs.source}: {name} was not measured in run {unmeasured.argmax()}; "
                f"expected runs that have it, or another metric than {metric!r}"
            )
        time = TIMES[name.split("_")[0]]
        remarks.append(f"{name} was not recorded in {unmeasured.sum()} of {len(curve)} runs: no {time} there")
    beyond = curve >= limit[:, None] - _ROUND if metric == "accuracy" else curve <= limit[:, None]
    seen = runs.trained & ~np.isnan(curve) if runs.imported else runs.trained
    return np.asarray(beyond & seen), np.asarray(seen)


def _test_default(runs: Runs, given: ArrayLike | None, metric: str) -> ArrayLike:
    if given is not None:
        return given
    if metric == "loss":
        raise InputError("threshold: expected the test loss at or below which a network has generalized")
    if runs.dataset.attrs["threshold_relative"]:
        raise InputError(
            f"threshold: {runs.source} has one relative to the task's ceiling; expected the test accuracy "
            "that counts as generalized"
        )
    return float(runs.dataset.attrs["accuracy_threshold"])


def _train_default(given: ArrayLike | None, test: ArrayLike | None, metric: str) -> ArrayLike:
    if given is None and metric == "loss" and test is not None:
        return test
    return MEMORIZED if given is None else given


def _limit(name: str, given: ArrayLike, metric: str, ds: xr.Dataset) -> Floats:
    """The threshold of each run, [run], or the one of all, [1]."""
    top = 1.0 if metric == "accuracy" else LARGE
    expected = "above 0 and up to 1, an accuracy" if metric == "accuracy" else "above 0, a loss"
    values = numbers(name, given, expected, lambda x: 0 < x <= top)
    if values.size not in (1, ds.sizes["run"]):
        raise InputError(f"{name}: {values.size} numbers; expected one, or {ds.sizes['run']}, one a run")
    return values


def _attribute(limit: Floats) -> float | Floats:
    return float(limit[0]) if limit.size == 1 else limit
