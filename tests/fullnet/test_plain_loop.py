"""The networks that are trained are the user's: `train` beside a plain PyTorch loop, number by number."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import groktime as gt
from groktime.fullnet.check.task import check_task
from groktime.fullnet.engine.fresh import fresh_network, trained
from groktime.fullnet.find import find_task
from groktime.fullnet.machine import Machine
from groktime.fullnet.settings import setup_of
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.reduced.errors import InputError

GAMMA, RATE, ALPHA, STEPS, SEEDS = 0.5, 1e-2, 1.5, 40, (3, 4)
ONE = Machine(workers=1)


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square().mean(-1)


def data(seed: int, n_train: int, dtype: torch.dtype = torch.float32) -> Problem:
    x = torch.randn(n_train + 6, 3, generator=torch.Generator().manual_seed(seed)).to(dtype)
    train, test = (Split(part, {"y": part[:, :2].sin()}) for part in (x[:n_train], x[n_train:]))
    return Problem(train, test)


def in_double(seed: int, n_train: int) -> Problem:
    return data(seed, n_train, torch.float64)


def task_with(network: Callable[[], nn.Module], **changes: Any) -> Task:
    task = Task(
        name="of a user", network=network, problem=data, loss=squared,
        right=lambda out, y: squared(out, y) < 0.1, loss_name="mse", n_train=20, optimizer=Adam(RATE),
        steps=10,
    )  # fmt: skip
    return replace(task, **changes)


def plain_loop(task: Task, seed: int) -> NDArray[np.float64]:
    """Training loss at steps 0, 1, …, of a network as anybody would train it, in float64."""
    network, split = fresh_network(task, seed).double().train(), task.problem(seed, task.n_train).train
    inputs, targets = split.inputs.double(), {"y": split.targets["y"].double()}
    with torch.no_grad():
        for p in trained(network).values():
            p *= ALPHA
    optimizer = torch.optim.AdamW(trained(network).values(), lr=RATE, weight_decay=GAMMA)
    losses = []
    for _ in range(STEPS + 1):
        optimizer.zero_grad()
        loss = task.loss(network(inputs), targets).mean()
        losses.append(float(loss.detach()))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return np.array(losses)


def curves(task: Task, **settings: Any) -> NDArray[np.float64]:
    """The same of `train`, [seed, step]; each step is recorded."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*cannot be mapped")
        runs = gt.train(
            task, gamma=GAMMA, alpha=ALPHA, seeds=SEEDS, steps=STEPS, resolution=1e-3, dtype="float64",
            machine=ONE, **settings,
        )  # fmt: skip
    assert runs.step.tolist() == list(range(STEPS + 1))
    return np.asarray(runs["train_loss"].values)


class Features(nn.Module):
    """Features that a seed draws, kept in one of several ways, and a readout that starts at 0."""

    def __init__(self, kept: str) -> None:
        super().__init__()
        features = torch.randn(8, 3)
        if kept == "buffer":
            self.register_buffer("features", features)
        elif kept == "not persistent":
            self.register_buffer("features", features, persistent=False)
        elif kept == "frozen":
            self.features = nn.Parameter(features, requires_grad=False)
        elif kept == "list":
            self.kept = [features]
        elif kept == "number":
            self.scale = float(features[0, 0])
        elif kept == "module in a list":
            self.layers = [nn.Linear(3, 8, bias=False)]
        else:
            self.features = features
        self.first, self.readout = nn.Linear(3, 3), nn.Linear(8, 2)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        if hasattr(self, "layers"):
            features = self.layers[0].weight.detach()
        elif hasattr(self, "scale"):
            features = self.scale * torch.ones(8, 3)
        else:
            features = self.kept[0] if hasattr(self, "kept") else self.features
        out: Tensor = self.readout(torch.tanh(hidden @ features.to(x.dtype).T))
        return out


class Sliced(nn.Module):
    """`self.w[:]` of a ParameterList wraps its entries anew, and the ensemble's views lose their gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.ParameterList([nn.Parameter(torch.randn(3, 8)), nn.Parameter(torch.randn(8, 2))])

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.w[:]
        return torch.tanh(x @ first) @ second


class HalfSliced(Sliced):
    """The same for one of the two, so that some of the gradient is there."""

    def forward(self, x: Tensor) -> Tensor:
        (first,), second = self.w[:1], self.w[1]
        return torch.tanh(x @ first) @ second


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.first, self.second, self.reentrant = nn.Linear(3, 8), nn.Linear(8, 2), reentrant

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x))
        out: Tensor = checkpoint(self.second, hidden, use_reentrant=self.reentrant)
        return out


class Reads(nn.Module):
    """Looks at a number of its input, which a map over members cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x))
        if not bool(torch.isfinite(hidden).all()):
            raise ValueError("not finite")
        out: Tensor = self.second(hidden)
        return out


def layers(middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), middle, nn.Tanh(), nn.Linear(8, 2))


def frozen_first() -> nn.Module:
    network = layers(nn.Linear(8, 8))
    for p in network[0].parameters():  # type: ignore[index]
        p.requires_grad_(False)
    return network


def transposed() -> nn.Module:
    network = layers(nn.Linear(8, 8))
    network[2].weight = nn.Parameter(torch.randn(8, 8).T)  # type: ignore[index]
    return network


def convolution() -> nn.Module:
    convolved = nn.Sequential(
        nn.Unflatten(1, (1, 1, 3)), nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(12, 2)
    )
    return convolved.to(memory_format=torch.channels_last)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{
        kept: lambda kept=kept: Features(kept)  # type: ignore[misc]
        for kept in ("buffer", "not persistent", "frozen", "tensor", "list", "number", "module in a list")
    },
    "slice": Sliced,
    "half a slice": HalfSliced,
    "frozen layer": frozen_first,
    "orthogonal": lambda: layers(parametrizations.orthogonal(nn.Linear(8, 8))),
    "weight norm": lambda: layers(parametrizations.weight_norm(nn.Linear(8, 8))),
    "transposed": transposed,
    "channels last": convolution,
    "checkpoint, reentrant": lambda: Checkpointed(True),
    "checkpoint": lambda: Checkpointed(False),
    "reads a value": Reads,
    "float64": lambda: layers(nn.Linear(8, 8)).double(),
}


def task_named(name: str) -> Task:
    return task_with(NETWORKS[name], problem=in_double if name == "float64" else data)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_that_is_trained_is_the_users(name: str) -> None:
    task = task_named(name)
    expected = np.stack([plain_loop(task, seed) for seed in SEEDS])
    np.testing.assert_allclose(curves(task), expected, rtol=1e-9)
    np.testing.assert_allclose(curves(task, check=False), expected, rtol=1e-9)


def test_the_same_together_and_one_by_one() -> None:
    """A piece of members whose constants differ, and pieces of one member each."""
    task = task_with(NETWORKS["buffer"])
    alone = gt.train(
        task, gamma=GAMMA, alpha=ALPHA, seeds=SEEDS, steps=STEPS, resolution=1e-3, dtype="float64",
        machine=Machine(workers=1, members=1),
    )  # fmt: skip
    np.testing.assert_allclose(np.asarray(alone["train_loss"].values), curves(task), rtol=1e-12)


def test_landscapes_and_paths_are_of_the_users_network_too() -> None:
    """Each seed's own features: a landscape and a path of both seeds are those of one seed at a time."""
    task, grid = task_with(NETWORKS["buffer"]), [0.5, 1.0, 2.0, 4.0]
    both = gt.sample(task, alpha=grid, seeds=SEEDS, steps=20, dtype="float64", machine=ONE)
    path = gt.sample_path(
        task, alpha=2.0, seeds=SEEDS, dtau=0.1, tau=0.5, refit=10, dtype="float64", machine=ONE
    )
    for k, seed in enumerate(SEEDS):
        one = gt.sample(task, alpha=grid, seeds=[seed], steps=20, dtype="float64", machine=ONE)
        np.testing.assert_allclose(both["train_loss"].values[k], one["train_loss"].values[0], rtol=1e-9)
        alone = gt.sample_path(
            task, alpha=2.0, seeds=[seed], dtau=0.1, tau=0.5, refit=10, dtype="float64", machine=ONE
        )
        np.testing.assert_allclose(path["train_loss"].values[k], alone["train_loss"].values[0], rtol=1e-9)


def test_frozen_parameters_stay_and_are_outside_of_the_norm() -> None:
    task = task_with(frozen_first, parts={"frozen": ("0.",), "rest": ("2.", "4.")})
    runs = gt.train(task, gamma=GAMMA, alpha=ALPHA, seeds=SEEDS, steps=STEPS, machine=ONE)
    for k, seed in enumerate(SEEDS):
        named = dict(fresh_network(task, seed).named_parameters())
        norm = {
            frozen: float(
                torch.cat([p.detach().flatten() for p in named.values() if p.requires_grad != frozen]).norm()
            )
            for frozen in (True, False)
        }
        np.testing.assert_allclose(runs["norm_frozen"].values[k], norm[True], rtol=1e-6)
        assert float(runs["w0"].values[k]) == pytest.approx(norm[False])
        assert runs["weight_norm"].values[k, 0] == pytest.approx(ALPHA * norm[False])
    np.testing.assert_array_equal(runs["norm_rest"].values, runs["weight_norm"].values)


# --- the check, and who asks ------------------------------------------------------------------

MAPPED = (
    "buffer", "not persistent", "frozen", "frozen layer", "orthogonal", "transposed", "channels last",
    "float64",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_check_finds_nothing_wrong_with_them(name: str) -> None:
    found = check_task(task_named(name))
    assert [f for f in found if not f.note] == []
    if name in MAPPED:
        assert "mapped" not in " ".join(map(str, found))


BROKEN: dict[str, dict[str, Any]] = {
    "their mean": {"loss": lambda out, y: squared(out, y).mean()},
    "BatchNorm": {"network": lambda: layers(nn.BatchNorm1d(8))},
    "Dropout": {"network": lambda: layers(nn.Dropout(0.5))},
}


@pytest.mark.parametrize("word", BROKEN)
def test_the_python_functions_ask_too(word: str) -> None:
    task = replace(task_with(frozen_first), **BROKEN[word])
    calls: list[Callable[[], object]] = [
        lambda: gt.train(task, gamma=0.1, alpha=1, steps=3, seeds=[0], machine=ONE),
        lambda: gt.sample(task, alpha=[1, 2, 3, 4], steps=3, seeds=[0], machine=ONE),
        lambda: gt.sample_path(task, alpha=2, refit=3, dtau=0.1, tau=0.2, seeds=[0], machine=ONE),
    ]
    for call in calls:
        with pytest.raises(InputError, match=word) as caught:
            call()
        assert "task 'of a user'" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_size_that_the_data_have_not_is_refused() -> None:
    task = task_with(frozen_first, problem=lambda seed, n_train: data(seed, 20))
    with pytest.raises(InputError, match="n_train = 10: of a user has 20 samples with seed 0"):
        gt.train(task, gamma=0.1, alpha=1, steps=3, seeds=[0], n_train=10, machine=ONE)


def test_a_task_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Task] = []

    def counted(task: Task, seed: int = 0) -> list[Any]:
        looked.append(task)
        return check_task(task, seed)

    monkeypatch.setattr("groktime.fullnet.check.before.check_task", counted)
    task = task_with(NETWORKS["buffer"])
    for check in (False, True, True):
        setup_of(task, ONE, {"check": check}, 0)
    setup_of(find_task("teacher-student"), ONE, {}, 0)  # one of our own
    assert looked == [task]


# --- number formats ---------------------------------------------------------------------------


def test_a_number_format_is_used_or_refused() -> None:
    double, half = task_named("float64"), task_with(lambda: layers(nn.Linear(8, 8)).bfloat16())
    settings: dict[str, Any] = {"gamma": 0.1, "alpha": 1, "steps": 3, "seeds": [0], "machine": ONE}
    for task, asked, used in ((double, {}, "float64"), (double, {"dtype": "float32"}, "float32")):
        assert json.loads(gt.train(task, **settings, **asked).attrs["configuration"])["dtype"] == used
    land = gt.sample(double, alpha=[1, 2, 3, 4], seeds=[0], steps=3, machine=ONE)
    assert json.loads(land.attrs["configuration"])["dtype"] == "float64"
    for asked, text in ((None, "bfloat16"), ("bfloat16", "dtype = 'bfloat16'"), ("float16", "'float64'")):
        with pytest.raises(InputError, match=text):
            gt.train(half, **settings, check=False, **({} if asked is None else {"dtype": asked}))
