"""Fig. 6e: the boundary for several sizes of the training set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from groktime.reduced.errors import InputError
from groktime.reduced.figures.plot import MAPPING, panel
from groktime.reduced.figures.style import (
    ALPHA,
    MESSINESS,
    PALETTE,
    Floats,
    file_label,
    on_fine_grid,
    scale_x,
)

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction
    from groktime.reduced.surface import Surface


def heading(predictions: Mapping[int, Prediction]) -> str:
    """Which landscape, and which contour."""
    first = next(iter(predictions.values()))
    name, level = file_label(first.source.land.source), first.detail.geometry.level
    return f"{name}: contour of training loss {level:g} by training-set size"


@panel(MAPPING, "sizes", title=heading, size=(8.5, 6.0), columns=2)
def draw_sizes(ax: Axes, predictions: Mapping[int, Prediction]) -> list[Artist]:
    """Fig. 6e: the contour of the boundary for each size of the training set, of its typical seed.

    Thin: the contour of the level; thick: between the start's m and the solution E. θ in degrees: of the
    fitted boundary, between the least m and the start's. The dots are the starts.

    Raises
    ------
    InputError : unless there are predictions, from landscapes of (w, m).
    """
    _check(predictions)
    reach: list[float] = []
    for k, size in enumerate(sorted(predictions)):
        p, g = predictions[size], predictions[size].detail.geometry
        color = PALETTE[k % len(PALETTE)]
        surface, w0 = p.detail.system.surface, p.detail.system.w0
        u, m, loss = on_fine_grid(surface.domain, partial(_loss, surface))
        alpha = np.exp(u) / w0
        reach += [float(alpha[0]), float(alpha[-1])]
        if loss.min() < g.level < loss.max():
            ax.contour(alpha, m, loss, [g.level], colors=color, linewidths=1.0)
        # between the same two m for all sizes, whether or not the contour leads to E
        theta = math.degrees(surface.boundary.angle(surface.domain.m_low, g.m_start))
        reaches = "E at the start" if g.h == 0 else "" if math.isfinite(g.theta) else "does not lead to E"
        label = ", ".join(filter(None, [f"N = {size}, seed {p.typical.seed}: θ = {theta:.0f}°", reaches]))
        known = np.isfinite(g.u)
        ax.plot(np.exp(g.u[known]) / w0, g.m[known], color=color, linewidth=2.8, label=label)
        ax.plot(g.w_start / w0, g.m_start, "o", color=color, markeredgecolor="white", zorder=4, clip_on=False)
    scale_x(ax, np.array(reach))
    ax.set(xlabel=ALPHA, ylabel=MESSINESS, xlim=(min(reach), max(reach)))
    ax.grid(alpha=0.25)
    return list(ax.get_legend_handles_labels()[0])


def _check(predictions: Mapping[int, Prediction]) -> None:
    if not predictions:
        raise InputError("plot: no predictions; expected one for each size of the training set")
    for size, p in predictions.items():
        land = getattr(getattr(p, "source", None), "land", None)
        if land is None:
            raise InputError(f"plot: {size!r} is no prediction from a landscape; expected one of (w, m)")
        if not land.two_dimensional:
            raise InputError(f"plot: the landscape of N = {size} is one of w alone; expected (w, m)")


def _loss(surface: Surface, u: Floats, m: Floats) -> Floats:
    return surface.derivatives(u, m, second=False)[0]
