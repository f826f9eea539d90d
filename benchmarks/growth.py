"""How time and size grow with what is asked: one figure, whose lines should be no steeper than straight.

    python benchmarks/growth.py [FIGURE] [--points N]

Panels: member-steps against members (1 to 4,096), width and cells of a landscape; the flow against lanes
(1 to 10⁶); a comparison against runs (10 to 10⁵); and a file's size against its cells. Seconds of the
processor, torch on one thread, the least of a few tries where that is short. Beside each line stands its
slope over the last decade (in log-log); one of more than STEEP, cost that grows faster than what is asked, is
told on stderr and makes the exit status 1. `--points`: only the first so many of each line.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from large_files import runs
from sides import CPU, Job, Together, cells

import groktime as gt
from groktime.fullnet.engine.device import members_at_once
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.memory import keep_freed_memory
from groktime.fullnet.machine import Machine
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import addition, modular_mlp, teacher_student
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.system import systems

STEEP = 1.15
DECADE = 10.0
TRY_AGAIN = 1.0  # seconds below which a point is tried three times


@dataclass(frozen=True)
class Line:
    """A panel's line: seconds (or bytes) at each size."""

    panel: str
    name: str
    size: str
    unit: str
    sizes: tuple[float, ...]
    cost: tuple[float, ...]

    @property
    def slope(self) -> float:
        """Of the last decade, by least squares in log-log."""
        x, y = np.log(self.sizes), np.log(self.cost)
        late = x >= x[-1] - np.log(DECADE) - 1e-9
        return float(np.polyfit(x[late], y[late], 1)[0])


def seconds(call: Callable[[], object]) -> float:
    """Of the processor; the least of three tries of something short."""
    taken: list[float] = []
    while not taken or (len(taken) < 3 and taken[0] < TRY_AGAIN):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def training(task: Task, members: int, steps: int) -> float:
    """Seconds of a step of all members, in pieces as `train` makes them, which are made beforehand."""
    size = len(initial_parameters(task, 0))
    at_once = members_at_once(CPU, size, members, 1, lambda: 0)
    every = cells(task, members)
    jobs = [Job(task, every[k : k + at_once], steps, sphere=False) for k in range(0, members, at_once)]
    pieces = [Together(job) for job in jobs]
    return min(seconds_of(lambda: [piece.train() for piece in pieces]) for _ in range(3)) / steps


def seconds_of(call: Callable[[], object]) -> float:
    """Of the processor, once."""
    start = time.process_time()
    call()
    return time.process_time() - start


def grid(count: int) -> Landscape:
    """A sampled landscape of so many cells, of few steps each."""
    alpha = np.geomspace(0.5, 8, count)
    machine = Machine(device="cpu", workers=1, progress=False)
    return gt.sample(teacher_student(), alpha=alpha.tolist(), seeds=[0], steps=20, machine=machine)


def flow(lanes: int) -> float:
    """Seconds of so many distinct lanes on the addition landscape."""
    (system,) = systems(open_landscape("addition"), seed=1)
    rng = np.random.default_rng(0)
    gamma = np.exp(rng.uniform(np.log(1e-4), np.log(1e-1), lanes))
    ratio = np.exp(rng.uniform(np.log(0.1), np.log(10.0), lanes))
    start = float(np.log(3.9 * system.w0))
    return seconds(lambda: system.flow(gamma=gamma, ratio=ratio, u=start, m=0.08, wall=False))


def compared(count: int) -> float:
    made = runs(count)
    return seconds(lambda: gt.compare("teacher-student", made))


def bytes_of(land: Landscape) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "land.nc"
        land.save(path)
        return path.stat().st_size


def lines(points: int) -> list[Line]:
    """All lines, measured, each at its first so many sizes."""

    def sizes(*every: int) -> tuple[int, ...]:
        return every[:points]

    made: list[Line] = []

    def add(
        panel: str, name: str, size: str, unit: str, at: Sequence[int], of: Callable[[int], float]
    ) -> None:
        cost = []
        for n in at:
            cost.append(of(n))
            print(f"{panel}, {name}: {n:,} {size}: {cost[-1]:.4g} {unit}", file=sys.stderr, flush=True)
        made.append(Line(panel, name, size, unit, tuple(at), tuple(cost)))

    members = sizes(1, 4, 16, 64, 256, 1024, 4096)
    for name, task in (("teacher-student", teacher_student()), ("addition", addition(variant="official"))):
        add("a step of all members", name, "members", "s", members,
            lambda n, task=task: training(task, n, max(2, 200 // n)))  # fmt: skip
    add("a step against width", "modular MLP", "hidden units", "s",
        sizes(32, 64, 128, 256, 512, 1024, 2048, 4096),
        lambda n: training(modular_mlp(p=23, d_model=32, width=n), 4, 5))  # fmt: skip
    add("sampling a landscape", "teacher-student, 20 steps", "cells", "s", sizes(4, 16, 64, 256, 1024),
        lambda n: seconds(partial(grid, n)))  # fmt: skip
    add("the flow", "addition, distinct lanes", "lanes", "s",
        sizes(1, 10, 100, 1000, 10_000, 100_000, 1_000_000), flow)  # fmt: skip
    add("a comparison", "teacher-student", "runs", "s", sizes(10, 100, 1000, 10_000, 100_000), compared)
    add("a landscape's file", "teacher-student", "cells", "bytes", sizes(4, 16, 64, 256, 1024),
        lambda n: float(bytes_of(grid(n))))  # fmt: skip
    return made


def draw(made: Sequence[Line], path: Path) -> None:
    """One panel for each thing that is asked, with a guide of slope 1."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    panels = list(dict.fromkeys(line.panel for line in made))
    figure, axes = plt.subplots(2, -(-len(panels) // 2), figsize=(11, 6.5), layout="constrained")
    for panel, ax in zip(panels, axes.flat, strict=False):
        some = [line for line in made if line.panel == panel]
        for line in some:
            ax.loglog(line.sizes, line.cost, "o-", label=f"{line.name} (slope {line.slope:.2f})")
        steep = max(some, key=lambda line: line.cost[-1])
        ends = np.array([steep.sizes[0], steep.sizes[-1]])
        guide = steep.cost[-1] * ends / ends[-1]
        ax.loglog(ends, guide, color="0.6", linestyle=":", label="slope 1")
        ax.set(title=panel, xlabel=steep.size, ylabel=steep.unit)
        low = min(min(line.cost) for line in some)
        ax.set_ylim(bottom=low / 3)
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(alpha=0.3)
        ax.legend(frameon=False, fontsize=8, loc="upper left")
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("figure", type=Path, nargs="?", default=Path("growth.png"))
    parser.add_argument("--points", type=int, default=8, help="of each line (2 or more)")
    options = parser.parse_args()
    if options.points < 2:
        parser.error("--points: expected 2 or more")
    torch.set_num_threads(1)
    keep_freed_memory()
    gt.compare("teacher-student", runs(10))  # imports are not timed
    made = lines(options.points)
    draw(made, options.figure)
    print("| what | line | from | to | slope of the last decade |\n|---|---|---:|---:|---:|")
    for line in made:
        first, last = (f"{line.sizes[k]:,} {line.size}: {line.cost[k]:.3g} {line.unit}" for k in (0, -1))
        print(f"| {line.panel} | {line.name} | {first} | {last} | {line.slope:.2f} |")
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; seconds of the processor, one thread.")
    steep = [line for line in made if line.slope > STEEP]
    for line in steep:
        print(f"steeper than straight: {line.panel}, {line.name}: {line.slope:.2f}", file=sys.stderr)
    return 1 if steep else 0


if __name__ == "__main__":
    sys.exit(main())
