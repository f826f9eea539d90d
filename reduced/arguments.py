"""Arguments of the public functions, converted once: what is returned here is what is used from there on.

A number is whatever Python, numpy, torch or pandas call one, or text that reads as one; a list of numbers is
any finite sequence of them in one dimension. What is neither is one sentence that names the argument.
"""

from __future__ import annotations

import math
import numbers as abstract
import os
from collections.abc import Callable, Iterable, Mapping, Set
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.errors import InputError

Floats = NDArray[np.float64]
Plain = int | float | Fraction | Decimal

SMALL, LARGE = 1e-30, 1e30  # the sizes of numbers whose products and ratios are numbers, too
LARGEST = 2**53 - 1  # up to here whole numbers are themselves in every file, as a float, and in JSON
MANY = 1_000_000  # values of one list, and combinations of several
_SHOWN = 60  # letters of a value in a sentence
_FAILURES = (TypeError, ValueError, ArithmeticError, RuntimeError)  # of a conversion


def number(
    name: str, value: Any, expected: str = "", holds: Callable[[float], Any] = lambda x: True
) -> float:
    """One finite number, 0 or of a size from 1e-30 to 1e30, for which `holds` is true, as `expected` says.

    Raises
    ------
    InputError : naming the argument, its value and what was expected.
    """
    found = _float(_alone(value))
    if found is None or not (math.isfinite(found) and holds(found)):
        one = "one finite number" if is_list(value) else "a finite number"
        raise InputError(f"{name} = {shown(value)}: expected {one} {expected}".rstrip())
    if not _sized(found):
        raise InputError(f"{name} = {shown(value)}: expected 0, or a size from {SMALL:g} to {LARGE:g}")
    return found + 0.0  # not -0


def numbers(
    name: str, values: Any, expected: str = "", holds: Callable[[float], Any] = lambda x: True
) -> Floats:
    """A number or a list of numbers [n], n >= 1, as floats; `expected` and `holds` as in `number`.

    Raises
    ------
    InputError : on the first value that is none, or on what is no such list.
    """
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iuf" and values.size:
        _count(name, len(values))
        floats = np.ma.filled(values.astype(float), np.nan) + 0.0
        wrong = np.array([not (math.isfinite(x) and holds(x) and _sized(x)) for x in floats.tolist()])
        if wrong.any():
            number(name, floats[wrong][0], expected, holds)
        return np.asarray(floats)
    return np.array([number(name, _single(name, v), expected, holds) for v in _each(name, values)])


def whole_number(name: str, value: Any, least: int, most: int = LARGEST, of: str = "") -> int:
    """A whole number from `least` to `most`, which is the number `of` what there is; 4.0 is one.

    Raises
    ------
    InputError : naming the argument, its value and what was expected.
    """
    found = _plain(_alone(value))
    try:
        if found is not None and found == int(found) and least <= found <= most:
            return int(found)
        large = found is not None and found > most
    except _FAILURES:  # NaN, infinity
        large = False
    expected = f"{least} to {most}" if large or most != LARGEST else f"{least} or more"
    expected += f", {of}" if of else ""
    raise InputError(f"{name} = {shown(value)}: expected a whole number, {expected}")


def whole_numbers(name: str, values: Any, least: int, most: int = LARGEST, alone: bool = True) -> list[int]:
    """A whole number, if it may be `alone`, or a list of them, one at least."""
    if not (alone or is_list(values)):
        raise InputError(f"{name} = {shown(values)}: expected a list of whole numbers")
    return [whole_number(name, _single(name, v), least, most) for v in _each(name, values)]


def flag(name: str, value: Any) -> bool:
    """True or False (of Python, numpy or torch), or 1 or 0.

    Raises
    ------
    InputError : on anything else, text included: "no" would be true.
    """
    found = value if isinstance(value, bool | np.bool_) else _item(value)
    if isinstance(found, bool | np.bool_ | int | float) and found in (0, 1):
        return bool(found)
    raise InputError(f"{name} = {shown(value)}: expected True or False")


def choice(name: str, value: Any, known: Iterable[str]) -> str:
    """One of the names that are known.

    Raises
    ------
    InputError : naming the argument, its value and those that there are.
    """
    there = list(known)
    if isinstance(value, str) and value in there:
        return str(value)
    *first, last = (repr(each) for each in there)
    expected = f"'{there[0]}'" if not first else f"{', '.join(first)} or {last}"
    raise InputError(f"{name} = {shown(value)}: expected {expected}")


def text(name: str, value: Any) -> str:
    """Text, as of a name.

    Raises
    ------
    InputError : on anything else.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} = {shown(value)}: expected text")
    return str(value)


def file_name(name: str, value: Any) -> str:
    """The name of a file or folder, of text or a path.

    Raises
    ------
    InputError : on what no file can be called.
    """
    found = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(found, str) or not found or "\0" in found:
        raise InputError(f"{name} = {shown(value)}: expected the name of a file")
    return found


def is_list(value: Any) -> bool:
    """Whether a value stands for a list of numbers, be it of one, and not for a number."""
    if isinstance(value, str | bytes | bytearray) or value is None:
        return False
    shape = getattr(value, "shape", None)
    return len(shape) > 0 if isinstance(shape, tuple) else isinstance(value, Iterable)


def shown(value: Any) -> str:
    """A value in a sentence: short, and in one line, whatever it is."""
    try:
        value = value.item() if isinstance(value, np.generic) else value
        words = f"{value:g}" if isinstance(value, float) else " ".join(repr(value).split())
    except Exception:  # a whole number of more digits than Python prints, or an object that cannot tell
        return f"a value of type {type(value).__name__}"
    return words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"


def check_count(what: str, sizes: Iterable[int]) -> int:
    """The number of combinations of lists of these sizes, or one sentence where they are too many."""
    count = math.prod(sizes)
    if count > MANY:
        raise InputError(f"{what}: {count:,} combinations; expected at most {MANY:,}")
    return count


def _sized(value: float) -> bool:
    return value == 0 or SMALL <= abs(value) <= LARGE


def _plain(value: Any) -> Plain | None:
    """The number that a value is, exactly; None of what is none."""
    try:
        if isinstance(value, bool | np.bool_ | bytes | bytearray) or value is np.ma.masked:
            return None
        if isinstance(value, str):
            return _read(value)
        if isinstance(value, int | float | Fraction | Decimal):
            return value
        if isinstance(value, abstract.Integral):
            return int(value)
        if isinstance(value, abstract.Real):
            return float(value)
        if isinstance(value, np.generic | np.ndarray) and np.asarray(value).dtype.kind not in "iufOU":
            return None
        found = _item(value)
        if found is not value:
            return _plain(found)
        scalar = hasattr(value, "__float__") and not hasattr(value, "__len__")
        return float(value) if scalar else None
    except _FAILURES:
        return None


def _read(words: str) -> Plain:
    """The number that a text reads as, or ValueError."""
    try:
        return int(words)
    except ValueError:
        return float(words)


def _float(value: Any) -> float | None:
    found = _plain(value)
    try:
        return None if found is None else float(found)
    except _FAILURES:  # beyond what a float can be
        return None


def _item(value: Any) -> Any:
    """What an array, tensor or series without dimensions holds; another value as it is."""
    shape = getattr(value, "shape", None)
    return value.item() if isinstance(shape, tuple) and not shape and hasattr(value, "item") else value


def _alone(value: Any) -> Any:
    """The one value of a list of one; another value as it is."""
    if isinstance(value, Set | Mapping) or not is_list(value) or not hasattr(value, "__len__"):
        return value
    try:
        inside = list(value) if len(value) == 1 else [value]
    except _FAILURES:
        return value
    return value if is_list(inside[0]) else inside[0]


def _single(name: str, value: Any) -> Any:
    if is_list(value):
        raise InputError(f"{name} = {shown(value)}: expected numbers in one dimension")
    return value


def _each(name: str, values: Any) -> list[Any]:
    """The values of a list, or the one that is given instead of a list."""
    if not is_list(values):
        return [values]
    if isinstance(values, Set | Mapping) or not hasattr(values, "__len__"):  # without order, or read but once
        raise InputError(f"{name}: expected a number or a list of numbers, not a {type(values).__name__}")
    if len(getattr(values, "shape", ())) > 1:
        raise InputError(f"{name}: has shape {tuple(values.shape)}; expected numbers in one dimension")
    try:
        _count(name, len(values))
    except OverflowError:  # a range of more than Python counts
        raise InputError(f"{name} = {shown(values)}: expected at most {MANY:,} values") from None
    return list(values)


def _count(name: str, count: int) -> None:
    if not count:
        raise InputError(f"{name}: expected a number or a list of numbers, not an empty one")
    if count > MANY:
        raise InputError(f"{name}: {count:,} values; expected at most {MANY:,}")
