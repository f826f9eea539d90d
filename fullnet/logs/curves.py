"""Rows of logs as arrays on one axis of steps: what `Runs.assemble` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from groktime.fullnet.logs.names import CURVES, SETTINGS
from groktime.fullnet.logs.rows import Rows
from groktime.reduced.arguments import LARGEST, numbers, whole_numbers
from groktime.reduced.errors import InputError
from groktime.reduced.starts import SETTINGS as KINDS

Floats = NDArray[np.float64]

UNITS = ("share", "percent")
_MOST = 20_000_000  # runs times steps; a log of a million evaluations a run is thinned first
_ROUND = 1e-6  # of an accuracy that was written with few digits
_ACCURACIES = ("train_accuracy", "test_accuracy")


def arrays_of(rows: Rows, given: Mapping[str, ArrayLike | None], unit: str | None) -> dict[str, Any]:
    """step, settings, curves, w0, steps_done, diverged, names and remarks of the runs in their order.

    given : settings that are the same in all runs, or one a run; None where the log tells.
    unit : of the accuracies, "share" or "percent"; None: in percent where one exceeds 1.

    Raises
    ------
    InputError : on values that no such quantity has, and on runs that nothing tells apart.
    """
    remarks = list(rows.remarks)
    frame = rows.frame
    run, names = pd.factorize(frame["name"])
    step, time = np.unique(frame["step"].to_numpy(float).astype(np.int64), return_inverse=True)
    shape = (len(names), len(step))
    if shape[0] * shape[1] > _MOST:
        raise InputError(
            f"{rows.source}: {shape[0]} runs at {shape[1]:,} different steps; expected at most {_MOST:,} "
            "of both together: keep fewer evaluations, at the same steps in all runs"
        )
    place = run * len(step) + time
    curves, twice = {}, np.zeros(shape[0] * shape[1], bool)
    for name in CURVES:
        values = frame[name].to_numpy(float)
        known = np.flatnonzero(~np.isnan(values))
        flat = np.full(shape[0] * shape[1], np.nan)
        flat[place[known]] = values[known]  # of several at a place the last is kept
        twice[place[known[flat[place[known]] != values[known]]]] = True
        curves[name] = flat.reshape(shape)
    _check_twice(rows, twice.reshape(shape), np.bincount(run), names, remarks)
    _in_shares(curves, rows, unit, remarks)
    done = np.zeros(shape[0], np.int64)
    np.maximum.at(done, run, step[time])
    settings = _settings(rows, run, names, given, remarks)
    first = curves["weight_norm"][:, 0] if step[0] == 0 else np.full(shape[0], np.nan)
    return {
        "step": step,
        "settings": settings,
        "diverged": _diverged(curves, rows, remarks),
        "curves": curves,
        "w0": first / settings["alpha"],
        "steps_done": done,
        "names": [str(name) for name in names],
        "remarks": remarks,
    }


def _check_twice(
    rows: Rows, twice: NDArray[np.bool_], count: NDArray[np.int64], names: Any, remarks: list[str]
) -> None:
    """Evaluations that a log has twice, with other values: few are those of a run that was resumed."""
    many = twice.sum(1) > count / 4
    if many.any():
        raise InputError(
            f"{rows.source}: {names[many.argmax()]!r} has {twice.sum(1)[many.argmax()]} steps twice, with "
            "other values: it seems to be several runs; expected a column that tells them apart, "
            "--column run=NAME"
        )
    if twice.any():
        remarks.append(f"{twice.sum()} evaluations were there twice: the later ones count")


def _in_shares(curves: dict[str, Floats], rows: Rows, unit: str | None, remarks: list[str]) -> None:
    """Accuracies from 0 to 1. The unit is that of both: one in percent may never exceed 1 %."""
    top = {name: float(np.nanmax(curves[name], initial=0)) for name in _ACCURACIES}
    percent = max(top.values()) > 1 + _ROUND if unit is None else unit == "percent"
    train = top["train_accuracy"]
    if unit is None and percent and 0 < train <= 1 + _ROUND:
        raise InputError(
            f"{rows.source}: train_accuracy goes up to {train:g} and test_accuracy to "
            f"{top['test_accuracy']:g}; expected both in percent or both as shares, or their unit: "
            "--accuracy percent"
        )
    limit = 100.0 if percent else 1.0
    for name in _ACCURACIES:
        if top[name] > limit * (1 + _ROUND):
            raise InputError(f"{rows.source}: {name} goes up to {top[name]:g}; expected at most {limit:g}")
        curves[name] = np.minimum(curves[name] / limit, 1.0)
    if percent:
        remarks.append("accuracies were in percent")


def _diverged(curves: dict[str, Floats], rows: Rows, remarks: list[str]) -> NDArray[np.bool_]:
    """Whether the last loss of a run is infinite, [run]. An infinite value elsewhere is none."""
    lost = np.zeros(len(curves["train_loss"]), bool)
    for name in ("train_loss", "test_loss"):
        for k, curve in enumerate(curves[name]):
            known = curve[~np.isnan(curve)]
            lost[k] |= bool(len(known) and np.isinf(known[-1]))
    for curve in curves.values():
        bad = np.isinf(curve) & ~lost[:, None]
        if bad.any():
            remarks.append(f"{bad.sum()} infinite values were left out")
            curve[bad] = np.nan
    return lost


def _settings(
    rows: Rows,
    run: NDArray[np.intp],
    names: Any,
    given: Mapping[str, ArrayLike | None],
    remarks: list[str],
) -> dict[str, Floats]:
    count = len(names)
    found = {"eta_r": np.full(count, np.nan)}
    for name in SETTINGS:
        said = given.get(name)
        values = _of_log(rows, name, run, count, remarks) if said is None else _of_user(name, said, count)
        if name == "seed" and np.isnan(values).any():
            values = np.arange(count, dtype=float)
        found[name] = values
    return found


def _of_user(name: str, said: ArrayLike, count: int) -> Floats:
    if name in KINDS:
        values = numbers(name, said, *KINDS[name])
    else:
        values = np.array(whole_numbers(name, said, int(name != "seed"), LARGEST), float)
    if values.size not in (1, count):
        raise InputError(f"{name}: {values.size} numbers; expected one, or {count}, one a run")
    return np.broadcast_to(values, count).astype(float)


def _of_log(rows: Rows, name: str, run: NDArray[np.intp], count: int, remarks: list[str]) -> Floats:
    """The one value that a run has throughout; NaN where it has none or several."""
    values = rows.frame[name].to_numpy(float)
    known = np.flatnonzero(np.isfinite(values))
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, run[known], values[known])
    np.maximum.at(high, run[known], values[known])
    if np.any(low < high):
        remarks.append(f"{name} changes within a run: taken as not known")
    one = np.where(low == high, low, np.nan)
    if name in ("seed", "n_train") and not np.all(np.isnan(one) | (one == np.floor(one)) & (one >= 0)):
        raise InputError(
            f"{rows.source}: {name} is {one[one != np.floor(one)][0]:g}; expected a whole number"
        )
    return one
