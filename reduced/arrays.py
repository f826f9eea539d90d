"""Named arrays in memory: what a file holds, without the second that it takes to import xarray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import xarray as xr


def unmasked(values: ArrayLike) -> NDArray[Any]:
    """An array without a mask: what is masked is NaN, of whole numbers and flags as well.

    numpy drops the mask of what it converts, and what lay under it would be read as a value.
    """
    if isinstance(values, list | tuple) and any(_holds_mask(v) for v in values):
        values = np.ma.array(values)
    if not isinstance(values, np.ma.MaskedArray) or not np.ma.is_masked(values):
        return np.asarray(values)
    data = np.asarray(values.data)
    return np.where(np.ma.getmaskarray(values), np.nan, data.astype(float))


def _holds_mask(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_mask(v) for v in value)
    return isinstance(value, np.ma.MaskedArray)


@dataclass(frozen=True, eq=False)
class Variable:
    """An array with the names of its dimensions."""

    dims: tuple[str, ...]
    values: NDArray[Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def __float__(self) -> float:
        return float(self.values)


@dataclass(frozen=True, eq=False)
class Arrays:
    """Variables by name, of which `coords` are coordinates, and attributes; `dataset` is xarray's."""

    variables: Mapping[str, Variable]
    coords: tuple[str, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(dataset: xr.Dataset) -> Arrays:
        """The variables of a dataset; nothing is copied."""
        variables = {
            str(name): Variable(tuple(map(str, v.dims)), np.asarray(v.values), dict(v.attrs))
            for name, v in dataset.variables.items()
        }
        attrs = {str(name): value for name, value in dataset.attrs.items()}
        return Arrays(variables, tuple(map(str, dataset.coords)), attrs)

    def __getitem__(self, name: str) -> Variable:
        return self.variables[name]

    def __contains__(self, name: object) -> bool:
        return name in self.variables

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension, in the order of the variables."""
        return {
            d: n for v in self.variables.values() for d, n in zip(v.dims, np.shape(v.values), strict=True)
        }

    def isel(self, places: Mapping[str, int]) -> Arrays:
        """What lies at one place of some dimensions, which are no longer there."""

        def chosen(v: Variable) -> Variable:
            index = tuple(places.get(d, slice(None)) for d in v.dims)
            kept = tuple(d for d in v.dims if d not in places)
            return Variable(kept, np.asarray(v.values[index]), v.attrs)

        return Arrays({k: chosen(v) for k, v in self.variables.items()}, self.coords, self.attrs)

    @cached_property
    def dataset(self) -> xr.Dataset:
        """The arrays as an `xarray.Dataset`, coordinates first; xarray is imported here."""
        import xarray as xr

        def listed(coords: bool) -> dict[str, Any]:
            return {
                k: (v.dims, v.values, dict(v.attrs))
                for k, v in self.variables.items()
                if (k in self.coords) == coords
            }

        return xr.Dataset(listed(False), listed(True), dict(self.attrs))

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "dataset"}
