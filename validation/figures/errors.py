"""Predicted over measured times by what was set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
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
    scale_x,
)
from groktime.validation.figures.columns import COMPARISON, DRAWN, errors_shown, heading, log_error, thinned
from groktime.validation.report import places_of

if TYPE_CHECKING:
    from groktime.validation.comparison import Comparison

Floats = NDArray[np.float64]

_NAMES = {
    "gamma": "weight decay  γ",
    "alpha": "start  α",
    "eta_d": r"learning rate  $\eta_D$",
    "seed": "seed",
}
_MARKERS = "oxs^vD+"
_NARROW = np.log(8)  # spread of ln(predicted/measured), with 0
_ASIDE = 0.012  # of the axis: runs of equal settings side by side


@composite(COMPARISON, "errors", when=lambda _: False)
def errors_figure(comparison: Comparison) -> Figure:
    """Predicted over measured t_grok against those of γ, α, η and the seed that have several values, of each
    source, and of its closed forms where they differ from it."""
    table = comparison.table
    names = errors_shown(table)
    if not names:
        figure = new_figure(6.0, 4.0)
        remark(figure.subplots(), "no run has both times")
        entitle(figure, heading(comparison))
        return figure
    errors = {name: log_error(table, name) for name in names}
    known = np.isfinite(list(errors.values())).any(0)
    varied = [k for k in _NAMES if len(np.unique(table[k].values[known])) > 1] or ["gamma"]
    across, down = min(2, len(varied)), -(-len(varied) // 2)
    figure = new_figure(1 + 4.5 * across, 1 + 3 * down)
    panels = panels_of(figure, down, across, sharey=True)
    for ax in panels[len(varied) :]:
        ax.set_axis_off()
    every = np.concatenate([e[np.isfinite(e)] for e in errors.values()])
    narrow = float(np.ptp(np.append(every, 0.0))) < _NARROW
    for ax, setting in zip(panels, varied, strict=False):
        words = _NAMES[setting]
        _draw_errors(ax, table[setting].values.astype(float), errors, table["alpha"].values)
        ax.set(xlabel=words, yscale="log")
        ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        # between the decades only where there are few of them, or the numbers lie on one another
        ax.yaxis.set_minor_formatter((lambda y, _: f"{y:g}") if narrow else NullFormatter())
        ax.grid(alpha=0.25, which="both" if narrow else "major", axis="y")
    for ax in panels[::across]:
        ax.set_ylabel("predicted / measured")
    legend_below(figure, panels[0].get_legend_handles_labels()[0], 4)
    n = int(np.isfinite(errors[names[0]]).sum())
    some = f", {DRAWN} of them drawn" if n > DRAWN else ""
    entitle(figure, f"{heading(comparison)}: the {n} with both times{some}; lines: medians")
    return figure


def _draw_errors(ax: Axes, values: Floats, errors: dict[str, Floats], alpha: Floats) -> None:
    """The ratios of each predictor over one setting, runs of equal settings side by side."""
    known = np.isfinite(list(errors.values())).any(0)
    logarithmic = _scale(ax, values[known])
    for k, (name, error) in enumerate(errors.items()):
        some = np.isfinite(error)
        ratio, at = np.exp(error[some]), values[some]
        drawn = thinned(np.ones(len(at), bool))
        place = _aside(at, alpha[some], k - (len(errors) - 1) / 2, logarithmic)
        color, marker = PALETTE[k % len(PALETTE)], _MARKERS[k % len(_MARKERS)]
        ax.scatter(
            place[drawn],
            ratio[drawn],
            s=16,
            marker=marker,
            color=color,
            alpha=0.6,
            linewidths=1,
            label=literal(name),
        )
        each, which = np.unique(at, return_inverse=True)
        middles = [np.median(ratio[mine]) for mine in places_of(which, len(each))]
        ax.plot(each, middles, color=color, linewidth=1.5)
    ax.axhline(1, color=BLACK, linewidth=1)


def _scale(ax: Axes, values: Floats) -> bool:
    each = np.unique(values)
    if len(each) < 8 and not (each.min() > 0 and each.max() > 5 * each.min()):
        ax.set_xticks(each, [f"{v:g}" for v in each])
    scale_x(ax, each)
    if len(each) == 1:
        ax.set_xlim(each[0] - (abs(each[0]) or 1), each[0] + (abs(each[0]) or 1))
    return str(ax.get_xscale()) == "log"


def _aside(at: Floats, alpha: Floats, shift: float, logarithmic: bool) -> Floats:
    """The places, each start α a little beside the others so that they do not hide one another."""
    each, which = np.unique(alpha, return_inverse=True)
    steps = _ASIDE * (which - (len(each) - 1) / 2 + shift / 2)
    if logarithmic:
        return np.asarray(at * (at.max() / at.min()) ** steps)
    return np.asarray(at + steps * (np.ptp(at) or abs(at[0]) or 1.0))
