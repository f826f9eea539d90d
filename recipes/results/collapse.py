"""Trained networks and their decay path in one time, τ = ηγt, teacher–student.

Networks are trained in full at every γ and η, and followed along their decay path once. If what is slow is
the drift along the valley, all curves of test accuracy against τ are one, and the path's. What was trained
or sampled is read again; give other settings another folder. A run takes τ_c/(ηγ) steps: the smallest η γ
decides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import xarray as xr

from groktime.fullnet.tasks import teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import pathed, took, trained
from groktime.recipes.shared.tables import number, table
from groktime.validation.collapse import collapse
from groktime.validation.figures import plot

REFIT = (50, 100, 200)
SAMPLED_AT = 3e-4
TAU = 0.75  # of the path, and of the runs


@recipe("collapse", "networks of all γ and η, and their decay path, in one time ηγt", seeds=4, minutes=3)
def run(
    out: Path,
    seeds: int,
    *,
    gamma: Annotated[tuple[float, ...], "weight decays"] = (0.125, 0.25, 0.5, 1.0),
    eta: Annotated[tuple[float, ...], "learning rates"] = (2e-4, 4e-4, 8e-4),
    alpha: Annotated[float, "start"] = 3.0,
) -> None:
    chosen, files = range(seeds), [out / f"{name}.nc" for name in ("runs", "path")]
    runs = trained(
        files[0], teacher_student(), gamma=gamma, eta_d=eta, alpha=alpha, seeds=chosen,
        steps=int(np.ceil(TAU / (min(gamma) * min(eta)))), stop_at=0.95,
    )  # fmt: skip
    path = pathed(
        files[1], teacher_student(), alpha=[alpha], seeds=chosen, eta_d=SAMPLED_AT, refit=REFIT, tau=TAU,
        stop_at=0.95,
    )  # fmt: skip
    found = collapse(runs, path)
    rows: list[list[Any]] = []
    for decay in gamma:
        for rate in eta:
            own = found.isel(run=np.isclose(found["gamma"], decay) & np.isclose(found["eta_d"], rate))
            error = own["tau_path"].values / own["tau"].values - 1
            tau = ", ".join(map(number, own["tau"].values))
            told = ", ".join("–" if np.isnan(e) else f"{e:+.1%}" for e in error)
            rows.append([decay, f"{rate:g}", tau, told])
    table(["γ", "η", "τ = ηγt at generalizing, by seed", "path, by seed"], rows, "tau")
    by_seed = [found.isel(run=found["seed"].values == s)["tau"].values for s in chosen]
    spread = max(float(np.nanmax(t) / np.nanmin(t)) for t in by_seed)
    print(f"\nof one seed, τ varies by a factor of up to {spread:.3f}; t by {_factor(found):.0f}")
    plot(runs, out / "collapse.png", kind="collapse", path=path, alpha=alpha, overwrite=True)
    took(files[0])


def _factor(found: xr.Dataset) -> float:
    """Slowest over fastest run in steps."""
    t = found["tau"].values / (found["gamma"].values * found["eta_d"].values)
    return float(np.nanmax(t) / np.nanmin(t))
