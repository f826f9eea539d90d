"""The check before any work: once a task, whichever verb or command begins it."""

from __future__ import annotations

import functools
import weakref
from dataclasses import dataclass

from groktime.fullnet.check.finding import Finding
from groktime.fullnet.check.task import ALONE, check_task
from groktime.fullnet.task import Task
from groktime.reduced.errors import InputError

_TASKS = "groktime.fullnet.tasks"


@dataclass(frozen=True)
class Examined:
    """What a check found wrong, and whether the members can be run as one program."""

    wrong: tuple[Finding, ...] = ()
    mapped: bool = True


_KNOWN: dict[int, tuple[weakref.ref[Task], Examined]] = {}


def examined(task: Task, seed: int = 0) -> Examined:
    """What `check_task` finds; looked at once, and not at all of a built-in task, whose tests do."""
    functions = (task.network, task.problem, task.loss, task.right) if isinstance(task, Task) else (None,)
    if all(_ours(function) for function in functions):
        return Examined()
    known = _KNOWN.get(id(task))
    if known is None or known[0]() is not task:
        found = check_task(task, seed)
        alone = any(finding.note and finding.text.startswith(ALONE) for finding in found)
        known = weakref.ref(task), Examined(tuple(f for f in found if not f.note), mapped=not alone)
        _KNOWN[id(task)] = known
    return known[1]


def checked(task: Task, seed: int = 0, name: str | None = None) -> bool:
    """Refuse a task that something is wrong with; whether its members can be run as one program.

    Raises
    ------
    InputError : the first finding, with the task's `name` (default: its own).
    """
    found = examined(task, seed)
    if found.wrong:
        shown = getattr(task, "name", task) if name is None else name
        raise InputError(f"task {shown!r}: {found.wrong[0]}")
    return found.mapped


def _ours(function: object) -> bool:
    """Whether a function of a task is one of the package's."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__module__", "")).startswith(_TASKS)
