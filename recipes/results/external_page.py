"""The explorer of the external benchmark: γ and η move the forecast along the runs that others trained.

Of the six cells of one p (59 of the MLP, 71 of the transformer): what was forecast of each, from
recipes/data, read between the cells in ln γ and ln η, beside every public run (external.csv). Nothing is
trained. Forecast medians and ends of intervals are all that is known of a cell, so that the page has no
learning curves, and its times of the fit are medians of the public runs.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from groktime.recipes.registry import recipe
from groktime.recipes.results.external import TASKS, Cell, Told, read_told
from groktime.recipes.shared.common import check_systems
from groktime.recipes.shared.dataset import FOLDER
from groktime.reduced.flow import Status
from groktime.reduced.source import About, Lanes, Options, Readings
from groktime.validation.explorer.explore import explore

P = {"modular-mlp": 59, "modular-transformer": 71}


class OfCells:
    """A source: what was forecast of the cells of one system and p, over γ and η; ηγt is read between them in
    ln γ and ln η, and not beyond. One "seed": the median over those that were forecast, and their interval.
    """

    name = "forecast"
    seeds: tuple[int, ...] = ()

    def __init__(self, made: list[tuple[Cell, Told]]) -> None:
        self.gamma = np.unique([cell.gamma for cell, _ in made])
        self.eta_d = np.unique([cell.eta_d for cell, _ in made])
        name, p, seeds = made[0][0].name, made[0][0].p, made[0][1].seeds
        at = {(cell.gamma, cell.eta_d): told for cell, told in made}
        grid = [np.log(self.gamma), np.log(self.eta_d)]
        self.read_at = {
            end: RegularGridInterpolator(
                grid, [[np.log(g * eta * getattr(at[g, eta], end)) for eta in self.eta_d] for g in self.gamma]
            )
            for end in ("t_grok", "low", "high")
        }
        self.fit = RegularGridInterpolator(
            grid, [[np.log(fits()[name, p, g, eta]) for eta in self.eta_d] for g in self.gamma]
        )
        self.about = About(file=f"{name}, p = {p}, {seeds} seeds", kind="forecast")

    def read(self, lanes: Lanes, detail: bool = False, **options: Unpack[Options]) -> Readings:
        """Times of all lanes."""
        x = np.stack([np.log(lanes.gamma), np.log(lanes.eta_d)], -1)
        ends = [np.log([v[0], v[-1]]) for v in (self.gamma, self.eta_d)]
        here = np.all([(v >= a - 1e-9) & (v <= b + 1e-9) for v, (a, b) in zip(x.T, ends, strict=True)], 0)
        x = np.clip(x, [a for a, _ in ends], [b for _, b in ends])
        t, low, high = (
            np.where(here, np.exp(self.read_at[k](x)) / (lanes.gamma * lanes.eta_d), np.nan)[None]
            for k in ("t_grok", "low", "high")
        )
        status = np.where(here, Status.GENERALIZES, Status.OUTSIDE).astype(object)[None]
        fit, limit = np.where(here, np.exp(self.fit(x)), np.nan)[None], np.full(t.shape, 0.95)
        return Readings((0,), status, t, fit, low, high, limit, own="seeds of our own", least=1)


@cache
def fits() -> dict[tuple[str, int, float, float], float]:
    """When the public runs fitted their training set, the median of each cell, steps."""
    lines = Path(__file__).with_name("external.csv").read_text(encoding="utf-8").splitlines()
    found: dict[tuple[str, int, float, float], list[float]] = {}
    for run in csv.DictReader(line for line in lines if not line.startswith("#")):
        cell = run["task"], int(run["p"]), float(run["gamma"]), float(run["eta_d"])
        found.setdefault(cell, []).append(float(run["t_mem"]))
    return {cell: float(np.median(times)) for cell, times in found.items()}


def measured(made: list[tuple[Cell, Told]]) -> xr.Dataset:
    """The public runs as points, [run]."""
    every = [(cell.gamma, cell.eta_d, t, cell.last) for cell, _ in made for t in cell.t_grok]
    columns: NDArray[Any] = np.array(every, float).T
    names = ("gamma", "eta_d", "t_grok", "last")
    return xr.Dataset({name: ("run", column) for name, column in zip(names, columns, strict=True)})


@recipe(
    "external_page", "the explorer of the external benchmark: sliders beside the public runs", minutes=0.5
)
def run(
    out: Path,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(TASKS)} (modular-mlp)"] = ("modular-mlp",),
) -> None:
    check_systems(systems, TASKS)
    told = read_told(FOLDER / "external-told.csv")
    for name in systems:
        made = [(cell, one) for cell, one in told if (cell.name, cell.p) == (name, P[name])]
        source = OfCells(made)
        gamma, eta = (source.gamma[0], source.gamma[-1]), (source.eta_d[0], source.eta_d[-1])
        file = out / f"{name}.html"
        page = explore(source, measured(made), gamma=gamma, eta_d=eta, alpha=1.0, out=file, overwrite=True)
        print(f"{page.report()}\n\nPage: {file}")
