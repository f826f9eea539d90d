"""Which settings get a panel: some of many, spread over γ and α."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.validation.report import groups

_SYMBOLS = {
    "alpha": "α",
    "gamma": "γ",
    "eta_d": r"$\eta_D$",
    "eta_r": r"$\eta_R$",
    "n_train": "N",
    "m_start": "m",
}
_T = TypeVar("_T")


@dataclass(frozen=True)
class Cell:
    """Runs of equal settings: what distinguishes them from the other runs, and which they are."""

    name: str
    alpha: float
    gamma: float
    runs: NDArray[np.intp]


def cells(table: xr.Dataset, most: int) -> tuple[list[Cell], int]:
    """At most `most` (a square number) settings with a panel, and how many settings there are.

    Of many, those with the lowest and the highest α and γ and some between; where more than α and γ
    was varied, at the values of the rest that most runs have.
    """
    every = _every(table)
    if len(every) <= most:
        return every, len(every)
    rest = [k for k in groups(table) if k not in ("alpha", "gamma")]
    keys = [tuple(float(table[k].values[c.runs[0]]) for k in rest) for c in every]
    size = {
        key: sum(len(c.runs) for c, other in zip(every, keys, strict=True) if other == key) for key in keys
    }
    common = max(size, key=lambda key: size[key])
    alike = [c for c, key in zip(every, keys, strict=True) if key == common]
    alphas, gammas = sorted({c.alpha for c in alike}), sorted({c.gamma for c in alike})
    side = int(np.sqrt(most))
    rows = spread(alphas, max(side, most // len(gammas)))
    columns = spread(gammas, max(side, most // len(rows)))
    wanted = {(a, g) for a in rows for g in columns}
    grid = [c for c in alike if (c.alpha, c.gamma) in wanted]
    # lists that were paired have few of the combinations
    return (grid if len(grid) == len(wanted) else spread(alike, most)), len(every)


def spread(values: Sequence[_T], most: int) -> list[_T]:
    """At most so many of the values: the first, the last, and some evenly between."""
    if len(values) <= most:
        return list(values)
    return [values[round(k)] for k in np.linspace(0, len(values) - 1, most)]


def columns_of(chosen: Sequence[Cell], most: int) -> int:
    """Across: one γ below another where every α has the same ones."""
    gammas = len({c.gamma for c in chosen})
    return gammas if gammas <= most and len(chosen) % gammas == 0 else min(most, 3, len(chosen))


def settings_shown(shown: int, count: int) -> str:
    """How many of the settings have a panel, in words."""
    return f"{shown} of {count} settings ({count - shown} not drawn)" if shown < count else "all settings"


def _every(table: xr.Dataset) -> list[Cell]:
    names = groups(table)
    if not names:
        return [Cell("settings not told", np.nan, np.nan, np.arange(table.sizes["run"]))]
    settings = np.stack([table[k].values.astype(float) for k in names], axis=1)
    _, first, which = np.unique(
        np.nan_to_num(settings, nan=-1.0), axis=0, return_index=True, return_inverse=True
    )
    found = []
    for k, run in enumerate(first):
        each = zip(names, settings[run], strict=True)
        name = ", ".join(f"{_SYMBOLS[n]} = {x:.3g}" for n, x in each if not np.isnan(x))
        runs = np.flatnonzero(which.ravel() == k)
        found.append(Cell(name, float(table["alpha"][run]), float(table["gamma"][run]), runs))
    return found
