"""The picture of a prediction from a decay path: its curves against τ = ηγt, and where they pass."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from groktime.reduced.figures.file import check_figure, save
from groktime.reduced.figures.style import (
    BLACK,
    BLUE,
    ETA_D,
    PURPLE,
    STEPS,
    VERMILLION,
    Floats,
    new_figure,
    number,
    positive,
    remark,
)
from groktime.reduced.flow import Status
from groktime.reduced.prediction import Prediction

_SHADES = (0.25, 0.95)  # of the colour map, from the coarsest resolution to the finest
_ROOM = 1.08
_DASHES = ("-", "--")  # of two starts: the smaller, the larger
_APART = 0.022  # of the panel, between the marks of seeds


def plot_path(p: Prediction, path: str | Path, overwrite: bool = False) -> Path:
    """Draw a prediction from a decay path into a PNG, PDF or SVG.

    Test and training accuracy (or losses, as the prediction was asked for) of each seed against
    τ = ηγt, a colour for each resolution; the upper axis is in steps of the run. Marked are τ_c of each
    seed, with its error (one a little above the other), and the predicted time with its interval. Between
    sampled starts the curves are those of the two next to it.

    Raises
    ------
    InputError : for a bad suffix, a file that exists, a folder that cannot be written to.
    """
    path = check_figure(path, overwrite)
    figure = new_figure(9.0, 7.5)
    test, train = np.ravel(np.asarray(figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1)), object))
    starts = _sampled_starts(p)
    if not starts:
        remark(test, f"the start α = {p.settings['alpha']:g} lies outside what was sampled")
        train.set_axis_off()
    else:
        handles = _curves(test, p, starts, "test") + _threshold(test, p)
        _curves(train, p, starts, "train")
        own = p.settings["implicit"]
        train.set_xlabel(rf"$\tau = \eta(\gamma + {own:g})t$" if own else r"$\tau = \eta\gamma t$")
        handles += _marks(test, train, p)
        _steps_above(test, p)
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(_heading(p, starts), fontsize="medium")
    return save(figure, path, overwrite)


def _heading(p: Prediction, starts: list[int]) -> str:
    s, name = p.settings, Path(p.source.path.source).name
    messiness = "" if s["m"] is None else f", m = {s['m']:g}"
    first = (
        f"{name}, N = {s['n_train']}: γ = {s['gamma']:g}, {ETA_D} = {s['eta_d']:g}, "
        f"start α = {s['alpha']:g}{messiness}"
    )
    if len(starts) > 1:
        first += " (curves: α = {:g} and {:g}, dashed)".format(*p.source.path.alpha[starts])
    if not math.isfinite(p.t_grok):
        return f"{first}\nstatus: {p.status.value}"
    low, high = p.interval
    upper = number(high) if math.isfinite(high) else "never"
    seeds = f"median of {len(p.seeds)} seeds, " if len(p.seeds) > 1 else ""
    read = " and ".join(f"{g:.3g}" for g in p.detail.gamma_eff)
    return (
        f"{first}\n{p.status.value}: {number(p.t_grok)} steps "
        f"({seeds}90 %: {number(low)} to {upper}); read at $\\gamma_{{eff}}$ = {read}"
    )


def _sampled_starts(p: Prediction) -> list[int]:
    """The start that was sampled, or the two next to it; none outside."""
    alpha, known = p.settings["alpha"], p.source.path.alpha
    near = np.flatnonzero(np.isclose(known, alpha, rtol=1e-9, atol=0))
    if near.size:
        return [int(near[0])]
    k = int(np.searchsorted(known, alpha))
    return [k - 1, k] if 0 < k < len(known) else []


def _curves(ax: Axes, p: Prediction, starts: list[int], part: str) -> list[Artist]:
    """Each seed a line; the resolutions that were read are thick, and of two starts the only ones."""
    s, path = p.settings, p.source.path
    rows = [path.place("seed", q.seed) for q in p.seeds]
    m = path.m_start[0] if s["m"] is None else s["m"]
    place = path.place("n_train", s["n_train"]), path.place("m_start", float(m))
    # [start, seed, refit, tau]
    held = np.asarray(path.dataset[f"{part}_{s['metric']}"].values[rows, *place], float)
    values = np.moveaxis(held[:, starts], 1, 0)
    shades = np.linspace(*_SHADES, len(path.refit))
    handles: list[Artist] = []
    for k, (refit, gamma) in enumerate(zip(path.refit, path.gamma_eff, strict=True)):
        read = any(math.isclose(gamma, g, rel_tol=1e-9) for g in p.detail.gamma_eff)
        if not read and len(starts) > 1:
            values[:, :, k] = np.nan
            continue
        colour, width = colormaps["viridis_r"](shades[k]), 1.8 if read else 0.9
        for dash, of_start in zip(_DASHES[: len(starts)], values, strict=True):
            for one in of_start[:, k]:
                shown = positive(one) if s["metric"] == "loss" else one
                ax.plot(
                    path.tau * (1 + s["implicit"] / gamma),
                    shown,
                    dash,
                    color=colour,
                    linewidth=width,
                    alpha=0.85,
                )
        label = rf"refit {refit}, $\gamma_{{eff}}$ = {gamma:.3g}" + (" (read)" if read else "")
        handles.append(Line2D([], [], color=colour, linewidth=width, label=label))
    ax.set_ylabel(f"{'training' if part == 'train' else part} {s['metric']}")
    if s["metric"] == "loss":
        ax.set_yscale("log")
    else:
        ax.set_ylim(min(0.9, float(np.nanmin(values, initial=1.0))) - 0.03, 1.04)
    known = np.isfinite(values).any((0, 1, 2))
    if part == "test" and known.any():
        longest = float(path.tau[known][-1]) * (1 + s["implicit"] / float(path.gamma_eff[-1]))
        ax.set_xlim(0, _ROOM * longest)
    ax.grid(alpha=0.25)
    return handles


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
    rate = p.detail.rate
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
    edge = max(test.get_xlim()[1], _ROOM * rate * p.t_grok)
    test.set_xlim(0, edge)
    low, high = (min(rate * t, edge) for t in p.interval)
    for ax in (test, train):
        ax.axvspan(low, high, color=BLUE, alpha=0.13, linewidth=0, zorder=0)
        ax.axvline(rate * p.t_grok, color=BLUE, linewidth=1.6)
        ax.axvline(rate * p.t_mem, color=BLACK, linewidth=1, linestyle=":")
    handles.append(Line2D([], [], color=BLUE, linewidth=1.6, label="predicted to generalise"))
    handles.append(Patch(color=BLUE, alpha=0.13, linewidth=0, label="90 %"))
    handles.append(Line2D([], [], color=BLACK, linewidth=1, linestyle=":", label="predicted to memorise"))
    return handles


def _steps_above(ax: Axes, p: Prediction) -> None:
    rate = p.detail.rate
    if rate <= 0:
        return

    def steps(tau: ArrayLike) -> Floats:
        return np.asarray(np.asarray(tau, float) / rate)

    def tau(t: ArrayLike) -> Floats:
        return np.asarray(np.asarray(t, float) * rate)

    above = ax.secondary_xaxis("top", functions=(steps, tau))
    above.set_xlabel(f"{STEPS} of the run")
    above.xaxis.set_major_formatter(lambda t, _: number(t))
