"""What figures read of a comparison's table, at one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.figures.style import file_label

if TYPE_CHECKING:
    from groktime.validation.comparison import Comparison

Floats = NDArray[np.float64]

DRAWN = 5000  # points of one predictor in a panel
COMPARISON = "groktime.validation.comparison.Comparison"


def heading(comparison: Comparison) -> str:
    """What was compared, for the head of a figure."""
    files = [str(f) for f in comparison.table["file"].values if f]
    first = file_label(files[0].split(", ")[0]) if files else "baselines"
    more = len(files[0].split(", ")) if files else 0
    return f"{first if more < 2 else f'{more} landscapes'} against {comparison.table.sizes['run']} runs"


def sources(table: xr.Dataset) -> list[str]:
    """The predictors that are sources, in order."""
    return [str(p) for p in table["predictor"].values[table["role"].values == "source"]]


def shown(table: xr.Dataset, predictor: str | None) -> str:
    """The predictor that was asked for; by default the first source."""
    known = [str(p) for p in table["predictor"].values]
    if predictor is None:
        return (sources(table) or known)[0]
    if predictor not in known:
        raise InputError(f"predictor = {predictor!r}: expected one of {', '.join(known)}")
    return predictor


def measured(table: xr.Dataset, time: str = "t_grok") -> Floats:
    """Measured times, [run]."""
    return np.asarray(table[f"measured_{time}"].values, float)


def predicted(table: xr.Dataset, predictor: str, time: str = "t_grok") -> Floats:
    """Predicted times, [run]."""
    name = "predicted" if time == "t_grok" else f"predicted_{time}"
    return np.asarray(table[name].sel(predictor=predictor).values, float)


def interval(table: xr.Dataset, predictor: str, which: str | None = None) -> tuple[Floats, Floats]:
    """`low` and `high`, [run]: of the run's seed ("seed"), over seeds ("seeds"), or the first where it is
    known and else the second."""
    low, high = (table[name].sel(predictor=predictor) for name in ("low", "high"))
    if which is not None:
        return low.sel(interval=which).values, high.sel(interval=which).values
    ends = [
        np.where(np.isnan(e.sel(interval="seed")), e.sel(interval="seeds"), e.sel(interval="seed"))
        for e in (low, high)
    ]
    return ends[0], ends[1]


def log_error(table: xr.Dataset, predictor: str) -> Floats:
    """ln(predicted / measured), [run]."""
    return np.asarray(table["log_error"].sel(predictor=predictor).values, float)


def errors_shown(table: xr.Dataset) -> list[str]:
    """Every source, and the forms whose errors are others than those of their source."""
    names = []
    for name, role, of in zip(*(table[k].values for k in ("predictor", "role", "form_of")), strict=True):
        if role == "baseline":
            continue
        if role == "form" and np.allclose(
            log_error(table, str(name)), log_error(table, str(of)), atol=0.02, equal_nan=True
        ):
            continue
        if np.isfinite(log_error(table, str(name))).any():
            names.append(str(name))
    return names


def thinned(runs: NDArray[np.bool_], most: int = DRAWN) -> NDArray[np.bool_]:
    """At most so many of the runs that are marked, evenly spread; more points are a smear that takes long."""
    places = np.flatnonzero(runs)
    if len(places) <= most:
        return runs
    out = np.zeros_like(runs)
    out[places[np.linspace(0, len(places) - 1, most).round().astype(int)]] = True
    return out
