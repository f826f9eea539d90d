"""The landscape file: reduced train and test losses on a grid of (w, m), as sampled from networks.

A landscape has dims `seed, n_train, budget, m, alpha`, each of length 1 where it was not scanned, so
that landscapes of w alone and of (w, m) are one thing. It is stored as NetCDF-4 and opens in plain
xarray; `reduced.stored` says what all files have, `LANDSCAPE` what is in this one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.arguments import number, text
from groktime.reduced.arrays import Arrays
from groktime.reduced.errors import InputError
from groktime.reduced.schema import FROM_ZERO, POSITIVE, UNIT, Attribute, Axis, Column, Range, Schema
from groktime.reduced.stored import Gridded

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

SCHEMA = "groktime-landscape/1"
DIMS = ("seed", "n_train", "budget", "m", "alpha")
_GRID = ("m", "alpha")  # a quantity that was not measured is NaN in all cells of a grid
_FOOT = ("seed", "n_train", "m")


LANDSCAPE = Schema(
    SCHEMA,
    "a groktime landscape",
    axes=(
        Axis("seed", "random seed", kind="integer"),
        Axis("n_train", "training-set size", "samples", "integer", FROM_ZERO),
        Axis("budget", "steps of sampling", "optimizer steps", "integer", FROM_ZERO),
        Axis("m", "messiness", range=UNIT, least=4, single=True),
        Axis("alpha", "weight norm relative to initialization", "w / w0", range=POSITIVE, least=4),
    ),
    columns=(
        Column("train_loss", DIMS, "reduced training loss", range=FROM_ZERO, packed=True),
        Column("test_loss", DIMS, "reduced test loss", range=FROM_ZERO, missing=_GRID, packed=True),
        Column("train_accuracy", DIMS, "training accuracy", range=UNIT, missing=_GRID, packed=True),
        Column("test_accuracy", DIMS, "test accuracy", range=UNIT, missing=_GRID, packed=True),
        Column("converged", DIMS, "whether the stop rule ended the cell", kind="flag", packed=True),
        Column("w0", ("seed",), "L2 norm of all weights and biases at initialization", range=POSITIVE),
        Column("delta_norm", ("seed",), "||R_random - R_linear||", range=FROM_ZERO, required=False,
               missing="somewhere"),
        Column("foot_low", _FOOT, "lower end of the cell that holds the wall's foot", "w / w0",
               range=POSITIVE, required=False, missing="somewhere"),
        Column("foot_high", _FOOT, "upper end of the cell that holds the wall's foot", "w / w0",
               range=POSITIVE, required=False, missing="somewhere"),
    ),
    attributes=(
        Attribute("task", "text", "name of the task"),
        Attribute("loss", "text", "what the losses are"),
        Attribute("accuracy_threshold", "number", "test accuracy that counts as generalized",
                  Range(0, 1, open_low=True)),
        Attribute("threshold_relative", "flag", "whether the threshold is a fraction of the ceiling"),
        Attribute("stop_rule", "text", "when a cell was done"),
        Attribute("configuration", "json", "settings of the sampler"),
    ),
)  # fmt: skip


class Landscape(Gridded):
    """Reduced loss landscapes of one task. `source` is the file or name it came from."""

    SCHEMA = LANDSCAPE

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a shipped landscape by name (see `shipped`) or a file by path."""
        if Path(path).suffix or os.sep in str(path):
            return super().open(path)
        inside = _shipped_folder() / f"{path}.nc"
        if not inside.is_file():
            raise InputError(
                f"{path}: no shipped landscape of this name (there are {', '.join(shipped())}) "
                "and not the path of a .nc file"
            )
        land = super().open(str(inside))
        land.source = str(path)
        return land

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
        """A landscape from arrays.

        Parameters
        ----------
        alpha, m : ascending grids, w/w0 and messiness (m only for a landscape of two dimensions).
        train_loss, test_loss, … : arrays [alpha], [m, alpha] or [seed, m, alpha]. Losses > 0.
            What is left out is NaN in the file and cannot be asked for.
        w0 : absolute norm at alpha = 1, one number or one a seed. Eq. 6 needs it.
        threshold : test accuracy that counts as generalized.

        Raises
        ------
        InputError : naming the array and what was expected of it.
        """
        axis, rows = _axis("alpha", alpha), None if m is None else _axis("m", m)
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
            task=text("task", task),
            loss=text("loss", loss),
            threshold=number("threshold", threshold, "in (0, 1]", lambda x: 0 < x <= 1),
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
        values: dict[str, Any] = (
            {k: [0.0] if v is None else v for k, v in coords.items()} | arrays | {"w0": w0}
        )
        if delta_norm is not None:
            values["delta_norm"] = np.asarray(delta_norm, float)
        attrs = {
            "task": task,
            "loss": loss,
            "accuracy_threshold": float(threshold),
            "threshold_relative": int(threshold_relative),
            "stop_rule": stop_rule,
            "configuration": json.dumps(dict(configuration or {}), sort_keys=True),
        }
        return Landscape(LANDSCAPE.arrays(values, attrs, task), task)

    @property
    def two_dimensional(self) -> bool:
        """Whether the messiness was scanned."""
        return self.arrays.sizes["m"] > 1

    @property
    def m(self) -> Floats:
        """Messiness, ascending; one value where it was not scanned."""
        return np.asarray(self["m"].values, float)

    @property
    def budgets(self) -> list[int]:
        """Steps of sampling, ascending."""
        return self._whole("budget")

    def layer(self, seed: int, n_train: int | None = None, budget: int | None = None) -> Arrays:
        """The arrays of one seed, training-set size and budget (default: the largest): dims (m, alpha)."""
        wanted = {
            "seed": seed,
            "n_train": self.n_train[-1] if n_train is None else n_train,
            "budget": self.budgets[-1] if budget is None else budget,
        }
        return self.arrays.isel({name: self.place(name, value) for name, value in wanted.items()})

    def one(self, seed: int, n_train: int | None = None, budget: int | None = None) -> xr.Dataset:
        """`layer` as an `xarray.Dataset`."""
        return self.layer(seed, n_train, budget).dataset


def open_landscape(name: str | os.PathLike[str]) -> Landscape:
    """Open a shipped landscape by name (see `shipped`) or a file by path.

    Raises
    ------
    InputError : naming the file, the variable and what was expected.
    """
    return Landscape.open(name)


def landscape_of(given: Landscape | str | os.PathLike[str]) -> Landscape:
    """A landscape itself, or the one that a shipped name or a file's path stands for."""
    return Landscape.of(given)


def shipped() -> list[str]:
    """Names of the landscapes that come with the package."""
    return sorted(p.name.removesuffix(".nc") for p in _shipped_folder().iterdir() if p.name.endswith(".nc"))


def _shipped_folder() -> Any:
    return resources.files("groktime.reduced") / "landscapes"


def _floats(name: str, values: ArrayLike) -> Floats:
    try:
        if np.iscomplexobj(values):
            raise TypeError
        return np.asarray(values, float)
    except (TypeError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"{name}: expected numbers") from error


def _axis(name: str, values: ArrayLike) -> Floats:
    axis = _floats(name, values)
    if axis.ndim != 1:
        raise InputError(f"{name}: has shape {axis.shape}; expected a list of numbers")
    return axis


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
