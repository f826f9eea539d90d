"""The decay-path file: networks that drift along their zero-loss valley, recorded against τ = ηγt.

A path is an `xarray.Dataset` of schema "groktime-path/1" with dims `seed, n_train, m_start, alpha,
refit, tau`, stored as NetCDF-4. `refit` are the optimizer steps between two shrinks of the weights by
e^(-dtau): the resolution. A curve ends, and is NaN from there on, where its network was done or diverged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.files import read_dataset, write_dataset
from groktime.reduced.landscape import PATH_SCHEMA

Floats = NDArray[np.float64]

SCHEMA = PATH_SCHEMA
STARTS = ("seed", "n_train", "m_start", "alpha")
DIMS = (*STARTS, "refit", "tau")
LOSSES = ("train_loss", "test_loss")
ACCURACIES = ("train_accuracy", "test_accuracy")
CURVES = (*LOSSES, *ACCURACIES, "weight_norm", "m")
OPTIMIZERS = ("adamw", "adam", "sgd", "momentum")
_ATTRIBUTES = (
    "task", "loss", "accuracy_threshold", "threshold_relative", "stop_rule", "configuration",
    "eta_d", "eta_r", "dtau", "optimizer", "representation", "fit",
)  # fmt: skip
_UNITS = {
    "alpha": "w / w0",
    "m_start": "1",
    "m": "1",
    "n_train": "samples",
    "refit": "optimizer steps from shrink to shrink",
    "tau": "learning rate * weight decay * steps",
    "t_fit": "optimizer steps to 95 % training accuracy, without decay",
    "fit_end": "optimizer steps before the first shrink",
    "weight_norm": "L2 norm of all weights and biases",
    "w0": "L2 norm of all weights and biases at initialisation",
}
MOMENTUM_SPEED = 10.0  # torch's momentum of 0.9 makes decay and gradient ten times as fast


@dataclass(frozen=True)
class DecayPath:
    """Decay paths of one task. `source` is the file it came from."""

    dataset: xr.Dataset
    source: str = "path"

    @staticmethod
    def assemble(
        *,
        coords: Mapping[str, Any],
        curves: Mapping[str, NDArray[Any]],
        t_fit: NDArray[Any],
        w0: NDArray[Any],
        fit_end: NDArray[Any] | None = None,
        diverged: NDArray[Any] | None = None,
        eta_d: float,
        eta_r: float | None = None,
        dtau: float,
        optimizer: str = "adamw",
        representation: str = "fixed",
        fit: str = "along",
        task: str = "user",
        loss: str = "loss",
        threshold: float = 0.95,
        threshold_relative: bool = False,
        stop_rule: str = "given as arrays",
        configuration: Mapping[str, Any] | None = None,
    ) -> DecayPath:
        """A path from full arrays: curves [seed, n_train, m_start, alpha, refit, tau] (those left out are
        NaN), `diverged` without the last, `t_fit` and `fit_end` without the last two, `w0` [seed]."""
        shape = tuple(len(coords[name]) for name in DIMS)
        variables: dict[str, Any] = {k: (DIMS, curves.get(k, np.full(shape, np.nan))) for k in CURVES}
        variables["t_fit"] = (STARTS, t_fit)
        variables["fit_end"] = (STARTS, t_fit if fit_end is None else fit_end)
        variables["diverged"] = (DIMS[:-1], np.zeros(shape[:-1], bool) if diverged is None else diverged)
        variables["w0"] = ("seed", w0)
        dataset = xr.Dataset(
            variables,
            {k: (k, np.asarray(coords[k])) for k in DIMS},
            {
                "schema": SCHEMA,
                "task": task,
                "loss": loss,
                "accuracy_threshold": float(threshold),
                "threshold_relative": int(threshold_relative),
                "stop_rule": stop_rule,
                "eta_d": float(eta_d),
                "eta_r": float(eta_d if eta_r is None else eta_r),
                "dtau": float(dtau),
                "optimizer": optimizer,
                "representation": representation,
                "fit": fit,
                "configuration": json.dumps(dict(configuration or {}), sort_keys=True),
            },
        )
        for name, unit in _UNITS.items():
            dataset[name].attrs["units"] = unit
        return DecayPath(checked(dataset, task), task)

    @property
    def alpha(self) -> Floats:
        return np.asarray(self.dataset["alpha"].values, float)

    @property
    def tau(self) -> Floats:
        return np.asarray(self.dataset["tau"].values, float)

    @property
    def m_start(self) -> Floats:
        return np.asarray(self.dataset["m_start"].values, float)

    @property
    def refit(self) -> list[int]:
        return [int(k) for k in self.dataset["refit"].values]

    @property
    def seeds(self) -> list[int]:
        return [int(s) for s in self.dataset["seed"].values]

    @property
    def n_train(self) -> list[int]:
        return [int(n) for n in self.dataset["n_train"].values]

    @property
    def task(self) -> str:
        return str(self.dataset.attrs["task"])

    @property
    def eta_d(self) -> float:
        return float(self.dataset.attrs["eta_d"])

    @property
    def dtau(self) -> float:
        return float(self.dataset.attrs["dtau"])

    @property
    def speed(self) -> float:
        """How much faster than ηγ the optimizer decays, and than η it follows the gradient."""
        return MOMENTUM_SPEED if self.dataset.attrs["optimizer"] == "momentum" else 1.0

    @property
    def gamma_eff(self) -> Floats:
        """The weight decay γ that each resolution amounts to, [refit]: dtau is spent in `refit` steps."""
        return self.dtau / (np.array(self.refit) * self.eta_d * self.speed)

    @property
    def fit(self) -> str:
        """Whether the training set was fitted "first", without decay, or "along" the path."""
        return str(self.dataset.attrs["fit"])

    def w0(self, seed: int) -> float:
        """Norm of a seed's network as it was initialised."""
        return float(self.dataset["w0"].values[self.place("seed", seed)])

    def place(self, name: str, wanted: float) -> int:
        """Where on an axis a value lies, or one sentence on those that there are."""
        known = self.dataset[name].values.tolist()
        if wanted not in known:
            raise InputError(f"{name} = {wanted:g}: the path has {', '.join(f'{x:g}' for x in known)}")
        return int(known.index(wanted))

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write the file whole, or not at all."""
        return write_dataset(self.dataset, Path(path), overwrite, {k: {"zlib": True} for k in CURVES})


def open_path(path: str | Path) -> DecayPath:
    """Open a decay-path file.

    Raises
    ------
    InputError : naming the file, the variable and what was expected.
    """
    dataset = read_dataset(Path(path), "a groktime decay path")
    return DecayPath(checked(dataset, str(path)), str(path))


def checked(dataset: xr.Dataset, source: str) -> xr.Dataset:
    """The dataset if it is a decay path; otherwise one sentence on what is wrong with it."""

    def wrong(text: str) -> InputError:
        return InputError(f"{source}: {text}")

    attrs = dataset.attrs
    if attrs.get("schema") != SCHEMA:
        raise wrong(f"schema is {attrs.get('schema')!r}; expected {SCHEMA!r}, a groktime decay path")
    for name in _ATTRIBUTES:
        if name not in attrs:
            raise wrong(f"attribute {name!r} is missing; {SCHEMA} has it")
    dims: dict[str, tuple[str, ...]] = {**dict.fromkeys(CURVES, DIMS), **{k: (k,) for k in DIMS}}
    dims |= {"t_fit": STARTS, "fit_end": STARTS, "diverged": DIMS[:-1], "w0": ("seed",)}
    for name, expected in dims.items():
        if name not in dataset.variables:
            raise wrong(f"variable {name!r} is missing; {SCHEMA} has it")
        if dataset[name].dims != expected:
            raise wrong(f"{name} has dimensions {dataset[name].dims}; expected {expected}")
        if not (np.issubdtype(dataset[name].dtype, np.number) or dataset[name].dtype == bool):
            raise wrong(f"{name} holds {dataset[name].dtype}; expected numbers")
    for name in DIMS:
        axis = np.asarray(dataset[name].values, float)
        if not axis.size:
            raise wrong(f"axis {name} is empty")
        if not np.all(np.isfinite(axis)):
            raise wrong(f"axis {name} holds values that are not finite numbers")
        if np.any(np.diff(axis) <= 0):
            raise wrong(f"axis {name} is not ascending, or repeats a value")
    alpha, m, refit = (dataset[k].values for k in ("alpha", "m_start", "refit"))
    if alpha[0] <= 0:
        raise wrong(f"axis alpha starts at {alpha[0]:g}; expected norms above 0")
    if m[0] < 0 or m[-1] > 1:
        raise wrong(f"axis m_start runs from {m[0]:g} to {m[-1]:g}; expected messiness within [0, 1]")
    if refit[0] < 1 or np.any(refit != np.floor(refit)):
        raise wrong("axis refit: expected whole numbers of optimizer steps, 1 or more")
    for name in ("eta_d", "dtau"):
        value = attrs[name]
        if not isinstance(value, float | int | np.number) or not 0 < value < np.inf:
            raise wrong(f"attribute {name} is {value!r}; expected a number above 0")
    tau, dtau = dataset["tau"].values, float(attrs["dtau"])
    if tau.size < 2 or not np.allclose(tau, dtau * np.arange(tau.size), rtol=0, atol=1e-6 * dtau):
        raise wrong(f"axis tau is not 0, dtau, 2 dtau, … with dtau = {dtau:g}")
    if attrs["optimizer"] not in OPTIMIZERS:
        raise wrong(f"attribute optimizer is {attrs['optimizer']!r}; expected one of {', '.join(OPTIMIZERS)}")
    if attrs["fit"] not in ("first", "along"):
        raise wrong(f"attribute fit is {attrs['fit']!r}; expected 'first' or 'along'")
    threshold = attrs["accuracy_threshold"]
    if not isinstance(threshold, float | int | np.number) or not 0 < threshold <= 1:
        raise wrong(f"attribute accuracy_threshold is {threshold!r}; expected a number in (0, 1]")
    if not np.all(np.isfinite(dataset["w0"].values)) or np.any(dataset["w0"].values <= 0):
        raise wrong("w0 must be a finite norm above 0 for every seed")
    t_fit = dataset["t_fit"].values
    if np.any(t_fit < 0) or np.any(np.isinf(t_fit)):
        raise wrong("t_fit must be a number of steps from 0, or NaN where the training set was not fitted")
    for name in CURVES:
        _check_curve(dataset[name], name, wrong)
    return dataset


def _check_curve(values: xr.DataArray, name: str, wrong: Any) -> None:
    array = np.asarray(values.values, float)
    known = np.isfinite(array)
    ends = known.sum(-1)
    gap = known != (np.arange(array.shape[-1]) < ends[..., None])
    if gap.any() or np.isinf(array).any():
        where = np.argwhere(gap | np.isinf(array))[0]
        at = ", ".join(f"{d} {values[d].values[k]:g}" for d, k in zip(DIMS, where, strict=True))
        raise wrong(f"{name} has a gap, or is infinite, at {at}; a curve is finite up to where it ends")
    held = array[known]
    if name in ACCURACIES and (np.any(held < 0) or np.any(held > 1)):
        raise wrong(f"{name} has values outside [0, 1]")
    if name in (*LOSSES, "weight_norm") and np.any(held < 0):
        raise wrong(f"{name} has negative values; expected values from 0")
