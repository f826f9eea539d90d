"""Trained networks and a decay path in the one time τ = ηγt, in which they ought to be the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from groktime.fullnet.runs import Runs
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.figures.file import check_figure, save
from groktime.reduced.figures.style import BLACK, PALETTE, STEPS, new_figure
from groktime.reduced.path_source import PathSource
from groktime.reduced.source import Lanes, Readings, finite_median
from groktime.validation.given import FileName, path_of, runs_of
from groktime.validation.match import check_match
from groktime.validation.measure import measure

Floats = NDArray[np.float64]

_DASHES = ("-", "--", ":", "-.")


def collapse(runs: Runs | FileName, path: DecayPath | FileName) -> xr.Dataset:
    """τ = ηγt at generalization of each run under decay, and τ_c of the path at its γ.

    Returns
    -------
    Dataset over `run`: `tau`, NaN where the run never generalized, and `tau_path`, of the run's own seed
    where the path holds it, else the median; NaN where the path does not pass.
    """
    runs, path = runs_of(runs), path_of(path)
    check_match(path, runs, None, "accuracy")
    delays = measure(runs)
    delays = delays.isel(run=delays["gamma"].values > 0)
    rate = delays["gamma"].values * delays["eta_d"].values * path.speed
    tau_path = np.full(delays.sizes["run"], np.nan)
    for size in np.unique(delays["n_train"].values):
        mine = np.flatnonzero(delays["n_train"].values == size)
        lanes = Lanes(*(delays[name].values[mine].astype(float) for name in ("gamma", "eta_d", "alpha")))
        found = PathSource(path).read(lanes, detail=True, n_train=int(size))
        tau_path[mine] = _of_seeds(found, delays["seed"].values[mine])
    return xr.Dataset(
        {"tau": ("run", delays["t_grok"].values * rate), "tau_path": ("run", tau_path)},
        {name: delays[name] for name in ("gamma", "eta_d", "alpha", "seed")},
    )


def _of_seeds(found: Readings, seeds: NDArray[np.int_]) -> Floats:
    """τ_c of each lane's seed, or the median over those of the path's that pass."""
    assert found.details is not None
    tau = np.array([[one.tau_c for one in row] for row in found.details])
    middle = finite_median(tau)
    rows = {seed: k for k, seed in enumerate(found.seeds)}
    return np.array([tau[rows[int(s)], k] if int(s) in rows else middle[k] for k, s in enumerate(seeds)])


def plot_collapse(
    runs: Runs | FileName, path: DecayPath | FileName, alpha: float, file: str | Path, overwrite: bool = False
) -> Path:
    """Test accuracy of the runs that start at `alpha`, above against steps, below against τ = ηγt, where
    they ought to fall onto the path's curves (black, its finest resolution).

    Colours: γ; dashes: η. `alpha` is one of the path's.

    Raises
    ------
    InputError : for a path of other networks, an alpha that it does not have, or a bad file name.
    """
    file = check_figure(file, overwrite)
    runs, path = runs_of(runs), path_of(path)
    check_match(path, runs, None, "accuracy")
    start = path.place("alpha", alpha)
    ds = runs.dataset
    chosen = np.flatnonzero(np.isclose(ds["alpha"].values, alpha) & (ds["gamma"].values > 0))
    decays, rates = (np.unique(ds[name].values[chosen]) for name in ("gamma", "eta_d"))
    colours = {g: PALETTE[k % len(PALETTE)] for k, g in enumerate(decays)}
    dashes = {eta: _DASHES[k % len(_DASHES)] for k, eta in enumerate(rates)}
    figure = new_figure(8.5, 8.5)
    plain, scaled = np.ravel(np.asarray(figure.subplots(2, 1), object))
    step = runs.step.astype(float)
    for k in chosen:
        gamma, eta = float(ds["gamma"].values[k]), float(ds["eta_d"].values[k])
        for ax, scale in ((plain, 1.0), (scaled, gamma * eta * path.speed)):
            ax.plot(
                step * scale, ds["test_accuracy"].values[k], dashes[eta], color=colours[gamma], linewidth=1.1
            )
    curves = np.asarray(path.dataset["test_accuracy"].values[:, -1, 0, start, -1], float)
    for one in curves:
        scaled.plot(path.tau, one, color=BLACK, linewidth=2.4, alpha=0.8, zorder=1)
    _frame(plain, scaled, float(runs.dataset.attrs["accuracy_threshold"]), path, curves)
    handles: list[Artist] = [Line2D([], [], color=colours[g], label=f"γ = {g:g}") for g in decays]
    for eta in rates:
        handles += plain.plot([], [], dashes[eta], color=BLACK, linewidth=1.1, label=rf"$\eta$ = {eta:g}")
    label = rf"decay path, $\gamma_{{eff}}$ = {path.gamma_eff[-1]:.3g}"
    handles.append(Line2D([], [], color=BLACK, linewidth=2.4, label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        f"{runs.task}, start α = {alpha:g}: {len(chosen)} networks trained in full, "
        f"and {len(curves)} followed along their decay path",
        fontsize="medium",
    )
    return save(figure, file, overwrite)


def _frame(plain: Axes, scaled: Axes, threshold: float, path: DecayPath, curves: Floats) -> None:
    known = np.isfinite(curves).any(0)
    if known.any():
        scaled.set_xlim(0, 1.08 * float(path.tau[known][-1]))
    plain.set_xscale("log")
    plain.set_xlim(left=10)
    plain.set_xlabel(STEPS)
    scaled.set_xlabel(r"$\tau = \eta\gamma t$")
    for ax in (plain, scaled):
        ax.set_ylabel("test accuracy")
        ax.set_ylim(-0.03, 1.03)
        if not path.dataset.attrs["threshold_relative"]:
            ax.axhline(threshold, color=BLACK, linewidth=0.8, linestyle=":")
        ax.grid(alpha=0.25)
