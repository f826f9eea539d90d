"""The tangent of the valley: Lanczos against dense matrices, and the drift against shrinking and
refitting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev

from groktime.fullnet.engine.fresh import trained
from groktime.fullnet.engine.optimizer import Setting
from groktime.fullnet.engine.valley import MOST, valley
from groktime.fullnet.members import Member, Members, Setup
from groktime.fullnet.task import Adam, Problem, Split, Task
from groktime.reduced.drift import Drift

Floats = NDArray[np.float64]

SAMPLES, CUTOFFS = 4, (1e-9, 1e-3, 1e-1)
CELLS = ((1.0, 0.3), (1.4, 0.7), (2.0, 0.5))  # α, m


def _problem(seed: int, n_train: int) -> Problem:
    g = torch.Generator().manual_seed(seed)
    x, ordered, y = (torch.randn(n_train, k, generator=g, dtype=torch.float64) for k in (3, 3, 2))
    split = Split(x, {"y": y}, ordered)
    return Problem(split, split, delta_norm=1.0)


def _decoder() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)).double()


DECODER = Task(
    name="small decoder", network=_decoder, problem=_problem,
    loss=lambda out, y: (out - y["y"]).square().mean(-1),
    right=lambda out, y: (out - y["y"]).square().mean(-1) < 0.01,
    loss_name="mse", n_train=SAMPLES, optimizer=Adam(1e-2), steps=10, messiness=True,
)  # fmt: skip


def members(task: Task, cells: tuple[tuple[float, float], ...], representation: str = "line") -> Members:
    each = [Member(0.0, 1.0, 1.0, alpha, m, SAMPLES, seed) for seed, (alpha, m) in enumerate(cells)]
    return Members(
        Setup(task, representation=representation, dtype="float64"), each, "sgd", [Setting(1.0)] * len(each)
    )


def dense(some: Members, row: int) -> tuple[Floats, Floats, Floats]:
    """H^½ ∂f/∂θ and H^½ ∂f/∂m of a member, and its θ, by torch's own derivatives of the plain module."""
    task, problem = some.setup.task, some.problems[row]
    network = task.network()
    named = trained(network)
    sizes, shapes = [p.numel() for p in named.values()], [p.shape for p in named.values()]

    def out(flat: Tensor, m: Tensor) -> Tensor:
        pieces = zip(named, torch.split(flat, sizes), shapes, strict=True)
        x = problem.train.inputs
        if problem.train.ordered is not None:
            x = m * x + (1 - m) * problem.train.ordered
        found: Tensor = functional_call(network, {k: p.view(s) for k, p, s in pieces}, (x,))
        return found

    def loss(flat_out: Tensor) -> Tensor:
        return task.loss(flat_out.view(SAMPLES, -1), problem.train.targets).mean()

    theta, m = some.flat[row].detach().clone(), some.slow[row, 0].detach().clone()
    h = jacrev(grad(loss))(out(theta, m).flatten())
    values, vectors = torch.linalg.eigh(h)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    j, q = (jacrev(lambda t, x: out(t, x).flatten(), argnums=k)(theta, m) for k in (0, 1))
    return (root @ j).numpy(), (root @ q).numpy(), theta.numpy()


def test_lanczos_is_the_dense_solution() -> None:
    some = members(DECODER, CELLS)
    found = valley(some, CUTOFFS)
    for row in range(len(CELLS)):
        j, q, theta = dense(some, row)
        for k, cutoff in enumerate(CUTOFFS):
            inverse, c = np.linalg.inv(j @ j.T + cutoff * np.eye(len(j))), j @ theta
            exact = c @ inverse @ c / (theta @ theta), c @ inverse @ q, q @ inverse @ q
            np.testing.assert_allclose([x[row, k] for x in found[:3]], exact, rtol=1e-6)
    assert found.steps <= MOST


def test_cross_entropy_weighs_its_outputs() -> None:
    labels = torch.tensor([0, 1, 1, 0])
    task = replace(
        DECODER,
        problem=lambda seed, n: Problem(
            *(replace(_problem(seed, n).train, targets={"y": labels}),) * 2, delta_norm=1.0
        ),
        loss=lambda out, y: nn.functional.cross_entropy(out, y["y"], reduction="none"),
        right=lambda out, y: out.argmax(-1) == y["y"],
    )
    some = members(task, CELLS[:2])
    found = valley(some, [1e-3])
    for row in range(2):
        j, q, theta = dense(some, row)
        inverse, c = np.linalg.inv(j @ j.T + 1e-3 * np.eye(len(j))), j @ theta
        np.testing.assert_allclose(found.normal[row, 0], c @ inverse @ c / (theta @ theta), rtol=1e-6)
        np.testing.assert_allclose(found.turn[row, 0], q @ inverse @ q, rtol=1e-6)


def test_linear_regression_holds_what_its_data_fix() -> None:
    """Two samples of four weights: 1 - normal is what is left of |w|²; without messiness the rest is NaN."""

    def plain(seed: int, n_train: int) -> Problem:
        split = Split(torch.eye(4, dtype=torch.float64)[:2], {"y": torch.ones(2, 1, dtype=torch.float64)})
        return Problem(split, split)

    task = replace(
        DECODER,
        network=lambda: nn.Linear(4, 1, bias=False).double(),
        problem=plain,
        n_train=2,
        messiness=False,
    )
    some = Members(
        Setup(task, dtype="float64"), [Member(0.0, 1.0, 1.0, 1.0, 1.0, 2, 0)], "sgd", [Setting(1.0)]
    )
    weights = some.flat[0].detach().numpy()
    found = valley(some, [1e-9])
    assert found.normal[0, 0] == pytest.approx((weights[:2] ** 2).sum() / (weights**2).sum(), rel=1e-6)
    assert np.isnan(found.overlap).all() and np.isnan(found.turn).all()


def refitted(some: Members, row: int, ratio: float, dtau: float) -> tuple[float, float]:
    """-Δu/Δτ and -Δm/Δτ of a probe: shrink, and go back to the outputs as they were, by the shortest way in
    θ and m/√ρ (Gauss and Newton), which is that of gradient descent with m free."""
    task, problem = some.setup.task, some.problems[row]
    network, theta = task.network(), some.flat[row].detach().clone()
    named = trained(network)
    sizes, shapes = [p.numel() for p in named.values()], [p.shape for p in named.values()]

    def out(x: Tensor) -> Tensor:
        pieces = zip(named, torch.split(x[:-1], sizes), shapes, strict=True)
        m = x[-1] * ratio**0.5
        seen = m * problem.train.inputs + (1 - m) * _ordered(problem)
        found: Tensor = functional_call(network, {k: p.view(s) for k, p, s in pieces}, (seen,))
        return found.flatten()

    m = some.slow[row, 0].detach() / ratio**0.5
    x = torch.cat([theta, m[None]])
    target = out(x)
    x = torch.cat([theta * np.exp(-dtau), m[None]])
    for _ in range(6):
        x = x - torch.linalg.pinv(jacrev(out)(x)) @ (out(x) - target)
    assert float((out(x) - target).abs().max()) < 1e-9
    du = float(x[:-1].norm().log() - theta.norm().log())
    return -du / dtau, -float(x[-1] - m) * ratio**0.5 / dtau


def _ordered(problem: Problem) -> Tensor:
    assert problem.train.ordered is not None
    return problem.train.ordered


@pytest.mark.parametrize("ratio", [1.0, 0.1])
def test_probes_go_to_the_projection_in_first_order(ratio: float) -> None:
    """On three cells, at two Δτ: the error of a probe is halved with Δτ."""
    some = members(DECODER, CELLS)
    found = valley(some, [1e-10, 1e-9])
    for row in range(len(CELLS)):
        u = np.log(np.linalg.norm(some.flat[row].detach().numpy()))
        grid = np.array([u - 1, u, u + 1])
        drift = Drift.of(
            np.array([1e-10, 1e-9]), grid, np.array([0.0, 1.0]),
            *(np.broadcast_to(x[row][:, None, None], (2, 2, 3)) for x in found[:3]),
        )  # fmt: skip
        at = np.array([u]), np.array([0.5]), np.array([1e-10]), np.array([ratio])
        a, b = drift.terms(*at)[:2, 0, 0]
        coarse, fine = (refitted(some, row, ratio, dtau) for dtau in (2e-3, 1e-3))
        for exact, one, other in zip((a, b), coarse, fine, strict=True):
            assert other == pytest.approx(exact, rel=2e-2, abs=1e-4)
            assert 2 * other - one == pytest.approx(exact, rel=1e-4, abs=1e-6)  # Richardson
            assert (one - exact) / (other - exact) == pytest.approx(2, rel=0.05)
