"""A small task, members of it, and how they are trained, for the tests of `train`."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groktime.fullnet.engine.parts import Checkpoint
from groktime.fullnet.job import drive
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Member, Setup
from groktime.fullnet.procedures.training import Training
from groktime.fullnet.runs import Runs
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks import addition
from groktime.fullnet.trainer import train

Arrays = dict[str, NDArray[Any]]
LOSSES = ("train_loss", "test_loss")


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square()


QUIET = Machine(workers=1, progress=False)


def small_task(n_test: int = 10, layers: int = 2, batch: int = 0) -> Task:
    """sin(x1 + x2) from two inputs that are messy; 20 training samples at most."""

    def problem(seed: int, n_train: int) -> Problem:
        random, ordered = torch.randn(2, 20 + n_test, 2, generator=torch.Generator().manual_seed(seed))
        y = torch.sin(ordered.sum(1))
        train, test = slice(0, n_train), slice(20, 20 + n_test)
        return Problem(
            Split(random[train], {"y": y[train]}, ordered[train]),
            Split(random[test], {"y": y[test]}, ordered[test]),
            delta_norm=float((random - ordered).norm()),
        )

    def network() -> nn.Module:
        hidden = [nn.Linear(2, 6), nn.Tanh()] + (layers - 1) * [nn.Linear(6, 6), nn.Tanh()]
        return nn.Sequential(*hidden, nn.Linear(6, 1), nn.Flatten(-2))

    return Task(
        name="small",
        network=network,
        problem=problem,
        loss=squared,
        right=lambda output, targets: squared(output, targets) < 0.1,
        loss_name="mse",
        n_train=20,
        n_total=20,
        optimizer=Adam(1e-2, betas=(0.9, 0.98)),
        steps=12,
        threshold=0.9,
        batch=batch,
        messiness=True,
        settings={"layers": layers},
    )


def plan_of(task: Task, **change: Any) -> Training:
    usual: dict[str, Any] = {"steps": 200, "batch": task.batch, "resolution": 1.0, "dtype": "float64"}
    how = usual | change
    ours = {f.name for f in fields(Setup)}
    setup = Setup(task, **{k: v for k, v in how.items() if k in ours})
    return Training(setup, **{k: v for k, v in how.items() if k not in ours})


def trained(plan: Training, members: list[Member], folder: Path) -> Arrays:
    """The arrays of one piece."""
    return drive(plan, members, checkpoint=Checkpoint(folder / "none.npz"))


def crowd(count: int, n_train: int = 20) -> list[Member]:
    """Unlike members: no two are equal, some share a seed or a setting."""
    return [
        Member(
            gamma=(0.0, 0.1, 1.0)[k % 3],
            eta_d=(1e-2, 3e-3)[k % 2],
            eta_r=1e-3,
            alpha=0.5 + 0.05 * k,
            m=(k % 5) / 4,
            n_train=n_train,
            seed=k % 7,
        )
        for k in range(count)
    ]


def of_members(members: list[Member]) -> dict[str, Any]:
    """The arguments of `train` for exactly these, walked together."""
    names = ("gamma", "eta_d", "eta_r", "alpha", "m", "n_train")
    lists = {name: [getattr(c, name) for c in members] for name in names}
    return {**lists, "seeds": [c.seed for c in members], "paired": True}


def fully(task: Task, those: list[Member], out: Path, **change: Any) -> Runs:
    usual: dict[str, Any] = {"steps": 200, "resolution": 1.0, "dtype": "float64"}
    machine = Machine(members=change.pop("members", None), workers=1, progress=False)
    return train(task, **{**of_members(those), **usual, **change}, machine=machine, out=out)


def apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest relative difference; NaN only where both are."""
    assert np.array_equal(np.isnan(one), np.isnan(other))
    known = ~np.isnan(one)
    return float(np.max(np.abs(one - other)[known] / np.maximum(np.abs(other)[known], 1e-300), initial=0.0))


TRIO = [
    Member(gamma=0.0, eta_d=1e-2, eta_r=1e-2, alpha=1.0, m=1.0, n_train=20, seed=3),
    Member(gamma=0.5, eta_d=1e-2, eta_r=1e-3, alpha=2.5, m=0.3, n_train=20, seed=3),
    Member(gamma=2.0, eta_d=3e-3, eta_r=1e-1, alpha=0.4, m=0.0, n_train=20, seed=11),
]


def tiny_addition() -> Task:
    def network() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 7), nn.Tanh(), nn.Linear(7, 30))

    return replace(addition(p=5, n_train=11, dim=2), network=network)


def learners(count: int = 8) -> list[Member]:
    """Ordered inputs and a fair rate: all but the last learn within 600 steps, at times of their own."""
    return [
        Member(gamma=0.1, eta_d=1e-2, eta_r=0.0, alpha=0.5 + 0.3 * k, m=0.0, n_train=20, seed=k % 4)
        for k in range(count - 1)
    ] + [Member(gamma=0.0, eta_d=1e-5, eta_r=0.0, alpha=0.5, m=1.0, n_train=20, seed=5)]
