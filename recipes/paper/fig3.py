"""MNIST with MSE, P Fig. 3.

P claims: reduced test error over N and α has thumb-shaped contours; α = 1 does not grok (A), larger α
with small N does (B), and with large N not (C); the time to generalize rises steeply near a critical N.
Accuracies here never reach 95 %: times are to 50, 70 and 80 %. Needs the MNIST files (docs/data.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from groktime.fullnet.runs import Runs
from groktime.fullnet.tasks import mnist
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import of, sampled, took, trained
from groktime.recipes.shared.tables import span, table
from groktime.reduced.figures.style import PALETTE, cell_edges
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import predict
from groktime.validation.measure import measure
from groktime.validation.survival import summary

THRESHOLDS = (0.5, 0.7, 0.8)
N = 1000
DECAYS = (0.1, 0.3)


def times(runs: Runs, by: tuple[str, ...], name: str) -> None:
    """Medians over seeds of the steps to each threshold."""
    rows: dict[tuple[float, ...], list[str]] = {}
    for threshold in THRESHOLDS:
        groups = summary(measure(runs, threshold=threshold), by=by)
        for k in range(groups.sizes["group"]):
            g = groups.isel(group=k)
            key = tuple(float(g[setting]) for setting in by)
            missed = int(g["n_test_censored"])
            time = f"{float(g['t_grok']):,.0f}" + (f" ({missed} of {int(g['n'])} never)" if missed else "")
            rows.setdefault(key, [f"{float(g['t_mem']):,.0f}"]).append(time)
    head = [*by, "95 % training", *(f"{t:.0%} test" for t in THRESHOLDS)]
    table(head, [[*key, *values] for key, values in rows.items()], name)


def critical(land: Landscape) -> None:
    """α_c, the largest norm at which the reduced test accuracy passes, by budget and seed."""
    rows = []
    for budget in land.budgets:
        for threshold in THRESHOLDS:
            p = predict(
                land, gamma=0.1, eta_d=1e-3, alpha=float(land.alpha[-1]), threshold=threshold,
                n_train=N, sampled_steps=budget,
            )  # fmt: skip
            w0 = {s: float(land.dataset["w0"].sel(seed=s)) for s in land.seeds}
            found = [q.detail.geometry.w_end / w0[q.seed] for q in p.seeds]
            one = land.dataset.sel(budget=budget, n_train=N)
            rows.append([budget, f"{threshold:.0%}", *found, f"{float(one['converged'].mean()):.0%}"])
    table(["budget", "accuracy", *(f"α_c, seed {s}" for s in land.seeds), "cells converged"], rows, "alpha_c")


def draw_landscape(ax: Axes, land: Landscape) -> None:
    """Reduced test error over N and α, the median over seeds."""
    one = land.dataset.isel(budget=-1, m=0)
    error = 1 - one["test_accuracy"].median("seed").transpose("n_train", "alpha")
    n, alpha = np.asarray(land.n_train, float), land.alpha
    mesh = ax.pcolormesh(
        cell_edges(n, True), cell_edges(alpha, True), error.T, cmap="viridis", vmin=0, vmax=1
    )
    ax.contour(n, alpha, error.T, levels=[0.2, 0.3, 0.5], colors="white", linewidths=0.8)
    ax.set(xscale="log", yscale="log", xlabel="training samples N", ylabel="α = w / w₀")
    ax.set_title(f"reduced test error, {land.budgets[-1]:,} steps on the sphere")
    ax.figure.colorbar(mesh, ax=ax)


@recipe("fig3", "P Fig. 3: MNIST, landscape over N, delays", seeds=4, minutes=23, full=True, data="MNIST")
def run(out: Path, seeds: int, full: bool) -> None:
    chosen = range(seeds if full else min(seeds, 3))
    task = mnist(n_train=N)
    files = [out / f"{name}.nc" for name in ("alpha", "weak", "sizes", "alpha_c", "landscape")]
    delays = trained(
        files[0], task, gamma=DECAYS, alpha=[5, 6, 7, 8, 9], seeds=chosen,
        steps=100_000 if full else 15_000, stop_at=None if full else 0.8,
    )  # fmt: skip
    print("## N = 1000: steps to each accuracy")
    times(delays, ("alpha", "gamma"), "times")
    weak = trained(files[1], task, gamma=0.01, alpha=8, seeds=chosen, steps=40_000, resolution=0.05)
    print("\n## N = 1000, α = 8, γ = 0.01")
    times(weak, ("alpha", "gamma"), "weak")
    near = trained(
        files[2], task, gamma=0.3, alpha=8, seeds=chosen, n_train=[400, 600, 1000, 2000, 4000],
        steps=100_000 if full else 5_000, resolution=0.05,
    )  # fmt: skip
    print("\n## α = 8, γ = 0.3: by N")
    times(near, ("n_train",), "sizes")
    budgets = [1_000, 10_000, 100_000] if full else [600, 2_000, 6_000]
    line = sampled(
        files[3], task, alpha=np.geomspace(1, 9, 16), seeds=chosen, budgets=budgets, steps=budgets[-1]
    )
    print("\n## α_c at N = 1000")
    critical(line)
    sizes: Sequence[float] = [100, 300, 1000, 3000, 10_000]
    if full:
        sizes = np.geomspace(10, 60_000, 20).tolist()
    plane = sampled(
        files[4], mnist(n_train=int(max(sizes))),
        alpha=np.geomspace(0.1, 10, 20 if full else 10), n_train=sorted({int(n) for n in sizes}),
        seeds=chosen if full else [0], steps=budgets[-1] if full else 2_000,
    )  # fmt: skip
    took(*files)
    draw(plane, delays, near, out / "fig3.png")
    print(f"\nFigure: {out / 'fig3.png'}; seeds: {span(chosen[0], chosen[-1])}")


def draw(plane: Landscape, delays: Runs, near: Runs, file: Path) -> None:
    """The landscape over N, the curves of one setting, and the times by N."""
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    draw_landscape(axes[0], plane)
    run = of(delays.dataset, alpha=8, gamma=0.1)
    for name, colour in (("train_accuracy", PALETTE[0]), ("test_accuracy", PALETTE[1])):
        axes[1].plot(run["step"], run[name].T, color=colour, alpha=0.4)
        axes[1].plot(run["step"], run[name].median("run"), color=colour, lw=2, label=name.replace("_", " "))
    axes[1].set(xscale="log", xlabel="optimizer steps", ylabel="accuracy", title="N = 1000, α = 8, γ = 0.1")
    axes[1].set_xlim(left=1)
    axes[1].legend(frameon=False)
    for colour, threshold in zip(PALETTE, THRESHOLDS, strict=False):
        groups = summary(measure(near, threshold=threshold), by=("n_train",))
        t = np.where(np.isfinite(groups["t_grok"]), groups["t_grok"], np.nan)
        axes[2].plot(groups["n_train"], t, "o-", color=colour, label=f"{threshold:.0%} test accuracy")
    axes[2].set(xscale="log", yscale="log", xlabel="training samples N", ylabel="optimizer steps")
    sizes = near.dataset["n_train"].values
    axes[2].set_xticks(np.unique(sizes), labels=[str(n) for n in np.unique(sizes)])
    axes[2].xaxis.set_minor_locator(NullLocator())
    axes[2].yaxis.set_minor_formatter(FuncFormatter(lambda t, _: f"{t:,.0f}"))
    axes[2].yaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t:,.0f}"))
    axes[2].set_title("α = 8, γ = 0.3: medians over seeds")
    axes[2].legend(frameon=False)
    figure.savefig(file, dpi=110)
