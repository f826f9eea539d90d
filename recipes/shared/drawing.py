"""What the recipes of landscapes over N, of curves against steps and of times draw alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from groktime.recipes.shared.tables import number
from groktime.reduced.figures.style import ALPHA, PALETTE, STEPS, scale_x

FIRST_STEP = 10  # curves begin here


def draw_sizes(ax: Axes, land: xr.Dataset, values: Callable[[xr.DataArray], xr.DataArray], of: str) -> None:
    """A reduced quantity against α, the median over seeds at the last budget: test (lines) and training
    (dotted) for each N. `of`: the variables' second half, "loss" or "accuracy"."""
    one = land.isel(budget=-1, m=0)
    for colour, n in zip(PALETTE, one["n_train"].values, strict=False):
        for part, style in (("test", "o-"), ("train", "o:")):
            y = values(one[f"{part}_{of}"].sel(n_train=n)).median("seed")
            label = f"N = {n:,}" if part == "test" else None
            ax.plot(one["alpha"], y, style, color=colour, markersize=3, label=label)
    scale_x(ax, np.asarray(one["alpha"], float))
    ax.set_xlabel(ALPHA)
    ax.legend(title="test (dotted: training)", frameon=False, fontsize="small")


def draw_steps(ax: Axes, runs: xr.Dataset, name: str, label: str, colour: str, style: str = "-") -> None:
    """A curve against steps: the runs thin, their median thick."""
    late = runs.isel(time=np.flatnonzero(runs["step"].values >= FIRST_STEP))
    ax.plot(late["step"], late[name].transpose("time", "run"), style, color=colour, alpha=0.35, lw=0.8)
    ax.plot(late["step"], late[name].median("run"), style, color=colour, lw=2, label=label or None)
    ax.set(xscale="log", xlabel=STEPS)


def in_plain(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
    axis.set_minor_formatter(NullFormatter())


def labelled(axes: Iterable[Axes]) -> dict[str, Artist]:
    """What a key over several panels shows: of each label the first that has it."""
    found: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return found
