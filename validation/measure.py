"""Measured times: when the stored curves of full training pass a threshold, and when they did not."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from groktime.fullnet.runs import SETTINGS, Runs, runs_of
from groktime.reduced.arrays import unmasked
from groktime.reduced.errors import InputError
from groktime.reduced.files import FileName
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
    unless it was retired as done.

    Parameters
    ----------
    runs : the trained networks, or their file.
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
    `norm_at_grok`, the weight norm at t_grok.

    Raises
    ------
    InputError : naming the argument, or what the file does not hold.
    """
    runs = runs_of(runs)
    if metric not in ("accuracy", "loss"):
        raise InputError(f"metric = {metric!r}: expected 'accuracy' or 'loss'")
    if rule not in RULES:
        raise InputError(f"rule = {rule!r}: expected one of {', '.join(RULES)}")
    if not isinstance(persist, int | np.integer) or persist < 1:
        raise InputError(f"persist = {persist}: expected a whole number of evaluations from 1")
    wanted = 1 if rule == "first" else int(persist)
    ds = runs.dataset
    limits = {
        "test": _limit("threshold", _test_default(runs, threshold, metric), metric, ds),
        "train": _limit("train_threshold", _train_default(train_threshold, threshold, metric), metric, ds),
    }

    found: dict[str, NDArray[np.bool_] | Floats] = {}
    steps, where = runs.step, {}
    for part in ("train", "test"):
        passes = _passes(runs, f"{part}_{metric}", limits[part], metric)
        at = where[part] = crossing(passes, runs.trained, runs.finished, wanted, rule == "stable")
        found[TIMES[part]] = np.where(at < 0, np.nan, steps[at])
        found[f"{part}_censored"] = at < 0
    found["delay"] = np.asarray(found["t_grok"], float) - found["t_mem"]
    found["last"] = ds["steps_done"].values
    norms = np.take_along_axis(ds["weight_norm"].values, where["test"][:, None], axis=1)[:, 0]
    found["norm_at_grok"] = np.where(where["test"] < 0, np.nan, norms)

    delays = xr.Dataset(
        {k: ("run", v) for k, v in found.items()},
        {k: ds[k].variable for k in SETTINGS},
        {
            "schema": SCHEMA,
            "task": runs.task,
            "loss": ds.attrs["loss"],
            "metric": metric,
            "rule": rule,
            "persist": wanted,
            "threshold": _attribute(limits["test"]),
            "train_threshold": _attribute(limits["train"]),
        },
    )
    for name, (unit, words) in _NAMES.items():
        delays[name].attrs |= {"units": unit, "long_name": words}
    return delays


def crossing(passes: Bools, trained: Bools, finished: Bools, persist: int, stable: bool) -> NDArray[np.intp]:
    """Index along time of the evaluation at which each run passed for good, [run]; -1 where none.

    passes, trained : [run, time], whether the metric passes and whether the run still trained.
    finished : [run], whether the run ended because it was done.
    """
    lasts = np.zeros(passes.shape, int)  # for how many evaluations a pass goes on, from each
    lasts[:, -1] = passes[:, -1]
    for k in range(passes.shape[1] - 2, -1, -1):
        lasts[:, k] = (lasts[:, k + 1] + 1) * passes[:, k]
    to_the_end = passes & (np.arange(passes.shape[1]) + lasts == trained.sum(1)[:, None])
    good = (lasts >= persist) | (to_the_end & finished[:, None])
    if stable:
        good &= to_the_end
    return np.where(good.any(1), good.argmax(1), -1)


def _passes(runs: Runs, name: str, limit: Floats, metric: str) -> Bools:
    curve = np.asarray(runs.dataset[name].values, float)
    unmeasured = np.isnan(curve).all(1) & ~runs.dataset["diverged"].values.astype(bool)
    if unmeasured.any():
        raise InputError(
            f"{runs.source}: {name} was not measured in run {unmeasured.argmax()}; "
            f"expected runs that have it, or another metric than {metric!r}"
        )
    beyond = curve >= limit[:, None] - _ROUND if metric == "accuracy" else curve <= limit[:, None]
    return np.asarray(beyond & runs.trained)


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
    try:
        values = np.asarray(unmasked(given), float)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected a number, or one a run") from None
    if values.shape not in ((), (ds.sizes["run"],)):
        raise InputError(
            f"{name} has shape {values.shape}; expected a number, or ({ds.sizes['run']},) = (run,)"
        )
    bad = ~(np.isfinite(values) & (values > 0))
    if metric == "accuracy":
        bad |= values > 1
    if np.any(bad):
        expected = "an accuracy, within (0, 1]" if metric == "accuracy" else "a loss above 0"
        raise InputError(f"{name} = {values[bad].flat[0]:g}: expected {expected}")
    return np.atleast_1d(values)


def _attribute(limit: Floats) -> float | Floats:
    return float(limit[0]) if limit.size == 1 else limit
