"""What happens within a step of the flow: when in it a lane passes a test, and the path through all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.rosenbrock import Step

Floats = NDArray[np.float64]
Test = Callable[[Floats, Floats], Floats]  # points (u, m) -> a number that is >= 0 where passed

_BISECTIONS = 48


@dataclass(frozen=True)
class Trajectory:
    """One lane's continuous solution in s = η_D t: starts and lengths of its steps, and its end.

    The last step, and one that met an end of m, counts only as far as the next start.
    """

    starts: Floats
    lengths: Floats
    end: float
    steps: tuple[Step, ...]

    def at(self, s: ArrayLike) -> tuple[Floats, Floats]:
        """u and m at the given s [point], from the dense output; s is held within it."""
        when: Floats = np.clip(np.atleast_1d(np.asarray(s, float)), 0.0, self.end)
        k = np.clip(np.searchsorted(self.starts, when, "right") - 1, 0, len(self.steps) - 1)
        share = (when - self.starts[k]) / self.lengths[k]
        points = [self.steps[i].at(np.array([x])) for i, x in zip(k, share, strict=True)]
        u, m = np.concatenate(points, 1)
        return u, m


@dataclass(frozen=True)
class Crossing:
    """Lanes that pass a test within a step that starts at `time` (in γ s) and is h long, up to the share
    `last` of it; [lane] each."""

    lane: NDArray[np.intp]
    step: Step
    last: Floats
    time: Floats
    h: Floats

    @staticmethod
    def joined(each: list[Crossing]) -> Crossing:
        """All of them, one after another."""
        return Crossing(
            np.concatenate([x.lane for x in each]),
            Step.joined([x.step for x in each]),
            *(np.concatenate([getattr(x, name) for x in each]) for name in ("last", "time", "h")),
        )


def first(test: Test, step: Step, last: Floats) -> Floats:
    """The share of each step at which the test, failed at its start and passed at `last`, turns."""
    low, high = np.zeros(len(last)), last.copy()
    for _ in range(_BISECTIONS if len(last) else 0):
        middle = (low + high) / 2
        passed = test(*step.at(middle)) >= 0
        high = np.where(passed, middle, high)
        low = np.where(passed, low, middle)
    return high
