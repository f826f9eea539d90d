"""Schemas: one table a kind of file, which checks it, writes it and documents it.

A `Schema` lists axes, variables and attributes. `conform` refuses arrays that differ from it in one
sentence and returns them in order, with units and long names; what is no table (a curve ends in NaN, τ
starts at 0) are its `rules`, small functions with names. `groktime.schemas` prints all as Markdown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.arrays import Arrays, Variable, unmasked
from groktime.reduced.errors import InputError

Kind = Literal["number", "integer", "flag", "text", "json"]

_NOUNS = {"number": "a number", "integer": "a whole number", "flag": "true or false", "text": "text"}
# What opens each kind of file, for the sentence on a file of another kind.
KINDS = {
    "groktime-landscape/1": ("a landscape", "open_landscape opens it"),
    "groktime-path/1": ("a decay path", "open_path opens it, and `groktime predict` takes both"),
    "groktime-runs/1": ("groktime runs", "open_runs opens it"),
}


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
FROM_ZERO = Range(0)
FROM_ONE = Range(1)
UNIT = Range(0, 1)


@dataclass(frozen=True)
class Axis:
    """An ascending coordinate along the dimension of its name, or along `dim`.

    It has `least` values or more, or, with `single`, one where it was not scanned.
    """

    name: str
    meaning: str
    unit: str = "1"
    kind: Kind = "number"
    range: Range = ANY
    dim: str = ""
    least: int = 1
    single: bool = False

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

    def expected(self) -> str:
        """What the attribute holds, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind == "json":
            return "settings as JSON"
        return "0 or 1" if self.kind == "flag" else f"{_NOUNS[self.kind]} {self.range}".strip()

    def holds(self, value: Any) -> bool:
        """Whether a value is of the attribute's kind, and within its range or choices."""
        if self.kind in ("text", "json"):
            return isinstance(value, str) and (not self.choices or value in self.choices)
        if self.kind == "flag":
            return isinstance(value, int | np.integer | np.bool_) and value in (0, 1)
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
            return False
        if np.isnan(value):
            return self.nan
        whole = self.kind != "integer" or float(value).is_integer()
        return bool(np.isfinite(value) and whole and self.range.holds(value))


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
            index = tuple(np.argwhere(bad)[0])
            value = self.arrays[name].values[index]
            self.wrong(f"{name} is {value:g}{self.place(name, index)}; {expected}")

    def place(self, name: str, index: Sequence[int]) -> str:
        """Where a value lies: by its axes, and by number along a dimension that has none."""
        axes = {axis.dims[0]: axis.name for axis in self.schema.axes}
        dims = self.arrays[name].dims
        by_number = [f"{d} {k}" for d, k in zip(dims, index, strict=True) if d not in axes]
        by_value = [
            f"{axes[d]} {self.arrays[axes[d]].values[k]:g}"
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
        attrs = _attributes(checked)
        found = list(self.columns_of(arrays))
        items: list[Axis | Column] = [*self.axes, *found]
        for item in items:
            _check_shape(checked, item)
        for axis in self.axes:
            _check_axis(checked, axis)
        for column in found:
            _check_values(checked, column)
        checked.arrays = self._in_order(arrays, found, attrs)
        for rule in self.rules:
            rule(checked)
        return checked.arrays

    def arrays(self, values: Mapping[str, ArrayLike], attrs: Mapping[str, Any], source: str) -> Arrays:
        """Arrays of this schema from values alone, which are copied: dimensions are the table's."""
        named = {k: self.dims(k) for k in values}
        variables = {k: Variable(named[k], np.array(unmasked(v))) for k, v in values.items()}
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


def _named(column: Column, name: str) -> Column:
    part = name.removeprefix(column.name[:-1])
    return replace(column, name=name, meaning=column.meaning.replace("*", part))


def _attributes(checked: Checked) -> dict[str, Any]:
    """The attributes, with the defaults of those that older files lack."""
    schema, attrs = checked.schema, dict(checked.arrays.attrs)
    found = attrs.get("schema")
    if not isinstance(found, str) or found != schema.name:
        if isinstance(found, str) and found in KINDS:
            title, opener = KINDS[found]
            checked.wrong(
                f"is {title} (schema {found!r}); expected {schema.title}, {schema.name!r} ({opener})"
            )
        checked.wrong(f"schema is {found!r}; expected {schema.name!r}, {schema.title}")
    for attribute in schema.attributes:
        name = attribute.name
        if name not in attrs and attribute.default is None:
            checked.wrong(f"attribute {name!r} is missing; {schema.name} has it")
        value = attrs.setdefault(name, attribute.default)
        if not attribute.holds(value):
            checked.wrong(f"attribute {name} is {value}; expected {attribute.expected()}")
        if attribute.kind == "json":
            try:
                json.loads(value)
            except ValueError:
                checked.wrong(f"attribute {name} is not JSON; expected {attribute.expected()}")
    return attrs


def _check_shape(checked: Checked, item: Axis | Column) -> None:
    """Whether a variable is there, with its dimensions, of its kind, as long as the others."""
    arrays, name = checked.arrays, item.name
    if name not in arrays:
        checked.wrong(f"variable {name!r} is missing; {checked.schema.name} has it")
    variable = arrays[name]
    if variable.dims != item.dims:
        checked.wrong(f"{name} has dimensions {variable.dims}; expected {item.dims}")
    if variable.values.ndim != len(item.dims):
        checked.wrong(f"{name} has {variable.values.ndim} axes; expected {item.dims}")
    kind = variable.dtype.kind
    if item.kind == "text":
        if kind not in "UO":
            checked.wrong(f"{name} holds {variable.dtype}; expected text")
    elif kind not in "biuf":
        checked.wrong(f"{name} holds {variable.dtype}; expected numbers")
    for dim, length in zip(item.dims, variable.values.shape, strict=True):
        axis = next((a for a in checked.schema.axes if a.dims == (dim,)), None)
        if not length:
            empty = (
                f"axis {axis.name} is empty" if axis and not axis.dim else f"holds no {dim}; expected some"
            )
            checked.wrong(empty)
        if arrays.sizes[dim] != length:
            checked.wrong(
                f"{name} has {length} values along {dim}; expected {arrays.sizes[dim]}, as the others"
            )


def _check_axis(checked: Checked, axis: Axis) -> None:
    name, values = axis.name, np.asarray(checked.arrays[axis.name].values, float)
    whole = axis.kind == "integer"
    if not np.all(np.isfinite(values)) or (whole and np.any(values != np.floor(values))):
        checked.wrong(f"axis {name} holds values that are not {'whole' if whole else 'finite'} numbers")
    if np.any(np.diff(values) <= 0):
        checked.wrong(f"axis {name} is not ascending, or repeats a value")
    if len(values) < axis.least and not (axis.single and len(values) == 1):
        single = "1 (not scanned) or " if axis.single else ""
        checked.wrong(f"axis {name} has {len(values)} points; expected {single}at least {axis.least}")
    if not np.all(axis.range.holds(values)):
        checked.wrong(
            f"axis {name} runs from {values[0]:g} to {values[-1]:g}; expected {axis.meaning} {axis.range}"
        )


def _check_values(checked: Checked, column: Column) -> None:
    name = column.name
    if column.kind == "text":
        return
    values = np.asarray(checked.arrays[name].values, float)
    nan = np.isnan(values)
    good = column.range.holds(values)
    if column.kind == "integer":
        good &= values == np.floor(values)
    if column.kind == "flag":
        good = np.isin(values, (0, 1))
    if column.missing != "ruled":
        good &= np.isfinite(values)
    if column.missing in ("ruled", "somewhere"):
        good |= nan
    elif column.missing:
        along = tuple(column.dims.index(d) for d in column.missing)
        good |= nan.all(along, keepdims=True)
    noun = f"{_NOUNS[column.kind]} {column.range}".strip()
    finite = "" if str(column.range) or column.kind == "flag" else "finite, "
    outside = ", outside of its range" if np.any(~good & np.isfinite(values)) and str(column.range) else ""
    checked.nowhere(name, ~good, f"expected {finite}{noun}{outside}")
