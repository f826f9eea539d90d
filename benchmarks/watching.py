"""What `gt.watch` costs: its share of the time of a small transformer's training, in one run.

    python benchmarks/watching.py [STEPS]

A transformer of one block (width 64, four heads) is trained on a + b modulo 97, in batches of 512, on one
core. Of every step the time that the watch takes is taken apart, so that both are of the same run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import groktime as gt
from groktime.fullnet.watch.watcher import Watch

P, WIDTH, BATCH = 97, 64, 512


class Transformer(nn.Module):
    """One block, as grokking is shown with."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(P + 1, WIDTH), nn.Parameter(0.02 * torch.randn(3, WIDTH))
        self.block = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True)
        self.unembed = nn.Linear(WIDTH, P)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.unembed(self.block(self.embed(tokens) + self.place)[:, -1])
        return out


def data() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Three tenths of all sums to train on, and of the rest as many to test."""
    a, b = torch.meshgrid(torch.arange(P), torch.arange(P), indexing="ij")
    tokens = torch.stack([a.flatten(), b.flatten(), torch.full((P * P,), P)], 1)
    tokens = tokens[torch.randperm(P * P, generator=torch.Generator().manual_seed(0))]
    sums, n = (tokens[:, 0] + tokens[:, 1]) % P, 3 * P * P // 10
    return (tokens[:n], sums[:n]), (tokens[n : 2 * n], sums[n : 2 * n])


class Clock:
    """Seconds spent in a function, and how often."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function, self.seconds, self.calls = function, 0.0, 0

    def __call__(self) -> None:
        began = time.perf_counter()
        self.function()
        self.seconds, self.calls = self.seconds + time.perf_counter() - began, self.calls + 1


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train, test = data()
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1.0, betas=(0.9, 0.98))
    watch: Watch = gt.watch(model, optimizer, train=train, test=test, loss=F.cross_entropy)
    whole, looks = Clock(watch.step), Clock(watch.look)
    watch.step, watch.look = whole, looks  # type: ignore[method-assign]
    loader = DataLoader(TensorDataset(*train), batch_size=BATCH, shuffle=True, drop_last=True)
    began, done = time.perf_counter(), 0
    with watch:
        whole.seconds = looks.seconds = 0.0  # the first look is no step's
        while done < steps:
            for x, y in loader:
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                done += 1
                if done in (steps // 4, steps // 2, steps):
                    told(done, time.perf_counter() - began, whole, looks)
                if done == steps:
                    break


def told(done: int, seconds: float, whole: Clock, looks: Clock) -> None:
    alone = seconds - whole.seconds
    hook = (whole.seconds - looks.seconds) / done
    print(
        f"{done:>7,} steps: {1e3 * alone / done:.2f} ms a step, {looks.calls} looks of "
        f"{1e3 * looks.seconds / looks.calls:.1f} ms, {1e6 * hook:.1f} µs a step beside them: "
        f"{100 * whole.seconds / alone:.2f} % of the script's time"
    )


if __name__ == "__main__":
    main()
