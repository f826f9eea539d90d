"""How fast the norm falls where the direction turns: `python -m groktime.recipes clock`.

Systems of `decays`, sampled on spheres from the start down, which record how much the direction of the
weights turns. Beside the ηγt at which trained networks first have a norm: ln(w0/w), Eq. 6 in the valley,
and ∫(1 + |dŵ/du|²) du. Then the time to generalize: Eq. 6, with the turning, and measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.runs import Runs
from groktime.recipes.registry import recipe
from groktime.recipes.results.decay_systems import SYSTEMS, System
from groktime.recipes.shared.common import check_systems, from_above, took, trained
from groktime.recipes.shared.tables import table
from groktime.reduced.landscape import Landscape
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison

Floats = NDArray[np.float64]

# Of each system the decays that are trained, and where its norm is looked at, over that at the start.
DECAYS = {
    "teacher-student": (0.3, 1.0),
    "mnist": (0.3, 1.0),
    "transformer": (1.0, 2.0),
    "four-operations": (1.0, 2.0),
    "imdb": (1.0, 2.0),
}
SHARES = (0.8, 0.7, 0.6, 0.5, 0.45)


def sampled_above(one: System, out: Path, seeds: list[int]) -> Landscape:
    """The landscape of a system, from its start down."""
    assert one.lowest is not None
    sphere = {**one.sphere, "budgets": [one.sphere["steps"]]}
    (land,) = from_above(
        out / "above-{:g}.nc", one.task(), alpha=[one.alpha], lowest=one.lowest, seeds=seeds, **sphere
    )
    return land


def spheres(name: str, land: Landscape) -> list[list[str]]:
    """|dŵ/du|² and its cosine, over the seeds, down to each share of the start's norm."""
    alpha, rows = land.alpha, []
    turning, cosine = (land[k].values for k in ("turning", "turning_cosine"))
    edges = [1.0, *(x for x in SHARES if x * alpha[-1] > alpha[0]), alpha[0] / alpha[-1]]
    for high, low in zip(edges[:-1], edges[1:], strict=True):
        inside = (alpha[1:] <= high * alpha[-1] * 1.001) & (alpha[1:] > low * alpha[-1])
        mine = turning[..., :-1][..., inside]
        if not inside.any():
            continue
        lined = cosine[..., :-1][..., inside]
        row = [name, f"{high:.2f} – {low:.2f}", f"{mine.min():.3g} – {mine.max():.3g}", f"{mine.mean():.3g}"]
        rows.append([*row, f"{np.nanmean(lined):.2f}" if np.isfinite(lined).any() else "–"])
    return rows


def clocks(name: str, land: Landscape, runs: Runs) -> list[list[str]]:
    """ηγt at shares of the start's norm: Eq. 6's in the valley, with the turning, and of each γ; means over
    the seeds whose networks come so far."""
    ds, u, rows = runs.dataset, np.log(land.alpha), []
    turning = land["turning"].values[:, 0, -1, 0, :-1]
    passed = np.concatenate([np.zeros((len(turning), 1)), np.cumsum((1 + turning) * np.diff(u), 1)], 1)
    gammas = np.unique(ds["gamma"].values)
    for share in SHARES:
        at = u[-1] + np.log(share)
        if at < u[0]:
            break
        told = np.array([each[-1] - np.interp(at, u, each) for each in passed])
        row = [name, f"{share:g}", f"{-np.log(share):.2f}", f"{told.mean():.2f}"]
        measured = [first_at(runs, gamma, share) for gamma in gammas]
        rows.append([*row, ", ".join(f"{t} (γ = {g:g})" for g, t in zip(gammas, measured, strict=True))])
    return rows


def first_at(runs: Runs, gamma: float, share: float) -> str:
    """ηγt at which the norm is first that share of the start's, mean over the runs that come so far."""
    ds, found = runs.dataset, []
    for k in np.flatnonzero(ds["gamma"].values == gamma):
        one = ds.isel(run=k)
        norm, steps = one["weight_norm"].values, one["step"].values
        below = np.flatnonzero(norm <= share * norm[0])
        if len(below):
            found.append(float(steps[below[0]] * one["eta_d"] * one["gamma"]))
    return f"{np.mean(found):.2f}" if found else "–"


def errors(name: str, made: Comparison) -> list[list[str]]:
    """By γ: measured t_grok, and what is said of it by Eq. 6, with and without the turning; means."""
    t, rows = made.table, []
    for gamma in np.unique(t["gamma"].values):
        mine = t.isel(run=np.flatnonzero(t["gamma"].values == gamma))
        measured = np.asarray(mine["measured_t_grok"].values, float)
        row = [name, f"{gamma:g}", f"{np.isfinite(measured).sum()}", f"{np.nanmean(measured):,.0f}"]
        for which in ("flow", "turning"):
            said = np.asarray(mine["predicted"].sel(predictor=which).values, float)
            error = said / measured - 1
            error = error[np.isfinite(error)]
            told = (
                f"{np.nanmean(said):,.0f} ({100 * error.mean():+.0f} %, {len(error)})" if len(error) else "–"
            )
            row.append(told)
        rows.append(row)
    return rows


@recipe("clock", "how fast the norm falls where the direction of the weights turns", seeds=2)
def run(
    out: Path,
    seeds: int,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(DECAYS)} (teacher-student four-operations)"] = (
        "teacher-student",
        "four-operations",
    ),
) -> None:
    check_systems(systems, DECAYS)
    turns, passed, times, files = [], [], [], []
    for key in systems:
        one, where, some = SYSTEMS[key], out / key, list(range(seeds))
        where.mkdir(parents=True, exist_ok=True)
        land = sampled_above(one, where, some)
        runs = trained(
            where / "runs.nc", one.task(), alpha=one.alpha, seeds=some, gamma=DECAYS[key], steps=one.steps,
            **one.start, **one.run,
        )  # fmt: skip
        turns += spheres(one.name, land)
        passed += clocks(one.name, land, runs)
        times += errors(one.name, compare([land], runs, threshold=one.threshold))
        files += [Path(land.source), where / "runs.nc"]
    table(["system", "w over its start", "|dŵ/du|²", "mean", "cosine of successive turns"], turns, "turning")
    table(["system", "w over its start", "Eq. 6: ln", "with the turning", "trained: ηγt"], passed, "clock")
    table(["system", "γ", "runs", "measured", "Eq. 6", "with the turning"], times, "times")
    took(*files)
