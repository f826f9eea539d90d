"""How far along the valley a run has come at a step, and back: decay, and a drift that goes on without any.

    τ(t) = η(γ t + γ0 max(t - onset, 0))

γ0, the implicit decay, is what the drift of minibatch noise amounts to; it may set in only `onset` steps
after the start, as was measured under Adam (docs/decay-path.md). A decay path is such a run of γ = γ_eff: its
refits drift by γ0 as every step does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = float | Floats


@dataclass(frozen=True)
class ValleyClock:
    """Of runs of decay `gamma` and rate `eta` (times the law's speed), arrays that broadcast; `implicit`: γ0,
    and `onset`, the optimizer steps after which it acts."""

    gamma: Numbers
    eta: Numbers
    implicit: float = 0.0
    onset: float = 0.0

    @property
    def rate(self) -> Floats:
        """The τ that passes in a step once the drift acts."""
        return np.asarray(self.eta * (self.gamma + self.implicit))

    def drifted(self, t: Numbers) -> Floats:
        """The part of τ that is drift alone, after t steps."""
        return np.asarray(self.eta * np.maximum(t - self.onset, 0) * self.implicit)

    def tau(self, t: Numbers) -> Floats:
        """How far a run has come after t steps."""
        return np.asarray(self.rate * t - self._lost(np.minimum(t, self.onset)))

    def steps(self, tau: Numbers) -> Floats:
        """Steps until a run has come τ far; NaN where nothing moves it."""
        decay = np.asarray(self.eta * self.gamma)
        early = tau / np.where(decay > 0, decay, np.nan)
        late = (tau + self._lost(self.onset)) / np.where(self.rate > 0, self.rate, np.nan)
        return np.where(early <= self.onset, early, late)

    def _lost(self, t: Numbers) -> Numbers:
        """What the drift would have done in t steps before it sets in."""
        return self.eta * self.implicit * t
