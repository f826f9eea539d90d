"""MNIST with MSE, P Fig. 3: `python recipes/fig3.py [--full] [--seeds 3] [-o out/fig3]`.

P claims: reduced test error over N and α has thumb-shaped contours; α = 1 does not grok (A), larger α
with small N does (B), and with large N not (C); the time to generalise rises steeply near a critical N.
Accuracies here never reach 95 %: times are to 50, 70 and 80 %. Needs the MNIST files (docs/data.md).
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from common import folder, of, sampled, span, table, took, trained
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from groktime.fullnet.tasks import mnist
from groktime.reduced.figures.style import PALETTE, cell_edges
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import predict
from groktime.validation.measure import measure
from groktime.validation.survival import summary

THRESHOLDS = (0.5, 0.7, 0.8)
N = 1000
DECAYS = (0.1, 0.3)


def times(runs: xr.Dataset, by: tuple[str, ...]) -> None:
    """Medians over seeds of the steps to each threshold."""
    rows: dict[tuple[float, ...], list[str]] = {}
    for threshold in THRESHOLDS:
        groups = summary(measure(runs, threshold=threshold), by=by)
        for k in range(groups.sizes["group"]):
            g = groups.isel(group=k)
            key = tuple(float(g[name]) for name in by)
            missed = int(g["n_test_censored"])
            time = f"{float(g['t_grok']):,.0f}" + (f" ({missed} of {int(g['n'])} never)" if missed else "")
            rows.setdefault(key, [f"{float(g['t_mem']):,.0f}"]).append(time)
    head = [*by, "95 % training", *(f"{t:.0%} test" for t in THRESHOLDS)]
    table(head, [[*key, *values] for key, values in rows.items()])


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
            found = [q.geometry.w_end / w0[q.seed] for q in p.seeds]
            one = land.dataset.sel(budget=budget, n_train=N)
            rows.append([budget, f"{threshold:.0%}", *found, f"{float(one['converged'].mean()):.0%}"])
    table(["budget", "accuracy", *(f"α_c, seed {s}" for s in land.seeds), "cells converged"], rows)


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


def main() -> None:
    options = folder(
        __doc__ or "",
        ("--full", {"action": "store_true", "help": "the paper's sizes (for a GPU)"}),
    )
    seeds = range(min(options.seeds, 3)) if not options.full else range(options.seeds)
    task, files = mnist(n_train=N), []

    def file(name: str) -> object:
        files.append(options.out / name)
        return files[-1]

    delays = trained(
        file("alpha.nc"), task, gamma=DECAYS, alpha=[5, 6, 7, 8, 9], seeds=seeds,
        steps=100_000 if options.full else 15_000, stop_at=None if options.full else 0.8,
    )  # fmt: skip
    print("## N = 1000: steps to each accuracy")
    times(delays, ("alpha", "gamma"))
    weak = trained(file("weak.nc"), task, gamma=0.01, alpha=8, seeds=seeds, steps=40_000, resolution=0.05)
    print("\n## N = 1000, α = 8, γ = 0.01")
    times(weak, ("alpha", "gamma"))
    near = trained(
        file("sizes.nc"), task, gamma=0.3, alpha=8, seeds=seeds, n_train=[400, 600, 1000, 2000, 4000],
        steps=100_000 if options.full else 5_000, resolution=0.05,
    )  # fmt: skip
    print("\n## α = 8, γ = 0.3: by N")
    times(near, ("n_train",))
    budgets = [1_000, 10_000, 100_000] if options.full else [600, 2_000, 6_000]
    line = sampled(
        file("alpha_c.nc"),
        task,
        alpha=np.geomspace(1, 9, 16),
        seeds=seeds,
        budgets=budgets,
        steps=budgets[-1],
    )
    print("\n## α_c at N = 1000")
    critical(line)
    sizes = np.geomspace(10, 60_000, 20) if options.full else [100, 300, 1000, 3000, 10_000]
    plane = sampled(
        file("landscape.nc"), mnist(n_train=int(max(sizes))),
        alpha=np.geomspace(0.1, 10, 20 if options.full else 10), n_train=sorted({int(n) for n in sizes}),
        seeds=seeds if options.full else [0], steps=budgets[-1] if options.full else 2_000,
    )  # fmt: skip
    took(*files)

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
    figure.savefig(options.out / "fig3.png", dpi=110)
    print(f"\nFigure: {options.out / 'fig3.png'}; seeds: {span(seeds[0], seeds[-1])}")


if __name__ == "__main__":
    main()
