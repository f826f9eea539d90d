"""Training on the sphere: the same numbers as one network alone, and rest at a known minimum."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.procedures.sphere import Cell, Metrics, minimize
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks import addition
from groktime.reduced.law import Schedule

GOAL = torch.tensor([2.0, 0.5])
LOSSES = ("train_loss", "test_loss")


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square()


class Line(nn.Module):
    """x -> w·x from a chosen start."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(start.clone())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w


def bowl(start: Tensor, goal: Tensor = GOAL, **settings: object) -> Task:
    """A regression whose training loss is |w - goal|²/d, so that its minimum at |w| = r is
    (|goal| - r)²/d in the direction of the goal. The goal of seed s is 1 + s times as far away. The
    "test loss" is |w|²/d: it reports the norm."""
    axes = torch.eye(len(goal))

    def problem(seed: int, n_train: int) -> Problem:
        own = goal * (1 + seed)
        return Problem(Split(axes, {"y": own}), Split(axes, {"y": torch.zeros(len(goal))}))

    task = Task(
        name="bowl",
        network=lambda: Line(start),
        problem=problem,
        loss=squared,
        right=lambda output, targets: squared(output, targets) < 0.01,
        loss_name="mse",
        n_train=len(goal),
        optimizer=Adam(3e-3),
        steps=300,
    )
    return replace(task, **settings)  # type: ignore[arg-type]


def tanh_net(n_train: int = 12) -> Task:
    """A small non-linear task with messiness and a seeded initialization."""

    def problem(seed: int, n_train: int) -> Problem:
        g = torch.Generator().manual_seed(seed)
        random, ordered = torch.randn(2, 20, 3, generator=g)
        y = torch.sin(ordered.sum(1))
        train, test = slice(0, n_train), slice(n_train, 20)
        return Problem(
            Split(random[train], {"y": y[train]}, ordered[train]),
            Split(random[test], {"y": y[test]}, ordered[test]),
        )

    return Task(
        name="tanh",
        network=lambda: nn.Sequential(
            nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(-2)
        ),
        problem=problem,
        loss=squared,
        right=lambda output, targets: squared(output, targets) < 0.05,
        loss_name="mse",
        n_train=n_train,
        optimizer=Adam(3e-3, betas=(0.8, 0.98)),
        steps=50,
        messiness=True,
    )


def one_network(
    task: Task, cell: Cell, steps: int, gradient: str = "full", scheduled: bool = False
) -> NDArray[np.float64]:
    """The obvious loop in plain PyTorch; train and test loss after each step, [2, step]."""
    start = initial_parameters(task, cell.seed) * cell.alpha
    norm = start.norm()
    network = task.network()
    vector_to_parameters(start, network.parameters())
    parameters = list(network.parameters())
    adam = torch.optim.Adam(
        parameters, lr=task.optimizer.rate, betas=task.optimizer.betas, fused=False, foreach=False
    )
    falls = task.optimizer.sampling
    every, factor = (falls.steps, falls.factor) if scheduled and falls.steps else (steps + 1, 1.0)
    schedule = torch.optim.lr_scheduler.StepLR(adam, every, factor)
    data = task.problem(cell.seed, cell.n_train)
    splits = [(s.at(cell.m), s.targets) for s in (data.train, data.test)]
    losses = []
    for _ in range(steps):
        inputs, targets = splits[0]
        loss = task.loss(network(inputs), targets).mean()
        given = parameters_to_vector(torch.autograd.grad(loss, parameters))
        w = parameters_to_vector(parameters).detach()
        if gradient == "tangent":
            given = given - (given @ w) / (w @ w) * w
        sizes = [p.numel() for p in parameters]
        for p, g in zip(parameters, torch.split_with_sizes(given, sizes), strict=True):
            p.grad = g.view_as(p).clone()
        adam.step()
        schedule.step()
        with torch.no_grad():
            w = parameters_to_vector(parameters)
            vector_to_parameters(w * (norm / w.norm()), parameters)
            losses.append([float(task.loss(network(x), y).mean()) for x, y in splits])
    return np.array(losses).T


def cells(task: Task) -> list[Cell]:
    grid = [(0, 0.2, 0.5), (1, 0.7, 1.0), (2, 0.0, 2.0), (1, 1.0, 4.0), (0, 0.2, 1.5)]
    return [Cell(seed, task.n_train, m, alpha) for seed, m, alpha in grid]


def assert_same(one: Metrics, other: Metrics, pick: object = slice(None), rtol: float = 1e-4) -> None:
    """All metrics of the cells picked from `one` are those of `other`."""
    for f in fields(Metrics):
        assert_allclose(getattr(one, f.name)[:, pick], getattr(other, f.name), rtol, err_msg=f.name)


@pytest.mark.parametrize("gradient", ["full", "tangent"])
def test_every_step_is_that_of_plain_adam_with_rescaling(gradient: str) -> None:
    task = tanh_net()
    together = minimize(task, cells(task), range(1, 51), gradient)
    for k, cell in enumerate(cells(task)):
        alone = one_network(task, cell, 50, gradient)
        for name, expected in zip(LOSSES, alone, strict=True):
            assert_allclose(getattr(together, name)[:, k], expected, rtol=2e-4, err_msg=name)


def test_a_step_on_addition_is_that_of_plain_adam_with_rescaling() -> None:
    task = addition(variant="official")
    two = [Cell(0, 45, 0.1, 2.0), Cell(3, 45, 0.0, 6.0)]
    together = minimize(task, two, range(1, 51), "full")
    for k, cell in enumerate(two):
        expected = one_network(task, cell, 50)[0]
        # ReLU kinks and a rate of 1e-2 amplify the last bit of float32; 1e-3 is still far below
        # what one wrong step would do (the loss falls by more than that in most steps).
        assert_allclose(together.train_loss[:, k], expected, rtol=1e-3)


@pytest.mark.parametrize("gradient", ["full", "tangent"])
def test_the_norm_stays_at_its_target(gradient: str) -> None:
    task = bowl(torch.tensor([-0.3, 0.4]))
    out = minimize(task, [Cell(0, 2, 1.0, a) for a in (0.1, 1.0, 3.0, 30.0)], (1, 10, 300), gradient)
    norm = np.sqrt(2 * out.test_loss)
    assert_allclose(norm, np.tile([0.05, 0.5, 1.5, 15.0], (3, 1)), rtol=1e-6)


def test_the_tangent_gradient_finds_the_minimum_on_the_sphere() -> None:
    radius = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    task = bowl(torch.tensor([-0.3, 0.4]), optimizer=Adam(1e-2))
    out = minimize(task, [Cell(0, 2, 1.0, r / 0.5) for r in radius], (1500,))
    assert_allclose(out.train_loss[0], (float(GOAL.norm()) - radius) ** 2 / 2, rtol=1e-3, atol=1e-5)


def test_the_tangent_gradient_rests_at_a_minimum_from_which_the_full_one_drifts() -> None:
    # At the minimum w ~ goal inside the sphere of the goal, g ~ -w. Adam turns that into a step along
    # sign(w) = (1, 1), which turns w towards the diagonal: there, not at the minimum, it would rest.
    radius = 0.5
    task = bowl(GOAL * (radius / GOAL.norm()), optimizer=Adam(1e-2))
    least = (float(GOAL.norm()) - radius) ** 2 / 2
    here, budgets = [Cell(0, 2, 1.0, 1.0)], (1, 30, 300, 1000)
    tangent = minimize(task, here, budgets, "tangent").train_loss[:, 0]
    full = minimize(task, here, budgets, "full").train_loss[:, 0]
    assert_allclose(tangent, least, rtol=1e-4)
    assert (np.diff(full) > 0).all()
    assert 1.08 * least < full[-1] < float((GOAL - radius / 2**0.5).square().mean())


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [3]])
def test_a_cell_is_the_same_alone_and_in_company(order: list[int]) -> None:
    task = tanh_net()
    chosen = [cells(task)[k] for k in order]
    together = minimize(task, chosen, (10, 40))
    for place, cell in enumerate(chosen):
        assert_same(together, minimize(task, [cell], (10, 40)), [place])


def test_a_second_run_is_bit_for_bit_the_same() -> None:
    task = tanh_net()
    torch.manual_seed(0)
    first = minimize(task, cells(task), (5, 20))
    torch.manual_seed(1)
    second = minimize(task, cells(task), (5, 20))
    for f in fields(Metrics):
        assert_array_equal(getattr(first, f.name), getattr(second, f.name))


def test_retiring_cells_changes_nothing_for_the_others() -> None:
    # Norm 1 reaches the goal of norm 1 and retires; the others do not reach theirs.
    budgets = (60, 250, 450)
    task = bowl(torch.tensor([0.6, 0.8]), torch.tensor([0.28, 0.96]))
    company = [Cell(seed, 2, 1.0, r) for seed, r in ((0, 1.0), (1, 0.5), (0, 1.0), (2, 2.0))]
    done: list[int] = []
    out = minimize(replace(task, stop_loss=1e-4), company, budgets, on_steps=done.append)
    plain = minimize(task, company, budgets)
    assert done[0] == 4
    assert done[-1] == 2
    for f in fields(Metrics):
        ours, theirs = getattr(out, f.name), getattr(plain, f.name)
        assert_allclose(ours[:, [1, 3]], theirs[:, [1, 3]], rtol=1e-6, err_msg=f.name)
    assert (out.train_loss[1:, [0, 2]] < 1e-4).all()
    assert out.converged[1:, [0, 2]].all()
    assert_array_equal(out.train_loss[1, [0, 2]], out.train_loss[2, [0, 2]])  # frozen where it stopped


def test_a_run_ends_when_all_cells_have_retired() -> None:
    task = bowl(torch.tensor([0.6, 0.8]), torch.tensor([0.28, 0.96]), stop_loss=1e-4)
    done: list[int] = []
    out = minimize(task, [Cell(0, 2, 1.0, 1.0)] * 3, (10_000, 20_000), on_steps=done.append)
    assert len(done) < 1000
    assert (out.train_loss < 1e-4).all()
    assert out.converged.all()


def test_snapshots_are_the_results_of_shorter_runs() -> None:
    task = tanh_net()
    snapshots = minimize(task, cells(task), (7, 20, 45))
    for k, budget in enumerate((7, 20, 45)):
        shorter = minimize(task, cells(task), (budget,))
        for f in fields(Metrics):
            assert_array_equal(getattr(snapshots, f.name)[k], getattr(shorter, f.name)[0])


def test_the_rate_falls_as_scheduled() -> None:
    constant, falling = Adam(1e-2), Adam(1e-2, sampling=Schedule("step", 5, 0.2))
    assert [constant.sampling.at(s) for s in (0, 10**6)] == [1, 1]
    assert [falling.sampling.at(s) for s in (0, 4, 5, 9, 10)] == pytest.approx([1, 1, 0.2, 0.2, 0.04])
    task = replace(tanh_net(), optimizer=falling)
    together = minimize(task, cells(task)[:2], range(1, 21), "full")
    for k, cell in enumerate(cells(task)[:2]):
        expected = one_network(task, cell, 20, scheduled=True)[0]
        assert_allclose(together.train_loss[:, k], expected, rtol=1e-4)
        assert abs(expected[-1] / one_network(task, cell, 20)[0, -1] - 1) > 0.01  # the schedule matters


def test_converged_says_whether_the_loss_still_falls() -> None:
    task = bowl(torch.tensor([-0.3, 0.4]), optimizer=Adam(1e-2))
    out = minimize(task, [Cell(0, 2, 1.0, 1.0), Cell(0, 2, 1.0, 2.0)], (60, 100, 1500))
    # The larger sphere has the longer way to go.
    assert out.converged.tolist() == [[False, False], [True, False], [True, True]]


def test_a_single_step_is_never_called_converged() -> None:
    task = bowl(GOAL * 0.1)
    assert not minimize(task, [Cell(0, 2, 1.0, 1.0)], (1,)).converged.any()


def test_a_loss_that_rises_is_not_converged() -> None:
    task = bowl(torch.tensor([1.9, 0.6]), optimizer=Adam(1.0))  # near the goal, steps as long as w
    out = minimize(task, [Cell(0, 2, 1.0, 1.0)], (1, 2))
    before = float((GOAL - torch.tensor([1.9, 0.6])).square().mean())
    assert out.train_loss[0, 0] > 2 * before
    assert not out.converged.any()


def test_a_cell_below_stop_loss_is_converged_at_whatever_budget() -> None:
    still_falling = bowl(torch.tensor([0.6, 0.8]), torch.tensor([0.28, 0.96]))
    here, budget = [Cell(0, 2, 1.0, 1.0)], 150
    plain = minimize(still_falling, here, (budget,))
    assert not plain.converged.any()
    loss = float(plain.train_loss[0, 0])
    out = minimize(replace(still_falling, stop_loss=2 * loss), here, (budget,))
    assert float(out.train_loss[0, 0]) < 2 * loss
    assert out.converged.all()
