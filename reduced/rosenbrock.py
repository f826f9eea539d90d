"""One step of a stiff method for thousands of independent systems of two equations.

RODAS of order 4(3) with six stages, L-stable and stiffly accurate, with a continuous solution of
order 3: E. Hairer & G. Wanner, Solving Ordinary Differential Equations II, 2nd ed. (1996), §IV.7 and
the authors' code RODAS (coefficient set 1). The stages need one 2 x 2 matrix each lane, inverted in
closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rate = Callable[[Floats], Floats]  # state [2, lane] -> velocity [2, lane]

_GAMMA = 0.25
_A = (
    (),
    (1.544,),
    (0.9466785280815826, 0.2557011698983284),
    (3.314825187068521, 2.896124015972201, 0.9986419139977817),
    (1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950),
)
_C = (
    (),
    (-5.6688,),
    (-2.430093356833875, -0.2063599157091915),
    (-0.1073529058151375, -9.594562251023355, -20.47028614809616),
    (7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160),
    (8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054),
)
# The continuous solution: weights of the first five stages in its two inner coefficients.
_D = (
    (10.12623508344586, -7.487995877610167, -34.80091861555747, -7.992771707568823, 1.025137723295662),
    (-0.6762803392801253, 6.087714651680015, 16.43084320892478, 24.76722511418386, -6.594389125716872),
)
ORDER = 4


@dataclass(frozen=True)
class Step:
    """A step from `start` to `end`, its error estimate and continuous solution; [2, lane] each."""

    start: Floats
    end: Floats
    error: Floats
    inner: tuple[Floats, Floats]

    def at(self, share: Floats) -> Floats:
        """The state [2, lane] at the given share in [0, 1] of each lane's step."""
        left = 1 - share
        bend = self.inner[0] + share * self.inner[1]
        return self.start * left + share * (self.end + left * bend)

    def lanes(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Step:
        """The same step for some of the lanes."""
        k = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        start, end, error, *inner = (
            x.take(k, axis=1) for x in (self.start, self.end, self.error, *self.inner)
        )
        return Step(start, end, error, (inner[0], inner[1]))

    @staticmethod
    def joined(steps: list[Step]) -> Step:
        """The lanes of all steps, one after another."""
        a, b = zip(*(x.inner for x in steps), strict=True)
        parts = ([getattr(x, name) for x in steps] for name in ("start", "end", "error"))
        start, end, error, *inner = (np.concatenate(x, axis=1) for x in (*parts, a, b))
        return Step(start, end, error, (inner[0], inner[1]))


def rosenbrock_step(rate: Rate, jacobian: Floats, state: Floats, velocity: Floats, h: Floats) -> Step:
    """One step of length h [lane] for dy/ds = rate(y).

    `jacobian` is [2, 2, lane] at `state`, `velocity` = rate(state).
    """
    (a, b), (c, d) = jacobian
    diagonal = 1 / (_GAMMA * h)
    p, q = diagonal - a, diagonal - d
    scale = 1 / (p * q - b * c)

    def solve(right: Floats) -> Floats:
        x, y = right
        return np.stack([(q * x + b * y) * scale, (c * x + p * y) * scale])

    stages: list[Floats] = [solve(velocity)]
    point = state
    for k in range(1, 6):
        point = state + _sum(_A[k], stages) if k < 5 else point + stages[4]
        stages.append(solve(rate(point) + _sum(_C[k], stages) / h))
    return Step(
        start=state,
        end=point + stages[5],
        error=stages[5],
        inner=(_sum(_D[0], stages), _sum(_D[1], stages)),
    )


def _sum(weights: tuple[float, ...], stages: list[Floats]) -> Floats:
    total = weights[0] * stages[0]
    for weight, stage in zip(weights[1:], stages[1:], strict=False):
        total += weight * stage
    return total
