"""The settings that the verbs share, typed once (PEP 692), and the members that they stand for.

A setting that is left out has the default that the verb's docstring gives.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from groktime.fullnet.check.before import checked
from groktime.fullnet.engine.device import device_of
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import DTYPES, Member, Setup
from groktime.fullnet.task import Task, whole_number
from groktime.reduced.errors import InputError

Numbers = float | Sequence[float]
Out = str | Path | None


class WriteSettings(TypedDict, total=False):
    """How a file is written, in which number format its networks are trained, and whether the task is looked
    at first: `check` (default: True) refuses what `check_task` finds."""

    overwrite: bool
    dtype: str | None
    check: bool


class StartSettings(WriteSettings, total=False):
    """Where members start."""

    eta_r: Numbers | None
    m: Numbers
    n_train: int | Sequence[int] | None
    seeds: Sequence[int]


class TrainSettings(StartSettings, total=False):
    """More settings of `train`."""

    eta_d: Numbers | None
    paired: bool
    batch: int | None
    momentum: float | None


class FlowSettings(StartSettings, total=False):
    """More settings of `integrate_networks`."""

    paired: bool
    rate: float | None
    turns: int
    resolution: float
    stop_at: float | None


class PathSettings(StartSettings, total=False):
    """More settings of `sample_path`."""

    eta_d: float | None
    batch: int | None
    fit_steps: int | None
    fit_loss: float | None
    momentum: float | None


def check_names(verb: str, given: Mapping[str, Any], known: Any) -> None:
    """Refuse a keyword that none of the TypedDict's is, as Python does for those that are spelled out."""
    for name in given:
        if name not in known.__annotations__:
            raise TypeError(f"{verb}() got an unexpected keyword argument {name!r}")


def setup_of(
    task: Task,
    machine: Machine,
    settings: Mapping[str, Any],
    seed: int,
    representation: str = "fixed",
) -> Setup:
    """What all members share, of a task that has been checked; `settings` may hold batch (default: the
    task's own), dtype (default: that of the task's network) and check. `seed`: one of theirs.

    Raises
    ------
    InputError : on a bad setting, or with what is wrong with the task.
    """
    batch = settings.get("batch")
    return Setup(
        task,
        representation=representation,
        batch=whole_number("batch", task.batch if batch is None else batch, 0),
        dtype=_dtype(task, settings.get("dtype"), seed),
        device=device_of(machine.device),
        compiled=machine.compiled,
        mapped=checked(task, seed) if settings.get("check", True) else True,
    )


def _dtype(task: Task, asked: str | None, seed: int) -> str:
    """The number format: the one that is asked for, or that of the task's network, never another."""
    known = str(initial_parameters(task, seed).dtype).removeprefix("torch.") if asked is None else asked
    if known in DTYPES:
        return known
    expected = " or ".join(map(repr, DTYPES))
    if asked is None:
        raise InputError(
            f"task {task.name!r}: its network has parameters in {known}; expected {expected}, or dtype set "
            "to one of them"
        )
    raise InputError(f"dtype = {asked!r}: expected {expected}")


_POSITIVE = ("eta_d", "alpha")


def members_of(task: Task, given: Mapping[str, Any]) -> list[Member]:
    """The runs of these settings, in the order of their combinations.

    `given`: gamma, alpha, eta_d, eta_r, m, n_train, seeds and paired, as in `train`.

    Raises
    ------
    InputError : on a bad setting, by name.
    """
    lists = _lists(task, given)
    for name, values in lists.items():
        for value in values:
            _check(task, name, value)
    if given.get("paired", False):
        count = max(v.size for v in lists.values())
        for name, values in lists.items():
            if values.size not in (1, count):
                raise InputError(
                    f"{name}: {values.size} values, expected 1 or {count}, as the longest list has"
                )
        rows = list(zip(*(np.broadcast_to(v, count) for v in lists.values()), strict=True))
    else:
        rows = list(itertools.product(*lists.values()))
    out = []
    for row in rows:
        one = dict(zip(lists, (float(x) for x in row), strict=True))
        one.setdefault("eta_r", one["eta_d"])
        size, seed = int(one.pop("n_train")), int(one.pop("seed"))
        out.append(Member(**one, n_train=size, seed=seed))
    if len(set(out)) < len(out):
        raise InputError("the same run occurs twice; expected lists without repetition")
    return out


def _lists(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """An array of values of each setting."""
    defaults = {"eta_d": task.optimizer.rate, "n_train": task.n_train, "m": 1.0, "seeds": range(4)}
    known = defaults | {name: value for name, value in given.items() if value is not None}
    names = {"gamma": "gamma", "eta_d": "eta_d", "alpha": "alpha", "m": "m", "n_train": "n_train"}
    names["seed"] = "seeds"
    if "eta_r" in known:
        names["eta_r"] = "eta_r"
    lists = {name: np.atleast_1d(np.asarray(known[place])) for name, place in names.items()}
    for name, values in lists.items():
        if values.ndim != 1 or not values.size or not np.issubdtype(values.dtype, np.number):
            raise InputError(f"{name}: expected a number or a list of numbers")
    return lists


def _check(task: Task, name: str, value: float) -> None:
    """Refuse a value that this setting cannot have."""
    positive = name in _POSITIVE
    if not np.isfinite(value) or value < 0 or (positive and value == 0):
        expected = "a finite number above 0" if positive else "a finite number, 0 or more"
        raise InputError(f"{name} = {value:g}: expected {expected}")
    if name in ("n_train", "seed") and value != int(value):
        raise InputError(f"{name} = {value:g}: expected a whole number")
    if name == "m" and value > 1:
        raise InputError(f"m = {value:g}: expected a messiness within [0, 1]")
    if name == "n_train" and not 1 <= value <= (task.n_total or np.inf):
        raise InputError(f"n_train = {value:g}: expected {task.sizes}")
    if name == "m" and value != 1 and not task.messiness:
        raise InputError(f"m = {value:g}: {task.name} has no messiness")
