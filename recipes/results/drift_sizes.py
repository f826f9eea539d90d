"""The sizes of `drift_addition`: its networks, landscapes and runs, each made once and then read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.find import find_task
from groktime.fullnet.task import Task
from groktime.recipes.results.released import Release, Start, released
from groktime.recipes.shared.common import kept, sampled
from groktime.reduced.landscape import Landscape
from groktime.reduced.system import System

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """`task` with `n` training pairs; `alpha` and `m`, where networks are fitted and released; the
    landscape's `grid` of α, `rows` of m and `cutoffs`; steps of the `fit` and a sphere; the `runs`,
    on the first of whose own ways the projection is looked at, and the ηγt at which they all are (`taus`);
    `metrics` whose times are told."""

    preset: str
    task: Callable[[], Task]
    n: int
    alpha: float
    m: float
    grid: Floats
    rows: tuple[float, ...]
    cutoffs: tuple[float, ...]
    fit: int
    steps: int
    runs: tuple[Release, ...]
    taus: Floats
    metrics: tuple[str, ...] = ("loss",)

    def land(self, out: Path, seed: int) -> Landscape:
        """The landscape of a seed, continued from the start's sphere down."""
        return sampled(
            out / f"land-{seed}.nc", self.task(), alpha=self.grid, m=self.rows, seeds=[seed],
            n_train=[self.n], steps=self.steps, budgets=[self.steps], start="above", drift=self.cutoffs,
            fit_steps=self.fit,
        )  # fmt: skip

    def trained(self, out: Path, seed: int, fitted: bool) -> dict[str, Floats]:
        """The networks of a seed, [run, τ]; `own`: m on the first one's way by the projection there."""
        start = Start(seed, self.alpha, self.m, self.n, self.fit if fitted else 0)
        name, runs = ("released", self.runs) if fitted else ("initial", self.runs[:2])
        work = partial(released, self.task(), start, runs, self.taus, project=fitted)
        made: dict[str, Floats] = kept(out / f"{name}-{seed}.npz", work)
        if fitted:
            rate = made["drift"]
            passed = np.diff(self.taus) * (rate[1:] + rate[:-1]) / 2
            made["own"] = self.m - np.concatenate([[0.0], np.cumsum(passed)])
        return made

    def flowed(self, system: System, run: Release, drift: bool) -> Floats:
        """u - u(0) and m/m(0) at the taus, [2, τ], of the flow on a landscape; what has left the grid stays
        where it left it, so that nothing is left out of a mean; NaN where it never was on it."""
        u0 = np.log(self.alpha * system.w0)
        result, *_ = system.flow(
            gamma=run.gamma, ratio=run.ratio, u=u0, m=self.m, wall=False, record=True,
            mobility=system.surface.drift if drift else None,
        )  # fmt: skip
        way = result.trajectories[0]
        if not way.steps:
            return np.full((2, len(self.taus)), np.nan)
        u, m = way.at(self.taus / run.gamma)
        return np.stack([u - u0, m / self.m])


def _official() -> Task:
    return find_task("addition", {}, preset="official")


def _p30() -> Task:
    return find_task("addition", {}, preset="p30")


SIZES = {
    # At η_D = 0.01 and η_R = η_D gradient descent is not stable: m jitters. Weaker decay is followed less
    # far.
    "official": Size(
        "official", _official, 45, 3.6, 0.08,
        np.geomspace(2.4, 3.6, 8), (0.0, 0.03, 0.06, 0.09), (3e-4, 3e-3), 12_500, 1250,
        (Release(3e-3, 0.01, 0.1, 0.4), Release(3e-3, 0.01, 0.01, 0.4), Release(3e-3, 0.004, 1.0, 0.4),
         Release(3e-4, 0.01, 0.1, 0.2)),
        np.array([0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4]),
    ),
    # The preset's 300 pairs are not fitted at such norms (a loss of 0.33 to 0.53 after 4,000 steps at
    # α = 3.6), 100 are (below 0.1). N, α, m and the rates were chosen on seed 10.
    "p30": Size(
        "p30", _p30, 100, 4.0, 0.06,
        np.geomspace(2.7, 4.0, 6), (0.0, 0.02, 0.04, 0.065), (3e-4, 3e-3), 12_500, 1250,
        (Release(3e-3, 0.01, 0.1, 0.4), Release(3e-3, 0.01, 0.01, 0.4), Release(3e-3, 0.004, 1.0, 0.4),
         Release(3e-4, 0.01, 0.1, 0.2)),
        np.linspace(0, 0.4, 17), ("loss", "accuracy"),
    ),
}  # fmt: skip
