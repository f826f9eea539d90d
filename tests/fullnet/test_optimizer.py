"""The ensemble's optimizer step is torch's own, member by member."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from groktime.fullnet.engine.optimizer import RULES, Optimizer, Setting, project, weight_norm
from groktime.fullnet.engine.rules import UPDATES
from groktime.reduced import law
from groktime.reduced.law import MOMENTUM, law_by

STEPS = 100
SETTINGS = [
    Setting(1e-2, 0.1),
    Setting(1e-2, 0.1),
    Setting(3e-3, 0.0),
    Setting(1e-2, 0.3, (0.8, 0.98)),
    Setting(1e-2, 0.1),
]


class Plain(torch.optim.Optimizer):
    """Optimizers that torch has not, from their papers: SGDW and Lion, one tensor at a time."""

    def __init__(self, weights: Tensor, s: Setting, rule: str) -> None:
        super().__init__([weights], {"lr": s.rate})
        self.s, self.rule, self.kept = s, rule, torch.zeros_like(weights)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        (w,), rate, g = self.param_groups[0]["params"], self.param_groups[0]["lr"], None
        g, beta1, beta2 = w.grad, *self.s.betas
        if self.rule == "sgdw":
            self.kept = self.s.momentum * self.kept + g
            w.copy_(w - rate * self.s.decay * w - rate * self.kept)
        else:
            update = torch.sign(beta1 * self.kept + (1 - beta1) * g)
            w.copy_(w - rate * (update + self.s.decay * w))
            self.kept = beta2 * self.kept + (1 - beta2) * g


def torch_optimizer(rule: str, weights: Tensor, s: Setting) -> torch.optim.Optimizer:
    """The plain form of torch's class, which no kernel of ours is part of."""
    if rule in ("adamw", "muon"):  # of Muon: what is no matrix
        return torch.optim.AdamW([weights], lr=s.rate, betas=s.betas, weight_decay=s.decay, foreach=False)
    if rule in ("adam", "adam_l2"):
        decay = s.decay if rule == "adam_l2" else 0.0
        return torch.optim.Adam([weights], lr=s.rate, betas=s.betas, weight_decay=decay, foreach=False)
    if rule in ("sgdw", "lion"):
        return Plain(weights, s, rule)
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


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule in UPDATES and not UPDATES[rule].coupled])
@pytest.mark.parametrize("part", [False, True])
def test_decays_done_at_once_are_the_same(rule: str, part: bool) -> None:
    """As on an accelerator, where members that differ in their decay alone are one call."""
    settings = [Setting(1e-2, 0.1), Setting(1e-2, 0.3), Setting(1e-2, 0.0), Setting(3e-3, 0.2)]
    decays = torch.arange(6) < 4 if part else None
    both = [torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(4, 6).clone() for _ in range(2)]
    one, far = (Optimizer(rule, flat, settings, decays, shapes=[(6,)]) for flat in both)
    far.decays_at_once = UPDATES[rule].decays
    far.keep(torch.arange(4), both[1])
    assert len(far._groups) == (2 if UPDATES[rule].decays else len(one._groups))
    for step in range(STEPS):
        for optimizer, flat in ((one, both[0]), (far, both[1])):
            optimizer.step(flat**3 - 0.3, factor=1.0 if step % 2 else 0.5)
        torch.testing.assert_close(both[0], both[1], rtol=1e-12, atol=1e-12)


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


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_matrices_are_moved_as_torch_s_muon_moves_them(shape: tuple[int, int]) -> None:
    """A bias, a matrix and another bias. Torch's iteration is in bfloat16, in which several matrices at once
    need not be rounded as one is: steps are compared one by one, from the same weights."""
    generator = torch.Generator().manual_seed(4)
    shapes, sizes = ((3,), shape, (2,)), [3, shape[0] * shape[1], 2]
    settings = [Setting(1e-2, 0.3, momentum=0.95), Setting(5e-3, 0.0, momentum=0.9)]
    flat = torch.randn(2, sum(sizes), dtype=torch.float64, generator=generator)
    ours, rivals = Optimizer("muon", flat, settings, shapes=shapes), []
    for s in settings:
        parts = [nn.Parameter(torch.zeros(x, dtype=torch.float64)) for x in shapes]
        muon = torch.optim.Muon([parts[1]], lr=s.rate, weight_decay=s.decay, momentum=s.momentum)
        adamw = torch.optim.AdamW([parts[0], parts[2]], lr=s.rate, betas=s.betas, weight_decay=s.decay)
        rivals.append((parts, muon, adamw))
    for _ in range(20):
        gradient = torch.randn(flat.shape, dtype=torch.float64, generator=generator)
        before = flat.clone()
        ours.step(gradient)
        for k, (parts, muon, adamw) in enumerate(rivals):
            for p, w, g in zip(parts, before[k].split(sizes), gradient[k].split(sizes), strict=True):
                p.data.copy_(w.reshape(p.shape))
                p.grad = g.reshape(p.shape).clone()
            muon.step()
            adamw.step()
            bias, matrix, other = flat[k].split(sizes)
            torch.testing.assert_close(bias, parts[0].detach(), rtol=1e-12, atol=1e-14)
            torch.testing.assert_close(other, parts[2].detach(), rtol=1e-12, atol=1e-14)
            moved = (parts[1].detach().reshape(-1) - before[k].split(sizes)[1]).norm()
            assert float((matrix - parts[1].detach().reshape(-1)).norm() / moved) < 0.02


def test_the_rules_are_those_of_the_theory() -> None:
    assert (*RULES, law.OWN) == law.RULES
    for rule in RULES:
        assert UPDATES[rule].coupled == (law_by(rule).coupled and rule != "sgd")  # whose two are one
