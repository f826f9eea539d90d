"""The honest rival of a decay path: real runs at stronger decays, one rescaled, or two and a line.

No recipe of its own: table_path.py and table_mnist.py print it.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.recipes.shared.common import of
from groktime.recipes.shared.tables import number
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.prediction import predict

Floats = NDArray[np.float64]

RIVALS = ["α", "predictor of the weakest γ", "its γ", "steps to the crossing, mean", "mean absolute error, %"]


def size(errors: list[float]) -> str:
    return f"{100 * np.nanmean(np.abs(errors)):.1f}"


def rivals(delays: xr.Dataset, path: DecayPath, threshold: float | None = None) -> list[list[str]]:
    """Steps and error at the weakest decay: of resolutions of the path, and of real runs with stronger
    decays; one alone, its τ_c taken as it is (a run: its time rescaled by 1/γ), and two, linear in γ."""
    out = []
    weakest = float(delays["gamma"].values[delays["gamma"].values > 0].min())
    for alpha in path.alpha:
        own = of(delays, alpha=alpha)
        target = _tau(of(own, gamma=weakest), path.seeds)
        found = {}
        for k, gamma in zip(path.refit, path.gamma_eff, strict=True):
            p = predict(path, gamma=float(gamma), eta_d=path.eta_d, alpha=float(alpha), threshold=threshold)
            found[float(gamma)] = np.array([q.detail.tau_c for q in p.seeds]), k / path.dtau
        out += _singly_and_in_pairs(alpha, "path", found, target, weakest)
        stronger = [float(g) for g in np.unique(own["gamma"]) if g > weakest]
        found = {g: (_tau(of(own, gamma=g), path.seeds), 1 / (path.eta_d * g)) for g in stronger}
        out += _singly_and_in_pairs(alpha, "run", found, target, weakest)
    return out


def _tau(runs: xr.Dataset, seeds: list[int]) -> Floats:
    """Measured ηγt of each seed."""
    return np.array([float((r["t_grok"] * r["eta_d"] * r["gamma"]).values[0]) for r in _by_seed(runs, seeds)])


def _by_seed(runs: xr.Dataset, seeds: list[int]) -> list[xr.Dataset]:
    return [runs.isel(run=runs["seed"].values == s) for s in seeds]


def _singly_and_in_pairs(
    alpha: float, what: str, found: dict[float, tuple[Floats, float]], target: Floats, gamma: float
) -> list[list[str]]:
    """`found`: by γ, τ_c of each seed and the steps that a unit of τ costs."""
    out = []
    each = sorted(found, reverse=True)
    for g in each:
        tau, cost = found[g]
        row = [number(float(np.mean(tau) * cost)), size(list(tau / target - 1))]
        out.append([number(alpha), f"one {what}", number(g), *row])
    for strong, weak in zip(each, each[1:], strict=False):
        (a, more), (b, less) = found[strong], found[weak]
        tau = np.maximum(b + (a - b) * (gamma - weak) / (strong - weak), 0)
        steps = float(np.mean(a) * more + np.mean(b) * less)
        row = [number(steps), size(list(tau / target - 1))]
        out.append([number(alpha), f"two {what}s", f"{number(strong)}, {number(weak)}", *row])
    return out
