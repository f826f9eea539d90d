"""The check of a task's fields, before anything of it is called."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from groktime.fullnet.check.finding import Finding, Findings, kind, message_of, number, short, whole_number
from groktime.fullnet.check.options import optimizer_findings
from groktime.fullnet.task import Adam, Rule, Task


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


_EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_text, "a text"),
    "network": (callable, "a function that gives a fresh nn.Module"),
    "problem": (callable, "a function (seed, n_train) -> Problem"),
    "loss": (callable, "a function (output, targets) -> [sample]"),
    "right": (callable, "a function (output, targets) -> [sample]"),
    "loss_name": (_text, "a text"),
    "n_train": (lambda v: whole_number(v, 1), "a whole number, 1 or more"),
    "optimizer": (lambda v: isinstance(v, Adam), "a fullnet.task.Adam"),
    "steps": (lambda v: whole_number(v, 1), "a whole number, 1 or more"),
    "threshold": (lambda v: number(v, 0, 1) and v > 0, "an accuracy in (0, 1]"),
    "relative": (lambda v: isinstance(v, bool), "True or False"),
    "n_total": (lambda v: v is None or whole_number(v, 1), "a whole number, or None"),
    "batch": (lambda v: whole_number(v, 0), "a number of samples, 0 for all"),
    "shuffle": (lambda v: isinstance(v, bool), "True or False"),
    "drop_last": (lambda v: isinstance(v, bool), "True or False"),
    "messiness": (lambda v: isinstance(v, bool), "True or False"),
    "stop_loss": (lambda v: number(v, 0), "a loss, 0 for never"),
    "clip": (lambda v: number(v, 0), "a gradient's norm, 0 for never"),
    "augment": (lambda v: v is None or callable(v), "a function (inputs, generator) -> inputs, or None"),
    "no_decay": (lambda v: isinstance(v, tuple), "a tuple of names of parameters"),
    "rates": (lambda v: isinstance(v, Mapping), "a dict of names of parameters and numbers"),
    "rule": (lambda v: isinstance(v, Rule), "a fullnet.task.Rule"),
    "one_seed": (lambda v: isinstance(v, str), "a text"),
    "parts": (lambda v: isinstance(v, Mapping), "a dict of prefixes of parameter names"),
    "settings": (lambda v: isinstance(v, Mapping), "a dict"),
}


def field_findings(task: Task) -> Findings:
    """Fields that hold something else than they ought to."""
    if not isinstance(task, Task):
        yield Finding("task", f"is a {kind(task)}; expected a fullnet.task.Task")
        return
    good = {name: accepts(getattr(task, name)) for name, (accepts, _) in _EXPECTED.items()}
    for name, (_, expected) in _EXPECTED.items():
        if not good[name]:
            yield Finding(name, f"is {short(getattr(task, name))}; expected {expected}")
    if isinstance(task.network, nn.Module):
        yield Finding("network", "is a module; expected a function that gives a fresh one at every call")
    if good["n_train"] and good["n_total"] and task.n_total is not None and task.n_train > task.n_total:
        yield Finding("n_train", f"is {task.n_train}; expected n_total = {task.n_total} at most")
    if good["optimizer"]:
        yield from optimizer_findings(task.optimizer)
    if good["settings"]:
        try:
            json.dumps(dict(task.settings), sort_keys=True)
        except (TypeError, ValueError) as error:
            yield Finding(
                "settings", f"cannot be stored with the files ({message_of(error)}); expected JSON's types"
            )
