"""The picture of a ladder: times in ηγt from rung to rung, and below the ratios that lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from groktime.reduced.figures.plot import composite
from groktime.reduced.figures.style import (
    BLACK,
    PALETTE,
    entitle,
    legend_below,
    literal,
    new_figure,
    panels_of,
    remark,
)
from groktime.validation.ladder_text import middle, ratios, settings

if TYPE_CHECKING:
    from groktime.validation.ladder import Ladder

Floats = NDArray[np.float64]

_MARKS = "osD^vPX*<>"
_WIDTH = 0.5  # of a rung, over which its settings lie side by side
_WORDS = {
    "n_train": "N",
    "gamma": "γ",
    "eta_d": r"$\eta_D$",
    "eta_r": r"$\eta_R$",
    "alpha": "α",
    "m_start": "m",
}
_STEM = 18  # letters of a rung's name in a line


@composite("groktime.validation.ladder.Ladder", "ladder")
def ladder_figure(ladder: Ladder) -> Figure:
    """Above: ηγt on each rung; small: seeds, joined: medians over the seeds of each setting, where more than
    half have a time. Open triangles: networks that had not generalized when training ended; open
    triangles that point down: seeds that pass at the start. Below: each rung
    over the one above it; bars: medians over settings and seeds.
    """
    rows = ladder.table
    times = rows["t_grok"].values
    if not (times > 0).any():
        figure = new_figure(6, 3)
        remark(figure.subplots(), "no rung has a time above 0")
        return figure
    figure = new_figure(11.0, 8.5)
    above, below = panels_of(figure, 2, 1, sharex=True, height_ratios=(1.5, 1))
    _draw_times(above, ladder)
    _draw_ratios(below, ladder)
    for ax in (above, below):
        ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        if np.ptp(np.log10(ax.get_ylim())) < 2:
            ax.yaxis.set_minor_formatter(lambda y, _: f"{y:.2g}" if f"{y:e}"[0] in "235" else "")
            ax.grid(alpha=0.25, axis="y", which="both")
        ax.grid(alpha=0.25, axis="y")
    below.set_xlim(-0.5, len(ladder.rungs) - 0.5)
    below.set_xticks(np.arange(len(ladder.rungs)), [_folded(r.words) for r in ladder.rungs])
    legend_below(figure, above.get_legend_handles_labels()[0], 2)
    count, seeds = rows.sizes["setting"], rows.sizes["seed"]
    entitle(figure, f"{literal(rows.attrs['task'])}: from rung to rung; settings: {count}, seeds: {seeds}")
    return figure


def _mark(k: int, count: int, rungs: int) -> tuple[str, str, Floats]:
    """Color and marker of a setting, and its places beside the others, [rung]."""
    color, mark = PALETTE[k % len(PALETTE)], _MARKS[(k // len(PALETTE)) % len(_MARKS)]
    return color, mark, np.arange(rungs, dtype=np.float64) + _WIDTH * ((k + 0.5) / count - 0.5)


def _draw_times(ax: Axes, ladder: Ladder) -> None:
    rows = ladder.table
    times, last = rows["t_grok"].values, rows["last"].values
    rate = (rows["gamma"] * rows["eta_d"]).values
    medians, names = middle(rows), settings(rows)
    open_mark: dict[str, Any] = {"s": 34, "facecolors": "white"}
    for k in range(len(rate)):
        color, mark, aside = _mark(k, len(rate), len(ladder.rungs))
        tau = times[k] * rate[k]
        at = np.broadcast_to(aside, tau.shape)
        ax.scatter(
            at, np.where(tau > 0, tau, np.nan), s=14, color=color, marker=mark, alpha=0.5, linewidths=0
        )
        line = np.where(medians[k] > 0, medians[k] * rate[k], np.nan)
        label = ", ".join(f"{_WORDS[name]} = {values[k]:.4g}" for name, values in names.items())
        ax.plot(aside, line, color=color, marker=mark, markersize=6, linewidth=1.2, label=label)
        late = np.isnan(tau) & np.isfinite(last[k])
        ax.scatter(at[late], last[k][late] * rate[k], marker="^", edgecolors=color, zorder=3, **open_mark)
        ready = np.where((tau == 0).any(0), 0.02, np.nan)  # of the panel's height
        ax.scatter(
            aside, ready, marker="v", edgecolors=color, transform=ax.get_xaxis_transform(), **open_mark
        )
    if (np.isnan(times) & np.isfinite(last)).any():
        ax.scatter([], [], marker="^", edgecolors=BLACK, label="later than here", **open_mark)
    if (times == 0).any():
        ax.scatter([], [], marker="v", edgecolors=BLACK, label="there from the start", **open_mark)
    ax.set(yscale="log", ylabel=r"$\eta_D\gamma t$")


def _draw_ratios(ax: Axes, ladder: Ladder) -> None:
    found = ratios(ladder.table)
    for k in range(len(found)):
        color, mark, aside = _mark(k, len(found), len(ladder.rungs))
        at = np.broadcast_to(aside, found[k].shape)
        ax.scatter(at, found[k], s=14, color=color, marker=mark, alpha=0.6, linewidths=0)
    for place in range(len(ladder.rungs)):
        known = found[..., place][np.isfinite(found[..., place])]
        if known.size:
            ax.hlines(np.median(known), place - 0.35, place + 0.35, color=BLACK, linewidth=2)
    ax.axhline(1, color=BLACK, linewidth=0.8, alpha=0.5)
    ax.set(yscale="log", ylabel="over the rung above")


def _folded(words: str) -> str:
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + len(word) >= _STEM:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
