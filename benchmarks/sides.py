"""The two sides of a comparison: the ensemble engine, and plain PyTorch with one network at a time.

Both train the same networks: same data, same initial weights, same optimizer. Neither logs, evaluates,
warms its rate up, or pays for making its networks and programs.
"""

from __future__ import annotations

import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, get_total_norm, vector_to_parameters

from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.optimizer import Optimizer, Setting, project, weight_norm
from groktime.fullnet.engine.samples import Data, Minibatches
from groktime.fullnet.procedures.sphere import Cell
from groktime.fullnet.task import Task

# The two sides do the same arithmetic in another order, and Adam on a sphere amplifies the last bits
# without end where the norm is small. So that they train the same networks is checked in float64, over
# CHECKED steps, by the largest relative difference of a member's training loss.
CHECKED = 50
TOLERANCE = 1e-6
DECAY = 0.1
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Job:
    """Members to train for so many steps: on their spheres, or with decay.

    `rival` makes the network that is trained alone, where another one with the same parameters in the same
    order is faster there than the task's own."""

    task: Task
    cells: tuple[Cell, ...]
    steps: int
    sphere: bool
    dtype: torch.dtype = torch.float32
    compiled: bool = False
    device: torch.device = CPU
    rival: Callable[[], nn.Module] | None = None


# --- the ensemble ---------------------------------------------------------------------------------


def ensemble(job: Job, threads: int) -> tuple[float, list[Together]]:
    """Seconds of the training loops alone, and what was trained, every `threads`-th member together."""
    shares = [share for k in range(threads) if (share := job.cells[k::threads])]
    with ThreadPoolExecutor(len(shares), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        parts = list(pool.map(lambda some: Together(replace(job, cells=some)), shares))
        start = clock(threads)()
        list(pool.map(Together.train, parts))
        wait(job.device)
        seconds = clock(threads)() - start
    return seconds, parts


class Together:
    """Some members, ready to be trained as one ensemble."""

    def __init__(self, job: Job) -> None:
        task, some = job.task, job.cells
        self.job = job
        splits = [task.problem(c.seed, c.n_train).train for c in some]
        self.data = Data.of(splits, device=job.device, dtype=job.dtype)
        flat = torch.stack([initial_parameters(task, c.seed) * c.alpha for c in some])
        self.flat = flat.to(job.device, job.dtype)
        m = torch.tensor([[c.m] for c in some], dtype=job.dtype, device=job.device)
        self.engine = Ensemble(task, self.flat, m, compiled=job.compiled)
        self.batches = Minibatches([c.seed for c in some], some[0].n_train, task.batch, job.device)
        rate, decay = task.optimizer.rate, 0.0 if job.sphere else DECAY
        self.optimizer = Optimizer(
            "adamw", self.flat, [Setting(rate, decay, task.optimizer.betas)] * len(some)
        )
        self.norm = weight_norm(self.flat)
        # its first gradient an ensemble compares with another way of getting it, once
        self.engine.loss_and_gradient(self.batches.of_step(self.data, 0))

    def train(self) -> None:
        for step in range(self.job.steps):
            _, gradient, _ = self.engine.loss_and_gradient(self.batches.of_step(self.data, step))
            self.optimizer.step(gradient)
            if self.job.sphere:
                project(self.flat, self.norm)

    def losses(self) -> NDArray[np.float64]:
        """The training loss of each member."""
        return self.engine.metrics(self.data)[0].cpu().numpy()


def clock(threads: int) -> Callable[[], float]:
    """Of one thread processor time, which does not count what others do with the core."""
    return time.process_time if threads == 1 else time.perf_counter


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# --- one network at a time ------------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """How the rival runs: torch's choice of optimizer kernel and threads, or ours."""

    fused: bool | None
    threads: int

    def __str__(self) -> str:
        kernel = "fused, " if self.fused else ""
        return f"{kernel}{self.threads} thread{'s' * (self.threads > 1)}"


class Network:
    """One member, ready to be trained alone."""

    def __init__(self, job: Job, cell: Cell) -> None:
        start = (initial_parameters(job.task, cell.seed) * cell.alpha).to(job.device, job.dtype)
        self.task, self.sphere = job.task, job.sphere
        self.module: nn.Module = (job.rival or job.task.network)().to(job.device, job.dtype)
        vector_to_parameters(start, self.module.parameters())
        # The views that vector_to_parameters leaves share one buffer; a user's module has its own.
        for p in self.module.parameters():
            p.data = p.data.clone()
        self.parameters: list[Tensor] = list(self.module.parameters())
        self.norm = start.norm()
        split = job.task.problem(cell.seed, cell.n_train).train
        rows = slice(None) if split.rows is None else split.rows

        def own(x: Tensor) -> Tensor:
            some: Tensor = x[rows].to(job.device, job.dtype if x.is_floating_point() else None)
            return some

        ordered = None if split.ordered is None else own(split.ordered)
        self.inputs = replace(split, inputs=own(split.inputs), ordered=ordered, rows=None).at(cell.m)
        self.common = split.common
        self.targets = {
            k: v.to(job.device) if k in split.common else v[rows].to(job.device)
            for k, v in split.targets.items()
        }
        # which samples each step takes is made before the time is taken
        order = Minibatches([cell.seed], cell.n_train, job.task.batch, torch.device("cpu"))
        positions = Data.of([replace(split, inputs=torch.arange(len(split.inputs)), ordered=None)])
        self.batches = [
            None if not order.batch else _positions(order, positions, step, split.rows).to(job.device)
            for step in range(job.steps)
        ]

    def samples(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Inputs and targets of a step."""
        taken = self.batches[step]
        if taken is None:
            return self.inputs, self.targets
        return self.inputs[taken], {k: v if k in self.common else v[taken] for k, v in self.targets.items()}

    def train(self, steps: int, form: Form) -> None:
        optimizer = torch.optim.AdamW(
            self.parameters,
            lr=self.task.optimizer.rate,
            betas=self.task.optimizer.betas,
            weight_decay=0.0 if self.sphere else DECAY,
            fused=form.fused,
        )
        for step in range(steps):
            inputs, targets = self.samples(step)
            optimizer.zero_grad()
            loss = self.task.loss(self.module(inputs), targets).mean()
            torch.autograd.backward(loss)
            if self.task.clip:
                clip_grad_norm_(self.parameters, self.task.clip)
            optimizer.step()
            if self.sphere:
                with torch.no_grad():
                    torch._foreach_mul_(self.parameters, self.norm / get_total_norm(self.parameters))

    def loss(self) -> float:
        with torch.no_grad():
            return float(self.task.loss(self.module(self.inputs), self.targets).mean())


def _positions(order: Minibatches, data: Data, step: int, rows: Tensor | None) -> Tensor:
    """Positions within the member's own samples of the minibatch of a step."""
    taken = order.of_step(data, step).inputs["x"][0]
    if rows is None:
        return taken
    place = torch.empty(int(rows.max()) + 1, dtype=torch.long)
    place[rows] = torch.arange(len(rows))
    return place[taken]


def alone(job: Job, form: Form) -> tuple[float, list[Network]]:
    """Seconds of the training loops alone, and the trained networks."""
    torch.set_num_threads(form.threads)
    networks = [Network(job, cell) for cell in job.cells]
    start = clock(form.threads)()
    for network in networks:
        network.train(job.steps, form)
    wait(job.device)
    seconds = clock(form.threads)() - start
    return seconds, networks


# --- both -----------------------------------------------------------------------------------------


def cells(task: Task, members: int) -> tuple[Cell, ...]:
    """Members from all over the task's landscape."""
    alpha = np.geomspace(0.5, 9, members)
    messiness = np.linspace(0, 0.2, 5) if task.messiness else [1.0]
    return tuple(
        Cell(k % 4, task.n_train, float(messiness[k % len(messiness)]), float(alpha[k]))
        for k in range(members)
    )


def some_of(job: Job) -> Job:
    """The same with every so many-th member, about six in all."""
    return replace(job, cells=job.cells[:: max(1, len(job.cells) // 6)])


def difference(job: Job) -> float:
    """Largest relative difference of the sides' losses in float64, after a few steps."""
    few = replace(some_of(job), steps=min(job.steps, CHECKED), dtype=torch.float64)
    (together,), networks = ensemble(few, 1)[1], alone(few, Form(True, 1))[1]
    return float(np.max(np.abs(together.losses() / [network.loss() for network in networks] - 1)))


def best_form(job: Job, threads: int) -> Form:
    """Three tries of each form on one network, in turns; the best time wins."""
    one = replace(job, cells=job.cells[:1])
    forms = [Form(fused, n) for fused, n in itertools.product((True, None), sorted({1, threads}))]
    seconds = dict.fromkeys(forms, float("inf"))
    for _, form in itertools.product(range(3), forms):
        seconds[form] = min(seconds[form], alone(one, form)[0])
    return min(forms, key=seconds.__getitem__)


def ratio(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and largest."""
    return statistics.median(ratios), min(ratios), max(ratios)


def machine(threads: int) -> str:
    """The machine in one line; the load says how far others were using it."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}), "
        f"torch {torch.__version__}, up to {threads} threads, Python {platform.python_version()}"
    )
