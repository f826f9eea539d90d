"""Every step of training is that of a plain loop, of the network and of the representation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_task import (
    TRIO,
    plan_of,
    small_task,
    tiny_addition,
    trained,
)
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.members import Member
from groktime.fullnet.procedures.training import Training
from groktime.fullnet.runs import CURVES
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Split, Targets, Task
from groktime.reduced.law import MOMENTUM


class Plain:
    """One network in the loop that anybody would write; R or m, if trained, in a group without decay."""

    def __init__(self, task: Task, c: Member, rule: str, batch: int = 0, kind: str = "fixed") -> None:
        self.task, self.c, self.batch, self.kind = task, c, batch, kind
        self.problem = task.problem(c.seed, c.n_train)
        self.network = task.network().double()
        vector_to_parameters(c.alpha * initial_parameters(task, c.seed).double(), self.network.parameters())
        if kind == "free":
            assert self.problem.ends is not None
            random, linear = (end.double() for end in self.problem.ends)
            self.slow = nn.Parameter(c.m * random + (1 - c.m) * linear)
        else:
            self.slow = nn.Parameter(torch.tensor(c.m, dtype=torch.float64))
        groups: list[dict[str, Any]] = [
            {"params": list(self.network.parameters()), "lr": c.eta_d, "weight_decay": c.gamma}
        ]
        if kind != "fixed":
            groups.append({"params": [self.slow], "lr": c.eta_r, "weight_decay": 0.0})
        self.optimizer: torch.optim.Optimizer
        if rule == "adamw":
            self.optimizer = torch.optim.AdamW(groups, betas=task.optimizer.betas, foreach=False)
        elif rule == "adam":
            self.optimizer = torch.optim.Adam(
                [{**g, "weight_decay": 0.0} for g in groups], betas=task.optimizer.betas, foreach=False
            )
        else:
            momentum = MOMENTUM if rule == "momentum" else 0.0
            self.optimizer = torch.optim.SGD(groups, lr=1.0, momentum=momentum, foreach=False)
        self.steps = 0

    def output(self, split: Split, rows: Tensor) -> tuple[Tensor, Targets]:
        if self.kind == "free":
            assert split.symbols is not None
            i, j = split.symbols[rows].unbind(1)
            x = self.slow[i] + self.slow[j]
        else:
            assert split.ordered is not None
            x = self.slow * split.inputs[rows].double() + (1 - self.slow) * split.ordered[rows].double()
        targets = {k: v if k in split.common else v[rows] for k, v in split.targets.items()}
        doubles = {k: v.double() if v.is_floating_point() else v for k, v in targets.items()}
        return self.network(x), doubles

    def loss(self, split: Split, rows: Tensor) -> Tensor:
        return self.task.loss(*self.output(split, rows)).mean()

    def step(self) -> None:
        rows = torch.arange(self.c.n_train)
        if self.batch:
            epoch, number = divmod(self.steps, self.c.n_train // self.batch)
            order = torch.randperm(self.c.n_train, generator=generator(self.c.seed, f"epoch {epoch}"))
            rows = order[number * self.batch : (number + 1) * self.batch]
        self.optimizer.zero_grad()
        self.loss(self.problem.train, rows).backward()
        self.optimizer.step()
        self.steps += 1

    @torch.no_grad()
    def record(self) -> dict[str, float]:
        out = {"weight_norm": float(parameters_to_vector(self.network.parameters()).norm())}
        for name, split in (("train", self.problem.train), ("test", self.problem.test)):
            rows = torch.arange(len(split))
            out[f"{name}_loss"] = float(self.loss(split, rows))
            out[f"{name}_accuracy"] = float(self.task.right(*self.output(split, rows)).double().mean())
        if self.kind == "free":
            assert self.problem.ends is not None
            random, linear = (end.double() for end in self.problem.ends)
            along = (random - linear).flatten()
            out["m"] = float((self.slow - linear).flatten() @ along / along.square().sum())
        else:
            out["m"] = float(self.slow)
        return out


def steps_equal_the_plain_loop(plan: Training, members: list[Member], rtol: float = 1e-10) -> None:
    """Every step, by a training that is evaluated after each."""
    training, setup = replace(plan, resolution=1e-9), plan.setup
    state = training.init(members)
    plain = [Plain(setup.task, c, plan.optimizer, setup.batch, setup.representation) for c in members]
    for step in range(plan.steps + 1):
        if step:
            training.step(state)
        training.record(state)
        for k, one in enumerate(plain):
            if step:
                one.step()
            expected = one.record()
            for place, name in enumerate(CURVES):
                assert state.curves[place, k, step] == pytest.approx(expected[name], rel=rtol, abs=1e-13)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("rule", "batch"), [("adamw", 0), ("adamw", 6), ("sgd", 0), ("momentum", 6)])
def test_every_step_is_that_of_a_plain_loop(rule: str, batch: int, layers: int) -> None:
    plan = plan_of(small_task(layers=layers), steps=100, optimizer=rule, batch=batch)
    steps_equal_the_plain_loop(plan, TRIO)


def test_adam_is_without_decay() -> None:
    members = [replace(c, gamma=0.0) for c in TRIO]
    steps_equal_the_plain_loop(plan_of(small_task(), steps=30, optimizer="adam"), members)


@pytest.mark.parametrize("kind", ["line", "free"])
def test_the_gradient_of_the_representation_is_autograds(kind: str) -> None:
    task = tiny_addition()
    members = [replace(c, n_train=11) for c in TRIO]
    some = plan_of(task, representation=kind).init(members).members
    _, _, slow = some.ensemble.loss_and_gradient(some.train.samples())
    assert slow is not None
    for k, c in enumerate(members):
        plain = Plain(task, c, "sgd", kind=kind)
        plain.loss(plain.problem.train, torch.arange(11)).backward()
        assert plain.slow.grad is not None
        torch.testing.assert_close(slow[k], plain.slow.grad.reshape(-1), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("kind", ["line", "free"])
@pytest.mark.parametrize("rule", ["adamw", "sgd", "momentum"])
def test_a_trained_representation_never_decays_and_m_is_its_projection(rule: str, kind: str) -> None:
    members = [replace(c, n_train=11) for c in TRIO]  # they differ in γ and start at m = 1, 0.3 and 0
    steps_equal_the_plain_loop(
        plan_of(tiny_addition(), steps=40, optimizer=rule, representation=kind), members, 1e-9
    )


@pytest.mark.parametrize("kind", ["line", "free"])
def test_a_representation_without_a_rate_stays_where_it_started(kind: str, tmp_path: Path) -> None:
    task, members = tiny_addition(), [replace(c, n_train=11, eta_r=0.0, gamma=1.0) for c in TRIO]
    m = trained(plan_of(task, steps=20, representation=kind), members, tmp_path)["m"]
    np.testing.assert_allclose(m, np.array([[c.m] for c in members]) * np.ones((1, m.shape[1])), atol=1e-12)
