"""Forecasts of networks that others trained, scored against their public runs.

Two systems of "The Weight Norm Sets the Grokking Timescale" (arXiv 2606.13753): an MLP and a transformer on
addition modulo p, in fourteen cells of weight decay, rate and p, of 232 runs (external.csv). Weights and
splits of those runs cannot be drawn again, so a forecast is of other seeds, scored against every run of
its cell and their median. Nothing was chosen or fitted on these runs. Stopped, it goes on when called again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from groktime.fullnet.task import Task
from groktime.fullnet.tasks import modular_mlp, modular_transformer
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import check_systems, forecasted, took
from groktime.recipes.shared.tables import number, table
from groktime.reduced.figures.style import BLACK, BLUE, ORANGE
from groktime.reduced.files import replacing
from groktime.reduced.forecast import Forecast

Floats = NDArray[np.float64]

TASKS: dict[str, Callable[..., Task]] = {
    "modular-mlp": modular_mlp,
    "modular-transformer": modular_transformer,
}
SETTINGS = ("task", "p", "gamma", "eta_d")
TOLD = ("t_grok", "low", "high", "steps", "seconds", "seeds", "trained")
SYSTEMS = ["system", "cells", "forecast: medians", "runs", "their own median: runs", "c/(ηγ), fitted: runs"]
SYSTEMS += ["inside 90 %", "training's steps over ours"]
_TICKS = (0.5, 0.7, 1, 1.4, 2)
_FITTED = (1.0, 1e-3)  # γ and η of the cell, at the task's own p, that the law c/(ηγ) is fitted on


@dataclass(frozen=True)
class Cell:
    """Runs of one system and setting: when each generalized (NaN: not by `last` steps)."""

    name: str
    p: int
    gamma: float
    eta_d: float
    last: int
    t_grok: Floats

    @property
    def task(self) -> Task:
        return TASKS[self.name](p=self.p)

    @property
    def file(self) -> str:
        return f"{self.name}-p{self.p}-gamma{self.gamma:g}-eta{self.eta_d:g}.nc"

    @property
    def median(self) -> float:
        return float(np.median(np.where(np.isnan(self.t_grok), np.inf, self.t_grok)))


@dataclass(frozen=True)
class Told:
    """What was forecast of a cell: median over seeds, predictive interval, steps a network, seconds, seeds,
    and how many of these were trained in full, since that was cheaper."""

    t_grok: float
    low: float
    high: float
    steps: float
    seconds: float
    seeds: int = 1
    trained: int = 0

    @staticmethod
    def of(forecast: Forecast) -> Told:
        one = forecast.summary()
        t_grok, low, high = (float(one[name].values.item()) for name in ("t_grok", "low", "high"))
        cost, seeds = float(forecast.real_steps.mean()), len(forecast.seeds)
        trained = int((forecast.times().error == 0).sum())
        return Told(t_grok, low, high, cost, forecast.seconds, seeds, trained)

    def inside(self, t: Floats) -> NDArray[np.bool_]:
        return np.asarray((self.low <= t) & (t <= self.high))


def cells() -> list[Cell]:
    """The public runs, cell by cell."""
    lines = Path(__file__).with_name("external.csv").read_text(encoding="utf-8").splitlines()
    runs: dict[tuple[str, ...], list[str]] = {}
    for run in csv.DictReader(line for line in lines if not line.startswith("#")):
        key = tuple(run[name] for name in ("task", "p", "gamma", "eta_d", "last_step"))
        runs.setdefault(key, []).append(run["t_grok"])
    return [
        Cell(name, int(p), float(gamma), float(eta), int(last), np.array([float(t or "nan") for t in times]))
        for (name, p, gamma, eta, last), times in runs.items()
    ]


def write_told(made: Sequence[tuple[Cell, Told]], file: Path) -> None:
    """What was forecast, a line a cell."""
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as text:
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow([*SETTINGS, *TOLD])
        for c, told in made:
            lines.writerow([c.name, c.p, f"{c.gamma:g}", f"{c.eta_d:g}", *(getattr(told, k) for k in TOLD)])


def read_told(file: Path) -> list[tuple[Cell, Told]]:
    """The cells of such a file with what was forecast of them; lines that begin with # are words."""
    lines = file.read_text(encoding="utf-8").splitlines()
    told = {}
    for one in csv.DictReader(line for line in lines if not line.startswith("#")):
        t_grok, low, high, steps, seconds = (float(one[k]) for k in TOLD[:5])
        key = one["task"], int(one["p"]), float(one["gamma"]), float(one["eta_d"])
        told[key] = Told(t_grok, low, high, steps, seconds, int(one["seeds"]), int(one["trained"]))
    found = ((c, told.get((c.name, c.p, c.gamma, c.eta_d))) for c in cells())
    return [(c, one) for c, one in found if one]


def line(cell: Cell, told: Told) -> list[str]:
    """One cell: what was told, what came out, and what it cost."""
    t = cell.t_grok[np.isfinite(cell.t_grok)]
    return [
        cell.name,
        str(cell.p),
        f"{cell.gamma:g}",
        f"{cell.eta_d:g}",
        f"{len(t)} of {len(cell.t_grok)}",
        f"{told.seeds} ({told.trained})",
        number(cell.median),
        number(told.t_grok),
        f"{100 * (told.t_grok / cell.median - 1):+.0f} %",
        _error(told.t_grok, t),
        _error(float(np.median(t)), t),
        f"{100 * told.inside(t).mean():.0f} %",
        f"{told.low:,.0f} – {told.high:,.0f}",
        f"{told.steps:,.0f}",
        f"{cell.median / told.steps:.1f}",
        f"{told.seconds:,.0f}",
    ]


def total(name: str, made: Sequence[tuple[Cell, Told]]) -> list[str]:
    """One system, cells of equal weight but for the coverage, which is of runs."""
    own = [(c, told) for c, told in made if c.name == name]
    at = next((c.median * c.gamma * c.eta_d for c, _ in own if (c.gamma, c.eta_d) == _FITTED), np.nan)
    medians = [abs(told.t_grok / c.median - 1) for c, told in own]
    known = [(c, told, c.t_grok[np.isfinite(c.t_grok)]) for c, told in own]
    inside = np.concatenate([told.inside(t) for _, told, t in known])
    law = [
        float(np.mean(np.abs(at / (c.gamma * c.eta_d) / t - 1)))
        for c, _, t in known
        if (c.gamma, c.eta_d) != _FITTED
    ]
    steps = sum(told.steps for _, told in own)
    return [
        name,
        str(len(own)),
        f"{100 * np.mean(medians):.1f} %",
        f"{np.mean([100 * np.abs(told.t_grok / t - 1).mean() for _, told, t in known]):.1f} %",
        f"{np.mean([100 * np.abs(np.median(t) / t - 1).mean() for _, _, t in known]):.1f} %",
        f"{100 * np.mean(law):.1f} %",
        f"{100 * inside.mean():.0f} % of {len(inside)}",
        f"{sum(c.median for c, _ in own) / steps:.1f}",
    ]


def _error(told: float, t: Floats) -> str:
    return f"{100 * np.mean(np.abs(told / t - 1)):.1f} %"


@recipe(
    "external",
    "forecasts of networks that others trained, against 232 public runs",
    seeds=5,
)
def run(
    out: Path,
    seeds: int,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(TASKS)} (all)"] = tuple(TASKS),
) -> None:
    check_systems(systems, TASKS)
    out.mkdir(parents=True, exist_ok=True)
    asked = [cell for cell in cells() if cell.name in systems]
    made = []
    for cell in asked:
        found = forecasted(
            out / cell.file, cell.task, gamma=cell.gamma, eta_d=cell.eta_d, alpha=1.0, seeds=range(seeds),
            steps=cell.last,
        )  # fmt: skip
        made.append((cell, Told.of(found)))
    print("## Networks that others trained, forecast from seeds of our own")
    table(SYSTEMS, [total(k, made) for k in systems], "systems")
    print("\n## Cell by cell")
    head = ["system", "p", "γ", "η", "reached", "our seeds (trained in full)", "measured median", "forecast"]
    head += ["error", "of runs", "their own median", "inside 90 %", "interval", "steps a network"]
    head += ["training's over these", "s"]
    table(head, [line(*one) for one in made], "cells")
    write_told(made, out / "told.csv")
    took(*(out / cell.file for cell in asked))
    draw(made, out / "external.png")
    print(f"\nFigure: {out / 'external.png'}")


def draw(made: Sequence[tuple[Cell, Told]], file: Path) -> None:
    """A panel a system: the runs of each cell, the forecast and its interval, in units of the median."""
    names = list(dict.fromkeys(cell.name for cell, _ in made))
    figure, axes = plt.subplots(
        1, len(names), figsize=(5.4 * len(names), 3.8), squeeze=False, layout="constrained", sharey=True
    )
    for ax, name in zip(axes.flat, names, strict=True):
        own = [(cell, told) for cell, told in made if cell.name == name]
        ax.axhline(1, color=BLACK, linewidth=0.8)
        for k, (cell, told) in enumerate(own):
            apart = np.linspace(-0.3, -0.05, len(cell.t_grok))
            label = {"label": "runs of others"} if not k else {}
            ax.plot(k + apart, cell.t_grok / cell.median, ".", color=ORANGE, markersize=4, **label)
            ends = [[(told.t_grok - told.low) / cell.median], [(told.high - told.t_grok) / cell.median]]
            label = {"label": "forecast, and its 90 % interval"} if not k else {}
            ax.errorbar(k + 0.2, told.t_grok / cell.median, ends, fmt="o", color=BLUE, capsize=3, **label)
        ticks = [f"{c.gamma:g}\n{c.eta_d:g}\n{c.p}" for c, _ in own]
        ax.set_xticks(range(len(own)), ticks)
        ax.set(yscale="log", title=name)
        ax.set_yticks(_TICKS, [f"{y:g}" for y in _TICKS])
        ax.yaxis.set_minor_locator(NullLocator())
        ax.annotate("γ\nη\np", (0, 0), (-14, -4), "axes fraction", "offset points", va="top", ha="right")
    axes.flat[0].set_ylabel("time to generalize over the runs' median")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
