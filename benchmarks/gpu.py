"""Everything that a first run on a GPU needs, in under eight minutes, as one Markdown table.

    python benchmarks/gpu.py [--device cuda] [--minutes 8] [--small]

For every built-in network: the training losses against the CPU's, of the same members after a few steps in
float64 ("apart", relative; a network whose losses differ by more than TOLERANCE makes the exit status 1), and
member-steps a second for few and for many members. Then three jobs as `sample` and `train` do them: the toy
addition grid of 441 cells × 15,000 steps (aim: 15 s on an H100), 1,000 teacher-student members × 1e5 steps,
and modular addition at p = 113 (Omnigrok, Fig. 7a; the three γ of 10a). A job that would take longer than its
share of the minutes is run for fewer steps and its time extrapolated ("about").

Bandwidth and arithmetic are shares of what a large copy and a large float32 product reach on the same device,
from the least that a member-step moves (weights, gradient and two moments, read and written) and from its
matrix products; peak memory is torch's own, on CUDA. `--device cpu --small`, two of the networks and some
steps of small jobs, tries the script itself. It was never run on a GPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from engine import operations
from networks import TASKS, job_of
from sides import CHECKED, CPU, TOLERANCE, Job, ensemble, machine, wait

import groktime as gt
from groktime.fullnet.engine.device import device_of
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.memory import keep_freed_memory
from groktime.fullnet.machine import Machine
from groktime.fullnet.tasks import addition, modular_addition, teacher_student
from groktime.reduced.errors import InputError

MOVED = 7 * 4  # bytes a parameter: weights and two moments read and written, the gradient read
FEW, MANY = 16, 256  # members
GIB = 2**30


@dataclass(frozen=True)
class Row:
    """A line of the table; `about`: the time is extrapolated. Shares of the device's peaks, NaN: not told."""

    what: str
    members: int
    steps: int
    seconds: float
    about: bool = False
    bandwidth: float = np.nan
    arithmetic: float = np.nan
    apart: float = np.nan
    memory: float = np.nan

    def __str__(self) -> str:
        def told(x: float, form: str) -> str:
            return "-" if np.isnan(x) else format(x, form)

        speed = self.members * self.steps / self.seconds
        columns = [
            self.what,
            f"{self.members:,}",
            f"{self.steps:,}",
            "about " * self.about + f"{self.seconds:.3g}",
        ]
        columns += [f"{speed:,.0f}", told(self.memory, ".2f"), told(self.bandwidth, ".0%")]
        return f"| {' | '.join([*columns, told(self.arithmetic, '.0%'), told(self.apart, '.1g')])} |"


HEAD = (
    "| what | members | steps | seconds | member-steps, 1/s | peak memory, GiB | of the bandwidth "
    "| of the arithmetic | apart |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def timed(call: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds by the clock, and GiB at the peak (NaN: cannot be told)."""
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    wait(device)
    start = time.perf_counter()
    call()
    wait(device)
    seconds = time.perf_counter() - start
    return seconds, torch.cuda.max_memory_allocated(device) / GIB if cuda else np.nan


def peaks(device: torch.device, small: bool) -> tuple[float, float]:
    """Bytes a second of a large copy, counted twice, and operations a second of a large product."""
    size = 512 if small else 8192
    a, b, out = torch.randn(3, size, size, device=device)
    best = [np.inf, np.inf]
    for _ in range(6):  # the first warms up
        best[0] = min(best[0], timed(lambda: out.copy_(a), device)[0])
        best[1] = min(best[1], timed(lambda: torch.mm(a, b, out=out), device)[0])
    return 2 * a.numel() * a.element_size() / best[0], 2 * size**3 / best[1]


def apart(job: Job) -> float:
    """The largest relative difference of a member's loss from the CPU's, in float64."""
    some = replace(job, cells=job.cells[:2], steps=min(job.steps, CHECKED), dtype=torch.float64)
    there, here = (ensemble(replace(some, device=device), 1)[1][0].losses() for device in (job.device, CPU))
    return float(np.max(np.abs(there / here - 1)))


def networks(device: torch.device, small: bool, seconds: float) -> Iterator[Row]:
    """Every network, for few and many members, in so many seconds in all."""
    reached, most = peaks(device, small)
    each = seconds / (2 * len(TASKS))
    for name in ("teacher-student", "addition") if small else TASKS:
        for members in (2, 4) if small else (FEW, MANY):
            try:
                job = replace(job_of(name, members, device), steps=3)
                first, _ = timed(lambda job=job: ensemble(job, 1), device)
                wall, _ = ensemble(job, 1)  # warm
                steps = 3 if small else max(3, min(2000, round(3 * each / (wall + first))))
                found: list[float] = []
                run = replace(job, steps=steps)
                _, memory = timed(lambda run=run, found=found: found.append(ensemble(run, 1)[0]), device)
            except (InputError, torch.OutOfMemoryError) as error:
                print(f"not run: {name}, {members} members ({error})", file=sys.stderr, flush=True)
                continue
            size, speed = len(initial_parameters(job.task, 0)), members * steps / found[0]
            few = members in (2, FEW)
            yield Row(
                name, members, steps, found[0],
                bandwidth=speed * size * MOVED / reached,
                arithmetic=speed * operations(replace(job, device=CPU)) / most,
                apart=apart(replace(job, steps=CHECKED // 3)) if few else np.nan, memory=memory,
            )  # fmt: skip


def jobs(device: torch.device, small: bool, seconds: float) -> Iterator[Row]:
    """The three jobs, each in a third of the seconds."""
    on = Machine(device=str(device), progress=False)
    side = 4 if small else 21
    alpha, m = np.geomspace(0.5, 9, side).tolist(), np.linspace(0, 0.2, side).tolist()
    seeds = range(2 if small else 100)
    gamma = np.geomspace(0.03, 1, 2 if small else 10).tolist()
    paper = modular_addition(p=7, d_model=16) if small else modular_addition(p=113)

    def grid(steps: int) -> object:
        return gt.sample(addition(variant="official"), alpha=alpha, m=m, seeds=[0], steps=steps, machine=on)

    def members(steps: int) -> object:
        return gt.train(
            teacher_student(), gamma=gamma, eta_d=1e-3, alpha=3.0, seeds=seeds, steps=steps, resolution=0.1,
            machine=on,
        )  # fmt: skip

    def modular(steps: int) -> object:
        return gt.train(
            paper, gamma=[0.3, 1.0, 3.0], eta_d=1e-3, alpha=1.0, seeds=[0], steps=steps, resolution=0.1,
            machine=on,
        )  # fmt: skip

    asked: tuple[tuple[str, int, int, Callable[[int], object]], ...] = (
        ("toy addition, the grid", side**2, 15_000, grid),
        ("teacher-student, trained", len(seeds) * len(gamma), 100_000, members),
        (f"{paper.name}, three γ", 3, 40_000, modular),
    )
    for name, count, steps, call in asked:
        few = 10 if small else 200
        timed(lambda call=call: call(5), device)  # warm
        tried, memory = timed(lambda call=call, few=few: call(few), device)
        whole = tried * steps / few
        about = whole > seconds / 3
        done = max(few, int(few * seconds / 6 / tried)) if about and not small else few
        if not about:
            done = steps
        if done > few:
            tried, memory = timed(lambda call=call, done=done: call(done), device)
        yield Row(name, count, steps, tried * steps / done, done < steps, memory=memory)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, mps or cpu")
    parser.add_argument("--minutes", type=float, default=8.0, help="in all, about")
    parser.add_argument("--small", action="store_true", help="a few members and steps, to try the script")
    options = parser.parse_args()
    try:
        device = device_of(options.device)
    except InputError as error:
        parser.error(str(error))
    keep_freed_memory()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    seconds = (0.1 if options.small else options.minutes) * 60
    print(f"{name}; {machine(1)}\n\n{HEAD}", flush=True)
    worst = 0.0
    for row in networks(device, options.small, 0.35 * seconds):
        worst = max(worst, 0.0 if np.isnan(row.apart) else row.apart)
        print(row, flush=True)
    for row in jobs(device, options.small, 0.5 * seconds):
        print(row, flush=True)
    print(f"\nLosses differ from the CPU's by {worst:.1g} at most, in float64 (allowed: {TOLERANCE:g}).")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
