"""Many networks of one shape as one batched program.

The parameters of all members lie in one flat [member, parameter] buffer; the networks see views of
it. Forward passes are `torch.func` maps of the user's plain module, so nothing in a task knows that
it is trained in company.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from fullnet.seeding import global_seed
from fullnet.task import Split, Targets, Task


@dataclass(frozen=True)
class Batch:
    """The samples of all members: inputs [member, sample, ...], targets stacked likewise."""

    inputs: Tensor
    targets: Targets

    @staticmethod
    def stack(splits: Sequence[Split], messiness: Sequence[float], device: torch.device) -> Batch:
        """One split a member, each at its own messiness."""
        inputs = torch.stack([s.at(m) for s, m in zip(splits, messiness, strict=True)])
        names = splits[0].targets.keys()
        targets = {k: torch.stack([s.targets[k] for s in splits]).to(device) for k in names}
        return Batch(inputs.to(device), targets)

    def __getitem__(self, members: Tensor) -> Batch:
        return Batch(self.inputs[members], {k: v[members] for k, v in self.targets.items()})

    @property
    def empty(self) -> bool:
        return self.inputs.shape[1] == 0


def initial_parameters(task: Task, seed: int) -> Tensor:
    """The flat parameters [parameter] of a freshly initialised network, each tensor once."""
    with global_seed(seed, "weights"):
        network = task.network()
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()])


class Ensemble:
    """Forward pass, loss gradient and metrics of stacked members.

    Parameters
    ----------
    task : the learning problem, written for one network.
    flat : Tensor [member, parameter]; the ensemble works on this buffer in place.
    """

    def __init__(self, task: Task, flat: Tensor) -> None:
        self.task = task
        with global_seed(0, "shape"):
            self.network = task.network().to(flat.device)
        named = dict(self.network.named_parameters())
        self._names = list(named)
        self._shapes = [p.shape for p in named.values()]
        self._sizes = [p.numel() for p in named.values()]
        self.adopt(flat)

    def adopt(self, flat: Tensor) -> None:
        """Work on another buffer (after members were retired)."""
        self.flat = flat
        self._views = {k: v.requires_grad_() for k, v in self._unstack(flat).items()}
        self._gradient = torch.empty_like(flat)
        self._gradient_views = self._unstack(self._gradient)

    def _unstack(self, flat: Tensor) -> dict[str, Tensor]:
        pieces = torch.split(flat.detach(), self._sizes, dim=1)
        shapes = [(len(flat), *shape) for shape in self._shapes]
        return {n: p.view(s) for n, p, s in zip(self._names, pieces, shapes, strict=True)}

    def _per_member(self, batch: Batch, of_one: Callable[[Tensor, Targets], Tensor]) -> Tensor:
        def one(parameters: Mapping[str, Tensor], inputs: Tensor, targets: Targets) -> Tensor:
            return of_one(functional_call(self.network, dict(parameters), (inputs,)), targets)

        mapped: Tensor = vmap(one, randomness="different")(self._views, batch.inputs, batch.targets)
        return mapped

    def loss_and_gradient(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean loss [member] and its gradient [member, parameter], valid until the next call.

        The gradient is contiguous, because torch's fused optimizers on the CPU go silently wrong on gradients
        that do not share their parameter's layout.
        """
        self.network.train()
        loss = self._per_member(batch, lambda out, y: self.task.loss(out, y).mean())
        gradients = torch.autograd.grad(loss.sum(), list(self._views.values()))
        for view, gradient in zip(self._gradient_views.values(), gradients, strict=True):
            view.copy_(gradient)
        return loss.detach(), self._gradient

    @torch.no_grad()
    def metrics(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean loss [member] and accuracy [member]; NaN where there are no samples."""
        if batch.empty:
            nan = torch.full((len(self.flat),), torch.nan)
            return nan, nan
        self.network.eval()
        loss = self._per_member(batch, lambda out, y: self.task.loss(out, y).mean())
        right = self._per_member(batch, self.task.right)
        return loss, right.to(loss.dtype).mean(1)


def weight_norm(flat: Tensor) -> Tensor:
    """L2 norm of each member's parameters, [member]."""
    norm: Tensor = torch.linalg.vector_norm(flat, dim=1)
    return norm
