"""A small task, its grid of spheres, and pieces of it that are counted, for the tests of `sample`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from groktime.fullnet.machine import Machine
from groktime.fullnet.procedures.sphere import Cell, Spheres, SphereState
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task

QUIET = Machine(progress=False)

LOSSES = ("train_loss", "test_loss")
ACCURACIES = ("train_accuracy", "test_accuracy")


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square()


def small_task(n_test: int = 10) -> Task:
    """A small non-linear task with messiness; 20 training samples and more at most."""

    def problem(seed: int, n_train: int) -> Problem:
        random, ordered = torch.randn(2, 20 + n_test, 2, generator=torch.Generator().manual_seed(seed))
        y = torch.sin(ordered.sum(1))
        train, test = slice(0, n_train), slice(20, 20 + n_test)
        return Problem(
            Split(random[train], {"y": y[train]}, ordered[train]),
            Split(random[test], {"y": y[test]}, ordered[test]),
            delta_norm=float((random - ordered).norm()),
        )

    return Task(
        name="small",
        network=lambda: nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(-2)),
        problem=problem,
        loss=squared,
        right=lambda output, targets: squared(output, targets) < 0.1,
        loss_name="mse",
        n_train=20,
        n_total=20,
        optimizer=Adam(1e-2),
        steps=12,
        threshold=0.9,
        messiness=True,
        settings={"hidden": 8},
    )


ALPHA, M = [0.5, 1.0, 2.0, 3.0, 5.0], [0.0, 0.25, 0.5, 1.0]
# 5 x 4 cells of 2 seeds and 2 sizes, in pieces of 16: 40 a size, so 3 + 3 pieces.
GRID: dict[str, Any] = {
    "alpha": ALPHA,
    "m": M,
    "seeds": [1, 4],
    "n_train": [10, 20],
    "budgets": [4, 12],
    "machine": Machine(members=16, workers=1, progress=False),
}


INIT = Spheres.init


class Counted:
    """Counts the pieces that are begun; the `fail_at`-th one is interrupted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int = 0) -> None:
        self.pieces: list[list[Cell]] = []
        self.fail_at = fail_at
        monkeypatch.setattr(Spheres, "init", lambda spheres, cells: self.begin(spheres, cells))

    def begin(self, spheres: Spheres, cells: list[Cell]) -> SphereState:
        self.pieces.append(list(cells))
        if len(self.pieces) == self.fail_at:
            raise KeyboardInterrupt
        return INIT(spheres, cells)
