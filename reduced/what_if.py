"""`what_if` and `recommend`: many predictions at once, over γ, the learning rates and the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from reduced.errors import InputError
from reduced.flow import Status
from reduced.landscape import Landscape
from reduced.prediction import Prediction, check_each, check_start, predict
from reduced.system import rate_of_m, systems

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
    Dataset with `grokking_time` and `memorization_time` (steps; median over seeds, NaN where more
    than half of them never generalise), `low` and `high` (5 and 95 %; infinite where it may
    never do), `generalizing` (share of the seeds) and `status` (of most seeds).

    Only distinct (γ, η_R/η_D, start) are integrated: steps are s/η_D exactly.
    """
    checks = {
        "gamma": (gamma, "0 or more", lambda x: x >= 0),
        "eta_d": (eta_d, "above 0", lambda x: x > 0),
        "alpha": (alpha, "above 0", lambda x: x > 0),
    }
    if eta_r is not None:
        checks["eta_r"] = (eta_r, "0 or more", lambda x: x >= 0)
    m = check_start(land, alpha, m)
    if land.two_dimensional:
        checks["m"] = (m, "within [0, 1]", lambda x: 0 <= x <= 1)
    axes = {name: check_each(name, *checks[name]) for name in _ORDER if name in checks}
    for name, values in axes.items():
        if values.ndim > 1 or not values.size:
            raise InputError(f"{name}: expected a number or a list of numbers")
    mesh = dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True))
    shape = next(iter(mesh.values())).shape
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

    never = np.where(np.isnan(times), np.inf, times)
    middle = np.median(never, axis=0)
    swept = [name for name in axes if np.ndim(checks[name][0]) > 0]
    fixed = {name: float(axes[name][0]) for name in axes if name not in swept}
    outer = tuple(axes[name].size for name in swept)

    def variable(values: NDArray[Any], unit: str) -> Any:
        return swept, values.reshape(outer), {"units": unit}

    return xr.Dataset(
        {
            "grokking_time": variable(np.where(np.isfinite(middle), middle, np.nan), "optimizer steps"),
            "memorization_time": variable(_nanmedian(fitted), "optimizer steps"),
            "low": variable(np.quantile(low, 0.05, axis=0, method="lower"), "optimizer steps"),
            "high": variable(np.quantile(high, 0.95, axis=0, method="higher"), "optimizer steps"),
            "generalizing": variable(np.isfinite(times).mean(0), "share of seeds"),
            "status": variable(_most(status), "1"),
        },
        {name: axes[name] for name in swept},
        {"landscape": land.source, "schema": "groktime-what-if/1", **fixed},
    )


_ORDER = ("gamma", "eta_d", "eta_r", "alpha", "m")


def _nanmedian(values: Floats) -> Floats:
    out = np.full(values.shape[1:], np.nan)
    some = np.isfinite(values).any(0)
    out[some] = np.nanmedian(values[:, some], axis=0)
    return out


def _most(status: NDArray[np.object_]) -> NDArray[np.str_]:
    names = [s.value for s in Status]
    votes = np.stack([(status == name).sum(0) for name in names])
    chosen: NDArray[np.str_] = np.array(names)[np.argmax(votes, axis=0)]
    return chosen


@dataclass(frozen=True)
class Recommendation:
    """The weakest decay that groks within a budget.

    `gamma`: by the median prediction, which is `prediction`; `cautious`: by the upper end of its 90 %
    interval (NaN if none does). `strongest`: the largest decay that still generalises.
    """

    budget: int
    gamma: float
    cautious: float
    strongest: float
    prediction: Prediction

    def report(self) -> str:
        """Two or three sentences for a person."""
        text = (
            f"gamma = {self.gamma:.4g} groks within {self.budget:,} steps: predicted "
            f"{self.prediction.grokking_time:,.0f}"
        )
        low, high = self.prediction.interval
        text += f" (90 %: {low:,.0f} to {high:,.0f})." if np.isfinite(high) else "."
        if np.isfinite(self.cautious):
            text += f"\nTo have the upper end within the budget too: gamma = {self.cautious:.4g}."
        else:
            text += "\nNo decay brings the upper end of the interval within the budget."
        return text + f"\nAbove gamma = {self.strongest:.3g} it no longer generalises on this landscape."


_DECAYS = np.geomspace(1e-7, 1e3, 121)


def recommend(
    land: Landscape,
    *,
    budget: int,
    eta_d: float,
    alpha: float,
    eta_r: float | None = None,
    m: float | None = None,
    **options: Any,
) -> Recommendation:
    """The weakest weight decay with which a start at (alpha, m) generalises within `budget` steps.

    `options` are those of `predict`. Raises InputError, with the reason, where no decay does.
    """
    check_each("budget", budget, "above 0", lambda x: x > 0)
    start = {"alpha": alpha, "m": m, "eta_d": eta_d, "eta_r": eta_r}
    swept = {k: v for k, v in options.items() if k != "level"}

    def times(decays: Floats) -> tuple[Floats, Floats, xr.Dataset]:
        ds = what_if(land, gamma=decays, wall=True, **start, **swept)  # type: ignore[arg-type]
        middle = np.where(np.isfinite(ds["grokking_time"].values), ds["grokking_time"].values, np.inf)
        return middle, ds["high"].values, ds

    middle, high, ds = times(_DECAYS)
    if not np.isfinite(middle).any():
        word = str(ds["status"].values[len(_DECAYS) // 2])
        raise InputError(f"recommend: no weight decay generalises from alpha = {alpha:g} (status: {word})")
    if not (middle <= budget).any():
        raise InputError(
            f"budget = {budget}: too few steps for every weight decay; the fastest takes "
            f"{middle.min():,.0f} (smaller alpha or larger eta_d shorten it)"
        )
    gamma = _weakest(middle, budget, lambda g: times(g)[0])
    return Recommendation(
        budget=int(budget),
        gamma=gamma,
        cautious=_weakest(high, budget, lambda g: times(g)[1]) if (high <= budget).any() else float("nan"),
        strongest=float(_DECAYS[np.flatnonzero(np.isfinite(middle))[-1]]),
        prediction=predict(land, gamma=gamma, **start, **options),  # type: ignore[arg-type]
    )


def _weakest(times: Floats, budget: float, finer: Callable[[Floats], Floats]) -> float:
    """The weakest decay within the budget, from the grid and two finer ones below its answer."""
    decays = _DECAYS
    for last in (False, False, True):
        k = int(np.flatnonzero(times <= budget)[0])
        if last or k == 0:
            break
        decays = np.geomspace(decays[k - 1], decays[k], 16)
        times = finer(decays)
    return float(decays[k])
