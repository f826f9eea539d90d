"""What a run's curves say at one moment: what was reached, and what still moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from groktime.fullnet.runs import Runs
from groktime.reduced.source import COVERAGE
from groktime.reduced.system import MEMORIZED
from groktime.validation.measure import crossing

Floats = NDArray[np.float64]

PERSIST = 3
_POINTS = 60  # of a curve, evenly in steps: evaluations are dense at the start of a run
LEAST = 5  # of them that tell a slope
_CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")


@dataclass(frozen=True)
class Drift:
    """A curve over the later half of the time since the fit, `span` steps. `change`: what it moved in them,
    by the slope of Theil and Sen, between `low` and `high` (90 %); `middle`: its median. NaN where too little
    is known."""

    change: float
    low: float
    high: float
    middle: float
    span: float

    @property
    def rate(self) -> float:
        """Change per step."""
        return self.change / self.span

    def falls(self, by: float) -> bool:
        """Whether the curve falls by so much, with 95 %."""
        return self.high < -by

    def rises(self, by: float) -> bool:
        """Whether the curve rises by so much, with 95 %."""
        return self.low > by


@dataclass(frozen=True)
class Signals:
    """One run up to step `last`.

    `threshold` is the test accuracy that counts as generalized; t_mem and t_grok are steps, NaN where not
    reached or not recorded. `now`: the last value of each curve; `drift`: how it moves, of the logarithm for
    losses and norm. `top`: the largest test loss since the fit; `norm_top`: the largest norm; `least`: the
    smallest train loss since the fit; `evaluations`: of the test accuracy since the fit.
    """

    last: float
    threshold: float
    t_mem: float
    t_grok: float
    now: dict[str, float]
    drift: dict[str, Drift]
    top: float
    norm_top: float
    least: float
    evaluations: int

    @property
    def fitted(self) -> bool:
        """Whether the training set was fitted, by its accuracy; True where that was not recorded."""
        return not np.isnan(self.t_mem) or np.isnan(self.now["train_accuracy"])


def signals(runs: Runs, threshold: Floats, until: float | None = None) -> list[Signals]:
    """The signals of each run, of what was evaluated up to step `until` (default: all).

    threshold : test accuracy that counts as generalized, [run].
    """
    chosen = runs.step <= (np.inf if until is None else until)
    step = runs.step[chosen].astype(float)
    curves = {name: np.asarray(runs[name].values, float)[:, chosen] for name in _CURVES}
    trained = runs.trained[:, chosen]
    found = []
    for k in range(len(trained)):
        mine = {name: np.where(trained[k], curve[k], np.nan) for name, curve in curves.items()}
        found.append(
            _of_run(step, mine, float(threshold[k]), step[trained[k]][-1] if trained[k].any() else 0.0)
        )
    return found


def _of_run(step: Floats, curves: dict[str, Floats], threshold: float, last: float) -> Signals:
    t_mem = _passed(step, curves["train_accuracy"], MEMORIZED)
    t_grok = _passed(step, curves["test_accuracy"], threshold)
    fit = t_mem if np.isfinite(t_mem) else step[0] if len(step) else 0.0
    after = step >= fit
    return Signals(
        last=last,
        threshold=threshold,
        t_mem=t_mem,
        t_grok=t_grok,
        now={name: _last(curve) for name, curve in curves.items()},
        drift={
            name: _drift(step, curve, fit, last, "accuracy" not in name) for name, curve in curves.items()
        },
        top=_extreme(np.max, curves["test_loss"][after]),
        norm_top=_extreme(np.max, curves["weight_norm"]),
        least=_extreme(np.min, curves["train_loss"][after]),
        evaluations=int((after & ~np.isnan(curves["test_accuracy"])).sum()),
    )


def _passed(step: Floats, curve: Floats, limit: float) -> float:
    seen = ~np.isnan(curve)[None]
    with np.errstate(invalid="ignore"):
        at = crossing((curve >= limit - 1e-6)[None], seen, np.array([False]), PERSIST, False)[0]
    return float("nan") if at < 0 else float(step[at])


def _last(curve: Floats) -> float:
    known = curve[~np.isnan(curve)]
    return float(known[-1]) if len(known) else float("nan")


def _extreme(of: Callable[[Floats], float], values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(of(known)) if len(known) else float("nan")


def _drift(step: Floats, curve: Floats, fit: float, last: float, logarithm: bool) -> Drift:
    known, nan = np.isfinite(curve) & (step >= (fit + last) / 2), float("nan")
    middle = float(np.median(curve[known])) if known.any() else nan
    known &= (curve > 0) | (not logarithm)
    t, y = step[known], curve[known]
    if len(t) >= LEAST:
        chosen = np.unique(np.searchsorted(t, np.linspace(t[0], t[-1], _POINTS)))
        t, y = t[chosen], np.log(y[chosen]) if logarithm else y[chosen]
    if len(t) < LEAST:
        return Drift(nan, nan, nan, middle, nan)
    slope, _, low, high = theilslopes(y, t, COVERAGE)
    span = float(t[-1] - t[0])
    return Drift(float(slope * span), float(low * span), float(high * span), middle, span)
