"""Memory that a large landscape takes, and time that a comparison of many runs takes.

    python benchmarks/large_files.py [MEGABYTES] [RUNS]

A landscape of so many megabytes (default 500) is written to a temporary folder, opened and asked in a process
of its own, whose peak of memory is printed beside the size of the file. Then so many made-up runs (default
100,000: 100 settings, the seeds of each) are compared with the shipped teacher-student landscape.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import groktime as gt
from groktime.fullnet.runs import Runs
from groktime.reduced.landscape import Landscape

_ASK = """
import sys, time
from pathlib import Path
import groktime as gt
import groktime.reduced.flow_source
def peak():  # of this program; what getrusage tells holds that of the one that started it
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) / 1000 for x in lines if x.startswith("VmHWM"))
before = peak()
start = time.process_time()
land = gt.open_landscape(sys.argv[1])
opened = time.process_time() - start
after = peak()
p = gt.predict(land, gamma=0.1, eta_d=1e-3, alpha=3.0, seed=0)
asked = time.process_time() - start - opened
print(f"  {before:.0f} MB before, {after:.0f} MB opened in {opened:.1f} s, "
      f"{peak():.0f} MB asked in {asked:.1f} s: {p.status.value}")
"""


def landscape(path: Path, megabytes: float) -> None:
    """A noisy landscape of w alone, as large as asked: many seeds and budgets."""
    alpha = np.geomspace(0.5, 8, 100)
    seeds = 50
    budgets = max(1, round(megabytes * 1e6 / (8 * 4 * 0.95 * seeds * alpha.size)))
    shape = (seeds, 1, budgets, 1, alpha.size)
    rng = np.random.default_rng(0)
    accuracy = np.clip(0.9 - 0.2 * np.log(alpha / 1.5), 0, 1)
    noise = rng.random(shape)
    Landscape.assemble(
        coords={"seed": range(seeds), "n_train": [100], "budget": range(budgets), "m": [1.0], "alpha": alpha},
        w0=np.full(seeds, 9.0), delta_norm=None, task="large", loss="mse", threshold=0.9,
        stop_rule="made up", train_loss=1e-6 * (1 + noise), test_loss=0.1 + 0.01 * noise[..., ::-1],
        train_accuracy=1 - 1e-3 * noise, test_accuracy=np.clip(accuracy - 1e-3 * noise, 0, 1),
        converged=np.ones(shape, bool),
    ).save(path)  # fmt: skip


def runs(count: int) -> Runs:
    """Runs of the teacher-student task that generalize when the norm has decayed to 1.5, or nearly."""
    land, rng = gt.open_landscape("teacher-student"), np.random.default_rng(0)
    place = np.arange(count)
    gamma, eta_d = np.geomspace(0.01, 1, 10)[place % 10], np.array([1e-3, 3e-3])[place // 10 % 2]
    alpha, seed = np.array([2.0, 3.0, 4.0, 5.0, 6.0])[place // 20 % 5], place // 100
    step = np.unique(np.concatenate([[0], np.round(np.geomspace(1, 1e6, 250))])).astype(int)
    time = np.log(alpha / 1.5) / (gamma * eta_d) * np.exp(0.1 * rng.standard_normal(count))
    time[rng.random(count) < 0.05] = np.inf
    there, fits = step >= time[:, None], step >= 300 * np.exp(0.2 * rng.standard_normal(count))[:, None]
    known = dict(zip(land.seeds, land["w0"].values.tolist(), strict=True))
    w0 = np.array([known.get(s, 5.0) for s in seed.tolist()])
    return Runs.assemble(
        step=step,
        settings={"gamma": gamma, "eta_d": eta_d, "eta_r": 0.0, "alpha": alpha, "n_train": 100, "seed": seed},
        curves={
            "train_loss": 1 - 0.999 * fits, "test_loss": 0.5 - 0.45 * there, "train_accuracy": 1.0 * fits,
            "test_accuracy": 0.5 + 0.5 * there,
            "weight_norm": (w0 * alpha)[:, None] * np.exp(-(gamma * eta_d)[:, None] * step),
        },
        w0=w0, steps_done=int(step[-1]), diverged=False, task=land.task, loss=land.attrs["loss"],
        threshold=float(land.attrs["accuracy_threshold"]), optimizer="adamw",
    )  # fmt: skip


def main(megabytes: float = 500, count: int = 100_000) -> None:
    """Print both."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.nc"
        landscape(path, megabytes)
        print(f"landscape of {path.stat().st_size / 1e6:.0f} MB", flush=True)
        subprocess.run([sys.executable, "-c", _ASK, str(path)], check=True)
    made = runs(count)
    wall, busy = time.perf_counter(), time.process_time()
    gt.compare("teacher-student", made)
    print(f"compare of {count} runs: {time.process_time() - busy:.1f} s of the processor, "
          f"{time.perf_counter() - wall:.1f} s in all")  # fmt: skip


if __name__ == "__main__":
    main(*(int(x) for x in sys.argv[1:]))
