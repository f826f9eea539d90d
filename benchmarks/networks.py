"""Time and memory per member and step of every built-in network, in the ensemble and one at a time.

    python benchmarks/networks.py [--tasks NAME ...] [--members N ...] [--steps N] [--rounds N]
                                  [--threads N] [--device DEVICE] [--json]

Each task at its preset "small", if it has one; `qm9-official` is the other variant of qm9. Both sides
(sides.py) train the same networks with AdamW in turns: one at a time, then together at each number of
members. Before anything is timed, both must arrive at the same training losses. One at a time is torch in
its best form: fused optimizer or not, one thread or all, whichever is faster, and `torch.nn.LSTM` where the
ensemble has a scan of its own. The ensemble has one worker a core, as `sample` and `train` do: a single
member has one core, a network alone all of them.

Memory is the peak of a fresh process over what it had when the data were read and PyTorch had trained
another network, so that it holds weights, gradients, moments and activations, and what the allocator keeps
of them; divided by the members. `--one NAME MEMBERS` is that process ("alone": one at a time). It needs
Linux, or CUDA, where it is torch's own peak.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import gc
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sides import CPU, TOLERANCE, Form, Job, alone, best_form, cells, difference, ensemble, machine, ratio
from torch import Tensor, nn

from groktime.fullnet.engine.device import device_of
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.memory import keep_freed_memory
from groktime.fullnet.find import BUILT_IN, find_task
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import teacher_student
from groktime.reduced.errors import InputError

TASKS: Mapping[str, Mapping[str, Any]] = {
    **{name: {} for name in BUILT_IN},
    "qm9-official": {"variant": "official"},
}
SECONDS = 1.0  # of each side in a round, unless that is fewer than LEAST steps
LEAST = 3
MIB = 2**20


@dataclass(frozen=True)
class Result:
    """Milliseconds per member and step (medians), how many times as fast the ensemble is, round by round
    (median, least, largest), and MiB per member (None: cannot be told here)."""

    task: str
    parameters: int
    members: int
    milliseconds: float
    alone_milliseconds: float
    alone_is: str
    times: tuple[float, float, float]
    mib: float | None
    alone_mib: float | None
    difference: float


class Reviewer(nn.Module):
    """The network of `imdb` as one would write it, with torch's own LSTM."""

    def __init__(self, embedding: int, hidden: int, words: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, 1)

    def forward(self, words: Tensor) -> Tensor:
        logit: Tensor = self.output(self.lstm(self.embedding(words))[0][:, -1]).squeeze(-1)
        return logit


def job_of(name: str, members: int, device: torch.device) -> Job:
    """So many members of a task, whose data are read once."""
    base = name if name in BUILT_IN else name.split("-")[0]
    preset = "small" if "small" in BUILT_IN[base].presets else None
    task = find_task(base, TASKS[name], preset=preset)
    task = replace(task, problem=functools.cache(task.problem))
    job = Job(task, cells(task, members), LEAST, sphere=False, device=device)
    for c in job.cells:
        task.problem(c.seed, c.n_train)
    return replace(job, rival=_reviewer(task)) if base == "imdb" else job


def _reviewer(task: Task) -> functools.partial[Reviewer]:
    ours = task.network()
    words, embedding = ours.embedding.weight.shape
    return functools.partial(Reviewer, embedding, ours.lstm.weight_hh_l0.shape[1], words, ours.lstm.layers)


# --- time -----------------------------------------------------------------------------------------


def compare(
    name: str, job: Job, counts: Sequence[int], rounds: int, threads: int, steps: int
) -> list[Result]:
    """The check, and then all sides in turns; `steps` 0: by the time that a network takes."""
    one = replace(job, cells=job.cells[:1])
    second = alone(one, Form(True, 1))[0] / one.steps

    def of(members: int) -> Job:
        by_time = max(LEAST, round(SECONDS / (members * second)))
        return replace(job, cells=job.cells[:members], steps=steps or by_time)

    largest = of(max(counts))
    # four of the members are enough: in float64 torch's LSTM takes a second a step
    apart = difference(replace(largest, cells=largest.cells[:: max(1, len(largest.cells) // 4)]))
    if not apart <= TOLERANCE:
        raise SystemExit(f"{name}: losses differ by {apart:.2g} (allowed: {TOLERANCE:g})")
    best = best_form(replace(one, steps=max(LEAST, of(1).steps // 10)), threads)
    single: list[float] = []
    together: dict[int, list[float]] = {n: [] for n in counts}
    for turn in range(rounds):
        some = of(1)
        single.append(alone(some, best)[0] / some.steps)
        for n in counts:
            some = of(n)
            together[n].append(ensemble(some, threads)[0] / (n * some.steps))
        told = ", ".join(f"{n}: {single[-1] / together[n][-1]:.2f}" for n in counts)
        print(f"{name}, round {turn + 1} of {rounds}, members: times as fast: {told}", file=sys.stderr)
    alone_mib = memory_of(name, "alone", threads, job.device)
    return [
        Result(
            task=name,
            parameters=len(initial_parameters(job.task, 0)),
            members=n,
            milliseconds=1e3 * statistics.median(together[n]),
            alone_milliseconds=1e3 * statistics.median(single),
            alone_is=str(best),
            times=ratio([a / b for a, b in zip(single, together[n], strict=True)]),
            mib=memory_of(name, str(n), threads, job.device),
            alone_mib=alone_mib,
            difference=apart,
        )
        for n in counts
    ]


# --- memory ---------------------------------------------------------------------------------------


def memory_of(name: str, members: str, threads: int, device: torch.device) -> float | None:
    """MiB per member in a fresh process; None where that cannot be told."""
    command = [sys.executable, __file__, "--one", name, members]
    command += ["--threads", str(threads), "--device", str(device)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return None if told.strip() == "None" else float(told)


def memory(name: str, members: str, threads: int, device: torch.device) -> float | None:
    """MiB per member that this process takes for a few steps, beyond what it has with data and PyTorch."""
    keep_freed_memory()  # as `sample` and `train` do
    count = 1 if members == "alone" else int(members)

    def train(job: Job) -> None:
        if members == "alone":
            alone(job, Form(True, threads))
        else:
            ensemble(job, threads)

    other = teacher_student()
    train(Job(other, cells(other, threads), LEAST, sphere=False, device=device))
    job = job_of(name, count, device)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        train(job)
        return (torch.cuda.max_memory_allocated(device) - before) / count / MIB
    anew = Path("/proc/self/clear_refs")
    if not os.access(anew, os.W_OK):
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
    # Reading the data can take more than training does: from here on the peak is counted anew.
    anew.write_text("5")
    before = _status("VmRSS")
    train(job)
    return (_status("VmHWM") - before) / count / MIB


def _status(name: str) -> int:
    """Bytes of resident memory, now (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


# --- the table ------------------------------------------------------------------------------------


def table(results: Iterable[Result]) -> str:
    rows = [
        "| task | parameters | members | ensemble, ms | alone, ms | times as fast (min-max) "
        "| ensemble, MiB | alone, MiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in results:
        columns = [r.task, f"{r.parameters:,}", f"{r.members}", f"{r.milliseconds:.3g}"]
        columns += [f"{r.alone_milliseconds:.3g} ({r.alone_is})"]
        columns += ["{:.2f} ({:.2f}-{:.2f})".format(*r.times), _mib(r.mib), _mib(r.alone_mib)]
        rows.append(f"| {' | '.join(columns)} |")
    return "\n".join(rows)


def _mib(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="NAME")
    parser.add_argument("--members", nargs="+", type=int, default=[1, 4, 16], metavar="N")
    parser.add_argument("--steps", type=int, default=0, help="per member (default: what a second allows)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores for each side")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "MEMBERS"), help="the memory alone, of one case")
    options = parser.parse_args()
    if min(options.rounds, options.threads, *options.members) < 1 or options.steps < 0:
        parser.error("--members, --rounds and --threads must be at least 1, --steps 0 or more")
    device = device_of(options.device)
    # A GPU is one worker's (fullnet/engine/device.py).
    threads = options.threads if device == CPU else 1
    if options.one:
        name, members = options.one
        print(memory(name, members, threads, device))
        return
    keep_freed_memory()  # the rivals have the good of it as well
    results, missing = [], []
    for name in options.tasks:
        try:
            job = job_of(name, max(options.members), device)
        except InputError as error:
            missing.append(f"Not run: {name} ({error}).")
            continue
        results += compare(name, job, options.members, options.rounds, threads, options.steps)
    if options.json:
        print(json.dumps({"machine": machine(threads), "results": [asdict(r) for r in results]}))
        return
    print(f"{machine(threads)}; {device}\n\n{table(results)}\n")
    apart = max((r.difference for r in results), default=0.0)
    print(
        f"Per member and step; medians of {options.rounds} rounds. Training losses of both sides agree to "
        f"{apart:.1g} in float64 (allowed: {TOLERANCE:g})."
    )
    print("".join(f"\n{line}" for line in missing), end="")


if __name__ == "__main__":
    main()
