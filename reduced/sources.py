"""Sources by what they are made of: a landscape, a decay path, a forecast, or the name of a file of one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from groktime.reduced.decay_path import PATH, DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.files import read_outline
from groktime.reduced.flow_source import FlowSource
from groktime.reduced.forecast import FORECAST, Forecast
from groktime.reduced.forecast_source import ForecastSource
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.path_source import PathSource
from groktime.reduced.shipped import KINDS, kind_of, shipped
from groktime.reduced.source import Source

Sourced = Source | Landscape | DecayPath | Forecast | str | os.PathLike[str]
"""Whatever a source can be made of."""


def source_of(given: Sourced) -> Source:
    """The source of a landscape, a decay path, a forecast, or the file of one; another source as it is.

    Raises
    ------
    InputError : for what is none of these, or a file of something else.
    """
    value: Any = open_value(given) if isinstance(given, str | os.PathLike) else given
    if isinstance(value, Landscape):
        return FlowSource(value)
    if isinstance(value, DecayPath):
        return PathSource(value)
    if isinstance(value, Forecast):
        return ForecastSource(value)
    if isinstance(value, Source):
        return value
    raise InputError(
        "source: expected a landscape, a decay path, a forecast or another source, or its name or file, "
        f"not {type(given).__name__}"
    )


def open_value(name: str | os.PathLike[str]) -> Landscape | DecayPath | Forecast:
    """A landscape or a decay path by name or file, or the file of a forecast."""
    path = Path(name)
    if not path.is_file():  # what ships by this name, or a mistake
        kind = kind_of(path)
        if kind is None and not (path.suffix or os.sep in str(name)):
            there = "; ".join(f"{each}: {', '.join(shipped(each))}" for each in KINDS)
            raise InputError(f"{name}: nothing ships by this name ({there}), and it is no path of a .nc file")
        return DecayPath.open(path) if kind == "paths" else open_landscape(path)
    outline = read_outline(path, "a groktime landscape, decay path or forecast")
    schema = outline.attrs.get("schema")
    if schema == FORECAST.name:
        return Forecast.from_file(path)
    return DecayPath.from_file(path) if schema == PATH.name else Landscape.from_file(path)
