"""What comes with the package: landscapes and decay paths by name, each kind in a folder of its own."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from groktime.reduced.arguments import choice
from groktime.reduced.errors import InputError

KINDS = {"landscapes": "landscape", "paths": "decay path"}


def shipped(kind: str = "landscapes") -> list[str]:
    """Names of the "landscapes", or of the "paths", that come with the package.

    Raises
    ------
    InputError : of another kind.
    """
    folder = _folder(choice("kind", kind, KINDS))
    return sorted(p.name.removesuffix(".nc") for p in folder.iterdir() if p.name.endswith(".nc"))


def kind_of(name: str | os.PathLike[str]) -> str | None:
    """Of which kind what ships by this name is, if anything does."""
    return next((kind for kind in KINDS if str(name) in shipped(kind)), None)


def shipped_file(name: str | os.PathLike[str], kind: str) -> Any | None:
    """The file that ships by this name; None for the path of a file.

    Raises
    ------
    InputError : for a name that is neither.
    """
    if Path(name).suffix or os.sep in str(name):
        return None
    if str(name) not in shipped(kind):
        raise InputError(
            f"{name}: no shipped {KINDS[kind]} of this name (there are {', '.join(shipped(kind))}) "
            "and not the path of a .nc file"
        )
    return _folder(kind) / f"{name}.nc"


def _folder(kind: str) -> Any:
    return resources.files("groktime.reduced") / kind
