"""The picture of a prediction: Fig. 6a, b, c and f of one landscape of (w, m), or Fig. 2a of w alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from groktime.reduced.figures.landscape import LEVELS, draw_landscape, draw_trajectory
from groktime.reduced.figures.lu import draw_lu
from groktime.reduced.figures.plot import composite
from groktime.reduced.figures.sketch import draw_geometry, has_geometry
from groktime.reduced.figures.style import (
    BLACK,
    BLUE,
    ETA_D,
    ETA_R,
    GREEN,
    PURPLE,
    STEPS,
    VERMILLION,
    entitle,
    file_label,
    legend_below,
    new_figure,
    number,
    on_fine_grid,
    panels_of,
    positive,
    remark,
)
from groktime.reduced.flow import Status
from groktime.reduced.phases import points
from groktime.reduced.report import interval

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction

FLOW = "groktime.reduced.flow_source.FlowDetail"  # what is behind a prediction from a landscape
_POINTS = 400
_APART = 0.05  # of the panel, below which two names would lie on one another


@composite(FLOW, "prediction")
def prediction_figure(p: Prediction) -> Figure:
    """A prediction from a landscape.

    For a landscape of (w, m), panels of the typical seed: the training and the test landscape with the
    trajectory of Eq. 6 (Fig. 6a, 6b), the losses along it (6c) and, where there are some, L, h, θ (6f). For
    a landscape of w alone, the LU curves of all seeds with the start and the critical norm (2a).
    """
    return _two_dimensional(p) if p.source.land.two_dimensional else _one_dimensional(p)


def words(time: float) -> str:
    """A time in a heading."""
    return number(time) if math.isfinite(time) else "never"


def heading(p: Prediction) -> str:
    """Two lines: which landscape and rates, and what came of it."""
    s = p.settings
    rates = f"γ = {s['gamma']:g}, {ETA_D} = {s['eta_d']:g}"
    start = f"α = {s['alpha']:g}"
    if p.source.land.two_dimensional:
        rates += f", {ETA_R} = {s['eta_r']:g}"
        start += f", m = {s['m']:g}"
    name = file_label(p.source.land.source)
    first = f"{name}, N = {s['n_train']}, typical seed {p.typical.seed}: {rates}, start {start}"
    if not math.isfinite(p.t_grok):
        return f"{first}\nstatus: {p.status.value}"
    seeds = f"median of {len(p.seeds)} seeds, " if len(p.seeds) > 1 else ""
    forms = number(p.forms["printed"])
    if p.source.land.two_dimensional:
        forms = f"as printed {forms}, corrected {number(p.forms['corrected'])}"
    return (
        f"{first}\n{p.status.value}: {number(p.t_grok)} steps "
        f"({seeds}{interval(p, words)}); "
        f"closed form {forms}"
    )


# --- landscapes of (w, m) ------------------------------------------------------------------------


def _two_dimensional(p: Prediction) -> Figure:
    figure = new_figure(12.0, 10.5)
    upper, lower = np.ravel(np.asarray(figure.subfigures(2, 1, height_ratios=(1.12, 1)), object))
    train, test = panels_of(upper, 1, 2)
    known = has_geometry(p)
    time, *sketch = panels_of(lower, 1, 1 + known)
    s = p.settings
    one = p.source.land.one(p.detail.system.seed, s["n_train"], s["sampled_steps"])
    surface = p.detail.system.surface
    handles = draw_landscape(train, one, surface, "train_loss", (*LEVELS, p.detail.geometry.level))
    name = "test_loss" if surface.test_loss is not None else "test_accuracy"
    draw_landscape(test, one, surface, name, ())
    handles += draw_threshold(test, p)
    for ax in (train, test):
        trajectory = draw_trajectory(ax, p)
    train.set_title("(a) training landscape")
    test.set_title("(b) test landscape")
    draw_along(time, p)
    time.set_title("(c) along the trajectory", pad=20)  # above the names of the points
    for ax in sketch:
        draw_geometry(ax, p)
        ax.set_title("(f) L, h and θ")
    legend_below(upper, [*handles, *trajectory], 4)
    entitle(figure, heading(p))
    return figure


def draw_threshold(ax: Axes, p: Prediction) -> list[Artist]:
    """The line beyond which the test metric passes its threshold."""
    u, m, margin = on_fine_grid(p.detail.system.surface.domain, p.detail.system.generalized)
    if not margin.min() < 0 < margin.max():
        return []
    ax.contour(np.exp(u) / p.detail.system.w0, m, margin, [0], colors=PURPLE, linewidths=2, linestyles="--")
    sign = "≥" if p.settings["metric"] == "accuracy" else "≤"
    label = f"test {p.settings['metric']} {sign} {p.typical.threshold:.3g} beyond"
    return [Line2D([], [], color=PURPLE, linewidth=2, linestyle="--", label=label)]


def draw_along(ax: Axes, p: Prediction) -> None:
    """Fig. 6c: training and test loss, and test accuracy, along the trajectory against steps."""
    if p.detail.trajectory is None or p.detail.trajectory.end <= 0:
        remark(ax, f"nothing moves\n(status: {p.typical.status.value})")
        return
    surface, eta_d = p.detail.system.surface, p.settings["eta_d"]
    s = p.detail.trajectory.end * np.linspace(0, 1, _POINTS)
    t = p.schedule.steps_to(s / eta_d)
    u, m = p.detail.trajectory.at(s)
    lines = []
    for field, color, dash, label in (
        (surface.train_loss, BLUE, "-", "training loss"),
        (surface.test_loss, VERMILLION, "--", "test loss"),
    ):
        if field is not None:
            values = positive(field.derivatives(u, m, second=False)[0])
            lines += ax.plot(t, values, color=color, linestyle=dash, linewidth=2, label=label)
    ax.set(yscale="log", xlabel=STEPS, ylabel="reduced loss")
    if surface.test_accuracy is not None:
        right = ax.twinx()
        values = surface.test_accuracy.derivatives(u, m, second=False)[0]
        label = "test accuracy (right)"
        lines += right.plot(t, values, color=GREEN, linestyle="-.", linewidth=2, label=label)
        right.set_ylabel("test accuracy", color=GREEN)
        right.set_ylim(-0.04, 1.04)
    last = float(t[np.isfinite(t)][-1])
    ax.set_xlim(t[0], last * (1.05 if p.typical.status is Status.GENERALIZES else 1))
    _name_points(ax, p)
    ax.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, frameon=False)


def _name_points(ax: Axes, p: Prediction) -> None:
    """A line at the time of each point from C on; names that would lie on one another stand together."""
    groups: list[list[tuple[str, float]]] = []
    for point in points(p):
        if point.name in "AB":
            continue
        time = float(p.schedule.steps_to(point.s / p.settings["eta_d"]))
        if not math.isfinite(time):
            continue
        ax.axvline(time, color=BLACK, linewidth=0.8, linestyle=":")
        near = groups and _share(ax, time) - _share(ax, groups[-1][-1][1]) < _APART
        groups = (
            [*groups[:-1], [*groups[-1], (point.name, time)]] if near else [*groups, [(point.name, time)]]
        )
    for group in groups:
        middle = (group[0][1] + group[-1][1]) / 2
        ax.text(
            middle, 1.01, ", ".join(name for name, _ in group), transform=ax.get_xaxis_transform(),
            ha="center", va="bottom", weight="bold",
        )  # fmt: skip


# --- landscapes of w alone -----------------------------------------------------------------------


def _one_dimensional(p: Prediction) -> Figure:
    figure = new_figure(8.5, 7.5)
    losses, accuracies = panels_of(figure, 2, 1, sharex=True, height_ratios=(2, 1))
    s, land = p.settings, p.source.land
    draw_lu(losses, accuracies, land, s["n_train"], s["sampled_steps"])
    start, end = p.detail.geometry.w_start / p.detail.system.w0, p.detail.geometry.w_end / p.detail.system.w0
    marks = [(start, BLACK, "w_{start}")] + ([(end, PURPLE, "w_c")] if math.isfinite(end) else [])
    for place, color, _ in marks:
        for ax in (losses, accuracies):
            ax.axvline(place, color=color, linewidth=1.4, linestyle=":")
    apart = len(marks) == 2 and abs(math.log(start / end)) > 0.05
    for place, color, label in marks if apart else marks[:1]:
        # on the outer side of its line: the arrow lies between the two
        left = label == "w_c" or _share(losses, place) > 0.9
        side, shift = ("right", -4) if left else ("left", 4)
        losses.annotate(
            "$" + label + "$", (place, 0.02), (shift, 2), xycoords=losses.get_xaxis_transform(),
            textcoords="offset points", ha=side, va="bottom", color=color, fontsize="large",
        )  # fmt: skip
    if s["metric"] == "accuracy":
        accuracies.axhline(p.typical.threshold, color=PURPLE, linewidth=1, linestyle="--")
        accuracies.annotate(
            f"threshold {p.typical.threshold:.3g}", (1, p.typical.threshold), (-4, -3),
            va="top", ha="right", xycoords=accuracies.get_yaxis_transform(),
            textcoords="offset points", color=PURPLE,
        )  # fmt: skip
    if apart:
        _draw_decay(losses, p, start, end)
    entitle(figure, heading(p))
    return figure


def _draw_decay(ax: Axes, p: Prediction, start: float, end: float) -> None:
    """The arrow of free decay from w_start to w_c and how long it takes."""
    across = ax.get_xaxis_transform()
    ax.annotate(
        "", (end, 0.93), (start, 0.93), xycoords=across, textcoords=across,
        arrowprops={"arrowstyle": "-|>", "color": BLACK, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    seed = f" (seed {p.typical.seed})" if len(p.seeds) > 1 else ""
    formula = r"$\ln(w_{start}/w_c)\,/\,(\eta_D \gamma)$"
    text = f"free decay: {formula} = {number(p.typical.forms['printed'])} steps{seed}"
    middle = math.sqrt(start * end)
    share = _share(ax, middle)
    side = "left" if share < 1 / 3 else "right" if share > 2 / 3 else "center"
    place = {"left": min(start, end), "right": max(start, end), "center": middle}[side]
    ax.annotate(
        text, (place, 0.93), (0, 4), xycoords=across, textcoords="offset points", ha=side, va="bottom",
        fontsize="small", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def _share(ax: Axes, x: float) -> float:
    """Where x lies across the panel, 0 to 1."""
    low, here, high = (
        ax.get_xaxis().get_transform().transform(np.array([ax.get_xlim()[0], x, ax.get_xlim()[1]]))
    )
    return float((here - low) / (high - low))
