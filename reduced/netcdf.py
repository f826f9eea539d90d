"""NetCDF-4 as it lies in HDF5: read with h5py and written with h5netcdf, without the second of xarray.

What a file holds is looked at before any of it is read: `outline` has shapes and types alone. Whatever
points out of the file, or claims more than it can hold, is refused there.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from groktime.reduced import heaps
from groktime.reduced.arrays import Arrays, Variable
from groktime.reduced.errors import InputError

_LEVEL = 4  # of zlib: half of what can be saved in a tenth of the time
# How NetCDF-4 marks dimensions in HDF5, and what xarray notes of how it stored a variable.
_MARKS = (
    "CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "DIMENSION_LABELS", "_Netcdf4Dimid",
    "_Netcdf4Coordinates", "_nc3_strict", "_NCProperties", "dtype", "coordinates",
)  # fmt: skip
_NAMELESS = "This is a netCDF dimension but not a netCDF variable"
# How the numbers stored become the numbers meant (the CF conventions).
_PACKED = ("_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned")
# zlib makes at best 1 byte of 1,000, of values that are all alike. What was measured is not: shipped files
# claim at most twice their size. Small files may do what they like.
_MOST = 200
_FREE = 64 * 2**20
_TEXT = 64  # of a word in memory
_LONGEST = 2**48  # of a dimension: what numpy can count the bytes of


def read(path: Path, check: Callable[[Arrays], object] | None = None) -> Arrays:
    """All variables and attributes of a file; `check` is given its outline before anything is read.

    Raises
    ------
    InputError : naming the file and what in it cannot be believed. What h5py raises of a file that is
        damaged or foreign is the caller's to word.
    """
    with _opened(path) as file:
        items = _items(file, path)
        found = _outline(file, items, path)
        if check is not None:
            check(found)
        values = {k: _values(item, k, path) for k, item in items.items()}
    variables = {k: Variable(v.dims, values[k], v.attrs) for k, v in found.variables.items()}
    return Arrays(variables, found.coords, found.attrs)


def outline(path: Path) -> Arrays:
    """What a file holds: its attributes, and arrays that have shapes and types and take no memory."""
    with _opened(path) as file:
        return _outline(file, _items(file, path), path)


def _opened(path: Path) -> h5py.File:
    if heaps.damaged(path):
        raise ValueError("its text is damaged")
    return h5py.File(path, "r")


def write(arrays: Arrays, packed: Collection[str] = ()) -> bytes:
    """The content of a file: coordinates first, the `packed` variables compressed."""
    import h5netcdf

    content = io.BytesIO()
    first = sorted(arrays.variables, key=lambda name: name not in arrays.coords)
    apart = [name for name in first if name in arrays.coords and arrays[name].dims != (name,)]
    with h5netcdf.File(content, "w") as file:
        file.dimensions = arrays.sizes
        for name in first:
            variable = arrays[name]
            values, dtype, marks = _storable(variable.values)
            beside = [c for c in apart if set(arrays[c].dims) <= set(variable.dims)]
            if beside and name not in arrays.coords:
                marks["coordinates"] = " ".join(beside)
            small = {"compression": "gzip", "compression_opts": _LEVEL} if name in packed else {}
            fill = {"fillvalue": np.nan} if values.dtype.kind == "f" else {}
            stored = file.create_variable(name, variable.dims, dtype, data=values, **small, **fill)
            stored.attrs.update(_plain(dict(variable.attrs) | marks))
        file.attrs.update(_plain(dict(arrays.attrs)))
    return content.getvalue()


def _storable(values: NDArray[Any]) -> tuple[NDArray[Any], Any, dict[str, str]]:
    """The values as NetCDF has them, their type in the file, and the marks by which xarray knows."""
    if values.dtype.kind in "UO":
        return values.astype(object), h5py.string_dtype(), {}
    if values.dtype.kind == "b":
        return values.astype("i1"), np.dtype("i1"), {"dtype": "bool"}
    return values, values.dtype, {}


def _plain(attrs: dict[str, Any]) -> dict[str, Any]:
    return {k: int(v) if isinstance(v, bool | np.bool_) else v for k, v in attrs.items()}


def _wrong(path: Path, text: str) -> NoReturn:
    raise InputError(f"{path}: {text}")


def _items(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """The variables, each of which has to lie in the file itself."""
    found = {}
    for name in file:
        if not name.isprintable():
            _wrong(path, f"holds a variable called {name!a}; expected names that can be printed")
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            _wrong(path, f"{name} is a link; expected its values in the file itself")
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            kind = "group" if isinstance(item, h5py.Group) else "type"
            _wrong(path, f"{name} is a {kind}; expected variables alone")
        if _mark(item, "NAME").startswith(_NAMELESS):
            continue
        if item.is_virtual or item.external:
            _wrong(path, f"{name} has its values in other files; expected them in the file itself")
        found[name] = item
    _check_sizes(found, path)
    return found


def _check_sizes(items: dict[str, h5py.Dataset], path: Path) -> None:
    """Whether what the variables claim can come out of a file of this size."""
    claims = {name: _claimed(item) for name, item in items.items()}
    size, total = path.stat().st_size, sum(claims.values())
    large = max(claims, key=lambda name: claims[name], default="")
    longest = max((n for item in items.values() for n in item.shape), default=0)
    if longest > _LONGEST or (total > _FREE and total > _MOST * size):
        count = " x ".join(str(n) for n in items[large].shape)
        _wrong(
            path,
            f"{large} claims {count} values, {claims[large] / 1e6:.0f} MB, in a file of {size / 1e6:.3g} MB; "
            f"expected at most {_MOST} times its size",
        )


def _claimed(item: h5py.Dataset) -> int:
    """Bytes in memory, of the values or of one chunk of them."""
    one = _TEXT if h5py.check_string_dtype(item.dtype) is not None else item.dtype.itemsize
    return one * max(math.prod(item.shape or (0,)), math.prod(item.chunks or (0,)))


def _outline(file: h5py.File, items: dict[str, h5py.Dataset], path: Path) -> Arrays:
    listed = set(_mark(file, "coordinates").split())
    variables: dict[str, Variable] = {}
    sizes: dict[str, int] = {}
    for name, item in items.items():
        dims = _dims(file, name, item)
        if len(set(dims)) < len(dims):
            _wrong(path, f"{name} has dimensions {dims}; expected each once")
        for dim, length in zip(dims, item.shape, strict=True):
            if sizes.setdefault(dim, length) != length:
                _wrong(path, f"{name} has {length} values along {dim}; expected {sizes[dim]}, as the others")
        listed |= set(_mark(item, "coordinates").split())
        empty = np.broadcast_to(np.empty((), _dtype(item, name, path)), item.shape)
        variables[name] = Variable(dims, empty, _attributes(item, f"{name}, ", path))
    coords = tuple(k for k, v in variables.items() if v.dims == (k,) or k in listed)
    return Arrays(variables, coords, _attributes(file, "", path))


def _dtype(item: h5py.Dataset, name: str, path: Path) -> np.dtype[Any]:
    """The type that the values have in memory: numbers, or text as objects."""
    dtype = item.dtype
    if item.shape is None:
        _wrong(path, f"{name} holds nothing; expected numbers or text")
    if h5py.check_string_dtype(dtype) is not None:
        return np.dtype(object)
    if dtype.kind not in "biuf" or h5py.check_enum_dtype(dtype) is not None:
        kind = "references" if h5py.check_ref_dtype(dtype) else "values of a compound or unknown type"
        _wrong(path, f"{name} holds {kind}; expected numbers or text")
    if _mark(item, "dtype") == "bool" and dtype.kind in "iu":
        return np.dtype(bool)
    fills = any(k in item.attrs for k in _PACKED if k != "_Unsigned")
    return np.dtype(float) if fills and dtype.kind in "iu" else _native(dtype)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """This machine's type of the same numbers, in at most eight bytes."""
    return np.dtype(float) if dtype.itemsize > 8 else dtype.newbyteorder("=")


def _values(item: h5py.Dataset, name: str, path: Path) -> NDArray[Any]:
    """The numbers or text that are meant by what is stored."""
    if h5py.check_string_dtype(item.dtype) is not None:
        try:
            return np.asarray(item.asstr()[()], object)
        except UnicodeDecodeError:
            _wrong(path, f"{name} holds text that is not UTF-8; expected UTF-8")
    values: NDArray[Any] = np.asarray(item[()])
    with np.errstate(over="ignore"):
        values = values.astype(_native(values.dtype), copy=False)
    if _mark(item, "dtype") == "bool" and values.dtype.kind in "iu":
        if np.any((values != 0) & (values != 1)):
            _wrong(path, f"{name} holds {values[(values != 0) & (values != 1)].flat[0]}; expected 0 or 1")
        return values.astype(bool)
    return _meant(values, item, name, path) if values.dtype.kind in "iuf" else values


def _meant(values: NDArray[Any], item: h5py.Dataset, name: str, path: Path) -> NDArray[Any]:
    """Numbers as the CF conventions have them: filled is NaN, and what was packed is scaled and shifted."""
    if _mark(item, "_Unsigned") == "true" and values.dtype.kind == "i":
        values = values.view(f"u{values.itemsize}")
    marks = {k: _number(item, k, name, path) for k in _PACKED if k != "_Unsigned" and k in item.attrs}
    fills = [marks[k] for k in ("_FillValue", "missing_value") if k in marks and not np.isnan(marks[k])]
    scale, shift = marks.get("scale_factor", 1.0), marks.get("add_offset", 0.0)
    if not (np.isfinite(scale) and np.isfinite(shift) and scale):
        _wrong(path, f"{name} has scale_factor {scale:g} and add_offset {shift:g}; expected finite, not 0")
    for fill in fills:
        filled = values == fill
        if filled.any():
            values = np.where(filled, np.nan, values)
    if (scale, shift) != (1.0, 0.0):
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number then is refused by its name
            values = values.astype(float) * scale + shift
    return values.astype(float) if marks and values.dtype.kind in "iu" else values


def _number(item: h5py.Dataset, mark: str, name: str, path: Path) -> float:
    value = np.asarray(item.attrs[mark])
    if value.size != 1 or value.dtype.kind not in "biuf":
        _wrong(path, f"{name}, attribute {mark} is no number; expected one")
    return float(value.reshape(-1)[0])


def _dims(file: h5py.File, name: str, item: h5py.Dataset) -> tuple[str, ...]:
    if "DIMENSION_LIST" in item.attrs:
        return tuple(file[scales[0]].name.lstrip("/") for scales in item.attrs["DIMENSION_LIST"])
    if item.shape and not item.is_scale:
        raise ValueError(f"{name} has no named dimensions")
    return (name,) if item.shape else ()


def _attributes(item: h5py.File | h5py.Dataset, where: str, path: Path) -> dict[str, Any]:
    kept = (k for k in item.attrs if k not in _MARKS and k not in _PACKED)
    return {k: _attribute(item.attrs[k], f"{where}attribute {k!a}", path) for k in kept}


def _attribute(value: Any, name: str, path: Path) -> Any:
    """A number, text, or an array or list of them."""
    if isinstance(value, h5py.Empty):
        return ""
    if isinstance(value, str | bytes):
        return _text(value, name, path)
    if isinstance(value, np.ndarray) and value.dtype.kind in "OS":
        each = [_text(v, name, path) for v in value.reshape(-1).tolist()]
        return each[0] if len(each) == 1 else each
    if np.asarray(value).dtype.kind not in "biuf":
        _wrong(path, f"{name} is of a compound or unknown type; expected numbers or text")
    with np.errstate(over="ignore"):
        value = np.asarray(value).astype(_native(np.asarray(value).dtype))
    return value.reshape(-1)[0] if value.size == 1 else value


def _text(value: Any, name: str, path: Path) -> str:
    if not isinstance(value, str | bytes):
        _wrong(path, f"{name} is of a compound or unknown type; expected numbers or text")
    try:
        # h5py keeps what is not UTF-8 as surrogates, which cannot be printed
        return value.decode() if isinstance(value, bytes) else value.encode().decode()
    except UnicodeError:
        _wrong(path, f"{name} is not UTF-8; expected UTF-8 text")


def _mark(item: Any, name: str) -> str:
    """One of NetCDF's own words on a variable, "" where it is no text."""
    value = item.attrs.get(name, "")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
