"""What the training set holds of a network under decay: the tangent of its zero-loss valley.

With y = H^½ f the outputs on the training set, weighted by the curvature H of the mean loss, A = ∂y/∂(θ, m)
and S = diag(1, ρ), ρ = η_R/η_D, decay along the valley is the flow

    d(θ, m)/dτ = -(I - S Aᵀ(A S Aᵀ + ε)⁻¹ A)(θ, 0),    τ = η_D γ t.

ε = γ is a cutoff: what the loss pulls back more slowly than decay pulls away is held by nothing (linearized,
the relation is that of an implicit Euler step of Δτ = 1; ε = 0 is the exact projection). Of all this (w, m)
feels three numbers, in K = A_θ A_θᵀ, c = A_θ θ and q = A_m, from which `reduced.drift` has the drift for
every ρ:

    normal = cᵀ(K + ε)⁻¹c / w²    overlap = cᵀ(K + ε)⁻¹q    turn = qᵀ(K + ε)⁻¹q.

They are found for all ε at once by block Lanczos on K from (c, q), in products of A and Aᵀ with vectors
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, jacrev, vjp, vmap

from groktime.fullnet.engine.ensemble import Named
from groktime.fullnet.engine.optimizer import weight_norm
from groktime.fullnet.engine.samples import Samples
from groktime.fullnet.members import Members

Floats = NDArray[np.float64]

MOST = 200  # Lanczos steps: A and Aᵀ are each applied so often
_SETTLED = 1e-2  # of the numbers, from a look to the next
_LOOK = 20


class Valley(NamedTuple):
    """`normal`, `overlap`, `turn` as above, [row, cutoff]: the share of θ that the loss holds, how far m goes
    with it, and |∂θ/∂m|². The last two are NaN without messiness. `steps`: of Lanczos."""

    normal: Floats
    overlap: Floats
    turn: Floats
    steps: int


class Linear(NamedTuple):
    """A of all rows at their present weights. `forward`: tangents of the weights [row, parameter] and of the
    slow variables [row, k] -> [row, residual]; `back`: the transpose, by the weights alone, -> [row,
    parameter]."""

    forward: Callable[[Tensor, Tensor], Tensor]
    back: Callable[[Tensor], Tensor]


def linear(members: Members) -> Linear:
    """A of the members. Its products are in their number format, and returned in double precision."""
    ensemble, samples = members.ensemble, members.train.samples()
    views, slow = ensemble.unstack(members.flat), members.slow
    ensemble.network.train()
    root = _roots(members, samples, views, slow)

    def outputs(views: Named, slow: Tensor) -> Tensor:
        out = ensemble.mapped(samples, lambda out, _: out.reshape(len(out), -1), views, slow)
        return (root @ out.unsqueeze(-1)).flatten(1)

    def pulled(z: Tensor) -> tuple[Named, Tensor]:
        found: tuple[Named, Tensor] = vjp(outputs, views, slow)[1](z)
        return found

    # Aᵀz is linear in z, so that its derivative by z is A: two graphs that are made once and run backwards,
    # which any network can that can be trained
    start = root.new_zeros(root.shape[0], root.shape[1] * root.shape[2])
    with torch.no_grad():
        pull: Callable[[Tensor], tuple[Named, Tensor]] = vjp(outputs, views, slow)[1]
        push: Callable[[tuple[Named, Tensor]], tuple[Tensor]] = vjp(pulled, start)[1]

    def forward(by_weights: Tensor, by_slow: Tensor) -> Tensor:
        with torch.no_grad():
            (found,) = push((ensemble.unstack(by_weights.to(slow)), by_slow.to(slow)))
        return found.double()

    def back(z: Tensor) -> Tensor:
        with torch.no_grad():
            by_weights, _ = pull(z.to(slow))
        return torch.cat([g.flatten(1) for g in by_weights.values()], 1)

    return Linear(forward, back)


def _roots(members: Members, samples: Samples, views: Named, slow: Tensor) -> Tensor:
    """H^½ of each sample's loss by its outputs, [row, sample, output, output], of the mean over the
    samples."""

    def curvature(out: Tensor, targets: Named) -> Tensor:
        alone = {k: v.unsqueeze(0) if k not in common else v for k, v in targets.items()}
        loss: Tensor = members.setup.task.loss(out.unsqueeze(0), alone).sum()
        return loss

    common = set(samples.common)

    def of_one(out: Tensor, targets: Named) -> Tensor:
        each = {k: None if k in common else 0 for k in targets}
        found: Tensor = vmap(jacrev(grad(curvature)), in_dims=(0, each))(out, dict(targets))
        return found

    with torch.no_grad():
        h = members.ensemble.mapped(samples, of_one, views, slow)
    size = int(np.sqrt(h[0, 0].numel()))
    values, vectors = torch.linalg.eigh(h.reshape(*h.shape[:2], size, size) / len(samples))
    root: Tensor = (vectors * values.clamp(min=0).sqrt().unsqueeze(-2)) @ vectors.mT
    return root


def valley(members: Members, cutoffs: Sequence[float], most: int = MOST) -> Valley:
    """The numbers of each row at its present weights, for ascending cutoffs ε > 0 (per step and η, as γ
    is)."""
    theta = members.flat.detach().double()
    if members.decays is not None:
        theta = theta * members.decays
    a, still = linear(members), torch.zeros_like(members.slow)
    start = [a.forward(theta, still)]
    messy = members.setup.task.messiness
    if messy:
        push = still.clone()
        push[:, 0] = 1.0
        start.append(a.forward(torch.zeros_like(theta), push))

    def kernel(block: Tensor) -> Tensor:  # [row, residual, vector]
        return torch.stack([a.forward(a.back(z), still) for z in block.unbind(-1)], -1)

    form, steps = _forms(kernel, torch.stack(start, -1), np.asarray(cutoffs, float), most)
    w2 = weight_norm(theta).square().cpu().numpy()[:, None]
    nothing = np.full(form.shape[:2], np.nan)
    normal = form[..., 0, 0] / w2
    overlap, turn = (form[..., 0, 1], form[..., 1, 1]) if messy else (nothing, nothing)
    return Valley(normal, overlap, turn, steps)


def _forms(
    kernel: Callable[[Tensor], Tensor], start: Tensor, cutoffs: Floats, most: int
) -> tuple[Floats, int]:
    """Bᵀ(K + ε)⁻¹B for B = `start` [row, residual, vector], [row, cutoff, vector, vector], and the steps
    taken."""
    q, r = torch.linalg.qr(start)
    known = [q]
    diagonal: list[Tensor] = []
    off: list[Tensor] = []
    last = None
    for step in range(min(most, start.shape[1] // start.shape[2])):
        next_ = kernel(known[-1])
        diagonal.append(known[-1].mT @ next_)
        base = torch.cat(known, -1)
        for _ in range(2):  # Gram and Schmidt twice: the vectors stay orthogonal to rounding
            next_ = next_ - base @ (base.mT @ next_)
        q, below = torch.linalg.qr(next_)
        if (step + 1) % _LOOK == 0 or step + 1 == most:
            form = _quadrature(diagonal, off, r, cutoffs)
            if last is not None and np.all(np.abs(form - last) <= _SETTLED * np.abs(form) + 1e-12):
                return form, step + 1
            last = form
        known.append(q)
        off.append(below)
    return _quadrature(diagonal, off, r, cutoffs), len(diagonal)


def _quadrature(diagonal: list[Tensor], off: list[Tensor], r: Tensor, cutoffs: Floats) -> Floats:
    k, b = len(diagonal), r.shape[-1]
    t = r.new_zeros(len(r), k * b, k * b)
    for j, block in enumerate(diagonal):
        t[:, j * b : (j + 1) * b, j * b : (j + 1) * b] = (block + block.mT) / 2
    for j, block in enumerate(off[: k - 1]):
        t[:, (j + 1) * b : (j + 2) * b, j * b : (j + 1) * b] = block
        t[:, j * b : (j + 1) * b, (j + 1) * b : (j + 2) * b] = block.mT
    values, vectors = torch.linalg.eigh(t)
    first = vectors[:, :b].mT @ r  # [row, eigenvalue, vector]
    weights = 1 / (values.clamp(min=0).unsqueeze(1) + torch.as_tensor(cutoffs)[:, None])
    return torch.einsum("rea,rce,reb->rcab", first, weights, first).numpy()
