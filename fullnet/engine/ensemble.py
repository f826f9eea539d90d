"""Many networks of one shape as one batched program.

The parameters of all members lie in one flat [member, parameter] buffer; the networks see views of
it. Forward passes are `torch.func` maps of the user's plain module, so nothing in a task knows that
it is trained in company. What a seed draws beside its weights, such as random features in a buffer, is
each member's own. A module that cannot be mapped is run as the plain module that it is, member by member:
slower, and right.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from groktime.fullnet.engine.attention import unfused
from groktime.fullnet.engine.by_output import ByOutput, close
from groktime.fullnet.engine.dense import Dense
from groktime.fullnet.engine.fresh import Fresh, fresh_network, trained
from groktime.fullnet.engine.memory import out_of_memory
from groktime.fullnet.engine.norms import part_norms
from groktime.fullnet.engine.optimizer import clip
from groktime.fullnet.engine.recognised import mlp_of
from groktime.fullnet.engine.representation import Line, Representation
from groktime.fullnet.engine.samples import Data, Samples, slices
from groktime.fullnet.networks.lstm import LSTM, faster_alone
from groktime.fullnet.seeding import global_seed
from groktime.fullnet.task import Task
from groktime.reduced.errors import InputError

Named = Mapping[str, Tensor]
Floats = NDArray[np.float64]
OfOne = Callable[[Tensor, Named], Tensor]  # (output, targets) of one member -> a tensor


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
    fresh : what the seed of each member drew, of which the constants are used; without, all members have
        those of one network.
    mapped : whether the members may be run as one program. If not, or where that fails, they are run one
        after the other; `alone` then says why.
    """

    def __init__(
        self,
        task: Task,
        flat: Tensor,
        slow: Tensor | None = None,
        representation: Representation | None = None,
        compiled: bool = False,
        fresh: Sequence[Fresh] = (),
        mapped: bool = True,
    ) -> None:
        self.task = task
        self.representation = representation if representation is not None else Line(trained=False)
        with global_seed(0, "shape"):
            network = fresh_network(task, fresh[0].seed) if fresh else task.network()
        self.network: nn.Module = network.to(flat.device, flat.dtype)
        named = trained(self.network)
        self._names = list(named)
        self._shapes = [p.shape for p in named.values()]
        self._sizes = [p.numel() for p in named.values()]
        self._fresh = list(fresh)
        self._common, self._own = _constants(fresh, flat)
        self._plain: dict[int, nn.Module] = {}  # by seed, of those that are run one after the other
        self.alone = "" if mapped else "as its check found"
        if len({one.hidden for one in fresh}) > 1:
            self.alone = "a seed draws more than its parameters and buffers"
        self._mlp = None if self.alone or flat.device.type != "cpu" else mlp_of(self.network, self._names)
        self._by_output, self._believed = ByOutput(task), False
        # what torch has a kernel for that cannot be mapped, and is the faster one
        self._singly = any(isinstance(m, LSTM) for m in self.network.modules()) and faster_alone(flat)
        self._compiled = compiled and not self._singly
        self.adopt(flat, torch.ones(len(flat), 1).to(flat) if slow is None else slow)

    def adopt(self, flat: Tensor, slow: Tensor, rows: Tensor | None = None) -> None:
        """Work on other buffers, of the members `rows` alone where others were retired."""
        self.flat = flat
        self._views = {k: v.requires_grad_() for k, v in self.unstack(flat).items()}
        self._gradient = torch.empty_like(flat)
        self._gradient_views = self.unstack(self._gradient)
        self._slow = slow.detach().requires_grad_(self.representation.trained)
        if rows is not None and self._fresh:
            self._fresh = [self._fresh[k] for k in rows.tolist()]
            self._own = {k: v[rows] for k, v in self._own.items()}
        self._dense = None if self._mlp is None else Dense(self._mlp, self._views, self._gradient_views)

    def unstack(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of stacked parameters by name, [member, ...]."""
        pieces = torch.split(flat.detach(), self._sizes, dim=1)
        shapes = [(len(flat), *shape) for shape in self._shapes]
        return {n: p.view(s) for n, p, s in zip(self._names, pieces, shapes, strict=True)}

    def mapped(
        self, samples: Samples, of_one: OfOne, views: Named | None = None, slow: Tensor | None = None
    ) -> Tensor:
        """A tensor of each member, all as one program, [member, ...]; with other weights than the buffer's,
        or other slow variables, where they are given."""

        def one(
            parameters: Named, own: Named, slow: Tensor, inputs: Named, targets: Named, common: Named
        ) -> Tensor:
            seen = self.representation.inputs(slow, inputs)
            tensors = {**self._common, **own, **parameters}
            return of_one(functional_call(self.network, tensors, (seen,)), {**targets, **common})

        of_samples = 0 if samples.mapped else None
        axes = (0, 0, 0, of_samples, of_samples, of_samples)
        mapped = vmap(one, in_dims=axes, randomness="different")
        views, slow = self._views if views is None else views, self._slow if slow is None else slow
        with unfused():
            return mapped(views, self._own, slow, samples.inputs, samples.targets, samples.common)

    def _of_each(self, samples: Samples, of_one: OfOne, asked: Sequence[int]) -> Tensor:
        """The same, one after the other where they cannot be mapped, where NaN stands for those that are not
        `asked`; without gradients."""
        reason = ""
        if not (self.alone or self._singly):
            try:
                return self.mapped(samples, of_one)
            except Exception as error:
                reason = _reason(error)
        found = {k: of_one(*self._output(k, self._slow[k], samples)) for k in asked}
        self._tell(reason)
        unasked = torch.full_like(next(iter(found.values())), torch.nan)
        return torch.stack([found.get(k, unasked) for k in range(len(self.flat))])

    def _output(self, k: int, slow: Tensor, samples: Samples) -> tuple[Tensor, Named]:
        """What member k's plain module makes of its samples, and the targets of these."""
        given = (samples.inputs, samples.targets, samples.common)
        inputs, targets, common = (_row(g, k) for g in given) if samples.mapped else given
        return self._module(k)(self.representation.inputs(slow, inputs)), {**targets, **common}

    @torch.no_grad()
    def _module(self, k: int) -> nn.Module:
        """The plain module of member k's seed, with its weights."""
        network = self.network
        if self._fresh:
            seed = self._fresh[k].seed
            if seed not in self._plain:
                self._plain[seed] = fresh_network(self.task, seed).to(self.flat.device, self.flat.dtype)
            network = self._plain[seed].train(self.network.training)
        for name, p in trained(network).items():
            p.copy_(self._views[name][k])
        return network

    def _tell(self, reason: str) -> None:
        """Warn, once, that it was the mapping that failed, and not the network."""
        if reason and not self.alone:
            self.alone = reason
            warnings.warn(
                f"{self.task.name}: the network cannot be mapped over members ({reason}); "
                "they are run one after the other, which is slower",
                stacklevel=2,
            )

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
        if self._compiled and not self.alone:
            try:
                return self._by_program(samples)
            except Exception as error:  # whatever a machine's compiler comes up with
                self._compiled = False
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                text = f"{self.task.name}: cannot be compiled here ({reason}); goes on uncompiled, slower"
                warnings.warn(text, stacklevel=2)
        reason = ""
        if not (self.alone or self._singly):
            try:
                return (
                    self._by_mapping(samples) if self._dense is None else self._by_hand(self._dense, samples)
                )
            except Exception as error:
                reason = _reason(error)
        found = self._one_by_one(samples)
        self._tell(reason)
        return found

    def _by_hand(self, dense: Dense, samples: Samples) -> tuple[Tensor, Tensor | None]:
        """Of a plain MLP; the first time beside the map, which goes on alone where they are not the same."""
        if self._believed:
            return self._passes(dense, samples)
        self._mlp = self._dense = None
        expected = (*self._by_mapping(samples), self._gradient.clone())
        try:
            found = self._passes(dense, samples)
        except Exception as error:
            _reason(error)
        else:
            if _alike((*found, self._gradient), expected):
                self._believed, self._dense, self._mlp = True, dense, dense.mlp
                return found
        self._gradient.copy_(expected[2])
        return expected[:2]

    def _passes(self, dense: Dense, samples: Samples) -> tuple[Tensor, Tensor | None]:
        seen = dense.inputs(samples, self.representation, self._slow)
        y = None if self.representation.trained else self._by_output.squared(dense.width, samples)
        if y is not None:
            found = dense.squared(seen, y if samples.mapped else y.expand(len(seen), *y.shape))
            if found is not None:
                return found, None
        loss, slope = self._by_output(dense.outputs(seen.detach(), keep=True), samples)
        by_seen = dense.backward(seen.detach(), slope, self.representation.trained)
        if by_seen is None:
            return loss, None
        return loss, torch.autograd.grad(seen, self._slow, by_seen)[0].contiguous()

    def _by_mapping(self, samples: Samples) -> tuple[Tensor, Tensor | None]:
        loss = self.mapped(samples, lambda out, y: self.task.loss(out, y).mean())
        slow = [self._slow] if self.representation.trained else []
        gradients = torch.autograd.grad(loss.sum(), [*self._views.values(), *slow])
        self._keep(gradients)
        return loss.detach(), gradients[-1].contiguous() if slow else None

    def _one_by_one(self, samples: Samples) -> tuple[Tensor, Tensor | None]:
        """Each member as the plain module that it is; by `backward`, as activation checkpoints need it."""
        losses, by_slow = [], []
        for k in range(len(self.flat)):
            slow = self._slow[k].detach().requires_grad_(self.representation.trained)
            out, targets = self._output(k, slow, samples)
            loss = self.task.loss(out, targets).mean()
            weights = trained(self._plain[self._fresh[k].seed] if self._fresh else self.network)
            for p in weights.values():
                p.grad = None
            loss.backward()  # type: ignore[no-untyped-call]
            for name, p in weights.items():
                if p.grad is None:  # which torch's optimizers would neither move nor decay
                    raise InputError(
                        f"{self.task.name}: the network does not use its parameter {name!r}; expected every "
                        "parameter to count, or to be frozen"
                    )
                self._gradient_views[name][k] = p.grad
            losses.append(loss.detach())
            by_slow.append(slow if slow.grad is None else slow.grad)
        return torch.stack(losses), torch.stack(by_slow) if self.representation.trained else None

    @torch.no_grad()
    def _keep(self, gradients: Iterable[Tensor]) -> None:
        for view, gradient in zip(self._gradient_views.values(), gradients, strict=False):
            view.copy_(gradient)

    @torch.no_grad()
    def _by_program(self, samples: Samples) -> tuple[Tensor, Tensor | None]:
        hidden = self._fresh[0].hidden if self._fresh else ""
        program = _program(self.task, self.network, self.representation, samples.mapped, hidden)
        views = {k: v.detach() for k, v in self._views.items()}
        given = (samples.inputs, samples.targets, samples.common)
        (by_weights, by_slow), loss = program(views, self._slow.detach(), self._own, self._common, *given)
        self._keep(by_weights[name] for name in self._names)
        return loss, by_slow.contiguous() if self.representation.trained else None

    @torch.no_grad()
    def part_norms(self) -> Tensor:
        """Norms of the task's parts, [part, member]; frozen parameters may be in them."""
        frozen = {k: v for k, v in self.network.named_parameters() if k not in self._views}
        own = {
            k: self._own[k] if k in self._own else v.expand(len(self.flat), *v.shape)
            for k, v in frozen.items()
        }
        return part_norms(self.task.parts, {**self._views, **own})

    @torch.no_grad()
    def metrics(self, data: Data) -> tuple[Tensor, Tensor]:
        """Mean loss [member] and accuracy [member], on the CPU; NaN where there are no samples."""
        loss, accuracy = read(self.evaluated(data), [data])
        return torch.from_numpy(loss).to(self.flat.dtype), torch.from_numpy(accuracy)

    @torch.no_grad()
    def evaluated(self, data: Data, asked: Sequence[int] | None = None) -> Tensor:
        """Mean loss and how many samples are right, [2, member], on the device of the members: `read` makes
        numbers of both. NaN where there are no samples, and perhaps of members not `asked` for (all are)."""
        if data.empty:
            return self.flat.new_full((2, len(self.flat)), torch.nan)
        self.network.eval()
        samples, those = data.samples(), range(len(self.flat)) if asked is None else asked
        sums = torch.zeros(len(self.flat), 2, dtype=self.flat.dtype, device=self.flat.device)

        def loss_and_right(out: Tensor, targets: Named) -> Tensor:
            loss = self.task.loss(out, targets).sum()
            return torch.stack([loss, self.task.right(out, targets).sum().to(loss.dtype)])

        for first, last in slices(len(samples), len(self.flat)):
            sums += self._of_each(samples.slice(first, last), loss_and_right, those)
        loss, right = sums.unbind(1)
        return torch.stack([loss / len(samples), right])


def read(values: Tensor, data: Sequence[Data]) -> Floats:
    """Numbers [row, member] of the rows of tensors on a device, which is waited for once: first the two that
    `Ensemble.evaluated` gave of each of `data`, their counts as shares, and then further rows as they are.

    Accuracies are exact shares in float64: in float32, 95 of 100 would lie below a threshold of 0.95.
    """
    numbers: Floats = values.cpu().double().numpy()
    for k, one in enumerate(data):
        numbers[2 * k + 1] /= max(one.rows.shape[1], 1)
    return numbers


_PROGRAMS: dict[tuple[object, ...], tuple[Task, Callable[..., Any]]] = {}
_COMPILING = threading.Lock()


def _program(
    task: Task, network: nn.Module, representation: Representation, mapped: bool, hidden: str
) -> Callable[..., Any]:
    """Loss and gradient of stacked members, compiled once for all ensembles of a task."""
    first = next(network.parameters())
    key = (id(task), type(representation), mapped, first.dtype, first.device, hidden)
    with _COMPILING:
        if key not in _PROGRAMS:

            def one(
                parameters: Named, slow: Tensor, own: Named, same: Named, inputs: Named, targets: Named,
                common: Named,
            ) -> Tensor:  # fmt: skip
                tensors = {**same, **own, **parameters}
                out = functional_call(network, tensors, (representation.inputs(slow, inputs),))
                return task.loss(out, {**targets, **common}).mean()

            with warnings.catch_warnings():  # of torch's compiler about torch, when it is first loaded
                warnings.simplefilter("ignore", DeprecationWarning)
                import_module("torch._inductor.compile_fx")
            of_samples = 0 if mapped else None
            axes = (0, 0, 0, None, of_samples, of_samples, of_samples)
            stacked = vmap(grad_and_value(one, argnums=(0, 1)), in_dims=axes)
            _PROGRAMS[key] = task, torch.compile(stacked)  # the task is kept, so that its id is its own
        return _PROGRAMS[key][1]


def _constants(fresh: Sequence[Fresh], like: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The constants that all members share, and, stacked, those of which each seed has its own."""
    common: dict[str, Tensor] = {}
    own: dict[str, Tensor] = {}
    for name, first in fresh[0].constants.items() if fresh else ():
        by_seed = {one.seed: one.constants[name] for one in fresh}
        alike = all(x is first or torch.equal(x, first) for x in by_seed.values())
        values = first if alike else torch.stack([by_seed[one.seed] for one in fresh])
        dtype = like.dtype if values.is_floating_point() else values.dtype
        (common if alike else own)[name] = values.to(like.device, dtype)
    return common, own


def _alike(found: Iterable[Tensor | None], expected: Iterable[Tensor | None]) -> bool:
    """Whether loss and gradients are the same to rounding."""
    pairs = list(zip(found, expected, strict=True))
    return all(a is b if a is None or b is None else close(a, b) for a, b in pairs)


def _row(values: Named, k: int) -> Named:
    return {name: value[k] for name, value in values.items()}


def _reason(error: Exception) -> str:
    """Why the members could not be mapped; what one after the other would not mend is raised again."""
    if out_of_memory(error):
        raise error
    return (str(error).strip() or type(error).__name__).splitlines()[0]
