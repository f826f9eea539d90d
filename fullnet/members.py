"""The networks of one piece of work: their parameters, moments and data, and who is still in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groktime.fullnet.engine.ensemble import Ensemble, read
from groktime.fullnet.engine.fresh import drawn, initial_parameters, trained
from groktime.fullnet.engine.norms import decayed_columns, rated_columns, wrong_names
from groktime.fullnet.engine.optimizer import Optimizer, Setting, project, weight_norm
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.engine.representation import representation_of
from groktime.fullnet.engine.samples import Data, Minibatches
from groktime.fullnet.runs import CURVES, PART, WHOLE
from groktime.fullnet.seeding import global_seed
from groktime.fullnet.task import Task
from groktime.reduced.errors import InputError
from groktime.reduced.law import EPS, OWN, DecayLaw

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DTYPES = ("float32", "float64")
_CPU = torch.device("cpu")


class Start(Protocol):
    """Where a member starts: seed of its data and weights, number of training samples, messiness m,
    and relative norm α of its weights."""

    @property
    def seed(self) -> int: ...
    @property
    def n_train(self) -> int: ...
    @property
    def m(self) -> float: ...
    @property
    def alpha(self) -> float: ...


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
class Setup:
    """What all members of a job share: the task, what of it is trained ("fixed": the network alone;
    "line", "free": the representation, too), samples a step (0: all), number format and device, and whether
    they may be run as one program (`Ensemble`)."""

    task: Task
    representation: str = "fixed"
    batch: int = 0
    dtype: str = "float32"
    device: torch.device = _CPU
    compiled: bool = False
    mapped: bool = True

    def check(self, start: Start) -> None:
        """Refuse what these networks cannot be; `start` is any of the members."""
        if self.dtype not in DTYPES:
            raise InputError(f"dtype = {self.dtype!r}: expected {' or '.join(map(repr, DTYPES))}")
        if self.task.start is not None and self.representation != "fixed":
            raise InputError(
                f"representation = {self.representation!r}: a checkpoint holds none; expected 'fixed'"
            )
        representation_of(self.representation, self.task.problem(start.seed, start.n_train))
        if self.representation == "free" and self.task.augment is not None:
            raise InputError(
                "representation = 'free': makes inputs of symbols, which the task's augment cannot be done "
                "to; expected 'fixed' or 'line'"
            )
        self.check_names(start.seed)

    def check_names(self, seed: int) -> None:
        """Refuse parts of the network, and what is not to decay of it, that it does not have."""
        task = self.task
        if not (task.parts or task.no_decay or task.rates):
            return
        with global_seed(0, "shape"):
            names = [name for name, _ in task.network().named_parameters()]
        for field, wrong in wrong_names(task, names):
            raise InputError(f"{field}: {task.name} {wrong}")
        if task.no_decay and WHOLE in task.parts:
            raise InputError(f"parts: {task.name} has a part {WHOLE!r}, which with no_decay is all of it")
        if task.no_decay and not norm_at_start(task, seed) > 0:
            raise InputError(f"no_decay: of {task.name} all that decays starts at 0; expected a norm above 0")

    def configuration(self) -> dict[str, Any]:
        """What the numbers depend on, for the file."""
        task = self.task
        made = {
            "task": task.name,
            "settings": dict(task.settings),
            "betas": list(task.optimizer.betas),
            "representation": self.representation,
            "batch": self.batch,
            "dtype": self.dtype,
            "compiled": self.compiled,
            **task.handling,
        }
        # only what is used, so that files of tasks without are as they always were
        if task.optimizer.eps != EPS:
            made["eps"] = task.optimizer.eps
        course = task.optimizer.course
        if course.warmup > 1:
            made["warmup"] = course.warmup
        if course.shape != "constant" or course.from_zero:
            made["schedule"] = course.to_dict()
        if task.parts:
            made["parts"] = {name: list(prefixes) for name, prefixes in task.parts.items()}
        return made

    def optimizer_settings(
        self, members: Sequence[Member], law: DecayLaw
    ) -> tuple[list[Setting], list[Setting]]:
        """Of the networks' optimizer and of the representations', which never decay, one a member each."""
        adam, momentum = self.task.optimizer, law.momentum
        rates = [[(c.eta_d, c.gamma) for c in members], [(c.eta_r, 0.0) for c in members]]
        network, slow = ([Setting(*both, adam.betas, momentum, adam.eps) for both in each] for each in rates)
        return network, slow

    @property
    def curves(self) -> tuple[str, ...]:
        """Names of the curves that `Members.measured` gives."""
        whole = (PART + WHOLE,) if self.task.no_decay else ()
        return (*CURVES, *(PART + name for name in self.task.parts), *whole)


def norm_at_start(task: Task, seed: int) -> float:
    """w0: the norm of what decays of a seed's network as it is initialized."""
    return _norm(initial_parameters(task, seed), decayed_columns(task))


def _norm(weights: Tensor, decays: Tensor | None) -> float:
    """Norm of one network's weights [parameter], or of those that decay."""
    return float(torch.linalg.vector_norm(weights if decays is None else weights[decays]))


def _scaled(weights: Tensor, alpha: float, decays: Tensor | None) -> Tensor:
    """The start at relative norm α: what does not decay is as it was initialized."""
    return weights * alpha if decays is None else torch.where(decays, weights * alpha, weights)


class Members:
    """The members in training; each row of every tensor is one of them.

    Attributes
    ----------
    flat, slow : Tensor [row, parameter] and [row, k], the networks and the representations' variables.
    norm : Tensor [row] or None, the norms that the weights are brought back to after every step.
    rows : Tensor [row], which of the piece's members they are.
    starts : [member], where the piece's members started, retired or not.
    decays : Tensor [parameter] of bool, or None: which of the network's parameters decay (all).
    step : optimizer steps done.
    w0 : [member], norms of the networks at α = 1, of all members of the piece.

    Parameters
    ----------
    rule : of the optimizer, one of `fullnet.engine.optimizer.RULES`.
    settings, slow_settings : of the network's optimizer and of the representation's, one a member; without
        the latter the representation is not stepped.
    """

    def __init__(
        self,
        setup: Setup,
        starts: Sequence[Start],
        rule: str,
        settings: Sequence[Setting],
        slow_settings: Sequence[Setting] | None = None,
    ) -> None:
        task, device, dtype = setup.task, setup.device, getattr(torch, setup.dtype)
        known = {(c.seed, c.n_train): task.problem(c.seed, c.n_train) for c in starts}
        for (seed, n_train), problem in known.items():
            if len(problem.train) != n_train:
                raise InputError(
                    f"n_train = {n_train}: {task.name} has {len(problem.train)} samples with seed {seed}"
                )
        seeds = [c.seed for c in starts]
        fresh = {seed: drawn(task, seed) for seed in set(seeds)}
        weights = {seed: one.flat.to(device, dtype) for seed, one in fresh.items()}
        self.setup, self.starts, self.step = setup, list(starts), 0
        self.problems = [known[c.seed, c.n_train] for c in starts]
        self.representation = representation_of(setup.representation, self.problems[0])
        self.train, self.test = (
            Data.of(
                [getattr(p, name) for p in self.problems],
                symbols=self.representation.symbols, device=device, dtype=dtype,
            )
            for name in ("train", "test")
        )  # fmt: skip
        self.batches = Minibatches(
            seeds, starts[0].n_train, setup.batch, device, task.augment, task.shuffle, task.drop_last
        )
        columns = decayed_columns(task)
        self.decays = None if columns is None else columns.to(device)
        self.flat = torch.stack([_scaled(weights[c.seed], c.alpha, self.decays) for c in starts])
        slow = [self.representation.initial(p, c.m) for p, c in zip(self.problems, starts, strict=True)]
        self.slow = torch.stack(slow).to(device, dtype)
        self.norm: Tensor | None = None
        shapes = fresh[seeds[0]].shapes
        own = task.rule.update if rule == OWN else None
        self.optimizer = Optimizer(rule, self.flat, settings, self.decays, rated_columns(task), shapes, own)
        self.slow_optimizer: Optimizer | None = None
        if slow_settings is not None and own is None:  # which is of a script, without representation
            self.slow_optimizer = Optimizer(rule, self.slow, slow_settings)
        self.ensemble = Ensemble(
            task, self.flat, self.slow, self.representation, setup.compiled,
            fresh=[fresh[seed] for seed in seeds], mapped=setup.mapped,
        )  # fmt: skip
        self.rows = torch.arange(len(starts))
        self.w0 = np.array([_norm(weights[c.seed], self.decays) for c in starts])

    def take_up(self) -> None:
        """Go on from where the task's networks start: with the moments and the step of that run."""
        start = self.setup.task.start
        if start is None:
            return
        with global_seed(0, "shape"):
            named = trained(self.setup.task.network())
        update, rule = self.optimizer.update, self.optimizer.rule
        if start.moments is not None and len(update.names) < update.moments:
            raise InputError(f"optimizer_state: of {rule!r} none can be taken up; expected none")
        moments = start.moments_of(rule, update.names, named)
        self.step = start.step
        if moments is not None:
            each = moments.to(self.flat).unsqueeze(1).expand_as(self.optimizer.moments)
            self.optimizer.restore({"moments": each, "steps": torch.tensor(start.updates)})

    def gradient(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Loss [row] on the samples of this step, and its gradients [row, parameter] and [row, k]."""
        return self.ensemble.loss_and_gradient(self.batches.of_step(self.train, self.step))

    def advance(
        self, gradient: Tensor, slow: Tensor | None = None, factor: float = 1.0, slow_factor: float = 1.0
    ) -> None:
        """One optimizer step along these gradients, back to `norm` where there is one. `factor` scales the
        network's rates, `slow_factor` the representation's."""
        self.optimizer.step(gradient, factor)
        if self.norm is not None:
            project(self.flat, self.norm, self.decays)
        if slow is not None and self.slow_optimizer is not None:
            self.slow_optimizer.step(slow, slow_factor)
        self.step += 1

    def measured(self, due: Bools | None = None) -> tuple[Floats, Bools]:
        """The values of the curves now, [curve, row], and which rows have diverged; of rows that are not
        `due` (all are) neither counts, and they cost nothing where members are run one by one."""
        data = [self.train, self.test]
        asked = None if due is None else np.flatnonzero(due).tolist()
        of_m = self.representation.messiness(self.slow, [self.problems[k] for k in self.rows.tolist()])
        further = [weight_norm(self.flat, self.decays)[None], of_m.to(self.flat)[None]]
        if self.setup.task.parts:
            further.append(self.ensemble.part_norms())
        if self.decays is not None:
            further.append(weight_norm(self.flat)[None])
        values = read(torch.cat([*(self.ensemble.evaluated(one, asked) for one in data), *further]), data)
        train_loss, train_accuracy, test_loss, test_accuracy, norm, m, *_ = values
        record = np.concatenate([[train_loss, test_loss, train_accuracy, test_accuracy], values[4:]])
        watched = [train_loss, norm]  # every number that a runs file takes to be finite
        watched += [] if self.test.empty else [test_loss]
        watched += [m] if self.representation.trained else []
        finite: Bools = np.isfinite(np.array(watched)).all(axis=0)
        return record, ~finite

    def retire(self, gone: Bools) -> Tensor:
        """Take the rows that are `gone` out of training; returns those that were kept."""
        kept = torch.as_tensor(np.flatnonzero(~gone))
        self.keep(kept)
        return kept

    def keep(self, rows: Tensor) -> None:
        """Retire all other rows; what is kept goes on, to rounding, as if it had always been alone."""
        self.rows = self.rows[rows.cpu()]
        rows = rows.to(self.flat.device)
        self.flat, self.slow = self.flat[rows].contiguous(), self.slow[rows].contiguous()
        self.norm = None if self.norm is None else self.norm[rows]
        self.train, self.test = self.train.keep(rows), self.test.keep(rows)
        self.batches.keep(rows)
        self.optimizer.keep(rows, self.flat)
        if self.slow_optimizer is not None:
            self.slow_optimizer.keep(rows, self.slow)
        self.ensemble.adopt(self.flat, self.slow, rows)

    def state(self) -> Arrays:
        """Everything that a checkpoint needs; minibatches are a function of the step."""
        tensors = {"rows": self.rows, "flat": self.flat, "slow": self.slow, "step": torch.tensor(self.step)}
        if self.norm is not None:
            tensors["norm"] = self.norm
        for name, optimizer in self._optimizers():
            tensors |= {f"{name} {k}": v for k, v in optimizer.state().items()}
        return {k: v.detach().cpu().numpy() for k, v in tensors.items()}

    def restore(self, state: Arrays) -> None:
        """Go on from a checkpoint, if these are the members as they started."""
        # how gradients are made is decided by the first ones; by later, smaller ones it could be another way
        self.gradient()
        self.keep(torch.from_numpy(state["rows"]))
        self.step = int(state["step"])
        with torch.no_grad():
            self.flat.copy_(torch.from_numpy(state["flat"]))
            self.slow.copy_(torch.from_numpy(state["slow"]))
        if "norm" in state:
            self.norm = torch.from_numpy(state["norm"]).to(self.flat)
        for name, optimizer in self._optimizers():
            optimizer.restore({k: torch.from_numpy(state[f"{name} {k}"]) for k in ("moments", "steps")})

    def _optimizers(self) -> list[tuple[str, Optimizer]]:
        slow = [] if self.slow_optimizer is None else [("slow", self.slow_optimizer)]
        return [("network", self.optimizer), *slow]
