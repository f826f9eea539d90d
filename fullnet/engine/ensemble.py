"""Many networks of one shape as one batched program.

The parameters of all members lie in one flat [member, parameter] buffer; the networks see views of
it. Forward passes are `torch.func` maps of the user's plain module, so nothing in a task knows that
it is trained in company. A module that cannot be mapped is run member by member: slower, and correct.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from groktime.fullnet.engine.norms import part_norms
from groktime.fullnet.engine.optimizer import clip
from groktime.fullnet.engine.representation import Line, Representation
from groktime.fullnet.engine.samples import Data, Samples, slices
from groktime.fullnet.seeding import global_seed
from groktime.fullnet.task import Task

Named = Mapping[str, Tensor]
OfOne = Callable[[Tensor, Named], Tensor]  # (output, targets) of one member -> a tensor


def initial_parameters(task: Task, seed: int) -> Tensor:
    """The flat parameters [parameter] of a freshly initialized network, each tensor once."""
    with global_seed(seed, "weights"):
        network = task.network()
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()])


class Ensemble:
    """Forward pass, loss gradient and metrics of stacked members.

    Parameters
    ----------
    task : the learning problem, written for one network.
    flat : Tensor [member, parameter]; the ensemble works on this buffer in place.
    slow : Tensor [member, k], the slow variables of the representation (see there), in place; for a
        fixed one the messiness (default 1).
    compiled : have torch compile the loss and its gradient into one program for this machine, which
        takes some seconds at the first step; where that fails, go on without, with a warning.
    """

    def __init__(
        self,
        task: Task,
        flat: Tensor,
        slow: Tensor | None = None,
        representation: Representation | None = None,
        compiled: bool = False,
    ) -> None:
        self.task = task
        self.representation = representation if representation is not None else Line(trained=False)
        with global_seed(0, "shape"):
            self.network = task.network().to(flat.device, flat.dtype)
        named = dict(self.network.named_parameters())
        self._names = list(named)
        self._shapes = [p.shape for p in named.values()]
        self._sizes = [p.numel() for p in named.values()]
        self._one_by_one = False
        self._compiled = compiled
        self.adopt(flat, torch.ones(len(flat), 1).to(flat) if slow is None else slow)

    def adopt(self, flat: Tensor, slow: Tensor) -> None:
        """Work on other buffers (after members were retired)."""
        self.flat = flat
        self._views = {k: v.requires_grad_() for k, v in self._unstack(flat).items()}
        self._gradient = torch.empty_like(flat)
        self._gradient_views = self._unstack(self._gradient)
        self._slow = slow.detach().requires_grad_(self.representation.trained)

    def _unstack(self, flat: Tensor) -> dict[str, Tensor]:
        pieces = torch.split(flat.detach(), self._sizes, dim=1)
        shapes = [(len(flat), *shape) for shape in self._shapes]
        return {n: p.view(s) for n, p, s in zip(self._names, pieces, shapes, strict=True)}

    def _per_member(self, samples: Samples, of_one: OfOne) -> Tensor:
        def one(parameters: Named, slow: Tensor, inputs: Named, targets: Named, common: Named) -> Tensor:
            seen = self.representation.inputs(slow, inputs)
            return of_one(functional_call(self.network, dict(parameters), (seen,)), {**targets, **common})

        own = 0 if samples.mapped else None
        given = (samples.inputs, samples.targets, samples.common)
        if not self._one_by_one:
            try:
                mapped = vmap(one, in_dims=(0, 0, own, own, own), randomness="different")
                return mapped(self._views, self._slow, *given)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[0]
        each = []
        for k in range(len(self.flat)):
            inputs, targets, common = (_row(g, k) for g in given) if samples.mapped else given
            each.append(one(_row(self._views, k), self._slow[k], inputs, targets, common))
        together = torch.stack(each)
        if not self._one_by_one:  # it was the mapping that failed, not the network
            self._one_by_one = True
            warnings.warn(
                f"{self.task.name}: the network cannot be mapped over members ({reason}); "
                "they are run one after the other, which is slower",
                stacklevel=2,
            )
        return together

    def loss_and_gradient(self, samples: Samples) -> tuple[Tensor, Tensor, Tensor | None]:
        """Mean loss [member], its gradient [member, parameter], valid until the next call, and that by
        the slow variables [member, k] if they are trained. Of a task with `clip`, the gradient is cut.

        The gradient is contiguous, because torch's fused optimizers on the CPU go silently wrong on gradients
        that do not share their parameter's layout.
        """
        self.network.train()
        loss, slow = self._differentiated(samples)
        if self.task.clip:
            clip(self._gradient, self.task.clip)
        return loss, self._gradient, slow

    def _differentiated(self, samples: Samples) -> tuple[Tensor, Tensor | None]:
        """The loss, and its gradient by the slow variables; that by the parameters is kept."""
        if self._compiled:
            try:
                return self._by_program(samples)
            except Exception as error:  # whatever a machine's compiler comes up with
                self._compiled = False
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                text = f"{self.task.name}: cannot be compiled here ({reason}); goes on uncompiled, slower"
                warnings.warn(text, stacklevel=2)
        loss = self._per_member(samples, lambda out, y: self.task.loss(out, y).mean())
        slow = [self._slow] if self.representation.trained else []
        gradients = torch.autograd.grad(loss.sum(), [*self._views.values(), *slow])
        self._keep(gradients)
        return loss.detach(), gradients[-1].contiguous() if slow else None

    @torch.no_grad()
    def _keep(self, gradients: Iterable[Tensor]) -> None:
        for view, gradient in zip(self._gradient_views.values(), gradients, strict=False):
            view.copy_(gradient)

    @torch.no_grad()
    def _by_program(self, samples: Samples) -> tuple[Tensor, Tensor | None]:
        program = _program(self.task, self.network, self.representation, samples.mapped)
        views = {k: v.detach() for k, v in self._views.items()}
        (by_weights, by_slow), loss = program(
            views, self._slow.detach(), samples.inputs, samples.targets, samples.common
        )
        self._keep(by_weights[name] for name in self._names)
        return loss, by_slow.contiguous() if self.representation.trained else None

    @torch.no_grad()
    def part_norms(self) -> Tensor:
        """Norms of the task's parts, [part, member]."""
        return part_norms(self.task.parts, self._views)

    @torch.no_grad()
    def metrics(self, data: Data) -> tuple[Tensor, Tensor]:
        """Mean loss [member] and accuracy [member]; NaN where there are no samples.

        Accuracies are exact shares in float64: in float32, 95 of 100 would lie below a threshold of 0.95.
        """
        if data.empty:
            nan = torch.full((len(self.flat),), torch.nan)
            return nan, nan
        self.network.eval()
        samples = data.samples()
        sums = torch.zeros(len(self.flat), 2, dtype=self.flat.dtype, device=self.flat.device)

        def loss_and_right(out: Tensor, targets: Named) -> Tensor:
            loss = self.task.loss(out, targets).sum()
            return torch.stack([loss, self.task.right(out, targets).sum().to(loss.dtype)])

        for first, last in slices(len(samples), len(self.flat)):
            sums += self._per_member(samples.slice(first, last), loss_and_right)
        loss, right = sums.unbind(1)
        return loss / len(samples), right.cpu().double() / len(samples)


_PROGRAMS: dict[tuple[object, ...], tuple[Task, Callable[..., Any]]] = {}
_COMPILING = threading.Lock()


def _program(
    task: Task, network: nn.Module, representation: Representation, mapped: bool
) -> Callable[..., Any]:
    """Loss and gradient of stacked members, compiled once for all ensembles of a task."""
    first = next(network.parameters())
    key = (id(task), type(representation), mapped, first.dtype, first.device)
    with _COMPILING:
        if key not in _PROGRAMS:

            def one(parameters: Named, slow: Tensor, inputs: Named, targets: Named, common: Named) -> Tensor:
                out = functional_call(network, dict(parameters), (representation.inputs(slow, inputs),))
                return task.loss(out, {**targets, **common}).mean()

            with warnings.catch_warnings():  # of torch's compiler about torch, when it is first loaded
                warnings.simplefilter("ignore", DeprecationWarning)
                import_module("torch._inductor.compile_fx")
            own = 0 if mapped else None
            stacked = vmap(grad_and_value(one, argnums=(0, 1)), in_dims=(0, 0, own, own, own))
            _PROGRAMS[key] = task, torch.compile(stacked)  # the task is kept, so that its id is its own
        return _PROGRAMS[key][1]


def _row(values: Named, k: int) -> Named:
    return {name: value[k] for name, value in values.items()}
