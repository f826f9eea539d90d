"""The landscape file: reduced train and test losses on a grid of (w, m), as sampled from networks.

A landscape has dims `seed, n_train, budget, m, alpha`, each of length 1 where it was not scanned, so
that landscapes of w alone and of (w, m) are one thing. It is stored as NetCDF-4 and opens in plain
xarray; `reduced.stored` says what all files have, `reduced.landscape_schema` what is in this one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced import json_text
from groktime.reduced.arguments import number, text
from groktime.reduced.arrays import Arrays, unmasked
from groktime.reduced.errors import InputError
from groktime.reduced.landscape_schema import LANDSCAPE
from groktime.reduced.law import DecayLaw, law_of, stored
from groktime.reduced.stored import Gridded

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

_LARGEST = 1e100  # of a loss, whose square and its derivatives are still numbers


class Landscape(Gridded):
    """Reduced loss landscapes of one task. `source` is the file or name it came from."""

    SCHEMA = LANDSCAPE
    SHIPPED = "landscapes"

    @staticmethod
    def from_arrays(
        *,
        alpha: ArrayLike,
        train_loss: ArrayLike,
        test_loss: ArrayLike | None = None,
        train_accuracy: ArrayLike | None = None,
        test_accuracy: ArrayLike | None = None,
        m: ArrayLike | None = None,
        w0: ArrayLike | None = None,
        delta_norm: ArrayLike | None = None,
        task: str = "user",
        loss: str = "loss",
        threshold: float = 0.95,
    ) -> Landscape:
        """A landscape from arrays.

        Parameters
        ----------
        alpha, m : ascending grids, w/w0 and messiness (m only for a landscape of two dimensions).
        train_loss, test_loss, … : arrays [alpha], [m, alpha] or [seed, m, alpha]. Training losses > 0.
            What is left out is NaN in the file and cannot be asked for.
        w0 : absolute norm at alpha = 1, one number or one a seed. Eq. 6 needs it: a landscape without it can
            be looked at, but predicts nothing.
        threshold : test accuracy that counts as generalized.

        Raises
        ------
        InputError : naming the array, the cell and what was expected of it. What is masked counts as NaN.
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
        for name in ("train_loss", "test_loss"):
            if name in values:
                _check_losses(name, values[name], axis, rows)
        per_seed = {"w0": np.full(1, np.nan) if w0 is None else _given("w0", w0)}
        if delta_norm is not None:
            per_seed["delta_norm"] = _given("delta_norm", delta_norm)
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
        law: DecayLaw | None = None,
        configuration: Mapping[str, Any] | None = None,
        **arrays: NDArray[Any],
    ) -> Landscape:
        """A landscape from full arrays [seed, n_train, budget, m, alpha] (feet: without budget and alpha;
        `turning_cosine`: without budget)."""
        values: dict[str, Any] = (
            {k: [0.0] if v is None else v for k, v in coords.items()} | arrays | {"w0": w0}
        )
        if delta_norm is not None:
            values["delta_norm"] = _floats("delta_norm", delta_norm)
        attrs = {
            "task": task,
            "loss": loss,
            "accuracy_threshold": float(threshold),
            "threshold_relative": int(threshold_relative),
            "stop_rule": stop_rule,
            "law": stored(law),
            "configuration": json_text.dump(configuration),
        }
        return Landscape(LANDSCAPE.arrays(values, attrs, task), task)

    @property
    def law(self) -> DecayLaw:
        """By which law the networks decay that it was sampled for: what does not decay, and the schedule."""
        return law_of(self.attrs)

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
        """The arrays of one seed, training-set size and budget (default: the largest): dims (m, alpha). Norms
        are in units of w0 where that is not known."""
        wanted = {
            "seed": seed,
            "n_train": self.n_train[-1] if n_train is None else n_train,
            "budget": self.budgets[-1] if budget is None else budget,
        }
        one = self.arrays.isel({name: self.place(name, value) for name, value in wanted.items()})
        if np.isfinite(float(one["w0"])):
            return one
        return replace(one, variables={**one.variables, "w0": replace(one["w0"], values=np.array(1.0))})

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


def _floats(name: str, values: ArrayLike) -> Floats:
    try:
        if np.iscomplexobj(values):
            raise TypeError
        return np.asarray(unmasked(values), float)
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


def _given(name: str, values: ArrayLike) -> Floats:
    """Norms, one or one a seed, none of them missing."""
    array = _floats(name, values)
    if np.isnan(array).any():
        raise InputError(f"{name}: is NaN or masked; expected the norm of every seed, or leave {name} out")
    return array


def _check_losses(name: str, values: Floats, alpha: Floats, m: Floats | None) -> None:
    """Refuse the first cell [seed, m, alpha] whose loss has no logarithm, or is too large to reckon with."""
    # the surface is of ln(training loss); a test loss is only set beside a threshold
    low = values > 0 if name == "train_loss" else values >= 0
    bad = ~(low & (values < _LARGEST))  # NaN, too
    bad &= (name == "train_loss") | ~np.isnan(values).all((1, 2), keepdims=True)  # was not measured
    if not bad.any():
        return
    seed, row, column = (int(k) for k in np.argwhere(bad)[0])
    value = values[seed, row, column]
    place = f"seed {seed}" + ("" if m is None else f", m {m[row]:g}") + f", alpha {alpha[column]:g}"
    least = "above 0" if name == "train_loss" else "from 0"
    expected = f"expected a finite loss {least} and below {_LARGEST:g}"
    hint = "; a loss that is 0 to rounding may be given as 1e-12" if value == 0 else ""
    raise InputError(f"{name} is {value:g} at {place}; {expected}{hint}")
