"""Toy addition by a landscape with drift: Eq. 6 on the network's own metric beside Eq. 6 as printed.

Official variant, p = 10 and N = 45, or p = 30 and N = 100 (--preset p30). Networks are fitted at a frozen m,
released to gradient descent with decay that trains m, too (restricted), and held against four ways to tell
m(ηγt) beforehand: the projection at the run's own places (what the linear theory has without any reduction to
(w, m)), the drift flow on the landscape of the same seed, Eq. 6 on it, and, as a null, an m that stays.
Nothing is fitted. The same from the initial weights, which the theory does not claim. Stopped, it goes on
when called again. A quarter of a million steps of one network a seed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from groktime.recipes.registry import recipe
from groktime.recipes.results import drift_tables as tables
from groktime.recipes.results.drift_sizes import SIZES
from groktime.recipes.results.drift_tables import NEVER, SHOWN, Found
from groktime.recipes.shared.common import took
from groktime.recipes.shared.tables import table
from groktime.reduced.errors import InputError
from groktime.reduced.figures.file import save
from groktime.reduced.figures.style import BLACK, BLUE, ORANGE, VERMILLION, new_figure
from groktime.reduced.system import System, systems

Floats = NDArray[np.float64]


@recipe("drift_addition", "toy addition by a landscape with drift", seeds=3, minutes=35)
def run(
    out: Path,
    seeds: int,
    *,
    preset: Annotated[str, f"which size: {' or '.join(SIZES)} (official)"] = "official",
) -> None:
    if preset not in SIZES:
        raise InputError(f"--preset {preset}: expected one of {', '.join(SIZES)}")
    size, chosen, where = SIZES[preset], list(range(min(seeds, 4))), out / preset
    where.mkdir(parents=True, exist_ok=True)
    found, end = Found.of(size, where, chosen), "" if preset == "official" else f"-{preset}"
    print("\n## m over m at the start, at ηγt =; medians over the seeds. Fitted first, at a frozen m")
    head = ["network", "", *(f"{t:g}" for t in SHOWN), "mean distance from the trained"]
    each = range(len(size.runs))
    table(head, [row for k in each for row in tables.messiness(found, k)], f"messiness{end}")
    print("\n## ln(w/w(0)) at ηγt = 0.2; medians over the seeds")
    table(["network", "trained", "drift", "Eq. 6 in the valley"], tables.norms(found), f"norm{end}")
    forms = ["drift", "its closed form", "Eq. 6", "corrected", "as printed"]
    for metric in size.metrics:
        print(f"\n## ηγt to the test {metric} halfway up or down the landscape, by seed; errors in %")
        name = "times" if metric == "loss" else f"times-{metric}"
        table(["network", "trained", *forms], tables.times(found, metric), f"{name}{end}")
        print("\n## The same in ηγt, by seed; of the closed forms in two parts")
        parts = [
            "network",
            "Eq. 6",
            "drift",
            "as printed: L + h tan θ",
            "corrected: the same",
            "drift: valley + wall",
        ]
        table(parts, tables.shares(found, metric), f"{name.replace('times', 'shares')}{end}")
    print("\n## Test loss at ηγt =; medians over the seeds")
    table(["network", "", *(f"{t:g}" for t in SHOWN)], tables.readings(found), f"readings{end}")
    print("\n## From the initial weights; medians over the seeds")
    initial = Found.of(size, where, chosen, fitted=False)
    table(head, [row for k in range(2) for row in tables.messiness(initial, k)], f"initial{end}")
    print("\n## What the landscapes hold at η_R/η_D = 0.1, medians over α and the seeds")
    weighs = ["what m weighs over u", "in Eq. 6"]
    table(["m", "γ", "normal", "overlap", "turn", *weighs, "b/m"], tables.cells(found), f"cells{end}")
    draw_all(found, where / "drift.png")
    took(*sorted(where.glob("land-*.nc")), *sorted(where.glob("*.npz")))


def draw_all(found: Found, file: Path) -> None:
    """The drift over the landscape of the first seed with trajectories in one plane, and m over ηγt."""
    size, seed = found.size, found.seeds[0]
    made, told = found.made[seed], found.told
    figure = new_figure(10.5, 4.6)
    left, right = figure.subplots(1, 2)
    (system,) = systems(found.lands[seed], seed=seed, metric="loss", threshold=NEVER)
    plane(left, found, system)
    for k, colour in ((0, BLUE), (3, VERMILLION)):
        label = f"γ = {size.runs[k].gamma:g}"
        right.plot(
            size.taus, made["m"][k] / size.m, "o-", color=colour, label=f"{label}, trained", markersize=3
        )
        right.plot(size.taus, told[seed, k, True][1], "--", color=colour, label=f"{label}, with drift")
        right.plot(size.taus, told[seed, k, False][1], ":", color=colour, label=f"{label}, Eq. 6")
    label = f"γ = {size.runs[0].gamma:g}, projection on the way"
    right.plot(size.taus, made["own"] / size.m, "-.", color=ORANGE, label=label)
    right.set(xlabel=r"$\eta\gamma t$", ylabel=r"$m/m_0$", title=r"m over time, $\eta_R/\eta_D = 0.1$")
    right.legend(frameon=False, fontsize="small")
    right.grid(alpha=0.25)
    save(figure, file, overwrite=True)


def plane(ax: Axes, found: Found, system: System) -> None:
    """Arrows of decay's drift at the γ and η_R/η_D of the first run, over the training loss."""
    assert system.surface.drift is not None
    size, seed = found.size, found.seeds[0]
    land, made, one = found.lands[seed], found.made[seed], size.runs[0]
    loss = np.log10(land["train_loss"].values[0, 0, -1])
    shown = ax.pcolormesh(land.alpha, land.m, loss, cmap="Greys", shading="nearest", alpha=0.6)
    ax.figure.colorbar(shown, ax=ax, label=r"$\log_{10}$ of the training loss")
    alpha, m = (x.ravel() for x in np.meshgrid(land.alpha, land.m))
    u = np.log(alpha * system.w0)
    terms = system.surface.drift.terms(u, m, np.full_like(u, one.gamma), np.full_like(u, one.ratio))
    a, b = terms[:2, 0]
    ax.quiver(alpha, m, -a * alpha, -b, angles="xy", color=BLACK, width=0.003, alpha=0.8)
    trained = size.alpha * np.exp(made["ln_w"][0] - made["ln_w"][0, 0]), made["m"][0]
    ax.plot(*trained, "o-", color=BLUE, label="trained", markersize=3)
    for drift, style, name in ((True, "--", "Eq. 6 with drift"), (False, ":", "Eq. 6")):
        way = found.told[seed, 0, drift]
        ax.plot(size.alpha * np.exp(way[0]), size.m * way[1], style, color=BLUE, label=name, linewidth=2)
    ax.set(
        xlabel=r"$\alpha = w/w_0$",
        ylabel="m",
        title=rf"drift of decay, $\gamma = {one.gamma:g}$, $\eta_R/\eta_D = {one.ratio:g}$",
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False, fontsize="small")
