"""MNIST at weak decay, with the drift that is there without any.

N = 1000, α = 8, γ from 3e-4 to 0.03. Runs at γ = 0 tell the implicit decay γ0 of each seed, and the step from
which it acts, by how fast their test accuracy walks along a path, whose refits have ended before that step;
runs with decay tell, by what they walk faster than decay, whether both are the same in them.

Then grokking times to 50, 70 and 80 % of the test images, by the path alone, with γ0 from the first step on,
and with γ0 from its onset on. Nothing is fitted to the runs with decay. That the drift has an onset was found
on seeds 0 and 1 (γ of 0 and 0.01). Needs the MNIST files (docs/data.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import xarray as xr

from groktime.fullnet.runs import Runs
from groktime.fullnet.tasks import mnist
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import of, pathed, took, trained
from groktime.recipes.shared.tables import number, table
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.figures.file import save
from groktime.reduced.figures.style import BLACK, PALETTE, new_figure
from groktime.reduced.prediction import predict
from groktime.reduced.system import MEMORIZED
from groktime.validation.drift import ImplicitDecay, implicit_decay, places
from groktime.validation.measure import measure

FIRST, ALPHA, ETA = 3, 8.0, 1e-3  # as table_mnist
GAMMA = (3e-4, 1e-3, 3e-3, 0.01, 0.03)
THRESHOLDS = (0.5, 0.7, 0.8)
STRETCHES = ((12_000, 25_000), (25_000, 35_000), (35_000, 45_000), (45_000, 60_000))  # of steps
HEADS = ("path", "path, γ0 from the start", "path, γ0 from its onset")
_POINTS = 4  # of a run in a stretch, or its slope is not told


def told(
    path: DecayPath, drift: ImplicitDecay, seed: int, gamma: float, threshold: float
) -> tuple[float, float, float]:
    """The three predictions of one run, in steps; NaN where there is none, or no γ0."""

    def at(implicit: float = 0.0, onset: float = 0.0) -> float:
        p = predict(
            path, gamma=gamma, eta_d=ETA, alpha=ALPHA, seed=seed, threshold=threshold, implicit=implicit,
            onset=onset,
        )  # fmt: skip
        return p.t_grok

    if not np.isfinite(drift.median):
        return at(), float("nan"), float("nan")
    gamma0 = drift.of(seed)
    return at(), at(gamma0), at(gamma0, drift.onset(seed))


def rows(
    delays: xr.Dataset, path: DecayPath, drift: ImplicitDecay, threshold: float
) -> tuple[list[list[str]], list[list[float]]]:
    """One row a γ: the measured median and the errors by seed, in %; and all errors, one list a predictor.
    Where a run ended before it passed, the error is what it is at least, as far as that can be told."""
    out: list[list[str]] = []
    every: list[list[float]] = [[], [], []]
    for gamma in np.unique(delays["gamma"].values):
        own = of(delays, gamma=float(gamma))
        times, last = own["t_grok"].values, own["last"].values
        middle = float(np.median(np.where(np.isnan(times), np.inf, times)))
        row = [number(float(gamma)), number(middle) if np.isfinite(middle) else f"> {number(last.min())}"]
        predicted = [told(path, drift, int(s), float(gamma), threshold) for s in own["seed"].values]
        for k, each in enumerate(zip(*predicted, strict=True)):
            errors = []
            for t, measured, end in zip(each, times, last, strict=True):
                if np.isnan(measured):
                    late = "beyond the run" if t >= end else "–"
                    errors.append(f"< {100 * (t / end - 1):+.1f}" if t < end else late)
                    continue
                every[k].append(t / measured - 1)
                errors.append("–" if np.isnan(t) else f"{100 * (t / measured - 1):+.1f}")
            shown = number(float(np.median(each)))
            row += [shown, ", ".join(errors)]
        out.append(row)
    return out, every


def drifts(found: ImplicitDecay) -> list[list[str]]:
    """One row a run."""
    return [
        [
            number(r.gamma), str(r.seed), f"{r.gamma0:.4f}", f"{r.low:.4f} – {r.high:.4f}",
            number(r.onset), f"{r.stretch[0]:.3f} – {r.stretch[1]:.3f}",
        ]
        for r in found.runs
    ]  # fmt: skip


def fading(path: DecayPath, runs: Runs, gamma: float) -> list[list[str]]:
    """One row a run: its γ0 in each of the stretches, the slope of τ - ηγt over ηt along its path, and in
    brackets its training loss there, the geometric mean."""
    out = []
    for k, seed in enumerate(runs.dataset["seed"].values):
        t, tau = places(path, runs, k)
        cells = [number(gamma), str(seed)]
        for first, last in STRETCHES:
            own = (first <= t) & (t < last)
            if own.sum() < _POINTS:
                cells.append("–")
                continue
            slope = np.polyfit(ETA * t[own], tau[own] - ETA * gamma * t[own], 1)[0]
            loss = runs.dataset["train_loss"].values[k, (first <= runs.step) & (runs.step < last)]
            cells.append(f"{slope:.3f} ({np.exp(np.nanmean(np.log(loss))):.0e})")
        out.append(cells)
    return out


@recipe("table_weak_decay", "MNIST at weak decay, with its implicit decay", seeds=3, data="MNIST")
def run(
    out: Path,
    seeds: int,
    *,
    gamma: Annotated[tuple[float, ...], "weight decays"] = GAMMA,
    steps: Annotated[int, "the most steps of a run with decay (60000)"] = 60_000,
    still: Annotated[int, "steps of a run without (25000)"] = 25_000,
    n_test: Annotated[int | None, "test images, for a quick look (all)"] = None,
) -> None:
    task = mnist(n_train=1000, n_test=n_test)
    start: dict[str, Any] = {"alpha": ALPHA, "eta_d": ETA, "seeds": range(FIRST, FIRST + seeds)}
    unmoved = trained(out / "still.nc", task, **start, gamma=0.0, steps=still)
    path = pathed(out / "path.nc", task, **start, dtau=0.01, refit=(25, 50, 100), tau=1.0, stop_at=0.8)
    files = [out / f"runs-{g:g}.nc" for g in gamma]
    runs = [
        trained(file, task, **start, gamma=g, steps=steps, stop_at=max(THRESHOLDS))
        for g, file in zip(gamma, files, strict=True)
    ]
    drift = implicit_decay(path, unmoved)
    each = [drift, *(implicit_decay(path, one, gamma=g) for g, one in zip(gamma, runs, strict=True))]
    print("\n## Implicit decay γ0, read on the test accuracy")
    head = ["γ of the runs", "seed", "γ0", "90 %", "onset, steps", "τ seen"]
    table(head, [line for one in each for line in drifts(one)], "implicit")
    for remark in drift.remarks:
        print(f"\n{remark}")
    print("\n## How the drift fades: γ0 in a stretch of steps, and the training loss there")
    head = ["γ of the runs", "seed", *(f"{a:,} – {b:,}" for a, b in STRETCHES)]
    faded = [fading(path, one, g) for g, one in zip((0.0, *gamma), (unmoved, *runs), strict=True)]
    table(head, [line for one in faded for line in one if set(line[2:]) != {"–"}], "fading")
    for threshold in THRESHOLDS:
        print(f"\n## {threshold:.0%} of the test images")
        delays = xr.concat([measure(one, threshold=threshold) for one in runs], "run")
        made, every = rows(delays, path, drift, threshold)
        heads = [text for head in HEADS for text in (f"{head}, median", "error by seed, %")]
        table(["γ", "measured, median", *heads], made, f"{100 * threshold:.0f}-errors")
        for predictor, errors in zip(HEADS, every, strict=True):
            print_errors(predictor, errors)
    took(out / "still.nc", out / "path.nc", *files)
    draw(path, [unmoved, *runs], drift, out / "weak-decay.png")
    print(f"\nFigure: {out / 'weak-decay.png'}")


def draw(path: DecayPath, runs: Sequence[Runs], drift: ImplicitDecay, file: Path) -> None:
    """Of the first seed: how far the runs have come beside their decay, and their training loss."""
    figure = new_figure(9.5, 3.9)
    left, right = figure.subplots(1, 2)
    last = 0.0
    for one, color in zip(runs, PALETTE, strict=False):
        run = one.dataset.isel(run=int(np.argmax(one.dataset["seed"].values == FIRST)))
        gamma, seen = float(run["gamma"]), np.isfinite(run["train_loss"].values)
        step, loss = one.step[seen], run["train_loss"].values[seen]
        t, tau = places(path, one, int(np.argmax(one.dataset["seed"].values == FIRST)))
        left.plot(t, tau - ETA * gamma * t, ".", color=color, markersize=4, label=rf"$\gamma$ = {gamma:g}")
        fits = int(np.argmax(run["train_accuracy"].values[seen] >= MEMORIZED))
        right.plot(step[fits:], loss[fits:], color=color, linewidth=1)
        last = max(last, float(step[-1]))
    line = np.array([drift.onset(FIRST), last])
    left.plot(line, ETA * drift.of(FIRST) * (line - line[0]), "--", color=BLACK, linewidth=1,
              label=r"$\eta\gamma_0(t - t_{\mathrm{onset}})$, of $\gamma$ = 0")  # fmt: skip
    left.set(xlabel="optimizer steps", ylabel=r"$\tau - \eta\gamma t$", title="beside decay, along the path")
    right.set(xlabel="optimizer steps", ylabel="training loss", yscale="log", title="from the fit on")
    left.legend(frameon=False, fontsize="small")
    for ax in (left, right):
        ax.set_xlim(0, last)
        ax.grid(alpha=0.25)
    save(figure, file, overwrite=True)


def print_errors(predictor: str, errors: list[float]) -> None:
    """In the mean and at worst, of the runs that have one."""
    size = 100 * np.abs([e for e in errors if np.isfinite(e)])
    if len(size):
        print(f"\n{predictor}: mean error {size.mean():.1f} %, worst {size.max():.1f} %, of {len(size)} runs")
