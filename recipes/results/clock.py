"""How fast the norm falls, told by three clocks: `python -m groktime.recipes clock`.

Systems of w alone, trained by AdamW, and a landscape of the same seeds from their start down, which records
how much the direction of the weights turns, κ = |dŵ/du|², and on each of whose spheres the optimizer of the
runs goes on with and without decay (`sample(probe=...)`). The ηγt at which trained networks first have a norm
beside ln(w0/w) of Eq. 6, ∫(1 + κ) du of the turning and ∫ du/a of the probe; then the time to generalize by
the same, and by a decay path of the same seeds, which has no clock to keep. Nothing is fitted; how long a
probe takes was chosen on the decoder's seed 50. MNIST and IMDb need their files (docs/data.md). Stopped, it
goes on when called again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.runs import Runs
from groktime.recipes.registry import recipe
from groktime.recipes.results.decay_systems import SYSTEMS, System
from groktime.recipes.shared.common import check_systems, pathed, predicted, sampled, took, trained
from groktime.recipes.shared.tables import number, table
from groktime.reduced.drift import Drift
from groktime.reduced.landscape import Landscape
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison

Floats = NDArray[np.float64]

SEED = 70
# Of each system the decays that are trained, and where its norm is looked at, over that at the start.
DECAYS = {
    "teacher-student": (0.3, 1.0),
    "mnist": (0.3, 1.0),
    "transformer": (1.0, 2.0),
    "four-operations": (1.0, 2.0),
    "imdb": (1.0, 2.0),
}
SHARES = (0.8, 0.7, 0.6, 0.5, 0.45)
PREDICTORS = {
    "Eq. 6": "flow",
    "its closed form": "printed",
    "turning": "turning",
    "probe": "drift",
    "closed form with it": "drift_closed",
    "decay path": "path",
}
# The steps to refit of `decays` at which γ_eff encloses the decays that are trained, or comes next to them.
REFITS = {
    "teacher-student": (100, 200, 400),
    "four-operations": (25, 50),
    "transformer": (25, 50),
    "mnist": (50, 100, 200),
    "imdb": (25, 50),
}
HALF = 0.5  # a test accuracy that networks pass before their norm stands still
TWO_CLASSES = ("imdb",)  # of which it is chance
_FINE = 400  # of the integral over u
_STILL = 20.0  # ηγt beyond which a norm is taken to stand still
_FAR = 1000  # %: where the probe has the norm stand still


def probed(one: System, file: Path, seeds: Sequence[int], gammas: Sequence[float]) -> Landscape:
    """The landscape of a system from its start down, as in `decays`, with the drift at these decays."""
    assert one.lowest is not None
    sphere = dict(one.sphere)
    spheres = round(np.log(one.alpha / one.lowest) / sphere.pop("step")) + 1
    steps = sphere["steps"]
    return sampled(
        file, one.task(), alpha=np.geomspace(one.lowest, one.alpha, spheres), seeds=seeds, budgets=[steps],
        start="above", drift=gammas, fit_steps=steps, probe="adamw", **sphere,
    )  # fmt: skip


def speeds(name: str, land: Landscape) -> list[list[str]]:
    """κ, the cosine of successive turns, 1/(1 + κ) and a by the probe at each γ, by the norm; means over
    the seeds."""
    share = land.alpha / land.alpha[-1]
    a = 1 - land["drift_normal"].values[:, 0, :, 0].mean(0)  # [cutoff, sphere]
    kappa = land["turning"].values[:, 0, -1, 0].mean(0)
    cosine = land["turning_cosine"].values[:, 0, 0].mean(0)
    rows = []
    for k in sorted({int(np.argmin(np.abs(np.log(share / x)))) for x in (1.0, *SHARES)}, reverse=True):
        turned = [number(x) for x in (kappa[k], cosine[k], 1 / (1 + kappa[k]))]
        each = (f"{x:.2f} (γ = {g:g})" for x, g in zip(a[:, k], land["cutoff"].values, strict=True))
        rows.append([name, f"{share[k]:.2f}", *turned, ", ".join(each)])
    return rows


def clocks(name: str, land: Landscape, runs: Runs) -> list[list[str]]:
    """ηγt at shares of the start's norm, means over the seeds."""
    u, rows = np.log(land.alpha), []
    gammas = np.unique(runs.dataset["gamma"].values)
    for share in SHARES:
        at = u[-1] + np.log(share)
        if at < u[0]:
            break
        fine = np.linspace(at, u[-1], _FINE + 1)
        middle, du = (fine[1:] + fine[:-1]) / 2, np.diff(fine)
        kappa = np.mean(
            [np.interp(middle, (u[1:] + u[:-1]) / 2, k) for k in land["turning"].values[:, 0, -1, 0, :-1]], 0
        )
        row = [name, f"{share:g}", f"{-np.log(share):.2f}", f"{np.sum((1 + kappa) * du):.2f}"]
        for gamma in gammas:
            each = [float(np.sum(du / _speed(land, k, middle, gamma))) for k in range(len(land.seeds))]
            told = float(np.mean(each))
            row.append(f"{_told(told)} / {first_at(runs, gamma, share)} (γ = {gamma:g})")
        rows.append(row)
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


def _told(tau: float) -> str:
    return f"{tau:.2f}" if tau < _STILL else "∞"


def _speed(land: Landscape, k: int, u: Floats, gamma: float) -> Floats:
    """a of the k-th seed along u = ln α."""
    drift = Drift.read(land.layer(land.seeds[k]), np.log(land.alpha), land.m)
    assert drift is not None
    each = np.ones_like(u)
    return np.asarray(drift.terms(u, each * land.m[0], gamma * each, each)[0, 0])


def errors(name: str, made: Comparison, threshold: float) -> list[list[str]]:
    """By γ: t_grok as trained, and by how much each clock is off, %, seed by seed."""
    t, rows = made.table, []
    measured = np.asarray(t["measured_t_grok"].values, float)
    for gamma in np.unique(t["gamma"].values):
        mine = np.flatnonzero(t["gamma"].values == gamma)
        row = [name, f"{threshold:g}", f"{gamma:g}", ", ".join(number(x) for x in measured[mine])]
        for predictor in PREDICTORS.values():
            off = 100 * (predicted(t, predictor) / measured - 1)[mine]
            row.append(", ".join(_percent(x) for x in off))
        rows.append(row)
    return rows


def _percent(x: float) -> str:
    return "–" if np.isnan(x) else f"{x:+.0f}" if x < _FAR else f"> {_FAR:,}"


@recipe("clock", "how fast the norm falls, told by three clocks", seeds=2, minutes=15)
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
    spheres, passed, times, files = [], [], [], []
    for key in systems:
        one, where, some = SYSTEMS[key], out / key, list(range(SEED, SEED + seeds))
        where.mkdir(parents=True, exist_ok=True)
        land = probed(one, where / "probed.nc", some, DECAYS[key])
        runs = trained(
            where / "runs.nc", one.task(), alpha=one.alpha, seeds=some, gamma=DECAYS[key], steps=one.steps,
            **one.start, **one.run,
        )  # fmt: skip
        lumps = {**one.start, **one.path, "refit": REFITS[key]}
        path = pathed(where / "path.nc", one.task(), alpha=one.alpha, seeds=some, **lumps)
        spheres += speeds(one.name, land)
        passed += clocks(one.name, land, runs)
        own = one.threshold if one.threshold is not None else one.task().threshold
        for limit in (own,) if key in TWO_CLASSES else (HALF, own):
            times += errors(one.name, compare([land, path], runs, threshold=limit), limit)
        files += [where / "probed.nc", where / "path.nc", where / "runs.nc"]
    print("\n## -du/dτ of decay")
    head = ["system", "w over its start", "κ", "cosine of successive turns", "1/(1 + κ)", "a by the probe"]
    table(head, spheres, "speed")
    print("\n## ηγt at a share of the norm: by the probe / trained")
    table(
        ["system", "w over its start", "ln", "turning", "at the smaller γ", "at the larger"], passed, "clock"
    )
    print("\n## Time to a test accuracy, steps, by seed; errors in %")
    table(["system", "test accuracy", "γ", "trained", *PREDICTORS], times, "times")
    took(*files)
