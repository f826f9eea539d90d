"""One-layer transformer on (a + b) mod p, P Fig. 7.

P claims: (a) trained with decay 1 the norm first rises, peaks while the network overfits, and falls below
its initial value as it generalizes; (b) held at α = 0.8, training and test accuracy rise together.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from groktime.fullnet.runs import Runs
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import took, trained
from groktime.recipes.shared.modular import FULL, SIZES, free_runs, transformer
from groktime.recipes.shared.tables import number, span, table
from groktime.reduced.figures.style import BLACK, BLUE, PURPLE, VERMILLION
from groktime.validation.measure import measure

HELD = 0.8
TOGETHER = 2.0  # t_grok over t_mem up to which the two accuracies rise together


def peaks(runs: Runs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The greatest norm over w0, its step, and the last norm over w0, of each run."""
    w = runs.dataset["weight_norm"].values / runs.dataset["w0"].values[:, None]
    at = np.nanargmax(w, axis=1)
    lasts = [row[np.isfinite(row)][-1] for row in w]
    return w[np.arange(len(w)), at], runs.step[at], np.array(lasts)


def by_seed(free: Runs, held: Runs) -> None:
    """Times and norms of each seed, free and held."""
    peak, at, last = peaks(free)
    of_free, of_held = measure(free), measure(held)
    rows = []
    for k, seed in enumerate(of_free["seed"].values):
        one, other = of_free.isel(run=k), of_held.isel(run=k)
        at_test = float(one["norm_at_grok"]) / float(free.dataset["w0"][k])
        rows.append(
            [
                number(int(seed)),
                *(float(one[name]) for name in ("t_mem", "t_grok")),
                f"{peak[k]:.2f} at {number(at[k])}",
                at_test,
                f"{last[k]:.2f} at {number(float(one['last']))}",
                *(float(other[name]) for name in ("t_mem", "t_grok")),
            ]
        )
    head = ["seed", "free: t_mem", "t_grok", "peak of w/w0, at step", "w/w0 at t_grok", "last w/w0"]
    table([*head, f"held at {HELD:g}: t_mem", "t_grok"], rows, "seeds")


def claims(free: Runs, held: Runs) -> list[list[str]]:
    """P's claims against what came out, row by row."""
    peak, at, last = peaks(free)
    delays = measure(free)
    t_mem, t_grok = (delays[name].values for name in ("t_mem", "t_grok"))
    there = [
        float(curve[np.searchsorted(free.step, step)])
        for curve, step in zip(free.dataset["test_accuracy"].values, at, strict=True)
    ]
    overfits = (np.array(there) < 0.5) & (at > 0.5 * t_mem) & ~(at > t_grok)
    text = f"peak of {_span(peak)} w0 at step {_span(at)}, where {_span(np.array(there))} of the test pairs "
    rows = [["the norm rises and peaks while it overfits", _all(overfits), f"{text}are right"]]
    fallen = delays["norm_at_grok"].values / free.dataset["w0"].values
    text = f"{_span(fallen)} w0 at 95 % test accuracy, {_span(last)} w0 at the end"
    rows.append(["it falls below its initial value", _all(last < 1), text])
    ratio, own = t_grok / t_mem, _ratio(held)
    text = f"t_grok/t_mem {_span(own)} held, {_span(ratio)} free"
    for name, some, runs in (("held", own, held), ("free", ratio, free)):
        missed = int(np.isnan(some).sum())
        text += f"; {missed} of {len(some)} {name} not within {runs.step[-1]:,} steps" if missed else ""
    rows.append(["held, training and test accuracy rise together", _all(own <= TOGETHER), text])
    return rows


def _ratio(runs: Runs) -> np.ndarray:
    delays = measure(runs)
    return np.asarray(delays["t_grok"].values / delays["t_mem"].values)


def _span(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "–"
    low, high = float(known.min()), float(known.max())
    return number(low) if low == high else span(low, high)


def _all(came: np.ndarray) -> str:
    return "yes" if came.all() else "no" if not came.any() else f"{came.sum()} of {len(came)} seeds"


def draw_accuracy(ax: Axes, data: xr.Dataset) -> None:
    """Training and test accuracy of every seed against steps."""
    steps = np.maximum(data["step"].values, 1)
    for name, colour in (("train", BLUE), ("test", VERMILLION)):
        for k, values in enumerate(data[f"{name}_accuracy"].values):
            label = {"train": "training", "test": "test"}[name] if k == 0 else None
            ax.plot(steps, values, color=colour, alpha=0.8, linewidth=1.4, label=label)
    ax.set(xscale="log", xlabel="optimizer steps", ylabel="accuracy", ylim=(-0.03, 1.03))
    ax.legend(frameon=False, loc="upper left")


def draw_norm(ax: Axes, free: Runs) -> None:
    """The norm of every seed, and where it fits (open) and generalizes (filled)."""
    delays, w0 = measure(free), free.dataset["w0"].values
    for k, values in enumerate(free.dataset["weight_norm"].values / w0[:, None]):
        ax.plot(np.maximum(free.step, 1), values, color=PURPLE, linewidth=1.4)
        for name, fill in (("t_mem", "none"), ("t_grok", "full")):
            t = float(delays[name][k])
            if np.isfinite(t):
                w = values[np.searchsorted(free.step, t)]
                label = {"t_mem": "95 % training", "t_grok": "95 % test"}[name] if k == 0 else None
                ax.plot(t, w, "o", color=BLACK, fillstyle=fill, linestyle="none", label=label)
    ax.axhline(1, color=BLACK, linewidth=0.8, linestyle=":")
    ax.set(xscale="log", xlabel="optimizer steps", ylabel="relative norm  w / w₀")
    ax.legend(frameon=False, loc="upper left")


@recipe(
    "fig7",
    "P Fig. 7: transformer, modular addition, norm and constrained training",
    seeds=4,
    minutes=1.5,
    full=True,
)
def run(out: Path, seeds: int, full: bool) -> None:
    chosen = range(seeds if full else min(seeds, 3))
    files = out / "free.nc", out / "constrained.nc"
    free = free_runs(out, full, chosen)
    held = trained(
        files[1], transformer(full), gamma=1.0, alpha=HELD, seeds=chosen,
        steps=5_000 if full else 2_000, resolution=0.05, constrained=True,
    )  # fmt: skip
    sizes = FULL if full else SIZES
    print(f"## Fig. 7: {sizes}; γ = 1, {len(chosen)} seeds")
    by_seed(free, held)
    table(["claim", "came out", "numbers"], claims(free, held), "claims")
    took(*files)

    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    draw_accuracy(axes[0], free.dataset)
    draw_norm(axes[1], free)
    draw_accuracy(axes[2], held.dataset)
    titles = ("(a) free, γ = 1", "(a) its norm", f"(b) held at α = {HELD:g}")
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title)
    figure.suptitle(sizes, fontsize="medium")
    figure.savefig(out / "fig7.png", dpi=110)
    print(f"\nFigure: {out / 'fig7.png'}")
