"""`train`: full networks with decay, hundreds at once, into a runs file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.engine.device import device_of, members_at_once
from groktime.fullnet.engine.device import workers as default_workers
from groktime.fullnet.engine.ensemble import initial_parameters
from groktime.fullnet.engine.parts import Checkpoint, Parts, clean
from groktime.fullnet.engine.pieces import Arrays, Executor, OnSteps, Piece, run
from groktime.fullnet.engine.progress import Progress
from groktime.fullnet.runs import Runs
from groktime.fullnet.task import Task, whole
from groktime.fullnet.training import Member, Plan, training_of
from groktime.reduced.errors import InputError
from groktime.reduced.files import check_output

Floats = NDArray[np.float64]

_COORDS = ("gamma", "eta_d", "eta_r", "alpha", "n_train", "seed")


def train(
    task: Task,
    *,
    gamma: float | Sequence[float],
    alpha: float | Sequence[float],
    eta_d: float | Sequence[float] | None = None,
    eta_r: float | Sequence[float] | None = None,
    m: float | Sequence[float] = 1.0,
    n_train: int | Sequence[int] | None = None,
    seeds: Sequence[int] = range(4),
    steps: int,
    paired: bool = False,
    optimizer: str = "adamw",
    representation: str = "fixed",
    batch: int | None = None,
    resolution: float = 0.02,
    stop_at: float | None = None,
    constrained: bool = False,
    dtype: str = "float32",
    out: str | Path,
    device: str = "auto",
    members: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    compiled: bool = False,
    progress: bool = True,
    overwrite: bool = False,
) -> Runs:
    """Train a task's networks and record their curves at geometric times.

    Parameters
    ----------
    gamma, alpha, eta_d, eta_r, m, n_train, seeds : every combination is a run; with `paired`, the lists
        are walked together (single values are repeated). eta_d defaults to the task's rate, eta_r to
        eta_d, n_train to the task's. All weights are multiplied by alpha at the start.
    optimizer : "adamw", "adam" (no decay), "sgd" or "momentum" (0.9); for the network and for the
        representation, which never decays.
    representation : "fixed" at m, or trained: "line" (m alone) or "free" (R itself).
    batch : samples a step (default: the task's; 0: all).
    resolution : an evaluation follows within this share of the steps before it, so that a time is
        known to that share.
    stop_at : test accuracy at which a run is done, once it has held for three evaluations, as has 95 %
        of training accuracy (default: no run stops before `steps`).
    constrained : rescale all weights after every optimizer step to the norm that they started with (P
        Fig. 7b); the optimizer is given the whole gradient, and decay acts on nothing but the rate.
    members : trained together (default: what fits the cache). `workers`, `executor`: as in `sample`.
    compiled : as in `sample`.
    out : the runs file. Written whole at the end; until then finished pieces, and the state of those
        in work, lie beside it, and the same call goes on where it was stopped.

    Raises
    ------
    InputError : on a bad setting or an output that exists. A run that diverges is a result.
    """
    out = Path(out)
    clean(out)
    check_output(out, overwrite)
    chosen = members_of(task, paired, gamma, eta_d, eta_r, alpha, m, n_train, seeds)
    where = device_of(device)
    plan = Plan(
        task=task,
        steps=whole("steps", steps, 1),
        optimizer=optimizer,
        representation=representation,
        batch=whole("batch", task.batch if batch is None else batch, 0),
        resolution=resolution,
        stop_at=stop_at,
        dtype=dtype,
        device=where,
        compiled=compiled,
        constrained=bool(constrained),
    )
    plan.check(chosen)
    return in_pieces(
        plan, plan.configuration(), chosen, lambda some: training_of(plan, some), name="train",
        optimizer=optimizer, title=f"training {task.name}", out=out, members=members, workers=workers,
        executor=executor, progress=progress, overwrite=overwrite,
    )  # fmt: skip


def in_pieces(
    plan: Plan,
    configuration: Mapping[str, Any],
    chosen: Sequence[Member],
    work_of: Callable[[Sequence[Member]], Callable[[OnSteps, Checkpoint], Arrays]],
    *,
    name: str,
    optimizer: str,
    title: str,
    out: Path,
    members: int | None,
    workers: int | None,
    executor: Executor | None,
    progress: bool,
    overwrite: bool,
) -> Runs:
    """The runs file of all members, each piece of them by its own `work_of`; goes on where it was stopped."""
    task, where = plan.task, plan.device
    side_by_side = default_workers(where) if workers is None else whole("workers", workers, 1)
    if members is None:
        parameters = len(initial_parameters(task, 0))
        at_once = members_at_once(where, parameters, len(chosen), side_by_side)
    else:
        at_once = whole("members", members, 1)
    parts = Parts(out, {**configuration, "runs": [asdict(c) for c in chosen]})
    pieces: list[Piece] = []
    places: list[int] = []
    for number, place in enumerate(_cut(chosen, at_once)):
        work = work_of([chosen[k] for k in place])
        pieces.append(Piece(f"{name}-{at_once}-{number}", len(place) * plan.steps, work))
        places += place
    with Progress(len(chosen) * plan.steps, title, progress) as bar:
        results = run(pieces, parts, bar, side_by_side, executor)
    runs = _assembled(plan, optimizer, configuration, chosen, places, results)
    parts.finish(runs.save, overwrite)
    return runs


def _assembled(
    plan: Plan,
    optimizer: str,
    configuration: Mapping[str, Any],
    members: Sequence[Member],
    places: Sequence[int],
    results: Sequence[Arrays],
) -> Runs:
    """The runs file of the pieces' results, whose rows are the members at `places`."""
    task, back = plan.task, np.argsort(places)
    joined = {k: np.concatenate([r[k] for r in results])[back] for k in results[0]}
    settings = {name: [getattr(c, name) for c in members] for name in _COORDS}
    if task.messiness:
        settings["m_start"] = [c.m for c in members]
    return Runs.assemble(
        step=plan.times(),
        settings=settings,
        curves={name: joined[name] for name in plan.curves},
        w0=joined["w0"],
        steps_done=joined["steps_done"],
        diverged=joined["diverged"],
        task=task.name,
        loss=task.loss_name,
        threshold=task.threshold,
        threshold_relative=task.relative,
        optimizer=optimizer,
        batch=plan.batch,
        representation=plan.representation,
        constrained=plan.constrained,
        configuration=configuration,
    )


def members_of(
    task: Task,
    paired: bool,
    gamma: Any,
    eta_d: Any,
    eta_r: Any,
    alpha: Any,
    m: Any,
    n_train: Any,
    seeds: Sequence[int],
) -> list[Member]:
    """The runs of these settings, in the order of their combinations; bad settings are told by name."""
    eta_d = task.optimizer.rate if eta_d is None else eta_d
    n_train = task.n_train if n_train is None else n_train
    given = {"gamma": gamma, "eta_d": eta_d, "alpha": alpha, "m": m, "n_train": n_train, "seed": seeds}
    if eta_r is not None:
        given["eta_r"] = eta_r
    lists = {k: np.atleast_1d(np.asarray(v)) for k, v in given.items()}
    for name, values in lists.items():
        if values.ndim != 1 or not values.size or not np.issubdtype(values.dtype, np.number):
            raise InputError(f"{name}: expected a number or a list of numbers")
        positive = name in ("eta_d", "alpha")
        expected = "a finite number above 0" if positive else "a finite number, 0 or more"
        for value in values:
            if not np.isfinite(value) or value < 0 or (positive and value == 0):
                raise InputError(f"{name} = {value:g}: expected {expected}")
            if name in ("n_train", "seed") and value != int(value):
                raise InputError(f"{name} = {value:g}: expected a whole number")
            if name == "m" and value > 1:
                raise InputError(f"m = {value:g}: expected a messiness within [0, 1]")
            if name == "n_train" and not 1 <= value <= (task.n_total or np.inf):
                raise InputError(f"n_train = {value:g}: expected {task.sizes}")
            if name == "m" and value != 1 and not task.messiness:
                raise InputError(f"m = {value:g}: {task.name} has no messiness")
    if paired:
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


def _together(c: Member) -> tuple[float, ...]:
    """Members of one size, equal settings and like norms side by side: they finish together, and an
    optimizer step takes those with equal settings in one call."""
    return (c.n_train, c.gamma, c.eta_d, c.eta_r, c.alpha, c.m, c.seed)


def _cut(members: Sequence[Member], at_once: int) -> list[list[int]]:
    """Which members make up each piece: of one training-set size, those that are alike together."""
    order = sorted(range(len(members)), key=lambda k: _together(members[k]))
    pieces = []
    for _, group in itertools.groupby(order, key=lambda k: members[k].n_train):
        same = list(group)
        pieces += [same[i : i + at_once] for i in range(0, len(same), at_once)]
    return pieces
