"""What is read off a model in training: its losses and accuracies on data, norms, and how far it has
turned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from groktime.fullnet.script.data import Table
from groktime.fullnet.script.judge import Judge
from groktime.fullnet.script.model import tensor_of

_AT_ONCE = 1024  # samples of a forward pass


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation, and after it each of its modules as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def loss_and_accuracy(model: nn.Module, judge: Judge, table: Table) -> tuple[float, float]:
    """Mean loss and share of right samples; of a model in evaluation, on whichever device it is."""
    device = next(model.parameters()).device
    inputs, sums = judge.packing.packed(table), torch.zeros(2, dtype=torch.float64)
    for first in range(0, len(table), _AT_ONCE):
        x, y = (part[first : first + _AT_ONCE].to(device) for part in (inputs, table.target))
        args, kwargs = judge.packing.called(x)
        out = tensor_of(model(*args, **kwargs))
        found = torch.stack([judge.loss(out, y).sum().double(), judge.right(out, y).sum().double()])
        sums += found.cpu()
    loss, right = (sums / len(table)).tolist()
    return loss, right


def norm_of(parameters: Sequence[Tensor]) -> float:
    """L2 norm of parameters together."""
    norms = torch._foreach_norm([p.detach() for p in parameters])
    return float(torch.linalg.vector_norm(torch.stack([n.double() for n in norms])))


class Direction:
    """How far the direction of some parameters turns from one look to the next."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters
        self._came = self._now()

    def _now(self) -> Tensor:
        flat = torch.cat([p.detach().reshape(-1) for p in self.parameters])
        return torch.nn.functional.normalize(flat, dim=0)

    def turned(self) -> float:
        """The angle from where it was last looked at, in radians."""
        now = self._now()
        chord = float(torch.linalg.vector_norm(now - self._came))
        self._came = now
        return 2 * math.asin(min(chord / 2, 1.0))
