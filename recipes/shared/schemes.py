"""What else could be done after the fit, beside what a forecast does: each a way of hastening of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groktime.fullnet.engine.optimizer import scale
from groktime.fullnet.procedures.hastened import HastenedState, Hastening

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FOREVER = 1e15  # steps
_WINDOW = 8  # an e-fold over this is averaged
_MOST = 0.2  # of the window: how often an averaged drift may be done again in a step
_LUMP = 0.05  # τ of a lump of decay


@dataclass(frozen=True)
class DecayAlone(Hastening):
    """The gradient of every step counts once; Adam's second moment forgets by the clock."""

    def stretched(self, state: HastenedState, rows: Ints, gradient: Tensor, pace: Floats) -> Floats:
        return np.ones(len(rows))


@dataclass(frozen=True)
class DecayAloneInSteps(DecayAlone):
    """The same, and Adam's second moment forgets by the steps, as it does in training."""

    def remembered(self, state: HastenedState, rows: Ints, again: Floats) -> Floats:
        return np.full(len(rows), _FOREVER)


@dataclass(frozen=True)
class Lumps(DecayAloneInSteps):
    """Shrink and refit, as a decay path: lumps of τ = 0.05 from the fit on, `efold` steps to every τ of 1."""

    def pace(self, state: HastenedState, rows: Ints) -> Floats:
        refit = np.maximum(1, np.round(_LUMP * state.efold[rows]))
        lump = np.maximum(1.0, np.round(_LUMP / state.rate[rows]) - refit + 1)
        due = (state.t_fit[rows] >= 0) & (state.real[rows] % refit == 0)
        return np.where(due, lump, 1.0)


@dataclass(frozen=True)
class Always(Hastening):
    """Every gradient counts as often as the decay, whether the next one points there or not."""

    def stretched(self, state: HastenedState, rows: Ints, gradient: Tensor, pace: Floats) -> Floats:
        return pace


@dataclass(frozen=True)
class Averaged(DecayAlone):
    """Decay, and the drift that the gradients make, averaged over an eighth of an e-fold's steps."""

    drift: dict[int, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def hasten(
        self,
        state: HastenedState,
        before: tuple[Tensor, Tensor],
        gradient: Tensor,
        more: Floats,
        again: Floats,
        factor: float,
    ) -> None:
        some = state.members
        rows = some.rows.numpy()
        weights = before[0].clone()
        scale(weights, torch.as_tensor(1 - factor * state.rate[rows]).to(weights), some.decays)
        done = some.flat - weights
        window = np.maximum(state.efold[rows] / _WINDOW, 1.0)
        super().hasten(state, before, gradient, more, again, factor)
        for k, row in enumerate(rows.tolist()):
            mean = self.drift.get(row, done[k])
            self.drift[row] = mean + (done[k] - mean) / window[k]
            some.flat[k] += min(more[k], _MOST * window[k]) * self.drift[row]


@dataclass(frozen=True)
class Jumps(Hastening):
    """As many ordinary steps to settle as to measure the drift over, and then a jump along it, that of an
    e-fold's steps taking eight such cycles: no steps are hastened but those of the jumps."""

    drift: dict[int, Tensor] = field(default_factory=dict)

    def pace(self, state: HastenedState, rows: Ints) -> Floats:
        usual, cycle = super().pace(state, rows), self._cycle(state, rows)
        due = state.real[rows] % cycle == cycle - 1
        return np.where(due & (usual > 1), usual * cycle, 1.0)

    def _cycle(self, state: HastenedState, rows: Ints) -> Floats:
        return 2 * np.maximum(1, np.round(state.efold[rows] / (2 * _WINDOW)))

    def step(self, state: HastenedState) -> int:
        some = state.members
        rows = some.rows.numpy()
        cycle, now, pace = self._cycle(state, rows), state.real[rows], self.pace(state, rows)
        for k in np.flatnonzero(now % cycle == cycle // 2).tolist():
            self.drift[int(rows[k])] = some.flat[k].detach().clone()
        factor = self.law.schedule.at(some.step)
        _, gradient, slow = some.gradient()
        some.advance(gradient, slow, factor, self.law.schedule.settled(some.step))
        with torch.no_grad():
            for k in np.flatnonzero(pace > 1).tolist():
                since = some.flat[k] - self.drift[int(rows[k])]
                some.flat[k] += (pace[k] - 1) / (cycle[k] - cycle[k] // 2) * since
        state.time[rows] += pace
        state.real[rows] += 1
        return len(rows)


SCHEMES: Mapping[str, type[Hastening]] = {
    "of the forecast": Hastening,
    "decay alone": DecayAlone,
    "decay alone, memory in steps": DecayAloneInSteps,
    "shrink and refit in lumps": Lumps,
    "gradients always as often": Always,
    "averaged drift": Averaged,
    "jumps along the drift": Jumps,
}
