"""Finished pieces of a long computation, kept beside the final file until it is written.

`addition.nc` grows in `addition.nc.parts/`: the configuration, and one `.npz` a finished piece.
Each is written to a temporary name and renamed, so that a piece either is there or is not. A long
piece keeps its state beside them from time to time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduced.errors import InputError
from reduced.files import replacing


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
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


class Parts:
    """The pieces of one output file. A folder of another configuration is refused, never mixed."""

    def __init__(self, out: Path, configuration: Mapping[str, Any]) -> None:
        self.folder = out.with_name(out.name + ".parts")
        text = json.dumps(configuration, sort_keys=True, indent=1)
        known = self.folder / "configuration.json"
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

    def remove(self) -> None:
        """Called when the final file is in place."""
        shutil.rmtree(self.folder)
