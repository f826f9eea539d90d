"""What tasks on tables of equations modulo p share: who trains on which, the loss, and what is right."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Problem, Split, Targets
from groktime.reduced.arguments import whole_number

LOSS_NAME = "cross-entropy, mean over samples"
TRAIN_SHARE = 0.3
SYMBOLS = 5000  # whose pairs still fit into memory


def samples(n_train: int | None, total: int, p: int, share: float = TRAIN_SHARE) -> int:
    """The number of training samples: `n_train`, or a share of all."""
    if n_train is None:
        return round(share * total)
    return whole_number("n_train", n_train, 1, total, f"the equations modulo {p}")


def drawn(table: Split, seed: int, n_train: int) -> Problem:
    """Training rows of the table drawn by the seed, smaller sets nested in larger ones; the rest are test
    rows. All seeds share the table in memory."""
    order = torch.randperm(len(table.inputs), generator=generator(seed, "split"))
    return Problem(replace(table, rows=order[:n_train]), replace(table, rows=order[n_train:]))


def cross_entropy(output: Tensor, targets: Targets) -> Tensor:
    """In float64: in float32 the loss of an answer that is sure ends at rounding, and Adam, which divides
    the gradient by its own size, is driven by that rounding."""
    return nn.functional.cross_entropy(output.double(), targets["label"], reduction="none")


def largest_logit(output: Tensor, targets: Targets) -> Tensor:
    return output.argmax(-1) == targets["label"]
