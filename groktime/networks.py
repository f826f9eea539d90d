"""What the commands that train networks have in common: the task, and where and how it is trained."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from groktime.option import Option, number, shown_default
from groktime.options import MACHINE, SEEDS
from groktime.output import check
from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    from groktime.fullnet.built_in import Setting
    from groktime.fullnet.task import Task


def task_settings() -> tuple[Option, ...]:
    """The settings of all built-in tasks as options, one for each name."""
    from groktime.fullnet.built_in import BUILT_IN

    found: dict[str, dict[str, Setting]] = {}
    for task, built_in in BUILT_IN.items():
        for name, setting in built_in.settings.items():
            found.setdefault(name, {})[task] = setting
    return tuple(_option(name, settings) for name, settings in found.items())


def _option(name: str, settings: dict[str, Setting]) -> Option:
    first = next(iter(settings.values()))
    tasks_with: dict[str, list[str]] = {}
    for task, setting in settings.items():
        default = "" if setting.default is None else f" (default: {shown_default(setting.default)})"
        tasks_with.setdefault(setting.help + default, []).append(task)
    return Option(
        name,
        "; ".join(f"{', '.join(tasks)}: {text}" for text, tasks in tasks_with.items()),
        number if first.type is float else first.type,
        choices=tuple(dict.fromkeys(c for setting in settings.values() for c in setting.choices)),
    )


@contextmanager
def needs_torch() -> Iterator[None]:
    """A sentence where PyTorch, or what comes with it, is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "tqdm", "cloudpickle"):
            raise
        raise InputError("training networks needs PyTorch: pip install 'groktime[train]'") from error


def chosen_task(options: argparse.Namespace) -> Task:
    """The task of the command; a user's is refused with what is wrong with it."""
    from groktime.fullnet.find import find_task, is_custom

    settings = {option.name: getattr(options, option.name) for option in task_settings()}
    largest = max(options.n_train) if options.n_train else None
    task = find_task(options.task, settings, largest, options.preset)
    if is_custom(options.task):
        from groktime.fullnet.check.before import checked

        checked(task, name=options.task)
    course = getattr(options, "schedule", None)
    if course is not None:
        task = replace(task, optimizer=replace(task.optimizer, warmup=0, schedule=course))
    if options.m is not None and not task.messiness:
        raise InputError(f"--m: {options.task} has no messiness")
    checkpoint = getattr(options, "from")
    if checkpoint is not None:
        return task.at(checkpoint, step=options.step)
    if options.step is not None:
        raise InputError("--step: is of a checkpoint; expected --from beside it")
    return task


def work(options: argparse.Namespace) -> dict[str, Any]:
    """Seeds, the file to write and the machine, as the keyword arguments of what trains."""
    if options.output is not None and not options.output.endswith(".nc"):
        check(options.output, options.overwrite, (".nc",))  # the rest is checked by what trains
    with needs_torch():
        from groktime.fullnet.machine import Machine

    machine = {option.name: getattr(options, option.name) for option in MACHINE}
    progress = not machine.pop("quiet")
    machine["device"] = machine["device"] or "auto"
    seeds = getattr(options, SEEDS.name)
    chosen = {} if seeds is None else {"seeds": range(seeds[0]) if len(seeds) == 1 else seeds}
    return chosen | {
        "out": options.output,
        "overwrite": options.overwrite,
        "machine": Machine(**machine, progress=progress),
    }
