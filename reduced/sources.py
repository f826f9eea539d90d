"""Sources by what they are made of: a landscape, a decay path, or the name of a file of either."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from groktime.reduced.decay_path import PATH, DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.files import read_outline
from groktime.reduced.flow_source import FlowSource
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.path_source import PathSource
from groktime.reduced.source import Source

Sourced = Source | Landscape | DecayPath | str | os.PathLike[str]
"""Whatever a source can be made of."""


def source_of(given: Sourced) -> Source:
    """The source of a landscape, a decay path, or the file of one; another source as it is.

    Raises
    ------
    InputError : for what is none of these, or a file that is no landscape and no decay path.
    """
    value: Any = open_value(given) if isinstance(given, str | os.PathLike) else given
    if isinstance(value, Landscape):
        return FlowSource(value)
    if isinstance(value, DecayPath):
        return PathSource(value)
    if isinstance(value, Source):
        return value
    raise InputError(
        "source: expected a landscape, a decay path or another source, or the name or file of one, "
        f"not {type(given).__name__}"
    )


def open_value(name: str | os.PathLike[str]) -> Landscape | DecayPath:
    """A decay-path file, or a landscape by name or file."""
    path = Path(name)
    if not path.is_file():  # a shipped landscape, or a mistake that `open_landscape` tells
        return open_landscape(path)
    outline = read_outline(path, "a groktime landscape or decay path")
    kind = DecayPath if outline.attrs.get("schema") == PATH.name else Landscape
    return kind.from_file(path)
