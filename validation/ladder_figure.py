"""The picture of a ladder: times in ηγt from rung to rung, and below the ratios that lead there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from groktime.reduced.figures.file import check_figure, save
from groktime.reduced.figures.style import BLACK, PALETTE, new_figure, remark
from groktime.validation.ladder_text import middle, ratios, settings

if TYPE_CHECKING:
    from groktime.validation.ladder import Ladder

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


def plot_ladder(ladder: Ladder, path: str | Path, overwrite: bool = False) -> Path:
    """Above: ηγt on each rung; small: seeds, joined: medians over the seeds of each setting, where more than
    half have a time. Open triangles: networks that had not generalized when training ended; open
    triangles that point down: seeds that pass at the start. Below: each rung
    over the one above it; bars: medians over settings and seeds.
    """
    path = check_figure(path, overwrite)
    rows = ladder.table
    times = rows["t_grok"].values
    if not (times > 0).any():
        figure = new_figure(6, 3)
        remark(figure.subplots(), "no rung has a time above 0")
        return save(figure, path, overwrite)
    figure = new_figure(11.0, 8.5)
    above, below = np.ravel(np.asarray(figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1)), object))
    rate = (rows["gamma"] * rows["eta_d"]).values
    count, medians, found = len(rate), middle(rows), ratios(rows)
    names = settings(rows)
    places = np.arange(len(ladder.rungs))
    for k in range(count):
        colour, mark = PALETTE[k % len(PALETTE)], _MARKS[(k // len(PALETTE)) % len(_MARKS)]
        aside = places + _WIDTH * ((k + 0.5) / count - 0.5)
        label = ", ".join(f"{_WORDS[name]} = {values[k]:.4g}" for name, values in names.items())
        tau = times[k] * rate[k]
        shown = np.where(tau > 0, tau, np.nan)
        at = np.broadcast_to(aside, tau.shape)
        above.scatter(at, shown, s=14, color=colour, marker=mark, alpha=0.5, linewidths=0)
        line = np.where(medians[k] > 0, medians[k] * rate[k], np.nan)
        above.plot(aside, line, color=colour, marker=mark, markersize=6, linewidth=1.2, label=label)
        late = np.isnan(tau) & np.isfinite(rows["last"].values[k])
        last = rows["last"].values[k] * rate[k]
        above.scatter(at[late], last[late], s=34, marker="^", facecolors="white", edgecolors=colour, zorder=3)
        ready = np.where((tau == 0).any(0), 0.02, np.nan)  # of the panel's height
        above.scatter(
            aside, ready, s=34, marker="v", facecolors="white", edgecolors=colour,
            transform=above.get_xaxis_transform(),
        )  # fmt: skip
        below.scatter(at, found[k], s=14, color=colour, marker=mark, alpha=0.6, linewidths=0)
    for place in places:
        own = found[..., place][np.isfinite(found[..., place])]
        if own.size:
            below.hlines(np.median(own), place - 0.35, place + 0.35, color=BLACK, linewidth=2)
    below.axhline(1, color=BLACK, linewidth=0.8, alpha=0.5)
    above.set(yscale="log", ylabel=r"$\eta_D\gamma t$")
    below.set(yscale="log", ylabel="over the rung above")
    for ax in (above, below):
        ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        if np.ptp(np.log10(ax.get_ylim())) < 2:
            ax.yaxis.set_minor_formatter(lambda y, _: f"{y:.2g}" if f"{y:e}"[0] in "235" else "")
            ax.grid(alpha=0.25, axis="y", which="both")
        ax.grid(alpha=0.25, axis="y")
    below.set_xlim(-0.5, len(places) - 0.5)
    below.set_xticks(places, [_folded(r.words) for r in ladder.rungs])
    if (np.isnan(times) & np.isfinite(rows["last"].values)).any():
        above.scatter([], [], s=34, marker="^", facecolors="white", edgecolors=BLACK, label="later than here")
    if (times == 0).any():
        above.scatter(
            [], [], s=34, marker="v", facecolors="white", edgecolors=BLACK, label="there from the start"
        )
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    seeds = rows.sizes["seed"]
    figure.suptitle(f"{rows.attrs['task']}: from rung to rung; settings: {count}, seeds: {seeds}")
    return save(figure, path, overwrite)


def _folded(words: str) -> str:
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + len(word) >= _STEM:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
