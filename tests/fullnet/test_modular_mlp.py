"""Addition modulo p by the networks that others trained: as they are described, and as plain modules."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from groktime.fullnet.check.task import check_task
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import norm_at_start
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import modular_mlp, modular_transformer
from groktime.fullnet.tasks.modular_mlp import ModularMLP, NormedTransformer
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError

TASKS = {"mlp": modular_mlp, "transformer": modular_transformer}


def plain_mlp(net: ModularMLP, pairs: Tensor) -> Tensor:
    """The two embeddings side by side into the hidden layer, pair by pair."""
    return net.out(nn.functional.gelu(net.hidden(net.embedding[pairs].flatten(1))))


def plain_transformer(net: NormedTransformer, pairs: Tensor) -> Tensor:
    """All three tokens of all samples through torch's own attention."""
    equals = len(net.embedding) - 1
    tokens = torch.cat([pairs, torch.full((len(pairs), 1), equals)], 1)
    x = net.embedding[tokens] + net.position
    seen = net.norm(x)
    sides = (layer(seen).unflatten(-1, (net.heads, -1)).transpose(1, 2)
             for layer in (net.query, net.key, net.value))  # fmt: skip
    q, k, v = sides
    found = nn.functional.scaled_dot_product_attention(q[:, :, -1:], k, v)
    x = x[:, -1] + net.attended(found.squeeze(2).flatten(1))
    x = x + net.fall(nn.functional.gelu(net.rise(net.norm(x))))
    return net.unembedding(net.norm(x))


@pytest.mark.parametrize(
    ("make", "plain"), [(modular_mlp, plain_mlp), (modular_transformer, plain_transformer)]
)
def test_the_network_is_the_one_that_is_described(
    make: Callable[..., Task], plain: Callable[..., Tensor]
) -> None:
    task = make(p=11, d_model=16)
    net = task.network().double()
    pairs = task.problem(0, 40).train.at(1.0)
    torch.testing.assert_close(net(pairs), plain(net, pairs))
    for p in net.parameters():  # and its gradient
        p.grad = None
    plain(net, pairs).square().sum().backward()
    expected = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    net(pairs).square().sum().backward()
    for p, gradient in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient)


def test_sizes_and_starts_of_the_mlp() -> None:
    task = modular_mlp()
    assert [modular_mlp(p=p).n_train for p in (41, 59, 97)] == [840, 1740, 4704]
    assert (task.n_total, task.batch, task.threshold) == (3481, 0, 0.9)
    assert (task.optimizer.rate, task.optimizer.betas) == (1e-3, (0.9, 0.999))
    assert task.no_decay == ("hidden.bias", "out.bias")
    assert len(initial_parameters(task, 0)) == 59 * 128 + 256 * 257 + 59 * 257
    # w0² = 59 + 256 + 59, from the variances: 19.3 in the public runs
    norms = [norm_at_start(task, seed) for seed in range(5)]
    assert norms == pytest.approx([math.sqrt(374)] * 5, rel=0.01)
    assert np.mean(norms) == pytest.approx(19.3, abs=0.1)
    biases = torch.cat([p for name, p in task.network().named_parameters() if name in task.no_decay])
    assert float(biases.detach().std()) == pytest.approx(1e-6, rel=0.2)


def test_sizes_and_starts_of_the_transformer() -> None:
    task = modular_transformer()
    assert (task.n_train, task.n_total, task.threshold, task.no_decay) == (2016, 5041, 0.9, ())
    sizes = [72 * 128, 3 * 128, 4 * 128 * 128, 2 * 128 * 512, 72 * 128]
    assert len(initial_parameters(task, 0)) == sum(sizes)
    spread = {name: float(p.detach().std()) for name, p in task.network().named_parameters()}
    small = {"position": 0.1 / math.sqrt(128), "fall.weight": 1 / math.sqrt(512)}
    for name, std in spread.items():
        assert std == pytest.approx(small.get(name, 1 / math.sqrt(128)), rel=0.1), name


@pytest.mark.parametrize("name", TASKS)
def test_sums_are_right_and_seeds_differ(name: str) -> None:
    p = 7
    problem = TASKS[name](p=p, d_model=8).problem(0, 20)
    train, test = ([tuple(x) for x in s.at(1.0).tolist()] for s in (problem.train, problem.test))
    assert len(train) == 20
    assert sorted(train + test) == [(a, b) for a in range(p) for b in range(p)]
    label = problem.train.targets["label"][problem.train.rows]
    assert label.tolist() == [(a + b) % p for a, b in train]
    other = TASKS[name](p=p, d_model=8).problem(1, 20)
    assert other.train.at(1.0).tolist() != problem.train.at(1.0).tolist()


@pytest.mark.parametrize("name", TASKS)
def test_an_ensemble_trains_it(name: str) -> None:
    task = TASKS[name](p=7, d_model=16)
    assert not check_task(task)
    runs = train(task, gamma=1.0, alpha=1.0, seeds=[0, 1], steps=150, machine=Machine(progress=False))
    assert (runs["train_accuracy"].values[..., -1] == 1).all()


@pytest.mark.parametrize(
    ("make", "settings", "named"),
    [
        (modular_mlp, {"p": 1}, "p"),
        (modular_mlp, {"n_train": 3482}, "n_train"),
        (modular_mlp, {"width": 0}, "width"),
        (modular_transformer, {"d_model": 30}, "d_model"),
        (modular_transformer, {"d_mlp": 0}, "d_mlp"),
    ],
)
def test_bad_sizes_are_refused_by_name(
    make: Callable[..., Task], settings: dict[str, int], named: str
) -> None:
    with pytest.raises(InputError, match=f"^{named}"):
        make(**settings)
