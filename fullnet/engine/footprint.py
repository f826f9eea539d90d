"""What a member takes of an accelerator's memory while it trains."""

from __future__ import annotations

import torch
from torch import Tensor

from groktime.fullnet.task import Split, Task


def activation_bytes(task: Task, split: Split, batch: int = 0) -> int:
    """What the backward pass of one network, on its split or on `batch` samples of it, finds kept by the
    forward pass, in bytes: measured on a forward pass of the plain network on the CPU, without parameters."""
    network = task.network()
    parameters = {p.untyped_storage().data_ptr() for p in network.parameters()}
    share = min(batch / len(split), 1.0) if batch else 1.0
    kept: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    rows = slice(None) if split.rows is None else split.rows
    targets = {k: v if k in split.common else v[rows] for k, v in split.targets.items()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = task.loss(network(split.at(1.0)), targets).mean()  # alive, so that no storage is used twice
    del loss
    return round(share * sum(kept.values()))
