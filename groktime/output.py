"""What commands print and write: JSON, figures and tables, checked before any work."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

FIGURES = (".png", ".pdf", ".svg")
TABLES = (".nc", ".csv")


def check(output: str | None, overwrite: bool, suffixes: tuple[str, ...], *inputs: str | None) -> Path | None:
    """The file to write, if any; refused where it is of another kind, is one of the `inputs` or cannot be
    written."""
    if output is None:
        return None
    from groktime.reduced.files import check_output

    path = Path(output)
    if path.suffix not in suffixes:
        *others, last = suffixes
        expected = f"{', '.join(others)} or {last}" if others else last
        raise InputError(f"{path}: expected a name that ends in {expected}")
    check_output(path, overwrite, inputs)
    return path


def write_table(table: xr.Dataset, path: Path, overwrite: bool) -> None:
    """NetCDF-4 or CSV, by the name's suffix; in CSV a row for each point, settings first."""
    from groktime.reduced.files import check_output, replacing, write_dataset

    if path.suffix == ".nc":
        write_dataset(table, path, overwrite)
        return
    check_output(path, overwrite)
    with replacing(path, overwrite) as temporary:
        rows(table).to_csv(temporary, index=False)


def rows(table: xr.Dataset) -> Any:
    """A table as a data frame: a row for each point, its coordinates in the first columns."""
    frame = table.to_dataframe() if table.dims else table.expand_dims("point").to_dataframe()
    named = [str(name) for name in table.dims if name in table.coords]
    frame = frame.reset_index(level=named) if named else frame
    first = [str(name) for name in table.coords]
    return frame[[*first, *(name for name in frame.columns if name not in first)]]


def print_json(value: Any) -> None:
    """One JSON object, which has no NaN and no infinity: null."""
    print(json.dumps(_plain(value)))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
