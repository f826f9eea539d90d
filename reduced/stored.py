"""What landscapes, decay paths and runs share: arrays under a schema, in memory and in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.arguments import number
from groktime.reduced.arrays import Arrays, Variable
from groktime.reduced.errors import InputError
from groktime.reduced.files import read_arrays, write_dataset
from groktime.reduced.schema import Schema
from groktime.reduced.shipped import shipped_file
from groktime.reduced.value import Value, plain

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Floats = NDArray[np.float64]


class Stored(Value):
    """Arrays that are known to be of the class's schema; `source` is the file or name they came from."""

    SCHEMA: ClassVar[Schema]
    arrays: Arrays
    source: str

    def __init__(self, dataset: xr.Dataset | Arrays, source: str = "") -> None:
        """Take an `xarray.Dataset` (or arrays) of the schema.

        Raises
        ------
        InputError : naming the source, the variable or attribute and what was expected.
        """
        source = source or self.SCHEMA.title.split()[-1]
        given = dataset if isinstance(dataset, Arrays) else Arrays.of(dataset)
        self.arrays, self.source = self.SCHEMA.conform(given, source), source

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of the schema."""
        return cls.from_file(path)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read the file of this path, whatever else its name may stand for."""
        source = str(path)

        def check(outline: Arrays) -> None:
            cls.SCHEMA.check_outline(outline, source)

        return cls(read_arrays(Path(path), cls.SCHEMA.title, check), source)

    @classmethod
    def of(cls, given: Self | str | os.PathLike[str]) -> Self:
        """The value itself, or the one that a name or path stands for."""
        if isinstance(given, cls):
            return given
        if isinstance(given, str | os.PathLike):
            return cls.open(given)
        raise InputError(f"expected {cls.SCHEMA.title} or its file, not {type(given).__name__}")

    @property
    def dataset(self) -> xr.Dataset:
        """The arrays as an `xarray.Dataset`."""
        return self.arrays.dataset

    @property
    def attrs(self) -> Mapping[str, Any]:
        """The attributes of the file, with the defaults of those that older files lack."""
        return self.arrays.attrs

    def __getitem__(self, name: str) -> Variable:
        """A variable: `values`, `dims` and `attrs`."""
        return self.arrays[name]

    @property
    def task(self) -> str:
        return str(self.attrs["task"])

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write the file whole, or not at all."""
        return write_dataset(self.arrays, Path(path), overwrite, self.SCHEMA.packed(self.arrays))

    def facts(self) -> Mapping[str, object]:
        return {"task": self.task, **self.arrays.sizes, "source": self.source}

    def to_dataframe(self) -> pd.DataFrame:
        """All variables as a `pandas.DataFrame`, indexed by the dimensions."""
        return self.dataset.to_dataframe()

    def to_dict(self) -> dict[str, Any]:
        """Attributes and variables as numbers, text, lists and dicts alone; NaN is None."""
        variables = {name: v.values for name, v in self.arrays.variables.items()}
        found: dict[str, Any] = plain({**self.attrs, "variables": variables})
        return found


class Gridded(Stored):
    """What was sampled on a grid: a coordinate along every dimension."""

    SHIPPED: ClassVar[str] = ""  # kind of what ships by name (`reduced.shipped`), if any does

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """What ships by a name, or the file of a path."""
        inside = shipped_file(path, cls.SHIPPED) if cls.SHIPPED else None
        if inside is None:
            return super().open(path)
        value = super().open(str(inside))
        value.source = str(path)
        return value

    @property
    def alpha(self) -> Floats:
        """Norms w/w0, ascending."""
        return np.asarray(self["alpha"].values, float)

    @property
    def seeds(self) -> list[int]:
        return self._whole("seed")

    @property
    def n_train(self) -> list[int]:
        """Training-set sizes, ascending."""
        return self._whole("n_train")

    def _whole(self, name: str) -> list[int]:
        return [int(k) for k in self[name].values]

    def place(self, name: str, wanted: float) -> int:
        """Where on an axis a value lies, or one sentence on those that there are."""
        known, wanted = self[name].values.tolist(), number(name, wanted)
        if wanted not in known:
            there = ", ".join(f"{x:g}" for x in known)
            raise InputError(f"{name} = {wanted:g}: the {self.SCHEMA.title.split()[-1]} has {there}")
        return int(known.index(wanted))

    def columns(self) -> Mapping[str, Sequence[object]]:
        """The axes of the grid."""
        axes = [self[axis.name] for axis in self.SCHEMA.axes]
        return {
            "axis": [axis.name for axis in self.SCHEMA.axes],
            "points": [v.values.size for v in axes],
            "from": [v.values[0] for v in axes],
            "to": [v.values[-1] for v in axes],
            "unit": [axis.unit for axis in self.SCHEMA.axes],
            "meaning": [axis.meaning for axis in self.SCHEMA.axes],
        }
