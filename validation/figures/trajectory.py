"""Where real runs went in (w, m), beside the trajectory that the landscape predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from groktime.reduced.figures.landscape import draw_landscape, draw_trajectory
from groktime.reduced.figures.plot import composite
from groktime.reduced.figures.prediction import draw_threshold
from groktime.reduced.figures.style import (
    ALPHA,
    BLACK,
    BLUE,
    BROWN,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    entitle,
    legend_below,
    new_figure,
    panels_of,
    positive,
    remark,
)
from groktime.reduced.landscape import Landscape
from groktime.validation.ask import Predictor, file_of
from groktime.validation.figures.cells import Cell, cells, columns_of, settings_shown, spread
from groktime.validation.figures.columns import (
    COMPARISON,
    heading,
    interval,
    measured,
    predicted,
    shown,
)

if TYPE_CHECKING:
    from groktime.reduced.law import Schedule
    from groktime.reduced.prediction import Prediction
    from groktime.validation.comparison import Comparison

_MOST = 4
_LINES = 80  # runs drawn of a landscape of w alone
_ROOM = 0.3  # of the grid's width, by which runs that leave it are followed
_AFTER = 1.25  # how far beyond the last time the decay is drawn
_DECADES = 8.0  # of the loss; below lies the rounding of the optimizer
# of runs; the others of the palette are the losses' and the critical norm's
_COLORS = (GREEN, ORANGE, SKY, BLACK, BROWN, GREY)
_OUTLINE = [Stroke(linewidth=2.6, foreground="white"), Normal()]


@composite(COMPARISON, "trajectory", when=lambda _: False)
def trajectory_figure(comparison: Comparison) -> Figure:
    """Where real runs went, and where the theory says they go.

    Landscapes of (w, m): the training landscape of one seed with the trajectory of Eq. 6 and the runs of the
    same setting, four settings at most. Landscapes of w alone: w/w0 against ηγt, where free decay is
    one straight line for each start, beside the reduced loss over the same norms.
    Without a landscape, the norms alone.
    """
    plane = bool(comparison.lands) and comparison.lands[-1].two_dimensional
    return _over_landscapes(comparison) if plane else _over_decay(comparison)


# --- landscapes of (w, m) ------------------------------------------------------------------------


def _over_landscapes(comparison: Comparison) -> Figure:
    chosen, count = cells(comparison.table, _MOST)
    across = columns_of(chosen, 2)
    down = -(-len(chosen) // across)
    figure = new_figure(1.0 + 5.6 * across, 1.6 + 4.3 * down)
    panels = panels_of(figure, down, across)
    handles: dict[str, Artist] = {}
    for ax, cell in zip(panels, chosen, strict=False):
        for handle in _draw_cell(ax, comparison, cell):
            handles.setdefault(str(handle.get_label()), handle)
    for ax in panels[len(chosen) :]:
        ax.set_axis_off()
    legend_below(figure, list(handles.values()))
    entitle(figure, f"{heading(comparison)}: {settings_shown(len(chosen), count)}")
    return figure


def _draw_cell(ax: Axes, comparison: Comparison, cell: Cell) -> list[Artist]:
    p = _prediction(comparison, cell)
    seed, s = p.detail.system.seed, p.settings
    one = p.source.land.one(seed, s["n_train"], s["sampled_steps"])
    handles = draw_landscape(ax, one, p.detail.system.surface, "train_loss", ())
    handles += draw_threshold(ax, p)
    handles += draw_trajectory(ax, p)
    leaves = _draw_runs(ax, comparison, cell, seed)
    more = "; runs go on outside" if leaves else ""
    ax.set_title(f"{cell.name}\nlandscape of seed {seed}{more}", fontsize="small")
    data = comparison.runs.dataset
    if not np.isfinite(data["m"].values[cell.runs]).any():
        ax.text(0.5, 0.5, "m of the runs was not recorded", transform=ax.transAxes, ha="center")
        return handles
    same = data["seed"].values[cell.runs] == seed
    if same.any():
        handles.append(Line2D([], [], color=SKY, linewidth=2.2, label="trained network of this seed"))
    if not same.all():
        handles.append(Line2D([], [], color=SKY, linewidth=0.9, label="of other seeds"))
    star: dict[str, Any] = {"marker": "*", "linestyle": "", "markersize": 12, "markeredgecolor": BLACK}
    handles.append(Line2D([], [], color=SKY, label="measured t_grok", **star))
    return handles


def _prediction(comparison: Comparison, cell: Cell) -> Prediction:
    """The prediction that the table has of a run of the setting, one of a seed that its landscape has if
    there is one: made again, since the table does not hold trajectories."""
    seeds = comparison.runs.dataset["seed"].values[cell.runs].astype(int)
    flow = _flow(comparison)
    own = [flow.sources[flow.which[run]].seeds for run in cell.runs]  # of the landscape of its start
    known = [int(run) for run, seed, held in zip(cell.runs, seeds, own, strict=True) if seed in held]
    return comparison.prediction((known or [int(cell.runs[0])])[0], flow.name)


def _flow(comparison: Comparison) -> Predictor:
    """The predictor whose landscapes are drawn."""
    return next(p for p in comparison.predictors if isinstance(file_of(p.sources[-1]), Landscape))


def _draw_runs(ax: Axes, comparison: Comparison, cell: Cell, seed: int) -> bool:
    """The runs of a setting in (w, m), those of the landscape's seed thick; whether they leave the panel,
    which is widened by some of the way that they go outside."""
    data, step = comparison.runs.dataset, comparison.runs.step
    time = measured(comparison.table)
    grid = np.array([ax.get_xlim(), ax.get_ylim()])
    reached = grid.copy()
    for run in cell.runs:
        alpha = data["weight_norm"].values[run] / float(data["w0"].values[run])
        m = data["m"].values[run]
        if not np.isfinite(m).any():
            continue
        same = data["seed"].values[run] == seed
        ax.plot(
            alpha, m, color=SKY, linewidth=1.8 if same else 0.9, alpha=1.0 if same else 0.7, zorder=3.5,
            path_effects=_OUTLINE if same else None,
        )  # fmt: skip
        if np.isfinite(time[run]):
            at = np.searchsorted(step, time[run])
            ax.plot(alpha[at], m[at], "*", color=SKY, markersize=12, markeredgecolor=BLACK, zorder=5)
        for k, values in enumerate((alpha, m)):
            reached[k] = min(reached[k, 0], np.nanmin(values)), max(reached[k, 1], np.nanmax(values))
    room = _ROOM * np.ptp(grid, axis=1)
    low = np.maximum(reached[:, 0], grid[:, 0] - room)
    high = np.minimum(reached[:, 1], grid[:, 1] + room)
    if ax.get_xscale() == "log":
        low[0] = max(low[0], grid[0, 0] / 3)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return bool(np.any(reached[:, 0] < low) or np.any(reached[:, 1] > high))


# --- landscapes of w alone -----------------------------------------------------------------------


def _over_decay(comparison: Comparison) -> Figure:
    table = comparison.table
    figure = new_figure(10.0, 5.8)
    ax, losses = panels_of(figure, 1, 2, sharey=True, width_ratios=(2.4, 1))
    rate, alpha = table["decay_rate"].values, table["alpha"].values
    decays = np.flatnonzero(rate > 0)
    if not decays.size:
        remark(ax, "no run has a weight decay above 0")
        losses.set_axis_off()
        entitle(figure, heading(comparison))
        return figure
    drawn = spread(list(decays), _LINES)
    colors = {a: _COLORS[k % len(_COLORS)] for k, a in enumerate(np.unique(alpha[decays]))}
    course = comparison.runs.law.schedule
    right = _end(table, decays, _flow(comparison).name if comparison.lands else shown(table, None), course)
    for run in drawn:
        _draw_norm(ax, comparison, int(run), right, colors[alpha[run]])
    span = np.array([0.0, right])
    for a in colors:
        ax.plot(span, a * np.exp(-span), color=BLACK, linewidth=1.1, linestyle="--", zorder=2.5)
    low, high = (np.inf, 0.0)
    if comparison.lands:
        low, high = _draw_critical((ax, losses), table, _flow(comparison).name, course)
    ax.set(yscale="log", xlim=(0, right), xlabel=r"decay  $\eta\gamma t$", ylabel=ALPHA)
    passed = alpha[decays] * np.exp(-(rate * course.spent(measured(table)))[decays])
    there = np.concatenate([[low], passed])
    bottom = float(np.nanmin(np.where(np.isfinite(there), there, min(colors))))
    ax.set_ylim(0.85 * bottom, 1.15 * max(high, *colors))
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7)))
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.25)
    ax.set_title("norm of trained networks", fontsize="medium")
    if comparison.lands:
        _draw_loss(losses, comparison)
    else:
        remark(losses, "no landscape was compared")
    legend_below(figure, _handles(colors, bool(comparison.lands)), 4)
    some = f"; {len(drawn)} of {len(decays)} drawn" if len(drawn) < len(decays) else ""
    none = len(rate) - len(decays)
    some += f"; {none} without decay not drawn" if none else ""
    entitle(figure, f"{heading(comparison)}{some}")
    return figure


def _end(table: xr.Dataset, decays: NDArray[np.intp], predictor: str, course: Schedule) -> float:
    """Σ ηγ to which the decay is drawn: a little beyond the last time."""
    rate = table["decay_rate"].values
    every = [measured(table), predicted(table, predictor)]
    times = np.concatenate([(rate * course.spent(time))[decays] for time in every])
    known = times[np.isfinite(times)]
    return _AFTER * float(known.max(initial=0)) or float((rate * course.spent(table["last"].values)).max())


def _draw_norm(ax: Axes, comparison: Comparison, run: int, right: float, color: str) -> None:
    """w/w0 of one run against Σ ηγ, with its measured time."""
    data, step = comparison.runs.dataset, comparison.runs.step.astype(float)
    tau = float(comparison.table["decay_rate"].values[run]) * comparison.runs.law.schedule.spent(step)
    time = measured(comparison.table)[run]
    curve = data["weight_norm"].values[run] / float(data["w0"].values[run])
    seen = tau <= right
    ax.plot(tau[seen], positive(curve[seen]), color=color, linewidth=0.8, alpha=0.5)
    if np.isfinite(time):
        at = np.searchsorted(step, time)
        ax.plot(tau[at], curve[at], "o", color=color, markersize=4.5, zorder=3)


def _handles(colors: dict[float, str], landscape: bool) -> list[Artist]:
    of_runs: list[Artist] = [
        *(Line2D([], [], color=c, label=f"runs, α = {a:g}") for a, c in colors.items()),
        Line2D([], [], color=BLACK, marker="o", linestyle="", markersize=4.5, label="measured t_grok"),
        Line2D([], [], color=BLACK, linestyle="--", label=r"free decay: $\alpha\,e^{-\eta\gamma t}$"),
    ]
    of_landscape: list[Artist] = [
        Patch(color=PURPLE, alpha=0.3, label=r"predicted t_grok: at $\alpha_c$ (median; 90 %)"),
        Line2D([], [], color=BLUE, label="training loss, sampled"),
        Line2D([], [], color=VERMILLION, label="test loss, sampled"),
    ]
    return of_runs + of_landscape if landscape else of_runs


def _draw_critical(
    panels: tuple[Axes, Axes], table: xr.Dataset, predictor: str, course: Schedule
) -> tuple[float, float]:
    """The norm at which the landscape generalizes, with its 90 % for another seed; the ends of it."""
    earliest, latest = interval(table, predictor, "seeds")
    ends = []
    # where free decay has come to at the predicted times of the table
    for time in (latest, predicted(table, predictor), earliest):
        there = (table["alpha"].values * np.exp(-table["decay_rate"].values * course.spent(time)))[
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
    flow = _flow(comparison)
    land = file_of(flow.sources[int(np.bincount(flow.which).argmax())])  # that of most of the runs
    assert isinstance(land, Landscape)
    sizes = comparison.runs.dataset["n_train"].values
    n_train = int(sizes[0]) if land.n_train != [0] else 0
    budget = comparison.options.get("sampled_steps")
    low, high = ax.get_ylim()
    seen = (land.alpha >= low) & (land.alpha <= high)
    known = {}
    for name, color in (("train_loss", BLUE), ("test_loss", VERMILLION)):
        every = np.stack(
            [np.asarray(land.one(s, n_train, budget)[name].values[0], float) for s in land.seeds]
        )
        if np.isfinite(every).all():
            known[color] = every
    top = max((float(every[:, seen].max(initial=0)) for every in known.values()), default=0.0) or 1.0
    for color, every in known.items():
        shown = np.maximum(every, top * 10**-_DECADES)
        for values in shown:
            ax.plot(values, land.alpha, color=color, linewidth=0.7, alpha=0.35)
        ax.plot(np.median(shown, axis=0), land.alpha, color=color, linewidth=2)
    ax.set(xscale="log", xlim=(top * 10**-_DECADES / 2, 3 * top), xlabel="reduced loss")
    several = f" from α = {land.alpha[-1]:g}" if len(flow.sources) > 1 else ""
    ax.set_title(f"landscape{several}", fontsize="medium")
    ax.grid(alpha=0.25)
