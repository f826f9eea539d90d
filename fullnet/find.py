"""Tasks by name: the built-in ones, and a user's own as MODULE:ATTRIBUTE.

Importing this costs no PyTorch, so that `groktime tasks` can list what there is without it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from groktime.fullnet.blame import placed
from groktime.fullnet.built_in import BUILT_IN
from groktime.reduced.arguments import shown, whole_numbers
from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    from groktime.fullnet.task import Task

__all__ = ["BUILT_IN", "find_task", "is_custom"]

_OURS = "groktime"


def is_custom(name: str) -> bool:
    """Whether a name is that of a user's task."""
    return ":" in name


def find_task(
    name: str,
    settings: Mapping[str, Any] | None = None,
    n_train: int | None = None,
    preset: str | None = None,
) -> Task:
    """The task of a name on the command line.

    Parameters
    ----------
    name : a built-in task, or MODULE:ATTRIBUTE for a user's: the module is looked for in the current
        folder, too; the attribute is a `Task`, or a function that gives one without arguments.
    settings : arguments of a built-in task; those that are None were not given.
    n_train : the largest training set that is asked for, by which a built-in task is made.
    preset : one of a built-in task's, whose settings hold where none are given.

    Raises
    ------
    InputError : naming the task and what was expected, whatever goes wrong inside a user's module.
    """
    given = {k: v for k, v in (settings or {}).items() if v is not None}
    if not is_custom(name) and name not in BUILT_IN:
        raise InputError(
            f"task {name!r}: expected one of {', '.join(BUILT_IN)}, or MODULE:ATTRIBUTE for one of your own"
        )
    known = () if is_custom(name) else BUILT_IN[name].settings
    for setting in given:
        if setting not in known:
            raise InputError(f"--{setting.replace('_', '-')}: {name} has no such setting")
    chosen = _preset(name, preset)
    if is_custom(name):
        return _own(name)
    tasks = importlib.import_module("groktime.fullnet.tasks")
    function: Callable[..., Task] = getattr(tasks, BUILT_IN[name].function)
    return function(**{**chosen, **given, **({} if n_train is None else {"n_train": n_train})})


def task_of(task: Task | str, n_train: int | Sequence[int] | None = None) -> Task:
    """A task, or that of a name (`find_task`), made for the largest of the training sets."""
    if not isinstance(task, str):
        return _checked(task)
    return find_task(task, n_train=None if n_train is None else max(whole_numbers("n_train", n_train, 1)))


def _checked(task: Any) -> Task:
    from groktime.fullnet.task import Task

    if not isinstance(task, Task):
        raise InputError(f"task = {shown(task)}: expected a Task, or the name of one")
    return task


def _preset(name: str, preset: str | None) -> Mapping[str, Any]:
    if preset is None:
        return {}
    presets = {} if is_custom(name) else BUILT_IN[name].presets
    if not presets:
        raise InputError(f"--preset {preset}: {name} has no presets")
    if preset not in presets:
        raise InputError(f"--preset {preset}: expected one of {', '.join(presets)}, the presets of {name}")
    return presets[preset]


def _own(name: str) -> Task:
    from groktime.fullnet.task import Task

    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise InputError(
            f"task {name!r}: expected MODULE:ATTRIBUTE, a module as `import` names it (no folders, no .py) "
            "and a name in it"
        )
    module = _imported(name, module_name)
    if not hasattr(module, attribute):
        where = getattr(module, "__file__", None) or "built into Python"
        raise InputError(f"task {name!r}: the module {module_name} ({where}) has no {attribute!r}")
    task = getattr(module, attribute)
    # A class is callable, too, and Task itself is often imported beside the user's own names.
    if not isinstance(task, Task) and callable(task):
        try:
            task = task()
        except (Exception, SystemExit) as error:
            raise InputError(
                f"task {name!r}: calling {attribute}() failed ({placed(error)}); expected a Task, or a "
                "function that gives one without arguments"
            ) from error
    if not isinstance(task, Task):
        raise InputError(
            f"task {name!r}: is of type {type(task).__name__}; expected a Task, or a function that gives one"
        )
    return task


def _imported(name: str, module_name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:  # as `python -m` does, and the `groktime` script does not
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    before = set(sys.modules)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):
            raise InputError(
                f"task {name!r}: there is no module {missing} in {here}, and none is installed"
            ) from error
        raise InputError(f"task {name!r}: importing {module_name} failed ({placed(error)})") from error
    _take_along(module, before)
    return module


def _take_along(module: ModuleType, before: set[str]) -> None:
    """Have cloudpickle send a user's functions whole, with those of the modules beside theirs that it
    imported: a worker process may run in another folder, or on another machine."""
    import cloudpickle

    if module.__name__.partition(".")[0] == _OURS:
        return
    cloudpickle.register_pickle_by_value(module)
    here = Path.cwd()
    for name in set(sys.modules) - before:
        file = Path(getattr(sys.modules[name], "__file__", None) or os.devnull)
        theirs = file.is_relative_to(here) and "site-packages" not in file.parts
        if theirs and name.partition(".")[0] != _OURS:
            cloudpickle.register_pickle_by_value(sys.modules[name])
