"""The ensemble engine against one network at a time in plain PyTorch, in member-steps per second.

    python benchmarks/engine.py [--threads N] [--members N] [--steps N] [--rounds N] [--compiled] [--json]

Both sides (sides.py) train the same networks on the same machine in the same run, in turns (A B C A B C
...): same data, same initial weights, same optimizer. `sphere` is a sampler's step (Adam, the weights
rescaled to their norm after it), `training` one of AdamW with decay. Before anything is timed, both sides
must arrive at the same training losses.

There are two rivals. "as written": the loop that one writes, with torch's optimizer as it comes and torch's
threads as they are. "best form": torch's fused optimizer, with one thread or all, whichever is faster. The
ensemble's members are trained by one worker a core, as `sample` and `train` do; with `--threads 1` all sides
have one core, which is the ratio for who would run one process of single networks a core, and processor time
is taken. Where jax is installed, a third rival is the same ensemble in JAX (jax_side.py).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import jax_side
import numpy as np
import torch
from sides import (
    CHECKED,
    TOLERANCE,
    Form,
    Job,
    Network,
    alone,
    best_form,
    cells,
    clock,
    difference,
    ensemble,
    machine,
    ratio,
    some_of,
)
from torch.utils.flop_counter import FlopCounterMode

from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.memory import keep_freed_memory
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import addition, mnist, teacher_student

TIMES = "{:.2f} ({:.2f}-{:.2f})"


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
    jax: float | None = None
    ratio_jax: tuple[float, float, float] | None = None


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
    speeds, scanned = [], None
    if jax_side.available(threads):
        apart = max(apart, _apart_from_jax(job))
        if not apart <= TOLERANCE:
            raise SystemExit(f"{name}: losses of JAX differ by {apart:.2g} (allowed: {TOLERANCE:g})")
        scanned = jax_side.Scanned(job)
    for turn in range(rounds):
        ours = len(job.cells) * job.steps / ensemble(job, threads)[0]
        plain = len(few.cells) * few.steps / alone(few, Form(None, threads))[0]
        fused = len(few.cells) * few.steps / alone(few, best)[0]
        theirs = len(job.cells) * job.steps / scanned.train(clock(threads)) if scanned else math.nan
        speeds.append((ours, plain, fused, theirs))
        told = ", ".join(f"{ours / other:.2f}" for other in speeds[-1][1:])
        print(f"{name}, round {turn + 1} of {rounds}: {told}", file=sys.stderr)
    ours, plain, fused, theirs = (statistics.median(s[k] for s in speeds) for k in range(4))
    return Result(
        task=name,
        step="sphere" if job.sphere else "training",
        parameters=len(initial_parameters(job.task, 0)),
        members=len(job.cells),
        ensemble=ours,
        peak_share=ours * operations(job) / peak,
        as_written=plain,
        ratio_as_written=ratio([s[0] / s[1] for s in speeds]),
        best_form=fused,
        best_form_is=str(best),
        ratio_best_form=ratio([s[0] / s[2] for s in speeds]),
        difference=apart,
        jax=theirs if scanned else None,
        ratio_jax=ratio([s[0] / s[3] for s in speeds]) if scanned else None,
    )


def _apart_from_jax(job: Job) -> float:
    """Largest relative difference of JAX's losses in float64 from the ensemble's, after a few steps."""
    few = replace(some_of(job), steps=min(job.steps, CHECKED), dtype=torch.float64)
    ours = ensemble(few, 1)[1][0].losses()
    return float(np.max(np.abs(jax_side.Scanned(few).losses() / ours - 1)))


def operations(job: Job) -> float:
    """Floating-point operations of a member's forward and backward pass (matrix products alone)."""
    network = Network(replace(job, cells=job.cells[:1], steps=1), job.cells[0])
    inputs, targets = network.samples(0)
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


def table(results: Iterable[Result]) -> str:
    """The results as a Markdown table, member-steps per second."""
    rows = [
        "| task | step | parameters | members | ensemble, 1/s | share of matmul peak "
        "| as written, 1/s | times (min-max) | best form, 1/s | times (min-max) "
        "| JAX, 1/s | times (min-max) |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in results:
        a, b = (TIMES.format(*times) for times in (r.ratio_as_written, r.ratio_best_form))
        columns = [r.task, r.step, f"{r.parameters:,}", f"{r.members}", f"{r.ensemble:,.0f}"]
        columns += [f"{r.peak_share:.0%}", f"{r.as_written:,.0f}", a]
        columns += [f"{r.best_form:,.0f} ({r.best_form_is})", b]
        columns += ["-", "-"] if r.ratio_jax is None else [f"{r.jax:,.0f}", TIMES.format(*r.ratio_jax)]
        rows.append(f"| {' | '.join(columns)} |")
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
    peak = matmul_peak(options.threads)
    results = [compare(name, job, options.rounds, options.threads, peak) for name, job in jobs]
    if options.json:
        print(json.dumps({"machine": machine(options.threads), "results": [asdict(r) for r in results]}))
        return
    apart = max(r.difference for r in results)
    print(f"{machine(options.threads)}; matmul peak {peak / 1e9:.0f} GFLOP/s\n\n{table(results)}\n")
    print(f"Training losses of all sides agree to {apart:.1g} in float64 (allowed: {TOLERANCE:g}).")


if __name__ == "__main__":
    main()
