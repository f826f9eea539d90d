"""Which samples a step takes: a function of the seed and the epoch, whoever is trained beside it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from groktime.fullnet.engine.samples import Data, Minibatches
from groktime.fullnet.task import Split


def test_batches_take_every_sample_at_most_once_an_epoch() -> None:
    n, batch, epochs = 20, 6, 5
    data = Data.of([Split(torch.arange(n), {}), Split(torch.arange(n) + 100, {})])
    batches = Minibatches([4, 9], n, batch, torch.device("cpu"))
    seen: list[list[list[int]]] = []
    for step in range(epochs * 3):  # three whole batches; the 2 samples left over are dropped
        taken = batches.of_step(data, step).inputs["x"]
        assert taken.shape == (2, batch)
        seen.append(taken.tolist())
    for member, first in enumerate((0, 100)):
        orders = []
        for epoch in range(epochs):
            order = [x for step in seen[3 * epoch : 3 * epoch + 3] for x in step[member]]
            assert len(set(order)) == 18
            assert set(order) <= set(range(first, first + n))
            orders.append(tuple(order))
        assert len(set(orders)) == epochs
        assert set.union(*map(set, orders)) == set(range(first, first + n))


def test_batches_are_a_function_of_seed_and_epoch() -> None:
    n, batch = 20, 6
    data = Data.of([Split(torch.arange(n), {})] * 4)

    def at(seeds: list[int], step: int) -> Tensor:
        some = data.keep(torch.arange(len(seeds)))
        return Minibatches(seeds, n, batch, torch.device("cpu")).of_step(some, step).inputs["x"]

    for step in (0, 2, 3, 100):  # also when an epoch is entered in the middle
        crowd_of = at([5, 7, 5, 9], step)
        assert torch.equal(crowd_of[0], crowd_of[2])
        assert torch.equal(crowd_of[1], at([7], step)[0])
        assert not torch.equal(crowd_of[0], crowd_of[1])
    one = Minibatches([5, 7, 5, 9], n, batch, torch.device("cpu"))
    expected = at([9, 7], 4)
    one.of_step(data, 3)
    one.keep(torch.tensor([3, 1]))
    assert torch.equal(one.of_step(data.keep(torch.tensor([3, 1])), 4).inputs["x"], expected)


@pytest.mark.parametrize("ahead", [2, 5])
def test_orders_drawn_ahead_for_a_device_are_the_same(ahead: int) -> None:
    n, seeds = 20, [5, 7, 5]
    data = Data.of([Split(torch.arange(n), {})] * 3)
    one, far = (Minibatches(seeds, n, 6, torch.device("cpu")) for _ in range(2))
    far.epochs_ahead = ahead
    assert Minibatches(seeds, n, 6, torch.device("meta")).epochs_ahead > 50
    for step in (*range(20), 3, 40):
        assert torch.equal(one.of_step(data, step).inputs["x"], far.of_step(data, step).inputs["x"])
    kept = torch.tensor([1])
    for batches in (one, far):
        batches.keep(kept)
    some = data.keep(kept)
    assert torch.equal(one.of_step(some, 41).inputs["x"], far.of_step(some, 41).inputs["x"])


@pytest.mark.parametrize("batch", [0, 20, 50])
def test_a_batch_of_all_samples_is_full_batch(batch: int) -> None:
    data = Data.of([Split(torch.arange(20), {})])
    taken = Minibatches([1], 20, batch, torch.device("cpu")).of_step(data, 7)
    assert taken.inputs["x"].tolist() == list(range(20))
