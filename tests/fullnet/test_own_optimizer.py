"""A script's own optimizer, which is none of the engine's: beside the script's loop, stopped, and refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scripts import ONE, TEST, TRAIN, made, network, refused
from torch import Tensor, nn
from torch.nn import functional as F

import groktime as gt
from groktime.fullnet.engine.optimizer import Optimizer
from groktime.fullnet.engine.rules.update import Setting
from groktime.fullnet.seeding import generator
from groktime.reduced.errors import InputError

Params = list[nn.Parameter]
STEPS = 60


@pytest.fixture(autouse=True)
def in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Slowly(torch.optim.Optimizer):
    """Two velocities, of which one begins at the first gradient; a count that is a plain number; and of
    matrices the sums of squares of their rows."""

    def __init__(self, params: Any, lr: float, weight_decay: float = 0.0, share: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "share": share})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                state, gradient = self.state[p], p.grad
                if not state:
                    state["count"], state["slow"], state["fast"] = 0, gradient.clone(), torch.zeros_like(p)
                    state["rows"] = torch.zeros(len(p))
                state["count"] += 1
                state["slow"] = 0.99 * state["slow"] + 0.01 * gradient
                state["fast"].mul_(group["share"]).add_(gradient)
                state["rows"] += gradient.square().reshape(len(p), -1).sum(1)
                size = (state["rows"] / state["count"]).sqrt().reshape(-1, *[1] * (p.ndim - 1)) + 1e-3
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * (state["fast"] + state["slow"]) / size)


class Attribute(Slowly):
    """It counts its steps beside its state."""

    count = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.count += 1
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(p.grad * group["lr"] / self.count)


class Words(Slowly):
    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["said"] = "it"
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(p.grad * group["lr"])


def grouped(kind: Any, model: nn.Module, **how: Any) -> torch.optim.Optimizer:
    matrices, others = ([p for p in model.parameters() if (p.ndim > 1) == which] for which in (True, False))
    still = {"params": others, "weight_decay": 0.0, "lr": how["lr"] / 2}
    made: torch.optim.Optimizer = kind([{"params": matrices, "weight_decay": 0.3}, still], **how)
    return made


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "of a user": lambda params: Slowly(params, lr=3e-3, weight_decay=0.3),
    "in groups": lambda model: grouped(Slowly, model, lr=3e-3),
    "NAdam": lambda params: torch.optim.NAdam(
        params, 3e-3, weight_decay=0.3, decoupled_weight_decay=True, foreach=False
    ),
    "Adafactor": lambda params: torch.optim.Adafactor(params, 3e-3, weight_decay=0.3),
    "amsgrad": lambda params: torch.optim.AdamW(params, 3e-3, weight_decay=0.3, amsgrad=True),
}


def script_of(name: str) -> gt.Task:
    return task_of(OPTIMIZERS[name])


def task_of(optimizer: Any) -> gt.Task:
    train, test = ((x.double(), y) for x, y in (TRAIN, TEST))
    return made(train=train, test=test, optimizer=optimizer, threshold=1.0)


def curves_of(name: str, steps: int) -> dict[str, list[float]]:
    """The loop that one writes: losses, and the norm of what decays, before each step and after the last."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(0, "weights").initial_seed()))
        model = network()
    make = OPTIMIZERS[name]
    try:
        optimizer = make(list(model.parameters()))
    except AttributeError:
        optimizer = make(model)
    found: dict[str, list[float]] = {"train_loss": [], "test_loss": [], "weight_norm": []}
    for _ in range(steps + 1):
        loss = F.cross_entropy(model(TRAIN[0].double()), TRAIN[1])
        found["train_loss"].append(float(loss.detach()))
        found["test_loss"].append(float(F.cross_entropy(model(TEST[0].double()), TEST[1]).detach()))
        groups = [g for g in optimizer.param_groups if g["weight_decay"]] or optimizer.param_groups
        squares = [float(p.detach().square().sum()) for g in groups for p in g["params"]]
        found["weight_norm"].append(math.sqrt(sum(squares)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return found


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_the_script_s(name: str) -> None:
    task = script_of(name)
    assert (task.rule.name, task.rule.rate, task.rule.gamma) == ("own", 3e-3, 0.3)
    runs = gt.train(task, alpha=1.0, seeds=[0], steps=STEPS, resolution=0.1, dtype="float64", **ONE)
    for curve, values in curves_of(name, STEPS).items():
        np.testing.assert_allclose(runs[curve].values[0], np.array(values)[runs.step], rtol=1e-9)
    assert runs.dataset.attrs["optimizer"] == "own"


@pytest.mark.parametrize("name", ["of a user", "in groups"])
def test_a_forecast_goes_through_its_steps(name: str) -> None:
    found = gt.forecast(script_of(name), seeds=[0, 1], steps=STEPS, dtype="float64", **ONE)
    t = found["t"].values[0].ravel()
    seen = np.isfinite(t)
    for curve, values in curves_of(name, STEPS).items():
        here = found[curve].values[0].ravel()[seen]
        np.testing.assert_allclose(here, np.array(values)[t[seen].astype(int)], rtol=1e-9)


def test_members_are_retired_and_restored_with_what_it_keeps() -> None:
    """Three networks, of which the middle one leaves after 3 steps and the rest are restored after 6, step as
    one alone does."""
    task, rates = script_of("of a user"), (1e-3, 3e-3, 1e-2)
    update = task.rule.update
    assert update is not None
    first = torch.cat([p.detach().reshape(-1) for p in network().parameters()])
    gradients = [torch.randn(first.shape, generator=torch.Generator().manual_seed(k)) for k in range(9)]

    def optimizer(flat: Tensor, some: tuple[float, ...]) -> Optimizer:
        return Optimizer("own", flat, [Setting(rate, 0.3) for rate in some], update=update)

    alone = first[None].clone()
    one = optimizer(alone, rates[2:])
    flat = first.repeat(3, 1)
    several = optimizer(flat, rates)
    for k, gradient in enumerate(gradients):
        one.step(gradient[None])
        several.step(gradient.repeat(len(flat), 1))
        if k == 2:
            flat = flat[[0, 2]].contiguous()
            several.keep(torch.tensor([0, 2]), flat)
        if k == 5:
            state = {name: value.clone() for name, value in several.state().items()}
            several = optimizer(flat, (rates[0], rates[2]))
            several.restore(state)
    assert torch.equal(flat[1], alone[0])
    assert not torch.equal(flat[0], alone[0])


def test_it_is_told_apart_in_files(tmp_path: Any) -> None:
    """A file that was begun by one is not gone on with by another of the same class."""
    out, how = tmp_path / "runs.nc", {"alpha": 1.0, "seeds": [0], "steps": 5, "dtype": "float64"} | ONE
    gt.train(script_of("of a user"), out=out, **how)
    other = task_of(lambda params: Slowly(params, lr=3e-3, weight_decay=0.3, share=0.5))
    said = [task.settings["optimizer"] for task in (script_of("of a user"), other)]
    assert [words.split()[0] for words in said] == ["Slowly", "Slowly"]
    assert said[0] != said[1]
    assert gt.Runs.open(out).dataset.attrs["optimizer"] == "own"


def test_another_optimizer_may_still_be_asked_for() -> None:
    task = script_of("of a user")
    how: dict[str, Any] = {"alpha": 1.0, "seeds": [0], "steps": 5, "gamma": 0.3, "dtype": "float64"} | ONE
    runs = [gt.train(task, optimizer=name, **how)["train_loss"].values[0, -1] for name in ("own", "adamw")]
    assert runs[0] != runs[1]
    with pytest.raises(InputError, match=r"optimizer = 'own': expected 'adamw', .* or 'muon'"):
        gt.train("teacher-student", optimizer="own", **how)


MODEL = network()
NO_LAW = "does not shrink weights by the share .* is 0, which is the decay that times are forecast by"
NONE = "which no rule of groktime has; expected none, or a function of the model that gives it"
REFUSED: dict[str, tuple[Any, str]] = {
    "an instance": (
        Slowly(MODEL.parameters(), 1e-2),
        "optimizer: is Slowly, which is none of AdamW, Adam",
    ),
    "amsgrad": (torch.optim.AdamW(MODEL.parameters(), amsgrad=True), f"optimizer: AdamW has amsgrad, {NONE}"),
    "nesterov": (
        torch.optim.SGD(MODEL.parameters(), 0.1, momentum=0.9, nesterov=True),
        f"optimizer: SGD has nesterov, {NONE}",
    ),
    "coupled nesterov": (
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        f"optimizer: SGD {NO_LAW}",
    ),
    "RMSprop": (lambda p: torch.optim.RMSprop(p, 1e-3, weight_decay=0.1), f"optimizer: RMSprop {NO_LAW}"),
    "coupled NAdam": (lambda p: torch.optim.NAdam(p, weight_decay=0.1), f"optimizer: NAdam {NO_LAW}"),
    "an attribute": (
        lambda p: Attribute(p, 1e-2, 0.1),
        "optimizer: Attribute steps otherwise when it is made anew for each network; expected one that keeps",
    ),
    "words": (
        lambda p: Words(p, 1e-2, 0.1),
        "optimizer: keeps a str, 'said', in its state; expected tensors",
    ),
    "LBFGS": (torch.optim.LBFGS, "optimizer: the step of LBFGS raises .*; expected one that is called with"),
    "no rate": (lambda p: torch.optim.Optimizer(p, {}), "optimizer: its groups have no 'lr'; expected a lea"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_those_that_cannot_be_stepped_or_forecast_are_refused(name: str) -> None:
    torch.set_default_dtype(torch.float32)
    optimizer, words = REFUSED[name]
    refused(words, model=MODEL, optimizer=optimizer)
