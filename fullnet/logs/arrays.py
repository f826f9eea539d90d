"""Arrays of numpy: steps [time], curves [time] or [run, time], settings as numbers or [run]."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from groktime.fullnet.logs.names import CURVES, columns_of, listed
from groktime.reduced.errors import InputError


def read_arrays(path: Path, chosen: Mapping[str, str]) -> pd.DataFrame:
    """A row a run and time, of the arrays that are known by their names. Nothing is unpickled.

    Raises
    ------
    InputError : on arrays of Python objects, and on shapes that do not belong together.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            columns = columns_of(file.files, chosen, str(path))
            found = {quantity: _array(file, name, path) for quantity, name in columns.items()}
            names = file.files
    except (InputError, MemoryError):
        raise
    except Exception:  # zipfile and numpy raise many kinds for a broken or foreign file
        raise InputError(f"{path}: cannot be read; expected an .npz file of numpy") from None
    step = found.get("step")
    if step is None:
        raise InputError(
            f"{path}: no array looks like the steps; it has {listed(names)}; expected --column step=NAME"
        )
    times = step.shape[-1] if step.ndim else 1
    shapes = [a.shape for q, a in found.items() if q in CURVES or q == "step"]
    runs = max((shape[1 - _time(shape, times)] for shape in shapes if len(shape) == 2), default=1)
    table = {}
    for quantity, values in found.items():
        if quantity in CURVES or quantity == "step":
            if values.ndim == 2 and _time(values.shape, times) == 0:
                values = values.T
            expected = [(times,), (runs, times)]
        else:
            expected = [(), (1,), (runs,)]
            if values.dtype == np.float32:  # 0.3 was meant, and not 0.30000001
                values = values.astype(np.str_).astype(float)
            values = values[:, None] if values.shape == (runs,) else values
        if values.shape not in (*expected, (runs, 1)):
            raise InputError(
                f"{path}: {columns[quantity]} has shape {found[quantity].shape}; expected "
                f"{' or '.join(map(str, expected))}, for {runs} runs at {times} times"
            )
        table[columns[quantity]] = np.broadcast_to(values, (runs, times)).ravel()
    if "run" not in columns and runs > 1:
        table["run"] = np.repeat(np.arange(runs), times)
    return pd.DataFrame(table)


def _time(shape: tuple[int, ...], times: int) -> int:
    """Which axis of a curve is time."""
    return 0 if shape[0] == times and shape[1] != times else 1


def _array(file: Any, name: str, path: Path) -> NDArray[Any]:
    try:
        values = np.asarray(file[name])
    except ValueError:
        raise InputError(
            f"{path}: {name} holds Python objects, which are not read; expected an array of numbers"
        ) from None
    if values.dtype.kind not in "biufU" or values.ndim > 2:
        raise InputError(f"{path}: {name} holds {values.dtype} [{values.ndim} axes]; expected numbers")
    return values
