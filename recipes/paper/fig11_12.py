"""MNIST with cross-entropy, P Figs. 11 and 12.

P claims: the landscape has a broader Goldilocks zone than with MSE; from α = 100, N = 200 the test
accuracy plateaus at 30 to 40 % and then rises to about 75 %. Needs the MNIST files (docs/data.md).
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from groktime.fullnet.tasks import mnist
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import of, sampled, took, trained
from groktime.recipes.shared.tables import span, table
from groktime.reduced.figures.style import ALPHA, PALETTE

N = 200


@recipe("fig11", "P Fig. 11: MNIST, cross-entropy, landscape", seeds=4, minutes=17, full=True, data="MNIST")
@recipe("fig12", "P Fig. 12: MNIST, cross-entropy, curves", seeds=4, minutes=17, full=True, data="MNIST")
def run(out: Path, seeds: int, full: bool) -> None:
    chosen = range(min(seeds, 3))
    task = mnist(n_train=N, loss="ce")
    training, plane = out / "training.nc", out / "landscape.nc"
    steps = 100_000 if full else 40_000
    runs = trained(
        training, task, gamma=0.1, alpha=[1, 8, 100], seeds=chosen, steps=steps, resolution=0.05
    ).dataset
    land = sampled(plane, task, alpha=np.geomspace(0.1, 1000, 17), seeds=chosen, steps=3_000).dataset

    print(f"## Fig. 12: N = {N}, γ = 0.1, by steps: test accuracy, least and greatest of the seeds")
    at = [k for k in (30, 100, 300, 1_000, 3_000, 10_000, 20_000, 30_000, 40_000, 100_000) if k <= steps]
    rows = []
    for alpha in (1, 8, 100):
        own = of(runs, alpha=alpha)["test_accuracy"].values
        places = np.searchsorted(runs["step"].values, at)
        rows.append([alpha, *(span(own[:, k].min(), own[:, k].max()) for k in places)])
    table(["α", *(f"{k:,}" for k in at)], rows, "curves")
    one = land.isel(budget=-1, n_train=0, m=0)
    print("\n## Fig. 11: reduced test accuracy on the sphere, 3,000 steps, median over seeds")
    middle = one["test_accuracy"].median("seed").values
    rows = [[a, b] for a, b in zip(one["alpha"].values, middle, strict=True)]
    table(["α", "test accuracy"], rows, "landscape")
    took(training, plane)
    draw(one, runs, out / "fig11_12.png")
    print(f"\nFigure: {out / 'fig11_12.png'}")


def draw(one: xr.Dataset, runs: xr.Dataset, file: Path) -> None:
    """Accuracies on the sphere over α, and in training against steps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    left.plot(one["alpha"], one["test_accuracy"].transpose("alpha", "seed"), color=PALETTE[1], alpha=0.4)
    left.plot(one["alpha"], one["test_accuracy"].median("seed"), color=PALETTE[1], lw=2, label="test")
    left.plot(one["alpha"], one["train_accuracy"].median("seed"), color=PALETTE[0], lw=2, label="training")
    left.set(xscale="log", xlabel=ALPHA, ylabel="accuracy", title="on the sphere, 3,000 steps")
    left.legend(frameon=False)
    for colour, alpha in zip(PALETTE, (1, 8, 100), strict=False):
        own = of(runs, alpha=alpha)
        right.plot(own["step"], own["test_accuracy"].T, color=colour, alpha=0.4)
        right.plot(own["step"], own["test_accuracy"].median("run"), color=colour, lw=2, label=f"α = {alpha}")
        right.plot(own["step"], own["train_accuracy"].median("run"), ":", color=colour)
    right.set(xscale="log", xlabel="optimizer steps", ylabel="accuracy", title="training, γ = 0.1")
    right.set_xlim(left=1)
    right.legend(title="test (dotted: training)", frameon=False)
    figure.suptitle(f"MNIST, cross-entropy, N = {N}")
    figure.savefig(file, dpi=110)
