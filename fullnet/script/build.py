"""`Task.from_torch`: a task of a script's own model, data, loss and optimizer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from groktime.fullnet.check.finding import kind, message_of
from groktime.fullnet.script.data import Table, first, same_layout, table_of
from groktime.fullnet.script.loss import loss_name, own_loss, right_of
from groktime.fullnet.script.model import Model, Packing, callable_as_one, model_of, tensor_of
from groktime.fullnet.script.optimizer import read
from groktime.fullnet.script.samples import OfSamples, of_samples
from groktime.fullnet.script.schedule import schedule_of
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Adam, Problem, Split, Task
from groktime.reduced.arguments import text, whole_number
from groktime.reduced.errors import InputError

_TRIED = 64  # samples that the model and the loss are tried on
_SAMPLED = 1e-3  # rate of the Adam that samples landscapes, where the script's optimizer is none
_Y = "y"  # the target among a task's


@dataclass(frozen=True)
class Script:
    """What a script has; see `Task.from_torch`."""

    model: Any
    train: Any
    test: Any
    loss: Any
    optimizer: Any
    accuracy: Any
    scheduler: Any
    batch: int | None
    clip: float
    augment: Callable[[Tensor, Generator], Tensor] | None
    name: str | None
    steps: int
    threshold: float

    def task(self) -> Task:
        """The task.

        Raises
        ------
        InputError : naming what of the script cannot be trained as it trains.
        """
        model, train, test = model_of(self.model), table_of("train", self.train), table_of("test", self.test)
        same_layout(train, test)
        packing, some = Packing.of(train), first(train, _TRIED)
        raw = _raw(model.plain, packing, some)
        output = tensor_of(raw)
        named, loss, right = self._loss(model.plain, packing, some, output)
        found = read(self.optimizer, model, scheduled=self.scheduler is not None)
        rate = found.rate if found.rule.name.startswith("adam") else _SAMPLED
        return Task(
            name=text("name", kind(model.plain) if self.name is None else self.name),
            network=callable_as_one(model.make, packing, bare=isinstance(raw, Tensor)),
            problem=_problems(train, test, packing),
            loss=lambda out, targets: loss(out, targets[_Y]),
            right=lambda out, targets: right(out, targets[_Y]),
            loss_name=named,
            n_train=len(train),
            n_total=len(train),
            optimizer=Adam(rate, found.betas, schedule=schedule_of(self.scheduler), eps=found.eps),
            steps=whole_number("steps", self.steps, 1),
            threshold=self.threshold,
            batch=train.batches.size if self.batch is None else whole_number("batch", self.batch, 0),
            shuffle=train.batches.shuffle,
            drop_last=train.batches.drop_last,
            clip=self.clip,
            augment=self.augment,
            no_decay=found.no_decay,
            rates=found.rates,
            rule=found.rule,
            one_seed=model.one_seed,
            settings=_made_of(model, train, test),
        )

    def _loss(
        self, plain: nn.Module, packing: Packing, some: Table, output: Tensor
    ) -> tuple[str, OfSamples, OfSamples]:
        """Name of the loss, the loss of each sample, and whether each is right."""
        if self.loss is not None:
            each = of_samples("loss", self.loss, output, some.target)
            return loss_name(self.loss), each, right_of(self.accuracy, self.loss, output, some.target)
        named, each, right = own_loss(
            lambda count: _own(plain, packing, first(some, count)), output, some.target
        )
        if right is None or self.accuracy is not None:
            right = right_of(self.accuracy, None, output, some.target)
        return named, each, right


@torch.no_grad()
def _raw(plain: nn.Module, packing: Packing, some: Table, **more: Tensor) -> Any:
    """What the model itself makes of these samples, in evaluation mode."""
    args, kwargs = (some.inputs, {}) if packing.plain else packing.unpacked(packing.packed(some))
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


def _problems(train: Table, test: Table, packing: Packing) -> Callable[[int, int], Problem]:
    """The data of every seed, which are the same, but for a smaller training set: each seed draws its own."""
    whole, other = (Split(packing.packed(one), {_Y: one.target}) for one in (train, test))

    def problem(seed: int, n_train: int) -> Problem:
        if n_train >= len(whole):
            return Problem(whole, other)
        rows = torch.randperm(len(whole), generator=generator(seed, "subset"))[:n_train].sort().values
        return Problem(Split(whole.inputs, whole.targets, rows=rows), other)

    return problem


def _made_of(model: Model, train: Table, test: Table) -> dict[str, str]:
    """What tells one script from another, for the files."""
    weights = [x for x in model.plain.state_dict().values() if isinstance(x, Tensor)]
    data = [*train.inputs, train.target, *test.inputs, test.target]
    return {"model": kind(model.plain), "weights": _digest(weights), "data": _digest(data)}


def _digest(tensors: list[Tensor]) -> str:
    found = hashlib.blake2b(digest_size=8)
    for x in tensors:
        found.update(f"{x.dtype} {tuple(x.shape)}".encode())
        found.update(x.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
