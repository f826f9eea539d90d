"""What a what-if map costs by path and by training.

Teacher–student, α = 3, AdamW: 10 weight decays from 0.03 to 1 times 5 learning rates from 1e-4 to 1e-3. Both
are done here, one after the other on the same machine: decay paths, at a larger rate than most runs and at
several resolutions, since one path serves every η; then all 50 networks of each seed, trained until they
generalize. Steps are optimizer steps of one network that were really done, seconds those since the work was
last started. The same path is read with its finest resolutions left out, too: what it would have cost (of the
seconds, its share by steps), and how wrong it would have been. The rival of all this is a single real run at
the strongest decay and largest rate, its time rescaled by 1/(γη); it is among the 50. About 1.2 million steps
of one network for each seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.runs import open_runs
from groktime.fullnet.tasks import teacher_student
from groktime.fullnet.trainer import train
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import machine
from groktime.recipes.shared.tables import number, table
from groktime.reduced.decay_path import DecayPath, open_path
from groktime.reduced.what_if import what_if
from groktime.validation.measure import measure

Floats = NDArray[np.float64]

ALPHA = 3.0
REFIT = (8, 15, 30, 60)  # at η = 1e-3: γ_eff of 1.25, 0.67, 0.33 and 0.17
RATES = (1e-3, 2e-3)  # at which the path is sampled; at twice the rate with half the steps
DTAU, TAU = 0.01, 0.75
AIM = 50, 0.05  # times fewer steps, at this mean error


@dataclass(frozen=True)
class Cost:
    """Of one way to the map: steps of one network and seconds, and the time of each cell, [seed, γ, η]."""

    name: str
    steps: float
    seconds: float
    times: Floats


def timed(file: Path, work: Callable[..., Any], **settings: Any) -> float:
    """Seconds that a piece of work took, kept beside its file for a later call."""
    note = file.with_suffix(".seconds")
    if not (file.exists() and note.exists()):
        start = time.perf_counter()
        work(teacher_student(), out=file, overwrite=True, **settings)
        note.write_text(f"{time.perf_counter() - start}\n")
    return float(note.read_text())


def walked(path: DecayPath) -> Floats:
    """Steps that a path took, [refit], all its seeds together."""
    records = np.isfinite(path.dataset["train_loss"].values).sum(-1) - 1
    return np.asarray(records.sum((0, 1, 2, 3)) * np.array(path.refit), float)


def map_of(path: DecayPath, gamma: Floats, eta: Floats) -> Floats:
    """Grokking times, [seed, γ, η]."""
    each = [
        what_if(path, gamma=gamma, eta_d=eta, alpha=ALPHA, seed=seed)["t_grok"].values for seed in path.seeds
    ]
    return np.array(each)


def by_path(file: Path, seconds: float, gamma: Floats, eta: Floats) -> list[Cost]:
    """The map by all resolutions, and by those that are left without the finest ones."""
    path = open_path(file)
    steps, out = walked(path), []
    for count in range(len(path.refit), 0, -1):
        some = DecayPath(path.dataset.isel(refit=slice(count)), path.source)
        start = time.perf_counter()
        times = map_of(some, gamma, eta)
        reading = time.perf_counter() - start
        share = float(steps[:count].sum() / steps.sum())
        finest = number(float(some.gamma_eff[-1]))
        name = f"path at η = {path.eta_d:g}, {count} resolution{'s' if count > 1 else ''} to γ_eff = {finest}"
        out.append(Cost(name, float(steps[:count].sum()), seconds * share + reading, times))
    return out


def by_training(
    file: Path, seconds: float, gamma: Floats, eta: Floats, seeds: list[int]
) -> tuple[Cost, Floats]:
    """The map by runs to the end of each, and the steps that they took, all seeds together, [γ, η]."""
    delays = measure(open_runs(file))
    times, steps = np.full((2, len(seeds), len(gamma), len(eta)), np.nan)
    for one in (delays.isel(run=k) for k in range(delays.sizes["run"])):
        place = (seeds.index(int(one["seed"])), *(at(axis, one, name) for axis, name in
                 ((gamma, "gamma"), (eta, "eta_d"))))  # fmt: skip
        times[place], steps[place] = float(one["t_grok"]), float(one["last"])
    return Cost("training all", float(steps.sum()), seconds, times), steps.sum(0)


def rescaled(full: Cost, steps: Floats, gamma: Floats, eta: Floats, k: int) -> Cost:
    """The map from the run of each seed at γ[k] and the largest η, as 1/(γη); `steps` [γ, η]."""
    scale = gamma[k] * eta[-1] / np.multiply.outer(gamma, eta)
    share = steps[k, -1] / full.steps
    name = f"one run at γ = {number(float(gamma[k]))}, η = {eta[-1]:.2g}, rescaled"
    return Cost(name, float(steps[k, -1]), share * full.seconds, full.times[:, [k], -1:] * scale)


def at(axis: Floats, run: xr.Dataset, name: str) -> int:
    return int(np.argmin(np.abs(axis - float(run[name]))))


Three = tuple[float, float, float]


@recipe("table_cost", "what a what-if map costs by decay path and by training", seeds=4)
def run(
    out: Path,
    seeds: int,
    *,
    gamma: Annotated[Three, "weight decays, geometric: LOW HIGH COUNT (0.03 1 10)"] = (0.03, 1.0, 10),
    eta: Annotated[Three, "learning rates, geometric: LOW HIGH COUNT (1e-4 1e-3 5)"] = (1e-4, 1e-3, 5),
) -> None:
    decays, rates = (np.geomspace(low, high, int(n)) for low, high, n in (gamma, eta))
    chosen = list(range(seeds))
    full, spent, paths = both_ways(out, chosen, decays, rates)
    costs = list(paths)
    costs += [rescaled(full, spent, decays, rates, k) for k in {len(decays) - 1, len(decays) // 2}]
    print(f"\nmachine: {machine()}; {len(decays) * len(rates)} cells, {len(chosen)} seed(s)")
    print(f"training: {int(np.isfinite(full.times).sum())} of {full.times.size} runs generalized")
    head = ["map by", "steps", "seconds", "times fewer steps", "times faster", "mean error, %"]
    table([*head, "worst, %", "cells"], rows_of(full, costs, decays, rates), "costs")
    reached = [
        cost for cost in costs
        if full.steps >= AIM[0] * cost.steps and np.nanmean(np.abs(cost.times / full.times - 1)) <= AIM[1]
    ]  # fmt: skip
    words = "; ".join(cost.name for cost in reached) or "by none"
    print(f"\n{AIM[0]} times fewer steps at a mean error of {AIM[1]:.0%} or less: {words}")

    best = min(paths, key=lambda cost: float(np.nanmean(np.abs(cost.times / full.times - 1))))
    print(f"\n## Error by cell, %, median over the seeds: {best.name}")
    error = np.median(best.times / full.times - 1, axis=0)
    lines = [[number(g), *(f"{100 * e:+.1f}" for e in row)] for g, row in zip(decays, error, strict=True)]
    table(["γ \\ η", *(f"{x:.2g}" for x in rates)], lines, "cells")


def both_ways(out: Path, seeds: list[int], gamma: Floats, eta: Floats) -> tuple[Cost, Floats, list[Cost]]:
    """The map by training, the steps that each cell took, and the map by paths."""
    alike = {"alpha": ALPHA, "seeds": seeds, "stop_at": 0.95}
    costs = []
    for rate in RATES:
        file = out / f"path-{rate:g}.nc"
        refit = tuple(max(round(k * RATES[0] / rate), 1) for k in REFIT)
        took = timed(file, sample_path, eta_d=rate, refit=refit, dtau=DTAU, tau=TAU, **alike)
        costs += by_path(file, took, gamma, eta)
    file = out / "runs.nc"
    steps = int(np.ceil(TAU / (gamma.min() * eta.min())))  # of the slowest; the others stop as they are done
    took = timed(file, train, gamma=gamma.tolist(), eta_d=eta.tolist(), steps=steps, **alike)
    full, spent = by_training(file, took, gamma, eta, seeds)
    return full, spent, costs


def rows_of(full: Cost, costs: list[Cost], gamma: Floats, eta: Floats) -> list[list[Any]]:
    """Each way beside training all."""
    rows: list[list[Any]] = [[full.name, full.steps, full.seconds, "1", "1", "", "", ""]]
    for cost in costs:
        error = np.abs(cost.times / full.times - 1)
        known_errors = error[np.isfinite(error)]
        worst = np.unravel_index(np.argmax(np.nan_to_num(error, nan=-1)), error.shape)
        where = f"γ = {number(gamma[worst[1]])}, η = {eta[worst[2]]:.2g}"
        told = [f"{100 * known_errors.mean():.1f}", f"{100 * known_errors.max():.1f} ({where})"]
        fewer, faster = full.steps / cost.steps, full.seconds / cost.seconds
        rows.append([cost.name, cost.steps, cost.seconds, f"{fewer:.0f}", f"{faster:.0f}", *told,
                     f"{known_errors.size}"])  # fmt: skip
    return rows
