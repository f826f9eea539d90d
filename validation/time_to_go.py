"""How long a run that is on its way may still take: from how fast its test loss, or its norm, falls.

The test loss L falls by a rate b = -d ln L/dt. Generalized networks had κ times its highest value since the
fit, so that

    t_left = ln(L/(κ L_top))/b

Where no test loss was recorded, the norm falls by s = -d ln w/dt, and t_left = κ_w/s. Where neither falls,
t_left = κ_t (t - t_mem): a run that has waited long may wait long. Each κ is the median over runs of our own,
and each interval holds 90 % of them (`groktime figure check`, docs/logs.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groktime.validation.signals import Signals


@dataclass(frozen=True)
class Way:
    """A way to tell the time that is left: its κ, and between which multiples of it 90 % of the runs lay."""

    name: str
    kappa: float
    low: float
    high: float


LOSS = Way("the test loss", 0.05, 0.25, 4.0)
NORM = Way("the weight norm", 0.3, 0.1, 10.0)
WAITED = Way("the time since the fit", 2.0, 0.05, 20.0)


@dataclass(frozen=True)
class Left:
    """Steps that a run may still take, with a 90 % interval, and by which way they were told."""

    steps: float
    low: float
    high: float
    by: str


def time_to_go(run: Signals) -> Left:
    """The steps that are left; NaN where nothing tells them."""
    for way, steps in ((LOSS, by_loss(run)), (NORM, by_norm(run)), (WAITED, by_waiting(run))):
        if np.isfinite(steps):
            return Left(steps, steps * way.low, steps * way.high, way.name)
    nan = float("nan")
    return Left(nan, nan, nan, "nothing")


def by_loss(run: Signals, kappa: float = LOSS.kappa) -> float:
    """From the fall of the test loss; at least a tenth of an e-folding is left."""
    drift = run.drift["test_loss"]
    if not drift.falls(0.0):
        return float("nan")
    left = max(float(np.log(run.now["test_loss"] / (kappa * run.top))), 0.1)
    return left / -drift.rate


def by_norm(run: Signals, kappa: float = NORM.kappa) -> float:
    """From the fall of the weight norm."""
    drift = run.drift["weight_norm"]
    return kappa / -drift.rate if drift.falls(0.0) else float("nan")


def by_waiting(run: Signals, kappa: float = WAITED.kappa) -> float:
    """From the time that the run has waited since its fit."""
    return kappa * (run.last - run.t_mem)
