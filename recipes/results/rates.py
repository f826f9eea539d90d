"""The learning rate does not only scale time: ηγ times the delay, against η, by forecasts.

If it did, η γ (t_grok − t_mem) would be the same at every rate, and one decay path would tell all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from groktime.fullnet.find import find_task
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import check_systems, forecasted, took
from groktime.recipes.shared.tables import table
from groktime.reduced.figures.style import PALETTE
from groktime.reduced.forecast import Forecast

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class System:
    """Networks that are forecast at several rates."""

    name: str
    task: Callable[[], Task]
    gamma: Sequence[float]
    eta_d: Sequence[float]
    alpha: float = 1.0


SYSTEMS = {
    "teacher-student": System("teacher–student", teacher_student, (0.1, 1.0), (1e-4, 3e-4, 1e-3, 3e-3), 3.0),
    "modular-mlp": System(
        "MLP, a + b, p = 31", lambda: find_task("modular-mlp", preset="small"), (0.3, 1.0), (3e-4, 1e-3, 3e-3)
    ),
}


def delays(made: Forecast) -> Floats:
    """ηγ(t_grok − t_mem), [seed, gamma, eta_d]."""
    times = made.times()
    scale = made.gamma[:, None] * made.eta_d
    return np.asarray(scale * (times.t_grok - times.t_mem)[..., 0])


@recipe("rates", "how the delay in units of 1/(ηγ) depends on the learning rate, by forecasts", seeds=4)
def run(
    out: Path,
    seeds: int,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(SYSTEMS)} (all)"] = tuple(SYSTEMS),
) -> None:
    check_systems(systems, SYSTEMS)
    out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in systems:
        s = SYSTEMS[name]
        found[name] = forecasted(
            out / f"{name}.nc", s.task(), gamma=s.gamma, eta_d=s.eta_d, alpha=s.alpha, seeds=range(seeds)
        )
    print(f"## ηγ(t_grok − t_mem), medians of {seeds} seeds")
    rows = [
        [SYSTEMS[name].name, f"{gamma:g}", f"{eta:g}", f"{np.nanmedian(delays(made)[:, i, j]):.2f}"]
        for name, made in found.items()
        for i, gamma in enumerate(made.gamma)
        for j, eta in enumerate(made.eta_d)
    ]
    table(["system", "γ", "η", "ηγ(t_grok − t_mem)"], rows, "delays")
    took(*(out / f"{name}.nc" for name in systems))
    draw(found, out / "rates.png")
    print(f"\nFigure: {out / 'rates.png'}")


def draw(found: Mapping[str, Forecast], file: Path) -> None:
    """A panel a system: each seed, and a line of the medians of each γ."""
    figure, axes = plt.subplots(
        1, len(found), figsize=(4.2 * len(found), 3.4), squeeze=False, layout="constrained"
    )
    for ax, (name, made) in zip(axes.flat, found.items(), strict=True):
        every = delays(made)
        for k, (gamma, colour) in enumerate(zip(made.gamma, PALETTE, strict=False)):
            for each in every[:, k]:
                ax.plot(made.eta_d, each, "o", color=colour, markersize=3, alpha=0.5)
            ax.plot(made.eta_d, np.nanmedian(every[:, k], axis=0), "-", color=colour, label=f"γ = {gamma:g}")
        ax.set(xscale="log", xlabel="learning rate η", title=SYSTEMS[name].name)
        ax.set_xticks(made.eta_d, [f"{eta:g}" for eta in made.eta_d])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_ylim(0, 1.1 * np.nanmax(every))
        ax.legend(frameon=False)
    axes.flat[0].set_ylabel(r"$\eta\gamma\,(t_{grok} - t_{mem})$")
    figure.savefig(file, dpi=110)
    plt.close(figure)
