"""Trained networks and a decay path in the one time τ = ηγt, in which they ought to be the same."""

from __future__ import annotations


import numpy as np
import xarray as xr

from groktime.fullnet.runs import Runs
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.path_prediction import predict_on_path
from groktime.validation.match_path import check_path
from groktime.validation.measure import measure


def collapse(runs: Runs, path: DecayPath) -> xr.Dataset:
    """τ = ηγt at generalisation of each run under decay, and τ_c of the path at its γ.

    Returns
    -------
    Dataset over `run`: `tau`, NaN where the run never generalised, and `tau_path`, of the run's own seed
    where the path holds it, else the median; NaN where the path does not pass.
    """
    check_path(path, runs, None, "accuracy")
    delays = measure(runs)
    delays = delays.isel(run=delays["gamma"].values > 0)
    rate = delays["gamma"].values * delays["eta_d"].values * path.speed
    told = []
    for one in (delays.isel(run=k) for k in range(delays.sizes["run"])):
        gamma, eta_d, alpha = (float(one[name]) for name in ("gamma", "eta_d", "alpha"))
        p = predict_on_path(path, gamma=gamma, eta_d=eta_d, alpha=alpha, n_train=int(one["n_train"]))
        own = [q.tau_c for q in p.seeds if q.seed == int(one["seed"])]
        told.append(own[0] if own else p.tau_c)
    return xr.Dataset(
        {"tau": ("run", delays["t_grok"].values * rate), "tau_path": ("run", np.array(told))},
        {name: delays[name] for name in ("gamma", "eta_d", "alpha", "seed")},
    )
