"""The runs file: learning curves of networks trained in full, and where each run started and ended.

Runs are an `xarray.Dataset` of schema "groktime-runs/1" with dims `run, time`; what was set is a
coordinate along `run`. Times are measured from it after the fact (`validation.measure`), so that no
threshold is baked in. It is stored as NetCDF-4 and opens in plain xarray.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.files import read_dataset, write_dataset

Floats = NDArray[np.float64]

SCHEMA = "groktime-runs/1"
DIMS = ("run", "time")
SETTINGS = ("gamma", "eta_d", "eta_r", "alpha", "n_train", "seed", "m_start")
LOSSES = ("train_loss", "test_loss")
ACCURACIES = ("train_accuracy", "test_accuracy")
CURVES = (*LOSSES, *ACCURACIES, "weight_norm", "m")
PART = "norm_"  # begins the name of the curve of a part of the network
ENDS = ("w0", "steps_done", "diverged")
REPRESENTATIONS = ("fixed", "line", "free")
_MEASURED = ("train_loss", "weight_norm")  # every trainer has these; the others may be NaN throughout
_WHOLE = ("n_train", "seed", "steps_done")
_ATTRIBUTES = (
    "task",
    "loss",
    "accuracy_threshold",
    "threshold_relative",
    "optimizer",
    "batch",
    "representation",
    "configuration",
)
_UNITS = {
    "gamma": "1",
    "eta_d": "learning rate of the network, per optimizer step",
    "eta_r": "learning rate of the representation, per optimizer step",
    "alpha": "w / w0",
    "n_train": "samples",
    "m_start": "1",
    "step": "optimizer steps",
    "weight_norm": "L2 norm of all weights and biases",
    "m": "1",
    "w0": "L2 norm of all weights and biases at initialisation",
    "steps_done": "optimizer steps",
}
_Wrong = Callable[[str], InputError]


@dataclass(frozen=True)
class Runs:
    """Full training runs of one task. `source` is the file or name it came from."""

    dataset: xr.Dataset
    source: str = "runs"

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
        configuration: Mapping[str, Any] | None = None,
    ) -> Runs:
        """Runs from full arrays.

        Parameters
        ----------
        step : optimizer steps of the evaluations [time], ascending from 0.
        settings : gamma, eta_d, eta_r, alpha, n_train, seed and, for tasks that have it, m_start;
            each [run], or one number for all.
        curves : train_loss and weight_norm, and of test_loss, train_accuracy, test_accuracy and m
            what was measured; each [run, time], NaN after the run's `steps_done`. `norm_NAME` are
            norms of parts of the network.
        w0, steps_done, diverged : norm at alpha = 1, last step that was trained, and whether the
            run ended because it diverged; each [run], or one for all.
        threshold : test accuracy that counts as generalised; with `threshold_relative`, as a
            fraction of the task's ceiling.
        batch : samples a step, 0 for all of them.
        representation : "fixed", "line" (moves along m alone) or "free".
        constrained : whether the weights were rescaled to their first norm after every step.

        Raises
        ------
        InputError : naming the array and what was expected of it.
        """
        parts = [name for name in curves if name.startswith(PART)]
        for given, names in ((settings, SETTINGS), (curves, (*CURVES, *parts))):
            for name in given:
                if name not in names:
                    raise InputError(f"{name}: expected only {', '.join(names)}")
        known = {k: np.asarray(v) for k, v in curves.items()}
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
            return np.broadcast_to(np.asarray(values), shape[:1]).copy()

        ends = {"w0": w0, "steps_done": steps_done, "diverged": diverged}
        variables = {k: (DIMS, known.get(k, np.full(shape, np.nan)).copy()) for k in (*CURVES, *parts)}
        coords = {k: ("run", per_run(k, v)) for k, v in ({"m_start": np.nan} | dict(settings)).items()}
        dataset = xr.Dataset(
            {**variables, **{k: ("run", per_run(k, v)) for k, v in ends.items()}},
            {**coords, "step": ("time", np.asarray(step).copy())},
            {
                "schema": SCHEMA,
                "task": task,
                "loss": loss,
                "accuracy_threshold": float(threshold),
                "threshold_relative": int(threshold_relative),
                "optimizer": optimizer,
                "batch": int(batch),
                "representation": representation,
                "constrained": int(constrained),
                "configuration": json.dumps(dict(configuration or {}), sort_keys=True),
            },
        )
        for name, unit in _UNITS.items():
            if name in dataset:
                dataset[name].attrs["units"] = unit
        for name in parts:
            dataset[name].attrs["units"] = "L2 norm of the weights of this part of the network"
        return Runs(checked(dataset, task), task)

    @property
    def task(self) -> str:
        return str(self.dataset.attrs["task"])

    @property
    def parts(self) -> list[str]:
        """Names of the parts of the network whose norms the file holds."""
        return [name.removeprefix(PART) for name in _part_curves(self.dataset)]

    @property
    def constrained(self) -> bool:
        """Whether the weights kept the norm that they started with."""
        return bool(self.dataset.attrs.get("constrained", 0))

    @property
    def step(self) -> NDArray[np.int64]:
        """Optimizer steps of the evaluations, [time]."""
        return np.asarray(self.dataset["step"].values, np.int64)

    @property
    def trained(self) -> NDArray[np.bool_]:
        """Whether a run still trained at a time, [run, time]."""
        done = self.dataset["steps_done"].values
        return np.asarray(self.step[None] <= done[:, None])

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Whether a run was retired before the last step because it was done, [run]."""
        early = self.dataset["steps_done"].values < self.step[-1]
        return np.asarray(early & ~self.dataset["diverged"].values.astype(bool))

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write the file whole, or not at all."""
        curves = (*CURVES, *_part_curves(self.dataset))
        return write_dataset(self.dataset, Path(path), overwrite, {v: {"zlib": True} for v in curves})


def open_runs(path: str | Path) -> Runs:
    """Open a runs file.

    Raises
    ------
    InputError : naming the file, the variable and what was expected.
    """
    dataset = read_dataset(Path(path), "groktime runs")
    return Runs(checked(dataset, str(path)), str(path))


def checked(dataset: xr.Dataset, source: str) -> xr.Dataset:
    """The dataset if it holds runs; otherwise one sentence on what is wrong with it."""

    def wrong(text: str) -> InputError:
        return InputError(f"{source}: {text}")

    schema = dataset.attrs.get("schema")
    if not isinstance(schema, str) or schema != SCHEMA:
        raise wrong(f"schema is {schema!r}; expected {SCHEMA!r}, groktime runs")
    _check_attributes(dataset.attrs, wrong)
    curves = (*CURVES, *_part_curves(dataset))
    expected = dict.fromkeys((*SETTINGS, *ENDS), ("run",)) | dict.fromkeys(curves, DIMS) | {"step": ("time",)}
    for name, dims in expected.items():
        if name not in dataset.variables:
            raise wrong(f"variable {name!r} is missing; {SCHEMA} has it")
        if dataset[name].dims != dims:
            raise wrong(f"{name} has dimensions {dataset[name].dims}; expected {dims}")
        kind = dataset[name].dtype
        if kind.kind not in "biuf":
            raise wrong(f"{name} holds {kind}; expected numbers")
    for name in DIMS:
        if not dataset.sizes[name]:
            raise wrong(f"holds no {name}; expected at least one")
    _check_steps(dataset, wrong)
    _check_settings(dataset, wrong)
    for name in curves:
        _check_curves(dataset, name, wrong)
    return dataset


def _part_curves(dataset: xr.Dataset) -> list[str]:
    return [str(name) for name in dataset.data_vars if str(name).startswith(PART)]


def _check_attributes(attributes: Mapping[str, Any], wrong: _Wrong) -> None:
    for name in _ATTRIBUTES:
        if name not in attributes:
            raise wrong(f"attribute {name!r} is missing; {SCHEMA} has it")
    threshold = attributes["accuracy_threshold"]
    if not isinstance(threshold, float | int | np.number) or not 0 < threshold <= 1:
        raise wrong(f"attribute accuracy_threshold is {threshold}; expected a number in (0, 1]")
    relative = attributes["threshold_relative"]
    if not isinstance(relative, int | np.integer) or relative not in (0, 1):
        raise wrong(f"attribute threshold_relative is {relative}; expected 0 or 1")
    batch = attributes["batch"]
    if not isinstance(batch, int | np.integer) or batch < 0:
        raise wrong(f"attribute batch is {batch}; expected a number of samples, 0 for all")
    representation = attributes["representation"]
    if not isinstance(representation, str) or representation not in REPRESENTATIONS:
        raise wrong(
            f"attribute representation is {representation!r}; expected one of {', '.join(REPRESENTATIONS)}"
        )
    constrained = attributes.get("constrained", 0)  # files of before have none
    if not isinstance(constrained, int | np.integer) or constrained not in (0, 1):
        raise wrong(f"attribute constrained is {constrained}; expected 0 or 1")
    try:
        json.loads(attributes["configuration"])
    except (TypeError, ValueError):
        raise wrong("attribute configuration is not JSON; expected the trainer's settings as JSON") from None


def _check_steps(dataset: xr.Dataset, wrong: _Wrong) -> None:
    step, done = dataset["step"].values, dataset["steps_done"].values
    if not np.all(np.isfinite(step)) or np.any(step != np.floor(step)):
        raise wrong("step holds values that are not whole numbers of optimizer steps")
    if step[0] != 0:
        raise wrong(f"step starts at {step[0]:g}; expected 0, the start of the runs")
    if np.any(np.diff(step) <= 0):
        raise wrong("step is not ascending, or repeats a value")
    outside = ~((done >= 0) & (done <= step[-1]))  # NaN is outside, too
    if np.any(outside):
        raise wrong(
            f"steps_done is {done[outside][0]:g} in run {np.argmax(outside)}; expected 0 to {step[-1]:g}, "
            "the last step"
        )


def _check_settings(dataset: xr.Dataset, wrong: _Wrong) -> None:
    def every(name: str, good: NDArray[np.bool_], expected: str) -> None:
        if not np.all(good):
            k = int(np.argmin(good))
            raise wrong(f"{name} is {dataset[name].values[k]:g} in run {k}; expected {expected}")

    values = {k: np.asarray(dataset[k].values, float) for k in (*SETTINGS, *ENDS)}
    finite = {k: np.isfinite(v) for k, v in values.items()}
    every("gamma", finite["gamma"] & (values["gamma"] >= 0), "a weight decay from 0")
    for name in ("eta_d", "alpha", "w0"):
        every(name, finite[name] & (values[name] > 0), "a finite number above 0")
    # a representation that does not move needs no rate
    idle = np.isnan(values["eta_r"]) & (dataset.attrs["representation"] == "fixed")
    every("eta_r", idle | finite["eta_r"] & (values["eta_r"] >= 0), "a learning rate from 0")
    for name, least in zip(_WHOLE, (1, 0, 0), strict=True):
        whole = finite[name] & (values[name] == np.floor(values[name])) & (values[name] >= least)
        every(name, whole, f"a whole number from {least}")
    none = np.isnan(values["m_start"]).all()
    every("m_start", none | finite["m_start"] & (values["m_start"] >= 0), "a messiness from 0 in every run")
    every("diverged", np.isin(values["diverged"], (0, 1)), "true or false")


def _check_curves(dataset: xr.Dataset, name: str, wrong: _Wrong) -> None:
    values, step = np.asarray(dataset[name].values, float), dataset["step"].values
    trained = step[None] <= dataset["steps_done"].values[:, None]

    def nowhere(bad: NDArray[np.bool_], text: str) -> None:
        if np.any(bad):
            run, time = np.argwhere(bad)[0]
            raise wrong(f"{name} is {values[run, time]:g} in run {run} at step {step[time]:g}; {text}")

    never = np.isnan(values).all(1, keepdims=True) & (name not in _MEASURED)
    blown_up = dataset["diverged"].values.astype(bool)[:, None]
    nowhere(trained & ~np.isfinite(values) & ~never & ~blown_up, "expected a finite number")
    nowhere(~trained & ~np.isnan(values), "expected NaN after the run's steps_done")
    if name in ACCURACIES:
        nowhere((values < 0) | (values > 1), "expected an accuracy within [0, 1]")
    elif name != "m":
        nowhere(values < 0, "expected a number from 0")
