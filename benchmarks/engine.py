"""The ensemble engine against one network at a time in plain PyTorch, in member-steps per second.

    python benchmarks/engine.py [--threads N] [--members N] [--steps N] [--rounds N] [--compiled] [--json]
    python benchmarks/engine.py --growth FILE.png

Both sides train the same networks on the same machine in the same run, in turns (A B C A B C ...): same
data, same initial weights, same optimizer. `sphere` is a sampler's step (Adam, the weights rescaled to
their norm after it), `training` one of AdamW with decay. Before anything is timed, both sides must
arrive at the same training losses.

There are two rivals, neither of which logs, evaluates, or pays for making its networks. "as written":
the loop that one writes, with torch's optimizer as it comes and torch's threads as they are. "best
form": torch's fused optimizer, with one thread or all, whichever is faster. The ensemble's members are
trained by one worker a core, as `sample` and `train` do; with `--threads 1` all sides have one core,
which is the ratio for who would run one process of single networks a core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import get_total_norm, vector_to_parameters
from torch.utils.flop_counter import FlopCounterMode

from fullnet.engine.ensemble import Ensemble, initial_parameters
from fullnet.engine.memory import keep_freed_memory
from fullnet.engine.optimizer import Optimizer, Setting, project, weight_norm
from fullnet.engine.samples import Data, Minibatches
from fullnet.sphere import Cell
from fullnet.task import Task
from fullnet.tasks import addition, mnist, teacher_student

# The two sides do the same arithmetic in another order, and Adam on a sphere amplifies the last bits
# without end where the norm is small. So that they train the same networks is checked in float64, over
# CHECKED steps, by the largest relative difference of a member's training loss.
CHECKED = 50
TOLERANCE = 1e-6
DECAY = 0.1
MILLISECONDS = (0.2, 0.3, 0.5, 1, 2, 3)
MEMBERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Job:
    """Members to train for so many steps: on their spheres, or with decay."""

    task: Task
    cells: tuple[Cell, ...]
    steps: int
    sphere: bool
    dtype: torch.dtype = torch.float32
    compiled: bool = False


@dataclass(frozen=True)
class Result:
    """Member-steps per second (medians) and, round by round, how many times as fast the ensemble is."""

    task: str
    step: str
    parameters: int
    members: int
    ensemble: float
    peak_share: float
    as_written: float
    ratio_as_written: tuple[float, float, float]
    best_form: float
    best_form_is: str
    ratio_best_form: tuple[float, float, float]
    difference: float


# --- the ensemble ---------------------------------------------------------------------------------


def ensemble(job: Job, threads: int) -> tuple[float, NDArray[np.float64]]:
    """Seconds, and the training loss of each member; the time includes everything but the losses."""
    shares = [job.cells[k::threads] for k in range(threads)]
    start = time.perf_counter()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        parts = list(pool.map(lambda cells: _train_together(replace(job, cells=cells)), shares))
    seconds = time.perf_counter() - start
    losses = np.empty(len(job.cells))
    for k, (engine, data) in enumerate(parts):
        losses[k::threads] = engine.metrics(data)[0].numpy()
    return seconds, losses


def _train_together(job: Job) -> tuple[Ensemble, Data]:
    task, cells = job.task, job.cells
    data = Data.of([task.problem(c.seed, c.n_train).train for c in cells], dtype=job.dtype)
    flat = torch.stack([initial_parameters(task, c.seed) * c.alpha for c in cells]).to(job.dtype)
    m = torch.tensor([[c.m] for c in cells], dtype=job.dtype)
    engine = Ensemble(task, flat, m, compiled=job.compiled)
    batches = Minibatches([c.seed for c in cells], cells[0].n_train, task.batch, torch.device("cpu"))
    rate, decay = task.optimizer.rate, 0.0 if job.sphere else DECAY
    optimizer = Optimizer("adamw", flat, [Setting(rate, decay, task.optimizer.betas)] * len(cells))
    norm = weight_norm(flat)
    for step in range(job.steps):
        _, gradient, _ = engine.loss_and_gradient(batches.of_step(data, step))
        optimizer.step(gradient)
        if job.sphere:
            project(flat, norm)
    return engine, data


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
        start = (initial_parameters(job.task, cell.seed) * cell.alpha).to(job.dtype)
        self.task, self.sphere = job.task, job.sphere
        self.module: nn.Module = job.task.network().to(job.dtype)
        vector_to_parameters(start, self.module.parameters())
        # The views that vector_to_parameters leaves share one buffer; a user's module has its own.
        for p in self.module.parameters():
            p.data = p.data.clone()
        self.parameters: list[Tensor] = list(self.module.parameters())
        self.norm = start.norm()
        split = job.task.problem(cell.seed, cell.n_train).train
        rows = slice(None) if split.rows is None else split.rows
        cast = replace(split, inputs=split.inputs.to(job.dtype))
        if split.ordered is not None:
            cast = replace(cast, ordered=split.ordered.to(job.dtype))
        self.inputs = cast.at(cell.m)
        self.targets = {k: v if k in split.common else v[rows] for k, v in split.targets.items()}
        self.common = split.common
        # which samples each step takes is made before the time is taken
        order = Minibatches([cell.seed], cell.n_train, job.task.batch, torch.device("cpu"))
        positions = Data.of([replace(split, inputs=torch.arange(len(split.inputs)), ordered=None)])
        self.batches = [
            None if not order.batch else _positions(order, positions, step, split.rows)
            for step in range(job.steps)
        ]

    def train(self, steps: int, form: Form) -> None:
        optimizer = torch.optim.AdamW(
            self.parameters,
            lr=self.task.optimizer.rate,
            betas=self.task.optimizer.betas,
            weight_decay=0.0 if self.sphere else DECAY,
            fused=form.fused,
        )
        for step in range(steps):
            inputs, targets = self.inputs, self.targets
            if self.batches[step] is not None:
                inputs = inputs[self.batches[step]]
                targets = {k: v if k in self.common else v[self.batches[step]] for k, v in targets.items()}
            optimizer.zero_grad()
            loss = self.task.loss(self.module(inputs), targets).mean()
            torch.autograd.backward(loss)
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


def alone(job: Job, form: Form) -> tuple[float, NDArray[np.float64]]:
    """Seconds of the training loops alone, and the training loss of each network."""
    torch.set_num_threads(form.threads)
    networks = [Network(job, cell) for cell in job.cells]
    start = time.perf_counter()
    for network in networks:
        network.train(job.steps, form)
    seconds = time.perf_counter() - start
    return seconds, np.array([network.loss() for network in networks])


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
    few = replace(
        job,
        steps=min(job.steps, CHECKED),
        dtype=torch.float64,
        cells=job.cells[:: max(1, len(job.cells) // 6)],
    )
    losses = [ensemble(few, 1)[1], alone(few, Form(True, 1))[1]]
    return float(np.max(np.abs(losses[0] / losses[1] - 1)))


def best_form(job: Job, threads: int) -> Form:
    """Three tries of each form on one network, in turns; the best time wins."""
    one = replace(job, cells=job.cells[:1])
    forms = [Form(fused, n) for fused, n in itertools.product((True, None), sorted({1, threads}))]
    seconds = dict.fromkeys(forms, float("inf"))
    for _, form in itertools.product(range(3), forms):
        seconds[form] = min(seconds[form], alone(one, form)[0])
    return min(forms, key=seconds.__getitem__)


def compare(name: str, job: Job, rounds: int, threads: int, peak: float) -> Result:
    """The check, and then all sides in turns; the rivals train a few of the members, which is enough."""
    apart = difference(job)
    if not apart <= TOLERANCE:
        raise SystemExit(f"{name}: losses differ by {apart:.2g} (allowed: {TOLERANCE:g})")
    best = best_form(job, threads)
    if job.compiled:  # for both sizes of a piece, as a long run would have it
        ensemble(replace(job, steps=2), threads)
        ensemble(replace(some_of(job), steps=2), threads)
    few = some_of(job)
    speeds = []
    for turn in range(rounds):
        ours = len(job.cells) * job.steps / ensemble(job, threads)[0]
        plain = len(few.cells) * few.steps / alone(few, Form(None, threads))[0]
        fused = len(few.cells) * few.steps / alone(few, best)[0]
        speeds.append((ours, plain, fused))
        print(
            f"{name}, round {turn + 1} of {rounds}: {ours / plain:.2f}, {ours / fused:.2f}", file=sys.stderr
        )
    ours, plain, fused = (statistics.median(s[k] for s in speeds) for k in range(3))
    return Result(
        task=name,
        step="sphere" if job.sphere else "training",
        parameters=len(initial_parameters(job.task, 0)),
        members=len(job.cells),
        ensemble=ours,
        peak_share=ours * operations(job) / peak,
        as_written=plain,
        ratio_as_written=_ratio([a / b for a, b, _ in speeds]),
        best_form=fused,
        best_form_is=str(best),
        ratio_best_form=_ratio([a / c for a, _, c in speeds]),
        difference=apart,
    )


def _ratio(ratios: Sequence[float]) -> tuple[float, float, float]:
    return statistics.median(ratios), min(ratios), max(ratios)


def operations(job: Job) -> float:
    """Floating-point operations of a member's forward and backward pass (matrix products alone)."""
    network = Network(replace(job, cells=job.cells[:1], steps=1), job.cells[0])
    inputs, targets, batch = network.inputs, network.targets, network.batches[0]
    if batch is not None:
        inputs = inputs[batch]
        targets = {k: v if k in network.common else v[batch] for k, v in targets.items()}
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(job.task.loss(network.module(inputs), targets).mean())
    return float(counter.get_total_flops())


def matmul_peak(threads: int, size: int = 1536) -> float:
    """Floating-point operations per second of one large float32 product, the best of ten."""
    torch.set_num_threads(threads)
    a, b = torch.randn(2, size, size)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def growth(jobs: Iterable[tuple[str, Job]], path: Path) -> None:
    """Milliseconds per member and step against the number of members, on one core, as a figure."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, job in jobs:
        counts = MEMBERS[:7] if name == "mnist" else MEMBERS
        times = []
        for n in counts:
            some = replace(job, cells=cells(job.task, n), steps=max(3, 400 // n))
            times.append(min(ensemble(some, 1)[0] for _ in range(3)) / (n * some.steps) * 1e3)
        ax.plot(counts, times, "o-", label=name)
        print(
            f"{name}: " + ", ".join(f"{n}: {t:.3f} ms" for n, t in zip(counts, times, strict=True)),
            file=sys.stderr,
        )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="members trained together, on one core",
        ylabel="ms per member and step",
    )
    ax.set_xticks(MEMBERS, labels=[str(n) for n in MEMBERS])
    ax.set_yticks(MILLISECONDS, labels=[f"{t:g}" for t in MILLISECONDS])
    ax.minorticks_off()
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    figure.savefig(path, dpi=150)


def machine(threads: int) -> str:
    """The machine in one line; the load says how far others were using it."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}), "
        f"torch {torch.__version__}, up to {threads} threads, Python {platform.python_version()}"
    )


def table(results: Iterable[Result]) -> str:
    """The results as a Markdown table, member-steps per second."""
    rows = [
        "| task | step | parameters | members | ensemble, 1/s | share of matmul peak "
        "| as written, 1/s | times (min-max) | best form, 1/s | times (min-max) |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in results:
        a, b = (f"{x:.2f} ({y:.2f}-{z:.2f})" for x, y, z in (r.ratio_as_written, r.ratio_best_form))
        columns = [r.task, r.step, f"{r.parameters:,}", f"{r.members}", f"{r.ensemble:,.0f}"]
        columns += [f"{r.peak_share:.0%}", f"{r.as_written:,.0f}", a]
        rows.append(f"| {' | '.join([*columns, f'{r.best_form:,.0f} ({r.best_form_is})', b])} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=200, help="optimizer steps per member (MNIST: a tenth)")
    parser.add_argument("--members", type=int, default=48, help="trained in all (MNIST: a third)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores for each side")
    parser.add_argument(
        "--growth", type=Path, metavar="FILE", help="draw the cost against the members instead"
    )
    parser.add_argument(
        "--compiled", action="store_true", help="compile the ensemble before the time is taken"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    if min(options.steps, options.members, options.rounds, options.threads) < 1:
        parser.error("--steps, --members, --rounds and --threads must be at least 1")

    keep_freed_memory()  # as `sample` and `train` do; the rivals have the good of it as well
    named: tuple[tuple[str, Task, int], ...] = (
        ("addition", addition(n_train=45, variant="official"), 1),
        ("teacher-student", teacher_student(), 1),
        ("mnist", mnist(), 3),
    )
    jobs = []
    for name, task, share in named:
        some, steps = cells(task, max(1, options.members // share)), max(1, options.steps // share**2)
        job = Job(task, some, steps, sphere=False, compiled=options.compiled)
        jobs += [(name, job)] if share > 1 else [(name, replace(job, sphere=True)), (name, job)]
    if options.growth:
        growth([(name, job) for name, job in jobs if not job.sphere], options.growth)
        return
    peak = matmul_peak(options.threads)
    results = [compare(name, job, options.rounds, options.threads, peak) for name, job in jobs]
    if options.json:
        print(json.dumps({"machine": machine(options.threads), "results": [asdict(r) for r in results]}))
        return
    apart = max(r.difference for r in results)
    print(f"{machine(options.threads)}; matmul peak {peak / 1e9:.0f} GFLOP/s\n\n{table(results)}\n")
    print(f"Training losses of both sides agree to {apart:.1g} in float64 (allowed: {TOLERANCE:g}).")


if __name__ == "__main__":
    main()
