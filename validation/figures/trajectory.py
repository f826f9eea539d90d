"""The way that real runs took in (w, m), beside the one that the landscape predicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import LogLocator, NullFormatter

from groktime.reduced.figures.file import check_figure, save
from groktime.reduced.figures.landscape import draw_landscape, draw_path
from groktime.reduced.figures.prediction import draw_threshold
from groktime.reduced.figures.style import (
    ALPHA,
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    new_figure,
    positive,
    remark,
)
from groktime.reduced.flow_source import FlowSource
from groktime.validation.figures.cells import Cell, cells, columns_of, spread
from groktime.validation.figures.times import heading

if TYPE_CHECKING:
    from groktime.validation.comparison import Comparison

_MOST = 4
_LINES = 80  # runs drawn of a landscape of w alone
_ROOM = 0.3  # of the grid's width, by which runs that leave it are followed
_AFTER = 1.25  # how far beyond the last time the decay is drawn
_DECADES = 8.0  # of the loss; below lies the rounding of the optimiser
_COLOURS = (
    GREEN,
    ORANGE,
    SKY,
    BLACK,
    "#8c510a",
    "#7f7f7f",
)  # of runs; the others are the losses' and the critical norm's
_OUTLINE = [Stroke(linewidth=2.6, foreground="white"), Normal()]


def plot_trajectory(comparison: Comparison, path: str | Path, overwrite: bool = False) -> Path:
    """Where real runs went, and where the theory says they go.

    Landscapes of (w, m): the training landscape of one seed with the path of Eq. 6 and the runs of the
    same setting, four settings at most. Landscapes of w alone: w/w0 against ηγt, where free decay is
    one straight line for each start, beside the reduced loss over the same norms.
    """
    path = check_figure(path, overwrite)
    plane = bool(comparison.lands) and comparison.lands[-1].two_dimensional
    over = _over_landscapes if plane else _over_decay
    return save(over(comparison), path, overwrite)


# --- landscapes of (w, m) ------------------------------------------------------------------------


def _over_landscapes(comparison: Comparison) -> Figure:
    chosen, all_of_them = cells(comparison.table, _MOST)
    across = columns_of(chosen, 2)
    down = -(-len(chosen) // across)
    figure = new_figure(1.0 + 5.6 * across, 1.6 + 4.3 * down)
    panels = np.ravel(np.asarray(figure.subplots(down, across), object))
    handles: dict[str, Artist] = {}
    for ax, cell in zip(panels, chosen, strict=False):
        for handle in _draw_cell(ax, comparison, cell):
            handles.setdefault(str(handle.get_label()), handle)
    for ax in panels[len(chosen) :]:
        ax.set_axis_off()
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=3, frameon=False)
    left_out = all_of_them - len(chosen)
    shown = f"{len(chosen)} of {all_of_them} settings ({left_out} not drawn)" if left_out else "all settings"
    figure.suptitle(f"{heading(comparison)}: {shown}", fontsize="medium")
    return figure


def _draw_cell(ax: Axes, comparison: Comparison, cell: Cell) -> list[Artist]:
    data = comparison.runs.dataset
    seeds = data["seed"].values[cell.runs].astype(int)
    name = next(p.name for p in comparison.predictors if isinstance(p.sources[-1], FlowSource))
    known = comparison.table["seed_matched"].sel(predictor=name).values[cell.runs]
    p = comparison.prediction(int(cell.runs[int(np.argmax(known))]), name)
    s, system = p.settings, p.detail.system
    one = p.source.land.one(system.seed, s["n_train"], s["sampled_steps"])
    handles = draw_landscape(ax, one, system.surface, "train_loss", ())
    handles += draw_threshold(ax, p)
    handles += draw_path(ax, p)
    grid = np.array([ax.get_xlim(), ax.get_ylim()])
    reached = np.array([ax.get_xlim(), ax.get_ylim()])
    for run, seed in zip(cell.runs, seeds, strict=True):
        alpha = data["weight_norm"].values[run] / float(data["w0"].values[run])
        m = data["m"].values[run]
        if not np.isfinite(m).any():
            continue
        same = seed == system.seed
        ax.plot(
            alpha, m, color=SKY, linewidth=1.8 if same else 0.9, alpha=1.0 if same else 0.7, zorder=3.5,
            path_effects=_OUTLINE if same else None,
        )  # fmt: skip
        at = np.searchsorted(
            comparison.runs.step, np.nan_to_num(comparison.table["measured_t_grok"].values[run])
        )
        if np.isfinite(comparison.table["measured_t_grok"].values[run]):
            ax.plot(alpha[at], m[at], "*", color=SKY, markersize=12, markeredgecolor=BLACK, zorder=5)
        for k, values in enumerate((alpha, m)):
            reached[k] = min(reached[k, 0], np.nanmin(values)), max(reached[k, 1], np.nanmax(values))
    room = _ROOM * np.ptp(grid, axis=1)
    low = np.maximum(reached[:, 0], grid[:, 0] - room)
    high = np.minimum(reached[:, 1], grid[:, 1] + room)
    if ax.get_xscale() == "log":
        low[0] = max(low[0], grid[0, 0] / 3)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    others = int((seeds != system.seed).sum())
    leaves = bool(np.any(reached[:, 0] < low) or np.any(reached[:, 1] > high))
    more = "; runs go on outside" if leaves else ""
    ax.set_title(f"{cell.name}\nlandscape of seed {system.seed}{more}", fontsize="small")
    if not np.isfinite(data["m"].values[cell.runs]).any():
        ax.text(0.5, 0.5, "m of the runs was not recorded", transform=ax.transAxes, ha="center")
        return handles
    if others < len(seeds):
        handles.append(Line2D([], [], color=SKY, linewidth=2.2, label="trained network of this seed"))
    if others:
        handles.append(Line2D([], [], color=SKY, linewidth=0.9, label="of other seeds"))
    star = {"marker": "*", "linestyle": "", "markersize": 12, "markeredgecolor": BLACK}
    handles.append(Line2D([], [], color=SKY, label="measured t_grok", **star))  # type: ignore[arg-type]
    return handles


# --- landscapes of w alone -----------------------------------------------------------------------


def _over_decay(comparison: Comparison) -> Figure:
    table, data = comparison.table, comparison.runs.dataset
    figure = new_figure(10.0, 5.8)
    ax, losses = np.ravel(np.asarray(figure.subplots(1, 2, sharey=True, width_ratios=(2.4, 1)), object))
    rate, alpha = table["decay_rate"].values, table["alpha"].values
    decays = np.flatnonzero(rate > 0)
    if not decays.size:
        remark(ax, "no run has a weight decay above 0")
        losses.set_axis_off()
        return figure
    drawn = spread(list(decays), _LINES)
    measured, predicted = rate * table["measured_t_grok"].values, rate * table["predicted"].values[:, 0]
    times = np.concatenate([measured[decays], predicted[decays]])
    times = times[np.isfinite(times)]
    right = _AFTER * float(times.max(initial=0)) or float((rate * table["last"].values).max())
    colours = {a: _COLOURS[k % len(_COLOURS)] for k, a in enumerate(np.unique(alpha[decays]))}
    step = comparison.runs.step.astype(float)
    for run in drawn:
        curve = data["weight_norm"].values[run] / float(data["w0"].values[run])
        when = step * rate[run]
        shown = when <= right
        ax.plot(when[shown], positive(curve[shown]), color=colours[alpha[run]], linewidth=0.8, alpha=0.5)
        if np.isfinite(measured[run]):
            at = np.searchsorted(step, table["measured_t_grok"].values[run])
            ax.plot(when[at], curve[at], "o", color=colours[alpha[run]], markersize=4.5, zorder=3)
    span = np.array([0.0, right])
    for a in colours:
        ax.plot(span, a * np.exp(-span), color=BLACK, linewidth=1.1, linestyle="--", zorder=2.5)
    low, high = _draw_critical((ax, losses), table) if comparison.lands else (np.inf, 0.0)
    ax.set(yscale="log", xlim=(0, right), xlabel=r"decay  $\eta\gamma t$", ylabel=ALPHA)
    there = np.concatenate([[low], alpha[decays] * np.exp(-measured[decays])])
    bottom = float(np.nanmin(np.where(np.isfinite(there), there, min(colours))))
    ax.set_ylim(0.85 * bottom, 1.15 * max(high, *colours))
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7)))
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.25)
    ax.set_title("norm of trained networks", fontsize="medium")
    if comparison.lands:
        _draw_loss(losses, comparison)
    else:
        remark(losses, "no landscape was compared")
    handles: list[Artist] = [Line2D([], [], color=c, label=f"runs, α = {a:g}") for a, c in colours.items()]
    handles += [
        Line2D([], [], color=BLACK, marker="o", linestyle="", markersize=4.5, label="measured t_grok"),
        Line2D([], [], color=BLACK, linestyle="--", label=r"predicted: $\alpha\,e^{-\eta\gamma t}$"),
        Patch(color=PURPLE, alpha=0.3, label=r"predicted t_grok: at $\alpha_c$ (median; 90% over seeds)"),
        Line2D([], [], color=BLUE, label="training loss, sampled"),
        Line2D([], [], color=VERMILLION, label="test loss, sampled"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    some = f"; {len(drawn)} of {len(decays)} drawn" if len(drawn) < len(decays) else ""
    none = len(rate) - len(decays)
    some += f"; {none} without decay not drawn" if none else ""
    figure.suptitle(f"{heading(comparison)}{some}", fontsize="medium")
    return figure


def _draw_critical(panels: tuple[Axes, Axes], table: xr.Dataset) -> tuple[float, float]:
    """The norm at which the landscape generalizes, with its 90 % over the seeds; the ends of it."""
    # where free decay has come to at the predicted times
    name = str(table["form_of"].values[table["role"].values == "form"][0])
    one = table.sel(predictor=name, interval="seeds")
    flat = table["predicted"].values[:, table["form_of"].values == name][:, 0]
    ends = []
    for time in (one["high"].values, flat, one["low"].values):
        there = (table["alpha"].values * np.exp(-table["decay_rate"].values * time))[
            (time > 0) & (time < np.inf)
        ]
        ends.append(float(np.median(there)) if there.size else np.nan)
    low, middle, high = ends
    for ax in panels:
        if np.isfinite(low) and np.isfinite(high):
            ax.axhspan(low, high, color=PURPLE, alpha=0.18, linewidth=0)
        if np.isfinite(middle):
            ax.axhline(middle, color=PURPLE, linewidth=1.4)
    known = [x for x in ends if np.isfinite(x)]
    return min(known, default=np.inf), max(known, default=0.0)


def _draw_loss(ax: Axes, comparison: Comparison) -> None:
    """The reduced losses over the norm of the panel beside, lying on their side."""
    land = comparison.lands[-1]
    sizes = comparison.runs.dataset["n_train"].values
    n_train = int(sizes[0]) if land.n_train != [0] else 0
    budget = comparison.options["sampled_steps"] or land.budgets[-1]
    low, high = ax.get_ylim()
    seen = (land.alpha >= low) & (land.alpha <= high)
    known = {}
    for name, colour in (("train_loss", BLUE), ("test_loss", VERMILLION)):
        every = np.stack(
            [np.asarray(land.one(s, n_train, budget)[name].values[0], float) for s in land.seeds]
        )
        if np.isfinite(every).all():
            known[colour] = every
    top = max((float(every[:, seen].max(initial=0)) for every in known.values()), default=0.0) or 1.0
    for colour, every in known.items():
        shown = np.maximum(every, top * 10**-_DECADES)
        for values in shown:
            ax.plot(values, land.alpha, color=colour, linewidth=0.7, alpha=0.35)
        ax.plot(np.median(shown, axis=0), land.alpha, color=colour, linewidth=2)
    ax.set(xscale="log", xlim=(top * 10**-_DECADES / 2, 3 * top), xlabel="reduced loss")
    ax.set_title("landscape", fontsize="medium")
    ax.grid(alpha=0.25)
