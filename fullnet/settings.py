"""The settings that the verbs share, typed once (PEP 692), and the members that they stand for.

A setting that is left out has the default that the verb's docstring gives.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from groktime.fullnet.check.before import checked
from groktime.fullnet.engine.device import device_of
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import DTYPES, Member, Setup
from groktime.fullnet.runs import REPRESENTATIONS
from groktime.fullnet.task import Task
from groktime.reduced.arguments import check_count, choice, flag, numbers, whole_number, whole_numbers
from groktime.reduced.errors import InputError
from groktime.reduced.starts import SETTINGS as RANGES

Numbers = float | Sequence[float]
Out = str | Path | None


class WriteSettings(TypedDict, total=False):
    """How a file is written, in which number format its networks are trained, and whether the task is looked
    at first: `check` (default: True) refuses what `check_task` finds."""

    overwrite: bool
    dtype: str | None
    check: bool


class SampleSettings(WriteSettings, total=False):
    """More settings of `sample`."""

    drift: bool | Sequence[float]
    fit_steps: int | None
    along_m: bool
    loop: bool
    probe: str | None


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


class ForecastSettings(WriteSettings, total=False):
    """More settings of `forecast`."""

    eta_d: Numbers | None
    eta_r: float | None
    m: float
    n_train: int | None
    seeds: Sequence[int]
    batch: int | None
    fit_steps: int | None
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
    mapped = checked(task, seed) if settings.get("check", True) else True
    if not mapped:
        warnings.warn(
            f"{task.name}: the network cannot be mapped over members; they are run one after the other, "
            "which is slower",
            stacklevel=3,
        )
    return Setup(
        task,
        representation=choice("representation", representation, REPRESENTATIONS),
        batch=whole_number("batch", task.batch if batch is None else batch, 0),
        dtype=_dtype(task, settings.get("dtype"), seed),
        device=device_of(machine.device),
        compiled=machine.compiled,
        mapped=mapped,
    )


def _dtype(task: Task, asked: str | None, seed: int) -> str:
    """The number format: the one that is asked for, or that of the task's network, never another."""
    if asked is not None:
        return choice("dtype", asked, DTYPES)
    known = str(initial_parameters(task, seed).dtype).removeprefix("torch.")
    if known not in DTYPES:
        raise InputError(
            f"task {task.name!r}: its network has parameters in {known}; expected {' or '.join(DTYPES)}, or "
            "dtype set to one of them"
        )
    return known


def members_of(task: Task, given: Mapping[str, Any]) -> list[Member]:
    """The runs of these settings, in the order of their combinations.

    `given`: gamma, alpha, eta_d, eta_r, m, n_train, seeds and paired, as in `train`.

    Raises
    ------
    InputError : on a bad setting, by name.
    """
    lists = _lists(task, given)
    if flag("paired", given.get("paired", False)):
        count = max(map(len, lists.values()))
        for name, values in lists.items():
            if len(values) not in (1, count):
                raise InputError(
                    f"{name}: {len(values)} values, expected 1 or {count}, as the longest list has"
                )
        rows = list(zip(*(v * count if len(v) == 1 else v for v in lists.values()), strict=True))
    else:
        check_count("the runs", map(len, lists.values()))
        rows = list(itertools.product(*lists.values()))
    out = []
    for row in rows:
        one = dict(zip(lists, row, strict=True))
        one.setdefault("eta_r", one["eta_d"])
        out.append(Member(**one))
    if len(set(out)) < len(out):
        raise InputError("the same run occurs twice; expected lists without repetition")
    return out


def _lists(task: Task, given: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The values of each setting."""
    rule = task.rule
    known: dict[str, Any] = {"alpha": None, "n_train": task.n_train, "m": 1.0, "seeds": None}
    known |= {"gamma": rule.gamma, "eta_d": task.optimizer.rate if rule.rate is None else rule.rate}
    known |= {name: value for name, value in given.items() if value is not None}
    if known["gamma"] is None:
        raise InputError(f"gamma: expected a weight decay; {task.name} has none of its own")
    lists = {
        name: numbers(name, known[name], *RANGES[name]).tolist() for name in ("gamma", "eta_d", "alpha", "m")
    }
    lists["n_train"] = check_sizes(task, known["n_train"])
    lists["seed"] = seeds_of(task, known["seeds"])
    if "eta_r" in known:
        lists["eta_r"] = numbers("eta_r", known["eta_r"], *RANGES["eta_r"]).tolist()
    for m in lists["m"]:
        if m != 1 and not task.messiness:
            raise InputError(f"m = {m:g}: {task.name} has no messiness")
    return lists


def seeds_of(task: Task, given: Sequence[int] | None) -> list[int]:
    """The seeds that are asked for, or the task's: 0, 1, 2 and 3, or where there is no other, 0."""
    alone = task.one_seed or task.start is not None  # a checkpoint is of one run
    seeds = whole_numbers("seeds", range(1 if alone else 4) if given is None else given, 0, alone=False)
    if task.one_seed and any(seeds):
        raise InputError(f"seeds: {task.name} has seed 0 alone, since {task.one_seed}")
    return seeds


def rule_of(task: Task, optimizer: str | None) -> str:
    """The optimizer that is asked for, or the task's."""
    return task.rule.name if optimizer is None else optimizer


def check_sizes(task: Task, values: Any) -> list[int]:
    """Training-set sizes that the task can have."""
    sizes = whole_numbers("n_train", values, 1)
    for n in sizes:
        if task.n_total is not None and n > task.n_total:
            raise InputError(f"n_train = {n}: expected {task.sizes}")
    return sizes
