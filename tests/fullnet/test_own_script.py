"""Scripts as their authors write them, each beside the task that is made of it: the same losses, norms and
accuracies, step by step, from the same weights."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Sampler, TensorDataset

import groktime as gt
from groktime.fullnet.engine.fresh import fresh_network
from groktime.fullnet.engine.samples import Minibatches

STEPS = 200
ONE: dict[str, Any] = {"machine": gt.Machine("cpu", workers=1, progress=False)}
Data = tuple[Tensor, Tensor]


@pytest.fixture(autouse=True)
def in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# --- a transformer on a + b modulo p: one block, tied embeddings, a warm-up, parameter groups --------------


class Block(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, 2, dropout=0.0, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d), nn.Dropout(0.0))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Transformer(nn.Module):
    def __init__(self, p: int = 7, d: int = 8) -> None:
        super().__init__()
        self.embed = nn.Embedding(p + 1, d)
        self.place = nn.Parameter(0.1 * torch.randn(3, d))
        self.block = Block(d)
        self.unembed = nn.Linear(d, p + 1, bias=False)
        self.unembed.weight = self.embed.weight  # tied

    def forward(self, tokens: Tensor) -> tuple[Tensor, None]:
        x = self.block(self.embed(tokens) + self.place)
        return self.unembed(x)[:, -1], None


def sums(p: int = 7) -> tuple[Data, Data]:
    a, b = torch.meshgrid(torch.arange(p), torch.arange(p), indexing="ij")
    tokens = torch.stack([a.flatten(), b.flatten(), torch.full((p * p,), p)], 1)
    order = torch.randperm(p * p, generator=torch.Generator().manual_seed(0))
    x, y = tokens[order], ((tokens[:, 0] + tokens[:, 1]) % p)[order]
    return (x[:30], y[:30]), (x[30:], y[30:])


def grouped(model: nn.Module, lr: float = 3e-3, decay: float = 0.5, **more: Any) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0} | more]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)


# --- the scripts -------------------------------------------------------------------------------------------


@dataclass
class Trained:
    """Of a script's loop, before each step and after the last: losses, accuracies and the norm of what
    decays."""

    record: list[tuple[float, ...]]
    task: gt.Task


def shares(model: nn.Module, data: Data, loss: Any, right: Any) -> tuple[float, float]:
    with torch.no_grad():
        out = model(data[0])
        out = out[0] if isinstance(out, tuple) else out
        return float(loss(out, data[1])), float(right(out, data[1]).double().mean())


def followed(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Data],
    both: tuple[Data, Data],
    loss: Any,
    right: Any,
    scheduler: Any = None,
) -> list[tuple[float, ...]]:
    record = []
    for step in range(STEPS + 1):
        decays = [p for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]]
        norm = math.sqrt(sum(float(p.detach().square().sum()) for p in decays))
        (a, b), (c, d) = (shares(model, data, loss, right) for data in both)
        record.append((a, c, b, d, norm))
        if step == STEPS:
            break
        x, y = next(batches)
        out = model(x)
        out = out[0] if isinstance(out, tuple) else out
        optimizer.zero_grad()
        loss(out, y).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return record


def whole(data: Data) -> Iterator[Data]:
    while True:
        yield data


def hits(out: Tensor, y: Tensor) -> Tensor:
    return out.argmax(-1) == y


def modular_addition() -> Trained:
    torch.manual_seed(1)
    train, test = sums()
    model, loss = Transformer(), nn.CrossEntropyLoss()
    optimizer = grouped(model)
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: min(step / 10, 1))
    task = gt.Task.from_torch(model, train, test, loss=loss, optimizer=optimizer, scheduler=scheduler)
    return Trained(followed(model, optimizer, whole(train), (train, test), loss, hits, scheduler), task)


class InTheTasksOrder(Sampler[int]):
    """What `shuffle=True` draws is the loader's own; a script that draws as groktime does can be followed."""

    def __init__(self, count: int, batch: int) -> None:
        self.count, self.batch, self.epoch = count, batch, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        orders = Minibatches([0], self.count, self.batch, torch.device("cpu"))
        self.epoch += 1
        return iter(orders._order(0, self.epoch - 1).tolist())


def mnist_like() -> Trained:
    torch.manual_seed(2)
    means = torch.randn(4, 12)
    y = torch.randint(4, (90,))
    x = means[y] + 1.5 * torch.randn(90, 12)
    data = TensorDataset(x[:50], y[:50])
    train = DataLoader(data, batch_size=16, shuffle=True)  # a last batch of 2
    test = DataLoader(TensorDataset(x[50:], y[50:]), batch_size=7)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 4))
    with torch.no_grad():
        for p in model.parameters():
            p *= 2
    optimizer = grouped(model, lr=1e-3, decay=0.3, lr_scale=1)
    optimizer.param_groups[1]["lr"] = 2e-3
    task = gt.Task.from_torch(model, train, test, loss=F.cross_entropy, optimizer=optimizer)

    def batches() -> Iterator[Data]:
        loader = DataLoader(data, batch_size=16, sampler=InTheTasksOrder(50, 16))
        while True:
            yield from loader

    both = (x[:50], y[:50]), (x[50:], y[50:])
    return Trained(followed(model, optimizer, batches(), both, F.cross_entropy, hits), task)


def sparse_parity() -> Trained:
    torch.manual_seed(3)
    x = 2.0 * torch.randint(2, (140, 10)) - 1
    y = x[:, :2].prod(1)
    train, test = (x[:60], y[:60]), (x[60:], y[60:])
    model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 1), nn.Flatten(0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.8, weight_decay=0.01)

    def hinge(out: Tensor, y: Tensor) -> Tensor:
        return torch.clamp(1 - y * out, min=0).mean()

    task = gt.Task.from_torch(model, train, test, loss=hinge, optimizer=optimizer)
    right: Callable[[Tensor, Tensor], Tensor] = lambda out, y: (out > 0) == (y > 0)  # noqa: E731
    return Trained(followed(model, optimizer, whole(train), (train, test), hinge, right), task)


SCRIPTS: dict[str, Callable[[], Trained]] = {
    "modular addition": modular_addition,
    "MNIST-like": mnist_like,
    "sparse parity": sparse_parity,
}
RULE = {
    "modular addition": gt.Rule("adamw", 3e-3, 0.5),
    "MNIST-like": gt.Rule("adamw", 1e-3, 0.3),
    "sparse parity": gt.Rule("momentum", 0.05, 0.01, 0.8),
}
CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")


@functools.cache
def script_of(name: str) -> Trained:
    return SCRIPTS[name]()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_task_trains_as_the_script_does(name: str) -> None:
    script = script_of(name)
    task = script.task
    assert task.rule == RULE[name]
    runs = gt.train(task, alpha=1.0, seeds=[0], steps=STEPS, resolution=0.1, **ONE)
    record = np.array(script.record)[runs.step]
    for k, curve in enumerate(CURVES):
        np.testing.assert_allclose(runs[curve].values[0], record[:, k], rtol=1e-9, atol=1e-12, err_msg=curve)
    assert record[-1, 0] < record[0, 0] * 0.9  # it learns


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_is_forecast_from_the_script_s_own_steps(name: str) -> None:
    """Up to 100 steps nothing is hastened, and a forecast is the training itself."""
    script = script_of(name)
    found = gt.forecast(script.task, seeds=[0], steps=100, threshold=1.0, **ONE)
    t = found["t"].values.ravel()
    seen = np.isfinite(t)
    record = np.array(script.record)[t[seen].astype(int)]
    assert seen.sum() > 20
    for k, curve in enumerate(CURVES):
        values = found[curve].values.ravel()[seen]
        np.testing.assert_allclose(values, record[:, k], rtol=1e-9, atol=1e-12, err_msg=curve)
    assert found["gamma"].values.tolist() == [RULE[name].gamma]


# --- groups with a rate of their own, on paths and spheres -----------------------------------------


class Split:
    """The MNIST-like network and its optimizer, full-batch, in a loop whose weights are also rescaled."""

    def __init__(self, task: gt.Task) -> None:
        self.task, self.network = task, task.network().double()
        with torch.no_grad():
            for p, q in zip(self.network.parameters(), fresh_network(task, 0).parameters(), strict=True):
                p.copy_(q)
        self.decays = [p for p in self.network.parameters() if p.ndim > 1]

    def optimizer(self, kind: Any, **how: Any) -> Any:
        rest = [p for p in self.network.parameters() if p.ndim < 2]
        groups = [{"params": self.decays}, {"params": rest, "lr": 2e-3}]
        return kind(groups, lr=1e-3, betas=(0.9, 0.98), eps=1e-6, **how)

    def norm(self) -> float:
        return math.sqrt(sum(float(p.detach().square().sum()) for p in self.decays))

    @torch.no_grad()
    def rescale(self, factor: float) -> None:
        for p in self.decays:
            p *= factor

    def loss(self) -> Tensor:
        train = self.task.problem(0, self.task.n_train).train
        out: Tensor = self.task.loss(self.network(train.inputs), train.targets).mean()
        return out


def test_paths_and_spheres_have_the_groups_and_their_rates() -> None:
    task = script_of("MNIST-like").task
    assert task.rates == dict.fromkeys(("0.bias", "2.weight", "2.bias", "3.bias"), 2.0)
    path = gt.sample_path(task, alpha=1.0, seeds=[0], dtau=0.1, tau=0.5, refit=4, batch=0, **ONE)
    plain = Split(task)
    optimizer, losses, norms = plain.optimizer(torch.optim.AdamW, weight_decay=0.0), [], []
    for k in range(21):
        if k % 4 == 0:
            losses.append(float(plain.loss().detach()))
            norms.append(plain.norm())
            plain.rescale(math.exp(-0.1))
        optimizer.zero_grad()
        plain.loss().backward()
        optimizer.step()
    np.testing.assert_allclose(path["train_loss"].values.ravel(), losses, rtol=1e-9)
    np.testing.assert_allclose(path["weight_norm"].values.ravel(), norms, rtol=1e-9)

    land = gt.sample(
        replace(task, batch=0), alpha=[0.5, 1, 2, 3], seeds=[0], steps=30, gradient="full", **ONE
    )
    for alpha, found in zip((0.5, 1, 2, 3), land["train_loss"].values[0, 0, -1].ravel(), strict=True):
        plain = Split(task)
        plain.rescale(alpha)
        optimizer, norm = plain.optimizer(torch.optim.Adam), plain.norm()
        for _ in range(30):
            optimizer.zero_grad()
            plain.loss().backward()
            optimizer.step()
            plain.rescale(norm / plain.norm())
        assert found == pytest.approx(float(plain.loss().detach()), rel=1e-5)
