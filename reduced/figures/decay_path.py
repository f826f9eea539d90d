"""The curves of a decay path against τ = ηγt, a color for each resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from groktime.reduced.arguments import choice, number
from groktime.reduced.figures.plot import composite
from groktime.reduced.figures.style import (
    Floats,
    entitle,
    file_label,
    legend_below,
    literal,
    new_figure,
    panels_of,
    positive,
)
from groktime.reduced.starts import METRICS
from groktime.reduced.valley_clock import ValleyClock

if TYPE_CHECKING:
    from groktime.reduced.decay_path import DecayPath

ROOM = 1.08
_SHADES = (0.25, 0.95)  # of the color map, from the coarsest resolution to the finest
_DASHES = ("-", "--")  # of two starts: the smaller, the larger


@dataclass(frozen=True)
class Curves:
    """Which curves of a path are drawn: at one size and messiness, of `seeds` from the starts [index].

    `read` are the resolutions that a prediction read, thick, and of two starts the only ones; None: all
    alike. `implicit` is the decay γ0 by which a path goes farther than τ, from the step `onset` on.
    """

    path: DecayPath
    metric: str
    starts: Sequence[int]
    seeds: Sequence[int]
    n_train: int
    m: float
    read: Sequence[float] | None = None
    implicit: float = 0.0
    onset: float = 0.0

    def tau(self, refit: int) -> Floats:
        """How far the path of a resolution has come at each record."""
        path = self.path
        clock = ValleyClock(0.0, path.eta_d * path.speed, self.implicit, self.onset)
        return np.asarray(path.tau + clock.drifted(path.tau / path.dtau * refit))

    def values(self, part: str) -> Floats:
        """[start, seed, refit, tau] of the part "train" or "test"."""
        path = self.path
        rows = [path.place("seed", seed) for seed in self.seeds]
        place = path.place("n_train", self.n_train), path.place("m_start", self.m)
        found = np.asarray(path.dataset[f"{part}_{self.metric}"].values[rows, *place], float)
        return np.moveaxis(found[:, list(self.starts)], 1, 0)

    def reads(self, gamma: float) -> bool:
        return self.read is not None and any(math.isclose(gamma, g, rel_tol=1e-9) for g in self.read)


@composite("groktime.reduced.decay_path.DecayPath", "curves")
def path_figure(
    path: DecayPath,
    *,
    alpha: float | None = None,
    n_train: int | None = None,
    m: float | None = None,
    metric: str = "accuracy",
) -> Figure:
    """Test and training curves of every seed and resolution, from one start (default: the largest alpha, the
    first m) and at one size of the training set (default: the largest).

    Raises
    ------
    InputError : for a start, size or metric that the path does not have.
    """
    metric = choice("metric", metric, METRICS)
    start = len(path.alpha) - 1 if alpha is None else path.place("alpha", alpha)
    size = path.n_train[-1 if n_train is None else path.place("n_train", n_train)]
    place = 0 if m is None else path.place("m_start", number("m", m))
    curves = Curves(path, metric, [start], path.seeds, size, float(path.m_start[place]))
    figure = new_figure(9.0, 7.5)
    test, train = panels_of(figure, 2, 1, sharex=True, height_ratios=(2.2, 1))
    handles = draw_curves(test, curves, "test")
    draw_curves(train, curves, "train")
    train.set_xlabel(r"$\tau = \eta\gamma t$")
    legend_below(figure, handles)
    entitle(
        figure,
        f"{file_label(path.source)}: {literal(path.task)}, N = {size}, start α = {path.alpha[start]:g}",
    )
    return figure


def draw_curves(ax: Axes, curves: Curves, part: str) -> list[Artist]:
    """Each seed a line; handles of a legend of the resolutions."""
    path, loss, values = curves.path, curves.metric == "loss", curves.values(part)
    shades = np.linspace(*_SHADES, len(path.refit))
    handles: list[Artist] = []
    for k, (refit, gamma) in enumerate(zip(path.refit, path.gamma_eff, strict=True)):
        read = curves.reads(gamma)
        if not read and len(curves.starts) > 1:
            values[:, :, k] = np.nan
            continue
        color, width = colormaps["viridis_r"](shades[k]), 1.8 if read else 0.9
        tau = curves.tau(refit)
        for dash, of_start in zip(_DASHES[: len(curves.starts)], values, strict=True):
            for one in of_start[:, k]:
                shown = positive(one) if loss else one
                ax.plot(tau, shown, dash, color=color, linewidth=width, alpha=0.85)
        label = rf"refit {refit}, $\gamma_{{eff}}$ = {gamma:.3g}" + (" (read)" if read else "")
        handles.append(Line2D([], [], color=color, linewidth=width, label=label))
    ax.set_ylabel(f"{'training' if part == 'train' else part} {curves.metric}")
    if loss:
        ax.set_yscale("log")
    else:
        ax.set_ylim(min(0.9, float(np.nanmin(values, initial=1.0))) - 0.03, 1.04)
    known = np.isfinite(values).any((0, 1, 2))
    if part == "test" and known.any():
        ax.set_xlim(0, ROOM * float(curves.tau(path.refit[-1])[known][-1]))
    ax.grid(alpha=0.25)
    return handles
