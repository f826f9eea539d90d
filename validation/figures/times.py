"""Predicted against measured times, and the error by what was set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from groktime.reduced.figures.file import check_figure, save
from groktime.reduced.figures.style import (
    BLACK,
    PALETTE,
    STEPS,
    new_figure,
    remark,
    scale_x,
)
from groktime.reduced.source import COVERAGE
from groktime.validation.table import sources

if TYPE_CHECKING:
    from groktime.validation.comparison import Comparison

Floats = NDArray[np.float64]

_NAMES = {
    "gamma": "weight decay  γ",
    "alpha": "start  α",
    "eta_d": r"learning rate  $\eta_D$",
    "seed": "seed",
}
_NARROW = np.log(8)  # spread of ln(predicted/measured), with 0
_SAME = 0.02  # of ln(predicted/measured), below which a form is drawn by its source
_ASIDE = 0.012  # of the axis: runs of equal settings side by side


def plot_predicted(comparison: Comparison, path: str | Path, overwrite: bool = False) -> Path:
    """Predicted against measured t_grok of each run, on log axes, a panel for each source, with the line of
    equality.

    Colours: α at the start. Filled: delay at least five times t_mem; open circles: short. Open
    triangles: runs that never generalized, at the last step to which they were watched; their time is
    further right. Bars: the 90 % interval of the run's own seed, or where it has none, over seeds.
    """
    path = check_figure(path, overwrite)
    table = comparison.table
    names = sources(table)
    figure = new_figure(1.5 + 6.0 * len(names), 7.0)
    panels = np.ravel(np.asarray(figure.subplots(1, len(names), squeeze=False), object))
    missing = []
    handles: dict[str, Artist] = {}
    for ax, name in zip(panels, names, strict=True):
        without = _draw_predicted(ax, table, name)
        missing += [f"{without} without a time above 0 by {name}"] if without else []
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:  # the same axes for all
        drawn = [ax for ax in panels if ax.get_xlabel()]
        ends = min(ax.get_xlim()[0] for ax in drawn), max(ax.get_xlim()[1] for ax in drawn)
        for ax in drawn:
            ax.set(xlim=ends, ylim=ends)
            ax.axline((1, 1), (10, 10), color=BLACK, linewidth=1, zorder=1)
        figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=3, frameon=False)
    also = f"; not drawn: {', '.join(missing)}" if missing else ""
    figure.suptitle(f"{heading(comparison)}{also}", fontsize="medium")
    return save(figure, path, overwrite)


def _draw_predicted(ax: Axes, table: xr.Dataset, name: str) -> int:
    """One source's times of each run against the measured ones; returns how many runs are not drawn."""
    one = table.sel(predictor=name)
    predicted, measured = one["predicted"].values, table["measured_t_grok"].values
    censored = np.isnan(measured)
    x = np.where(censored, table["last"].values, measured)
    known = (predicted > 0) & (x > 0)
    if not known.any():
        remark(ax, f"{name}: no run has both a predicted and a measured time above 0")
        return 0
    low, high = (_seed_or_seeds(one, end) for end in ("low", "high"))
    alpha, short = table["alpha"].values, table["short"].values.astype(bool)
    for k, a in enumerate(np.unique(alpha[known])):
        colour, mine = PALETTE[k % len(PALETTE)], known & (alpha == a)
        ax.plot([], [], "o", color=colour, label=f"α = {a:g}")
        bars = mine & np.isfinite(low) & (low > 0)
        top = np.where(np.isfinite(high), high, 10 * np.nanmax(predicted[known]))
        ax.vlines(x[bars], low[bars], top[bars], color=colour, linewidth=1, alpha=0.5)
        for chosen, marker, fill in (
            (~censored & ~short, "o", colour),
            (~censored & short, "o", "white"),
            (censored, ">", "white"),
        ):
            ax.scatter(
                x[mine & chosen], predicted[mine & chosen], s=28, marker=marker, facecolors=fill,
                edgecolors=colour, linewidths=1.2, zorder=3,
            )  # fmt: skip
    ends = np.array(
        [min(x[known].min(), predicted[known].min()), max(x[known].max(), predicted[known].max())]
    )
    ends *= (0.8, 1.25)
    ax.plot([], [], color=BLACK, linewidth=1, label="predicted = measured")
    if (known & np.isfinite(low) & (low > 0)).any():
        ax.vlines([], [], [], color=BLACK, linewidth=1, alpha=0.5, label=f"interval, {COVERAGE:.0%}")
    if (known & short & ~censored).any():
        ax.plot([], [], "o", color=BLACK, markerfacecolor="white", label="short delay")
    if (known & censored).any():
        ax.plot([], [], ">", color=BLACK, markerfacecolor="white", label="never generalized: later than here")
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    ax.set(xlabel=f"measured, {STEPS}", ylabel=f"predicted by {name}, {STEPS}")
    ax.grid(alpha=0.25)
    return int((~known).sum())


def plot_errors(comparison: Comparison, path: str | Path, overwrite: bool = False) -> Path:
    """Predicted over measured t_grok against γ, α, η and the seed: of every source, and of its forms where
    they differ."""
    path = check_figure(path, overwrite)
    table = comparison.table
    figure = new_figure(10.0, 7.0)
    panels = np.ravel(np.asarray(figure.subplots(2, 2, sharey=True), object))
    forms = _shown(table)
    errors = {name: table["log_error"].sel(predictor=name).values for name in forms}
    left = {name: np.isfinite(error) for name, error in errors.items()}
    if not any(some.any() for some in left.values()):
        for ax in panels:
            remark(ax, "no run has both times")
        return save(figure, path, overwrite)
    ratios = np.concatenate([errors[name][left[name]] for name in forms])
    narrow = float(np.ptp(np.append(ratios, 0.0))) < _NARROW
    for ax, setting in zip(panels, _NAMES, strict=True):
        values = table[setting].values.astype(float)
        logarithmic = _scale(ax, values[np.any(list(left.values()), axis=0)])
        for k, (name, (colour, marker)) in enumerate(forms.items()):
            some = left[name]
            ratio, at = np.exp(errors[name][some]), values[some]
            shown = _aside(at, table["alpha"].values[some], k - (len(forms) - 1) / 2, logarithmic)
            ax.scatter(shown, ratio, s=16, marker=marker, color=colour, alpha=0.6, linewidths=1, label=name)
            each = np.unique(at)
            middle = [np.median(ratio[at == v]) for v in each]
            ax.plot(each, middle, color=colour, linewidth=1.5)
        ax.axhline(1, color=BLACK, linewidth=1)
        ax.set(xlabel=_NAMES[setting], yscale="log")
        ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        # between the decades only where there are few of them, or the numbers lie on one another
        ax.yaxis.set_minor_formatter((lambda y, _: f"{y:g}") if narrow else NullFormatter())
        ax.grid(alpha=0.25, which="both" if narrow else "major", axis="y")
    for ax in panels[::2]:
        ax.set_ylabel("predicted / measured")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    n = int(np.any(list(left.values()), axis=0).sum())
    figure.suptitle(f"{heading(comparison)}: the {n} with both times; lines: medians", fontsize="medium")
    return save(figure, path, overwrite)


def _shown(table: xr.Dataset) -> dict[str, tuple[str, str]]:
    """Colour and marker of every source, and of the forms that are not the same as theirs."""
    errors = {str(p): table["log_error"].sel(predictor=p).values for p in table["predictor"].values}
    of = dict(zip(errors, table["form_of"].values.astype(str), strict=True))
    names = sources(table)
    names += [
        name for name in errors
        if of[name] and not np.allclose(errors[name], errors[of[name]], atol=_SAME, equal_nan=True)
    ]  # fmt: skip
    return {name: (PALETTE[k % len(PALETTE)], "x" if of[name] else "o") for k, name in enumerate(names)}


def heading(comparison: Comparison) -> str:
    """What was compared, for the head of a figure."""
    return f"{', '.join(sources(comparison.table))} against {comparison.table.sizes['run']} runs"


def _seed_or_seeds(one: xr.Dataset, end: str) -> Floats:
    seed, seeds = (one[end].sel(interval=which).values for which in ("seed", "seeds"))
    return np.where(np.isnan(seed), seeds, seed)


def _scale(ax: Axes, values: Floats) -> bool:
    each = np.unique(values)
    if len(each) < 8 and not (each.min() > 0 and each.max() > 5 * each.min()):
        ax.set_xticks(each, [f"{v:g}" for v in each])
    scale_x(ax, each)
    if len(each) == 1:
        ax.set_xlim(each[0] - (abs(each[0]) or 1), each[0] + (abs(each[0]) or 1))
    return str(ax.get_xscale()) == "log"


def _aside(at: Floats, alpha: Floats, way: float, logarithmic: bool) -> Floats:
    """The places, each start α a little beside the others so that they do not hide one another."""
    each, which = np.unique(alpha, return_inverse=True)
    steps = _ASIDE * (which - (len(each) - 1) / 2 + way / 2)
    if logarithmic:
        return np.asarray(at * (at.max() / at.min()) ** steps)
    return np.asarray(at + steps * (np.ptp(at) or abs(at[0]) or 1.0))
