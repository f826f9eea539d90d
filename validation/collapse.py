"""Trained networks and a decay path in the one time τ = ηγt, in which they ought to be the same."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.runs import Runs, runs_of
from groktime.reduced.decay_path import DecayPath, path_of
from groktime.reduced.files import FileName
from groktime.reduced.path_source import PathSource
from groktime.reduced.source import Lanes, Readings, finite_median
from groktime.validation.match import check_match, speeds
from groktime.validation.measure import measure

Floats = NDArray[np.float64]


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
    rate = delays["gamma"].values * delays["eta_d"].values
    tau_path = np.full(delays.sizes["run"], np.nan)
    for size in np.unique(delays["n_train"].values):
        mine = np.flatnonzero(delays["n_train"].values == size)
        gamma, eta, alpha = (delays[name].values[mine].astype(float) for name in ("gamma", "eta_d", "alpha"))
        faster, stronger = speeds(path, runs)
        lanes = Lanes(stronger * gamma, faster * eta, alpha)
        found = PathSource(path).read(lanes, detail=True, n_train=int(size))
        tau_path[mine] = _of_seeds(found, delays["seed"].values[mine])
    return xr.Dataset(
        {"tau": ("run", runs.law.tau(delays["t_grok"].values, rate)), "tau_path": ("run", tau_path)},
        {name: delays[name] for name in ("gamma", "eta_d", "alpha", "seed")},
    )


def _of_seeds(found: Readings, seeds: NDArray[np.int_]) -> Floats:
    """τ_c of each lane's seed, or the median over those of the path's that pass."""
    assert found.details is not None
    tau = np.array([[one.tau_c for one in row] for row in found.details])
    middle = finite_median(tau)
    rows = {seed: k for k, seed in enumerate(found.seeds)}
    return np.array([tau[rows[int(s)], k] if int(s) in rows else middle[k] for k, s in enumerate(seeds)])
