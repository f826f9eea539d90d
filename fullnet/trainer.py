"""`train`: full networks with decay, hundreds at once, into a runs file."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fullnet.device import device_of, members_at_once
from fullnet.device import workers as default_workers
from fullnet.ensemble import Ensemble, initial_parameters
from fullnet.optimizer import RULES, Optimizer, Setting, weight_norm
from fullnet.parts import Checkpoint, Parts, clean
from fullnet.pieces import Arrays, Executor, OnSteps, Piece, run
from fullnet.progress import Progress
from fullnet.representation import representation_of
from fullnet.runs import CURVES, Runs
from fullnet.samples import Data, Minibatches
from fullnet.task import Task, whole
from reduced.errors import InputError
from reduced.files import check_output

Floats = NDArray[np.float64]

_COORDS = ("gamma", "eta_d", "eta_r", "alpha", "n_train", "seed")
_CHECKPOINT_SECONDS = 60.0
_PERSIST = 3  # evaluations in a row beyond both thresholds after which a run may stop
_MEMORIZED = 0.95


@dataclass(frozen=True)
class Member:
    """One run: weight decay γ, learning rates η_D and η_R per step, relative start norm α, start
    messiness m, number of training samples and seed."""

    gamma: float
    eta_d: float
    eta_r: float
    alpha: float
    m: float
    n_train: int
    seed: int


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
    dtype: str = "float32",
    out: str | Path,
    device: str = "auto",
    members: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
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
    members : trained together (default: what fits the cache). `workers`, `executor`: as in `sample`.
    out : the runs file. Written whole at the end; until then finished pieces, and the state of those
        in work, lie beside it, and the same call goes on where it was stopped.

    Raises
    ------
    InputError : on a bad setting or an output that exists. A run that diverges is a result.
    """
    out = Path(out)
    clean(out)
    check_output(out, overwrite)
    chosen = _members(task, paired, gamma, eta_d, eta_r, alpha, m, n_train, seeds)
    where = device_of(device)
    plan = _Plan(
        task=task,
        steps=whole("steps", steps, 1),
        optimizer=optimizer,
        representation=representation,
        batch=whole("batch", task.batch if batch is None else batch, 0),
        resolution=resolution,
        stop_at=stop_at,
        dtype=dtype,
        device=where,
    )
    plan.check(chosen)
    side_by_side = default_workers(where) if workers is None else whole("workers", workers, 1)
    if members is None:
        parameters = len(initial_parameters(task, 0))
        at_once = members_at_once(where, parameters, len(chosen), side_by_side)
    else:
        at_once = whole("members", members, 1)
    parts = Parts(out, plan.configuration() | {"runs": [asdict(c) for c in chosen]})
    order = sorted(range(len(chosen)), key=lambda k: _together(chosen[k]))
    pieces, places = [], []
    for number, place in enumerate(_cut(order, chosen, at_once)):
        work = _work(plan, [chosen[k] for k in place])
        pieces.append(Piece(f"train-{at_once}-{number}", len(place) * plan.steps, work))
        places += place
    with Progress(len(chosen) * plan.steps, f"training {task.name}", progress) as bar:
        results = run(pieces, parts, bar, side_by_side, executor)
    back = np.argsort(places)
    joined = {k: np.concatenate([r[k] for r in results])[back] for k in results[0]}
    settings = {name: [getattr(c, name) for c in chosen] for name in _COORDS}
    if task.messiness:
        settings["m_start"] = [c.m for c in chosen]
    runs = Runs.assemble(
        step=plan.times(),
        settings=settings,
        curves={name: joined[name] for name in CURVES},
        w0=joined["w0"],
        steps_done=joined["steps_done"],
        diverged=joined["diverged"],
        task=task.name,
        loss=task.loss_name,
        threshold=task.threshold,
        threshold_relative=task.relative,
        optimizer=optimizer,
        batch=plan.batch,
        representation=representation,
        configuration=plan.configuration(),
    )
    parts.finish(runs.save, overwrite)
    return runs


@dataclass(frozen=True)
class _Plan:
    task: Task
    steps: int
    optimizer: str
    representation: str
    batch: int
    resolution: float
    stop_at: float | None
    dtype: str
    device: torch.device

    def check(self, members: Sequence[Member]) -> None:
        if self.optimizer not in RULES:
            raise InputError(f"optimizer = {self.optimizer!r}: expected one of {', '.join(RULES)}")
        if self.optimizer == "adam" and any(c.gamma for c in members):
            raise InputError("optimizer = 'adam': is without decay; expected gamma = 0, or 'adamw'")
        if not 0 < self.resolution <= 1:
            raise InputError(f"resolution = {self.resolution}: expected a share in (0, 1]")
        if self.stop_at is not None and not 0 < self.stop_at <= 1:
            raise InputError(f"stop_at = {self.stop_at}: expected a test accuracy in (0, 1]")
        if self.dtype not in ("float32", "float64"):
            raise InputError(f"dtype = {self.dtype!r}: expected 'float32' or 'float64'")
        representation_of(self.representation, self.task.problem(members[0].seed, members[0].n_train))

    def configuration(self) -> dict[str, Any]:
        """Everything that the numbers depend on, but for the runs' own settings."""
        return {
            "task": self.task.name,
            "settings": dict(self.task.settings),
            "optimizer": self.optimizer,
            "betas": list(self.task.optimizer.betas),
            "representation": self.representation,
            "batch": self.batch,
            "steps": self.steps,
            "resolution": self.resolution,
            "stop_at": self.stop_at,
            "dtype": self.dtype,
        }

    def times(self) -> NDArray[np.int64]:
        """Steps of the evaluations: 0, and on at the resolution, and the last."""
        steps = [0, 1]
        while steps[-1] < self.steps:
            steps.append(max(steps[-1] + 1, int(steps[-1] * (1 + self.resolution))))
        return np.array([*(s for s in steps if s < self.steps), self.steps])


class _Training:
    """The members still in training; each row of every tensor is one of them."""

    def __init__(self, plan: _Plan, members: Sequence[Member]) -> None:
        task, device, dtype = plan.task, plan.device, getattr(torch, plan.dtype)
        known = {(c.seed, c.n_train): task.problem(c.seed, c.n_train) for c in members}
        self.problems = [known[c.seed, c.n_train] for c in members]
        start = {seed: initial_parameters(task, seed).to(device, dtype) for seed in {c.seed for c in members}}
        self.plan, self.members = plan, list(members)
        self.representation = representation_of(plan.representation, self.problems[0])
        symbols = self.representation.symbols
        self.train, self.test = (
            Data.of([getattr(p, name) for p in self.problems], symbols=symbols, device=device, dtype=dtype)
            for name in ("train", "test")
        )
        self.batches = Minibatches([c.seed for c in members], members[0].n_train, plan.batch, device)
        self.flat = torch.stack([start[c.seed] * c.alpha for c in members])
        slow = [self.representation.initial(p, c.m) for p, c in zip(self.problems, members, strict=True)]
        self.slow = torch.stack(slow).to(device, dtype)
        betas = task.optimizer.betas
        self.optimizer = Optimizer(
            plan.optimizer, self.flat, [Setting(c.eta_d, c.gamma, betas) for c in members]
        )
        self.slow_optimizer = Optimizer(
            plan.optimizer, self.slow, [Setting(c.eta_r, 0.0, betas) for c in members]
        )
        self.ensemble = Ensemble(task, self.flat, self.slow, self.representation)
        self.rows = torch.arange(len(members))  # which of the piece's members are in training
        self.step = 0
        # what is kept of all members of the piece
        self.curves = np.full((len(CURVES), len(members), len(plan.times())), np.nan)
        self.passed = np.zeros(len(members), np.int64)  # evaluations in a row beyond both thresholds
        self.steps_done = np.full(len(members), plan.steps)
        self.diverged = np.zeros(len(members), bool)
        self.w0 = np.array([float(torch.linalg.vector_norm(start[c.seed])) for c in members])

    def advance(self) -> None:
        """One optimizer step of every member in training."""
        samples = self.batches.of_step(self.train, self.step)
        _, gradient, slow = self.ensemble.loss_and_gradient(samples)
        self.optimizer.step(gradient)
        if slow is not None:
            self.slow_optimizer.step(slow)
        self.step += 1

    def evaluate(self, column: int) -> None:
        """Record the curves, and retire the members that are done or have diverged."""
        values = [*self.ensemble.metrics(self.train), *self.ensemble.metrics(self.test)]
        train_loss, train_accuracy, test_loss, test_accuracy = (v.cpu().double().numpy() for v in values)
        rows = self.rows.numpy()
        of_m = zip(self.slow, rows, strict=True)
        m = [self.representation.messiness(slow, self.problems[row]) for slow, row in of_m]
        norm = weight_norm(self.flat).cpu().double().numpy()
        record = (train_loss, test_loss, train_accuracy, test_accuracy, norm, m)
        self.curves[:, rows, column] = np.array(record)

        watched = [train_loss, norm]  # every number that a runs file takes to be finite
        watched += [] if self.test.empty else [test_loss]
        watched += [np.array(m)] if self.representation.trained else []
        lost = ~np.isfinite(watched).all(0)
        beyond = np.zeros(len(rows), bool)
        if self.plan.stop_at is not None:
            beyond = (test_accuracy >= self.plan.stop_at) & (train_accuracy >= _MEMORIZED)
        self.passed[rows] = np.where(beyond, self.passed[rows] + 1, 0)
        finished = lost | (self.passed[rows] >= _PERSIST)
        if finished.any():
            self.diverged[rows[lost]] = True
            self.steps_done[rows[finished]] = self.step
            self.keep(torch.as_tensor(np.flatnonzero(~finished)))

    def keep(self, rows: torch.Tensor) -> None:
        """Retire all other members; what is kept goes on as if it had always been alone."""
        self.rows = self.rows[rows]
        rows = rows.to(self.flat.device)
        self.flat, self.slow = self.flat[rows].contiguous(), self.slow[rows].contiguous()
        self.train, self.test = self.train.keep(rows), self.test.keep(rows)
        self.batches.keep(rows)
        self.optimizer.keep(rows, self.flat)
        self.slow_optimizer.keep(rows, self.slow)
        self.ensemble.adopt(self.flat, self.slow)

    _KEPT = ("curves", "passed", "steps_done", "diverged")

    def state(self) -> Arrays:
        """Everything that a checkpoint needs; batches are a function of the step."""
        tensors = {"rows": self.rows, "flat": self.flat, "slow": self.slow}
        tensors |= {f"network {k}": v for k, v in self.optimizer.state().items()}
        tensors |= {f"slow {k}": v for k, v in self.slow_optimizer.state().items()}
        arrays = {k: v.detach().cpu().numpy() for k, v in tensors.items()}
        return arrays | {k: getattr(self, k) for k in self._KEPT} | {"step": np.array(self.step)}

    def restore(self, state: Arrays) -> None:
        """Go on from a checkpoint."""
        self.keep(torch.from_numpy(state["rows"]))
        with torch.no_grad():
            self.flat.copy_(torch.from_numpy(state["flat"]))
            self.slow.copy_(torch.from_numpy(state["slow"]))
        for name, optimizer in (("network", self.optimizer), ("slow", self.slow_optimizer)):
            optimizer.restore({k: torch.from_numpy(state[f"{name} {k}"]) for k in ("moments", "steps")})
        for name in self._KEPT:
            setattr(self, name, state[name])
        self.step = int(state["step"])

    def result(self) -> Arrays:
        curves = {name: self.curves[k] for k, name in enumerate(CURVES)}
        return curves | {"steps_done": self.steps_done, "diverged": self.diverged, "w0": self.w0}


def _work(plan: _Plan, members: Sequence[Member]) -> Callable[[OnSteps, Checkpoint], Arrays]:
    def curves(on_steps: OnSteps, checkpoint: Checkpoint) -> Arrays:
        training = _Training(plan, members)
        columns = {int(step): k for k, step in enumerate(plan.times())}
        known = checkpoint.load()
        if known is None:
            training.evaluate(0)
        else:
            training.restore(known)
            on_steps(training.step * len(members))
        saved = time.monotonic()
        while len(training.rows) and training.step < plan.steps:
            training.advance()
            trained = len(training.rows)
            if training.step in columns:
                training.evaluate(columns[training.step])
            try:
                on_steps(trained)
            except BaseException:  # told to stop
                checkpoint.save(training.state())
                raise
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                checkpoint.save(training.state())
                saved = time.monotonic()
        return training.result()

    return curves


def _members(
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


def _cut(order: Sequence[int], members: Sequence[Member], at_once: int) -> list[list[int]]:
    """Pieces of the order, of one training-set size each."""
    cut = []
    for _, group in itertools.groupby(order, key=lambda k: members[k].n_train):
        same = list(group)
        cut += [same[i : i + at_once] for i in range(0, len(same), at_once)]
    return cut
