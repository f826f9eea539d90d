"""Data, optimizers and schedulers that `Task.from_torch` reads, and those that it refuses by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scripts import ONE, TEST, TRAIN, X, Y, adamw, made, network, refused
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

import groktime as gt
from groktime.fullnet.script import data as script_data
from groktime.fullnet.script.schedule import schedule_of
from groktime.reduced.errors import InputError
from groktime.reduced.law import CONSTANT, Schedule

# --- data -----------------------------------------------------------------------------------------


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = network()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class Rows(Dataset[Any]):
    def __init__(self, x: Any, y: Any, noise: float = 0.0) -> None:
        self.x, self.y, self.noise = x, y, noise

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, k: int) -> Any:
        return self.x[k] + self.noise * torch.randn(self.x[k].shape), int(self.y[k])


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(*TRAIN, strict=True))


@pytest.mark.parametrize(
    "train",
    [
        TRAIN,
        [x.numpy() for x in TRAIN],
        TensorDataset(*TRAIN),
        Rows(*TRAIN),
        Subset(Rows(X, Y), range(12)),
        list(zip(*TRAIN, strict=True)),
        Stream(),
        {"x": X[:12], "labels": Y[:12]},
    ],
    ids=["tensors", "arrays", "TensorDataset", "Dataset", "Subset", "list", "IterableDataset", "dict"],
)
def test_all_kinds_of_data_are_the_same(train: Any) -> None:
    named = isinstance(train, dict)
    model = Named if named else network
    task = made(model, train, {"x": X[12:], "labels": Y[12:]} if named else TEST)
    problem = task.problem(0, 12)
    assert torch.equal(problem.train.inputs, X[:12])
    assert torch.equal(problem.train.targets["y"], Y[:12])
    assert len(problem.test) == 8
    assert task.batch == 0
    assert task.n_train == task.n_total == 12


def test_a_smaller_training_set_is_each_seeds_own() -> None:
    task = made()
    few = [task.problem(seed, 5).train for seed in (0, 1)]
    assert [len(one) for one in few] == [5, 5]
    assert few[0].rows.tolist() != few[1].rows.tolist()
    assert few[0].inputs is task.problem(0, 12).train.inputs  # in memory once


@pytest.mark.parametrize(
    ("loader", "batch", "shuffle", "drop_last", "steps"),
    [
        ({"batch_size": 5, "shuffle": True}, 5, True, False, [5, 5, 2]),
        ({"batch_size": 5, "shuffle": False}, 5, False, False, [5, 5, 2]),
        ({"batch_size": 5, "drop_last": True}, 5, False, True, [5, 5, 5]),
        ({"batch_size": 12}, 0, False, False, [12, 12, 12]),
        ({"batch_size": 6, "shuffle": True}, 6, True, False, [6, 6, 6]),
    ],
)
def test_loaders(loader: Any, batch: int, shuffle: bool, drop_last: bool, steps: list[int]) -> None:
    task = made(train=DataLoader(TensorDataset(*TRAIN), **loader), test=DataLoader(Rows(*TEST), batch_size=3))
    assert (task.batch, task.shuffle, task.drop_last) == (batch, shuffle, drop_last)
    from groktime.fullnet.engine.samples import Data, Minibatches

    batches = Minibatches([0], 12, batch, torch.device("cpu"), None, shuffle, drop_last)
    data = Data.of([task.problem(0, 12).train])
    found = [batches.of_step(data, k) for k in range(3)]
    assert [len(one) for one in found] == steps
    if batch == 5 and not shuffle:
        np.testing.assert_array_equal(found[1].inputs["x"].reshape(-1, 3), X[5:10])
    assert made(train=DataLoader(TensorDataset(*TRAIN), **loader), batch=4).batch == 4


def bad_loaders() -> dict[str, tuple[Callable[[], Any], str]]:
    data = TensorDataset(*TRAIN)
    return {
        "weighted": (
            lambda: DataLoader(data, sampler=WeightedRandomSampler([1.0] * 12, 12), batch_size=4),
            "train: has a WeightedRandomSampler, whose order is its own",
        ),
        "stream": (lambda: DataLoader(Stream(), batch_size=4), "train: is a loader of an IterableDataset"),
        "augmented": (
            lambda: Rows(*TRAIN, noise=1.0),
            "train: gives other samples when they are asked for again",
        ),
        "no target": (
            lambda: TensorDataset(X[:12]),
            r"train: has 0 alone; expected inputs and targets, \(x, y\)",
        ),
        "no labels": (lambda: {"x": X}, "train: has x alone; expected a dict with 'labels' and inputs"),
        "lengths": (lambda: (X[:12], Y[:11]), r"inputs of shape \(12, 3\) and targets of shape \(11,\)"),
        "ragged": (
            lambda: [(torch.zeros(k % 2 + 1), 0) for k in range(4)],
            "train: its samples cannot be stacked",
        ),
        "words": (lambda: (["a", "b"], [0, 1]), "train: is not made of tensors"),
        "empty": (lambda: Rows(X[:0], Y[:0]), "train: has no samples"),
        "number": (lambda: 3, "train: is a int; expected a DataLoader, a Dataset"),
        "unlike": (lambda: (X[:12, :2], Y[:12]), "test: its samples are of other shapes"),
    }


@pytest.mark.parametrize("name", bad_loaders())
def test_what_is_no_data(name: str) -> None:
    make, words = bad_loaders()[name]
    refused(words, train=make())


def test_the_size_is_looked_at_before_all_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_data, "MOST", 2**20)
    seen: list[int] = []

    class Large(Rows):
        def __len__(self) -> int:
            return 10**6

        def __getitem__(self, k: int) -> Any:
            seen.append(k)
            return torch.zeros(100), 0

    refused(r"train: makes 0\.4 GiB of tensors; expected .* at most", train=Large(X, Y))
    assert len(seen) < 1000


# --- optimizers -----------------------------------------------------------------------------------


def groups(
    model: nn.Module, first: dict[str, Any], second: dict[str, Any], kind: Any = torch.optim.AdamW
) -> Any:
    biases = [p for p in model.parameters() if p.ndim < 2]
    others = [p for p in model.parameters() if p.ndim > 1]
    return kind([{"params": others} | first, {"params": biases} | second], lr=1e-2)


def muon(model: nn.Module, **how: Any) -> list[torch.optim.Optimizer]:
    """As people pair them: matrices decay, biases are stepped by AdamW at a rate of their own."""
    matrices, biases = ([p for p in model.parameters() if (p.ndim == 2) == yes] for yes in (True, False))
    adam = torch.optim.AdamW(biases, lr=5e-3, weight_decay=0.0, betas=(0.8, 0.9))
    return [torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, **how), adam]


def test_muon_and_adamw_train_as_they_do_in_a_script() -> None:
    model = network().double()
    pair = muon(model)
    data = [(x.double(), y) for x, y in (TRAIN, TEST)]
    task = made(model, *data, optimizer=pair)
    assert task.rates == {"0.bias": 0.25, "2.bias": 0.25}
    runs = gt.train(task, alpha=1.0, seeds=[0], steps=25, resolution=1e-3, **ONE)
    losses = []
    for _ in range(26):
        loss = nn.functional.cross_entropy(model(data[0][0]), data[0][1])
        losses.append(float(loss.detach()))
        model.zero_grad()
        loss.backward()
        for one in pair:
            one.step()
    np.testing.assert_allclose(runs["train_loss"].values[0], losses, rtol=5e-3)  # torch's is in bfloat16
    assert losses[-1] < losses[0] * 0.8


def test_optimizers_are_read() -> None:
    optim, net = torch.optim, network()
    of = lambda kind, **how: lambda params: kind(params, **how)  # noqa: E731
    tasks = {
        "instance": made(net, optimizer=optim.AdamW(net.parameters(), lr=2e-3, betas=(0.8, 0.9), eps=1e-6)),
        "another's": made(network, optimizer=optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1)),
        "of parameters": made(optimizer=of(optim.AdamW, lr=torch.tensor(2e-3))),
        "class": made(optimizer=optim.AdamW),
        "partial": made(optimizer=functools.partial(optim.SGD, lr=0.1, weight_decay=1e-3)),
        "momentum": made(optimizer=of(optim.SGD, lr=0.1, momentum=0.5)),
        "adam": made(optimizer=of(optim.Adam, lr=1e-3)),
        "decoupled": made(optimizer=of(optim.Adam, lr=1e-3, weight_decay=1.0, decoupled_weight_decay=True)),
        "groups": made(optimizer=lambda m: groups(m, {"weight_decay": 1}, {"weight_decay": 0, "lr": 5e-3})),
        "no decay": made(optimizer=lambda m: groups(m, {"weight_decay": 0}, {"weight_decay": 0})),
        "coupled": made(optimizer=of(optim.Adam, lr=1e-3, weight_decay=0.1)),
        "Muon": made(optimizer=muon),
    }
    rules = {name: task.rule for name, task in tasks.items()}
    assert rules == {
        "instance": gt.Rule("adamw", 2e-3, 1e-2),
        "another's": gt.Rule("adamw", 2e-3, 1),
        "of parameters": gt.Rule("adamw", pytest.approx(2e-3), 1e-2),
        "class": gt.Rule("adamw", 1e-3, 1e-2),
        "partial": gt.Rule("sgd", 0.1, 1e-3),
        "momentum": gt.Rule("momentum", 0.1, 0.0, 0.5),
        "adam": gt.Rule("adamw", 1e-3, 0.0),
        "decoupled": gt.Rule("adamw", 1e-3, 1.0),
        "groups": gt.Rule("adamw", 1e-2, 1),
        "no decay": gt.Rule("adamw", 1e-2, 0.0),
        "coupled": gt.Rule("adam_l2", 1e-3, 0.1),
        "Muon": gt.Rule("muon", 0.02, 0.1, 0.95),
    }
    adam = tasks["instance"].optimizer
    assert (adam.rate, adam.betas, adam.eps) == (2e-3, (0.8, 0.9), 1e-6)
    assert tasks["groups"].no_decay == ("0.bias", "2.bias")
    assert tasks["groups"].rates == {"0.bias": 0.5, "2.bias": 0.5}
    assert tasks["no decay"].no_decay == ()
    assert tasks["partial"].optimizer.rate == 1e-3  # Adam's, which samples landscapes
    runs = gt.train(tasks["momentum"], gamma=[0.0, 0.1], alpha=1.0, seeds=[0], steps=2, **ONE)
    assert runs.law == tasks["momentum"].law("momentum")
    assert (runs.law.rule, runs.law.momentum) == ("momentum", 0.5)
    assert runs["eta_d"].values.tolist() == [0.1, 0.1]
    with pytest.raises(InputError, match="gamma = 0: without decay there is nothing to hasten"):
        gt.forecast(tasks["adam"], **ONE)
    with pytest.raises(
        InputError, match="gamma: expected a weight decay; teacher-student has none of its own"
    ):
        gt.train("teacher-student", alpha=1.0, steps=2, **ONE)


def wrong_optimizers() -> dict[str, tuple[Any, str]]:
    optim, other = torch.optim, nn.Linear(3, 3)
    return {
        "two": (lambda m: [adamw(m), adamw(m)], "optimizer: has AdamW and AdamW; expected one optimizer, or"),
        "Muon's matrix": (
            lambda m: [optim.Muon([m[0].weight], 1e-3, 0.01), optim.AdamW([*m[2].parameters(), m[0].bias])],
            "optimizer: AdamW has a matrix among 2.weight, 2.bias, 0.bias; expected it in Muon",
        ),
        "Muon's steps": (lambda m: muon(m, ns_steps=3), "optimizer: Muon has another ns_steps than 5"),
        "two decays": (
            lambda m: groups(m, {"weight_decay": 1}, {"weight_decay": 0.1}),
            r"optimizer: has groups that decay at several speeds \(weight_decay 1 at lr 0.01, weight_d",
        ),
        "two rates": (
            lambda m: groups(m, {}, {"lr": 1.0}),
            "optimizer: has groups that decay at several speeds",
        ),
        "two betas": (
            lambda m: groups(m, {}, {"betas": (0.5, 0.9), "weight_decay": 0}),
            "optimizer: has groups of unlike betas",
        ),
        "not all": (lambda m: optim.AdamW(m[0].parameters()), "optimizer: has no 2.weight; expected every"),
        "another's": (
            optim.AdamW(other.parameters()),
            "optimizer: has parameters that are none of the model's",
        ),
        "more": (
            lambda m: optim.AdamW([*m.parameters(), *other.parameters()]),
            r"optimizer: has a parameter of shape \(3, 3\) that is none of the model's",
        ),
        "none": (3, "optimizer: is a int; expected one of torch.optim"),
        "raises": (lambda m: m.nothing, "optimizer: AttributeError.*when it is given the model, and Attr"),
    }


@pytest.mark.parametrize("name", wrong_optimizers())
def test_what_is_no_optimizer_of_the_engine(name: str) -> None:
    given, words = wrong_optimizers()[name]
    refused(words, optimizer=given)


# --- schedulers -----------------------------------------------------------------------------------


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.AdamW(network().parameters(), lr=1e-2)


def warmed(o: Any) -> Any:
    rises = lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=9)
    return lr_scheduler.SequentialLR(o, [rises, lr_scheduler.CosineAnnealingLR(o, 600)], [10])


def hf(kind: str, warmup: int = 10, total: int = 700) -> Callable[[int], float]:
    """Hugging Face's `get_linear_…` and `get_constant_schedule_with_warmup`."""

    def factor(step: int) -> float:
        if step < warmup:
            return step / warmup
        return 1.0 if kind == "constant" else max(0.0, (total - step) / (total - warmup))

    return factor


SCHEDULERS: dict[str, tuple[Callable[[Any], Any], Schedule]] = {
    "none": (lambda o: None, CONSTANT),
    "its own": (lambda o: Schedule("cosine", 50), Schedule("cosine", 50)),
    "step": (lambda o: lr_scheduler.StepLR(o, 30, 0.5), Schedule("step", 30, 0.5)),
    "cosine": (lambda o: lr_scheduler.CosineAnnealingLR(o, 600, 1e-3), Schedule("cosine", 600, 0.1)),
    "linear": (lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, 40), Schedule("linear", 40, 0.2)),
    "rising": (lambda o: lr_scheduler.LinearLR(o, 0.05, 1.0, 19), Schedule(warmup=20)),
    "two": (warmed, Schedule("cosine", 600, warmup=10)),
    "constant": (lambda o: lr_scheduler.LambdaLR(o, lambda k: 1.0), CONSTANT),
    "min": (
        lambda o: lr_scheduler.LambdaLR(o, lambda k: min(k / 10, 1)),
        Schedule(warmup=10, from_zero=True),
    ),
    "min, one on": (lambda o: lr_scheduler.LambdaLR(o, lambda k: min((k + 1) / 10, 1)), Schedule(warmup=10)),
    "hf constant": (lambda o: lr_scheduler.LambdaLR(o, hf("constant")), Schedule(warmup=10, from_zero=True)),
    "hf linear": (
        lambda o: lr_scheduler.LambdaLR(o, hf("linear")),
        Schedule("linear", 690, 0.0, 10, from_zero=True),
    ),
    "drops": (lambda o: lr_scheduler.LambdaLR(o, lambda k: 0.9 ** (k // 100)), Schedule("step", 100, 0.9)),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_are_read(name: str) -> None:
    make, expected = SCHEDULERS[name]
    o = optimizer()
    scheduler = make(o)
    found = schedule_of(scheduler)
    assert found == expected
    if hasattr(scheduler, "step"):
        for step in range(100):
            assert o.param_groups[0]["lr"] / 1e-2 == pytest.approx(found.at(step), rel=1e-9), step
            o.step()
            scheduler.step()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 100), "scheduler: is a OneCycleLR; expected StepLR"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o), "scheduler: is a ReduceLROnPlateau"),
        (lambda o: lr_scheduler.ExponentialLR(o, 0.9), "scheduler: is a ExponentialLR"),
        (lambda o: lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + k)), "scheduler: its function is no warm-up"),
        (lambda o: lr_scheduler.LinearLR(o, 0.3, 1.0, 19), "scheduler: multiplies the rate by"),
    ],
)
def test_what_is_no_schedule(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        schedule_of(make(optimizer()))


def test_a_scheduler_is_not_forgotten() -> None:
    net = network()
    o = adamw(net)
    scheduler = lr_scheduler.LambdaLR(o, lambda k: min(k / 10, 1))
    refused("optimizer: a scheduler changes its rate; expected it as scheduler=", model=net, optimizer=o)
    task = made(net, optimizer=o, scheduler=scheduler)
    assert task.rule.rate == 1e-2
    assert task.optimizer.course == Schedule(warmup=10, from_zero=True)
