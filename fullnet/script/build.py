"""`Task.from_torch`: a task of a script's own model, data, loss and optimizer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from groktime.fullnet.check.finding import kind
from groktime.fullnet.script.data import Table, same_layout, table_of
from groktime.fullnet.script.judge import judge_of
from groktime.fullnet.script.model import Model, Packing, callable_as_one, model_of
from groktime.fullnet.script.optimizer import read
from groktime.fullnet.script.schedule import schedule_of
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Adam, Problem, Split, Task
from groktime.reduced.arguments import text, whole_number

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
        judge = judge_of(model.plain, train, self.loss, self.accuracy)
        found = read(self.optimizer, model, scheduled=self.scheduler is not None)
        rate = found.rate if found.rule.name.startswith("adam") else _SAMPLED
        return Task(
            name=text("name", kind(model.plain) if self.name is None else self.name),
            network=callable_as_one(model.make, judge.packing, judge.bare),
            problem=_problems(train, test, judge.packing),
            loss=lambda out, targets: judge.loss(out, targets[_Y]),
            right=lambda out, targets: judge.right(out, targets[_Y]),
            loss_name=judge.name,
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
            settings=_made_of(model, train, test) | ({"optimizer": found.own} if found.own else {}),
        )


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
