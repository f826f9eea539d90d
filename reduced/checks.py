"""What a schema's table says, held against arrays: attributes, shapes, axes and values, in this order.

The first two look at no values, so that they can be held against the outline of a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groktime.reduced import json_text

if TYPE_CHECKING:
    from groktime.reduced.schema import Attribute, Axis, Checked, Column

NOUNS = {
    "number": "a number",
    "integer": "a whole number",
    "flag": "true or false",
    "text": "text on one line",
    "lines": "text",
}
# What opens each kind of file, for the sentence on a file of another kind.
KINDS = {
    "groktime-landscape/1": ("a landscape", "open_landscape opens it"),
    "groktime-path/1": ("a decay path", "open_path opens it, and `groktime predict` takes both"),
    "groktime-runs/1": ("groktime runs", "open_runs opens it"),
    "groktime-comparison/1": ("the table of a comparison", "open_comparison opens it"),
    "groktime-comparison/2": ("the table of a comparison", "open_comparison opens it"),
    "groktime-delays/2": ("measured times", "xarray opens it"),
    "groktime-what-if/2": ("a map of times", "xarray opens it"),
}
_BLOCK = 2**20  # values that are checked at a time: the checks take little memory beside the values
_EXACT = 2**53  # whole numbers up to which floating point is exact
_SHOWN = 60  # letters of a value in a sentence


def shown(value: Any) -> str:
    """A value from a file, short enough for a sentence and on one line."""
    if isinstance(value, float | int | np.number) and not isinstance(value, bool):
        return f"{value:g}"
    text = repr(value) if isinstance(value, str) else str(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def check_attributes(checked: Checked) -> dict[str, Any]:
    """The attributes, with the defaults of those that older files lack."""
    schema, attrs = checked.schema, dict(checked.arrays.attrs)
    found = attrs.get("schema")
    if not isinstance(found, str) or found != schema.name:
        if isinstance(found, str) and found in KINDS:
            title, opener = KINDS[found]
            checked.wrong(
                f"is {title} (schema {found!r}); expected {schema.title}, {schema.name!r} ({opener})"
            )
        checked.wrong(f"schema is {shown(found)}; expected {schema.name!r}, {schema.title}")
    for attribute in schema.attributes:
        name = attribute.name
        if name not in attrs and attribute.default is None:
            checked.wrong(f"attribute {name!r} is missing; {schema.name} has it")
        value = attrs.setdefault(name, attribute.default)
        if not attribute.holds(value):
            checked.wrong(f"attribute {name} is {shown(value)}; expected {attribute.expected()}")
        if attribute.kind == "json":
            _check_json(checked, attribute, value)
    return attrs


def _check_json(checked: Checked, attribute: Attribute, text: str) -> None:
    try:
        found = json_text.parse(text)
    except ValueError as error:
        checked.wrong(f"attribute {attribute.name} {error}; expected {attribute.expected()}")
    for entry in attribute.entries:
        value = found.get(entry.name)
        if value is not None and not entry.holds(value):
            checked.wrong(
                f"attribute {attribute.name}: {entry.name} is {shown(value)}; expected {entry.expected()}"
            )


def check_shape(checked: Checked, item: Axis | Column) -> None:
    """Whether a variable is there, with its dimensions, of its kind, as long as the others."""
    arrays, name = checked.arrays, item.name
    if name not in arrays:
        checked.wrong(f"variable {name!r} is missing; {checked.schema.name} has it")
    variable = arrays[name]
    if variable.dims != item.dims:
        checked.wrong(f"{name} has dimensions {shown(variable.dims)}; expected {item.dims}")
    if variable.values.ndim != len(item.dims):
        checked.wrong(f"{name} has {variable.values.ndim} axes; expected {item.dims}")
    kind = variable.dtype.kind
    if item.kind == "text":
        if kind not in "UO":
            checked.wrong(f"{name} holds {variable.dtype}; expected text")
    elif kind not in "biuf":
        checked.wrong(f"{name} holds {'text' if kind in 'UO' else variable.dtype}; expected numbers")
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


def check_axis(checked: Checked, axis: Axis) -> None:
    """Whether an axis ascends within its range, or holds every word once."""
    name, raw = axis.name, checked.arrays[axis.name].values
    if axis.kind == "text":
        words = raw.tolist()
        if len(set(words)) < len(words) or not all(map(is_line, words)):
            checked.wrong(f"axis {name} repeats a word, or holds some that are no text on one line")
        return
    whole = axis.kind == "integer"
    if not np.all(np.isfinite(raw)) or (whole and not np.all(is_whole(raw))):
        words = "whole numbers that 64 bits hold exactly" if whole else "finite numbers"
        checked.wrong(f"axis {name} holds values that are not {words}")
    if not all(a < b for a, b in pairwise(raw.tolist())):
        checked.wrong(f"axis {name} is not ascending, or repeats a value")
    if len(raw) < axis.least and not (axis.single and len(raw) == 1):
        single = "1 (not scanned) or " if axis.single else ""
        checked.wrong(f"axis {name} has {len(raw)} points; expected {single}at least {axis.least}")
    if not np.all(axis.range.holds(raw)):
        checked.wrong(
            f"axis {name} runs from {raw[0]:g} to {raw[-1]:g}; expected {axis.meaning} {axis.range}"
        )
    if axis.apart and len(raw) > 1:
        place = np.log(raw.astype(float)) if axis.logarithmic else raw.astype(float)
        if np.diff(place).min() < axis.apart * (place[-1] - place[0]):
            checked.wrong(
                f"axis {name} has points that lie together, from {raw[0]:g} to {raw[-1]:g}; expected them "
                f"at least {axis.apart:g} of its span apart"
            )


def check_values(checked: Checked, column: Column) -> None:
    """Whether all values of a variable are of its kind and range, but where they may be missing."""
    name, values = column.name, checked.arrays[column.name].values
    if column.kind == "text":
        for index, word in np.ndenumerate(values):
            if not is_line(word):
                checked.wrong(
                    f"{name} is {shown(word)}{checked.place(name, index)}; expected text on one line"
                )
        return
    along = column.missing if isinstance(column.missing, tuple) else ()
    for index, some in blocks(values, min((column.dims.index(d) for d in along), default=len(column.dims))):
        bad = ~_good(column, some)
        if not bad.any():
            continue
        row, *rest = (int(k) for k in np.argwhere(bad)[0])
        noun = f"{NOUNS[column.kind]} {column.range}".strip()
        finite = "" if str(column.range) or column.kind == "flag" else "finite, "
        ranged = str(column.range) and np.isfinite(some[(row, *rest)])
        outside = ", outside of its range" if ranged else ""
        checked.refuse(name, (*index(row), *rest), f"expected {finite}{noun}{outside}")


def _good(column: Column, raw: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of some values are as the column has them; the first axis is of no matter."""
    values = np.asarray(raw, float)
    nan = np.isnan(values)
    good = column.range.holds(values)
    if column.kind == "integer":
        good &= is_whole(raw)
    if column.kind == "flag":
        good = np.isin(values, (0, 1))
    if column.missing != "ruled":
        good &= np.isfinite(values)
    if column.missing in ("ruled", "somewhere"):
        good |= nan
    elif column.missing:
        lead = len(column.dims) - values.ndim  # of dimensions that the first axis holds together
        good |= nan.all(tuple(column.dims.index(d) - lead for d in column.missing), keepdims=True)
    return good


def blocks(values: NDArray[Any], lead: int) -> Iterator[tuple[Any, NDArray[Any]]]:
    """The values in parts of moderate size, their first `lead` dimensions as one; and of each part a
    function that gives the index in these dimensions of a row."""
    shape, rest = values.shape[:lead], values.shape[lead:]
    flat = values.reshape(prod(shape), *rest)
    step = max(1, _BLOCK // max(1, prod(rest)))
    for start in range(0, len(flat), step):

        def index(row: int, start: int = start) -> tuple[int, ...]:
            return tuple(int(k) for k in np.unravel_index(start + row, shape)) if shape else ()

        yield index, flat[start : start + step]


def is_whole(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where numbers are whole and are held exactly, by their own type and by 64 bits with a sign."""
    if values.dtype.kind in "bi":
        return np.ones(values.shape, bool)
    if values.dtype.kind == "u":
        return np.asarray(values <= np.iinfo(np.int64).max)
    with np.errstate(invalid="ignore"):
        return np.asarray((values == np.floor(values)) & (np.abs(values) <= _EXACT))


def is_line(word: object, most: int = 1000) -> bool:
    """Whether something is text on one line that can be printed."""
    return isinstance(word, str) and len(word) <= most and not any(_is_control(c) for c in word)


def _is_control(letter: str) -> bool:
    code = ord(letter)
    return code < 32 or 127 <= code < 160 or code in (0x2028, 0x2029) or 0xD800 <= code < 0xE000
