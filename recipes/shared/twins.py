"""The same seed again, from weights that are moved a little: what no predictor can beat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from groktime.fullnet.task import Task

Floats = NDArray[np.float64]

MOVED = 1e-6  # share of each weight


def twin(task: Task, number: int) -> Task:
    """The task whose networks start from weights that are moved by a part in a million, another way for each
    number; 0 is the task itself."""

    def network() -> nn.Module:
        made = task.network()
        drawn = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for p in made.parameters():
                p.mul_(1 + MOVED * torch.randn(p.shape, generator=drawn, dtype=p.dtype))
        return made

    return task if number == 0 else replace(task, network=network)


def floor(times: Floats) -> float:
    """Mean absolute error of one twin as the prediction of another, of times [twin, run]: NaN where none of
    the runs has two times."""
    error = [abs(times[a] / times[b] - 1) for a in range(len(times)) for b in range(len(times)) if a != b]
    known = np.concatenate(error) if error else np.array([])
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else float("nan")
