"""The decay path beside trained networks, teacher–student.

Of a runs file of teacher–student (--runs), such as that of fig2. For each α and γ in it: the time
that the path of the same seed predicts, nothing fitted, beside the measured one. The path is sampled
once with decay acting from the first step and once after a fit without decay.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr

from groktime.fullnet.runs import open_runs
from groktime.fullnet.tasks import teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import of, pathed, there
from groktime.recipes.shared.rivals import RIVALS, rivals, size
from groktime.recipes.shared.tables import keep, markdown, number, table
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.prediction import predict
from groktime.validation.measure import measure

REFIT = (25, 50, 100, 200, 400)
TAU = 0.75
# as docs/decay-path.md has the tables of times and rivals
TIMES = ["α", "γ", "delay/t_mem", "measured", "path", "error by seed, %", "mean"]
TIMES += ["fitted first: error by seed, %", "mean"]
SIDES = ["α", "of the path, γ_eff", "steps", "error, %", "real runs, γ", "steps", "error, %"]
_GRID = 0.02  # to which a measured time is known


def sampled(out: Path, alpha: list[float], seeds: int, eta_d: float, fit: str) -> DecayPath:
    return pathed(
        out / f"{fit}.nc", teacher_student(), alpha=alpha, seeds=range(seeds), eta_d=eta_d, refit=REFIT,
        tau=TAU, stop_at=0.95, fit=fit,
    )  # fmt: skip


def percent(errors: list[float]) -> str:
    return ", ".join("–" if np.isnan(e) else f"{100 * e:+.1f}" for e in errors)


def rows(delays: xr.Dataset, paths: list[DecayPath]) -> list[list[str]]:
    """One row for each α and γ; of each path the median prediction and the errors by seed."""
    out = []
    starts = [(a, g) for a in np.unique(delays["alpha"]) for g in np.unique(delays["gamma"]) if g > 0]
    for alpha, gamma in starts:
        own = of(delays, alpha=alpha, gamma=gamma)
        own = own.isel(run=np.isin(own["seed"].values, paths[0].seeds))
        if not own.sizes["run"]:
            continue
        row = [number(alpha), number(gamma), number(float(own["delay"].median() / own["t_mem"].median()))]
        row.append(number(float(own["t_grok"].median())))
        for path in paths:
            told = [
                predict(path, gamma=gamma, eta_d=float(eta), alpha=alpha, seed=int(s)).t_grok
                for eta, s in zip(own["eta_d"], own["seed"], strict=True)
            ]
            errors = [t / float(x) - 1 for t, x in zip(told, own["t_grok"], strict=True)]
            row += [number(float(np.median(told))), percent(errors), size(errors)]
        out.append(row)
    return out


def resolutions(path: DecayPath) -> list[list[str]]:
    """τ_c by resolution, each seed."""
    out = []
    for alpha in path.alpha:
        for k, gamma in zip(path.refit, path.gamma_eff, strict=True):
            p = predict(path, gamma=float(gamma), eta_d=path.eta_d, alpha=float(alpha))
            each = ", ".join(number(q.detail.tau_c) for q in p.seeds)
            known = xr.apply_ufunc(np.isfinite, path.dataset["test_loss"].sel(alpha=alpha, refit=k))
            steps = known.sum("tau") - 1
            out.append([number(alpha), str(k), number(gamma), number(float(steps.mean()) * k), each])
    return out


def coarser(delays: xr.Dataset, path: DecayPath) -> list[list[str]]:
    """Without the finest resolutions: mean absolute error of all runs and of those below the finest that
    is left, and how many runs lie in the interval of their own seed, give or take the measurement's 2 %."""
    out = []
    for alpha in path.alpha:
        own = of(delays, alpha=alpha)
        own = own.isel(run=np.isin(own["seed"].values, path.seeds) & (own["gamma"].values > 0))
        for count in range(len(path.refit), 2, -1):
            some = DecayPath(path.dataset.isel(refit=slice(count)), path.source)
            errors, below, inside = [], [], 0
            for run in (own.isel(run=k) for k in range(own.sizes["run"])):
                gamma, eta_d, t = (float(run[name]) for name in ("gamma", "eta_d", "t_grok"))
                p = predict(some, gamma=gamma, eta_d=eta_d, alpha=float(alpha), seed=int(run["seed"]))
                errors.append(p.t_grok / t - 1)
                inside += p.interval[0] / (1 + _GRID) <= t <= p.interval[1] * (1 + _GRID)
                if gamma < some.gamma_eff[-1]:
                    below.append(errors[-1])
            told = f"{inside} of {len(errors)}"
            out.append(
                [number(alpha), f"{some.refit[0]} to {some.refit[-1]}", size(errors), size(below), told]
            )
    return out


def side_by_side(made: list[list[str]]) -> list[list[str]]:
    """Of the rows of `rivals`: the path's on the left, those of runs on the right, alike in α and count."""
    out = []
    for alpha in dict.fromkeys(row[0] for row in made):
        for left, right in (("one path", "one run"), ("two paths", "two runs")):
            sides = ([row[2:] for row in made if row[:2] == [alpha, what]] for what in (left, right))
            out += [[alpha, *a, *b] for a, b in zip_longest(*sides, fillvalue=["", "", ""])]
    return out


@recipe("table_path", "teacher–student: the decay path beside the runs of fig2", seeds=4)
def run(
    out: Path,
    seeds: int,
    *,
    runs: Annotated[Path, "a runs file of teacher–student (that of fig2)"] = Path("out/fig2/sweep.nc"),
) -> None:
    delays = measure(open_runs(there(runs, "groktime figure fig2")))
    eta = np.unique(delays["eta_d"])
    if len(eta) > 1:
        raise InputError(f"{runs}: expected runs of one learning rate")
    alpha = [float(a) for a in np.unique(delays["alpha"]) if a in (2.0, 3.0)]
    delays = delays.isel(run=np.isin(delays["alpha"].values, alpha))
    paths = [sampled(out, alpha, seeds, float(eta[0]), fit) for fit in ("along", "first")]
    of_path = ["steps", "error by seed, %", "mean absolute error, %"]
    table(
        ["α", "γ", "delay/t_mem", "measured", *of_path, *(f"{x} (fitted first)" for x in of_path)],
        made := rows(delays, paths),
    )
    keep("times", markdown(TIMES, [[*row[:7], *row[8:]] for row in made]))
    head = ["α", "refit", "γ_eff", "steps of the path, mean", "τ_c by seed"]
    table(head, resolutions(paths[0]), "resolutions")
    table(
        ["α", "resolutions", "mean absolute error, %", "below the finest", "inside the interval"],
        coarser(delays, paths[0]),
        "coarser",
    )
    beside = rivals(delays, paths[0])
    table(RIVALS, beside)
    keep("rivals", markdown(SIDES, side_by_side(beside)))
