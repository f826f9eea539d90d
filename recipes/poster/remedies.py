"""MNIST, remedies against the delay (the poster).

Q claims, with N = 1000 and α = 8: cross-entropy instead of MSE removes the delay, so does turning and
blurring the inputs, and a training set of 5,000 nearly does. A delay also shrinks when the fit takes longer,
so its change is told in two parts: how much earlier the network generalizes, and how much later it fits.
Q does not say γ. 0.1 is that of P Fig. 3d in fig3, and the weakest for which times go as 1/γ (P Fig. 10b):
the longest delay there. Small: 2 seeds, 12,000 steps. Needs the MNIST files (docs/data.md) and kornia.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from groktime.fullnet.runs import Runs
from groktime.fullnet.tasks import mnist
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import took, trained
from groktime.recipes.shared.tables import number, table
from groktime.reduced.figures.style import BLUE, ORANGE, STEPS, VERMILLION, new_figure
from groktime.validation.measure import measure

GAMMA, START = 0.1, 8.0
THRESHOLDS = (0.5, 0.7, 0.8)
TOLD = 0.7  # the task's own: that of the claims and of the figure
BASELINE = "MSE, N = 1000"
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    BASELINE: ("mse", {"n_train": 1000}),
    "cross-entropy": ("ce", {"n_train": 1000, "loss": "ce"}),
    "turned and blurred": ("augment", {"n_train": 1000, "augment": "rotate-blur"}),
    "N = 5000": ("more", {"n_train": 5000}),
}
# share of the baseline's delay that may be left
CLAIMS = {
    "cross-entropy": ("removes the delay", 0.1),
    "turned and blurred": ("removes the delay", 0.1),
    "N = 5000": ("nearly removes the delay", 0.25),
}

Floats = NDArray[np.float64]


def seeds_of(values: Floats) -> str:
    """Least and greatest of the seeds; NaN is a seed that did not get there."""
    if np.isnan(values).any():
        return f"never ({np.isnan(values).sum()} of {len(values)})"
    low, high = float(values.min()), float(values.max())
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def times(delays: dict[str, dict[float, xr.Dataset]]) -> None:
    """Steps to each accuracy, and the delay to each."""
    rows = []
    for arm, by in delays.items():
        each = list(by.values())
        rows.append([arm, *(seeds_of(t) for t in (each[0]["t_mem"].values, *_tests(each)))])
        rows[-1] += [seeds_of(d["delay"].values) for d in each]
    head = ["", "95 % training", *(f"{t:.0%} test" for t in THRESHOLDS)]
    table([*head, *(f"delay to {t:.0%}" for t in THRESHOLDS)], rows, "times")


def _tests(each: list[xr.Dataset]) -> list[Floats]:
    return [d["t_grok"].values for d in each]


def against(delays: dict[str, dict[float, xr.Dataset]]) -> None:
    """Each remedy less the baseline of the same seed: the delay's change, in its two parts."""
    rows = []
    for arm, by in delays.items():
        for threshold, own in by.items() if arm != BASELINE else ():
            base = delays[BASELINE][threshold]
            shrinks, earlier, later = (
                seeds_of(x)
                for x in (
                    base["delay"].values - own["delay"].values,
                    base["t_grok"].values - own["t_grok"].values,
                    own["t_mem"].values - base["t_mem"].values,
                )
            )
            rows.append([arm, f"{threshold:.0%}", shrinks, earlier, later])
    head = ["", "test accuracy", "the delay is shorter by", "generalizes earlier by", "fits later by"]
    table(head, rows, "against")


def claims(delays: dict[str, dict[float, xr.Dataset]]) -> None:
    """Q's claims, each for all seeds, and whether what shortens the delay is a remedy."""
    base, rows = delays[BASELINE][TOLD], []
    for arm, (claim, left) in CLAIMS.items():
        own = delays[arm][TOLD]
        share = own["delay"].values / base["delay"].values
        test, fit = (seeds_of((own[t] / base[t]).values.round(3)) for t in ("t_grok", "t_mem"))
        ends = f"delay {seeds_of(np.round(100 * share))} % of the baseline's"
        text = f"{ends}; t_grok {test} times, t_mem {fit} times the baseline's"
        rows.append([f"{arm}: {claim}", _yes(share <= left), text])
        earlier = (base["t_grok"] - own["t_grok"]).values
        later = (own["t_mem"] - base["t_mem"]).values
        rows.append(["… generalizes sooner", _yes(earlier > 0), f"{seeds_of(earlier)} steps earlier"])
        rows.append(["… and fits no later", _yes(later <= 0), f"{seeds_of(later)} steps later"])
    table(["claim", "came out", "numbers"], rows, "claims")


def _yes(holds: NDArray[np.bool_]) -> str:
    return "yes" if holds.all() else "no"


def draw(ax: Axes, arm: str, runs: Runs, own: xr.Dataset, base: Runs) -> None:
    """Accuracies against steps, all seeds, with the median times; the baseline's test accuracy in grey."""
    shown = base.dataset
    if arm != BASELINE:
        ax.plot(shown["step"], shown["test_accuracy"].T, color="0.75", linewidth=1)
        ax.plot([], [], color="0.75", label=f"test, {BASELINE}")
    shown = runs.dataset
    for name, colour, style in (("train_accuracy", BLUE, ":"), ("test_accuracy", VERMILLION, "-")):
        ax.plot(shown["step"], shown[name].T, style, color=colour, linewidth=1.6)
        ax.plot([], [], style, color=colour, label=name.replace("_accuracy", "").replace("train", "training"))
    fit, test = (float(np.median(own[name].values)) for name in ("t_mem", "t_grok"))
    for t, colour in ((fit, BLUE), (test, VERMILLION)):
        if np.isfinite(t):
            ax.axvline(t, color=colour, linewidth=1, linestyle="--")
    if np.isfinite(fit + test):
        ax.axvspan(fit, test, color=ORANGE, alpha=0.2 if test > fit else 0, linewidth=0)
    said = "not all seeds get there"
    if np.isfinite(fit + test):
        said = f"95 % training: {fit:,.0f}, {TOLD:.0%} test: {test:,.0f} steps"
    ax.set_title(f"{arm}\n{said}", fontsize="medium")
    ax.set(xscale="log", xlabel=STEPS, ylabel="accuracy", ylim=(-0.03, 1.03), xlim=(1, runs.step[-1]))


@recipe(
    "remedies",
    "Q: MNIST, cross-entropy, augmentation and more data against the delay",
    seeds=4,
    minutes=23,
    full=True,
    data="MNIST",
)
def run(out: Path, seeds: int, full: bool) -> None:
    chosen = range(seeds if full else min(seeds, 2))
    steps = 100_000 if full else 12_000
    runs = {
        arm: trained(
            out / f"{file}.nc", mnist(**settings),
            gamma=GAMMA, alpha=START, seeds=chosen, steps=steps, resolution=0.05,
            stop_at=None if full else max(THRESHOLDS),
        )
        for arm, (file, settings) in ARMS.items()
    }  # fmt: skip
    delays = {arm: {t: measure(r, threshold=t) for t in THRESHOLDS} for arm, r in runs.items()}
    print(
        f"## MNIST, α = {START:g}, γ = {GAMMA:g}: least and greatest of {len(chosen)} seeds, {steps:,} steps"
    )
    times(delays)
    print("\n## Against the baseline of the same seed, steps")
    against(delays)
    print(f"\n## Claims, at {TOLD:.0%} test accuracy")
    claims(delays)
    took(*(out / f"{file}.nc" for file, _ in ARMS.values()))

    figure = new_figure(11, 8)
    axes = np.ravel(np.asarray(figure.subplots(2, 2, sharey=True), object))
    for ax, (arm, own) in zip(axes, runs.items(), strict=True):
        draw(ax, arm, own, delays[arm][TOLD], runs[BASELINE])
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"MNIST, α = {START:g}, γ = {GAMMA:g}; shaded: the delay to {TOLD:.0%}")
    figure.savefig(out / "remedies.png", dpi=110)
    print(f"\nFigure: {out / 'remedies.png'}")
