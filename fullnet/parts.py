"""Finished pieces of a long computation, kept beside the final file until it is written.

`addition.nc` grows in `addition.nc.parts/`: the configuration, and one `.npz` a finished piece.
Each is written to a temporary name and renamed, so that a piece either is there or is not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduced.errors import InputError


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
        self.folder.mkdir(parents=True, exist_ok=True)
        if not known.exists():
            temporary = known.with_suffix(".tmp")
            temporary.write_text(text)
            os.replace(temporary, known)

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of a finished piece, or None."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep a finished piece."""
        temporary = self.folder / f"{name}.tmp.npz"
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, self.folder / f"{name}.npz")

    def remove(self) -> None:
        """Called when the final file is in place."""
        shutil.rmtree(self.folder)
