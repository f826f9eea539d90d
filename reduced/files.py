"""Files: written whole or not at all, never over another by accident, and read with a clear word."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5netcdf
import xarray as xr

from groktime.reduced.errors import InputError


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse, before any work, an output that exists or that cannot be written."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; expected the name of a file to write")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists already; name another file, or allow it to be overwritten")
    if not path.parent.is_dir():
        raise InputError(f"{path}: its folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: its folder {path.parent} is not writable")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it when all went well and removed otherwise."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())  # or a power failure could leave the new name without its content
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_dataset(
    dataset: xr.Dataset, path: Path, overwrite: bool = False, encoding: Mapping[str, Any] | None = None
) -> Path:
    """Write NetCDF-4."""
    check_output(path, overwrite)
    # In memory first: on a full disk, HDF5 prints pages of tracebacks before it raises.
    content = io.BytesIO()
    with h5netcdf.File(content, "w") as file:
        dataset.dump_to_store(xr.backends.H5NetCDFStore(file), encoding=dict(encoding or {}))
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())
    return path


def read_dataset(path: Path, kind: str) -> xr.Dataset:
    """Read a NetCDF-4 file; `kind` is what it is expected to be, for the error's sentence."""
    if not path.is_file():
        raise InputError(f"{path}: is a folder" if path.is_dir() else f"{path}: no such file")
    try:
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
            return opened.load()
    except Exception as error:  # h5py and xarray raise many kinds for a broken or foreign file
        raise InputError(f"{path}: not a readable NetCDF-4 file; expected {kind}") from error
