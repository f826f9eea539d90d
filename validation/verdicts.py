"""The verdicts of `diagnose`: what each rests on, and what may be tried.

A run has the first verdict of the list whose evidence is there. What counts as moving is looked at in the
later half of the time since the fit, and was chosen on runs of our own (`python -m groktime.recipes check`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from groktime.reduced.system import MEMORIZED
from groktime.validation.signals import LEAST, Signals
from groktime.validation.time_to_go import Left, time_to_go


class Verdict(StrEnum):
    """What a run is doing."""

    GENERALIZES = "generalizes"
    UNFITTED = "still fitting"
    COLLAPSED = "numerical collapse"
    FEW = "too few samples"
    PLATEAU = "plateau with a drift"
    AT_REST = "norm below reach"
    OVERFIT = "plain overfitting"
    UNKNOWN = "not enough recorded"


LOSS_FALLS = 0.05  # of ln(test loss)
ACCURACY_RISES = 0.02
NORM_FALLS = 0.02  # of ln(norm)
CAME_DOWN = 0.05  # of ln(norm), since its highest: less than that is no decay that has come to rest
FLOAT32 = 1.2e-7  # the smallest cross-entropy of a sample that is not 0 in single precision
ACTED = 2.0  # times 1/(ηγ): a decay that has acted so long and moved nothing towards the test set, will not
# times its lowest since the fit: the train loss of weights that have become too small for it
TOO_SMALL = 30.0

TRY = {
    Verdict.GENERALIZES: "nothing is left to wait for; `groktime measure` tells the times",
    Verdict.UNFITTED: "go on; if the train accuracy has come to rest, less decay γ or a larger start α",
    Verdict.COLLAPSED: "the loss in float64, or more decay γ, which keeps logits small; waiting changes "
    "nothing while gradients are 0",
    Verdict.FEW: "more samples N; more decay γ only makes the fit worse",
    Verdict.PLATEAU: "go on; where the decay drives it, γ twice as large takes about half the time",
    Verdict.AT_REST: "more decay γ, which lowers the norm at which it rests; where the train loss then rises "
    "and the test does not move, more samples N",
    Verdict.OVERFIT: "decay γ above 0, or more of it; a smaller start α; where a decay acts already, more "
    "samples N",
    Verdict.UNKNOWN: "record both accuracies, both losses and the weight norm at geometric steps",
}


@dataclass(frozen=True)
class Judged:
    """A verdict, its evidence in numbers, and of a plateau the steps that may be left."""

    verdict: Verdict
    evidence: str
    left: Left | None = None


def judge(run: Signals, rate: float) -> Judged:
    """The verdict on one run; `rate` is ηγ, by which the norm decays in a step, NaN where it is not known."""
    if np.isfinite(run.t_grok):
        return Judged(Verdict.GENERALIZES, f"test accuracy passed {run.threshold:g} at step {run.t_grok:.0f}")
    now = f"test accuracy is {run.now['test_accuracy']:.3g} at step {run.last:.0f}"
    if not run.fitted:
        seen = f"train accuracy is {run.now['train_accuracy']:.3g} and never stayed at {MEMORIZED:g}"
        return Judged(Verdict.UNFITTED, f"{seen}; {now}")
    if run.evaluations < 2 * LEAST or np.isnan(run.drift["test_accuracy"].change):
        return Judged(Verdict.UNKNOWN, f"{run.evaluations} test accuracies since the fit; {now}")
    loss, accuracy = run.drift["test_loss"], run.drift["test_accuracy"]
    moving = "; ".join([_moved(run, name) for name in _WORDS if np.isfinite(run.drift[name].change)] + [now])
    on_its_way = loss.falls(LOSS_FALLS) or accuracy.rises(ACCURACY_RISES)
    if collapsed(run) and not on_its_way:
        seen = f"train loss is {run.drift['train_loss'].middle:.2g}, where float32 has no gradient left"
        return Judged(Verdict.COLLAPSED, f"{seen}; {moving}")
    if too_small(run) and not accuracy.rises(ACCURACY_RISES):
        seen = f"train loss rose to {run.drift['train_loss'].middle / run.least:.3g} times its lowest"
        return Judged(Verdict.FEW, f"{seen}, with train accuracy {run.now['train_accuracy']:.3g}; {moving}")
    if on_its_way or run.drift["weight_norm"].falls(NORM_FALLS):
        return Judged(Verdict.PLATEAU, moving, time_to_go(run))
    if np.log(run.norm_top / run.now["weight_norm"]) > CAME_DOWN and rate != 0:
        seen = f"norm rests at {run.now['weight_norm'] / run.norm_top:.2g} of its highest"
        return Judged(Verdict.AT_REST, f"{seen}; {moving}")
    if rate * (run.last - run.t_mem) > ACTED:
        seen = f"the decay has acted for {rate * (run.last - run.t_mem):.3g}/(ηγ) since the fit"
        return Judged(Verdict.FEW, f"{seen}; {moving}")
    return Judged(Verdict.OVERFIT, moving)


def collapsed(run: Signals) -> bool:
    """Whether the train loss is 0 to float32: exactly, or nearly where the test loss is a cross-entropy's. A
    squared error may be as small and have a gradient."""
    least = run.drift["train_loss"].middle
    return bool(least == 0 or (least <= FLOAT32 and run.now["test_loss"] > 1))


def too_small(run: Signals) -> bool:
    """Whether the weights have become too small to fit, by the train loss and the train accuracy."""
    return run.drift["train_loss"].middle > TOO_SMALL * run.least and run.now["train_accuracy"] < 1


_WORDS = {"test_loss": "test loss", "test_accuracy": "test accuracy", "weight_norm": "norm"}


def _moved(run: Signals, name: str) -> str:
    """How a curve moved, with its 90 % interval: of accuracies the difference, of others the share."""
    drift = run.drift[name]
    if name == "test_accuracy":
        return f"{_WORDS[name]} moved by {drift.change:+.3f} in {drift.span:.0f} steps"
    change, low, high = (100 * np.expm1(x) for x in (drift.change, drift.low, drift.high))
    return f"{_WORDS[name]} moved by {change:+.3g} % ({low:+.3g} to {high:+.3g})"
