"""The decay path as a rung of the ladder: sampled for its settings, and read at their γ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Member
from groktime.fullnet.task import Task
from groktime.reduced.decay_path import DecayPath, open_path
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.path_prediction import predict_on_path

Floats = NDArray[np.float64]

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
        own = [c for c in settings if _rates(task, c) == rate]
        file = folder / f"path-{number}.nc"
        if file.exists():
            paths.append(_opened(file, options))
            continue
        sample_path(
            task,
            alpha=sorted({c.alpha for c in own}),
            m=sorted({c.m for c in own}),
            n_train=sorted({c.n_train for c in own}),
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


def read_at(
    paths: Sequence[DecayPath], settings: Sequence[Member], seeds: Sequence[int], limits: Floats
) -> tuple[Floats, NDArray[np.object_], Floats]:
    """Steps, status, and the step at which the path ends where it does not pass, of each setting on its path,
    at the test accuracies `limits`; all [setting, seed]."""
    time, last = np.full(limits.shape, np.nan), np.full(limits.shape, np.nan)
    status = np.full(limits.shape, "", object)
    for k, (path, c) in enumerate(zip(paths, settings, strict=True)):
        for j, seed in enumerate(seeds):
            p = predict_on_path(
                path, gamma=c.gamma, eta_d=c.eta_d, alpha=c.alpha, m=c.m, n_train=c.n_train, seed=seed,
                threshold=float(limits[k, j]),
            )  # fmt: skip
            time[k, j], status[k, j] = p.t_grok, p.status.value
            if p.status is Status.OUTSIDE:
                last[k, j] = path.tau[-1] / p.rate
    return time, status, last
