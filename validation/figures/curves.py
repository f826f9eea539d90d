"""The learning curves of runs; of a comparison with the measured and the predicted times marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from groktime.fullnet.logs.reading import UNKNOWN
from groktime.reduced.arguments import choice
from groktime.reduced.figures.plot import composite
from groktime.reduced.figures.style import (
    BLACK,
    BLUE,
    PURPLE,
    SKY,
    STEPS,
    VERMILLION,
    entitle,
    file_label,
    legend_below,
    literal,
    new_figure,
    panels_of,
    positive,
    remark,
)
from groktime.reduced.starts import METRICS
from groktime.validation.figures.cells import Cell, cells, columns_of, settings_shown
from groktime.validation.figures.columns import COMPARISON, heading, measured, predicted, shown

if TYPE_CHECKING:
    from groktime.fullnet.runs import Runs
    from groktime.validation.comparison import Comparison

Floats = NDArray[np.float64]
Dash = Literal["-", "--"]

_MOST = 9
_PARTS = {"train": BLUE, "test": VERMILLION}
_TIMES: dict[str, tuple[str, Dash]] = {
    "t_mem measured": (BLUE, "-"),
    "t_grok measured": (VERMILLION, "-"),
    "t_mem predicted": (SKY, "--"),
    "t_grok predicted": (PURPLE, "--"),
}
_EARLY = 30  # the axis starts at the first fit divided by this
_RUNS = 24  # of a panel; more are a smear


@composite(COMPARISON, "curves", when=lambda _: False)
def curves_figure(comparison: Comparison, *, predictor: str | None = None) -> Figure:
    """Training and test curves against steps, one panel for each setting (nine at most).

    Each run is a line. Vertical lines are medians over the seeds of the panel, of the measured times
    solid and of the predicted ones dashed (of `predictor`; default the first source); dots are the runs'
    measured t_grok.
    """
    table, metric = comparison.table, comparison.table.attrs["metric"]
    predictor = shown(table, predictor)
    start, drawn = _first(comparison), _grid(table, metric)
    lines: set[str] = set()
    for ax, cell in drawn.panels:
        if draw_curves(ax, comparison.runs, cell, metric):
            lines |= _draw_times(ax, table.isel(run=cell.runs), predictor, start)
            _title(ax, cell, table.isel(run=cell.runs))
    end, watched = float(comparison.runs.step[-1]), float(table["last"].values.max())
    times = np.concatenate([measured(table), predicted(table, predictor)])
    latest = max(watched, float(times[np.isfinite(times)].max(initial=0)))
    right = min(latest * 1.3, max(end, watched) * 10)
    drawn.panels[0][0].set_xlim(start, max(right, start * 10))
    legend_below(drawn.figure, _handles(metric, lines), 4)
    entitle(drawn.figure, f"{heading(comparison)}: {drawn.words}")
    return drawn.figure


@composite("groktime.fullnet.runs.Runs", "runs")
def runs_figure(runs: Runs, *, metric: str = "accuracy") -> Figure:
    """Training and test curves of runs against steps, one panel for each setting (nine at most).

    Raises
    ------
    InputError : unless `metric` is "accuracy" or "loss".
    """
    metric = choice("metric", metric, METRICS)
    drawn = _grid(runs.dataset, metric)
    for ax, cell in drawn.panels:
        if draw_curves(ax, runs, cell, metric):
            more = f", {_RUNS} drawn" if len(cell.runs) > _RUNS else ""
            ax.set_title(f"{cell.name}\n{len(cell.runs)} runs{more}", fontsize="small")
    if len(runs.step) > 1:
        drawn.panels[0][0].set_xlim(float(runs.step[1]), max(float(runs.step[-1]), 2 * float(runs.step[1])))
    legend_below(drawn.figure, _parts(metric), 4)
    known = "" if runs.task == UNKNOWN else f"{literal(runs.task)}, "
    entitle(drawn.figure, f"{file_label(runs.source)}: {known}{drawn.words}")
    return drawn.figure


@dataclass(frozen=True)
class _Grid:
    """Panels of a figure, each with its setting, and which settings have one, in words."""

    figure: Figure
    panels: list[tuple[Axes, Cell]]
    words: str


def _grid(table: xr.Dataset, metric: str) -> _Grid:
    chosen, count = cells(table, _MOST)
    across = columns_of(chosen, 4)
    down = -(-len(chosen) // across)
    figure = new_figure(1.6 + 2.9 * max(across, 2), 1.4 + 2.3 * down)
    panels = panels_of(figure, down, across, sharex=True, sharey=True)
    for ax in panels[len(chosen) :]:
        ax.set_axis_off()
    panels[0].set_xscale("log")
    for k, ax in enumerate(panels[: len(chosen)]):
        if k % across == 0:
            ax.set_ylabel(metric)
        if k + across >= len(chosen):
            ax.set_xlabel(STEPS)
            ax.tick_params(labelbottom=True)
    return _Grid(figure, list(zip(panels, chosen, strict=False)), settings_shown(len(chosen), count))


def _first(comparison: Comparison) -> float:
    """Where the logarithmic axis of steps starts: well below the first fit."""
    fits = measured(comparison.table, "t_mem")
    fits = fits[fits > 0]
    step = comparison.runs.step
    least = float(step[1]) if len(step) > 1 else 1.0
    return max(least, float(fits.min()) / _EARLY) if fits.size else max(least, float(step[-1]) / 1e4)


def draw_curves(ax: Axes, runs: Runs, cell: Cell, metric: str) -> bool:
    """The curves of the runs of one setting; whether there are any."""
    data, step = runs.dataset.isel(run=cell.runs), runs.step.astype(float)
    if metric == "loss":
        ax.set_yscale("log")
    else:
        ax.set_ylim(-0.04, 1.04)
    drawn = False
    for part, color in _PARTS.items():
        values = data[f"{part}_{metric}"].values
        drawn = drawn or bool(np.isfinite(values).any())
        for curve in values[:_RUNS]:
            seen = positive(curve) if metric == "loss" else curve
            there = (step > 0) & ~(np.isnan(curve) & runs.imported)  # a log has gaps
            ax.plot(step[there], seen[there], color=color, linewidth=0.9, alpha=0.45)
    if drawn:
        ax.grid(alpha=0.2)
    else:
        remark(ax, f"{metric} was not recorded")
    return drawn


def _draw_times(ax: Axes, table: xr.Dataset, predictor: str, start: float) -> set[str]:
    """Medians of the measured and predicted times, the runs' measured ones, and the thresholds; which of the
    times have a line."""
    lines = set()
    for name, (color, dash) in _TIMES.items():
        time, kind = name.split()
        each = measured(table, time) if kind == "measured" else predicted(table, predictor, time)
        if _mark(ax, _median(each), color, dash, f"{kind} {time}", start):
            lines.add(name)
    limits = table["threshold"].values
    ax.plot(measured(table), limits, "o", color=VERMILLION, markeredgecolor="white", markersize=5)
    for limit in np.unique(limits)[:_RUNS]:
        ax.axhline(limit, color=BLACK, linewidth=0.6, linestyle=":")
    return lines


def _title(ax: Axes, cell: Cell, table: xr.Dataset) -> None:
    never, count = int(np.isnan(measured(table)).sum()), table.sizes["run"]
    words = f"{never} of {count} never generalized" if never else f"{count} runs"
    more = f", {_RUNS} drawn" if count > _RUNS else ""
    ax.set_title(f"{cell.name}\n{words}{more}", fontsize="small")


def _mark(ax: Axes, time: float, color: str, dash: Dash, name: str, start: float) -> bool:
    """A vertical line, True; for a time before the axis starts (a prediction of 0 is common) an arrow."""
    if not np.isfinite(time):
        return False
    if time > start:
        ax.axvline(time, color=color, linewidth=1.8, linestyle=dash)
        return True
    place, words = 0.8 if dash == "--" else 0.7, f"{name}: {time:.3g}"
    ax.plot([0.03], [place], "<", color=color, transform=ax.transAxes)
    ax.text(
        0.06, place, words, color=color, fontsize="small", transform=ax.transAxes, va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
    )  # fmt: skip
    return False


def _median(times: Floats) -> float:
    """Over the seeds, those that never get there being later than all others; of two the earlier, as Kaplan
    and Meier's is."""
    middle = float(np.quantile(np.where(np.isnan(times), np.inf, times), 0.5, method="lower"))
    return middle if np.isfinite(middle) else float("nan")


def _handles(metric: str, lines: set[str]) -> list[Line2D]:
    """Of the curves, and of those times that have a line somewhere."""
    times = [
        Line2D([], [], color=color, linestyle=dash, linewidth=1.8, label=name)
        for name, (color, dash) in _TIMES.items()
        if name in lines
    ]
    limit = Line2D([], [], color=BLACK, linewidth=0.6, linestyle=":", label="test threshold")
    dot = Line2D([], [], color=VERMILLION, marker="o", linestyle="", label="t_grok of a run")
    return [*_parts(metric), *times, limit, dot]


def _parts(metric: str) -> list[Line2D]:
    return [Line2D([], [], color=c, alpha=0.6, label=f"{part} {metric}") for part, c in _PARTS.items()]
