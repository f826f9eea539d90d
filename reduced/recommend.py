"""`recommend`: the weakest decay that groks within a budget, from a landscape or a decay path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.reduced.decay_path import DecayPath
from groktime.reduced.either import predict, refuse, what_if
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape
from groktime.reduced.path_prediction import PathPrediction
from groktime.reduced.prediction import Prediction, check_each

Floats = NDArray[np.float64]

_DECAYS = np.geomspace(1e-7, 1e3, 121)


@dataclass(frozen=True)
class Recommendation:
    """The weakest decay that groks within a budget.

    `gamma`: by the median prediction, which is `prediction`; `cautious`: by the upper end of its 90 %
    interval (NaN if none does). `strongest`: the largest decay that still generalises, of a path the
    largest that it resolves.
    """

    budget: int
    gamma: float
    cautious: float
    strongest: float
    prediction: Prediction | PathPrediction

    def report(self) -> str:
        """Two or three sentences for a person."""
        own = self.prediction.settings.get("implicit")
        text = (
            f"gamma = {self.gamma:.4g} {f'beside {own:g} implicit ' if own else ''}groks within "
            f"{self.budget:,} steps: predicted {self.prediction.t_grok:,.0f}"
        )
        low, high = self.prediction.interval
        text += f" (90 %: {low:,.0f} to {high:,.0f})." if np.isfinite(high) else "."
        if np.isfinite(self.cautious):
            text += f"\nTo have the upper end within the budget too: gamma = {self.cautious:.4g}."
        else:
            text += "\nNo decay brings the upper end of the interval within the budget."
        if isinstance(self.prediction, Prediction):
            return text + f"\nAbove gamma = {self.strongest:.3g} it no longer generalises on this landscape."
        if self.strongest < self.prediction.path.gamma_eff[0]:
            return text + f"\nAbove gamma = {self.strongest:.3g} it no longer generalises on this path."
        return text + f"\nAbove gamma = {self.strongest:.3g} the path resolves nothing: not looked at."


def recommend(
    source: Landscape | DecayPath,
    *,
    budget: int,
    eta_d: float,
    alpha: float,
    eta_r: float | None = None,
    m: float | None = None,
    **options: Any,
) -> Recommendation:
    """The weakest weight decay with which a start at (alpha, m) generalises within `budget` steps.

    `options` are those of `predict`. A path is asked for no decay that is above all its resolutions.
    Raises InputError, with the reason, where no decay does.
    """
    check_each("budget", budget, "above 0", lambda x: x > 0)
    refuse(source, options | {"eta_r": eta_r}, "recommend")
    start = {"alpha": alpha, "m": m, "eta_d": eta_d} | ({} if eta_r is None else {"eta_r": eta_r})
    swept = {k: v for k, v in options.items() if k != "level"}
    decays, most = _DECAYS, ""
    if isinstance(source, DecayPath):
        top = float(source.gamma_eff[0])
        decays, most = (
            np.append(decays[decays < top], top),
            f" up to gamma = {top:.3g}, the strongest that the path resolves",
        )
    else:
        swept["wall"] = True

    def times(decays: Floats) -> tuple[Floats, Floats, xr.Dataset]:
        ds = what_if(source, gamma=decays, **start, **swept)
        middle = np.where(np.isfinite(ds["t_grok"].values), ds["t_grok"].values, np.inf)
        return middle, ds["high"].values, ds

    middle, high, ds = times(decays)
    if not np.isfinite(middle).any():
        word = str(ds["status"].values[len(_DECAYS) // 2])
        raise InputError(f"recommend: no weight decay generalises from alpha = {alpha:g} (status: {word})")
    if not (middle <= budget).any():
        raise InputError(
            f"budget = {budget}: too few steps for every weight decay{most}; the fastest takes "
            f"{middle.min():,.0f} (smaller alpha or larger eta_d shorten it)"
        )
    gamma = _weakest(decays, middle, budget, lambda g: times(g)[0])
    cautious = float("nan")
    if (high <= budget).any():
        cautious = _weakest(decays, high, budget, lambda g: times(g)[1])
    return Recommendation(
        budget=int(budget),
        gamma=gamma,
        cautious=cautious,
        strongest=float(decays[np.flatnonzero(np.isfinite(middle))[-1]]),
        prediction=predict(source, gamma=gamma, **start, **options),
    )


def _weakest(decays: Floats, times: Floats, budget: float, finer: Callable[[Floats], Floats]) -> float:
    """The weakest decay within the budget, from the grid and two finer ones below its answer."""
    for last in (False, False, True):
        k = int(np.flatnonzero(times <= budget)[0])
        if last or k == 0:
            break
        decays = np.geomspace(decays[k - 1], decays[k], 16)
        times = finer(decays)
    return float(decays[k])
