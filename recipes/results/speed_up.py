"""Where a forecast saves most: teacher–student at weak decay, forecast beside its training (α = 3, η = 3e-4).

Its networks grok after hundreds of thousands of steps. Seeds 110 on were not looked at before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import xarray as xr

from groktime.fullnet.tasks import teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import forecasted, of, took, trained
from groktime.recipes.shared.tables import number, table
from groktime.reduced.forecast import Forecast
from groktime.validation.measure import measure

FIRST, ALPHA, ETA = 110, 3.0, 3e-4
HEAD = ("γ", "seed", "trained", "forecast", "error", "two resolutions apart", "steps", "times fewer")


def rows(found: Forecast, delays: xr.Dataset) -> list[list[str]]:
    """One a network; how many times fewer the steps are than those of training up to t_grok."""
    times, out = found.times(), []
    for i, gamma in enumerate(found.gamma):
        for s, seed in enumerate(found.seeds):
            at = s, i, 0, 0
            measured = float(of(delays, gamma=float(gamma), seed=seed)["t_grok"].values[0])
            told, steps = float(times.t_grok[at]), int(found.real_steps[at])
            known = [number(float(gamma)), str(seed), number(measured), number(told)]
            errors = [f"{100 * (told / measured - 1):+.1f} %", f"{100 * np.expm1(times.error[at]):.1f} %"]
            out.append([*known, *errors, number(steps), f"{measured / steps:.0f}"])
    return out


@recipe("speed_up", "how many times fewer steps a forecast takes where decay is weak", seeds=3)
def run(
    out: Path,
    seeds: int,
    *,
    gamma: Annotated[tuple[float, ...], "weight decays"] = (0.003,),
    steps: Annotated[int, "the most steps of a training (1000000)"] = 1_000_000,
) -> None:
    task = teacher_student()
    start: dict[str, Any] = {
        "gamma": gamma,
        "alpha": ALPHA,
        "eta_d": ETA,
        "seeds": range(FIRST, FIRST + seeds),
    }
    found = forecasted(out / "forecast.nc", task, **start)
    runs = trained(out / "runs.nc", task, **start, steps=steps, stop_at=task.threshold, resolution=0.03)
    print("## Forecasts at weak decay beside trainings")
    table(HEAD, rows(found, measure(runs)), "networks")
    took(out / "forecast.nc", out / "runs.nc")
