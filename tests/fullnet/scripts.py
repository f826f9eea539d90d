"""A small script, of which `test_from_torch*.py` change one thing at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import groktime as gt
from groktime.reduced.errors import InputError

ONE: dict[str, Any] = {"machine": gt.Machine("cpu", workers=1, progress=False)}
X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()
TRAIN, TEST = (X[:12], Y[:12]), (X[12:], Y[12:])


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-2)


def made(model: Any = network, train: Any = TRAIN, test: Any = TEST, **how: Any) -> gt.Task:
    return gt.Task.from_torch(model, train, test, **({"loss": F.cross_entropy, "optimizer": adamw} | how))


def refused(words: str, **how: Any) -> None:
    with pytest.raises(InputError, match=words) as caught:
        made(**how)
    assert "\n" not in str(caught.value)
