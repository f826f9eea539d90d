"""`recommend`: the weakest decay that groks within a budget, by any source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.arguments import LARGEST, number
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.law import Schedule
from groktime.reduced.prediction import Prediction, predict
from groktime.reduced.report import implicit_decay, interval, steps
from groktime.reduced.source import Lanes, Options, OverSeeds, about, check_options, refuse, scheduled
from groktime.reduced.sources import Sourced, source_of
from groktime.reduced.starts import check_start
from groktime.reduced.value import Value

Floats = NDArray[np.float64]

_DECAYS = np.geomspace(1e-7, 1e3, 121)
THERE = "The start generalizes already, without decay: there is nothing to wait for."


@dataclass(frozen=True, repr=False)
class Recommendation(Value):
    """The weakest decay that groks within a budget.

    `gamma`: by the median prediction, which is `prediction`; 0 where the start is there already (which is
    then predicted at `least`, the weakest decay that was looked at). `cautious`: by the upper end of its 90 %
    interval (NaN if none does, or there is none). `strongest`: the largest decay that still generalizes, or
    the largest that the source can be asked about.
    """

    budget: int
    gamma: float
    cautious: float
    strongest: float
    prediction: Prediction = field(repr=False)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader has to know, of the recommendation and of its prediction."""
        mine = (THERE,) if self.gamma == 0 else ()
        return (*mine, *self.prediction.remarks)

    def facts(self) -> dict[str, object]:
        """The decays, for the short repr and the head of the table in a notebook."""
        return {name: getattr(self, name) for name in ("budget", "gamma", "cautious", "strongest")}

    def columns(self) -> dict[str, list[object]]:
        """The prediction at the recommended decay, one row a seed."""
        return self.prediction.columns()

    def report(self) -> str:
        """Two or three sentences for a person."""
        p, this = self.prediction, about(self.prediction.source)
        lines = [f"Remark: {text}" for text in self.remarks]
        if self.gamma == 0:
            return "\n".join(["gamma = 0: no weight decay is needed.", *lines])
        implicit = implicit_decay(p)
        beside = f"beside {implicit} " if implicit else ""
        text = (
            f"gamma = {self.gamma:.4g} {beside}groks within {self.budget:,} steps: "
            f"predicted {p.t_grok:,.0f} ({interval(p)})."
        )
        if np.isfinite(self.cautious):
            text += f"\nTo have the upper end within the budget too: gamma = {self.cautious:.4g}."
        elif p.holds:
            text += "\nNo decay brings the upper end of the interval within the budget."
        if self.strongest >= this.strongest:
            text += f"\nAbove gamma = {self.strongest:.3g} the {this.kind} resolves nothing: not looked at."
        elif self.strongest < _DECAYS[-1]:
            text += f"\nAbove gamma = {self.strongest:.3g} it no longer generalizes on this {this.kind}."
        return "\n".join([text, *lines])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for scripts (None where there is no number)."""
        numbers = {name: getattr(self, name) for name in ("gamma", "cautious", "strongest")}
        plain = {name: float(x) if np.isfinite(x) else None for name, x in numbers.items()}
        told = {"remarks": list(self.remarks), "prediction": self.prediction.to_dict()}
        return {"budget": self.budget} | plain | told


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

    def ends(decays: Floats) -> tuple[Floats, Floats, OverSeeds]:
        """t_grok, infinite where there is none, and its upper end, for each decay."""
        lanes = {name: np.full(len(decays), x) for name, x in start.items()}
        over = scheduled(this.read(Lanes(gamma=decays, **lanes), **chosen), course).over_seeds()
        return np.where(np.isfinite(over.t_grok), over.t_grok, np.inf), over.high, over

    middle, high, over = ends(decays)
    if not np.isfinite(middle).any():
        word = over.status[min(len(_DECAYS) // 2, len(decays) - 1)].value
        where = f"alpha = {start['alpha']:g}"
        raise InputError(f"recommend: no weight decay generalizes from {where} (status: {word})")
    fit = np.nanmin(over.t_mem, initial=np.inf)
    if not (middle <= budget).any():
        raise InputError(
            f"budget = {budget:,}: too few steps for every weight decay{limit}; the fastest takes "
            f"{steps(middle.min())}{_fitting(fit, budget)} (smaller alpha or larger eta_d shorten it)"
        )
    there = over.status[0] is Status.ALREADY
    gamma = 0.0 if there else _weakest(decays, middle, budget, lambda g: ends(g)[0])
    cautious = float("nan")
    if (high <= budget).any() and not there:
        cautious = _weakest(decays, high, budget, lambda g: ends(g)[1])
    return Recommendation(
        budget=budget,
        gamma=gamma,
        cautious=cautious,
        strongest=float(decays[np.flatnonzero(np.isfinite(middle))[-1]]),
        prediction=predict(this, gamma=gamma or float(decays[0]), **start, schedule=schedule, **options),
    )


def _fitting(fit: float, budget: float) -> str:
    """Where no decay can help: the training set alone takes longer."""
    return f", and fitting the training set alone {steps(fit)}" if budget < fit < np.inf else ""


def _weakest(decays: Floats, times: Floats, budget: float, finer: Callable[[Floats], Floats]) -> float:
    """The weakest decay within the budget, from the grid and two finer ones below its answer."""
    for last in (False, False, True):
        k = int(np.flatnonzero(times <= budget)[0])
        if last or k == 0:
            break
        decays = np.geomspace(decays[k - 1], decays[k], 16)
        times = finer(decays)
    return float(decays[k])
