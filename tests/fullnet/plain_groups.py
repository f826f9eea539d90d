"""A task with parameters that do not decay, and one network of it as anybody trains it: a plain loop with
torch's own optimizers, parameter groups and schedulers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters
from torch.optim import lr_scheduler

from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.machine import Machine
from groktime.fullnet.runs import Runs
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.trainer import train
from groktime.reduced.law import CONSTANT, Schedule

ALONE: dict[str, Any] = {"machine": Machine("cpu", workers=1, progress=False)}
STEPS = 80
ALPHA = 1.7


def problem(seed: int, n_train: int) -> Problem:
    x = torch.randn(n_train + 10, 3, generator=torch.Generator().manual_seed(seed))
    train, test = (Split(x[k], {"y": x[k].sin().sum(1)}) for k in (slice(0, n_train), slice(n_train, None)))
    return Problem(train, test)


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square()


def network() -> nn.Module:
    layers = [nn.Linear(3, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(-2)]
    return nn.Sequential(*layers)


NO_DECAY = ("0.bias", "1.", "3.bias")
WHOLE = Task(
    name="groups",
    network=network,
    problem=problem,
    loss=squared,
    right=lambda output, targets: squared(output, targets) < 0.1,
    loss_name="mse",
    n_train=16,
    optimizer=Adam(1e-2, betas=(0.9, 0.98)),
    steps=30,
)
TASK = replace(WHOLE, no_decay=NO_DECAY)


class Plain:
    """One network, an optimizer with two groups, and a scheduler, as anybody writes them."""

    def __init__(self, task: Task, seed: int, rule: str, gamma: float, rate: float, momentum: float = 0.9):
        data = task.problem(seed, task.n_train)
        self.task, self.network = task, network().double()
        vector_to_parameters(initial_parameters(task, seed).double(), self.network.parameters())
        decays: list[Tensor] = []
        others: list[Tensor] = []
        for name, p in self.network.named_parameters():
            free = bool(task.no_decay) and (name.endswith("bias") or name.startswith("1."))
            (others if free else decays).append(p)
        self.decays = decays
        with torch.no_grad():
            for p in decays:
                p *= ALPHA
        groups = [{"params": decays, "weight_decay": gamma}, {"params": others, "weight_decay": 0.0}]
        groups = groups[: 2 if others else 1]
        if rule in ("adamw", "adam"):
            betas = task.optimizer.betas
            self.optimizer: Any = torch.optim.AdamW(groups, lr=rate, betas=betas, foreach=False)
        else:
            share = momentum if rule == "momentum" else 0.0
            self.optimizer = torch.optim.SGD(groups, lr=rate, momentum=share, foreach=False)
        self.scheduler: Any = None
        self.splits = [(s.inputs.double(), {"y": s.targets["y"].double()}) for s in (data.train, data.test)]

    def norm(self, whole: bool = False) -> float:
        each = list(self.network.parameters()) if whole else self.decays
        return math.sqrt(sum(float(p.detach().square().sum()) for p in each))

    def rescale(self, factor: float) -> None:
        with torch.no_grad():
            for p in self.decays:
                p *= factor

    def backward(self) -> None:
        inputs, targets = self.splits[0]
        self.optimizer.zero_grad()
        self.task.loss(self.network(inputs), targets).mean().backward()

    def step(self) -> None:
        self.backward()
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()

    def record(self) -> list[float]:
        with torch.no_grad():
            losses = [float(self.task.loss(self.network(x), y).mean()) for x, y in self.splits]
        return [*losses, self.norm(), self.norm(whole=True)]


CURVES = ("train_loss", "test_loss", "weight_norm", "norm_all")
SCHEDULES: dict[str, tuple[Schedule, Any]] = {
    "constant": (CONSTANT, None),
    "step": (Schedule("step", 25, 0.3), lambda o: lr_scheduler.StepLR(o, 25, 0.3)),
    "linear": (Schedule("linear", 40, 0.2), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, 40)),
    "cosine": (Schedule("cosine", STEPS, 0.0), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)),
    "warm-up": (
        Schedule(warmup=20),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 20, total_iters=19),
    ),
    "warm-up and steps": (
        Schedule("step", 15, 0.5, warmup=12),
        lambda o: lr_scheduler.LambdaLR(o, lambda k: (k + 1) / 12 if k < 12 else 0.5 ** ((k - 12) // 15)),
    ),
}


def trained(task: Task, rule: str, **more: Any) -> Runs:
    usual: dict[str, Any] = {"gamma": [0.0, 0.8], "alpha": ALPHA, "seeds": [3], "steps": STEPS, **ALONE}
    return train(task, **(usual | {"optimizer": rule, "dtype": "float64", "resolution": 0.3} | more))


def against(runs: Runs, task: Task, rule: str, make: Any, momentum: float = 0.9) -> None:
    """Every curve of every run is that of the plain loop, to rounding."""
    for k, gamma in enumerate(runs["gamma"].values):
        plain = Plain(task, 3, rule, float(gamma), task.optimizer.rate, momentum)
        plain.scheduler = None if make is None else make(plain.optimizer)
        records = {0: plain.record()}
        for step in range(1, STEPS + 1):
            plain.step()
            records[step] = plain.record()
        for column, name in enumerate(CURVES):
            if name in runs.dataset:
                expected = [records[int(s)][column] for s in runs.step]
                np.testing.assert_allclose(runs[name].values[k], expected, rtol=1e-9, err_msg=name)
