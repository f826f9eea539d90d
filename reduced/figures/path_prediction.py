"""The picture of a prediction from a decay path: its curves against τ = ηγt, and where they pass."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from groktime.reduced.figures.decay_path import ROOM, Curves, draw_curves
from groktime.reduced.figures.plot import composite
from groktime.reduced.figures.prediction import words
from groktime.reduced.figures.style import (
    BLACK,
    BLUE,
    ETA_D,
    PURPLE,
    STEPS,
    VERMILLION,
    entitle,
    file_label,
    legend_below,
    new_figure,
    number,
    panels_of,
    remark,
)
from groktime.reduced.flow import Status
from groktime.reduced.report import interval

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction

PATH = "groktime.reduced.path_source.PathDetail"  # what is behind a prediction from a decay path
_APART = 0.022  # of the panel, between the marks of seeds


@composite(PATH, "prediction")
def path_prediction_figure(p: Prediction) -> Figure:
    """A prediction from a decay path.

    Test and training accuracy (or losses, as the prediction was asked for) of each seed against
    τ = ηγt, a color for each resolution; the upper axis is in steps of the run. Marked are τ_c of each
    seed, with its error (one a little above the other), and the predicted time with its interval. Between
    sampled starts the curves are those of the two next to it.
    """
    figure = new_figure(9.0, 7.5)
    test, train = panels_of(figure, 2, 1, sharex=True, height_ratios=(2.2, 1))
    starts = _sampled_starts(p)
    entitle(figure, _heading(p, starts))
    if not starts:
        remark(test, f"the start α = {p.settings['alpha']:g} lies outside what was sampled")
        train.set_axis_off()
        return figure
    curves = _curves(p, starts)
    handles = draw_curves(test, curves, "test") + _threshold(test, p)
    draw_curves(train, curves, "train")
    train.set_xlabel(_axis(p.settings["implicit"], p.settings["onset"]))
    handles += _marks(test, train, p)
    _steps_above(test, p)
    legend_below(figure, handles)
    return figure


def _axis(implicit: float, onset: float) -> str:
    if not implicit:
        return r"$\tau = \eta\gamma t$"
    if not onset:
        return rf"$\tau = \eta(\gamma + {implicit:.3g})t$"
    return rf"$\tau = \eta(\gamma t + {implicit:.3g}\,(t - {onset:.0f})_+)$"


def _curves(p: Prediction, starts: list[int]) -> Curves:
    s, path = p.settings, p.source.path
    m = float(path.m_start[0] if s["m"] is None else s["m"])
    seeds = [q.seed for q in p.seeds]
    drift = s["implicit"], s["onset"]
    return Curves(path, s["metric"], starts, seeds, s["n_train"], m, p.detail.gamma_eff, *drift)


def _heading(p: Prediction, starts: list[int]) -> str:
    s, name = p.settings, file_label(p.source.path.source)
    messiness = "" if s["m"] is None else f", m = {s['m']:g}"
    first = (
        f"{name}, N = {s['n_train']}: γ = {s['gamma']:g}, {ETA_D} = {s['eta_d']:g}, "
        f"start α = {s['alpha']:g}{messiness}"
    )
    if len(starts) > 1:
        first += " (curves: α = {:g} and {:g}, dashed)".format(*p.source.path.alpha[starts])
    if not math.isfinite(p.t_grok):
        return f"{first}\nstatus: {p.status.value}"
    seeds = f"median of {len(p.seeds)} seeds, " if len(p.seeds) > 1 else ""
    read = " and ".join(f"{g:.3g}" for g in p.detail.gamma_eff)
    return (
        f"{first}\n{p.status.value}: {number(p.t_grok)} steps "
        f"({seeds}{interval(p, words)}); read at $\\gamma_{{eff}}$ = {read}"
    )


def _sampled_starts(p: Prediction) -> list[int]:
    """The start that was sampled, or the two next to it; none outside."""
    alpha, known = p.settings["alpha"], p.source.path.alpha
    near = np.flatnonzero(np.isclose(known, alpha, rtol=1e-9, atol=0))
    if near.size:
        return [int(near[0])]
    k = int(np.searchsorted(known, alpha))
    return [k - 1, k] if 0 < k < len(known) else []


def _threshold(ax: Axes, p: Prediction) -> list[Artist]:
    levels = [q.threshold for q in p.seeds if math.isfinite(q.threshold)]
    if not levels:
        return []
    line = ax.axhline(float(np.median(levels)), color=PURPLE, linewidth=1, linestyle="--")
    line.set_label(f"threshold {float(np.median(levels)):.3g}")
    return [line]


def _marks(test: Axes, train: Axes, p: Prediction) -> list[Artist]:
    """τ_c by seed with its error; predicted time, its interval, and the fit, in τ of the run."""
    handles: list[Artist] = []
    clock = p.detail.clock
    goes = [q for q in p.seeds if q.status in (Status.GENERALIZES, Status.ALREADY)]
    if goes:
        tau, level = (np.array(x) for x in ([q.detail.tau_c for q in goes], [q.threshold for q in goes]))
        error = np.nan_to_num([q.detail.tau_error for q in goes])
        if p.settings["metric"] == "accuracy":
            level = level + _APART * np.ptp(test.get_ylim()) * (np.arange(len(goes)) - (len(goes) - 1) / 2)
        bars = test.errorbar(
            tau, level, xerr=np.stack([np.minimum(error, tau), error]), fmt="o", color=VERMILLION,
            markersize=5, linewidth=1.4, capsize=3, zorder=5, label=r"$\tau_c$ of each seed, its error",
        )  # fmt: skip
        handles.append(bars)  # type: ignore[arg-type]
    if not math.isfinite(p.t_grok):
        return handles
    edge = max(test.get_xlim()[1], ROOM * float(clock.tau(p.t_grok)))
    test.set_xlim(0, edge)
    # an end that is not known is not drawn: the band goes on to the edge
    low, high = (min(float(clock.tau(t)), edge) for t in np.nan_to_num(p.interval, nan=np.inf))
    for ax in (test, train):
        if not math.isnan(p.low):
            ax.axvspan(low, high, color=BLUE, alpha=0.13, linewidth=0, zorder=0)
        ax.axvline(float(clock.tau(p.t_grok)), color=BLUE, linewidth=1.6)
        ax.axvline(float(clock.tau(p.t_mem)), color=BLACK, linewidth=1, linestyle=":")
    handles.append(Line2D([], [], color=BLUE, linewidth=1.6, label="predicted to generalize"))
    handles.append(Patch(color=BLUE, alpha=0.13, linewidth=0, label="90 %"))
    handles.append(Line2D([], [], color=BLACK, linewidth=1, linestyle=":", label="predicted to memorize"))
    return handles


def _steps_above(ax: Axes, p: Prediction) -> None:
    clock = p.detail.clock
    if clock.rate <= 0:
        return
    above = ax.secondary_xaxis("top", functions=(clock.steps, clock.tau))
    above.set_xlabel(f"{STEPS} of the run")
    above.xaxis.set_major_formatter(lambda t, _: number(t))
