"""Trained networks and a decay path in the one time τ = ηγt, in which they ought to be the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from groktime.reduced.figures.plot import composite
from groktime.reduced.figures.style import (
    BLACK,
    PALETTE,
    STEPS,
    entitle,
    legend_below,
    literal,
    new_figure,
    panels_of,
)
from groktime.validation.match import check_match

if TYPE_CHECKING:
    from groktime.fullnet.runs import Runs
    from groktime.reduced.decay_path import DecayPath

Floats = NDArray[np.float64]

_DASHES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")


@composite("groktime.fullnet.runs.Runs", "collapse", when=lambda _: False)
def collapse_figure(runs: Runs, *, path: DecayPath, alpha: float) -> Figure:
    """Test accuracy of the runs that start at `alpha`, above against steps, below against τ = ηγt, where
    they ought to fall onto the path's curves (black, its finest resolution).

    Colors: γ; dashes: η. `alpha` is one of the path's.

    Raises
    ------
    InputError : for a path of other networks, or an alpha that it does not have.
    """
    check_match(path, runs, None, "accuracy")
    start = path.place("alpha", alpha)
    ds = runs.dataset
    chosen = np.flatnonzero(np.isclose(ds["alpha"].values, alpha) & (ds["gamma"].values > 0))
    decays, rates = (np.unique(ds[name].values[chosen]) for name in ("gamma", "eta_d"))
    colors = {g: PALETTE[k % len(PALETTE)] for k, g in enumerate(decays)}
    dashes = {eta: _DASHES[k % len(_DASHES)] for k, eta in enumerate(rates)}
    figure = new_figure(8.5, 8.5)
    plain, scaled = panels_of(figure, 2, 1)
    step = runs.step.astype(float)
    for k in chosen:
        gamma, eta = float(ds["gamma"].values[k]), float(ds["eta_d"].values[k])
        curve = ds["test_accuracy"].values[k]
        for ax, time in ((plain, step), (scaled, runs.law.tau(step, gamma * eta))):
            ax.plot(time, curve, dashes[eta], color=colors[gamma], linewidth=1.1)
    curves = np.asarray(path.dataset["test_accuracy"].values[:, -1, 0, start, -1], float)
    for one in curves:
        scaled.plot(path.tau, one, color=BLACK, linewidth=2.4, alpha=0.8, zorder=1)
    _frame(plain, scaled, float(ds.attrs["accuracy_threshold"]), path, curves)
    handles: list[Artist] = [Line2D([], [], color=colors[g], label=f"γ = {g:g}") for g in decays]
    for eta in rates if len(rates) > 1 else ():
        label = rf"$\eta$ = {eta:g}"
        handles.append(Line2D([], [], linestyle=dashes[eta], color=BLACK, linewidth=1.1, label=label))
    label = rf"decay path, $\gamma_{{eff}}$ = {path.gamma_eff[-1]:.3g}"
    handles.append(Line2D([], [], color=BLACK, linewidth=2.4, label=label))
    legend_below(figure, handles, 4)
    entitle(
        figure,
        f"{literal(runs.task)}, start α = {alpha:g}: {len(chosen)} networks trained in full, "
        f"and {len(curves)} followed along their decay path",
    )
    return figure


def _frame(plain: Axes, scaled: Axes, threshold: float, path: DecayPath, curves: Floats) -> None:
    known = np.isfinite(curves).any(0)
    if known.any():
        scaled.set_xlim(0, 1.08 * float(path.tau[known][-1]))
    plain.set_xscale("log")
    plain.set_xlim(left=10)
    plain.set_xlabel(STEPS)
    scaled.set_xlabel(r"$\tau = \eta\gamma t$")
    for ax in (plain, scaled):
        ax.set_ylabel("test accuracy")
        ax.set_ylim(-0.03, 1.03)
        if not path.dataset.attrs["threshold_relative"]:
            ax.axhline(threshold, color=BLACK, linewidth=0.8, linestyle=":")
        ax.grid(alpha=0.25)
