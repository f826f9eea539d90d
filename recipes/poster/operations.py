"""Four operations, their delays and the norm of the attention, Q.

Q claims: (a) a decoder of two blocks groks + − × ÷ modulo p, with a delay from 95 % training to 95 % test
accuracy, in steps and epochs; (b) the norm of the first block's query, key and value weights rises steeply
before it generalizes and falls after. γ = 1; runs stop when the test accuracy has held 99 %, and addition is
run on, too, to see what comes after. Preset "small": p = 41, width 64, half of the equations;
--full: p = 97, width 128, 30 %. Small: about 3 minutes of one core a seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from groktime.fullnet.find import find_task
from groktime.fullnet.runs import PART, Runs
from groktime.fullnet.task import Task
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import took, trained
from groktime.recipes.shared.tables import number, table
from groktime.reduced.figures.style import PALETTE
from groktime.validation.measure import measure

OPERATIONS = {"addition": "+", "subtraction": "-", "multiplication": "*", "division": "/"}
FIRST = PART + "attention1"
STEEP = 1.1  # the factor by which the norm has to rise from its lowest before generalization
FALL = 0.95  # and that to which it has to fall from its highest


def parts_of(run: xr.Dataset) -> list[str]:
    return [str(name) for name in run.data_vars if str(name).startswith(PART)]


def delays(runs: dict[tuple[str, int], Runs], per_epoch: int) -> tuple[list[list[str]], list[str]]:
    """Times of each operation and seed, and Q's first claim."""
    rows, late = [], []
    for (name, seed), one in runs.items():
        found = measure(one).isel(run=0)
        t_mem, t_grok, delay = (float(found[k]) for k in ("t_mem", "t_grok", "delay"))
        late.append(bool(delay > t_mem))
        last = f"censored at {number(float(found['last']))}"
        times = [number(t_grok), number(delay), number(delay / per_epoch)]
        rows.append([name, str(seed), number(t_mem), *([last, "–", "–"] if np.isnan(t_grok) else times)])
    told = f"{sum(late)} of {len(late)} runs: the delay exceeds the time to fit"
    return rows, ["(a) all are grokked", "yes" if all(late) else "in part" if any(late) else "no", told]


def course(run: xr.Dataset, norm: NDArray[np.float64], t_grok: float) -> tuple[int, int]:
    """Where the norm is lowest before generalizing, and highest from then on: two indices along time."""
    before = run["step"].values <= t_grok
    low = int(np.argmin(norm[before]))
    return low, low + int(np.nanargmax(norm[low:]))


def attention(runs: dict[tuple[str, int], Runs]) -> tuple[list[list[str]], list[list[str]]]:
    """The course of the first block's norm in each run, and Q's second claim."""
    rows, rises, falls = [], [], []
    for (name, seed), one in runs.items():
        run, t_grok = one.dataset.isel(run=0), float(measure(one)["t_grok"][0])
        steps, norm = run["step"].values, run[FIRST].values.astype(float)
        if np.isnan(t_grok):
            continue
        low, high = course(run, norm, t_grok)
        at, end = (int(np.flatnonzero(steps <= t)[-1]) for t in (t_grok, float(run["steps_done"])))
        rises.append(norm[low : at + 1].max() / norm[low])
        falls.append(norm[end] / norm[high])
        places = (f"{norm[k]:.3g} at {number(float(steps[k]))}" for k in (0, low, at, high, end))
        rows.append([name, str(seed), *places])
    told = ", ".join(f"{100 * (x - 1):+.1f} %" for x in rises)
    claims = [
        ["(b) the norm rises steeply before", _all(x >= STEEP for x in rises), f"lowest to t_grok: {told}"]
    ]
    told = ", ".join(f"{100 * (x - 1):+.1f} %" for x in falls)
    claims.append(["(b) and falls after", _all(x <= FALL for x in falls), f"highest to the end: {told}"])
    return rows, claims


def _all(true: Iterable[bool]) -> str:
    found = list(true)
    return "yes" if all(found) else "in part" if any(found) else "no"


def draw_accuracies(ax: Axes, runs: dict[tuple[str, int], Runs]) -> None:
    """Training (dotted) and test accuracy of the first seed."""
    for colour, (name, one) in zip(PALETTE, _first(runs), strict=False):
        run = one.dataset.isel(run=0)
        ax.plot(run["step"], run["train_accuracy"], ":", color=colour)
        ax.plot(run["step"], run["test_accuracy"], color=colour, label=name)
    ax.set(xscale="log", xlabel="optimizer steps", ylabel="accuracy (dotted: training)")
    ax.set_xlim(left=10)
    ax.legend(frameon=False, fontsize="small")


def draw_attention(ax: Axes, runs: dict[tuple[str, int], Runs]) -> None:
    """The first block's norm, with a mark where test accuracy is 95 %."""
    for colour, (name, one) in zip(PALETTE, _first(runs), strict=False):
        run, found = one.dataset.isel(run=0), measure(one).isel(run=0)
        ax.plot(run["step"], run[FIRST], color=colour, label=name)
        if not bool(found["test_censored"]):
            at = float(found["t_grok"])
            ax.plot(at, float(run[FIRST].sel(time=run["step"] == at)[0]), "o", color=colour)
    ax.set(xscale="log", xlabel="optimizer steps", ylabel="norm of query, key and value, block 1")
    ax.set_xlim(left=100)
    ax.set_title("dots: 95 % test accuracy", fontsize="medium")
    ax.legend(frameon=False, fontsize="small")


def draw_parts(ax: Axes, one: Runs) -> None:
    """All parts' norms over their start, and test accuracy in grey."""
    run = one.dataset.isel(run=0)
    ax.fill_between(run["step"], run["test_accuracy"], color="0.85", label="test accuracy")
    for colour, name in zip(PALETTE, parts_of(run), strict=False):
        ax.plot(run["step"], run[name] / run[name][0], color=colour, label=name.removeprefix(PART))
    ax.set(xscale="log", xlabel="optimizer steps", ylabel="norm over that at the start")
    ax.set_xlim(left=10)
    ax.set_ylim(0, 2)
    ax.legend(frameon=False, fontsize="small", ncols=2, loc="upper left")


def _first(runs: dict[tuple[str, int], Runs]) -> list[tuple[str, Runs]]:
    return [(name, one) for (name, seed), one in runs.items() if seed == 0]


@recipe(
    "attention",
    "Q: four operations, delays and norm of the attention weights",
    seeds=4,
    minutes=8,
    full=True,
)
def run(out: Path, seeds: int, full: bool) -> None:
    preset, steps = (None, 100_000) if full else ("small", 15_000)
    files: list[Path] = []

    def run_of(name: str, operation: str, seed: int, steps: int, stop_at: float | None) -> tuple[Runs, Task]:
        task = find_task("four-operations", {"operation": operation}, preset=preset)
        files.append(out / f"{name}-{seed}.nc")
        made = trained(
            files[-1], task, gamma=1, alpha=1, seeds=[seed], steps=steps, resolution=0.05, stop_at=stop_at
        )
        return made, task

    runs = {}
    for seed in range(seeds):
        for name, operation in OPERATIONS.items():
            runs[name, seed], task = run_of(name, operation, seed, steps, 0.99)
    longer = f"addition, {steps // 3:,} steps"
    long = {(longer, seed): run_of("long", "+", seed, steps // 3, None)[0] for seed in range(seeds)}

    p, per_epoch = task.settings["p"], task.n_train // task.batch
    print(f"## Four operations modulo {p}: {task.n_train:,} equations, batch {task.batch}, γ = 1")
    rows, claim = delays(runs, per_epoch)
    table(["operation", "seed", "t_mem", "t_grok", "delay, steps", "delay, epochs"], rows, "delays")
    print("\nNorm of query, key and value of the first block, and when")
    rows, claims = attention(runs | long)
    head = ["run", "seed", "start", "lowest before t_grok", "at t_grok", "highest after the lowest", "end"]
    table(head, rows, "norm")
    table(["claim", "came out", "numbers"], [claim, *claims], "claims")
    took(*files)

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    draw_accuracies(axes[0], runs)
    draw_attention(axes[1], runs)
    draw_parts(axes[2], long[longer, 0])
    axes[2].set_title(longer, fontsize="medium")
    figure.savefig(out / "attention.png", dpi=110)
    print(f"\nFigure: {out / 'attention.png'}")
