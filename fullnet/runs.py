"""The runs file: learning curves of networks trained in full, and where each run started and ended.

Runs have dims `run, time`; what was set is a coordinate along `run`. Times are measured from them after
the fact (`validation.measure`), so that no threshold is baked in. They are stored as NetCDF-4 and open in
plain xarray.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced import json_text
from groktime.reduced.arrays import unmasked
from groktime.reduced.errors import InputError
from groktime.reduced.law import LAW, DecayLaw, law_is_one, law_of, stored
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
from groktime.reduced.stored import Stored

SCHEMA = "groktime-runs/1"
DIMS = ("run", "time")
SETTINGS = ("gamma", "eta_d", "eta_r", "alpha", "n_train", "seed", "m_start")
CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm", "m")
PART = "norm_"  # begins the name of the curve of a part of the network
WHOLE = "all"  # the part that is the whole network, where some of it does not decay
REPRESENTATIONS = ("fixed", "line", "free")
WATCHED = ("turn", "tau")  # of a script that is watched (`gt.watch`)
_MEASURED = ("train_loss", "weight_norm")  # every trainer has these; the others may be NaN throughout


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
    """A curve is finite while a run trains, unless it diverged, and NaN after it."""
    arrays = checked.arrays
    trained = arrays["step"].values[None] <= arrays["steps_done"].values[:, None]
    blown_up = arrays["diverged"].values.astype(bool)[:, None]
    for name in (*CURVES, *_more_curves(arrays.variables)):
        values = np.asarray(arrays[name].values, float)
        never = np.isnan(values).all(1, keepdims=True) & (name not in _MEASURED)
        unknown = trained & ~np.isfinite(values) & ~never & ~blown_up
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


def _more_curves(names: Iterable[str]) -> list[str]:
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
        _setting("gamma", "weight decay", range=RATE),
        _setting("eta_d", "learning rate of the network, per optimizer step", range=SIZE),
        _setting("eta_r", "learning rate of the representation, per optimizer step", range=RATE,
                 missing="somewhere"),
        _setting("alpha", "weight norm relative to initialization", "w / w0", range=SIZE),
        _setting("n_train", "training-set size", "samples", kind="integer", range=FROM_ONE),
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
        Column("w0", ("run",), "L2 norm of the weights that decay at initialization", range=SIZE),
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
        LAW,
        Attribute("configuration", "json", "settings of the trainer",
                  entries=(Attribute("stop_at", "number", "test accuracy at which a run is done"),)),
    ),
    rules=(_ends_within, _what_moves_has_a_rate, _curves_end_with_the_run,
           _no_run_is_there_twice, law_is_one),
)  # fmt: skip


class Runs(Stored):
    """Full training runs of one task. `source` is the file or name it came from."""

    SCHEMA = RUNS

    @staticmethod
    def assemble(
        *,
        step: ArrayLike,
        settings: Mapping[str, ArrayLike],
        curves: Mapping[str, ArrayLike],
        w0: ArrayLike,
        steps_done: ArrayLike,
        diverged: ArrayLike,
        task: str,
        loss: str,
        threshold: float,
        threshold_relative: bool = False,
        optimizer: str,
        batch: int = 0,
        representation: str = "fixed",
        constrained: bool = False,
        law: DecayLaw | Mapping[str, Any] | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> Runs:
        """Runs from full arrays.

        Parameters
        ----------
        step : optimizer steps of the evaluations [time], ascending.
        settings : gamma, eta_d, eta_r, alpha, n_train, seed and, for tasks that have it, m_start;
            each [run], or one number for all.
        curves : train_loss and weight_norm, and of test_loss, train_accuracy, test_accuracy and m
            what was measured; each [run, time], NaN after the run's `steps_done`. `norm_NAME` are
            norms of parts of the network, and `turn` and `tau` are of a script that was watched.
        w0, steps_done, diverged : norm at alpha = 1, last step that was trained, and whether the
            run ended because it diverged; each [run], or one for all.
        threshold : test accuracy that counts as generalized; with `threshold_relative`, as a
            fraction of the task's ceiling.
        batch : samples a step, 0 for all of them.
        representation : "fixed", "line" (moves along m alone) or "free".
        constrained : whether the weights were rescaled to their first norm after every step.
        optimizer, law : what trained them, and what is known of its law of decay, such as optimizer="SGD",
            law={"momentum": 0.95}; see `DecayLaw`. What is not said is that of gt.train's of this name.

        Raises
        ------
        InputError : naming the array and what was expected of it.
        """
        more = _more_curves(curves)
        for given, names in ((settings, SETTINGS), (curves, (*CURVES, *more))):
            for name in given:
                if name not in names:
                    raise InputError(f"{name}: expected only {', '.join(names)}")
        known = {k: unmasked(v) for k, v in curves.items()}
        if "train_loss" not in known or known["train_loss"].ndim != 2:
            raise InputError("train_loss: expected an array [run, time]")
        shape = known["train_loss"].shape
        for name, values in known.items():
            if values.shape != shape:
                raise InputError(f"{name} has shape {values.shape}; expected {shape} = (run, time)")
        if np.shape(step) != shape[1:]:
            raise InputError(f"step has shape {np.shape(step)}; expected {shape[1:]} = (time,)")

        def per_run(name: str, values: ArrayLike) -> NDArray[Any]:
            if np.shape(values) not in ((), shape[:1]):
                raise InputError(f"{name} has shape {np.shape(values)}; expected {shape[:1]} = (run,)")
            return np.broadcast_to(unmasked(values), shape[:1]).copy()

        table: dict[str, Any] = {k: known.get(k, np.full(shape, np.nan)) for k in (*CURVES, *more)}
        each = {"m_start": np.nan, **settings, "w0": w0, "steps_done": steps_done, "diverged": diverged}
        table |= {k: per_run(k, v) for k, v in each.items()} | {"step": step}
        attrs = {
            "task": task,
            "loss": loss,
            "accuracy_threshold": float(threshold),
            "threshold_relative": int(threshold_relative),
            "optimizer": optimizer,
            "batch": int(batch),
            "representation": representation,
            "constrained": int(constrained),
            "law": stored(law),
            "configuration": json_text.dump(configuration),
        }
        return Runs(RUNS.arrays(table, attrs, task), task)

    @property
    def parts(self) -> list[str]:
        """Names of the parts of the network whose norms the file holds."""
        return [name.removeprefix(PART) for name in self.arrays.variables if name.startswith(PART)]

    @property
    def law(self) -> DecayLaw:
        """By which law the weights decay."""
        return law_of(self.attrs)

    @property
    def constrained(self) -> bool:
        """Whether the weights kept the norm that they started with."""
        return bool(self.attrs["constrained"])

    @property
    def step(self) -> NDArray[np.int64]:
        """Optimizer steps of the evaluations, [time]."""
        return np.asarray(self["step"].values, np.int64)

    @property
    def trained(self) -> NDArray[np.bool_]:
        """Whether a run still trained at a time, [run, time]."""
        return np.asarray(self.step[None] <= self["steps_done"].values[:, None])

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Whether a run was retired before the last step because it was done, [run]."""
        early = self["steps_done"].values < self.step[-1]
        return np.asarray(early & ~self["diverged"].values.astype(bool))

    def facts(self) -> Mapping[str, object]:
        seeds = np.unique(self["seed"].values).tolist()
        shown = {"task": self.task, "runs": self.arrays.sizes["run"], "seeds": seeds}
        return {**shown, "steps": int(self.step[-1]), "source": self.source}

    def columns(self) -> Mapping[str, Sequence[object]]:
        """A row a run: what was set, where it ended, and its last accuracies."""
        last = self.trained.sum(1) - 1
        ends = {k: self[k].values[np.arange(len(last)), last] for k in ("train_accuracy", "test_accuracy")}
        given = {k: self[k].values for k in (*SETTINGS, "steps_done", "diverged")}
        return {k: v.tolist() for k, v in (given | ends).items()}


def open_runs(path: str | os.PathLike[str]) -> Runs:
    """Open a runs file.

    Raises
    ------
    InputError : naming the file, the variable and what was expected.
    """
    return Runs.open(path)


def runs_of(given: Runs | str | os.PathLike[str]) -> Runs:
    """Runs themselves, or those in a file."""
    return Runs.of(given)
