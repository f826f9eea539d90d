"""Data sets that are one CSV table, from a folder of the user's.

Their public sources are archives or other forms whose checksums are not known here, so nothing is
downloaded: docs/data.md says how to make the files. Any copy with the right columns is taken; that
which groktime's own results are of is known by the SHA-256 of its text, whatever compressed it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from groktime.fullnet.data import FOLDER_VARIABLE, read_content
from groktime.reduced.errors import InputError

Row = TypeVar("Row")


@dataclass(frozen=True)
class Table:
    """A file (`name`.csv.gz or `name`.csv), what its rows are called, the columns that are read, and the
    SHA-256 of the text of the known copy."""

    name: str
    rows: str
    columns: tuple[str, ...]
    sha256: str


TABLES = {
    "imdb": Table(
        "imdb",
        "reviews",
        ("review", "sentiment"),
        "de6645f1d3cc7b7625bc37d80bac4092eac15002aee8944a56b488fddde93e69",
    ),
    "qm9": Table(
        "qm9",
        "molecules",
        ("smiles", "alpha"),
        "cca07a972544d92a6ad94965619c5215394d84c2064dfe9022fa07d004274f03",
    ),
}


def find_table(dataset: str) -> Path:
    """The file of a data set in the folder of GROKTIME_DATA.

    Raises
    ------
    InputError : if there is none.
    """
    table = TABLES[dataset]
    columns = " and ".join(table.columns)
    folder = os.environ.get(FOLDER_VARIABLE)
    expected = f"expected {dataset}/{table.name}.csv.gz (or .csv) with the columns {columns}"
    if not folder:
        raise InputError(
            f"{dataset} has no download: {expected} in a folder that {FOLDER_VARIABLE} names; "
            "docs/data.md says how to make it"
        )
    for place in (Path(folder) / dataset, Path(folder)):
        for ending in (".csv.gz", ".csv"):
            if (path := place / (table.name + ending)).is_file():
                return path
    raise InputError(
        f"{folder}: {expected} in the folder that {FOLDER_VARIABLE} names; docs/data.md says how to make it"
    )


def read_table(dataset: str, path: Path, row_of: Callable[..., Row]) -> list[Row]:
    """The usable rows of a data set's file, in its order.

    Parameters
    ----------
    row_of : makes a row of the texts of the table's columns; raises ValueError, with what is wrong in a few
        words, for a row that is to be left out.

    Warns
    -----
    Once a call, if the file is another copy than the known one, or rows were left out: with their numbers.

    Raises
    ------
    InputError : if the file cannot be read, lacks a column, or has no usable row.
    """
    table, raw = TABLES[dataset], read_content(path)
    try:
        lines = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True)
        names = next(lines, [])
        for column in table.columns:
            if column not in names:
                raise InputError(
                    f"{path}: has no column {column!r}; expected a CSV table with the columns "
                    + " and ".join(table.columns)
                )
        places = [names.index(column) for column in table.columns]
        rows: list[Row] = []
        wrong: Counter[str] = Counter()
        for cells in lines:
            try:
                if len(cells) != len(names):
                    raise ValueError("another number of columns")
                rows.append(row_of(*(cells[k] for k in places)))
            except ValueError as error:
                wrong[str(error)] += 1
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected text in UTF-8 ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise InputError(f"{path}: expected an intact CSV table ({error})") from error
    if not rows:
        raise InputError(f"{path}: expected {table.rows}; none of its {wrong.total()} rows can be used")
    _report(table, path, raw, len(rows), wrong)
    return rows


def _report(table: Table, path: Path, raw: bytes, rows: int, wrong: Counter[str]) -> None:
    found = hashlib.sha256(raw).hexdigest()
    told = []
    if found != table.sha256:
        told.append(
            f"another copy than that of groktime's own results (SHA-256 {found[:12]}… of its text, not "
            f"{table.sha256[:12]}…), so a seed draws other {table.rows}; it has {rows}"
        )
    if wrong:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in sorted(wrong.items()))
        told.append(f"{wrong.total()} of {rows + wrong.total()} rows are left out ({reasons})")
    if told:
        warnings.warn(f"{path}: {'; '.join(told)}", stacklevel=4)
