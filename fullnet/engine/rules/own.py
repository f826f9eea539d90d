"""An optimizer of a user's own: any of torch's kind that decays by ηγ a step, one member after the other.

What it keeps of a network is packed into moments, so that it is stopped, resumed and retired like those of
every rule: a flag that there is any, and then every number in its `state`, one after the other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groktime.fullnet.engine.rules.update import Rows, Shapes, Update
from groktime.reduced.errors import InputError

State = Mapping[Any, Mapping[str, Any]]  # of a parameter, by name


@dataclass(frozen=True)
class Kept:
    """Something that is kept of a parameter: its number, its name in the state, and its shape and dtype, or
    the kind of number that it is."""

    parameter: int
    name: str
    shape: tuple[int, ...]
    kind: Any

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return math.prod(self.shape)

    def of(self, numbers: Tensor) -> Any:
        """It, of its numbers."""
        if isinstance(self.kind, torch.dtype):
            return numbers.to(self.kind, copy=True).reshape(self.shape)
        return self.kind(numbers.item())


@dataclass(frozen=True)
class Own:
    """An optimizer as it is before its first step.

    Attributes
    ----------
    kind, attributes : its class, and what an instance has.
    groups : the numbers of the parameters of each of its groups, and the group's options.
    """

    kind: type[torch.optim.Optimizer]
    attributes: Mapping[str, Any]
    groups: Sequence[tuple[Sequence[int], Mapping[str, Any]]]

    def of(self, parameters: Sequence[Tensor], rate: float, decay: float) -> torch.optim.Optimizer:
        """The same of other parameters, at a rate η and a decay γ; without running its constructor, whose
        arguments nobody knows."""
        made = object.__new__(self.kind)
        vars(made).update(self.attributes)
        made.state = defaultdict(dict)
        made.param_groups = [
            {**options, "params": [parameters[k] for k in numbers], "lr": rate, "weight_decay": decay}
            for numbers, options in self.groups
        ]
        return made

    def update(self, shapes: Shapes, kept: Sequence[Kept]) -> Update:
        """The rule by which the engine steps it, of networks with these parameters."""
        numbers = 1 + sum(one.size for one in kept)
        step = _step_of(self, shapes, kept)
        return Update(step, moments=math.ceil(numbers / sum(math.prod(shape) for shape in shapes)))


def kept_of(state: State, parameters: Sequence[Tensor]) -> list[Kept]:
    """What an optimizer keeps.

    Raises
    ------
    InputError : where it keeps what are no numbers.
    """
    found = []
    for k, p in enumerate(parameters):
        for name, value in state.get(p, {}).items():
            tensor = isinstance(value, Tensor)
            if not tensor and type(value) not in (int, float, bool):
                raise InputError(
                    f"optimizer: keeps a {type(value).__name__}, {name!r}, in its state; expected tensors "
                    "and numbers"
                )
            shape = tuple(value.shape) if tensor else ()
            found.append(Kept(k, name, shape, value.dtype if tensor else type(value)))
    return found


def _step_of(own: Own, shapes: Shapes, kept: Sequence[Kept]) -> Callable[[Rows], None]:
    sizes = [math.prod(shape) for shape in shapes]

    def split(row: Tensor) -> list[Tensor]:
        parts = torch.split(row, sizes)
        return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]

    def step(rows: Rows) -> None:
        for k in range(len(rows.weights)):
            parameters = [part.requires_grad_() for part in split(rows.weights[k].detach())]
            for p, gradient in zip(parameters, split(rows.gradient[k]), strict=True):
                p.grad = gradient.clone()  # some optimizers change theirs
            one = own.of(parameters, rows.rate, rows.decay)
            numbers = torch.cat([moment[k] for moment in rows.moments])
            if numbers[0]:
                _unpack(one.state, parameters, kept, numbers)
            one.step()
            if kept_of(one.state, parameters) != list(kept):
                raise InputError(
                    "optimizer: keeps other things of some steps than of others; expected the same of all"
                )
            _pack(one.state, parameters, kept, numbers)
            for moment, part in zip(rows.moments, numbers.view(len(rows.moments), -1), strict=True):
                moment[k] = part

    return step


def _unpack(state: Any, parameters: Sequence[Tensor], kept: Sequence[Kept], numbers: Tensor) -> None:
    begin = 1
    for one in kept:
        state[parameters[one.parameter]][one.name] = one.of(numbers[begin : begin + one.size])
        begin += one.size


def _pack(state: State, parameters: Sequence[Tensor], kept: Sequence[Kept], numbers: Tensor) -> None:
    numbers[0], begin = 1.0, 1
    for one in kept:
        value = torch.as_tensor(state[parameters[one.parameter]][one.name])
        numbers[begin : begin + one.size] = value.to(numbers).reshape(-1)
        begin += one.size
