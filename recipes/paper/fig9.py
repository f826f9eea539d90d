"""Transformer, landscape over the train share, P Fig. 9.

P claims: for α from 0.1 to 4 the reduced training loss is an L and the test loss a U; networks generalize
only above a critical share of pairs to train on, about 0.25 (p = 113).
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from numpy.typing import NDArray

from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import sampled, took
from groktime.recipes.shared.modular import transformer
from groktime.recipes.shared.tables import table
from groktime.reduced.figures.style import ALPHA, cell_edges, scale_x
from groktime.reduced.landscape import Landscape

RIGHT = 0.95  # accuracy that counts as fitted, or as generalized
FLOOR = 1e-5  # of a loss, in the figure


def middle(land: Landscape, name: str) -> NDArray[np.float64]:
    """The median over seeds at the last budget, [n_train, alpha]."""
    values = land.dataset[name].isel(budget=-1).squeeze("m").median("seed")
    return np.asarray(values.transpose("n_train", "alpha").values)


def claims(land: Landscape, share: NDArray[np.float64]) -> list[list[str]]:
    """P's claims against what came out, row by row."""
    fitted, loss = middle(land, "train_accuracy") >= RIGHT, middle(land, "test_loss")
    first, least = fitted.argmax(1), loss.argmin(1)
    # a vertical arm, and a flat one as far as the grid goes
    arms = [f.any() and k > 0 and f[k:].all() for f, k in zip(fitted, first, strict=True)]
    cups = (least > 0) & (least < loss.shape[1] - 1)
    best = middle(land, "test_accuracy").max(1)
    learned = best >= RIGHT
    k = int(learned.argmax())
    between = bool(learned.any() and k > 0 and learned[k:].all())
    where = f"between {share[k - 1]:.2f} and {share[k]:.2f}" if between else f"{RIGHT:.0%} not bracketed"
    where += f"; best test accuracy {', '.join(f'{a:.2f}' for a in best)}"
    ends = [np.flatnonzero(f) for f in fitted]
    arm = [f"{land.alpha[e[0]]:g} to {land.alpha[e[-1]]:g}" if len(e) else "–" for e in ends]
    at = [f"{a:g}" for a in np.array(land.alpha)[least]]
    return [
        ["the training loss is an L", _some(arms), f"fitted at α = {', '.join(arm)}"],
        ["the test loss is a U", _some(cups), f"least at α = {', '.join(at)}"],
        ["a critical share, 0.25 at p = 113", "yes" if between else "no", where],
    ]


def _some(came: object) -> str:
    each = np.asarray(came, bool)
    return "yes" if each.all() else f"at {each.sum()} of {len(each)} shares"


def draw(ax: Axes, land: Landscape, share: NDArray[np.float64], name: str) -> None:
    """Cells over α and the share."""
    values = middle(land, name)
    norm: Normalize = Normalize(0, 1)
    if name.endswith("loss"):
        values = np.maximum(values, FLOOR)
        norm = LogNorm(values.min(), values.max())
    x, y = cell_edges(np.array(land.alpha), logarithmic=True), cell_edges(share)
    mesh = ax.pcolormesh(x, y, values, norm=norm, cmap="viridis")
    scale_x(ax, x)
    ax.set(xlabel=ALPHA, ylabel="share of pairs trained on", title=name.replace("_", " "))
    ax.set_yticks(share, [f"{s:.2f}" for s in share])
    ax.figure.colorbar(mesh, ax=ax)


@recipe("fig9", "P Fig. 9: transformer, landscape over the train fraction", seeds=4, minutes=12, full=True)
def run(out: Path, seeds: int, full: bool) -> None:
    file = out / "landscape.nc"
    chosen = range(seeds if full else min(seeds, 2))
    task = transformer(full)
    assert task.n_total is not None
    shares = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7) if full else (0.2, 0.3, 0.4, 0.5)
    steps = 20_000 if full else 2_000
    land = sampled(
        file, task, alpha=np.geomspace(0.1, 4, 17) if full else (0.1, 0.4, 0.6, 0.8, 1.2, 1.6, 4),
        seeds=chosen, n_train=[round(s * task.n_total) for s in shares], steps=steps,
        budgets=[steps // 2, steps],
    )  # fmt: skip
    share = np.array(land.n_train) / task.n_total
    settings = task.settings
    print(
        f"## Fig. 9: p = {settings['p']}, d_model = {settings['d_model']}, {steps:,} steps on the sphere, "
        f"seeds: {len(chosen)}\n\nAccuracy, training / test"
    )
    rows = []
    for part, train, test in zip(
        share, middle(land, "train_accuracy"), middle(land, "test_accuracy"), strict=True
    ):
        rows.append([f"{part:.2f}", *(f"{a:.2f} / {b:.2f}" for a, b in zip(train, test, strict=True))])
    head = ["share", *(f"α = {a:g}" for a in land.alpha)]
    table(head, rows, "accuracies")
    print("\nTest loss")
    losses = zip(share, middle(land, "test_loss"), strict=True)
    table(head, [[f"{s:.2f}", *map(float, row)] for s, row in losses], "losses")
    print("\nBy share, from the least up:")
    table(["claim", "came out", "numbers"], claims(land, share), "claims")
    took(file)

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    for ax, name in zip(axes, ("train_loss", "test_loss", "test_accuracy"), strict=True):
        draw(ax, land, share, name)
    figure.savefig(out / "fig9.png", dpi=110)
    print(f"\nFigure: {out / 'fig9.png'}")
