"""Finished pieces of a long computation, kept beside the final file until it is written.

`addition.nc` grows in `addition.nc.parts/`: the configuration, and one `.npz` a finished piece.
Each is written to a temporary name and renamed, so that a piece either is there or is not. A long
piece keeps its state beside them from time to time. The final file is written here, too, and moved
to its place whole; then the folder is removed, its configuration last, so that a process killed at
any moment leaves either a run that goes on or a folder that `clean` knows to be done with.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.files import check_output, replacing

_CONFIGURATION = "configuration.json"
_MOVED = "finished"  # there just before the final file is moved out of the folder


@dataclass(frozen=True)
class Checkpoint:
    """The state of an unfinished piece; on a machine that does not see its folder, none is kept."""

    path: Path

    def load(self) -> dict[str, NDArray[Any]] | None:
        """The arrays last saved, or None."""
        return _load(self.path)

    def save(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace what was saved before."""
        if self.path.parent.is_dir():
            _save(self.path, arrays)

    def clear(self) -> None:
        """Called when the piece is finished."""
        self.path.unlink(missing_ok=True)


def _load(path: Path) -> dict[str, NDArray[Any]] | None:
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # cut short by a power failure or damaged: to be computed again


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def clean(out: Path) -> None:
    """Remove the folder of a run that was killed after its file had been put in place."""
    folder = _folder(out)
    if (folder / _MOVED).exists() and not (folder / out.name).exists():
        _remove(folder)


def _folder(out: Path) -> Path:
    return out.with_name(out.name + ".parts")


def _remove(folder: Path) -> None:
    last = [folder / _CONFIGURATION, folder / _MOVED]
    try:
        for path in [*(p for p in folder.iterdir() if p not in last), *last]:
            path.unlink(missing_ok=True)
        folder.rmdir()
    except OSError:  # something is still writing to it; the result is safe, and `clean` will be called
        return


class Parts:
    """The pieces of one output file. A folder of another configuration is refused, never mixed."""

    def __init__(self, out: Path, configuration: Mapping[str, Any]) -> None:
        self.out, self.folder = out, _folder(out)
        text = json.dumps(configuration, sort_keys=True, indent=1)
        known = self.folder / _CONFIGURATION
        if known.exists() and known.read_text() != text:
            raise InputError(
                f"{self.folder}: holds an unfinished run with other settings; "
                "repeat that run's command to finish it, or remove the folder"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be made ({error.strerror or error})") from error
        if not known.exists():
            with replacing(known) as temporary:
                temporary.write_text(text)

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of a finished piece, or None."""
        return _load(self.folder / f"{name}.npz")

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep a finished piece."""
        _save(self.folder / f"{name}.npz", arrays)

    def checkpoint(self, name: str) -> Checkpoint:
        """Where an unfinished piece keeps its state."""
        return Checkpoint(self.folder / f"{name}.checkpoint.npz")

    def finish(self, save: Callable[[Path], Any], overwrite: bool) -> None:
        """Have the final file saved here, put it in its place and remove the pieces."""
        whole = self.folder / self.out.name
        for path in (self.folder / _MOVED, whole):
            path.unlink(missing_ok=True)  # of a run that was killed here
        save(whole)
        check_output(self.out, overwrite)
        try:
            (self.folder / _MOVED).touch()
            os.replace(whole, self.out)
        except OSError as error:
            raise InputError(f"{self.out}: cannot be written ({error.strerror or error})") from error
        _remove(self.folder)
