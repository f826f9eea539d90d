"""What a decay path says of each run: the columns of a comparison that end in `_path`."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.runs import Runs
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.flow import Status
from groktime.reduced.path_prediction import PathPrediction, SeedOnPath, predict_on_path
from groktime.reduced.system import MEMORIZED


def path_columns(path: DecayPath, runs: Runs, delays: xr.Dataset) -> dict[str, NDArray[Any]]:
    """Columns [run]: times in optimizer steps, NaN where there are none; each run by its own threshold.

    A run whose seed the path holds is predicted from that seed, another from the median over the
    path's seeds. A start that the path did not sample, in alpha or m, is outside. t_mem and the delay
    are only told where "memorised" is measured as the path means it.
    """
    metric = str(delays.attrs["metric"])
    alike = metric == "accuracy" and bool(np.all(np.unique(delays.attrs["train_threshold"]) == MEMORIZED))
    ds = runs.dataset
    limits = np.broadcast_to(delays.attrs["threshold"], ds.sizes["run"])
    start = np.where(np.isnan(ds["m_start"].values), path.m_start[0], ds["m_start"].values)
    settings = zip(
        *(ds[name].values for name in ("gamma", "eta_d", "alpha")), start, ds["n_train"].values, limits,
        strict=True,
    )  # fmt: skip
    made: dict[tuple[float, ...], PathPrediction | None] = {}
    rows: list[dict[str, Any]] = []
    for seed, values in zip(ds["seed"].values, settings, strict=True):
        key = tuple(float(x) for x in values)
        if key not in made:
            gamma, eta_d, alpha, m, n_train, limit = key
            made[key] = None
            if m in path.m_start:
                made[key] = predict_on_path(
                    path, gamma=gamma, eta_d=eta_d, alpha=alpha, m=m, n_train=int(n_train),
                    threshold=limit, metric=metric,
                )  # fmt: skip
        rows.append(_row(made[key], int(seed), path, alike))
    return {k: np.array([row[k] for row in rows]) for k in rows[0]}


def _row(p: PathPrediction | None, seed: int, path: DecayPath, alike: bool) -> dict[str, Any]:
    nan = float("nan")
    matched, status, resolved = seed in path.seeds, Status.OUTSIDE, False
    time = fit = low = high = nan
    if p is not None:
        own = next((q for q in p.seeds if q.seed == seed), None)
        one: PathPrediction | SeedOnPath = p if own is None else own
        status, resolved, time = one.status, p.resolved, one.t_grok
        fit = one.t_mem if alike else nan
        # nothing is said where nothing was sampled, and one resolution tells no error of one seed
        told = status is not Status.OUTSIDE and (own is None or len(path.refit) > 1)
        low, high = (p.interval if own is None else (own.low, own.high)) if told else (nan, nan)
    return {
        "path_seed_matched": matched,
        "path_status": status.value,
        "path_resolved": resolved,
        "predicted_t_grok_path": time,
        "predicted_t_mem_path": fit,
        "predicted_delay_path": time - fit,
        "path_low": low,
        "path_high": high,
    }
