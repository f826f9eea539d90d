"""Fig. 6e: the boundary for several sizes of the training set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from groktime.reduced.errors import InputError
from groktime.reduced.figures.file import check_figure, save
from groktime.reduced.figures.style import (
    ALPHA,
    MESSINESS,
    PALETTE,
    Floats,
    new_figure,
    on_fine_grid,
    scale_x,
)
from groktime.reduced.prediction import Prediction
from groktime.reduced.surface import Surface


def plot_sizes(predictions: Mapping[int, Prediction], path: str | Path, overwrite: bool = False) -> Path:
    """Fig. 6e: the contour of the boundary for each size of the training set, of its typical seed.

    Thin: the whole contour of the level; thick: between the start's m and the solution E. θ in degrees:
    of the fitted boundary, between the least m and the start's. The dots are the starts.
    """
    if not predictions:
        raise InputError("plot_sizes: no predictions; expected one for each size of the training set")
    for size, p in predictions.items():
        if not p.source.land.two_dimensional:
            raise InputError(f"plot_sizes: the landscape of N = {size} is one of w alone; expected (w, m)")
    path = check_figure(path, overwrite)
    figure = new_figure(8.5, 6.0)
    draw_sizes(figure.subplots(), predictions)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    first = next(iter(predictions.values()))
    name = Path(first.source.land.source).name
    level = first.detail.geometry.level
    figure.suptitle(f"{name}: contour of training loss {level:g} by training-set size", fontsize="medium")
    return save(figure, path, overwrite)


def draw_sizes(ax: Axes, predictions: Mapping[int, Prediction]) -> None:
    """The contours of `plot_sizes`, labelled for a legend."""
    reach: list[float] = []
    for k, size in enumerate(sorted(predictions)):
        p, g = predictions[size], predictions[size].detail.geometry
        colour = PALETTE[k % len(PALETTE)]
        surface, w0 = p.detail.system.surface, p.detail.system.w0
        u, m, loss = on_fine_grid(surface.domain, partial(_loss, surface))
        alpha = np.exp(u) / w0
        reach += [float(alpha[0]), float(alpha[-1])]
        if loss.min() < g.level < loss.max():
            ax.contour(alpha, m, loss, [g.level], colors=colour, linewidths=1.0)
        # between the same two m for all sizes, whether or not the contour leads to E
        theta = math.degrees(surface.boundary.angle(surface.domain.m_low, g.m_start))
        reaches = "E at the start" if g.h == 0 else "" if math.isfinite(g.theta) else "does not lead to E"
        label = ", ".join(filter(None, [f"N = {size}, seed {p.typical.seed}: θ = {theta:.0f}°", reaches]))
        known = np.isfinite(g.u)
        ax.plot(np.exp(g.u[known]) / w0, g.m[known], color=colour, linewidth=2.8, label=label)
        ax.plot(g.w_start / w0, g.m_start, "o", color=colour, markeredgecolor="white", zorder=4)
    scale_x(ax, np.array(reach))
    ax.set(xlabel=ALPHA, ylabel=MESSINESS, xlim=(min(reach), max(reach)))
    ax.grid(alpha=0.25)


def _loss(surface: Surface, u: Floats, m: Floats) -> Floats:
    return surface.derivatives(u, m, second=False)[0]
