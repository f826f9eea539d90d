"""Tables as text: CSV and its like, compressed or not, and the one-tag tables that TensorBoard exports."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pandas as pd

from groktime.reduced.errors import InputError

_TENSORBOARD = {"Wall time", "Step", "Value"}
_TAGGED = re.compile(r"run-(?P<run>.+)-tag-(?P<tag>.+?)(\s*\(\d+\))?")


def read_text(path: Path) -> pd.DataFrame:
    """A table as its file has it; that of one TensorBoard tag with the tag as the name of its values."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # of a delimiter at the end of each row
            head = pd.read_csv(
                path, sep="\0", header=None, nrows=2, encoding="utf-8-sig", quoting=3, dtype=str
            )
            first, second = [*head[0].tolist(), ""][:2]
            mark = max(",;\t", key=str(first).count)
            commas = mark == ";" and bool(re.search(r"\d,\d", str(second)))
            frame = pd.read_csv(
                path, sep=mark, decimal="," if commas else ".", encoding="utf-8-sig", index_col=False,
                skipinitialspace=True, low_memory=False,
            )  # fmt: skip
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: is empty; expected a table with a row of names") from None
    except MemoryError:
        raise
    except Exception as error:  # of pandas, and of gzip and its like, which raise many kinds for broken files
        why = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a table ({why}); expected CSV in UTF-8") from None
    frame.columns = [str(name).strip().removeprefix("#").strip() for name in frame.columns]
    return _tagged(frame, path) if set(frame.columns) == _TENSORBOARD else frame


def _tagged(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    name = _TAGGED.fullmatch(path.name.split(".csv")[0])
    if name is None:
        return frame.drop(columns="Wall time")
    return frame.drop(columns="Wall time").rename(columns={"Value": name["tag"]}).assign(run=name["run"])
