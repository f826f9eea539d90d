"""How long a run that is on its way may still take: from how fast its test curves, or its norm, move.

The test loss L falls at a rate b = -d ln L/dt; networks that generalized had κ of its highest value since the
fit. The test accuracy A rises in its logit, ln(A/(1 - A)), at a rate a, to the threshold A_c. So

    t_left = ln(L/(κ L_top))/b        t_left = (logit(A_c) - logit(A))/a

and where both tell, their geometric mean: the first is late where the fall is still to quicken, the second
where it has not begun. Without them, the norm falls at a rate s, and t_left = κ_w/s; and without that,
t_left = κ_t (t - t_mem), a run that has waited long may wait long. The κ are medians over runs of our own
(`python -m groktime.recipes check`, docs/logs.md); a range is twice as wide, in the logarithm, as 90 % of
these need, since two systems do not tell how others differ. It is no interval of 90 % for others: the runs of
a transformer that generalized in a jump were outside of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groktime.validation.signals import Signals


@dataclass(frozen=True)
class Way:
    """A way to tell the time that is left: its κ, and the multiples of it that hold 90 % of our own runs."""

    name: str
    kappa: float
    low: float
    high: float


TEST = Way("the test curves", 0.05, 0.61, 1.6)
NORM = Way("the weight norm", 0.27, 0.2, 2.3)
WAITED = Way("the time since the fit", 2.1, 0.5, 4.1)
WIDER = 2.0  # in the logarithm
_LEAST = 0.1  # of an e-folding of the loss, and of a logit: a run that has not passed is not there yet
_EDGE = 0.005  # accuracies below and above this are as near to 0 and 1 as a test set tells


@dataclass(frozen=True)
class Left:
    """Steps that a run may still take, their range, and by which way they were told."""

    steps: float
    low: float
    high: float
    by: str


def time_to_go(run: Signals) -> Left:
    """The steps that are left; NaN where nothing tells them."""
    for way, steps in ((TEST, by_test(run)), (NORM, by_norm(run)), (WAITED, by_waiting(run))):
        if np.isfinite(steps):
            return Left(steps, steps * way.low**WIDER, steps * way.high**WIDER, way.name)
    nan = float("nan")
    return Left(nan, nan, nan, "nothing")


def by_test(run: Signals) -> float:
    """From the test loss and the test accuracy, or the one that tells."""
    told = [steps for steps in (by_loss(run), by_accuracy(run)) if np.isfinite(steps)]
    return float(np.exp(np.mean(np.log(told)))) if told else float("nan")


def by_loss(run: Signals, kappa: float = TEST.kappa) -> float:
    """From the fall of the test loss."""
    drift = run.drift["test_loss"]
    if not drift.falls(0.0):
        return float("nan")
    return max(float(np.log(run.now["test_loss"] / (kappa * run.top))), _LEAST) / -drift.rate


def by_accuracy(run: Signals) -> float:
    """From the rise of the test accuracy."""
    drift, now = run.drift["test_accuracy"], run.now["test_accuracy"]
    rise = _logit(now) - _logit(now - drift.change)
    if not (drift.rises(0.0) and rise > 0):
        return float("nan")
    return max(_logit(run.threshold) - _logit(now), _LEAST) * drift.span / rise


def by_norm(run: Signals, kappa: float = NORM.kappa) -> float:
    """From the fall of the weight norm."""
    drift = run.drift["weight_norm"]
    return kappa / -drift.rate if drift.falls(0.0) else float("nan")


def by_waiting(run: Signals, kappa: float = WAITED.kappa) -> float:
    """From the time that the run has waited since its fit."""
    return kappa * (run.last - run.t_mem)


def _logit(accuracy: float) -> float:
    share = min(max(accuracy, _EDGE), 1 - _EDGE)
    return float(np.log(share / (1 - share)))
