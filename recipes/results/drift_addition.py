"""Toy addition by a landscape with drift: Eq. 6 on the network's own metric beside Eq. 6 as printed.

Official variant, N = 45. Networks are fitted at a frozen m, released to gradient descent with decay that
trains m, too (restricted), and held against four ways to tell m(ηγt) beforehand: the projection at the run's
own places (what the linear theory has without any reduction to (w, m)), the drift flow on the landscape of
the same seed, Eq. 6 on it, and, as a null, an m that stays. Nothing is fitted. The same from the initial
weights, which the theory does not claim. Stopped, it goes on when called again. A quarter of a million steps
of one network a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from groktime.fullnet.tasks import addition
from groktime.recipes.registry import recipe
from groktime.recipes.results.released import Release, Start, released
from groktime.recipes.shared.common import kept, sampled, took
from groktime.recipes.shared.tables import number, table
from groktime.reduced.figures.file import save
from groktime.reduced.figures.style import BLACK, BLUE, ORANGE, VERMILLION, new_figure
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import predict
from groktime.reduced.system import System, systems

Floats = NDArray[np.float64]
Told = dict[tuple[int, int, bool], Floats]  # by seed, run, and whether with drift

N, ALPHA, M = 45, 3.6, 0.08
GRID, ROWS, CUTOFFS = np.geomspace(2.4, 3.6, 8), (0.0, 0.03, 0.06, 0.09), (3e-4, 3e-3)
FIT, STEPS = 12_500, 1250
TAUS = np.array([0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4])
SHOWN = (0.05, 0.1, 0.2, 0.3, 0.4)
# At η_D = 0.01 and η_R = η_D gradient descent is not stable: m jitters. Weaker decay is followed less far.
RUNS = (
    Release(3e-3, 0.01, 0.1, 0.4),
    Release(3e-3, 0.01, 0.01, 0.4),
    Release(3e-3, 0.004, 1.0, 0.4),
    Release(3e-4, 0.01, 0.1, 0.2),
)
RATIO = 0.1
NEVER = 1e-30  # a test loss that is never reached: the flow to its very end


def land_of(out: Path, seed: int) -> Landscape:
    """The landscape of a seed, continued from the start's sphere down."""
    return sampled(
        out / f"land-{seed}.nc", addition(variant="official"), alpha=GRID, m=ROWS, seeds=[seed], n_train=[N],
        steps=STEPS, budgets=[STEPS], start="above", drift=CUTOFFS, fit_steps=FIT,
    )  # fmt: skip


def runs_of(out: Path, seed: int, fit: int) -> dict[str, Floats]:
    """The networks of a seed, [run, τ]."""
    task, start = addition(variant="official"), Start(seed, ALPHA, M, N, fit)
    name = "released" if fit else "initial"
    runs = RUNS if fit else RUNS[:2]
    work = partial(released, task, start, runs, TAUS, project=bool(fit))
    made: dict[str, Floats] = kept(out / f"{name}-{seed}.npz", work)
    if fit:
        made["own"] = M - np.concatenate([[0.0], np.cumsum(_trapezoids(made["drift"]))])
    return made


def _trapezoids(rate: Floats) -> Floats:
    return np.diff(TAUS) * (rate[1:] + rate[:-1]) / 2


def flowed(system: System, run: Release, drift: bool) -> Floats:
    """u - u(0) and m/m(0) at the taus, [2, τ], of the flow on a landscape; NaN where it has left it."""
    result, *_ = system.flow(
        gamma=run.gamma, ratio=run.ratio, u=np.log(ALPHA * system.w0), m=M, wall=False, record=True,
        mobility=system.surface.drift if drift else None,
    )  # fmt: skip
    way, s = result.trajectories[0], TAUS / run.gamma
    if not way.steps:
        return np.full((2, len(TAUS)), np.nan)
    u, m = way.at(s)
    # what has left the grid stays where it left it, so that nothing is left out of a mean
    return np.stack([u - np.log(ALPHA * system.w0), m / M])


def rows_of(
    run: int, seeds: Sequence[int], made: dict[int, dict[str, Floats]], told: Told
) -> list[list[str]]:
    """m over m at the start of a setting, medians over the seeds, and the mean distance from the runs."""
    one = RUNS[run]
    trained = np.array([made[s]["m"][run] / M for s in seeds])
    known = np.isfinite(trained) & (TAUS > 0)
    ways = {"trained": trained}
    if run == 0 and "own" in made[seeds[0]]:
        ways["projection on the run's own way"] = np.array([made[s]["own"] / M for s in seeds])
    ways["drift"] = np.array([told[s, run, True][1] for s in seeds])
    ways["Eq. 6"] = np.array([told[s, run, False][1] for s in seeds])
    ways["m stays"] = np.ones_like(trained)
    rows = []
    for name, values in ways.items():
        shown = [np.argmax(np.isclose(TAUS, t)) for t in SHOWN]
        cells = [number(float(np.median(values[:, k]))) if known[:, k].all() else "–" for k in shown]
        off = number(float(np.abs(values - trained)[known].mean())) if name != "trained" else ""
        rows.append([f"γ = {one.gamma:g}, η_R/η_D = {one.ratio:g}", name, *cells, off])
    return rows


@recipe("drift_addition", "toy addition by a landscape with drift", seeds=3, minutes=35)
def run(out: Path, seeds: int) -> None:
    chosen = list(range(min(seeds, 4)))
    made, lands = {}, {}
    told: Told = {}
    for seed in chosen:
        lands[seed] = land_of(out, seed)
        made[seed] = runs_of(out, seed, FIT)
        (system,) = systems(lands[seed], seed=seed, metric="loss", threshold=NEVER)
        for k, one in enumerate(RUNS):
            for drift in (True, False):
                told[seed, k, drift] = flowed(system, one, drift)
    print("\n## m over m at the start, at ηγt =; medians over the seeds. Fitted first, at a frozen m")
    head = ["network", "", *(f"{t:g}" for t in SHOWN), "mean distance from the trained"]
    table(head, [row for k in range(len(RUNS)) for row in rows_of(k, chosen, made, told)], "messiness")
    print("\n## ln(w/w(0)) at ηγt = 0.2; medians over the seeds")
    table(["network", "trained", "drift", "Eq. 6 in the valley"], norms(chosen, made, told), "norm")
    print("\n## ηγt to the test loss halfway down the landscape, by seed; errors in %")
    forms = ["drift", "its closed form", "Eq. 6", "corrected", "as printed"]
    table(["network", "trained", *forms], times(chosen, made, lands), "times")
    print(f"\n## From the initial weights, seed {chosen[0]}")
    initial = {chosen[0]: runs_of(out, chosen[0], 0)}
    table(head, [row for k in range(2) for row in rows_of(k, chosen[:1], initial, told)], "initial")
    print("\n## What the landscapes hold at η_R/η_D = 0.1, medians over α and the seeds")
    weighs = ["what m weighs over u", "in Eq. 6"]
    table(["m", "γ", "normal", "overlap", "turn", *weighs, "b/m"], cells(lands), "cells")
    draw_all(lands[chosen[0]], chosen[0], made[chosen[0]], told, out / "drift.png")
    took(*sorted(out.glob("land-*.nc")), *sorted(out.glob("*.npz")))


def norms(seeds: Sequence[int], made: dict[int, dict[str, Floats]], told: Told) -> list[list[str]]:
    """How far the norm has fallen."""
    at = int(np.argmax(np.isclose(TAUS, 0.2)))
    rows = []
    for k, one in enumerate(RUNS):
        trained = [made[s]["ln_w"][k, at] - made[s]["ln_w"][k, 0] for s in seeds]
        drift = [told[s, k, True][0, at] for s in seeds]
        name = f"γ = {one.gamma:g}, η_R/η_D = {one.ratio:g}"
        rows.append([name, f"{np.median(trained):.3f}", f"{np.median(drift):.3f}", f"{-TAUS[at]:.3f}"])
    return rows


def halfway(land: Landscape) -> float:
    """The test loss halfway from the landscape's at the start to its least: chosen without the runs."""
    loss = land["test_loss"].values[0, 0, -1]
    start = np.interp(M, land.m, loss[:, -1])
    return float((start + loss.min()) / 2)


def times(
    seeds: Sequence[int], made: dict[int, dict[str, Floats]], lands: dict[int, Landscape]
) -> list[list[str]]:
    """ηγt to that test loss by seed: trained, and how far the forms are off, %."""
    rows = []
    for k, one in enumerate(RUNS):
        trained, told = [], []
        for seed in seeds:
            limit, loss = halfway(lands[seed]), made[seed]["test_loss"][k]
            below = np.flatnonzero(loss <= limit)
            at = int(below[0]) if len(below) else 0
            share = (loss[at - 1] - limit) / (loss[at - 1] - loss[at])
            trained.append(TAUS[at - 1] + share * (TAUS[at] - TAUS[at - 1]) if at else np.nan)
            p = predict(
                lands[seed], gamma=one.gamma, eta_d=one.rate, eta_r=one.rate * one.ratio, alpha=ALPHA, m=M,
                metric="loss", threshold=limit,
            )  # fmt: skip
            per = one.gamma * one.rate
            forms = (
                p.forms["drift"],
                p.forms["drift_closed"],
                p.t_grok,
                p.forms["corrected"],
                p.forms["printed"],
            )
            told.append([per * t for t in forms])
        off = np.array(told) / np.array(trained)[:, None] - 1
        shown = [", ".join("–" if np.isnan(x) else f"{100 * x:+.0f}" for x in each) for each in off.T]
        name = f"γ = {one.gamma:g}, η_R/η_D = {one.ratio:g}"
        rows.append([name, ", ".join("–" if np.isnan(x) else f"{x:.3f}" for x in trained), *shown])
    return rows


def cells(lands: dict[int, Landscape]) -> list[list[str]]:
    """The three numbers, what m weighs beside u, and b over m, medians over α and the seeds."""
    rows = []
    for j, m in enumerate(ROWS):
        for k, cutoff in enumerate(CUTOFFS):
            normal, overlap, turn = (
                np.array([land[f"drift_{name}"].values[0, 0, k, j] for land in lands.values()])
                for name in ("normal", "overlap", "turn")
            )
            w2 = np.array([(land["w0"].values[0] * land.alpha) ** 2 for land in lands.values()])
            each = (normal, overlap, turn, (turn + 1 / RATIO) / w2, 1 / RATIO / w2)
            b = f"{np.median(-overlap / (1 / RATIO + turn) / m):.2f}" if m else "–"
            rows.append([f"{m:g}", f"{cutoff:g}", *(number(float(np.median(x))) for x in each), b])
    return rows


def draw_all(land: Landscape, seed: int, made: dict[str, Floats], told: Told, file: Path) -> None:
    """The drift over the landscape with trajectories in one plane, and m over ηγt."""
    figure = new_figure(10.5, 4.6)
    left, right = figure.subplots(1, 2)
    (system,) = systems(land, seed=seed, metric="loss", threshold=NEVER)
    plane(left, land, system, made, told, seed)
    for k, colour in ((0, BLUE), (3, VERMILLION)):
        one = RUNS[k]
        label = f"γ = {one.gamma:g}"
        right.plot(TAUS, made["m"][k] / M, "o-", color=colour, label=f"{label}, trained", markersize=3)
        right.plot(TAUS, told[seed, k, True][1], "--", color=colour, label=f"{label}, with drift")
        right.plot(TAUS, told[seed, k, False][1], ":", color=colour, label=f"{label}, Eq. 6")
    right.plot(TAUS, made["own"] / M, "-.", color=ORANGE, label="γ = 0.003, projection on the way")
    right.set(xlabel=r"$\eta\gamma t$", ylabel=r"$m/m_0$", title=r"m over time, $\eta_R/\eta_D = 0.1$")
    right.legend(frameon=False, fontsize="small")
    right.grid(alpha=0.25)
    save(figure, file, overwrite=True)


def plane(ax: Axes, land: Landscape, system: System, made: dict[str, Floats], told: Told, seed: int) -> None:
    """Arrows of decay's drift at γ = 3e-3, η_R/η_D = 0.1, over the training loss."""
    assert system.surface.drift is not None
    loss = np.log10(land["train_loss"].values[0, 0, -1])
    shown = ax.pcolormesh(land.alpha, land.m, loss, cmap="Greys", shading="nearest", alpha=0.6)
    ax.figure.colorbar(shown, ax=ax, label=r"$\log_{10}$ of the training loss")
    alpha, m = (x.ravel() for x in np.meshgrid(land.alpha, land.m))
    u = np.log(alpha * system.w0)
    terms = system.surface.drift.terms(u, m, np.full_like(u, 3e-3), np.full_like(u, 0.1))
    a, b = terms[:2, 0]
    ax.quiver(alpha, m, -a * alpha, -b, angles="xy", color=BLACK, width=0.003, alpha=0.8)
    trained = ALPHA * np.exp(made["ln_w"][0] - made["ln_w"][0, 0]), made["m"][0]
    ax.plot(*trained, "o-", color=BLUE, label="trained", markersize=3)
    for drift, style, name in ((True, "--", "Eq. 6 with drift"), (False, ":", "Eq. 6")):
        way = told[seed, 0, drift]
        ax.plot(ALPHA * np.exp(way[0]), M * way[1], style, color=BLUE, label=name, linewidth=2)
    ax.set(
        xlabel=r"$\alpha = w/w_0$",
        ylabel="m",
        title=r"drift of decay, $\gamma = 0.003$, $\eta_R/\eta_D = 0.1$",
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False, fontsize="small")
