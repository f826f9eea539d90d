"""`recommend`: the weakest decay that groks within a budget, by any source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.arguments import LARGEST, number
from groktime.reduced.errors import InputError
from groktime.reduced.law import Schedule
from groktime.reduced.prediction import Prediction, predict
from groktime.reduced.source import Lanes, Options, about, check_options, refuse, scheduled
from groktime.reduced.sources import Sourced, source_of
from groktime.reduced.starts import check_start
from groktime.reduced.value import Value

Floats = NDArray[np.float64]

_DECAYS = np.geomspace(1e-7, 1e3, 121)


@dataclass(frozen=True, repr=False)
class Recommendation(Value):
    """The weakest decay that groks within a budget.

    `gamma`: by the median prediction, which is `prediction`; `cautious`: by the upper end of its 90 %
    interval (NaN if none does). `strongest`: the largest decay that still generalizes, or the largest that
    the source can be asked about.
    """

    budget: int
    gamma: float
    cautious: float
    strongest: float
    prediction: Prediction = field(repr=False)

    def facts(self) -> dict[str, object]:
        """The decays, for the short repr and the head of the table in a notebook."""
        return {name: getattr(self, name) for name in ("budget", "gamma", "cautious", "strongest")}

    def columns(self) -> dict[str, list[object]]:
        """The prediction at the recommended decay, one row a seed."""
        return self.prediction.columns()

    def report(self) -> str:
        """Two or three sentences for a person."""
        p = self.prediction
        implicit = p.settings.get("implicit")
        text = (
            f"gamma = {self.gamma:.4g} {f'beside {implicit:g} implicit ' if implicit else ''}groks within "
            f"{self.budget:,} steps: predicted {p.t_grok:,.0f}"
        )
        text += f" (90 %: {p.low:,.0f} to {p.high:,.0f})." if np.isfinite(p.high) else "."
        if np.isfinite(self.cautious):
            text += f"\nTo have the upper end within the budget too: gamma = {self.cautious:.4g}."
        else:
            text += "\nNo decay brings the upper end of the interval within the budget."
        this = about(p.source)
        if self.strongest < this.strongest:
            return (
                text + f"\nAbove gamma = {self.strongest:.3g} it no longer generalizes on this {this.kind}."
            )
        return text + f"\nAbove gamma = {self.strongest:.3g} the {this.kind} resolves nothing: not looked at."

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for scripts (None where there is no number)."""
        numbers = {name: getattr(self, name) for name in ("gamma", "cautious", "strongest")}
        plain = {name: float(x) if np.isfinite(x) else None for name, x in numbers.items()}
        return {"budget": self.budget} | plain | {"prediction": self.prediction.to_dict()}


def recommend(
    source: Sourced,
    *,
    budget: int,
    eta_d: float,
    alpha: float,
    eta_r: float | None = None,
    m: float | None = None,
    schedule: Schedule | None = None,
    **options: Unpack[Options],
) -> Recommendation:
    """The weakest weight decay with which a start at (alpha, m) generalizes within `budget` steps.

    Parameters
    ----------
    budget : optimizer steps.
    source, eta_d, alpha, eta_r, m, schedule, options : as in `predict`. A source is asked for no decay above
        the strongest that it can be asked about.

    Raises
    ------
    InputError : naming the argument, or with the reason, where no decay generalizes in time.
    """
    budget = int(number("budget", budget, f"from 1 to {LARGEST:,}", lambda x: 1 <= x <= LARGEST))
    this = source_of(source)
    refuse(this, "eta_r", eta_r)
    refuse(this, "m", m)
    start = check_start(eta_d=eta_d, alpha=alpha, eta_r=eta_r, m=m)
    chosen = check_options(this, options)
    course = about(this).schedule if schedule is None else schedule
    if "wall" not in about(this).refused:
        chosen["wall"] = True
    top, decays, limit = about(this).strongest, _DECAYS, ""
    if np.isfinite(top):
        decays = np.append(decays[decays < top], top)
        limit = f" up to gamma = {top:.3g}, the strongest that the {about(this).kind} resolves"

    def ends(decays: Floats) -> tuple[Floats, Floats, NDArray[np.object_]]:
        """t_grok, infinite where there is none, and its upper end, for each decay."""
        lanes = {name: np.full(len(decays), x) for name, x in start.items()}
        over = scheduled(this.read(Lanes(gamma=decays, **lanes), **chosen), course).over_seeds()
        return np.where(np.isfinite(over.t_grok), over.t_grok, np.inf), over.high, over.status

    middle, high, status = ends(decays)
    if not np.isfinite(middle).any():
        word = status[min(len(_DECAYS) // 2, len(decays) - 1)].value
        where = f"alpha = {start['alpha']:g}"
        raise InputError(f"recommend: no weight decay generalizes from {where} (status: {word})")
    if not (middle <= budget).any():
        raise InputError(
            f"budget = {budget:,}: too few steps for every weight decay{limit}; the fastest takes "
            f"{middle.min():,.0f} (smaller alpha or larger eta_d shorten it)"
        )
    gamma = _weakest(decays, middle, budget, lambda g: ends(g)[0])
    cautious = float("nan")
    if (high <= budget).any():
        cautious = _weakest(decays, high, budget, lambda g: ends(g)[1])
    return Recommendation(
        budget=budget,
        gamma=gamma,
        cautious=cautious,
        strongest=float(decays[np.flatnonzero(np.isfinite(middle))[-1]]),
        prediction=predict(this, gamma=gamma, **start, schedule=schedule, **options),
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
