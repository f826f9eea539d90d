"""`ladder`: one start and its settings through every approximation, from the printed formula to the full
network, so that an error is traced to the assumption that makes it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.find import task_of
from groktime.fullnet.machine import Machine
from groktime.fullnet.procedures.recording import share
from groktime.fullnet.runs import Runs
from groktime.fullnet.settings import check_names, members_of
from groktime.fullnet.task import Task
from groktime.reduced.arguments import flag, number, whole_numbers
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.drift import FIELDS
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape, landscape_of
from groktime.reduced.starts import POSITIVE, check_option
from groktime.reduced.system import LEVEL
from groktime.validation.ladder_networks import TRAINED, check_options, sampled, trained
from groktime.validation.ladder_settings import LadderSettings, Settings, folder_of, steps_of
from groktime.validation.ladder_sources import Read, of_landscape, of_paths
from groktime.validation.match import check_match
from groktime.validation.measure import measure
from groktime.validation.rungs import ONE_DIMENSIONAL, TWO_DIMENSIONAL, Rung, with_drift, with_path

if TYPE_CHECKING:
    from groktime.reduced.figures import Panels

Floats = NDArray[np.float64]

SCHEMA = "groktime-ladder/1"
ADAMW_RATE = 1e-3


@dataclass(frozen=True, repr=False)
class Ladder:
    """What `ladder` returns.

    `table`, of schema "groktime-ladder/1" over setting, seed and rung: `t_grok`, steps until the test
    accuracy passes `threshold` (setting, seed), NaN where there is none, and `status` says why; `last`, the
    step to which a network was watched. `representation_rate` (setting, seed, form) holds the corrected
    closed form and Eq. 6 with the rate 1/||R_random - R_linear||² that a trained R has. `runs`: the files of
    the trained rungs, `land` the landscape, `paths` the decay paths of the rung "path", if it was asked for.
    """

    table: xr.Dataset
    rungs: tuple[Rung, ...]
    land: Landscape
    runs: Mapping[str, tuple[Runs, ...]]
    paths: tuple[DecayPath, ...] = ()

    def report(self) -> str:
        """Times by rung, ratios between neighbours, and which rung costs most."""
        from groktime.validation.ladder_text import text

        return text(self)

    def write_report(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write ladder.txt, table.csv, table.nc and ladder.png into a folder, complete or not at all.

        Raises
        ------
        InputError : as `Comparison.write_report`.
        """
        from groktime.validation.folder import write_ladder

        return write_ladder(self, Path(path), overwrite)

    def to_dict(self) -> dict[str, Any]:
        """The table as plain dicts, for scripts."""
        return {"schema": SCHEMA, "table": self.table.to_dict()}

    def to_dataframe(self) -> Any:
        """One row a setting, seed and rung."""
        each = self.table.drop_dims("form", errors="ignore")
        return each.to_dataframe(dim_order=["setting", "seed", "rung"]).reset_index()

    def __repr__(self) -> str:
        sizes, task = self.table.sizes, self.table.attrs["task"]
        return (
            f"<Ladder: {sizes['setting']} settings of {task}, {sizes['seed']} seeds; "
            f"rungs {', '.join(r.name for r in self.rungs)}>"
        )

    def _repr_html_(self) -> str:
        from groktime.validation.page import ladder_html

        return ladder_html(self)

    def plot(self, file: str | Path | None = None, overwrite: bool = False) -> Panels:
        """`gt.plot` of this ladder: times and ratios from rung to rung."""
        from groktime.validation.figures import Panels, plot

        drawn = plot(self, file, overwrite=overwrite)
        assert isinstance(drawn, Panels)
        return drawn


def ladder(
    task: Task | str,
    land: Landscape | str | os.PathLike[str],
    *,
    gamma: float | Sequence[float],
    eta_d: float | Sequence[float],
    alpha: float | Sequence[float],
    steps: int | Sequence[int],
    threshold: float | None = None,
    loop: Mapping[str, Any] | None = None,
    path: Mapping[str, Any] | None = None,
    out: str | Path,
    machine: Machine | None = None,
    **more: Unpack[LadderSettings],
) -> Ladder:
    """The grokking time of each setting on every rung, seed by seed.

    Parameters
    ----------
    task, land : the networks, and a landscape that was sampled from them; by value, or by name or file.
    gamma, eta_d, eta_r, alpha, m, n_train, paired : settings and starts, as in `gt.train`; eta_d is that of
        plain gradient descent, which has to bear it. seeds: of the landscape (default: all of them).
    steps : to which networks are trained, one number or one a setting.
    threshold : test accuracy that counts as generalized (default: the task's; one relative to the ceiling
        is taken from the landscape, seed by seed). The same on all rungs.
    adamw_rate (1e-3) : AdamW's learning rate, which means another thing than that of SGD. Its γ is such that
        ηγ, and with it the decay, is that of the setting; its η_R/η_D is the setting's, too.
    level (0.05) : of the printed form, see `gt.predict`.
    loop : `start`, `inner`, `du`, `dm`, `rate` of `fullnet.eq6.integrate_networks`.
    path : `dtau`, `refit`, `tau`, `fit` of `gt.sample_path`, for one more rung: the networks of the SGD rung
        below it, followed along their decay path, and read as `gt.predict` does. Default: no such rung. In a
        folder that is there already it may be asked for later, or left out again.
    persist (3) : evaluations that a pass must last. resolution (0.02) : of the times, as in `gt.train`.
    stop_early (True) : stop a network when it has passed the highest of its seeds' thresholds, rather than at
        `steps`.
    out : a folder for the runs files; the same call goes on where it was stopped. machine : as in `gt.train`.

    Raises
    ------
    InputError : naming the argument, or what the landscape and the task differ in.
    """
    task, land = task_of(task), landscape_of(land)
    check_names("ladder", more, LadderSettings)
    level = check_option("level", more.get("level", LEVEL))
    adamw_rate = number("adamw_rate", more.get("adamw_rate", ADAMW_RATE), *POSITIVE)
    resolution = share("resolution", more.get("resolution", 0.02))
    stop_early = flag("stop_early", more.get("stop_early", True))
    threshold = None if threshold is None else check_option("threshold", threshold)
    seeds = _checked(task, land, more)
    options = None if path is None else check_options(path)
    start = {name: more.get(name) for name in ("eta_r", "m", "n_train")}
    start |= {"seeds": seeds[:1], "paired": more.get("paired", False)}
    one_seed = members_of(task, {"gamma": gamma, "eta_d": eta_d, "alpha": alpha, **start})
    settings = Settings(task, land, one_seed, seeds, steps_of(steps, len(one_seed)), threshold, stop_early)
    rungs: tuple[Rung, ...] = TWO_DIMENSIONAL if task.messiness else ONE_DIMENSIONAL
    if FIELDS[0] in land.dataset:
        rungs = with_drift(rungs)
    if options is not None:
        rungs = with_path(rungs)
    how = {
        "loop": dict(loop or {}), "adamw_rate": adamw_rate, "resolution": resolution,
        "stop_early": stop_early,
        "settings": [asdict(c) for c in one_seed], "seeds": seeds, "steps": settings.steps,
        "limits": settings.limits.tolist(), "task": task.name, "task_settings": dict(task.settings),
    }  # fmt: skip
    folder = folder_of(Path(out), how)
    by_rung = _ByRung.of((len(one_seed), len(seeds), len(rungs)))
    names = [r.name for r in rungs]
    read, other = of_landscape(settings, level)
    for name in set(read[0][0]) & set(names):
        by_rung.fill(names.index(name), [[each[name] for each in row] for row in read])
    runs: dict[str, tuple[Runs, ...]] = {}
    paths: tuple[DecayPath, ...] = ()
    if options is not None:  # before anything is trained, so that a bad option is known at once
        paths, of_setting = sampled(task, one_seed, seeds, options, folder, machine)
        by_rung.fill(names.index("path"), of_paths(settings, of_setting))
    for name in (n for n in names if n in TRAINED):
        runs[name] = tuple(
            trained(
                settings, part, name, adamw_rate, loop, folder / f"{name}-{number}.nc", resolution, machine
            )
            for number, part in enumerate(settings.parts)
        )
        for part, one in zip(settings.parts, runs[name], strict=True):
            check_match(land, one, threshold, "accuracy")
            by_rung.measured(names.index(name), settings, part, one, more.get("persist", 3))
    table = _table(settings, rungs, by_rung, other)
    table.attrs |= {"landscape": land.source, "adamw_rate": adamw_rate, "level": level}
    return Ladder(table, rungs, land, runs, paths)


def _checked(task: Task, land: Landscape, more: LadderSettings) -> list[int]:
    """The seeds, of a landscape that belongs to the task."""
    given = more.get("seeds")
    seeds = list(land.seeds) if given is None else whole_numbers("seeds", given, 0, alone=False)
    absent = [s for s in seeds if s not in land.seeds]
    if absent or not seeds:
        raise InputError(
            f"seeds = {seeds}: {land.source} has {', '.join(map(str, land.seeds))}; expected some of these"
        )
    if (land.task, land.attrs["loss"]) != (task.name, task.loss_name):
        raise InputError(
            f"{land.source} is of {land.task!r}; expected a landscape of {task.name!r} and its loss"
        )
    if land.two_dimensional != task.messiness or (more.get("m") is None) == task.messiness:
        kind = "(w, m), and a start m" if task.messiness else "w alone, and no m"
        raise InputError(f"m: {task.name} takes a landscape of {kind}")
    if task.optimizer.course.shape != "constant":
        raise InputError(
            f"schedule: the rate of {task.name} falls ({task.optimizer.course}), and the rungs hold theirs; "
            "expected a task with a constant one"
        )
    return seeds


@dataclass(frozen=True)
class _ByRung:
    """Steps, status, and the step to which it was watched, [setting, seed, rung]."""

    t_grok: Floats
    status: NDArray[np.object_]
    last: Floats

    @classmethod
    def of(cls, shape: tuple[int, int, int]) -> _ByRung:
        return cls(np.full(shape, np.nan), np.full(shape, "", object), np.full(shape, np.nan))

    def fill(self, rung: int, read: Sequence[Sequence[Read]]) -> None:
        """What a source says, [setting][seed]."""
        for k, row in enumerate(read):
            for j, each in enumerate(row):
                self.t_grok[k, j, rung], self.status[k, j, rung], self.last[k, j, rung] = each

    def measured(self, rung: int, given: Settings, part: Sequence[int], runs: Runs, persist: int) -> None:
        """What became of the networks of some settings."""
        shape = (len(part), len(given.seeds))
        delays = measure(runs, given.limits[list(part)].ravel(), persist)
        time, watched = (delays[name].values.astype(float).reshape(shape) for name in ("t_grok", "last"))
        diverged = runs.dataset["diverged"].values.astype(bool).reshape(shape)
        never = np.where(diverged, "diverged", "censored")
        self.t_grok[part, :, rung], self.last[part, :, rung] = time, watched
        self.status[part, :, rung] = np.where(np.isfinite(time), Status.GENERALIZES.value, never)


def _table(
    given: Settings,
    rungs: Sequence[Rung],
    found: _ByRung,
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
    steps = "optimizer steps"
    table = xr.Dataset(
        {
            "t_grok": (dims, found.t_grok, _named(steps, "time to generalize")),
            "status": (dims, found.status.astype(str), _named("1", "what becomes of the network")),
            "last": (dims, found.last, _named(steps, "step to which it was watched")),
            "threshold": (dims[:2], given.limits, _named("1", "test accuracy that counts as generalized")),
            "representation_rate": (
                (*dims[:2], "form"),
                other,
                _named(steps, "time to generalize at the rate of m that a trained R has"),
            ),
        },
        coords,
        {"schema": SCHEMA, "task": given.task.name},
    )
    return table if given.task.messiness else table.drop_dims("form")


def _named(unit: str, words: str) -> dict[str, str]:
    return {"units": unit, "long_name": words}
