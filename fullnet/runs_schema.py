"""The runs file as a table: what `fullnet.runs` checks, writes and documents it by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from groktime.reduced.law import LAW, law_is_one
from groktime.reduced.schema import (
    FROM_ONE,
    FROM_ZERO,
    RATE,
    SIZE,
    UNIT,
    Attribute,
    Axis,
    Checked,
    Column,
    Range,
    Schema,
)

SCHEMA = "groktime-runs/1"
DIMS = ("run", "time")
SETTINGS = ("gamma", "eta_d", "eta_r", "alpha", "n_train", "seed", "m_start")
CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm", "m")
PART = "norm_"  # begins the name of the curve of a part of the network
WHOLE = "all"  # the part that is the whole network, where some of it does not decay
REPRESENTATIONS = ("fixed", "line", "free")
WATCHED = ("turn", "tau")  # of a script that is watched (`gt.watch`)
_MEASURED = ("train_loss", "weight_norm")  # every trainer has these; the others may be NaN throughout
_KNOWN = ("gamma", "eta_d", "alpha", "n_train", "w0")  # to every trainer, and not to every log


def _is_log(checked: Checked) -> bool:
    return bool(checked.arrays.attrs["imported"])


def _only_logs_lack(checked: Checked) -> None:
    """gamma, eta_d, alpha, n_train and w0 are NaN only where the runs were read from a log."""
    for name in _KNOWN:
        missing = np.isnan(np.asarray(checked.arrays[name].values, float)) & (not _is_log(checked))
        checked.nowhere(name, missing, "expected a number, which only a log may lack")


def _ends_within(checked: Checked) -> None:
    """No run ends after the last step."""
    last = checked.arrays["step"].values[-1]
    outside = checked.arrays["steps_done"].values > last
    checked.nowhere("steps_done", outside, f"expected 0 to {last:g}, the last step")


def _what_moves_has_a_rate(checked: Checked) -> None:
    """`eta_r` is NaN only where the representation is fixed."""
    idle = checked.arrays.attrs["representation"] == "fixed"
    missing = np.isnan(np.asarray(checked.arrays["eta_r"].values, float)) & (not idle)
    checked.nowhere("eta_r", missing, "expected a learning rate from 0")


def _curves_end_with_the_run(checked: Checked) -> None:
    """A curve is finite while a run trains, unless it diverged, and NaN after it; in a log it is NaN where
    nothing was recorded."""
    arrays = checked.arrays
    trained = arrays["step"].values[None] <= arrays["steps_done"].values[:, None]
    blown_up = arrays["diverged"].values.astype(bool)[:, None]
    for name in (*CURVES, *more_curves(arrays.variables)):
        values = np.asarray(arrays[name].values, float)
        never = np.isnan(values).all(1, keepdims=True) & (name not in _MEASURED)
        there = ~np.isnan(values) if _is_log(checked) else ~never
        unknown = trained & ~np.isfinite(values) & there & ~blown_up
        checked.nowhere(name, unknown, "expected a finite number")
        checked.nowhere(name, ~trained & ~np.isnan(values), "expected NaN after the run's steps_done")


def _no_run_is_there_twice(checked: Checked) -> None:
    """No run repeats another of the same settings and seed, number by number."""
    arrays = checked.arrays
    columns = [arrays[k].values for k in (*SETTINGS, "w0", "steps_done")]
    codes = np.stack([np.unique(column, return_inverse=True)[1] for column in columns], 1)
    _, which, count = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    seen: dict[tuple[int, bytes], int] = {}
    for run in np.flatnonzero(count[which.ravel()] > 1).tolist():
        curves = b"".join(np.ascontiguousarray(arrays[k].values[run]).tobytes() for k in CURVES)
        first = seen.setdefault((int(which.ravel()[run]), curves), run)
        if first != run:
            checked.wrong(
                f"run {run} is run {first} again, with the same settings, seed and curves; expected each once"
            )


def more_curves(names: Iterable[str]) -> list[str]:
    """Curves that not every trainer has, by name: of parts of the network, of a script that is watched."""
    return [name for name in names if name in WATCHED or name.startswith(PART)]


def _setting(name: str, meaning: str, unit: str = "1", **more: Any) -> Column:
    return Column(name, ("run",), meaning, unit, coordinate=True, **more)


def _curve(name: str, meaning: str, range: Range = FROM_ZERO, required: bool = True) -> Column:
    return Column(name, DIMS, meaning, range=range, missing="ruled", packed=True, required=required)


RUNS = Schema(
    SCHEMA,
    "groktime runs",
    axes=(Axis("step", "step of the evaluation", "optimizer steps", "integer", FROM_ZERO, dim="time"),),
    columns=(
        _setting("gamma", "weight decay", range=RATE, missing="somewhere"),
        _setting("eta_d", "learning rate of the network, per optimizer step", range=SIZE,
                 missing="somewhere"),
        _setting("eta_r", "learning rate of the representation, per optimizer step", range=RATE,
                 missing="somewhere"),
        _setting("alpha", "weight norm relative to initialization", "w / w0", range=SIZE,
                 missing="somewhere"),
        _setting("n_train", "training-set size", "samples", kind="integer", range=FROM_ONE,
                 missing="somewhere"),
        _setting("seed", "random seed", kind="integer", range=FROM_ZERO),
        _setting("m_start", "messiness at the start", range=FROM_ZERO, missing=("run",)),
        _curve("train_loss", "training loss"),
        _curve("test_loss", "test loss"),
        _curve("train_accuracy", "training accuracy", UNIT),
        _curve("test_accuracy", "test accuracy", UNIT),
        _curve("weight_norm", "L2 norm of the weights that decay"),
        _curve("m", "messiness", Range()),
        _curve("turn", "angle by which what decays has turned since the evaluation before, in radians",
               required=False),
        _curve("tau", "decay time, the sum of eta * gamma over the steps", required=False),
        _curve(PART + "*", "L2 norm of the weights of *, a part of the network; all: of it all"),
        Column("w0", ("run",), "L2 norm of the weights that decay at initialization", range=SIZE,
               missing="somewhere"),
        Column("name", ("run",), "name of the run in its log", kind="text", required=False, coordinate=True),
        Column("steps_done", ("run",), "last step that was trained", "optimizer steps", "integer", FROM_ZERO),
        Column("diverged", ("run",), "whether the run ended because it diverged", kind="flag"),
    ),
    attributes=(
        Attribute("task", "text", "name of the task"),
        Attribute("loss", "text", "what the losses are"),
        Attribute("accuracy_threshold", "number", "test accuracy that counts as generalized",
                  Range(0, 1, open_low=True)),
        Attribute("threshold_relative", "flag", "whether the threshold is a fraction of the ceiling"),
        Attribute("optimizer", "text", "what trained the networks"),
        Attribute("batch", "integer", "samples a step, 0 for all", FROM_ZERO),
        Attribute("representation", "text", "how the representation moves", choices=REPRESENTATIONS),
        Attribute("constrained", "flag", "whether the weights kept the norm that they started with",
                  default=0),
        Attribute("imported", "flag", "whether the runs were read from a log", default=0),
        LAW,
        Attribute("configuration", "json", "settings of the trainer",
                  entries=(Attribute("stop_at", "number", "test accuracy at which a run is done"),)),
    ),
    rules=(_only_logs_lack, _ends_within, _what_moves_has_a_rate, _curves_end_with_the_run,
           _no_run_is_there_twice, law_is_one),
)  # fmt: skip
