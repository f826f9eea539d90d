"""Predicted against measured times of each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from groktime.reduced.figures.plot import panel
from groktime.reduced.figures.style import BLACK, PALETTE, STEPS, literal, remark
from groktime.reduced.source import COVERAGE
from groktime.validation.figures.columns import (
    COMPARISON,
    heading,
    interval,
    measured,
    predicted,
    shown,
    thinned,
)

if TYPE_CHECKING:
    from groktime.validation.comparison import Comparison

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_WITHIN = 100.0  # axes that span less than this factor have plain numbers


@panel(COMPARISON, "predicted", title=heading, size=(7.5, 7.0))
def draw_predicted(ax: Axes, comparison: Comparison, *, predictor: str | None = None) -> list[Artist]:
    """Predicted against measured t_grok of each run, on log axes, with the line of equality.

    `predictor`: default the first source. Colors: α at the start. Filled: delay at least five times t_mem;
    open circles: short. Open triangles: runs that never generalized, at the last step to which they were
    watched; their time is further right. Bars: the 90 % interval of the run's seed, or where the source does
    not have it, over seeds.
    """
    table, predictor = comparison.table, shown(comparison.table, predictor)
    y, time = predicted(table, predictor), measured(table)
    never = np.isnan(time)
    x = np.where(never, table["last"].values, time)
    known = (y > 0) & (x > 0)
    if not known.any():
        remark(ax, "no run has both a predicted and a measured time above 0")
        return []
    with_times, drawn = int(known.sum()), thinned(known)
    low, high = interval(table, predictor)
    barred = known & np.isfinite(low) & (low > 0)
    top = np.where(np.isfinite(high), high, 10 * np.nanmax(y[known]))
    alpha, short = table["alpha"].values, table["short"].values.astype(bool)
    for k, a in enumerate(np.unique(alpha[known])):
        color, mine = PALETTE[k % len(PALETTE)], drawn & (alpha == a)
        ax.plot([], [], "o", color=color, label=f"α = {a:g}")
        bars = mine & barred
        ax.vlines(x[bars], low[bars], top[bars], color=color, linewidth=1, alpha=0.5)
        for chosen, marker, fill in (
            (mine & ~never & ~short, "o", color),
            (mine & ~never & short, "o", "white"),
            (mine & never, ">", "white"),
        ):
            ax.scatter(
                x[chosen], y[chosen], s=28, marker=marker, facecolors=fill, edgecolors=color, linewidths=1.2,
                zorder=3,
            )  # fmt: skip
    both = np.concatenate([x[known], y[known]])
    ends = np.array([both.min() * 0.8, both.max() * 1.25])
    ax.plot(ends, ends, color=BLACK, linewidth=1, zorder=1, label="predicted = measured")
    _explain(ax, barred, known & short & ~never, known & never)
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    if ends[1] < _WITHIN * ends[0]:  # 2 × 10² says less than 200
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
            axis.set_minor_formatter(NullFormatter())
    without = int((~known).sum())
    left_out = f"\n({without} runs without a predicted time above 0 are not drawn)" if without else ""
    some = int(drawn.sum())
    left_out += f"\n({some} of {with_times} runs are drawn)" if some < with_times else ""
    ax.set(xlabel=f"measured, {STEPS}{left_out}", ylabel=f"predicted by {literal(predictor)}, {STEPS}")
    ax.grid(alpha=0.25)
    return list(ax.get_legend_handles_labels()[0])


def _explain(ax: Axes, barred: Bools, short: Bools, never: Bools) -> None:
    """Entries of the legend for the marks that there are."""
    if barred.any():
        ax.vlines([], [], [], color=BLACK, linewidth=1, alpha=0.5, label=f"interval, {COVERAGE:.0%}")
    if short.any():
        ax.plot([], [], "o", color=BLACK, markerfacecolor="white", label="short delay")
    if never.any():
        ax.plot([], [], ">", color=BLACK, markerfacecolor="white", label="never generalized: later than here")
