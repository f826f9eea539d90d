"""MNIST, time against weight decay, P Fig. 10b.

P claims: with N = 1000 and α = 9 the time to generalize goes as 1/γ for γ from about 0.1 to 1, is shorter
than that law at low γ, and very large γ disturbs the optimization. Needs the MNIST files (docs/data.md).
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groktime.fullnet.tasks import mnist
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import took, trained
from groktime.recipes.shared.tables import span, table
from groktime.reduced.figures.style import PALETTE
from groktime.validation.measure import measure
from groktime.validation.survival import slope, summary

THRESHOLDS = (0.5, 0.7, 0.8)
DECAYS = (0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)


@recipe("fig10b", "P Fig. 10b: MNIST, time against decay", seeds=4, minutes=5, data="MNIST")
def run(out: Path, seeds: int) -> None:
    file, chosen = out / "decay.nc", range(min(seeds, 3))
    task = mnist(n_train=1000)
    runs = trained(
        file, task, gamma=DECAYS, alpha=9, seeds=chosen, steps=20_000, resolution=0.05, stop_at=0.8
    )
    rows, slopes = [], []
    figure, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
    for colour, threshold in zip(PALETTE, THRESHOLDS, strict=False):
        delays = measure(runs, threshold=threshold)
        groups = summary(delays, by=("gamma",))
        rows.append([f"{threshold:.0%}", *(float(t) for t in groups["t_grok"])])
        lawful = delays.isel(run=(delays["gamma"] >= 0.1) & (delays["gamma"] <= 1))
        s, low, high = slope(lawful["gamma"].values, lawful["t_grok"].values, lawful["seed"].values)
        slopes.append([f"{threshold:.0%}", s, span(low, high)])
        ax.plot(delays["gamma"], delays["t_grok"], ".", color=colour, alpha=0.5)
        t = np.where(np.isfinite(groups["t_grok"]), groups["t_grok"], np.nan)
        ax.plot(groups["gamma"], t, "o-", color=colour, label=f"{threshold:.0%} test accuracy")
    decays = np.array(DECAYS)
    ax.plot(decays, t[3] * decays[3] / decays, "k--", label="1/γ")
    ax.set(xscale="log", yscale="log", xlabel="weight decay γ", ylabel="optimizer steps")
    ax.set_title("MNIST, N = 1000, α = 9")
    ax.legend(frameon=False)
    figure.savefig(out / "fig10b.png", dpi=110)
    print("## Fig. 10b: median steps to each test accuracy, by γ (∞: not within 20,000 steps)")
    table(["accuracy", *(f"γ = {g:g}" for g in DECAYS)], rows, "times")
    table(["accuracy", "slope of ln t against ln γ, γ from 0.1 to 1", "90 %, seeds"], slopes, "slopes")
    took(file)
    print(f"\nFigure: {out / 'fig10b.png'}")
