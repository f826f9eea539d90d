"""Fig. 2a, the LU mechanism: training loss like an L, test loss like a U, against the norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from groktime.reduced.errors import InputError
from groktime.reduced.figures.plot import composite
from groktime.reduced.figures.style import (
    ALPHA,
    BLUE,
    GREEN,
    VERMILLION,
    Floats,
    entitle,
    file_label,
    literal,
    new_figure,
    panels_of,
    positive,
    scale_x,
)

if TYPE_CHECKING:
    from groktime.reduced.landscape import Landscape

_COLORS = {"train_loss": BLUE, "test_loss": VERMILLION, "train_accuracy": BLUE, "test_accuracy": GREEN}
_LABELS = {"train_loss": "training", "test_loss": "test", "test_accuracy": "test"}
# Losses further below the greatest only say "fitted": they are the rounding of the optimizer.
_DECADES = 8.0


@composite("groktime.reduced.landscape.Landscape", "lu", when=lambda land: not land.two_dimensional)
def lu_figure(land: Landscape, *, n_train: int | None = None, sampled_steps: int | None = None) -> Figure:
    """Fig. 2a: reduced training and test loss, and test accuracy, against α = w/w0, of all seeds.

    For a landscape of w alone (`n_train`, `sampled_steps`: default the largest).
    """
    if land.two_dimensional:
        raise InputError(f"{land.source}: a landscape of (w, m); expected one of w alone for the LU curves")
    figure = new_figure(7.0, 6.5)
    losses, accuracies = panels_of(figure, 2, 1, sharex=True, height_ratios=(2, 1))
    draw_lu(losses, accuracies, land, n_train, sampled_steps)
    entitle(figure, f"{file_label(land.source)}: {literal(land.task)}, {len(land.seeds)} seed(s)")
    return figure


def draw_lu(
    losses: Axes,
    accuracies: Axes,
    land: Landscape,
    n_train: int | None = None,
    sampled_steps: int | None = None,
) -> None:
    """The curves into two panels, one above the other: each seed thin, the median over seeds thick."""
    every = {name: _seeds(land, name, n_train, sampled_steps) for name in _LABELS}
    known = np.concatenate([positive(every[n]).ravel() for n in ("train_loss", "test_loss")])
    known = known[np.isfinite(known)]
    top = float(known.max()) if known.size else 1.0
    low = max(float(known.min(initial=top)), top * 10**-_DECADES)
    for name in ("train_loss", "test_loss"):
        if (every[name] < low).any():
            note = f"losses below {low:.0e} are drawn there"
            losses.text(0.01, 0.02, note, transform=losses.transAxes, fontsize="small")
        every[name] = np.maximum(every[name], low)
        _draw(losses, land.alpha, every[name], name)
    _draw(accuracies, land.alpha, every["test_accuracy"], "test_accuracy")
    scale_x(losses, land.alpha)
    scale_x(accuracies, land.alpha)
    losses.set_yscale("log")
    losses.set_ylim(low / 5, top * 20)
    losses.set_ylabel(f"reduced loss\n({literal(land.dataset.attrs['loss'])})")
    losses.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.2)
    accuracies.set(xlabel=ALPHA, ylabel="test accuracy", ylim=(-0.04, 1.04))
    for ax in (losses, accuracies):
        ax.grid(alpha=0.25)


def _seeds(land: Landscape, name: str, n_train: int | None, sampled_steps: int | None) -> Floats:
    return np.stack(
        [np.asarray(land.one(s, n_train, sampled_steps)[name].values[0], float) for s in land.seeds]
    )


def _draw(ax: Axes, alpha: Floats, every: Floats, name: str) -> None:
    if np.isnan(every).all():
        return
    color = _COLORS[name]
    for values in every:
        ax.plot(alpha, values, color=color, alpha=0.35, linewidth=0.8)
    label = _LABELS[name] + (", median" if len(every) > 1 else "")
    ax.plot(alpha, np.median(every, axis=0), color=color, linewidth=2.4, label=label)
