"""The learning curves of the runs, with the measured and the predicted times marked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from groktime.reduced.figures.file import check_figure, save
from groktime.reduced.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    STEPS,
    VERMILLION,
    new_figure,
    positive,
    remark,
)
from groktime.validation.figures.cells import Cell, cells, columns_of
from groktime.validation.figures.times import heading
from groktime.validation.table import sources

if TYPE_CHECKING:
    from groktime.validation.comparison import Comparison

Floats = NDArray[np.float64]
Dash = Literal["-", "--"]

_MOST = 9
_PARTS = {"train": BLUE, "test": VERMILLION}
_MEASURED = {"t_mem": BLUE, "t_grok": VERMILLION}
# of each source in turn: predicted t_mem and t_grok
_PREDICTED = ((SKY, PURPLE), (GREEN, ORANGE), (BLACK, "#8c510a"))
_EARLY = 30  # the axis starts at the first fit divided by this
_RUNS = 24  # of a panel; more are a smear


def plot_curves(comparison: Comparison, path: str | Path, overwrite: bool = False) -> Path:
    """Training and test curves against steps, one panel for each setting (nine at most).

    Each run is a line. Vertical lines are medians over the seeds of the panel, of the measured times
    solid and of the predicted ones dashed; dots are the runs' measured t_grok.
    """
    path = check_figure(path, overwrite)
    metric = comparison.table.attrs["metric"]
    chosen, all_of_them = cells(comparison.table, _MOST)
    across = columns_of(chosen, 4)
    down = -(-len(chosen) // across)
    figure = new_figure(1.6 + 2.9 * max(across, 2), 1.4 + 2.3 * down)
    panels = np.ravel(np.asarray(figure.subplots(down, across, sharex=True, sharey=True), object))
    start = _first(comparison)
    for ax, cell in zip(panels, chosen, strict=False):
        _draw(ax, comparison, cell, start)
    for ax in panels[len(chosen) :]:
        ax.set_axis_off()
    end = float(comparison.runs.step[-1])
    watched = comparison.table["last"].values.max()
    predicted = [
        comparison.table["predicted"].sel(predictor=name).values for name in sources(comparison.table)
    ]
    finite = np.concatenate(
        [t[np.isfinite(t)] for t in (comparison.table["measured_t_grok"].values, *predicted)]
    )
    right = min(max(watched, finite.max(initial=0)) * 1.3, max(end, watched) * 10)
    panels[0].set(xscale="log", xlim=(start, max(right, start * 10)))
    for k, ax in enumerate(panels[: len(chosen)]):
        if k % across == 0:
            ax.set_ylabel(metric)
        if k + across >= len(chosen):
            ax.set_xlabel(STEPS)
            ax.tick_params(labelbottom=True)
    figure.legend(handles=_handles(comparison.table), loc="outside lower center", ncols=4, frameon=False)
    left_out = all_of_them - len(chosen)
    shown = f"{len(chosen)} of {all_of_them} settings ({left_out} not drawn)" if left_out else "all settings"
    figure.suptitle(f"{heading(comparison)}: {shown}", fontsize="medium")
    return save(figure, path, overwrite)


def _first(comparison: Comparison) -> float:
    """Where the logarithmic axis of steps starts: well below the first fit."""
    fits = comparison.table["measured_t_mem"].values
    fits = fits[fits > 0]
    step = comparison.runs.step
    least = float(step[1]) if len(step) > 1 else 1.0
    return max(least, float(fits.min()) / _EARLY) if fits.size else max(least, float(step[-1]) / 1e4)


def _draw(ax: Axes, comparison: Comparison, cell: Cell, start: float) -> None:
    table, runs = comparison.table.isel(run=cell.runs), comparison.runs.dataset.isel(run=cell.runs)
    metric, step = table.attrs["metric"], comparison.runs.step.astype(float)
    if metric == "loss":
        ax.set_yscale("log")
    else:
        ax.set_ylim(-0.04, 1.04)
    drawn = False
    for part, colour in _PARTS.items():
        values = runs[f"{part}_{metric}"].values
        drawn = drawn or bool(np.isfinite(values).any())
        for curve in values[:_RUNS]:
            shown = positive(curve) if metric == "loss" else curve
            ax.plot(step[1:], shown[1:], color=colour, linewidth=0.9, alpha=0.45)
    if not drawn:
        remark(ax, f"{metric} was not recorded")
        return
    for name, (colour, dash, times) in _times(table).items():
        _mark(ax, _median(times), colour, dash, name, start)
    reached = table["measured_t_grok"].values
    ax.plot(reached, table["threshold"].values, "o", color=VERMILLION, markeredgecolor="white", markersize=5)
    for limit in np.unique(table["threshold"].values)[:_RUNS]:
        ax.axhline(limit, color=BLACK, linewidth=0.6, linestyle=":")
    never = int(np.isnan(reached).sum())
    told = f"{never} of {len(reached)} never generalized" if never else f"{len(reached)} runs"
    more = f", {_RUNS} drawn" if len(reached) > _RUNS else ""
    ax.set_title(f"{cell.name}\n{told}{more}", fontsize="small")
    ax.grid(alpha=0.2)


def _mark(ax: Axes, time: float, colour: str, dash: Dash, name: str, start: float) -> None:
    """A vertical line; for a time before the axis starts (a prediction of 0 is common) an arrow."""
    if not np.isfinite(time):
        return
    if time > start:
        ax.axvline(time, color=colour, linewidth=1.8, linestyle=dash)
        return
    place = 0.8 if dash == "--" else 0.7
    ax.plot([0.03], [place], "<", color=colour, transform=ax.transAxes)
    told = f"{name}: {time:.3g}"
    ax.text(
        0.06, place, told, color=colour, fontsize="small", transform=ax.transAxes, va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
    )  # fmt: skip


def _median(times: Floats) -> float:
    """Over the seeds, who never gets there being later than all others; of two the earlier, as Kaplan
    and Meier's is."""
    middle = float(np.quantile(np.where(np.isnan(times), np.inf, times), 0.5, method="lower"))
    return middle if np.isfinite(middle) else float("nan")


def _times(table: xr.Dataset) -> dict[str, tuple[str, Dash, Floats]]:
    """By label, how the times [run] that were measured and those of every source are drawn."""
    found: dict[str, tuple[str, Dash, Floats]] = {
        f"{time} measured": (colour, "-", table[f"measured_{time}"].values)
        for time, colour in _MEASURED.items()
    }
    for k, name in enumerate(sources(table)):
        one, (fit, grok) = table.sel(predictor=name), _PREDICTED[k % len(_PREDICTED)]
        found[f"t_mem by {name}"] = (fit, "--", one["predicted_t_mem"].values)
        found[f"t_grok by {name}"] = (grok, "--", one["predicted"].values)
    return found


def _handles(table: xr.Dataset) -> list[Line2D]:
    metric = table.attrs["metric"]
    curves = [Line2D([], [], color=c, alpha=0.6, label=f"{part} {metric}") for part, c in _PARTS.items()]
    times = [
        Line2D([], [], color=colour, linestyle=dash, linewidth=1.8, label=name)
        for name, (colour, dash, _) in _times(table).items()
    ]
    limit = Line2D([], [], color=BLACK, linewidth=0.6, linestyle=":", label="test threshold")
    dot = Line2D([], [], color=VERMILLION, marker="o", linestyle="", label="t_grok of a run")
    return [*curves, *times, limit, dot]
