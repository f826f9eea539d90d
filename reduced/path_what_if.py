"""`what_if_on_path`: many predictions from one decay path at once."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from groktime.reduced.crossings import crossings
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.path_prediction import check_threshold
from groktime.reduced.path_reading import read
from groktime.reduced.prediction import check_each
from groktime.reduced.sweep import Sweep


def what_if_on_path(
    path: DecayPath,
    *,
    gamma: ArrayLike,
    eta_d: ArrayLike,
    alpha: ArrayLike,
    m: ArrayLike | None = None,
    n_train: int | None = None,
    seed: int | None = None,
    threshold: float | None = None,
    metric: str = "accuracy",
    implicit: float = 0.0,
) -> xr.Dataset:
    """Grokking times over every combination of the swept settings, from a decay path.

    What is given as a list becomes a dimension of the result, in the order gamma, eta_d, alpha, m; see
    `predict_on_path` for the rest. Each `m` has to be one of the path's.

    Returns
    -------
    Dataset as `what_if` has it; `low` and `high` are of seeds and numerical error. Besides, `resolved`:
    whether gamma lies among the resolutions of the path or below.
    """
    given = {"gamma": gamma, "eta_d": eta_d, "alpha": alpha} | ({} if m is None else {"m": m})
    sweep = Sweep.of(given)
    check_threshold(path, threshold, metric)
    check_each("implicit", implicit, "0 or more", lambda x: x >= 0)
    seeds = path.seeds if seed is None else [path.seeds[path.place("seed", seed)]]
    n_train = path.n_train[-1] if n_train is None else n_train
    lanes = np.stack([sweep.mesh[name].ravel() for name in ("gamma", "eta_d", "alpha")])
    start = sweep.mesh["m"].ravel() if m is not None else np.full(lanes.shape[1], path.m_start[0])

    times, fitted, low, high = np.empty((4, len(seeds), lanes.shape[1]))
    status, resolved = np.empty(times.shape, object), np.empty(lanes.shape[1], bool)
    for value in np.unique(start):
        mine = start == value
        passed = crossings(path, seeds, n_train, float(value), threshold, metric)
        found = read(passed, *lanes[:, mine], implicit=implicit)
        times[:, mine], fitted[:, mine] = found.t_grok, found.t_mem
        low[:, mine], high[:, mine] = found.low, found.high
        status[:, mine], resolved[mine] = found.status, found.resolved
    shape = (len(seeds), *sweep.shape)
    ds = sweep.dataset(
        times=times.reshape(shape),
        fitted=fitted.reshape(shape),
        low=low.reshape(shape),
        high=high.reshape(shape),
        status=status.reshape(shape),
        path=path.source,
        implicit=implicit,
    )
    outer = tuple(sweep.axes[name].size for name in sweep.swept)
    return ds.assign(resolved=(sweep.swept, resolved.reshape(outer), {"units": "1"}))
