"""NetCDF-4 as it lies in HDF5: read with h5py and written with h5netcdf, xarray where a file needs more."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from groktime.reduced.arrays import Arrays, Variable

_LEVEL = 4  # of zlib: half of what can be saved in a tenth of the time
# How NetCDF-4 marks dimensions in HDF5, and what xarray notes of how it stored a variable.
_MARKS = (
    "CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "DIMENSION_LABELS", "_Netcdf4Dimid",
    "_Netcdf4Coordinates", "_nc3_strict", "_NCProperties", "_FillValue", "dtype", "coordinates",
)  # fmt: skip
_NAMELESS = b"This is a netCDF dimension but not a netCDF variable"
_PACKED = ("scale_factor", "add_offset", "missing_value", "_Unsigned", "_Encoding")


def read(path: Path) -> Arrays:
    """All variables and attributes of a file; what h5py and xarray raise is the caller's to word."""
    with h5py.File(path, "r") as file:
        if not any(_is_packed(item) for item in file.values()):
            return _read(file)
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
        return Arrays.of(opened.load())


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


def _is_packed(item: Any) -> bool:
    """Whether the numbers stored are not the numbers meant, which is for xarray to undo."""
    fill = item.attrs.get("_FillValue")
    return any(k in item.attrs for k in _PACKED) or (fill is not None and not np.isnan(fill).all())


def _read(file: h5py.File) -> Arrays:
    listed = set(_words(file.attrs.get("coordinates", "")))
    variables: dict[str, Variable] = {}
    for name, item in file.items():
        if bytes(item.attrs.get("NAME", b"")).startswith(_NAMELESS):
            continue
        dims = _dims(file, name, item)
        values = item[()]
        if h5py.check_string_dtype(item.dtype) is not None:
            values = np.asarray(item.asstr()[()], object)
        if item.attrs.get("dtype") == "bool":
            values = values.astype(bool)
        listed |= set(_words(item.attrs.get("coordinates", "")))
        variables[name] = Variable(dims, np.asarray(values), _attributes(item))
    coords = tuple(k for k, v in variables.items() if v.dims == (k,) or k in listed)
    return Arrays(variables, coords, _attributes(file))


def _dims(file: h5py.File, name: str, item: h5py.Dataset) -> tuple[str, ...]:
    if "DIMENSION_LIST" in item.attrs:
        return tuple(file[scales[0]].name.lstrip("/") for scales in item.attrs["DIMENSION_LIST"])
    if item.shape and not item.is_scale:
        raise ValueError(f"{name} has no named dimensions")
    return (name,) if item.shape else ()


def _attributes(item: h5py.File | h5py.Dataset) -> dict[str, Any]:
    return {k: _attribute(v) for k, v in item.attrs.items() if k not in _MARKS}


def _attribute(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return ""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray) and value.size == 1:
        return value.reshape(-1)[0]
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return value.tolist()
    return value


def _words(text: Any) -> list[str]:
    return str(text).split()
