"""The grokking time over one or two swept settings."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.figures.plot import panel
from groktime.reduced.figures.style import (
    ALPHA,
    BLUE,
    ETA_D,
    ETA_R,
    GREY,
    MESSINESS,
    STEPS,
    Floats,
    cell_edges,
    file_label,
    is_wide,
    positive,
    scale_x,
)
from groktime.reduced.flow import Status

Bools = NDArray[np.bool_]

_FEW = 8  # values of an axis that are all named

_NAMES = {
    "gamma": "weight decay  γ",
    "eta_d": f"learning rate of the decoder  {ETA_D} (per step)",
    "eta_r": f"learning rate of the representation  {ETA_R} (per step)",
    "alpha": ALPHA,
    "m": MESSINESS,
}
# status: grey, hatch, and what the legend says; for cells in which there is no time to show
_GREYS = {
    Status.ALREADY: ("#FFFFFF", "..", "already generalized at the start"),
    Status.GENERALIZES: ("#F0F0F0", "--", "half of the seeds never generalize"),
    Status.NEVER: ("#DDDDDD", "//", "never"),
    Status.TRAPPED: ("#C4C4C4", "xx", "trapped in a ridge"),
    Status.COLLAPSES: ("#A8A8A8", "\\\\", "collapses through the wall"),
    Status.OUTSIDE: ("#EEEEEE", "oo", "outside of what was sampled"),
    Status.UNFITTED: ("#BBBBBB", "\\\\", "the training set is never fitted"),
}


def heading(ds: xr.Dataset) -> str:
    """Which source, and the settings that are not swept."""
    fixed = ", ".join(
        f"{_NAMES[n].split('  ')[-1].split(' ')[0]} = {ds.attrs[n]:g}" for n in _NAMES if n in ds.attrs
    )
    return f"{file_label(ds.attrs['source'])}: grokking time ({fixed})"


@panel("groktime-what-if", "what_if", title=heading, size=(9.0, 6.5))
def draw_what_if(ax: Axes, ds: xr.Dataset) -> list[Artist]:
    """The result of `what_if` as a map over its two swept settings, or a line over its one.

    The map has a contour at each decade of steps; the line a band from `low` to `high` (open to the
    top where some may never generalize). Where there is no time, the status is shown in grey.

    Raises
    ------
    InputError : unless one or two settings are swept: choose from the others with `ds.sel(…)`.
    """
    names = list(map(str, ds["t_grok"].dims))
    if len(names) not in (1, 2):
        raise InputError(
            f"plot: {len(names)} settings are swept ({', '.join(names) or 'none'}); "
            "expected one or two, for example ds.isel(alpha=0)"
        )
    ds = ds.sortby(names)
    return _line(ax, ds, names[0]) if len(names) == 1 else _map(ax, ds, names[0], names[1])


def _map(ax: Axes, ds: xr.Dataset, across: str, up: str) -> list[Artist]:
    x, y = (np.asarray(ds[name].values, float) for name in (across, up))
    times = positive(np.asarray(ds["t_grok"].transpose(up, across).values, float))
    status = ds["status"].transpose(up, across).values
    logarithmic = _in_logarithms(x), _in_logarithms(y)
    edges = cell_edges(x, logarithmic[0]), cell_edges(y, logarithmic[1])
    for axis, name, values in ((ax.xaxis, across, x), (ax.yaxis, up, y)):
        axis.set_label_text(_NAMES.get(name, name))
        if _in_logarithms(values):
            (ax.set_xscale if axis is ax.xaxis else ax.set_yscale)("log")
            if len(values) < _FEW:
                axis.set_ticks(list(values), labels=[f"{v:g}" for v in values])
            axis.set_minor_formatter(NullFormatter())
    ax.set_xlim(edges[0][0], edges[0][-1])
    ax.set_ylim(edges[1][0], edges[1][-1])
    known = times[np.isfinite(times)]
    if known.size:
        low, high = float(known.min()), float(known.max())
        norm = LogNorm(low, high) if low < 0.9 * high else LogNorm(low / 2, high * 2)
        shown = np.ma.masked_invalid(times)
        mesh = ax.pcolormesh(*edges, shown, norm=norm, cmap="viridis", rasterized=True)
        ax.figure.colorbar(mesh, ax=ax, label=f"grokking time ({STEPS}, log scale)")
        _decades(ax, x, y, np.ma.masked_invalid(np.log10(times)))

    def paint(here: Bools, color: str, hatch: str) -> bool:
        if here.any():
            (a, b), cells = edges, np.argwhere(here)
            corners = [
                [(a[i], b[j]), (a[i + 1], b[j]), (a[i + 1], b[j + 1]), (a[i], b[j + 1])] for j, i in cells
            ]
            ax.add_collection(
                PolyCollection(corners, facecolor=color, edgecolor=GREY, linewidth=0, hatch=hatch)
            )
        return bool(here.any())

    def fill(name: Status, color: str, hatch: str) -> bool:
        return paint(np.isnan(times) & (status == name.value), color, hatch)

    return _legend(fill) + _unresolved(ds.transpose(up, across), times, paint)


def _in_logarithms(values: Floats) -> bool:
    """Whether an axis of a map is drawn in logarithms: a wide one, and one whose cells would reach below 0,
    where there are no rates and no decays."""
    return is_wide(values) or bool(len(values) > 1 and cell_edges(values)[0] <= 0 < values[0])


def _unresolved(ds: xr.Dataset, times: Floats, paint: Callable[[Bools, str, str], bool]) -> list[Artist]:
    """Hatches the times that come with a remark."""
    if not paint((ds["remark"].values != "") & np.isfinite(times), "none", "////"):
        return []
    label = "with a remark"
    return [Patch(facecolor="none", edgecolor=GREY, hatch="////", linewidth=0, label=label)]


def _decades(ax: Axes, x: Floats, y: Floats, power: np.ma.MaskedArray) -> None:
    """Contours at 10^k steps, where the map reaches them."""
    if min(power.shape) < 2 or power.count() < 4:
        return
    low, high = float(power.min()), float(power.max())
    levels = [k for k in range(max(math.ceil(low), 0), math.floor(high) + 1) if low < k < high]
    if not levels:
        return
    lines = ax.contour(x, y, power, levels, colors="white", linewidths=1.2, linestyles="-")
    outline = [Stroke(linewidth=2.4, foreground="black"), Normal()]
    lines.set_path_effects(outline)
    for text in ax.clabel(lines, fmt=lambda k: f"$10^{{{k:.0f}}}$", fontsize=11):
        text.set_path_effects(outline)


def _line(ax: Axes, ds: xr.Dataset, name: str) -> list[Artist]:
    x = np.asarray(ds[name].values, float)
    times, low, high = (positive(np.asarray(ds[n].values, float)) for n in ("t_grok", "low", "high"))
    known = np.concatenate([v[np.isfinite(v)] for v in (times, low, high)])
    if known.size:
        ax.set_yscale("log")
        bottom, top = float(known.min()) / 1.5, float(known.max()) * 1.5
        band = np.isfinite(times)
        ax.fill_between(
            x,
            np.clip(low, bottom, top),
            np.clip(high, bottom, top),
            where=band,
            color=BLUE,
            alpha=0.25,
            linewidth=0,
        )
        ax.plot(x, times, color=BLUE, linewidth=2, marker="o", markersize=3.5)
        ax.set_ylim(bottom, top)
    else:
        ax.set_yticks([])
    status = ds["status"].values
    edges = cell_edges(x, is_wide(x))

    def paint(here: Bools, color: str, hatch: str) -> bool:
        for k in np.flatnonzero(here):
            ax.axvspan(
                edges[k],
                edges[k + 1],
                facecolor=color,
                edgecolor=GREY,
                linewidth=0,
                hatch=hatch,
                zorder=0,
            )
        return bool(here.any())

    def fill(which: Status, color: str, hatch: str) -> bool:
        return paint(np.isnan(times) & (status == which.value), color, hatch)

    scale_x(ax, x)
    ax.set(xlabel=_NAMES.get(name, name), ylabel=f"grokking time ({STEPS})")
    ax.set_xlim(edges[0], edges[-1])
    ax.grid(alpha=0.25)
    shades: list[Artist] = (
        [Patch(color=BLUE, alpha=0.25, linewidth=0, label="90 % (low to high)")]
        if np.isfinite(low).any()
        else []
    )
    return shades + _legend(fill) + _unresolved(ds, times, paint)


def _legend(fill: Callable[[Status, str, str], bool]) -> list[Artist]:
    return [
        Patch(facecolor=color, edgecolor=GREY, hatch=hatch, linewidth=0, label=label)
        for status, (color, hatch, label) in _GREYS.items()
        if fill(status, color, hatch)
    ]
