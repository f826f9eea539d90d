"""Modular addition and the four operations: data, network, ensemble, sampler and trainer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import groktime.fullnet.tasks
from groktime.cli import main
from groktime.fullnet.check.task import check_task
from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.samples import Data
from groktime.fullnet.find import BUILT_IN, find_task
from groktime.fullnet.machine import Machine
from groktime.fullnet.runs import open_runs
from groktime.fullnet.sampler import sample
from groktime.fullnet.task import Split, Task
from groktime.fullnet.tasks import four_operations, modular_addition
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError

QUIET = Machine(progress=False)

SMALL = {"p": 7, "d_model": 8, "heads": 2}
TASKS: dict[str, Callable[[], Task]] = {
    "modular-addition": lambda: modular_addition(**SMALL),
    "four-operations": lambda: four_operations("+", **SMALL, batch=4),
    "noisy": lambda: four_operations("/", noise=0.2, **SMALL),
}


def answers(split: Split) -> list[tuple[int, ...]]:
    """The equations of a split as (tokens …, answer), from whole numbers or one-hot vectors."""
    x = split.at(1.0)
    tokens = x.argmax(-1) if x.is_floating_point() else x
    label = split.targets["label"] if split.rows is None else split.targets["label"][split.rows]
    return [(*row, y) for row, y in zip(tokens.tolist(), label.tolist(), strict=True)]


# --- the data ---------------------------------------------------------------------------------


def test_all_pairs_of_modular_addition() -> None:
    p = 7
    problem = modular_addition(p=p).problem(0, 15)
    train, test = answers(problem.train), answers(problem.test)
    assert len(train) == 15
    assert sorted(train + test) == [(a, b, p, (a + b) % p) for a in range(p) for b in range(p)]


@pytest.mark.parametrize("operation", ["+", "-", "*", "/"])
def test_all_equations_of_an_operation(operation: str) -> None:
    p = 7
    task = four_operations(operation, p)
    problem = task.problem(0, 15)
    equations = answers(problem.train) + answers(problem.test)
    assert len(problem.train) == 15
    assert len(set(equations)) == len(equations) == task.n_total
    assert {e[1] for e in equations} == {p}
    assert {e[3] for e in equations} == {p + 1}
    holds = {
        "+": lambda x, y, z: (x + y - z) % p == 0,
        "-": lambda x, y, z: (x - y - z) % p == 0,
        "*": lambda x, y, z: (x * y - z) % p == 0,
        "/": lambda x, y, z: (y * z - x) % p == 0,
    }[operation]
    assert all(0 <= z < p and holds(x, y, z) for x, _, y, _, z in equations)
    first = 1 if operation == "/" else 0
    assert {(e[0], e[2]) for e in equations} == {(x, y) for x in range(p) for y in range(first, p)}


@pytest.mark.parametrize("make", [modular_addition, four_operations])
def test_training_sets_are_nested_and_those_of_the_seed(make: Callable[..., Task]) -> None:
    task = make(p=11)
    rows = {(s, n): answers(task.problem(s, n).train) for s in range(3) for n in (5, 20)}
    assert all(rows[s, 5] == rows[s, 20][:5] for s in range(3))
    assert len({tuple(rows[s, 20]) for s in range(3)}) == 3
    problems = [make(p=11).problem(s, 20) for s in range(3)]
    assert len({id(split.inputs) for p in problems for split in (p.train, p.test)}) == 1


# --- the tasks --------------------------------------------------------------------------------


def test_modular_addition_is_that_of_the_paper() -> None:
    task = modular_addition()
    assert (task.n_total, task.n_train, task.batch, task.threshold) == (12_769, 3831, 0, 0.95)
    assert (task.optimizer.rate, task.optimizer.betas, task.optimizer.warmup) == (1e-3, (0.9, 0.98), 0)
    assert task.settings == {"p": 113, "d_model": 128, "heads": 4, "d_mlp": 512}
    sizes = [114 * 128, 3 * 128, 4 * 128 * 128, 512 * 129, 128 * 513, 114 * 128]
    assert len(initial_parameters(task, 0)) == sum(sizes)
    # w0² = 114 + 3 + 4·128 + 2·512 + 128, from the variances.
    norms = [float(initial_parameters(task, seed).norm()) for seed in range(5)]
    assert norms == pytest.approx([math.sqrt(1781)] * 5, rel=0.01)
    assert np.mean(norms) == pytest.approx(42.2, abs=0.1)


def test_four_operations_is_that_of_the_poster() -> None:
    task = four_operations()
    assert (task.n_total, task.n_train, task.batch) == (97 * 96, 2794, 512)
    assert (task.optimizer.rate, task.optimizer.betas, task.optimizer.warmup) == (1e-3, (0.9, 0.98), 10)
    assert task.settings == {"operation": "/", "p": 97, "noise": 0.0, "d_model": 128, "heads": 4}
    assert task.augment is None
    assert four_operations("-").n_total == 97**2
    assert [four_operations(n_train=n).batch for n in (512, 513)] == [0, 512]
    assert four_operations(batch=0).batch == 0


def test_the_loss_is_that_of_logits_in_float64() -> None:
    # A sure answer: ln(1 + e^-30) is e^-30 = 9e-14, which float32 takes for 0.
    task = modular_addition(p=2)
    output = torch.tensor([[30.0, 0.0, -50.0], [0.0, 1.0, 1.0]])
    targets = {"label": torch.tensor([0, 0])}
    expected = torch.tensor([math.exp(-30), math.log(1 + 2 * math.e)], dtype=torch.float64)
    torch.testing.assert_close(task.loss(output, targets), expected, rtol=0.01, atol=0)
    assert task.right(output, targets).tolist() == [True, False]
    assert task.right(output, {"label": torch.tensor([1, 1])}).tolist() == [False, True]


@pytest.mark.parametrize("name", TASKS)
def test_parts_are_disjoint_and_made_of_the_networks_parameters(name: str) -> None:
    task = TASKS[name]()
    names = [n for n, _ in task.network().named_parameters()]
    found = {part: {n for n in names if n.startswith(prefixes)} for part, prefixes in task.parts.items()}
    assert all(found.values())
    assert sum(map(len, found.values())) == len(set().union(*found.values()))
    rest = set(names) - set().union(*found.values())
    if name == "modular-addition":
        assert not rest
    else:
        assert found["attention1"] == {f"blocks.0.attention.{s}.weight" for s in ("query", "key", "value")}
        assert all(".attention.out." in n or "norm" in n for n in rest)


def test_noise_is_added_to_one_hot_vectors() -> None:
    task = four_operations("+", p=31, noise=0.2)
    train = task.problem(0, 200).train
    sure = train.at(1.0)
    assert sure.shape == (200, 4, 33)
    assert torch.equal(sure.sort(-1).values, torch.eye(33)[-1].expand_as(sure))
    assert answers(train) == answers(four_operations("+", p=31).problem(0, 200).train)
    assert task.augment is not None
    noisy = task.augment(sure, torch.Generator().manual_seed(1))
    noise = noisy - sure
    assert float(noise.std()) == pytest.approx(0.2, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.005)
    assert torch.equal(noisy, task.augment(sure, torch.Generator().manual_seed(1)))
    assert not torch.equal(noisy, task.augment(sure, torch.Generator().manual_seed(2)))
    assert task.network()(noisy).shape == (200, 33)


@pytest.mark.parametrize(
    ("make", "arguments", "names"),
    [
        (modular_addition, {"p": 1}, "p"),
        (modular_addition, {"p": 7.5}, "p"),
        (modular_addition, {"p": 7, "n_train": 50}, "n_train"),
        (modular_addition, {"p": 7, "n_train": 0}, "n_train"),
        (modular_addition, {"d_model": 30}, "d_model"),
        (modular_addition, {"d_model": 0}, "d_model"),
        (modular_addition, {"d_mlp": 0}, "d_mlp"),
        (four_operations, {"operation": "^"}, "operation"),
        (four_operations, {"operation": "/", "p": 9}, "p"),
        (four_operations, {"n_train": 97 * 96 + 1}, "n_train"),
        (four_operations, {"noise": -0.1}, "noise"),
        (four_operations, {"noise": float("nan")}, "noise"),
        (four_operations, {"batch": -1}, "batch"),
        (four_operations, {"heads": 3}, "d_model"),
    ],
)
def test_wrong_arguments_are_named(
    make: Callable[..., Task], arguments: dict[str, object], names: str
) -> None:
    with pytest.raises(InputError, match=rf"^{names} = .*expected"):
        make(**arguments)


# --- in the engine ----------------------------------------------------------------------------


def alone(task: Task, flat: Tensor, inputs: Tensor, targets: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Loss and gradient of one network as anybody would write it."""
    network = task.network().to(flat.dtype)
    vector_to_parameters(flat, network.parameters())
    loss = task.loss(network(inputs), targets).mean()
    gradient = torch.autograd.grad(loss, list(network.parameters()))
    return loss.detach(), parameters_to_vector(gradient)


@pytest.mark.parametrize("name", TASKS)
def test_four_members_are_as_each_alone(name: str) -> None:
    task = TASKS[name]()
    flat = torch.stack([(k + 1) * initial_parameters(task, k) for k in range(4)]).double()
    splits = [task.problem(k, task.n_train).train for k in range(4)]
    samples = Data.of(splits).samples()
    inputs = samples.inputs["x"]
    if task.augment is not None:
        inputs = torch.stack(
            [task.augment(x, torch.Generator().manual_seed(k)) for k, x in enumerate(inputs)]
        )
        samples = replace(samples, inputs={"x": inputs})
    losses, gradients, _ = Ensemble(task, flat).loss_and_gradient(samples)
    for k in range(4):
        loss, gradient = alone(task, flat[k], inputs[k], {"label": samples.targets["label"][k]})
        torch.testing.assert_close(losses[k], loss, rtol=1e-10, atol=0)
        assert float((gradients[k] - gradient).norm()) <= 1e-10 * float(gradient.norm())


@pytest.mark.parametrize("name", TASKS)
def test_the_check_finds_nothing(name: str) -> None:
    assert check_task(TASKS[name]()) == []


@pytest.mark.parametrize("name", TASKS)
def test_it_is_sampled(name: str, tmp_path: Path) -> None:
    task = TASKS[name]()
    land = sample(
        task, alpha=[0.25, 0.5, 1, 2], seeds=range(2), n_train=[10, 14], steps=30, out=tmp_path / "land.nc",
        machine=QUIET,
    )  # fmt: skip
    loss = land.dataset["train_loss"]
    assert loss.shape == (2, 2, 3, 1, 4)
    assert bool((loss.isel(budget=-1) < loss.isel(budget=0)).all())


def test_a_training_memorizes_and_decay_shrinks_the_weights(tmp_path: Path) -> None:
    task = modular_addition(p=7, d_model=16, heads=2)
    runs = train(
        task, gamma=[0, 3], alpha=1, seeds=range(2), steps=300, resolution=0.2, out=tmp_path / "runs.nc",
        machine=QUIET,
    )  # fmt: skip
    last = runs.dataset.isel(time=-1)
    assert bool((last["train_accuracy"] == 1).all())
    free, decayed = (last["weight_norm"].values[last["gamma"].values == g] for g in (0, 3))
    assert (decayed < 0.9 * free).all()
    assert json.loads(runs.dataset.attrs["configuration"])["settings"] == dict(task.settings)


def test_training_in_minibatches(tmp_path: Path) -> None:
    task = TASKS["four-operations"]()
    runs = train(task, gamma=0, alpha=1, seeds=[0], steps=60, out=tmp_path / "runs.nc", machine=QUIET)
    loss = runs.dataset["train_loss"].values[0]
    assert loss[-1] < 0.7 * loss[0]


# --- by name ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["modular-addition", "four-operations"])
def test_by_name(name: str) -> None:
    task = find_task(name, {"p": 7, "d_model": 8})
    assert (task.name, task.settings["p"], task.settings["d_model"]) == (name, 7, 8)
    assert find_task(name, {"p": 7}, n_train=20).n_train == 20
    make = getattr(groktime.fullnet.tasks, BUILT_IN[name].function)
    small = make(**BUILT_IN[name].presets["small"])
    assert small.n_train < small.n_total
    assert len(initial_parameters(small, 0)) < len(initial_parameters(make(), 0)) / 3


def test_on_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "runs.nc"
    settings = "--operation + --p 7 --d-model 8 --noise 0.1"
    lists = "--gamma 0 --alpha 1 --seeds 1 --steps 2 --n-train 9"
    assert main(f"train four-operations {settings} {lists} --quiet -o {out}".split()) == 0
    runs = open_runs(out).dataset
    assert json.loads(runs.attrs["configuration"])["settings"] == {
        "operation": "+", "p": 7, "noise": 0.1, "d_model": 8, "heads": 4,
    }  # fmt: skip
    assert runs["n_train"].values.tolist() == [9]
