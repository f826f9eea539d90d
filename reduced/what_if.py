"""`what_if`: many predictions at once from a landscape, over γ, the learning rates and the start."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import check_start
from groktime.reduced.sweep import Sweep
from groktime.reduced.system import rate_of_m, systems

Floats = NDArray[np.float64]


def what_if(
    land: Landscape,
    *,
    gamma: ArrayLike,
    eta_d: ArrayLike,
    alpha: ArrayLike,
    eta_r: ArrayLike | None = None,
    m: ArrayLike | None = None,
    n_train: int | None = None,
    sampled_steps: int | None = None,
    seed: int | None = None,
    threshold: float | None = None,
    metric: str = "accuracy",
    m_rate: str = "eq6",
    wall: bool = False,
) -> xr.Dataset:
    """Grokking times over every combination of the swept settings.

    What is given as a list becomes a dimension of the result, in the order gamma, eta_d, eta_r,
    alpha, m; see `predict` for the rest. `eta_r` None follows eta_d.

    `wall`: carry the uncertainty of the wall's place into `low` and `high`, as `predict` does, at
    three times the cost; otherwise they show the seeds alone.

    Returns
    -------
    Dataset with `t_grok` and `t_mem` (steps; median over seeds, NaN where more
    than half of them never generalise), `low` and `high` (5 and 95 %; infinite where it may
    never do), `generalizing` (share of the seeds) and `status` (of most seeds).

    Only distinct (γ, η_R/η_D, start) are integrated: steps are s/η_D exactly.
    """
    given: dict[str, ArrayLike] = {"gamma": gamma, "eta_d": eta_d, "alpha": alpha}
    if eta_r is not None:
        given["eta_r"] = eta_r
    m = check_start(land, alpha, m)
    if land.two_dimensional:
        given["m"] = m
    sweep = Sweep.of(given)
    mesh, shape = dict(sweep.mesh), sweep.shape
    mesh.setdefault("eta_r", mesh["eta_d"])
    mesh.setdefault("m", np.full(shape, float(land.m[0])))

    chosen = systems(
        land, seed=seed, n_train=n_train, sampled_steps=sampled_steps, threshold=threshold, metric=metric
    )
    times, fitted, low, high = np.empty((4, len(chosen), *shape))
    status = np.empty((len(chosen), *shape), dtype=object)
    for k, system in enumerate(chosen):
        ratio = rate_of_m(system, 1.0, m_rate) * mesh["eta_r"] / mesh["eta_d"]
        lanes = np.stack([mesh["gamma"], ratio, np.log(mesh["alpha"] * system.w0), mesh["m"]])
        # rounded to 12 digits: the same ratio from different rates is the same lane
        keys = np.array([float(f"{x:.12g}") for x in lanes.ravel()]).reshape(4, -1)
        distinct, place = np.unique(keys, axis=1, return_inverse=True)
        g, r, u, start = distinct
        result, first, last = system.flow(gamma=g, ratio=r, u=u, m=start, wall=wall)
        place = place.reshape(shape)
        strong = mesh["gamma"] * mesh["eta_d"] >= 1  # no flow describes such steps; see predict
        times[k] = np.where(strong, np.nan, result.generalized[place] / mesh["eta_d"])
        fitted[k] = np.where(strong, np.nan, result.memorized[place] / mesh["eta_d"])
        low[k] = np.where(strong, np.inf, first[place] / mesh["eta_d"])
        high[k] = np.where(strong, np.inf, last[place] / mesh["eta_d"])
        status[k] = np.where(strong, Status.COLLAPSES, result.status[place])

    return sweep.dataset(times=times, fitted=fitted, low=low, high=high, status=status, landscape=land.source)
