"""Tasks by name: the built-in ones, and a user's own as MODULE:ATTRIBUTE.

Importing this costs no PyTorch, so that `groktime tasks` can list what there is without it.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from groktime.fullnet.check.finding import said
from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    from groktime.fullnet.task import Task

_OURS = "groktime"


@dataclass(frozen=True)
class BuiltIn:
    """A built-in task: its function in `fullnet.tasks`, one line on it, those of the function's
    arguments that the command line sets, and presets of them by name ("small": for two cores).

    `figures`: where it is from, P the paper. `run`: the command of a typical run, without its output; of
    `member_steps` optimizer steps of one network in all, at `speed` of them a second on two cores
    (docs/results/speed.md; None: not measured)."""

    function: str
    line: str
    settings: tuple[str, ...]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    figures: str = ""
    run: str = ""
    member_steps: int = 0
    speed: float | None = None

    @property
    def minutes(self) -> float | None:
        """Of the typical run, on two cores."""
        return None if self.speed is None else self.member_steps / self.speed / 60


BUILT_IN = {
    "teacher-student": BuiltIn(
        "teacher_student",
        "tanh network learns another one",
        ("tolerance",),
        presets={"official": {"tolerance": 0.001}},
        figures="P Fig. 2",
        run="train teacher-student --gamma 0.1 0.3 --alpha 3 --seeds 4 --steps 30000",
        member_steps=240_000,
        speed=7531,
    ),
    "addition": BuiltIn(
        "addition",
        "toy addition with a representation; variant paper or official",
        ("variant", "dim"),
        presets={"official": {"variant": "official"}, "sizes": {"variant": "official", "n_train": 54}},
        figures="P Fig. 6",
        run="sample addition --preset official --alpha 2.5:4:21:lin --m 0:0.1:21 --seeds 4",
        member_steps=26_460_000,
        speed=5030,
    ),
    "mnist": BuiltIn(
        "mnist",
        "MLP 784-200-200-10 on a thousand handwritten digits; loss mse or ce; augment rotate-blur",
        ("loss", "augment"),
        presets={"small": {"n_test": 1000}, "fig12": {"loss": "ce", "n_train": 200}},
        figures="P Figs. 3, 10b, 11 and 12",
        run="train mnist --gamma 0.1 --alpha 8 --seeds 3 --steps 10000",
        member_steps=30_000,
        speed=640,
    ),
    "mnist-representation": BuiltIn(
        "mnist_representation",
        "the same on digits that fade into templates of their labels; variant paper or official",
        ("variant",),
        presets={"small": {"n_train": 1000, "n_test": 1000}},
        figures="P Fig. 8",
        run="sample mnist-representation --preset small --alpha 1:9:5 --m 0:1:5 --seeds 2 --steps 1000",
        member_steps=50_000,
        speed=790,
    ),
    "modular-addition": BuiltIn(
        "modular_addition",
        "one-layer transformer on (a + b) mod p",
        ("p", "d_model"),
        # 45 % of the pairs: fewer symbols need a larger share than the paper's 30 %
        presets={"small": {"p": 41, "d_model": 64, "n_train": 756}},
        figures="P Figs. 7, 9 and 10a",
        run="train modular-addition --preset small --gamma 1 --alpha 1 --seeds 3 --steps 6000",
        member_steps=18_000,
        speed=275,
    ),
    "four-operations": BuiltIn(
        "four_operations",
        "two-block decoder on (x ∘ y) mod p; operation + - * or /",
        ("operation", "p", "noise", "d_model"),
        # half of the equations
        presets={"small": {"p": 41, "d_model": 64, "n_train": 820, "batch": 128}},
        figures="the poster's",
        run="train four-operations --preset small --gamma 1 --alpha 1 --seeds 2 --steps 6000",
        member_steps=12_000,
        speed=350,
    ),
    "imdb": BuiltIn(
        "imdb",
        "LSTM on a thousand film reviews; needs the file: docs/data.md",
        ("length", "hidden", "embedding", "n_test"),
        # A seventh of the time. Not fewer or shorter reviews: from 1000 of 250 words a linear model gets 77 %
        # right, from 500 of 100 words only 70 %.
        presets={"small": {"n_train": 1000, "length": 250, "hidden": 32, "embedding": 32, "n_test": 500}},
        figures="P Fig. 4",
        run="train imdb --preset small --gamma 1 --alpha 6 --seeds 2 --steps 2000",
        member_steps=4_000,
        speed=25,
    ),
    "qm9": BuiltIn(
        "qm9",
        "graph network on the polarizability of molecules; needs the file: docs/data.md",
        ("variant", "tolerance", "n_test"),
        presets={"small": {"n_test": 200}},
        figures="P Fig. 5",
        run="train qm9 --preset small --gamma 0 --alpha 3 --seeds 2 --steps 10000",
        member_steps=20_000,
        speed=1370,
    ),
}


def own(name: str) -> bool:
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
    if not own(name) and name not in BUILT_IN:
        raise InputError(
            f"task {name!r}: expected one of {', '.join(BUILT_IN)}, or MODULE:ATTRIBUTE for one of your own"
        )
    known = () if own(name) else BUILT_IN[name].settings
    for setting in given:
        if setting not in known:
            raise InputError(f"--{setting.replace('_', '-')}: {name} has no such setting")
    chosen = _preset(name, preset)
    if own(name):
        return _own(name)
    tasks = importlib.import_module("groktime.fullnet.tasks")
    function: Callable[..., Task] = getattr(tasks, BUILT_IN[name].function)
    return function(**{**chosen, **given, **({} if n_train is None else {"n_train": n_train})})


def task_of(task: Task | str, n_train: int | Sequence[int] | None = None) -> Task:
    """A task, or that of a name (`find_task`), made for the largest of the training sets."""
    if not isinstance(task, str):
        return task
    sizes = [n_train] if isinstance(n_train, int) else list(n_train or [])
    return find_task(task, n_train=max(sizes, default=None))


def _preset(name: str, preset: str | None) -> Mapping[str, Any]:
    if preset is None:
        return {}
    presets = {} if own(name) else BUILT_IN[name].presets
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
                f"task {name!r}: calling {attribute}() failed ({_placed(error)}); expected a Task, or a "
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
        raise InputError(f"task {name!r}: importing {module_name} failed ({_placed(error)})") from error
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


def _placed(error: BaseException) -> str:
    """An exception in one line, with the innermost line of the user's folder that it came from."""
    here = str(Path.cwd())
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename.startswith(here) and "site-packages" not in f.filename and f.filename != __file__
    ]
    place = f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""
    return said(error) + place
