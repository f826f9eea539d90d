"""The landscape file: reduced train and test losses on a grid of (w, m), as sampled from networks.

A landscape is an `xarray.Dataset` of schema "groktime-landscape/1" with dims `seed, n_train,
budget, m, alpha`, each of length 1 where it was not scanned, so that landscapes of w alone and of
(w, m) are one thing. It is stored as NetCDF-4 and opens in plain xarray.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.files import read_dataset, write_dataset

Floats = NDArray[np.float64]

SCHEMA = "groktime-landscape/1"
PATH_SCHEMA = "groktime-path/1"  # of `reduced.decay_path`
DIMS = ("seed", "n_train", "budget", "m", "alpha")
LOSSES = ("train_loss", "test_loss")
ACCURACIES = ("train_accuracy", "test_accuracy")
FEET = ("foot_low", "foot_high")
_ATTRIBUTES = ("task", "loss", "accuracy_threshold", "threshold_relative", "stop_rule", "configuration")
_UNITS = {
    "alpha": "w / w0",
    "m": "1",
    "budget": "optimizer steps",
    "n_train": "samples",
    "w0": "L2 norm of all weights and biases at initialisation",
    "delta_norm": "||R_random - R_linear||",
    "foot_low": "w / w0",
    "foot_high": "w / w0",
}


@dataclass(frozen=True)
class Landscape:
    """Reduced loss landscapes of one task. `source` is the file or name it came from."""

    dataset: xr.Dataset
    source: str = "landscape"

    @staticmethod
    def from_arrays(
        *,
        alpha: ArrayLike,
        train_loss: ArrayLike,
        test_loss: ArrayLike | None = None,
        train_accuracy: ArrayLike | None = None,
        test_accuracy: ArrayLike | None = None,
        m: ArrayLike | None = None,
        w0: ArrayLike = 1.0,
        delta_norm: ArrayLike | None = None,
        task: str = "user",
        loss: str = "loss",
        threshold: float = 0.95,
    ) -> Landscape:
        """A landscape of your own.

        Parameters
        ----------
        alpha, m : ascending grids, w/w0 and messiness (m only for a landscape of two dimensions).
        train_loss, test_loss, … : arrays [alpha], [m, alpha] or [seed, m, alpha]. Losses > 0.
            What is left out is NaN in the file and cannot be asked for.
        w0 : absolute norm at alpha = 1, one number or one a seed. Eq. 6 needs it.
        threshold : test accuracy that counts as generalised.

        Raises
        ------
        InputError : naming the array and what was expected of it.
        """
        axis, rows = _floats("alpha", alpha), None if m is None else _floats("m", m)
        shape = (1 if rows is None else rows.size, axis.size)
        given = {
            "train_loss": train_loss,
            "test_loss": test_loss,
            "train_accuracy": train_accuracy,
            "test_accuracy": test_accuracy,
        }
        values = {k: _on_grid(k, v, shape) for k, v in given.items() if v is not None}
        per_seed = {"w0": _floats("w0", w0)}
        if delta_norm is not None:
            per_seed["delta_norm"] = _floats("delta_norm", delta_norm)
        counts = {k: v.shape[0] for k, v in values.items()} | {k: v.size for k, v in per_seed.items()}
        seeds = counts["train_loss"] if counts["train_loss"] > 1 else max(counts.values())
        for name, count in counts.items():
            if count not in (1, seeds) or (name in per_seed and per_seed[name].ndim > 1):
                raise InputError(f"{name}: holds {count} seeds; expected 1 or {seeds}, as the others")
        full: dict[str, Any] = {
            k: np.broadcast_to(values.get(k, np.array(np.nan)), (seeds, *shape))[:, None, None].copy()
            for k in given
        }
        return Landscape.assemble(
            **full,
            converged=np.ones((seeds, 1, 1, *shape), bool),
            coords={"seed": range(seeds), "n_train": [0], "budget": [0], "m": rows, "alpha": axis},
            w0=np.broadcast_to(per_seed["w0"].ravel(), seeds).copy(),
            delta_norm=(
                np.broadcast_to(per_seed["delta_norm"].ravel(), seeds).copy()
                if "delta_norm" in per_seed
                else None
            ),
            task=task,
            loss=loss,
            threshold=threshold,
            stop_rule="given as arrays",
        )

    @staticmethod
    def assemble(
        *,
        coords: Mapping[str, Any],
        w0: Floats,
        delta_norm: Floats | None,
        task: str,
        loss: str,
        threshold: float,
        threshold_relative: bool = False,
        stop_rule: str,
        configuration: Mapping[str, Any] | None = None,
        **arrays: NDArray[Any],
    ) -> Landscape:
        """A landscape from full arrays [seed, n_train, budget, m, alpha] (feet: without the last)."""
        foot_dims = ("seed", "n_train", "m")
        variables: dict[str, Any] = {k: (foot_dims if k in FEET else DIMS, v) for k, v in arrays.items()}
        variables["w0"] = ("seed", w0)
        if delta_norm is not None:
            variables["delta_norm"] = ("seed", np.asarray(delta_norm, float))
        axes = {k: [0.0] if v is None else v for k, v in coords.items()}
        dataset = xr.Dataset(
            variables,
            {k: (k, np.asarray(v)) for k, v in axes.items()},
            {
                "schema": SCHEMA,
                "task": task,
                "loss": loss,
                "accuracy_threshold": float(threshold),
                "threshold_relative": int(threshold_relative),
                "stop_rule": stop_rule,
                "configuration": json.dumps(dict(configuration or {}), sort_keys=True),
            },
        )
        for name, unit in _UNITS.items():
            if name in dataset:
                dataset[name].attrs["units"] = unit
        return Landscape(checked(dataset, task), task)

    @property
    def two_dimensional(self) -> bool:
        """Whether the messiness was scanned."""
        return self.dataset.sizes["m"] > 1

    @property
    def alpha(self) -> Floats:
        return np.asarray(self.dataset["alpha"].values, float)

    @property
    def m(self) -> Floats:
        return np.asarray(self.dataset["m"].values, float)

    @property
    def seeds(self) -> list[int]:
        return [int(s) for s in self.dataset["seed"].values]

    @property
    def n_train(self) -> list[int]:
        return [int(n) for n in self.dataset["n_train"].values]

    @property
    def budgets(self) -> list[int]:
        return [int(b) for b in self.dataset["budget"].values]

    @property
    def task(self) -> str:
        return str(self.dataset.attrs["task"])

    def one(self, seed: int, n_train: int | None = None, budget: int | None = None) -> xr.Dataset:
        """The landscape of one seed, training-set size and budget: dims (m, alpha)."""
        chosen = {
            "seed": _pick("seed", self.seeds, seed),
            "n_train": _pick("n_train", self.n_train, n_train if n_train is not None else self.n_train[-1]),
            "budget": _pick("budget", self.budgets, budget if budget is not None else self.budgets[-1]),
        }
        return self.dataset.isel(chosen)

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write the file whole, or not at all."""
        packed = {v: {"zlib": True} for v in (*LOSSES, *ACCURACIES, "converged") if v in self.dataset}
        return write_dataset(self.dataset, Path(path), overwrite, packed)


def open_landscape(name: str | Path) -> Landscape:
    """Open a shipped landscape by name (see `shipped`) or a file by path.

    Raises
    ------
    InputError : naming the file, the variable and what was expected.
    """
    path = Path(name)
    if not path.suffix and os.sep not in str(name):
        inside = _shipped_folder() / f"{name}.nc"
        if not inside.is_file():
            raise InputError(
                f"{name}: no shipped landscape of this name (there are {', '.join(shipped())}) "
                "and not the path of a .nc file"
            )
        path = Path(str(inside))
    dataset = read_dataset(path, "a groktime landscape")
    return Landscape(checked(dataset, str(path)), str(name))


def shipped() -> list[str]:
    """Names of the landscapes that come with the package."""
    return sorted(p.name.removesuffix(".nc") for p in _shipped_folder().iterdir() if p.name.endswith(".nc"))


def _shipped_folder() -> Any:
    return resources.files("groktime.reduced") / "landscapes"


def checked(dataset: xr.Dataset, source: str) -> xr.Dataset:
    """The dataset if it is a landscape; otherwise one sentence on what is wrong with it."""

    def wrong(text: str) -> InputError:
        return InputError(f"{source}: {text}")

    schema = dataset.attrs.get("schema")
    if schema == PATH_SCHEMA:
        raise wrong(
            "is a decay path; expected a landscape (open_path opens it, `groktime predict` takes both)"
        )
    if schema != SCHEMA:
        raise wrong(f"schema is {schema!r}; expected {SCHEMA!r}, a groktime landscape")
    for name in _ATTRIBUTES:
        if name not in dataset.attrs:
            raise wrong(f"attribute {name!r} is missing; {SCHEMA} has it")
    for name in (*DIMS, *LOSSES, *ACCURACIES, "converged", "w0"):
        if name not in dataset.variables:
            raise wrong(f"variable {name!r} is missing; {SCHEMA} has it")
    for name in (*LOSSES, *ACCURACIES, "converged"):
        if dataset[name].dims != DIMS:
            raise wrong(f"{name} has dimensions {dataset[name].dims}; expected {DIMS}")
    for name in DIMS:
        axis = np.asarray(dataset[name].values)
        if not axis.size:
            raise wrong(f"axis {name} is empty")
        if not np.issubdtype(axis.dtype, np.number) or not np.all(np.isfinite(axis)):
            raise wrong(f"axis {name} holds values that are not finite numbers")
        if np.any(np.diff(axis) <= 0):
            raise wrong(f"axis {name} is not ascending, or repeats a value")
    alpha, m = dataset["alpha"].values, dataset["m"].values
    if alpha.size < 4:
        raise wrong(f"axis alpha has {alpha.size} points; expected at least 4")
    if m.size in (2, 3):
        raise wrong(f"axis m has {m.size} points; expected 1 (not scanned) or at least 4")
    if alpha[0] <= 0:
        raise wrong(f"axis alpha starts at {alpha[0]:g}; expected norms above 0")
    if m[0] < 0 or m[-1] > 1:
        raise wrong(f"axis m runs from {m[0]:g} to {m[-1]:g}; expected messiness within [0, 1]")
    for name in (*LOSSES, *ACCURACIES, "w0"):
        if not np.issubdtype(dataset[name].dtype, np.number):
            raise wrong(f"{name} holds {dataset[name].dtype}; expected numbers")
    threshold = dataset.attrs["accuracy_threshold"]
    if not isinstance(threshold, float | int | np.number) or not 0 < threshold <= 1:
        raise wrong(f"attribute accuracy_threshold is {threshold!r}; expected a number in (0, 1]")
    if not np.all(np.isfinite(dataset["w0"].values)) or np.any(dataset["w0"].values <= 0):
        raise wrong("w0 must be a finite norm above 0 for every seed")
    for name in (*LOSSES, *ACCURACIES):
        _check_cells(dataset[name], name in ACCURACIES, name == "train_loss", wrong)
    return dataset


def _check_cells(values: xr.DataArray, accuracy: bool, required: bool, wrong: Any) -> None:
    finite = np.isfinite(values.values)
    # A quantity that was not measured (no test samples, not given) is NaN in all cells of a grid.
    blank = np.isnan(values.values).all((-2, -1), keepdims=True)
    if not np.all(finite | (False if required else blank)):
        where = np.argwhere(~(finite | blank if not required else finite))[0]
        at = ", ".join(f"{d} {values[d].values[k]:g}" for d, k in zip(DIMS, where, strict=True))
        raise wrong(f"{values.name} is not a finite number at {at}")
    held = values.values[finite]
    if accuracy and (np.any(held < 0) or np.any(held > 1)):
        raise wrong(f"{values.name} has values outside [0, 1]")
    if not accuracy and np.any(held < 0):
        raise wrong(f"{values.name} has negative values; expected losses from 0")


def _floats(name: str, values: ArrayLike) -> Floats:
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers") from error


def _on_grid(name: str, values: ArrayLike, shape: tuple[int, int]) -> Floats:
    array = _floats(name, values)
    if array.shape[-1:] == shape[-1:] and (array.ndim == 1 and shape[0] == 1):
        array = array[None]
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[1:] != shape:
        raise InputError(
            f"{name} has shape {np.shape(values)}; expected {shape} = (m, alpha), "
            "with a leading axis for several seeds"
        )
    return array


def _pick(name: str, known: Sequence[int], wanted: int) -> int:
    if wanted not in known:
        raise InputError(f"{name} = {wanted}: the landscape has {', '.join(map(str, known))}")
    return known.index(wanted)
