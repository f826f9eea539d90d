"""The rungs of a ladder that need networks: trained, or followed along their decay path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Member
from groktime.fullnet.runs import Runs, open_runs
from groktime.fullnet.task import Task
from groktime.fullnet.trainer import train
from groktime.reduced.decay_path import DecayPath, open_path
from groktime.reduced.errors import InputError
from groktime.validation.ladder_settings import Settings

TRAINED = ("loop", "restricted", "gd", "adamw")
_Training = tuple[Callable[..., Runs], dict[str, Any], float | None]


def _training_of(name: str, task: Task, adamw_rate: float, loop: dict[str, Any]) -> _Training:
    """What trains a rung, how, and the learning rate that replaces the setting's."""
    free = "free" if task.messiness else "fixed"
    of: dict[str, _Training] = {
        "loop": (integrate_networks, loop, None),
        "restricted": (train, {"optimizer": "sgd", "representation": "line"}, None),
        "gd": (train, {"optimizer": "sgd", "representation": free}, None),
        "adamw": (train, {"optimizer": "adamw", "representation": free}, adamw_rate),
    }
    return of[name]


def trained(
    given: Settings,
    part: Sequence[int],
    rung: str,
    adamw_rate: float,
    loop: Mapping[str, Any] | None,
    file: Path,
    resolution: float,
    machine: Machine | None,
) -> Runs:
    """The runs of some settings, seed by seed within each, trained if their file is not there."""
    if file.exists():
        return open_runs(file)
    by, how, rate = _training_of(rung, given.task, adamw_rate, dict(loop or {}))
    rows = [(given.members[k], seed) for k in part for seed in given.seeds]
    # AdamW has another rate: the same ηγ, and the same η_R/η_D
    scale = [1.0 if rate is None else rate / c.eta_d for c, _ in rows]
    return by(
        given.task,
        gamma=[c.gamma / s for (c, _), s in zip(rows, scale, strict=True)],
        eta_d=[c.eta_d * s for (c, _), s in zip(rows, scale, strict=True)],
        eta_r=[c.eta_r * s for (c, _), s in zip(rows, scale, strict=True)],
        alpha=[c.alpha for c, _ in rows],
        m=[c.m for c, _ in rows],
        n_train=[c.n_train for c, _ in rows],
        seeds=[seed for _, seed in rows],
        paired=True,
        steps=given.steps[part[0]],
        stop_at=float(given.limits[list(part)].max()) if given.stop_early else None,
        resolution=resolution,
        out=file,
        **how,
        machine=machine,
    )


# of `sample_path`, as it has them
OPTIONS = {k: signature(sample_path).parameters[k].default for k in ("dtau", "refit", "tau", "fit")}


def check_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of the path; those that are not given are the usual ones."""
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        raise InputError(f"path: {unknown[0]!r} is none of its options; expected {', '.join(OPTIONS)}")
    return OPTIONS | dict(given)


def sampled(
    task: Task,
    settings: Sequence[Member],
    seeds: Sequence[int],
    options: Mapping[str, Any],
    folder: Path,
    machine: Machine | None,
) -> tuple[tuple[DecayPath, ...], list[DecayPath]]:
    """The paths, one for all settings with the same rates, sampled if their file is not there; and which of
    them belongs to each setting. They hold every combination of the starts of their settings."""
    rates = sorted({_rates(task, c) for c in settings})
    paths = []
    for number, rate in enumerate(rates):
        mine = [c for c in settings if _rates(task, c) == rate]
        file = folder / f"path-{number}.nc"
        if file.exists():
            paths.append(_opened(file, options))
            continue
        sample_path(
            task,
            alpha=sorted({c.alpha for c in mine}),
            m=sorted({c.m for c in mine}),
            n_train=sorted({c.n_train for c in mine}),
            seeds=seeds,
            eta_d=rate[0],
            eta_r=rate[1],
            optimizer="sgd",
            representation="line" if task.messiness else "fixed",
            out=file,
            **options,
            machine=machine,
        )
        paths.append(open_path(file))
    return tuple(paths), [paths[rates.index(_rates(task, c))] for c in settings]


def _rates(task: Task, c: Member) -> tuple[float, float]:
    return c.eta_d, c.eta_r if task.messiness else c.eta_d


def _opened(file: Path, options: Mapping[str, Any]) -> DecayPath:
    """A path of the folder, which must have been sampled with these options."""
    path = open_path(file)
    same = (
        path.dtau == options["dtau"]
        and path.refit == sorted(set(np.atleast_1d(np.asarray(options["refit"])).tolist()))
        and abs(path.tau[-1] - options["tau"]) <= 0.501 * path.dtau  # it ends at a record
        and path.fit == options["fit"]
    )
    if not same:
        raise InputError(
            f"path: {file} was sampled with dtau = {path.dtau:g}, refit = {path.refit}, "
            f"tau = {path.tau[-1]:g}, fit = {path.fit!r}; expected the same, or that it is removed"
        )
    return path
