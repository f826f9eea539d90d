"""The training of one piece: some members from their start to their end, with checkpoints on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from groktime.fullnet.engine.ensemble import Ensemble, initial_parameters
from groktime.fullnet.engine.norms import wrong_parts
from groktime.fullnet.engine.optimizer import RULES, Optimizer, Setting, project, weight_norm
from groktime.fullnet.engine.parts import Checkpoint
from groktime.fullnet.engine.pieces import Arrays, OnSteps
from groktime.fullnet.engine.representation import representation_of
from groktime.fullnet.engine.samples import Data, Minibatches
from groktime.fullnet.runs import CURVES, PART
from groktime.fullnet.seeding import global_seed
from groktime.fullnet.task import Task
from groktime.reduced.errors import InputError
from groktime.reduced.system import MEMORIZED

_CHECKPOINT_SECONDS = 60.0
_PERSIST = 3  # evaluations in a row beyond both thresholds after which a run may stop


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


@dataclass(frozen=True)
class Plan:
    task: Task
    steps: int
    optimizer: str
    representation: str
    batch: int
    resolution: float
    stop_at: float | None
    dtype: str
    device: torch.device
    compiled: bool = False
    constrained: bool = False

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
        if self.representation == "free" and self.task.augment is not None:
            raise InputError(
                "representation = 'free': makes inputs of symbols, which the task's augment cannot be done "
                "to; expected 'fixed' or 'line'"
            )
        if self.task.parts:
            with global_seed(0, "shape"):
                names = [name for name, _ in self.task.network().named_parameters()]
            wrong = wrong_parts(self.task.parts, names)
            if wrong:
                raise InputError(f"parts: {self.task.name} {wrong}")

    def configuration(self) -> dict[str, Any]:
        """Everything that the numbers depend on, but for the runs' own settings."""
        made = {
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
            "compiled": self.compiled,
            **self.task.handling,
        }
        # only what is used, so that runs begun before there was any go on
        if self.task.optimizer.warmup > 1:
            made["warmup"] = self.task.optimizer.warmup
        if self.task.parts:
            made["parts"] = {name: list(prefixes) for name, prefixes in self.task.parts.items()}
        if self.constrained:
            made["constrained"] = True
        return made

    @property
    def curves(self) -> tuple[str, ...]:
        """Names of the curves that are recorded."""
        return (*CURVES, *(PART + name for name in self.task.parts))

    def times(self) -> NDArray[np.int64]:
        """Steps of the evaluations: 0, and on at the resolution, and the last."""
        steps = [0, 1]
        while steps[-1] < self.steps:
            steps.append(max(steps[-1] + 1, int(steps[-1] * (1 + self.resolution))))
        return np.array([*(s for s in steps if s < self.steps), self.steps])


class Training:
    """The members still in training; each row of every tensor is one of them."""

    def __init__(self, plan: Plan, members: Sequence[Member]) -> None:
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
        seeds = [c.seed for c in members]
        self.batches = Minibatches(seeds, members[0].n_train, plan.batch, device, task.augment)
        self.flat = torch.stack([start[c.seed] * c.alpha for c in members])
        # the norms that constrained members keep
        self.sphere = weight_norm(self.flat) if plan.constrained else None
        slow = [self.representation.initial(p, c.m) for p, c in zip(self.problems, members, strict=True)]
        self.slow = torch.stack(slow).to(device, dtype)
        betas = task.optimizer.betas
        self.optimizer = Optimizer(
            plan.optimizer, self.flat, [Setting(c.eta_d, c.gamma, betas) for c in members]
        )
        self.slow_optimizer = Optimizer(
            plan.optimizer, self.slow, [Setting(c.eta_r, 0.0, betas) for c in members]
        )
        self.ensemble = Ensemble(task, self.flat, self.slow, self.representation, plan.compiled)
        self.rows = torch.arange(len(members))  # which of the piece's members are in training
        self.step = 0
        # what is kept of all members of the piece
        self.curves = np.full((len(plan.curves), len(members), len(plan.times())), np.nan)
        self.passed = np.zeros(len(members), np.int64)  # evaluations in a row beyond both thresholds
        self.steps_done = np.full(len(members), plan.steps)
        self.diverged = np.zeros(len(members), bool)
        self.w0 = np.array([float(torch.linalg.vector_norm(start[c.seed])) for c in members])

    def advance(self) -> None:
        """One optimizer step of every member in training."""
        samples = self.batches.of_step(self.train, self.step)
        _, gradient, slow = self.ensemble.loss_and_gradient(samples)
        self.optimizer.step(gradient, self.plan.task.optimizer.warmed(self.step))
        if self.sphere is not None:
            project(self.flat, self.sphere)
        if slow is not None:
            self.slow_optimizer.step(slow)
        self.step += 1

    def measured(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The curves' values now, [curve, member in training], and which members have diverged."""
        values = [*self.ensemble.metrics(self.train), *self.ensemble.metrics(self.test)]
        train_loss, train_accuracy, test_loss, test_accuracy = (v.cpu().double().numpy() for v in values)
        of_m = zip(self.slow, self.rows.tolist(), strict=True)
        m = [self.representation.messiness(slow, self.problems[row]) for slow, row in of_m]
        norm = weight_norm(self.flat).cpu().double().numpy()
        record = np.array((train_loss, test_loss, train_accuracy, test_accuracy, norm, m))
        if self.plan.task.parts:
            record = np.concatenate([record, self.ensemble.part_norms().cpu().double().numpy()])
        watched = [train_loss, norm]  # every number that a runs file takes to be finite
        watched += [] if self.test.empty else [test_loss]
        watched += [np.array(m)] if self.representation.trained else []
        finite: NDArray[np.bool_] = np.isfinite(np.array(watched)).all(axis=0)
        return record, ~finite

    def evaluate(self, column: int) -> None:
        """Record the curves, and retire the members that are done or have diverged."""
        record, lost = self.measured()
        rows = self.rows.numpy()
        self.curves[:, rows, column] = record
        finished = lost | self.held(record)
        if finished.any():
            self.diverged[rows[lost]] = True
            self.steps_done[rows[finished]] = self.step
            self.keep(torch.as_tensor(np.flatnonzero(~finished)))

    def held(self, record: NDArray[np.float64], seen: NDArray[np.bool_] | bool = True) -> NDArray[np.bool_]:
        """Which members in training have been beyond both thresholds for long enough to stop; only what is
        `seen` in the curves counts."""
        rows, stop = self.rows.numpy(), self.plan.stop_at
        if stop is None:
            return np.zeros(len(rows), bool)
        train_accuracy, test_accuracy = (record[CURVES.index(k)] for k in ("train_accuracy", "test_accuracy"))
        beyond = (test_accuracy >= stop) & (train_accuracy >= MEMORIZED)
        self.passed[rows] = np.where(seen, np.where(beyond, self.passed[rows] + 1, 0), self.passed[rows])
        return np.asarray(self.passed[rows] >= _PERSIST)

    def keep(self, rows: torch.Tensor) -> None:
        """Retire all other members; what is kept goes on as if it had always been alone."""
        self.rows = self.rows[rows]
        rows = rows.to(self.flat.device)
        self.flat, self.slow = self.flat[rows].contiguous(), self.slow[rows].contiguous()
        self.sphere = None if self.sphere is None else self.sphere[rows]
        self.train, self.test = self.train.keep(rows), self.test.keep(rows)
        self.batches.keep(rows)
        self.optimizer.keep(rows, self.flat)
        self.slow_optimizer.keep(rows, self.slow)
        self.ensemble.adopt(self.flat, self.slow)

    _KEPT: tuple[str, ...] = ("curves", "passed", "steps_done", "diverged")

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
        curves = {name: self.curves[k] for k, name in enumerate(self.plan.curves)}
        return curves | {"steps_done": self.steps_done, "diverged": self.diverged, "w0": self.w0}


def training_of(plan: Plan, members: Sequence[Member]) -> Callable[[OnSteps, Checkpoint], Arrays]:
    def curves(on_steps: OnSteps, checkpoint: Checkpoint) -> Arrays:
        training = Training(plan, members)
        columns = {int(step): k for k, step in enumerate(plan.times())}
        known = checkpoint.load()
        if known is None:
            training.evaluate(0)
        else:
            training.restore(known)
            on_steps(training.step * len(members))

        def one_step() -> int:
            training.advance()
            trained = len(training.rows)
            if training.step in columns:
                training.evaluate(columns[training.step])
            return trained

        drive(
            training, one_step, lambda: training.step < plan.steps, on_steps=on_steps, checkpoint=checkpoint
        )
        return training.result()

    return curves


def drive(
    training: Training,
    one_step: Callable[[], int],
    goes_on: Callable[[], bool],
    *,
    on_steps: OnSteps,
    checkpoint: Checkpoint,
) -> None:
    """Step after step, each of so many member-steps, while members are left; with checkpoints."""
    saved = time.monotonic()
    while len(training.rows) and goes_on():
        done = one_step()
        try:
            on_steps(done)
        except BaseException:  # told to stop
            checkpoint.save(training.state())
            raise
        if time.monotonic() - saved > _CHECKPOINT_SECONDS:
            checkpoint.save(training.state())
            saved = time.monotonic()
