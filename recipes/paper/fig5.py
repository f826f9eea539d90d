"""QM9, graph network, P Fig. 5.

P claims, without decay: training and test loss alike at large N, and a mismatch at small N where α > 1; with
200 training molecules α = 3 has a sharp late drop of the test loss near 1e4 steps, α = 1 none. About 4
minutes of one core; 6 with --official, the network of the authors' notebook, too. Needs the QM9 file
(docs/data.md) and `groktime[molecules]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr

from groktime.fullnet.tasks import qm9
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import by_run, evaluated, of, sampled, took, trained
from groktime.recipes.shared.drawing import draw_sizes, draw_steps
from groktime.recipes.shared.tables import number, spread, table
from groktime.reduced.figures.style import BLUE, VERMILLION, new_figure
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import predict

N = 200
ALPHAS = (1, 3)
VARIANTS = ("paper", "official")
LATE = (3_000, 30_000)  # "near 1e4": half a decade to either side
SHARP = 2.0  # a fall of the loss faster than 1/steps² counts as sharp
ALIKE = 1.5  # a ratio of losses up to which they count as alike
WINDOW = 1.5  # the factor of steps over which a slope is taken


def steepest(runs: xr.Dataset, low: float, high: float) -> tuple[float, float]:
    """The greatest -d ln(loss)/d ln(steps) between two steps, taken over a factor WINDOW of steps, and where;
    of the least test loss so far, as a way down from a spike is no drop, and of the median over runs."""
    steps = runs["step"].values
    loss = np.median(np.minimum.accumulate(by_run(runs, "test_loss"), axis=1), axis=0)
    slopes = []
    for t in steps[(steps >= low) & (steps * WINDOW <= min(high, steps[-1]))]:
        inside = (steps >= t) & (steps <= t * WINDOW)
        slope = np.polyfit(np.log(steps[inside]), np.log(loss[inside]), 1)[0]
        slopes.append((-float(slope), float(t * WINDOW**0.5)))
    return max(slopes, default=(float("nan"), float("nan")))


def sizes(land: Landscape) -> list[list[str]]:
    """The claims on the landscape."""
    one = land.dataset.isel(budget=-1, m=0)
    logarithm: xr.DataArray = xr.apply_ufunc(np.log, one["test_loss"] / one["train_loss"])
    ratio: xr.DataArray = xr.apply_ufunc(np.exp, logarithm.median("seed"))
    large = ratio.isel(n_train=-1)
    small = ratio.sel(n_train=N)
    below, above = (float(small.sel(alpha=mask).max()) for mask in (one.alpha <= 1, one.alpha > 1))
    return [
        [
            f"N = {land.n_train[-1]:,}: training and test loss alike",
            "yes" if float(large.max()) <= ALIKE else "no",
            f"test / training loss at most {number(float(large.max()))}",
        ],
        [
            f"N = {N}: mismatch for α > 1",
            "yes" if above > ALIKE and above > below else "no",
            f"test / training loss up to {number(above)} for α > 1, {number(below)} for α ≤ 1",
        ],
    ]


def drops(variant: str, runs: xr.Dataset) -> list[list[str]]:
    """The claims on the curves of one network."""
    rows = []
    for alpha in sorted(ALPHAS, reverse=True):
        slope, where = steepest(of(runs, alpha=alpha), *LATE)
        sharp = slope >= SHARP
        claim = f"{variant}: α = {alpha} {'a sharp' if alpha > 1 else 'no sharp'} drop near 1e4 steps"
        numbers = f"from {LATE[0]:,} steps the least test loss so far falls at most as steps^−{slope:.1f}"
        rows.append([claim, "yes" if sharp == (alpha > 1) else "no", f"{numbers}, at {number(where)}"])
    return rows


def curves(runs: xr.Dataset, variant: str, at: list[int]) -> list[list[str]]:
    """Training and test loss and relative norm by steps; the least and the greatest of the seeds."""
    rows = []
    places, _ = evaluated(runs, at)
    for alpha in ALPHAS:
        own = of(runs, alpha=alpha)
        for name in ("train_loss", "test_loss", "weight_norm"):
            values = own[name] / own["w0"] if name == "weight_norm" else own[name]
            label = "w / w0" if name == "weight_norm" else name.replace("_", " ")
            y = by_run(own.assign(shown=values), "shown")[:, places]
            shown = [spread(v) for v in y.T]
            rows.append([variant, f"{alpha}", label, *shown])
    return rows


def theory(land: Landscape, runs: xr.Dataset) -> list[list[str]]:
    """What Eq. 6 says of the runs, which have no decay, beside what became of them."""
    rows = []
    for alpha in ALPHAS:
        p = predict(land, gamma=0.0, eta_d=1e-3, alpha=alpha, n_train=N)
        one = (
            land.dataset.isel(budget=-1, m=0)
            .sel(n_train=N)["test_accuracy"]
            .sel(alpha=alpha, method="nearest")
        )
        own = of(runs, alpha=alpha)
        end = by_run(own, "test_accuracy")[:, -1]
        passed = [np.flatnonzero(r >= p.typical.threshold) for r in by_run(own, "test_accuracy")]
        first = [float(own["step"].values[k[0]]) if k.size else float("inf") for k in passed]
        norm = (own["weight_norm"].isel(time=-1) / own["weight_norm"].isel(time=0)).values
        rows.append(
            [
                f"{alpha}",
                p.status.value,
                number(float(one.median("seed"))),
                spread(first),
                spread(end),
                spread(norm),
            ]
        )
    return rows


@recipe("fig5", "P Fig. 5: QM9, graph convolution", seeds=4, minutes=4, full=True, data="QM9")
def run(
    out: Path,
    seeds: int,
    full: bool,
    *,
    official: Annotated[bool, "the network of the authors' notebook, too (one seed)"] = False,
) -> None:
    chosen = {"paper": range(seeds if full else min(seeds, 2))}
    chosen["official"] = chosen["paper"] if full else range(1)
    n_test = 1_000 if full else 200
    grid = [10, 30, 100, N, 1_000, 3_000, 10_000] if full else [50, N, 2_000]
    files = {name: out / f"{name}.nc" for name in (*VARIANTS, "landscape")}
    runs = {}
    for variant in VARIANTS if full or official else VARIANTS[:1]:
        runs[variant] = trained(
            files[variant], qm9(n_train=N, variant=variant, n_test=n_test), gamma=0.0, alpha=ALPHAS,
            seeds=chosen[variant], steps=100_000 if full else 20_000,
            resolution=0.02 if full else 0.05,
        ).dataset  # fmt: skip
    land = sampled(
        files["landscape"], qm9(n_train=max(grid), n_test=n_test), n_train=grid,
        seeds=chosen["official"], steps=10_000 if full else 1_000,
        alpha=np.geomspace(0.1, 10, 17) if full else [0.3, 0.6, 1, 1.7, 3, 5],
    )  # fmt: skip

    last = int(runs["paper"]["step"][-1])
    counts = ", ".join(f"{variant} network: {len(chosen[variant])} seed(s)" for variant in runs)
    print(f"## Fig. 5: N = {N}, γ = 0, {last:,} steps, by steps; losses in bohr⁶; {counts}")
    at = [k for k in (0, 100, 1_000, 3_000, 10_000, 20_000, 30_000, 100_000) if k <= last]
    rows = [row for variant, own in runs.items() for row in curves(own, variant, at)]
    table(["network", "α", "", *(f"{int(k):,}" for k in evaluated(runs["paper"], at)[1])], rows, "curves")
    found = [row for variant, own in runs.items() for row in drops(variant, own)]
    table(["claim", "came out", "with"], [*sizes(land), *found], "claims")
    print(f"\nThe theory at γ = 0: `predict` on the landscape of N = {N}, and what trained")
    head = ["α", "predict", "test accuracy on the sphere", "steps to the threshold", "at the end"]
    table([*head, "w at the end / at the start"], theory(land, runs["paper"]), "theory")
    took(*(files[name] for name in (*runs, "landscape")))
    draw(land, runs, out / "fig5.png")
    print(f"\nFigure: {out / 'fig5.png'}")


def draw(land: Landscape, runs: dict[str, xr.Dataset], file: Path) -> None:
    """Reduced losses over α, and the losses of each network against steps."""
    figure = new_figure(5.2 * (1 + len(runs)), 4.5)
    axes = figure.subplots(1, 1 + len(runs))
    draw_sizes(axes[0], land.dataset, lambda loss: loss, "loss")
    axes[0].set(yscale="log", ylabel="loss, bohr⁶", title=f"reduced losses, {land.budgets[-1]:,} steps")
    for ax, (variant, own) in zip(axes[1:], runs.items(), strict=True):
        for colour, alpha in zip((BLUE, VERMILLION), ALPHAS, strict=True):
            one = of(own, alpha=alpha)
            draw_steps(ax, one, "test_loss", f"α = {alpha}", colour)
            draw_steps(ax, one, "train_loss", "", colour, ":")
        ax.set(yscale="log", ylabel="loss, bohr⁶", title=f"N = {N}, γ = 0, {variant} network")
        ax.legend(title="test (dotted: training)", frameon=False)
    figure.savefig(file, dpi=110)
