"""Files: written whole or not at all, never over another by accident, and read with a clear word."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from groktime.reduced import interrupt, locks, netcdf
from groktime.reduced.arrays import Arrays
from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

FileName = str | os.PathLike[str]

_TEMPORARY = re.compile(r"\.groktime-[0-9a-f]{16}\.tmp")


def check_output(path: Path, overwrite: bool, inputs: Iterable[FileName | None] = ()) -> None:
    """Refuse, before any work, an output that exists, that is one of the `inputs`, or that cannot be written.

    A link is refused, wherever it leads: what it stands for is another file, or none.
    """
    mode = mode_of(path)
    if mode is not None and stat.S_ISLNK(mode):
        raise InputError(f"{path}: is a link; expected the name of the file itself")
    if mode is not None and stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder; expected the name of a file to write")
    if mode is not None and not stat.S_ISREG(mode):
        raise InputError(f"{path}: is a device or a pipe; expected the name of a file to write")
    if mode is not None and not overwrite:
        raise InputError(f"{path}: exists already; name another file, or allow it to be overwritten")
    check_not_read(path, inputs)
    check_place(path)


def check_not_read(path: Path, inputs: Iterable[FileName | None]) -> None:
    """Refuse an output, a file or a folder, that one of the inputs is or lies in: by any name, and by hard
    and symbolic links."""
    ours = list(path.iterdir()) if path.is_dir() else [path]
    for read in inputs:
        if read is not None and any(_same(each, read) for each in ours):
            inside = " holds" if path.is_dir() else ": is"
            raise InputError(f"{path}{inside} the input {read}; expected another output")


def _same(one: Path, other: FileName) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one of them is not there: a shipped landscape, for one, is no file
        return False


def check_place(path: Path) -> None:
    """Refuse a name in a folder that does not exist or cannot be written to."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{path}: its folder {path.parent} does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: its folder {path.parent} is not writable")


def mode_of(path: Path) -> int | None:
    """What lies there, as `st_mode`; None for nothing. A link is a link.

    Raises
    ------
    InputError : on a name that no file can have.
    """
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:  # a null character
        raise InputError(f"{str(path)!r}: cannot be the name of a file") from error
    except OSError as error:  # too long, or in a folder that may not be looked into
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def temporary_name(folder: Path) -> Path:
    """A name that nobody can foresee, and that `sweep` knows."""
    return folder / f".groktime-{secrets.token_hex(8)}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file was given its name by `temporary_name`."""
    return _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Remove what processes that were killed have left here: temporary files that nobody holds."""
    with suppress(OSError):
        for path in [p for p in folder.iterdir() if is_temporary(p.name)]:
            locks.if_abandoned(path, interrupt.remove)


@contextmanager
def replacing(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """A new file beside `path`, which gets its name when all went well and is removed otherwise. The file is
    there, empty, under a name of its own, and may be opened by it."""
    temporary = temporary_name(path.absolute().parent)
    sweep(temporary.parent)
    with interrupt.removed(temporary):
        try:
            with locks.new(temporary):
                yield temporary
                with temporary.open("r+b") as file:
                    os.fsync(file.fileno())  # or a power failure could leave the name without its content
                publish(temporary, path, overwrite)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
        finally:
            temporary.unlink(missing_ok=True)


def publish(whole: Path, path: Path, overwrite: bool) -> None:
    """Give a file its name; without `overwrite` only if nothing came there meanwhile."""
    if overwrite:
        os.replace(whole, path)
        return
    try:
        os.link(whole, path)  # which, other than a renaming, replaces nothing
    except FileExistsError as error:
        raise InputError(
            f"{path}: exists already; name another file, or allow it to be overwritten"
        ) from error
    except OSError:  # a file system without links
        os.replace(whole, path)
        return
    whole.unlink()


def write_dataset(
    dataset: xr.Dataset | Arrays, path: Path, overwrite: bool = False, packed: Collection[str] = ()
) -> Path:
    """Write NetCDF-4, the `packed` variables compressed."""
    check_output(path, overwrite)
    # In memory first: on a full disk, HDF5 prints pages of tracebacks before it raises.
    content = netcdf.write(dataset if isinstance(dataset, Arrays) else Arrays.of(dataset), packed)
    with replacing(path, overwrite) as temporary:
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
