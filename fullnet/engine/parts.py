"""Finished pieces of a long computation, kept beside the final file until it is written.

`addition.nc` grows in `addition.nc.parts/`: the configuration, and one `.npz` a finished piece.
Each is written to a temporary name and renamed, so that a piece either is there or is not. A long
piece keeps its state beside them from time to time. The final file is written here, too, and moved
to its place whole; then the folder is removed, so that a process killed at any moment leaves either a
run that goes on or a folder that `clean` knows to be done with.

One command at a time works in a folder: it holds the lock in it, which dies with the process. Every file
carries a digest of its numbers, its name and the configuration; one whose digest is another is not
believed, and computed again. A folder that holds anything else is somebody's, and is left alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from groktime.reduced import interrupt, locks
from groktime.reduced.errors import InputError
from groktime.reduced.files import (
    check_output,
    is_temporary,
    mode_of,
    publish,
    replacing,
    sweep,
    temporary_name,
)

Arrays = Mapping[str, NDArray[Any]]

_CONFIGURATION = "configuration.json"
_LOCK = "lock"
_MOVED = "finished"  # there just before the final file is moved out of the folder
_WHOLE = "whole"  # the final file, before it is moved
_PIECE = re.compile(r".+-\d+-\d+(\.checkpoint)?\.npz")
_DIGEST = "digest"  # the name of an array in every piece and checkpoint


@dataclass(frozen=True)
class Checkpoint:
    """The state of an unfinished piece; on a machine that does not see its folder, none is kept. `key` is
    what the state belongs to; without a path nothing is ever kept."""

    path: Path | None = None
    key: str = ""

    def load(self) -> dict[str, NDArray[Any]] | None:
        """The arrays last saved, or None, as for those that are damaged or of something else."""
        return None if self.path is None else _load(self.path, self.key)

    def save(self, arrays: Arrays) -> None:
        """Replace what was saved before."""
        if self.path is not None and self.path.parent.is_dir():
            _save(self.path, arrays, self.key)

    def clear(self) -> None:
        """Called when the piece is finished."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _digest(arrays: Arrays, name: str, key: str) -> NDArray[np.uint8]:
    """Of everything that a piece is: its numbers, what it is a piece of, and which one."""
    found = hashlib.blake2b(f"{key}\n{name}\n".encode())
    for each in sorted(arrays):
        values = np.ascontiguousarray(arrays[each])
        found.update(f"{each} {values.dtype.str} {np.shape(arrays[each])}\n".encode())
        found.update(values.reshape(-1).view(np.uint8).data)
    return np.frombuffer(found.digest(), np.uint8)


def _load(path: Path, key: str) -> dict[str, NDArray[Any]] | None:
    mode = mode_of(path)
    if mode is None or not stat.S_ISREG(mode):
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            arrays: dict[str, NDArray[Any]] = dict(kept)
        known = arrays.pop(_DIGEST)
        return arrays if np.array_equal(known, _digest(arrays, path.name, key)) else None
    except Exception:  # cut short by a power failure, damaged or foreign: numpy and zipfile raise many kinds
        return None


def _save(path: Path, arrays: Arrays, key: str) -> None:
    marked = {**arrays, _DIGEST: _digest(arrays, path.name, key)}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **marked)  # type: ignore[arg-type]


class Store(Protocol):
    """Where finished pieces are kept; `lost` is what is told when a worker of an executor dies."""

    @property
    def lost(self) -> str: ...

    def bind(self, structure: str) -> None: ...

    def load(self, name: str) -> dict[str, NDArray[Any]] | None: ...

    def save(self, name: str, arrays: Arrays) -> None: ...

    def checkpoint(self, name: str) -> Checkpoint: ...


class Nowhere:
    """Keeps nothing: of a call whose result is only returned."""

    lost = "a worker of the executor died, and without `out` nothing is kept; expected an executor that lives"

    def bind(self, structure: str) -> None:
        """There is nothing to compare."""

    def load(self, name: str) -> None:
        """Nothing is known."""

    def save(self, name: str, arrays: Arrays) -> None:
        """It is returned, that is all."""

    def checkpoint(self, name: str) -> Checkpoint:
        """One that keeps nothing."""
        return Checkpoint()


def clean(out: Path) -> None:
    """Remove what a run has left that was killed after its file had been put in place, or before it began."""
    sweep(out.absolute().parent)
    folder = _folder(out)
    if _foreign(folder) is not None:
        return
    with suppress(locks.Busy, OSError):
        lock = locks.acquire(folder / _LOCK)
        try:
            if (folder / _MOVED).exists() and not _waits(folder / _WHOLE, out):
                _remove(folder)
        finally:
            locks.release(lock)


def _waits(whole: Path, out: Path) -> bool:
    """Whether a final file has not got its place yet."""
    try:
        return not whole.samefile(out)
    except FileNotFoundError:
        return whole.exists()


def _folder(out: Path) -> Path:
    return out.with_name(out.name + ".parts")


def _foreign(folder: Path) -> str | None:
    """What in the folder is not ours, or "" if the folder itself is not or is none; None if all is."""
    mode = mode_of(folder)
    if mode is None or not stat.S_ISDIR(mode):
        return ""
    names = sorted(p.name for p in folder.iterdir())
    ours = (_CONFIGURATION, _LOCK, _MOVED, _WHOLE)
    for name in names:
        regular = stat.S_ISREG(mode_of(folder / name) or stat.S_IFREG)
        if not regular or not (name in ours or _PIECE.fullmatch(name) or is_temporary(name)):
            return name
    return None if _CONFIGURATION in names else ""


def _remove(folder: Path) -> None:
    """Remove a folder of ours, under a name by which `sweep` knows what is left of it if that is cut off."""
    gone = temporary_name(folder.parent)
    with suppress(OSError), interrupt.held():
        if _foreign(folder) is None:
            folder.rename(gone)
            interrupt.remove(gone)


class Parts:
    """The pieces of one output file. A folder of another configuration is refused, never mixed.

    Raises
    ------
    InputError : on a folder that is not ours, that another command is at work in, or that holds work of
        other settings, and where none can be made.
    """

    def __init__(self, out: Path, configuration: Mapping[str, Any]) -> None:
        self.out, self.folder = out, _folder(out)
        self._text = json.dumps(configuration, sort_keys=True, indent=1)
        self.bind("")
        self._lock: int | None = None
        try:
            if mode_of(self.folder) is None:
                self._make()
            if self._lock is None:
                self._take()
        except OSError as error:
            self.close()
            raise InputError(f"{self.folder}: cannot be made ({error.strerror or error})") from error
        except BaseException:
            self.close()
            raise

    @property
    def lost(self) -> str:
        """What is told when a worker of an executor dies."""
        return (
            f"{self.folder}: a worker of the executor died; finished pieces are kept, and the same "
            "call with a new executor goes on from there"
        )

    def _make(self) -> None:
        """The folder with its lock and its configuration, whole or not at all."""
        made = temporary_name(self.folder.absolute().parent)
        with interrupt.removed(made), locks.new_folder(made):
            self._lock = locks.acquire(made / _LOCK)
            try:
                self._write(made / _CONFIGURATION)
                made.rename(self.folder)
            except BaseException as error:
                locks.release(self._lock)
                self._lock = None
                interrupt.remove(made)
                if not (isinstance(error, OSError) and self.folder.is_dir()):
                    raise  # or another command was faster

    def _write(self, path: Path) -> None:
        """The configuration; a mistake names the folder as it will be called."""
        try:
            with replacing(path) as temporary:
                temporary.write_text(self._text)
        except InputError as error:
            raise InputError(str(error).replace(str(path), str(self.folder / path.name))) from error

    def _take(self) -> None:
        """Go on in a folder that is there."""
        foreign = _foreign(self.folder)
        if foreign is not None:
            what = f"holds {foreign}, which is" if foreign else "is there already and is"
            raise InputError(
                f"{self.folder}: {what} no unfinished work of groktime; move it, or name another output"
            )
        try:
            self._lock = locks.acquire(self.folder / _LOCK)
        except locks.Busy as error:
            raise InputError(
                f"{self.folder}: another command is at work on this output; wait for it, or name another "
                "output"
            ) from error
        sweep(self.folder)
        known = self.folder / _CONFIGURATION
        there = known.read_bytes() if known.exists() else b""
        if there != self._text.encode() and _is_json(there):
            raise InputError(
                f"{self.folder}: holds an unfinished run with other settings, or of another version of "
                "groktime; repeat that run's command to finish it, or remove the folder"
            )
        if there != self._text.encode():  # damaged; the pieces know what they are pieces of
            self._write(known)

    def bind(self, structure: str) -> None:
        """Pieces are of this structure of network and data, too: what no configuration tells of a user's."""
        self._key = hashlib.blake2b(f"{self._text}\n{structure}".encode()).hexdigest()

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of a finished piece, or None, as for one that is damaged or of something else."""
        return _load(self.folder / f"{name}.npz", self._key)

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep a finished piece."""
        _save(self.folder / f"{name}.npz", arrays, self._key)

    def checkpoint(self, name: str) -> Checkpoint:
        """Where an unfinished piece keeps its state."""
        return Checkpoint(self.folder / f"{name}.checkpoint.npz", self._key)

    def finish(self, save: Callable[[Path], Any], overwrite: bool) -> None:
        """Have the final file saved here, put it in its place and remove the pieces."""
        whole = self.folder / _WHOLE
        for path in (self.folder / _MOVED, whole):
            path.unlink(missing_ok=True)  # of a run that was killed here
        save(whole)
        check_output(self.out, overwrite)
        with interrupt.held():
            try:
                (self.folder / _MOVED).touch()
                publish(whole, self.out, overwrite)
            except OSError as error:
                raise InputError(f"{self.out}: cannot be written ({error.strerror or error})") from error
            interrupt.says(f"stopped; {self.out} is written")
            _remove(self.folder)

    def close(self) -> None:
        """Let another command at the folder; one in which nothing is kept goes."""
        if self._lock is None:
            return
        with suppress(OSError):
            if not any(_PIECE.fullmatch(p.name) for p in self.folder.iterdir()):
                _remove(self.folder)
        locks.release(self._lock)
        self._lock = None


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
