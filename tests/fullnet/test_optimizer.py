"""The ensemble's optimizer step is torch's own, member by member."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from groktime.fullnet.engine.optimizer import RULES, Optimizer, Setting, project, weight_norm
from groktime.reduced.law import MOMENTUM

STEPS = 100
SETTINGS = [
    Setting(1e-2, 0.1),
    Setting(1e-2, 0.1),
    Setting(3e-3, 0.0),
    Setting(1e-2, 0.3, (0.8, 0.98)),
    Setting(1e-2, 0.1),
]


def torch_optimizer(rule: str, weights: Tensor, s: Setting) -> torch.optim.Optimizer:
    """The plain form of torch's class, which no kernel of ours is part of."""
    if rule == "adamw":
        return torch.optim.AdamW([weights], lr=s.rate, betas=s.betas, weight_decay=s.decay, foreach=False)
    if rule == "adam":
        return torch.optim.Adam([weights], lr=s.rate, betas=s.betas, foreach=False)
    momentum = MOMENTUM if rule == "momentum" else 0.0
    return torch.optim.SGD([weights], lr=s.rate, momentum=momentum, weight_decay=s.decay, foreach=False)


def slope(goal: Tensor) -> Callable[[Tensor], Tensor]:
    """The gradient of a quartic, so that it changes with the weights."""
    return lambda weights: (weights - goal) + 0.3 * (weights - goal) ** 3


@pytest.mark.parametrize("rule", RULES)
def test_every_member_is_moved_as_torch_moves_it_alone(rule: str) -> None:
    generator = torch.Generator().manual_seed(0)
    flat, goal = torch.randn(2, len(SETTINGS), 17, dtype=torch.float64, generator=generator)
    alone = [row.clone() for row in flat]
    rivals = [torch_optimizer(rule, w, s) for w, s in zip(alone, SETTINGS, strict=True)]
    ours = Optimizer(rule, flat, SETTINGS)
    for step in range(STEPS):
        factor = 1.0 if step < 60 else 0.2
        ours.step(slope(goal)(flat), factor)
        for k, (weights, rival) in enumerate(zip(alone, rivals, strict=True)):
            weights.grad = slope(goal[k])(weights)
            rival.param_groups[0]["lr"] = SETTINGS[k].rate * factor
            rival.step()
        expected = torch.stack(alone)
        apart = (flat - expected).norm(dim=1) / expected.norm(dim=1)
        assert float(apart.max()) <= 1e-12


@pytest.mark.parametrize("rule", RULES)
def test_retiring_and_restoring_change_nothing_for_the_others(rule: str) -> None:
    generator = torch.Generator().manual_seed(1)
    start, goal = torch.randn(2, len(SETTINGS), 9, dtype=torch.float64, generator=generator)
    rows = torch.tensor([0, 3, 4])

    def run(stop: int) -> Tensor:
        flat, at = start.clone(), goal
        optimizer = Optimizer(rule, flat, SETTINGS)
        for step in range(20):
            if step == stop:
                flat, at = flat[rows].contiguous(), at[rows]
                optimizer.keep(rows, flat)
                state = {k: v.clone() for k, v in optimizer.state().items()}
                optimizer = Optimizer(rule, flat, [SETTINGS[k] for k in rows.tolist()])
                optimizer.restore(state)
            optimizer.step(slope(at)(flat))
        return flat

    # Not to the last bit: where a row begins decides which of its numbers the kernel takes by vectors.
    torch.testing.assert_close(run(stop=7), run(stop=20)[rows], rtol=1e-13, atol=1e-14)


def test_a_projected_member_has_its_target_norm() -> None:
    flat = torch.randn(4, 1000, dtype=torch.float64)
    target = torch.tensor([0.1, 1.0, 10.0, 1e3], dtype=torch.float64)
    project(flat, target)
    torch.testing.assert_close(weight_norm(flat), target, rtol=1e-12, atol=0)


def test_second_moments_age_as_if_the_same_gradient_came_again() -> None:
    """By each member's own beta and as many steps as are its own; the first moments stay."""
    flat, gradient = (
        torch.zeros(len(SETTINGS), 5, dtype=torch.float64),
        torch.randn(len(SETTINGS), 5).double(),
    )
    more = torch.tensor([0.0, 1.0, 2.0, 3.0, 40.0])
    optimizer = Optimizer("adamw", flat, SETTINGS)
    optimizer.step(gradient)
    first, second = (m.clone() for m in optimizer.moments)
    optimizer.age(gradient, more, torch.ones(len(SETTINGS)))
    for k, (setting, times) in enumerate(zip(SETTINGS, more.int().tolist(), strict=True)):
        for _ in range(times):
            second[k] = setting.betas[1] * second[k] + (1 - setting.betas[1]) * gradient[k] ** 2
    torch.testing.assert_close(optimizer.moments[1], second, rtol=1e-12, atol=0)
    assert torch.equal(optimizer.moments[0], first)
    Optimizer("momentum", flat, SETTINGS).age(gradient, more, more)


def test_second_moments_remember_as_many_steps_as_they_are_to() -> None:
    """A step and its ageing together keep 1 - 1/least; what forgets as fast by itself is left alone."""
    setting = Setting(1e-3, 1.0, (0.9, 0.98))
    flat, gradient = (torch.zeros(3, 5, dtype=torch.float64), torch.ones(3, 5, dtype=torch.float64))
    optimizer = Optimizer("adamw", flat, [setting] * 3)
    optimizer.moments[1].fill_(3.0)
    optimizer.age(gradient, torch.tensor([100.0] * 3), torch.tensor([10.0, 50.0, 80.0]))
    kept = torch.tensor([0.9 / 0.98, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(optimizer.moments[1][:, 0], 3 * kept + 1 - kept)
