"""Loss contours around final weights, four operations, Q.

Q claims: around the optimum of a network that has grokked the loss landscape is more uneven (up to 8 times,
at unequal ranges). Here at equal ranges, in random directions that are filter-normalized (Li et al. 2018):
each row of a weight matrix gets a Gaussian row of its own length, biases and LayerNorm stay, so that a
distance r is relative to the weights. Networks on x + y mod 41 (preset "small"), all of one start: trained
with γ = 1 until it has grokked, the same when it has only memorized, and as long with γ = 0.

Unevenness is the standard deviation of the loss over random directions at distance r. The contours drawn
are of the first seed. About 2 minutes of processor time a seed.
"""

from __future__ import annotations

import functools
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groktime.fullnet.engine.device import device_of
from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.samples import Data
from groktime.fullnet.find import find_task
from groktime.fullnet.members import Member, Setup
from groktime.fullnet.procedures.training import Training
from groktime.fullnet.seeding import generator, global_seed
from groktime.fullnet.task import Split, Task
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import kept, took
from groktime.recipes.shared.tables import number, span, table
from groktime.reduced.figures.style import new_figure

Floats = NDArray[np.float64]

EARLY, LATE = 300, 2_500  # steps: memorized, and grokked if γ = 1
NETWORKS = ("grokked", "memorized", "without decay")
GROKKED = NETWORKS[0]
DISTANCES = (0.25, 0.5, 1.0)
DIRECTIONS = 24
GRID = np.linspace(-1, 1, 13)
SPLITS = ("train", "test")


def trained_weights(task: Task, seed: int) -> dict[str, Floats]:
    """Flat weights [parameter] of the networks of a seed."""
    rate = task.optimizer.rate
    training = Training(Setup(task, batch=task.batch, device=device_of("auto")), LATE)
    both = training.init([Member(gamma, rate, rate, 1.0, 1.0, task.n_train, seed) for gamma in (1.0, 0.0)])
    flat = {}
    for step in range(1, LATE + 1):
        training.step(both)
        if step in (EARLY, LATE):
            flat[step] = both.members.flat.detach().cpu().numpy().copy()
    return dict(zip(NETWORKS, (flat[LATE][0], flat[EARLY][0], flat[LATE][1]), strict=True))


def direction(network: nn.Module, flat: Tensor, draw: int) -> Tensor:
    """A filter-normalized random direction [parameter] from weights [parameter]; equal draws are the same
    Gaussian numbers for all networks."""
    own, start = [], 0
    gaussian = generator(draw, "direction")
    for parameter in network.parameters():
        w = flat[start : start + parameter.numel()].view(parameter.shape)
        g = torch.randn(w.shape, generator=gaussian)
        start += w.numel()
        if w.dim() < 2:
            own.append(torch.zeros(w.numel()))
        else:
            own.append((g * w.norm(dim=1, keepdim=True) / g.norm(dim=1, keepdim=True)).flatten())
    return torch.cat(own)


class Landscape:
    """Losses of one task and seed at any weights."""

    def __init__(self, task: Task, seed: int) -> None:
        problem = task.problem(seed, task.n_train)
        self.task, self.splits = task, dict(zip(SPLITS, (problem.train, problem.test), strict=True))
        with global_seed(0, "shape"):
            self.network = task.network()

    def at(self, points: Tensor, name: str) -> tuple[Floats, Floats]:
        """Loss and accuracy [point] at weights [point, parameter]."""
        split: Split = self.splits[name]
        loss, accuracy = Ensemble(self.task, points).metrics(Data.of([split] * len(points)))
        return loss.double().numpy(), accuracy.numpy()

    def plane(self, flat: Tensor) -> dict[str, Floats]:
        """Losses [GRID, GRID] in the plane of two directions."""
        one, two = (direction(self.network, flat, draw) for draw in (0, 1))
        rows = [torch.stack([flat + float(a) * one + float(b) * two for a in GRID]) for b in GRID]
        return {name: np.stack([self.at(row, name)[0] for row in rows]) for name in SPLITS}

    def around(self, flat: Tensor) -> dict[str, Floats]:
        """Losses [distance, direction]."""
        ways = torch.stack([direction(self.network, flat, 2 + k) for k in range(DIRECTIONS)])
        return {name: np.stack([self.at(flat + r * ways, name)[0] for r in DISTANCES]) for name in SPLITS}


def measured(land: Landscape, weights: dict[str, Floats]) -> dict[str, Floats]:
    """Of each network and split: losses in the plane [GRID, GRID] and around [distance, direction], and the
    loss and accuracy of the weights themselves; under `key`."""
    found: dict[str, Floats] = {}
    for name, values in weights.items():
        flat = torch.from_numpy(values)
        plane, around = land.plane(flat), land.around(flat)
        for split in SPLITS:
            centre = np.concatenate(land.at(flat[None].clone(), split))
            of = {"plane": plane[split], "around": around[split], "centre": centre}
            found |= {key(name, split, what): value for what, value in of.items()}
    return found


def key(network: str, split: str, what: str) -> str:
    return f"{network}; {split}; {what}"


def unevenness(found: dict[str, Floats], name: str, split: str) -> Floats:
    """[distance]"""
    spread: Floats = found[key(name, split, "around")].std(axis=1, ddof=1)
    return spread


def claims(found: list[dict[str, Floats]]) -> list[list[str]]:
    """Q's claim against each of the other two networks: around at each distance, and in the plane."""
    rows = []
    for other, split in itertools.product(NETWORKS[1:], SPLITS):
        more = np.array([unevenness(f, GROKKED, split) / unevenness(f, other, split) for f in found])
        told = "; ".join(f"r = {r:g}: {_few(x)} times" for r, x in zip(DISTANCES, more.T, strict=True))
        rows.append([other, f"{split} loss more uneven", _in_words(more > 1), told])
        grokked, theirs = (
            np.array([np.ptp(f[key(name, split, "plane")]) for f in found]) for name in (GROKKED, other)
        )
        told = f"{_few(grokked)} against {_few(theirs)}"
        rows.append([other, f"{split} loss of a wider range in the plane", _in_words(grokked > theirs), told])
    return rows


def _few(values: Floats) -> str:
    """The only value, or the least and the greatest."""
    return span(float(values.min()), float(values.max())) if len(values) > 1 else number(float(values[0]))


def _in_words(true: NDArray[np.bool_]) -> str:
    return "yes" if true.all() else "in part" if true.any() else "no"


@recipe("contours", "Q: four operations, loss contours around the final weights", seeds=4, minutes=8)
def run(out: Path, seeds: int) -> None:
    task = find_task("four-operations", {"operation": "+"}, preset="small")
    files: list[Path] = []
    weights: list[dict[str, Floats]] = []
    found: list[dict[str, Floats]] = []
    for seed in range(seeds):
        files += [out / f"weights-{seed}.npz", out / f"losses-{seed}.npz"]
        weights.append(kept(files[-2], functools.partial(trained_weights, task, seed)))
        found.append(kept(files[-1], functools.partial(measured, Landscape(task, seed), weights[-1])))

    print(f"## Around the weights, x + y mod 41, {seeds} seed(s)")
    rows: list[list[Any]] = []
    for seed in range(seeds):
        for name in NETWORKS:
            norm = float(np.linalg.norm(weights[seed][name]))
            for split in SPLITS:
                loss, accuracy = found[seed][key(name, split, "centre")]
                around = found[seed][key(name, split, "around")]
                told = [
                    f"{m:.3g} ± {s:.2g}" for m, s in zip(around.mean(1), around.std(1, ddof=1), strict=True)
                ]
                rows.append([str(seed), name, norm, split, f"{accuracy:.0%}", f"{loss:.2g}", *told])
    head = ["seed", "network", "norm", "split", "accuracy", "loss", *(f"r = {r:g}" for r in DISTANCES)]
    print(f"\nLoss at distance r: mean and standard deviation over {DIRECTIONS} directions")
    table(head, rows, "around")
    print("\nThe optimum after grokking against")
    table(["network", "claim", "came out", "numbers"], claims(found), "claims")
    took(*files)
    draw(found[0], out / "contours.png")
    print(f"\nFigure: {out / 'contours.png'}")


def draw(found: dict[str, Floats], path: Path) -> None:
    """Both losses of the three networks in one plane, at equal ranges and colours."""
    figure = new_figure(12, 7.5)
    axes = figure.subplots(2, 3, sharex=True, sharey=True)
    for row, split in zip(axes, SPLITS, strict=True):
        planes = [found[key(name, split, "plane")] for name in NETWORKS]
        levels = np.arange(0, math.ceil(max(float(p.max()) for p in planes)) + 0.25, 0.5)
        for ax, name, plane in zip(row, NETWORKS, planes, strict=True):
            filled = ax.contourf(GRID, GRID, plane, levels, cmap="viridis")
            ax.contour(GRID, GRID, plane, levels[::2], colors="white", linewidths=0.4)
            ax.plot(0, 0, "w+")
            ax.set(title=f"{name}: {split} loss {plane.min():.2g} to {plane.max():.3g}", aspect="equal")
        figure.colorbar(filled, ax=row, label=f"{split} loss", ticks=levels[::4])
        row[0].set_ylabel("b, along direction 2")
    for ax in axes[1]:
        ax.set_xlabel("a, along direction 1")
    figure.savefig(path, dpi=110)
