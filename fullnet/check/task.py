"""`check_task`: what is wrong with a user's task, in plain words, before hours are spent on it.

The ensemble trains many members as one program and counts on what a module and its data usually, but
not always, are: functions of the seed and of the sample alone. That is looked at here on one network,
on a few samples, and then on two members side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from groktime.fullnet.check.data import data_findings
from groktime.fullnet.check.fields import field_findings
from groktime.fullnet.check.finding import (
    Finding,
    Findings,
    cut,
    kind,
    message_of,
)
from groktime.fullnet.check.options import augment_findings
from groktime.fullnet.check.together import rows_of, side_by_side, targets_of
from groktime.fullnet.engine.fresh import constants, trained
from groktime.fullnet.engine.norms import wrong_names
from groktime.fullnet.seeding import global_seed
from groktime.fullnet.task import Problem, Split, Task

_SAMPLES = 8  # that the network is tried on
_SHORT = (torch.int8, torch.int16, torch.int32, torch.uint8)
_REMEMBERS = (
    "gives other outputs when it is called again with the same inputs, as one that counts its calls does; "
    "expected a function of its weights and inputs alone"
)
ALONE = "cannot be mapped over members"  # begins the note on a network that is not


def check_task(task: Task, seed: int = 0) -> list[Finding]:
    """What is wrong with a task; an empty list if nothing was found.

    Parameters
    ----------
    task : Task
        Its functions are called a few times; nothing is trained.
    seed : int
        The seed that is tried, beside the next one.

    Returns
    -------
    list of Finding
        Each prints as a sentence. What is built on a broken field is not looked at, so that mending
        one may bring up another. Never raises for a broken task: an exception of the task's own
        functions is a finding, with its text.
    """
    found: list[Finding] = []
    subject = _Subject(task, seed)
    for stage in ((_fields,), (_network, _data), (_augment, _one), (_training_mode,), (_together,)):
        for look in stage:
            try:
                found += look(subject)
            except _Raised as raised:
                found.append(Finding(raised.field, raised.text))
            except Exception as error:  # a surprise, such as a tensor that does not behave like one
                found.append(Finding("task", f"cannot be checked further ({message_of(error)})"))
        if any(not finding.note for finding in found):
            break
    return found


class _Raised(Exception):
    """An exception of the user's own function, as a finding."""

    def __init__(self, field: str, call: str, error: Exception) -> None:
        self.field, self.text = field, f"raises an exception at {call}: {message_of(error)}"


def _call(field: str, call: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        raise _Raised(field, call, error) from error


@dataclass(frozen=True)
class _Subject:
    """A task, and what its functions gave; a stage only asks for what the stages before found good."""

    task: Task
    seed: int

    def make(self, seed: int) -> Any:
        def network() -> Any:
            with global_seed(seed, "weights"):
                return self.task.network()

        return _call("network", "network()", network)

    def data(self, seed: int, n_train: int) -> Any:
        return _call("problem", f"problem({seed}, {n_train})", self.task.problem, seed, n_train)

    @cached_property
    def network(self) -> nn.Module:
        made: nn.Module = self.make(self.seed)
        return made

    @cached_property
    def problem(self) -> Problem:
        made: Problem = self.data(self.seed, self.task.n_train)
        return made

    @cached_property
    def some(self) -> Split:
        """A few of the training samples."""
        return _first(self.problem.train)

    def forward(self, mode: bool, samples: Split, network: nn.Module | None = None) -> Tensor:
        """The outputs of the samples; `mode`: in training."""
        network = self.network if network is None else network
        network.train(mode)
        inputs = samples.at(0.5).clone()
        shape = tuple(inputs.shape)
        out = _call("network", f"a forward pass on inputs of shape {shape}", network, inputs)
        if not isinstance(out, Tensor):
            raise _Raised("network", "its output", TypeError(f"is a {kind(out)}, not a tensor"))
        return out

    def losses(self, output: Tensor, samples: Split) -> Any:
        targets = targets_of(samples)
        given = {name: value.clone() for name, value in targets.items()}
        try:
            losses = _call("loss", _shapes(output), self.task.loss, output, targets)
        except _Raised as raised:
            for name, value in targets.items():
                if value.dtype in _SHORT:  # which torch's losses do not take as labels, in words of its own
                    kind_of = str(value.dtype).removeprefix("torch.")
                    raised.text += f"; targets[{name!r}] are {kind_of}, and torch expects labels in int64"
            raise
        for name, value in given.items():
            if not torch.equal(value, targets[name]):
                raise _Raised("loss", "its targets", TypeError(f"targets[{name!r}] are changed in place"))
        return losses


# --- fields and data --------------------------------------------------------------------------


def _fields(subject: _Subject) -> Findings:
    return field_findings(subject.task)


def _data(subject: _Subject) -> Findings:
    return data_findings(subject.task, subject.seed, subject.data)


# --- the network ------------------------------------------------------------------------------


def _network(subject: _Subject) -> Findings:
    network: object = subject.network
    if not isinstance(network, nn.Module):
        yield Finding("network", f"gives a {kind(network)}; expected an nn.Module")
        return
    again = subject.make(subject.seed)
    if again is network:
        yield Finding("network", "gives the same module at every call; expected a fresh one")
        return
    parameters = dict(network.named_parameters())
    if not parameters:
        yield Finding("network", "has no parameters; expected at least one to train")
        return
    kinds = {p.dtype for p in parameters.values()}
    if len(kinds) > 1 or not next(iter(kinds)).is_floating_point:
        names = " and ".join(sorted(str(k).removeprefix("torch.") for k in kinds))
        yield Finding("network", f"has parameters of {names}; expected all of one floating-point type")
        return
    for name, p in parameters.items():
        if is_lazy(p):
            yield Finding("network", f"has no shape yet for its parameter {name!r}; expected no lazy modules")
            return
    frozen = [name for name, p in parameters.items() if not p.requires_grad]
    if len(frozen) == len(parameters):
        yield Finding("network", "has frozen all of its parameters; expected at least one to train")
        return
    if frozen:
        yield Finding(
            "network",
            f"keeps its parameter {frozen[0]!r} frozen: it stays as each seed draws it, outside of the "
            "weight norm",
            note=True,
        )
    for field, wrong in wrong_names(subject.task, parameters):
        yield Finding(field, wrong)
    start = [_vector(n) for n in (network, again)]
    other = _vector(subject.make(subject.seed + 1))
    drawn = [constants(n) for n in (network, again)]
    if not torch.equal(*start):
        yield Finding(
            "network",
            "starts from other weights at every call with one seed; expected weights drawn from torch's "
            "global generator alone",
        )
    elif any(not _equal(drawn[1].get(name), x) for name, x in drawn[0].items()):
        yield Finding(
            "network",
            "has other buffers at every call with one seed; expected all draws from torch's global generator",
        )
    elif other.shape != start[0].shape:
        yield Finding("network", "has another number of parameters at another seed; expected one shape")
    elif not bool(torch.isfinite(start[0]).all()) or not bool(start[0].any()):
        yield Finding("network", "starts from weights that are all 0, or not finite; expected a norm above 0")
    elif torch.equal(start[0], other):
        yield Finding(
            "network",
            f"starts from the same weights with seeds {subject.seed} and {subject.seed + 1}, which then "
            "differ by their data alone",
            note=True,
        )


# --- one network on a few samples -------------------------------------------------------------


def _augment(subject: _Subject) -> Findings:
    augment = subject.task.augment
    if augment is not None:
        inputs = subject.some.at(0.5)
        call = f"inputs of shape {tuple(inputs.shape)}"
        with global_seed(subject.seed, "check"):
            yield from _call("augment", call, lambda: list(augment_findings(augment, inputs, subject.seed)))


def _one(subject: _Subject) -> Findings:
    """Outputs, losses and gradients, in evaluation mode; what is random or has a memory comes next."""
    some, network = subject.some, subject.network
    count = len(some)
    with global_seed(subject.seed, "check"):
        output = subject.forward(False, some)
        loss = subject.losses(output, some)
    if not isinstance(loss, Tensor):
        yield Finding("loss", f"gives a {kind(loss)}; expected a tensor [sample]")
        return
    if loss.shape != (count,):
        reason = ", not their mean or sum" if not loss.ndim else ""
        yield Finding(
            "loss",
            f"has shape {tuple(loss.shape)} for {count} samples; expected ({count},), the loss of each "
            f"sample{reason}",
        )
        return
    if not loss.is_floating_point() or not bool(torch.isfinite(loss).all()):
        yield Finding("loss", "is not finite at the initial weights; expected a finite number a sample")
        return
    if bool((loss < 0).any()):
        yield Finding("loss", f"is {float(loss.detach().min()):g} for a sample; expected a loss from 0")
    yield from _gradient(network, loss)
    right = _call("right", _shapes(output), subject.task.right, output.detach(), targets_of(some))
    if not isinstance(right, Tensor) or right.dtype != torch.bool or right.shape != (count,):
        given = f"{right.dtype} {tuple(right.shape)}" if isinstance(right, Tensor) else f"a {kind(right)}"
        yield Finding("right", f"gives {given} for {count} samples; expected torch.bool ({count},)")
    if count > 1:
        half = replace(some, rows=rows_of(some)[: count // 2])
        with global_seed(subject.seed, "check"), torch.no_grad():
            again = subject.forward(False, some)
            fewer = subject.losses(subject.forward(False, half), half)
        if not torch.allclose(again, output, 1e-4, 1e-6):  # without a gradient other kernels may be at work
            yield Finding("network", _REMEMBERS)
        elif not torch.allclose(fewer, loss[: len(half)], 1e-3, 1e-6):
            yield Finding(
                "loss",
                "of a sample changes when fewer samples are beside it; expected it to be the sample's own",
            )


def _gradient(network: nn.Module, loss: Tensor) -> Findings:
    if not loss.requires_grad:
        yield Finding(
            "loss", "has no gradient by the parameters; expected operations that torch can differentiate"
        )
        return
    network.zero_grad()
    loss.sum().backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad for name, p in trained(network).items()}
    idle = [name for name, g in gradients.items() if g is None]
    if idle:
        yield Finding(
            "network",
            f"does not use its parameter {idle[0]!r}; expected every parameter to count, or to be frozen",
        )
        return
    known = torch.cat([g.flatten() for g in gradients.values() if g is not None])
    if not bool(torch.isfinite(known).all()):
        yield Finding("loss", "has a gradient that is not finite at the initial weights")
    elif not bool(known.any()):
        yield Finding("loss", "has a gradient of 0 by every parameter; expected some to count")


def _training_mode(subject: _Subject) -> Findings:
    """What makes a member depend on who is trained beside it: chance and memory in the module."""
    network, some = subject.network, subject.some
    before = {k: p.detach().clone() for k, p in network.named_parameters()}
    buffers = {k: b.clone() for k, b in network.named_buffers()}
    given = some.at(0.5).clone()
    seen = given.clone()
    with global_seed(subject.seed, "check"), torch.no_grad():
        network.train()
        state = torch.get_rng_state()
        first = _call("network", "a forward pass in training mode", network, seen)
        drew = not torch.equal(state, torch.get_rng_state())
        changed = [k for k, b in network.named_buffers() if not torch.equal(b, buffers[k])]
        second = subject.forward(True, some)
    if not torch.equal(given, seen):
        yield Finding(
            "network",
            "changes its inputs in place; expected them left alone (no inplace=True in its first layer)",
        )
    moved = [k for k, p in network.named_parameters() if not torch.equal(p.detach(), before[k])]
    if moved:
        yield Finding(
            "network",
            f"changes its parameter {moved[0]!r} in a forward pass, as an embedding with max_norm does; "
            "expected weights that the optimizer alone moves",
        )
    if changed:
        yield Finding(
            "network",
            f"changes its buffer {changed[0]!r} in a forward pass, as BatchNorm or a counter does, which is "
            "no part of what a member is resumed from; expected none that does, such as nn.GroupNorm",
        )
    elif drew:
        yield Finding(
            "network",
            "draws random numbers in training, as Dropout does, so that a member would depend on who is "
            "trained beside it; expected none",
        )
    elif not torch.equal(first, second):
        yield Finding("network", _REMEMBERS)


# --- members side by side ---------------------------------------------------------------------


def _together(subject: _Subject) -> Findings:
    """Two members as the ensemble trains them beside two plain modules with the same weights."""
    seeds = (subject.seed, subject.seed + 1)
    splits = [_first(subject.data(seed, subject.task.n_train).train) for seed in seeds]
    try:
        found = side_by_side(subject.task, seeds, splits)
    except Exception as error:
        yield Finding("task", f"fails when two members are trained side by side: {message_of(error)}")
        return
    if found.wrong:
        yield Finding("task", found.wrong)
    elif found.alone:
        yield Finding(
            "network",
            f"{ALONE} ({cut(found.alone)}), which are run one after the other: slower",
            note=True,
        )


# --- small helpers ----------------------------------------------------------------------------


def _vector(network: nn.Module) -> Tensor:
    """All parameters, flat; they need not be contiguous."""
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()])


def _equal(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and torch.equal(one, other)


def _first(split: Split) -> Split:
    return replace(split, rows=rows_of(split)[:_SAMPLES])


def _shapes(output: Tensor) -> str:
    return f"an output of shape {tuple(output.shape)}"
