"""Schemas: one table a kind of file, which checks it, writes it and documents it.

A `Schema` lists axes, variables and attributes. `conform` refuses arrays that differ from it in one
sentence and returns them in order, with units and long names; what is no table (a curve ends in NaN, τ
starts at 0) are its `rules`, small functions with names. `groktime.schemas` prints all as Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.arrays import Arrays, Variable, unmasked
from groktime.reduced.checks import (
    NOUNS,
    check_attributes,
    check_axis,
    check_shape,
    check_values,
    is_line,
    is_whole,
    shown,
)
from groktime.reduced.errors import InputError

Kind = Literal["number", "integer", "flag", "text", "lines", "json"]


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, without the ends that are `open`."""

    low: float = -np.inf
    high: float = np.inf
    open_low: bool = False

    def holds(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Where the values lie within; NaN does not."""
        x = np.asarray(values, float)
        above = x > self.low if self.open_low else x >= self.low
        return np.asarray(above & (x <= self.high))

    def __str__(self) -> str:
        if np.isfinite(self.high):
            return f"{'in (' if self.open_low else 'within ['}{self.low:g}, {self.high:g}]"
        if np.isfinite(self.low):
            return f"{'above' if self.open_low else 'from'} {self.low:g}"
        return ""


ANY = Range()
POSITIVE = Range(0, open_low=True)
SIZE = Range(1e-100, 1e100)  # what is above 0 and multiplied or divided by: no product leaves the numbers
RATE = Range(0, 1e100)
FROM_ZERO = Range(0)
FROM_ONE = Range(1)
UNIT = Range(0, 1)


@dataclass(frozen=True)
class Axis:
    """An ascending coordinate along the dimension of its name, or along `dim`.

    It has `least` values or more, or, with `single`, one where it was not scanned. Neighbours are at least
    `apart` of the axis's span from each other, in its logarithm if it is `logarithmic`.
    """

    name: str
    meaning: str
    unit: str = "1"
    kind: Kind = "number"
    range: Range = ANY
    dim: str = ""
    least: int = 1
    single: bool = False
    apart: float = 0.0
    logarithmic: bool = False

    @property
    def dims(self) -> tuple[str, ...]:
        return (self.dim or self.name,)


@dataclass(frozen=True)
class Column:
    """A variable. `missing`: where it may be NaN, "" for nowhere, "somewhere" (NaN, not infinite), "ruled"
    (not finite where a rule of the schema allows it), or the dimensions along which it is NaN throughout
    where it was not measured. A name that ends in * stands for all that begin so."""

    name: str
    dims: tuple[str, ...]
    meaning: str
    unit: str = "1"
    kind: Kind = "number"
    range: Range = ANY
    missing: str | tuple[str, ...] = ""
    required: bool = True
    coordinate: bool = False
    packed: bool = False


@dataclass(frozen=True)
class Attribute:
    """`default` stands in for files that were written before the attribute was."""

    name: str
    kind: Kind
    meaning: str
    range: Range = ANY
    choices: tuple[str, ...] = ()
    default: Any = None
    nan: bool = False
    entries: tuple[Attribute, ...] = ()  # of JSON: what is read of it; each may be left out, or null

    def expected(self) -> str:
        """What the attribute holds, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind == "json":
            return "settings as JSON"
        return "0 or 1" if self.kind == "flag" else f"{NOUNS[self.kind]} {self.range}".strip()

    def holds(self, value: Any) -> bool:
        """Whether a value is of the attribute's kind, and within its range or choices."""
        if self.kind == "json":
            return isinstance(value, str)
        if self.kind == "lines":
            return isinstance(value, str) and all(is_line(line) for line in value.splitlines())
        if self.kind == "text":
            return is_line(value) and (not self.choices or value in self.choices)
        if self.kind == "flag":
            return isinstance(value, int | np.integer | np.bool_) and value in (0, 1)
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            return False
        number = np.asarray(value)
        if number.dtype.kind not in "iuf":  # a Python number of more than 64 bits
            return False
        if np.isnan(number):
            return self.nan
        whole = self.kind != "integer" or is_whole(number)
        return bool(np.isfinite(number) and whole and self.range.holds(number))


class Checked:
    """Arrays under a schema, with the sentences on what is wrong with them."""

    def __init__(self, schema: Schema, arrays: Arrays, source: str) -> None:
        self.schema, self.arrays, self.source = schema, arrays, source

    def wrong(self, text: str) -> NoReturn:
        """Refuse the arrays."""
        raise InputError(f"{self.source}: {text}")

    def nowhere(self, name: str, bad: NDArray[np.bool_], expected: str) -> None:
        """Refuse the first value of a variable that is marked as bad, by its place."""
        if np.any(bad):
            self.refuse(name, np.unravel_index(int(np.argmax(bad)), bad.shape), expected)

    def refuse(self, name: str, index: Sequence[Any], expected: str) -> NoReturn:
        """Refuse one value of a variable, by its place."""
        value = self.arrays[name].values[tuple(index)]
        self.wrong(f"{name} is {value:g}{self.place(name, index)}; {expected}")

    def place(self, name: str, index: Sequence[int]) -> str:
        """Where a value lies: by its axes, and by number along a dimension that has none."""
        axes = {axis.dims[0]: axis.name for axis in self.schema.axes}
        dims = self.arrays[name].dims
        by_number = [f"{d} {k}" for d, k in zip(dims, index, strict=True) if d not in axes]
        by_value = [
            f"{axes[d]} {shown(self.arrays[axes[d]].values[k])}"
            for d, k in zip(dims, index, strict=True)
            if d in axes
        ]
        parts = [f" {word} {', '.join(p)}" for word, p in (("in", by_number), ("at", by_value)) if p]
        return "".join(parts)


Rule = Callable[[Checked], None]


@dataclass(frozen=True)
class Schema:
    """A kind of file. `name` is what its attribute `schema` says; `title` is what a reader calls it."""

    name: str
    title: str
    axes: tuple[Axis, ...]
    columns: tuple[Column, ...]
    attributes: tuple[Attribute, ...]
    rules: tuple[Rule, ...] = field(default=(), compare=False)

    def conform(self, arrays: Arrays, source: str) -> Arrays:
        """The arrays in order, with units, long names and defaults, where they are of this schema.

        Raises
        ------
        InputError : naming the source, the variable or attribute and what was expected.
        """
        checked = Checked(self, arrays, source)
        attrs = self.check_outline(arrays, source)
        found = list(self.columns_of(arrays))
        for axis in self.axes:
            check_axis(checked, axis)
        for column in found:
            check_values(checked, column)
        checked.arrays = self._in_order(arrays, found, attrs)
        for rule in self.rules:
            rule(checked)
        return checked.arrays

    def check_outline(self, arrays: Arrays, source: str) -> dict[str, Any]:
        """Refuse attributes, dimensions and types that differ; looks at no values. Returns the attributes,
        with the defaults of those that older files lack."""
        checked = Checked(self, arrays, source)
        attrs = check_attributes(checked)
        items: list[Axis | Column] = [*self.axes, *self.columns_of(arrays)]
        for item in items:
            check_shape(checked, item)
        return attrs

    def arrays(self, values: Mapping[str, ArrayLike], attrs: Mapping[str, Any], source: str) -> Arrays:
        """Arrays of this schema from values alone, which are copied: dimensions are the table's."""
        variables = {k: Variable(self.dims(k), _array(k, v)) for k, v in values.items()}
        return self.conform(Arrays(variables, (), {"schema": self.name} | dict(attrs)), source)

    def dims(self, name: str) -> tuple[str, ...]:
        """The dimensions of a variable."""
        items: list[Axis | Column] = [*self.axes, *self.columns]
        for item in items:
            if name == item.name or (item.name.endswith("*") and name.startswith(item.name[:-1])):
                return item.dims
        raise InputError(f"{name}: {self.name} has no such variable")

    def columns_of(self, arrays: Arrays) -> Iterator[Column]:
        """The variables that the arrays have or ought to have, patterns by their names."""
        for column in self.columns:
            if column.name.endswith("*"):
                names = [k for k in arrays.variables if k.startswith(column.name[:-1])]
                yield from (_named(column, name) for name in names)
            elif column.required or column.name in arrays:
                yield column

    def packed(self, arrays: Arrays) -> list[str]:
        """Names of the variables that are compressed in the file."""
        return [c.name for c in self.columns_of(arrays) if c.packed]

    def _in_order(self, arrays: Arrays, found: list[Column], attrs: dict[str, Any]) -> Arrays:
        coordinates = [c for c in found if c.coordinate]
        data = [c for c in found if not c.coordinate]
        variables = {}
        items: list[Axis | Column] = [*self.axes, *coordinates, *data]
        for item in items:
            about = {"units": item.unit, "long_name": item.meaning}
            v = arrays[item.name]
            variables[item.name] = Variable(v.dims, v.values, dict(v.attrs) | about)
        others = {k: v for k, v in arrays.variables.items() if k not in variables}
        listed = [item.name for item in items if item not in data]
        coords = (*listed, *(k for k in others if k in arrays.coords))
        return Arrays(variables | others, coords, attrs)


def _array(name: str, values: ArrayLike) -> NDArray[Any]:
    """A copy of the values; what is masked is NaN."""
    try:
        return np.array(unmasked(values))
    except ValueError as error:
        raise InputError(f"{name}: its rows are not equally long; expected an array of numbers") from error


def _named(column: Column, name: str) -> Column:
    part = name.removeprefix(column.name[:-1])
    return replace(column, name=name, meaning=column.meaning.replace("*", part))
