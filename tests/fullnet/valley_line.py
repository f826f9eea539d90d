"""Linear regression with fewer samples than weights, on its valley from the start: all is known of it.

The loss holds the part y of w, of norm R, and decay shrinks the rest alone; the inputs lie along axes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groktime.fullnet.task import Adam, Problem, Split, Targets, Task

R, W0 = 1.5, 3.0


class Line(nn.Module):
    """x -> w·x, on the valley from the start: w = (y, n)."""

    def __init__(self) -> None:
        super().__init__()
        rest = ((W0**2 - R**2) / 4) ** 0.5 * torch.randn(4).sign()
        self.w = nn.Parameter(torch.cat([torch.full((2,), R / 2**0.5), rest]))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w


def problem(seed: int, n_train: int) -> Problem:
    """Training loss |w_y - y|², test loss |n|²."""
    axes = torch.eye(6)
    train = Split(axes[:2] * 2**0.5, {"y": torch.full((2,), R)})
    return Problem(train, Split(axes[2:] * 2, {"y": torch.zeros(4)}))


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square()


def regression(rate: float) -> Task:
    return Task(
        name="regression", network=Line, problem=problem, loss=squared, n_train=2, loss_name="mse",
        right=lambda output, targets: squared(output, targets) < 0.01, optimizer=Adam(rate), steps=200,
    )  # fmt: skip
