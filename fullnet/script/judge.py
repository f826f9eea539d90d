"""How a script's model is called, and how its outputs are judged: loss and accuracy of each sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from groktime.fullnet.check.finding import message_of
from groktime.fullnet.script.data import Table, first
from groktime.fullnet.script.loss import loss_name, own_loss, right_of
from groktime.fullnet.script.model import Packing, tensor_of
from groktime.fullnet.script.samples import OfSamples, of_samples
from groktime.reduced.errors import InputError

_TRIED = 64  # samples that the model and the loss are tried on


@dataclass(frozen=True)
class Judge:
    """`loss`, `right`: (output, target) -> [sample], the loss of each and whether it is right; `name` of the
    loss; `packing`: how inputs are one tensor; `bare`: whether the model's output is one already."""

    name: str
    loss: OfSamples
    right: OfSamples
    packing: Packing
    bare: bool


def judge_of(plain: nn.Module, train: Table, loss: Any, accuracy: Any) -> Judge:
    """That of a model, by the first of its training samples; see `Task.from_torch`.

    Raises
    ------
    InputError : on a model that raises, and on a loss or an accuracy that is none of each sample.
    """
    packing, some = Packing.of(train), first(train, _TRIED).to(next(plain.parameters()).device)
    raw = _raw(plain, packing, some)
    output, bare = tensor_of(raw), isinstance(raw, Tensor)
    if loss is not None:
        each = of_samples("loss", loss, output, some.target)
        return Judge(loss_name(loss), each, right_of(accuracy, loss, output, some.target), packing, bare)
    named, each, right = own_loss(lambda count: _own(plain, packing, first(some, count)), output, some.target)
    if right is None or accuracy is not None:
        right = right_of(accuracy, None, output, some.target)
    return Judge(named, each, right, packing, bare)


@torch.no_grad()
def _raw(plain: nn.Module, packing: Packing, some: Table, **more: Tensor) -> Any:
    """What the model itself makes of these samples, in evaluation mode."""
    args, kwargs = packing.called(packing.packed(some))
    shapes = ", ".join(str(tuple(x.shape)) for x in some.inputs)
    try:
        return plain.eval()(*args, **kwargs, **more)
    except Exception as error:
        raise InputError(f"model: raises {message_of(error)} for inputs of shape {shapes}") from error


def _own(plain: nn.Module, packing: Packing, some: Table) -> Tensor:
    """The loss that the model gives with its labels."""
    if not packing.names:
        raise InputError(
            "loss: expected a function (output, target); the model is not given its labels by name"
        )
    made = _raw(plain, packing, some, labels=some.target)
    found = made.get("loss") if isinstance(made, dict) else getattr(made, "loss", None)
    if found is None and isinstance(made, tuple):
        found = made[0]
    if not isinstance(found, Tensor) or found.ndim:
        raise InputError("loss: the model gives none with its labels; expected a function (output, target)")
    return found
