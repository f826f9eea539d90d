"""IMDb reviews, LSTM, P Fig. 4.

P claims: at large N reduced training and test errors over α are both U-shaped, at small N they do not match;
with N = 1000, α = 6 and γ = 1 overfit within about 1e2 steps and generalize from about 1e3, α = 1 and γ = 0
do not grok. And the embedding is 98 to 99 % of w². About 8 minutes of one core. Needs the IMDb file
(docs/data.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from groktime.fullnet.runs import Runs
from groktime.fullnet.tasks import imdb
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import by_run, evaluated, of, sampled, took, trained
from groktime.recipes.shared.drawing import draw_sizes, draw_steps
from groktime.recipes.shared.tables import number, spread, table
from groktime.reduced.figures.style import BLUE, VERMILLION, new_figure
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import predict
from groktime.reduced.system import MEMORIZED
from groktime.validation.measure import measure

N = 1000
SETTINGS = ((6.0, 1.0), (1.0, 0.0))  # α and γ
SMALL = {"length": 100, "hidden": 32, "embedding": 32, "n_test": 500}
APART = 0.1  # a difference of accuracies from which on they do not match, and by which a U rises
ABOVE = 0.55  # test accuracy two standard errors of SMALL's test set above chance
EARLY, LATE = 300, 4_000  # steps between which late generalization begins


def is_u(error: xr.DataArray) -> bool:
    """Whether it rises by APART from its minimum to both ends."""
    return bool(min(error[0], error[-1]) - error.min() >= APART)


def sizes(land: Landscape) -> list[list[str]]:
    """The claims on the landscape."""
    one = 1 - land.dataset.isel(budget=-1, m=0).median("seed")
    train, test = one["train_accuracy"], one["test_accuracy"]
    large, shapes = land.n_train[-1], []
    for error, name in ((train, "training"), (test, "test")):
        e = error.sel(n_train=large)
        ends = f"{float(e[0]):.2f}, {float(e.min()):.2f}, {float(e[-1]):.2f}"
        shapes.append((is_u(e), f"{name} error at the least α, at best, at the largest α: {ends}"))
    both = "yes" if all(u for u, _ in shapes) else "no"
    rows = [[f"N = {large:,}: training and test error both U", both, "; ".join(s for _, s in shapes)]]
    for n in land.n_train:
        gap = (test - train).sel(n_train=n)
        worst = float(gap.alpha[int(np.argmax(gap.values))])
        numbers = f"test above training error by up to {float(gap.max()):.2f}, at α = {worst:g}"
        if n == large:
            rows.append([f"N = {n:,}: no mismatch", "no" if float(gap.max()) >= APART else "yes", numbers])
        else:
            rows.append([f"N = {n:,}: mismatch", "yes" if float(gap.max()) >= APART else "no", numbers])
    return rows


def accuracies(land: Landscape) -> list[list[str]]:
    one = land.dataset.isel(budget=-1, m=0).median("seed")
    rows = []
    for n in land.n_train:
        both = (one[f"{part}_accuracy"].sel(n_train=n).values for part in ("train", "test"))
        rows.append([f"{n:,}", *(f"{a:.2f} / {b:.2f}" for a, b in zip(*both, strict=True))])
    return rows


def grokking(trainings: Runs) -> list[list[str]]:
    """The claims on training."""
    rows, runs = [], trainings.dataset
    delays = measure(trainings, threshold=ABOVE, rule="first")
    for alpha, gamma in SETTINGS:
        own = of(runs, alpha=alpha, gamma=gamma)
        fitted = of(delays, alpha=alpha, gamma=gamma)["t_mem"].values
        test, steps = by_run(own, "test_accuracy"), own["step"].values
        before = test[:, steps <= EARLY].max(axis=1)
        after = test[:, steps >= LATE].mean(axis=1)
        rises = bool((after - before >= APART).all())
        name = f"α = {alpha:g}, γ = {gamma:g}"
        if gamma:
            rows.append([
                f"{name}: overfits within about 1e2 steps", "yes" if max(fitted) <= EARLY else "no",
                f"{MEMORIZED:.0%} of the training set after {spread(fitted)} steps",
            ])  # fmt: skip
        numbers = f"test accuracy at best {spread(before)} up to {EARLY:,} steps, "
        numbers += f"{spread(after)} in the mean from {LATE:,}"
        claim = f"{name}: {'generalizes from about 1e3' if gamma else 'does not grok'}"
        rows.append([claim, "yes" if rises == bool(gamma) else "no", numbers])
    return rows


def arrival(land: Landscape, runs: Runs) -> None:
    """Steps to leave chance at α = 6, γ = 1: the theory's beside the networks'."""
    (alpha, gamma), _ = SETTINGS
    p = predict(land, gamma=gamma, eta_d=1e-3, alpha=alpha, n_train=N, threshold=ABOVE)
    delays = of(measure(runs, threshold=ABOVE), alpha=alpha, gamma=gamma)
    rows = []
    for k in range(delays.sizes["run"]):
        one = delays.isel(run=k)
        norm = float(one["norm_at_grok"] / of(runs.dataset, alpha=alpha, gamma=gamma)["w0"][k])
        rows.append([int(one["seed"]), p.status.value, p.t_grok, float(one["t_grok"]), norm])
    print(f"\nα = {alpha:g}, γ = {gamma:g}: steps to {ABOVE:.0%} test accuracy (∞, –: not within the run)")
    table(["seed", "predict", "predicted", "measured", "w / w0 then"], rows, "arrival")


def share(runs: xr.Dataset) -> xr.DataArray:
    """The embedding's share of w²."""
    return (runs["norm_embedding"] / runs["weight_norm"]) ** 2


def curves(runs: xr.Dataset) -> None:
    """Accuracies and norms by steps, the least and the greatest of the seeds."""
    at = [k for k in (0, 100, 300, 1_000, 2_000, 3_000, 5_400, 10_000, 100_000) if k <= int(runs["step"][-1])]
    places, steps = evaluated(runs, at)
    rest = np.hypot(runs["norm_lstm"], runs["norm_output"])
    shown = {
        "training accuracy": runs["train_accuracy"],
        "test accuracy": runs["test_accuracy"],
        "test loss": runs["test_loss"],
        "w / w0": runs["weight_norm"] / runs["w0"],
        "norm without the embedding": rest,
        "embedding's share of w²": share(runs),
    }
    rows = []
    for alpha, gamma in SETTINGS:
        for name, values in shown.items():
            y = by_run(of(runs.assign(shown=values), alpha=alpha, gamma=gamma), "shown")[:, places]
            rows.append([f"{alpha:g}", f"{gamma:g}", name, *(spread(v) for v in y.T)])
    table(["α", "γ", "", *(f"{int(k):,}" for k in steps)], rows, "curves")


@recipe("fig4", "P Fig. 4: IMDb, LSTM", seeds=4, minutes=8, full=True, data="IMDb")
def run(out: Path, seeds: int, full: bool) -> None:
    chosen = range(seeds if full else min(seeds, 2))
    made: dict[str, Any] = {} if full else SMALL
    task, plane = imdb(n_train=N, **made), out / "landscape.nc"
    training = out / "training.nc"
    pairs = [(alpha, gamma, seed) for seed in chosen for alpha, gamma in SETTINGS]
    alpha, gamma, seed = zip(*pairs, strict=True)
    trainings = trained(
        training, task, alpha=alpha, gamma=gamma, seeds=seed, paired=True,
        steps=100_000 if full else 5_400, resolution=0.02 if full else 0.1,
    )  # fmt: skip
    runs = trainings.dataset
    grid = [200, 1_000, 10_000, 37_500] if full else [100, N, 4_000]
    land = sampled(
        plane, imdb(n_train=grid[-1], **made), n_train=grid, seeds=chosen if full else [0],
        alpha=np.geomspace(0.1, 10, 13) if full else [0.1, 0.4, 1, 3, 8],
        steps=10_000 if full else 300,
    )  # fmt: skip

    print(f"## Fig. 4: N = {N:,}, {number(int(runs['step'][-1]))} steps, {len(chosen)} seeds, by steps")
    curves(runs)
    start = share(runs).isel(time=0)
    whole = f"{float(start.min()):.1%} at least at the start, "
    whole += f"{float(share(runs).min()):.1%} at least later"
    held = [["the embedding is 98 to 99 % of w²", "yes" if float(start.min()) >= 0.98 else "no", whole]]
    table(["claim", "came out", "with"], [*sizes(land), *grokking(trainings), *held], "claims")
    print("\nReduced accuracy, training / test")
    table(["N", *(f"α = {a:g}" for a in land.alpha)], accuracies(land), "accuracies")
    arrival(land, trainings)
    took(training, plane)
    draw(land, runs, out / "fig4.png")
    print(f"\nFigure: {out / 'fig4.png'}")


def draw(land: Landscape, runs: xr.Dataset, file: Path) -> None:
    """Reduced errors over α, accuracies and norms against steps."""
    figure = new_figure(16, 4.5)
    left, middle, right = figure.subplots(1, 3)
    draw_sizes(left, land.dataset, lambda accuracy: 1 - accuracy, "accuracy")
    left.set(ylabel="error", ylim=(-0.03, 0.7), title=f"reduced error, {land.budgets[-1]:,} steps")
    for colour, (alpha, gamma) in zip((VERMILLION, BLUE), SETTINGS, strict=True):
        own, label = of(runs, alpha=alpha, gamma=gamma), f"α = {alpha:g}, γ = {gamma:g}"
        draw_steps(middle, own, "test_accuracy", label, colour)
        draw_steps(middle, own, "train_accuracy", "", colour, ":")
        draw_steps(right, own, "weight_norm", label, colour)
        rest = np.hypot(own["norm_lstm"], own["norm_output"])
        draw_steps(right, own.assign(rest=rest), "rest", "", colour, ":")
    middle.set(ylabel="accuracy", ylim=(0.4, 1.03), title=f"N = {N:,}")
    middle.legend(title="test (dotted: training)", frameon=False)
    right.set(ylabel="norm", yscale="log", title="weight norm")
    right.set_ylim(top=8 * right.get_ylim()[1])  # room for the legend
    right.legend(title="all (dotted: without the embedding)", frameon=False)
    figure.savefig(file, dpi=110)
