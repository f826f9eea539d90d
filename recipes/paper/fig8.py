"""MNIST with interpolated representation, P Fig. 8.

P claims, with N = 60,000: the reduced training and test losses over m and α are alike (a, b), both nearly
independent of m; the path from large w, m = 1 is monotone (c), and there is no grokking. Beside it the same
with N = 1000, where at m = 1 networks do grok (Fig. 3). P's α = 0 has no network: the grid begins at 0.5, or
at 0.1 with --full. Needs the MNIST files (docs/data.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from groktime.fullnet.tasks import mnist_representation
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import sampled, took
from groktime.recipes.shared.landscapes import along_m
from groktime.recipes.shared.tables import number, table
from groktime.reduced.figures.landscape import draw_landscape, draw_trajectory
from groktime.reduced.figures.prediction import draw_along
from groktime.reduced.figures.style import new_figure
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import Prediction, predict

START: dict[str, Any] = {"gamma": 0.1, "eta_d": 1e-3, "eta_r": 1e-3, "m": 1.0}
ALIKE = 0.05  # a difference of accuracies up to which they count as alike
FLAT = 0.1  # a mean range of the accuracy over m, at fixed α, up to which it is nearly independent of m
RISE = 1.05  # the factor by which a loss may rise on a monotone path


def path_to_the_end(land: Landscape, n: int) -> Prediction:
    """Eq. 6 from the largest norm at m = 1 to the best test accuracy of the landscape, if it gets there."""
    best = float(land.dataset["test_accuracy"].sel(n_train=n).isel(budget=-1).max())
    return predict(land, **START, alpha=float(land.alpha[-1]), n_train=n, threshold=best)


def rise(p: Prediction) -> float:
    """The most by which the test loss rises on the way, as a factor."""
    field = p.detail.system.surface.test_loss
    if p.detail.trajectory is None or field is None:
        return float("nan")
    u, m = p.detail.trajectory.at(
        p.detail.trajectory.end * np.concatenate([[0], np.geomspace(1e-9, 1, 2000)])
    )
    loss = field.derivatives(u, m, second=False)[0]
    return float(np.max(loss / np.minimum.accumulate(loss)))


def claims(land: Landscape, n: int) -> list[list[str]]:
    """P's claims against what came out, row by row."""
    one = land.dataset.sel(n_train=n).isel(budget=-1)
    apart = abs(one["train_accuracy"] - one["test_accuracy"])
    inside = float((apart <= ALIKE).mean())
    images = float(apart.sel(m=1.0).max())
    text = f"accuracies within {ALIKE:g} in {inside:.0%} of the cells; at m = 1 apart by up to {images:.2f}"
    rows: list[tuple[str, bool, str]] = [("train and test alike", inside > 0.95, text)]
    for name in ("train", "test"):
        accuracy = one[f"{name}_accuracy"]
        span = float((accuracy.max("m") - accuracy.min("m")).mean())
        text = f"accuracy ranges over {span:.2f} with m at fixed α, in the mean; "
        text += f"{along_m(one[f'{name}_loss']):.0%} of the variance of ln(loss) goes with m"
        rows.append((f"{name} landscape nearly independent of m", span <= FLAT, text))
    p = path_to_the_end(land, n)
    risen = rise(p)
    text = f"test loss rises by up to a factor of {number(risen)}; ends {p.typical.status.value}"
    rows.append(("path monotone", risen < RISE, text))
    own = predict(land, **START, alpha=float(land.alpha[-1]), n_train=n)
    late = own.delay > own.t_mem
    text = f"status of {own.typical.threshold:.0%} test accuracy: {own.status.value}"
    if np.isfinite(own.t_grok):
        text += f", {number(own.t_grok)} steps; training set after {number(own.t_mem)}"
    rows.append(("no grokking", bool(np.isfinite(own.t_grok)) and not late, text))
    return [[f"{n:,}", claim, "yes" if came else "no", text] for claim, came, text in rows]


@recipe(
    "fig8",
    "P Fig. 8: MNIST with interpolated representation, (w, m) landscape and path",
    seeds=4,
    minutes=5,
    full=True,
    data="MNIST",
)
def run(out: Path, seeds: int, full: bool) -> None:
    chosen = range(seeds if full else min(seeds, 2))
    steps = 10_000 if full else 4_000
    file = out / "landscape.nc"
    land = sampled(
        file, mnist_representation(n_test=None if full else 2_000), seeds=chosen,
        alpha=[0.1, *np.linspace(0.5, 10, 20)] if full else [0.5, 1, 2, 3, 4.5, 6.5, 10],
        m=np.linspace(0, 1, 21 if full else 5),
        n_train=[1_000, 60_000], steps=steps, budgets=[steps // 3, steps],
    )  # fmt: skip
    print(f"## Fig. 8: reduced losses, {steps:,} steps on the sphere, {len(chosen)} seeds")
    table(
        ["N", "claim", "came out", "with"], [row for n in land.n_train for row in claims(land, n)], "claims"
    )
    print("\nAccuracy, train / test, medians over seeds")
    table(
        ["N", "steps", "m", *(f"α = {a:g}" for a in land.alpha), "converged"], accuracies(land), "accuracies"
    )
    took(file)
    draw(land, out / "fig8.png")
    print(f"\nFigure: {out / 'fig8.png'}")


def accuracies(land: Landscape) -> list[list[str]]:
    """By N, budget and m, at each α."""
    rows = []
    for n in land.n_train:
        for budget in land.budgets:
            one = land.dataset.sel(n_train=n, budget=budget)
            for m in (0.0, 0.5, 1.0):
                row = one.sel(m=m, method="nearest")
                both = (row[f"{name}_accuracy"].median("seed").values for name in ("train", "test"))
                shown = [f"{a:.2f} / {b:.2f}" for a, b in zip(*both, strict=True)]
                rows.append(
                    [f"{n:,}", f"{budget:,}", f"{m:g}", *shown, f"{float(row['converged'].mean()):.0%}"]
                )
    return rows


def draw(land: Landscape, file: Path) -> None:
    """For each N the landscape of one seed, its path, and the losses along it."""
    figure = new_figure(19, 12)
    parts = np.ravel(np.asarray(figure.subfigures(len(land.n_train), 1), object))
    for part, n in zip(parts, land.n_train, strict=True):
        left, right = part.subfigures(1, 2, width_ratios=(2, 1))
        p = path_to_the_end(land, n)
        one = land.one(p.detail.system.seed, n, land.budgets[-1])
        for ax, name, letter in zip(left.subplots(1, 2), ("train_loss", "test_loss"), "ab", strict=True):
            draw_landscape(ax, one, p.detail.system.surface, name, ())
            draw_trajectory(ax, p)
            ax.set_title(f"({letter}) N = {n:,}: {name.replace('_', ' ')}")
        ax = right.subplots()
        draw_along(ax, p)
        ax.set_title(f"(c) N = {n:,}: along the path, γ = {START['gamma']:g}", pad=20)
    figure.savefig(file, dpi=110)
