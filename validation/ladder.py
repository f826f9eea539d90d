"""`ladder`: one start and its settings through every approximation, from the printed formula to the full
network, so that an error is traced to the assumption that makes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Member
from groktime.fullnet.runs import Runs, open_runs
from groktime.fullnet.settings import members_of
from groktime.fullnet.task import Task, whole
from groktime.fullnet.trainer import train
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.files import replacing
from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import SeedPrediction, predict
from groktime.reduced.system import LEVEL, systems
from groktime.validation.ladder_path import check_options, read_at, sampled
from groktime.validation.match import check_match
from groktime.validation.measure import measure
from groktime.validation.rungs import ONE_DIMENSIONAL, TWO_DIMENSIONAL, Rung, with_path

Floats = NDArray[np.float64]

SCHEMA = "groktime-ladder/1"
ADAMW_RATE = 1e-3
TRAINED = ("loop", "restricted", "gd", "adamw")


@dataclass(frozen=True)
class Ladder:
    """What `ladder` returns.

    `table`, of schema "groktime-ladder/1" over setting, seed and rung: `t_grok`, steps until the test
    accuracy passes `threshold` (setting, seed), NaN where there is none, and `status` says why; `last`, the
    step to which a network was watched. `representation_rate` (setting, seed, form) holds the corrected
    closed form and Eq. 6 with the rate 1/||R_random - R_linear||² that a trained R has. `runs`: the files of
    the trained rungs, `land` the landscape, `paths` the decay paths of the rung "path", if it was asked for.
    """

    table: xr.Dataset
    rungs: tuple[Rung, ...] = field(repr=False)
    land: Landscape = field(repr=False)
    runs: Mapping[str, tuple[Runs, ...]] = field(repr=False)
    paths: tuple[DecayPath, ...] = field(default=(), repr=False)

    def text(self) -> str:
        """Times by rung, ratios between neighbours, and which rung costs most."""
        from groktime.validation.ladder_text import text

        return text(self)

    def plot(self, path: str | Path, overwrite: bool = False) -> Path:
        """Times and ratios down the ladder, as PNG, PDF or SVG."""
        from groktime.validation.ladder_figure import plot_ladder

        return plot_ladder(self, path, overwrite)


def ladder(
    task: Task,
    land: Landscape,
    *,
    gamma: float | Sequence[float],
    eta_d: float | Sequence[float],
    alpha: float | Sequence[float],
    steps: int | Sequence[int],
    eta_r: float | Sequence[float] | None = None,
    m: float | Sequence[float] | None = None,
    n_train: int | Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    paired: bool = False,
    threshold: float | None = None,
    adamw_rate: float = ADAMW_RATE,
    level: float = LEVEL,
    loop: Mapping[str, Any] | None = None,
    path: Mapping[str, Any] | None = None,
    persist: int = 3,
    stop_early: bool = True,
    resolution: float = 0.02,
    out: str | Path,
    machine: Machine | None = None,
) -> Ladder:
    """The grokking time of each setting on every rung, seed by seed.

    Parameters
    ----------
    task, land : the networks, and a landscape that was sampled from them.
    gamma, eta_d, eta_r, alpha, m, n_train, paired : settings and starts, as in `gt.train`; eta_d is that of
        plain gradient descent, which has to bear it. seeds: of the landscape (default: all of them).
    steps : to which networks are trained, one number or one a setting.
    threshold : test accuracy that counts as generalised (default: the task's; one relative to the ceiling
        is taken from the landscape, seed by seed). The same on all rungs.
    adamw_rate : AdamW's learning rate, which means another thing than that of SGD. Its γ is such that ηγ, and
        with it the decay, is that of the setting; its η_R/η_D is the setting's, too.
    level : of the printed form, see `gt.predict`.
    loop : `start`, `inner`, `du`, `dm`, `rate` of `fullnet.eq6.integrate_networks`.
    path : `dtau`, `refit`, `tau`, `fit` of `gt.sample_path`, for one more rung: the networks of the SGD rung
        below it, followed along their decay path, and read as `gt.predict` does. Default: no such rung. In a
        folder that is there already it may be asked for later, or left out again.
    persist : evaluations that a pass must last.
    stop_early : stop a network when it has passed the highest of its seeds' thresholds, rather than at
        `steps`.
    out : a folder for the runs files; the same call goes on where it was stopped. machine : as in `gt.train`.

    Raises
    ------
    InputError : naming the argument, or what the landscape and the task differ in.
    """
    seeds = list(land.seeds) if seeds is None else [int(s) for s in seeds]
    absent = [s for s in seeds if s not in land.seeds]
    if absent or not seeds:
        raise InputError(
            f"seeds = {seeds}: {land.source} has {', '.join(map(str, land.seeds))}; expected some of these"
        )
    if (land.task, land.dataset.attrs["loss"]) != (task.name, task.loss_name):
        raise InputError(
            f"{land.source} is of {land.task!r}; expected a landscape of {task.name!r} and its loss"
        )
    if land.two_dimensional != task.messiness or (m is None) == task.messiness:
        kind = "(w, m), and a start m" if task.messiness else "w alone, and no m"
        raise InputError(f"m: {task.name} takes a landscape of {kind}")
    if not (np.isfinite(adamw_rate) and adamw_rate > 0):
        raise InputError(f"adamw_rate = {adamw_rate}: expected a finite number above 0")
    options = None if path is None else check_options(path)
    start = {"eta_r": eta_r, "m": m, "n_train": n_train, "seeds": seeds[:1], "paired": paired}
    one_seed = members_of(task, {"gamma": gamma, "eta_d": eta_d, "alpha": alpha, **start})
    settings = _Settings(task, land, one_seed, seeds, _steps(steps, len(one_seed)), threshold, stop_early)
    rungs: tuple[Rung, ...] = TWO_DIMENSIONAL if task.messiness else ONE_DIMENSIONAL
    if options is not None:
        rungs = with_path(rungs)
    how = {
        "loop": dict(loop or {}), "adamw_rate": adamw_rate, "resolution": resolution,
        "stop_early": stop_early,
        "settings": [asdict(c) for c in one_seed], "seeds": seeds, "steps": settings.steps,
        "limits": settings.limits.tolist(), "task": task.name, "task_settings": dict(task.settings),
    }  # fmt: skip
    folder = _folder(Path(out), how)
    t_grok = np.full((len(one_seed), len(seeds), len(rungs)), np.nan)
    status = np.full(t_grok.shape, "", object)
    last = np.full(t_grok.shape, np.nan)
    other = _predicted(settings, level, [r.name for r in rungs], t_grok, status)
    runs: dict[str, tuple[Runs, ...]] = {}
    paths: tuple[DecayPath, ...] = ()
    if options is not None:  # before anything is trained, so that a bad option is told at once
        paths, own = sampled(task, one_seed, seeds, options, folder, machine)
        k = [r.name for r in rungs].index("path")
        t_grok[..., k], status[..., k], last[..., k] = read_at(own, one_seed, seeds, settings.limits)
    for k, rung in enumerate(rungs):
        if rung.name in TRAINED:
            training = _training_of(rung.name, task, adamw_rate, dict(loop or {}))
            each = [
                _trained(settings, part, training, folder / f"{rung.name}-{number}.nc", resolution, machine)
                for number, part in enumerate(settings.parts)
            ]
            runs[rung.name] = tuple(each)
            for part, one in zip(settings.parts, each, strict=True):
                check_match(land, one, threshold, "accuracy")
                _measured(settings, part, one, persist, k, t_grok, status, last)
    table = _table(settings, rungs, t_grok, status, last, other)
    table.attrs |= {"landscape": land.source, "adamw_rate": adamw_rate, "level": level}
    return Ladder(table, rungs, land, runs, paths)


@dataclass(frozen=True)
class _Settings:
    """The settings (of the first seed) and the seeds; `limits`: test accuracies [setting, seed]."""

    task: Task
    land: Landscape
    members: Sequence[Member]
    seeds: Sequence[int]
    steps: list[int]
    threshold: float | None
    stop_early: bool

    @property
    def parts(self) -> list[list[int]]:
        """The settings that are trained together: those with equal steps."""
        return [[k for k, s in enumerate(self.steps) if s == each] for each in sorted(set(self.steps))]

    def size(self, k: int) -> int | None:
        """The n_train of setting k by which the landscape knows it."""
        return None if self.land.n_train == [0] else self.members[k].n_train

    @property
    def limits(self) -> Floats:
        known: dict[int | None, dict[int, float]] = {}
        for k in range(len(self.members)):
            n = self.size(k)
            if n not in known:
                found = systems(self.land, n_train=n, threshold=self.threshold)
                known[n] = {s.seed: s.threshold for s in found}
        return np.array([[known[self.size(k)][s] for s in self.seeds] for k in range(len(self.members))])


def _steps(steps: int | Sequence[int], count: int) -> list[int]:
    each = np.atleast_1d(np.asarray(steps)).tolist()
    if len(each) not in (1, count):
        raise InputError(f"steps: {len(each)} values, expected one number, or {count}, one a setting")
    return [whole("steps", s, 1) for s in (each * count if len(each) == 1 else each)]


def _folder(out: Path, how: Mapping[str, Any]) -> Path:
    """The folder of the runs files, which belong to one ladder only."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror or error})") from error
    note, text = out / "ladder.json", json.dumps(how, indent=1, sort_keys=True, default=float)
    if not note.exists():
        with replacing(note) as temporary:
            temporary.write_text(text)
    elif note.read_text() != text:
        raise InputError(f"{out}: holds a ladder of other settings; name another folder, or remove it")
    return out


def _predicted(
    given: _Settings, level: float, names: Sequence[str], t_grok: Floats, status: NDArray[np.object_]
) -> Floats:
    """Fill in the rungs without networks; returns (setting, seed, form) at the representation's rate."""
    other = np.full((*t_grok.shape[:2], 2), np.nan)
    for k, c in enumerate(given.members):
        start: dict[str, Any] = {"gamma": c.gamma, "eta_d": c.eta_d, "alpha": c.alpha, "level": level}
        start |= {"n_train": given.size(k), "threshold": given.threshold}
        if given.task.messiness:
            start |= {"m": c.m, "eta_r": c.eta_r}
        own = {p.seed: p for p in predict(given.land, **start).seeds}
        if given.task.messiness:
            of_r = {p.seed: p for p in predict(given.land, **start, m_rate="representation").seeds}
            other[k] = [[of_r[s].corrected, of_r[s].t_grok] for s in given.seeds]
        for j, seed in enumerate(given.seeds):
            for name, (time, said) in _told(own[seed]).items():
                if name in names:
                    at = names.index(name)
                    t_grok[k, j, at], status[k, j, at] = time, said
    return other


def _told(p: SeedPrediction) -> dict[str, tuple[float, str]]:
    """Time and status of the rungs without networks."""

    def form(time: float) -> tuple[float, str]:
        if p.status is Status.ALREADY:
            return 0.0, Status.ALREADY.value
        return time, Status.GENERALIZES.value if np.isfinite(time) else "no form"

    return {
        "printed": form(p.closed_form),
        "corrected": form(p.corrected),
        "eq6": (p.t_grok, p.status.value),
    }


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


def _trained(
    given: _Settings,
    part: Sequence[int],
    training: _Training,
    file: Path,
    resolution: float,
    machine: Machine | None,
) -> Runs:
    """The runs of some settings, seed by seed within each, trained if their file is not there."""
    if file.exists():
        return open_runs(file)
    by, how, rate = training
    rows = [(given.members[k], seed) for k in part for seed in given.seeds]
    # AdamW's rate is its own: the same ηγ, and the same η_R/η_D
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


def _measured(
    given: _Settings,
    part: Sequence[int],
    runs: Runs,
    persist: int,
    rung: int,
    t_grok: Floats,
    status: NDArray[np.object_],
    last: Floats,
) -> None:
    shape = (len(part), len(given.seeds))
    delays = measure(runs, given.limits[list(part)].ravel(), persist)
    time, watched = (delays[name].values.astype(float).reshape(shape) for name in ("t_grok", "last"))
    diverged = runs.dataset["diverged"].values.astype(bool).reshape(shape)
    said = np.where(np.isfinite(time), Status.GENERALIZES.value, np.where(diverged, "diverged", "censored"))
    t_grok[part, :, rung], status[part, :, rung], last[part, :, rung] = time, said, watched


def _table(
    given: _Settings,
    rungs: Sequence[Rung],
    t_grok: Floats,
    status: NDArray[np.object_],
    last: Floats,
    other: Floats,
) -> xr.Dataset:
    dims = ("setting", "seed", "rung")
    names = {"gamma": "gamma", "eta_d": "eta_d", "eta_r": "eta_r", "alpha": "alpha", "n_train": "n_train"}
    if given.task.messiness:
        names["m_start"] = "m"
    else:
        del names["eta_r"]
    coords: dict[str, Any] = {
        k: ("setting", [getattr(c, v) for c in given.members]) for k, v in names.items()
    }
    coords |= {"steps": ("setting", given.steps), "seed": list(given.seeds)}
    coords |= {"rung": [r.name for r in rungs], "form": ["corrected", "eq6"]}
    table = xr.Dataset(
        {
            "t_grok": (dims, t_grok, {"units": "optimizer steps"}),
            "status": (dims, status.astype(str)),
            "last": (dims, last, {"units": "optimizer steps"}),
            "threshold": (dims[:2], given.limits),
            "representation_rate": ((*dims[:2], "form"), other, {"units": "optimizer steps"}),
        },
        coords,
        {"schema": SCHEMA, "task": given.task.name},
    )
    return table if given.task.messiness else table.drop_dims("form")
