"""Files: written whole or not at all, never over another by accident, and read with a clear word."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from groktime.reduced import netcdf
from groktime.reduced.arrays import Arrays
from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

FileName = str | os.PathLike[str]


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
    dataset: xr.Dataset | Arrays, path: Path, overwrite: bool = False, packed: Collection[str] = ()
) -> Path:
    """Write NetCDF-4, the `packed` variables compressed."""
    check_output(path, overwrite)
    # In memory first: on a full disk, HDF5 prints pages of tracebacks before it raises.
    content = netcdf.write(dataset if isinstance(dataset, Arrays) else Arrays.of(dataset), packed)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def read_arrays(path: Path, kind: str, check: Callable[[Arrays], object] | None = None) -> Arrays:
    """Read a NetCDF-4 file; `kind` is what it is expected to be, for the error's sentence. `check` may refuse
    its outline (shapes, types and attributes) before anything is read."""
    return _read(path, kind, lambda: netcdf.read(path, check))


def read_outline(path: Path, kind: str) -> Arrays:
    """The attributes of a NetCDF-4 file, and arrays of its shapes and types that take no memory."""
    return _read(path, kind, lambda: netcdf.outline(path))


def _read(path: Path, kind: str, read: Callable[[], Arrays]) -> Arrays:
    if not path.is_file():
        raise InputError(f"{path}: is a folder" if path.is_dir() else f"{path}: no such file")
    try:
        return read()
    except InputError:
        raise
    except Exception as error:  # h5py raises many kinds for a broken or foreign file
        raise InputError(f"{path}: not a readable NetCDF-4 file; expected {kind}") from error


def read_dataset(path: Path, kind: str) -> xr.Dataset:
    """Read a NetCDF-4 file as an `xarray.Dataset`."""
    return read_arrays(path, kind).dataset
