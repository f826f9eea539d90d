"""Time that comparisons of many runs, single predictions and small maps take.

    python benchmarks/asking.py [RUNS ...]

Made-up runs (default 100, 1,000 and 10,000) of the shipped addition landscape, of (w, m), with its four seeds
at each setting; no two settings are alike. In seconds of the processor, imports left out. To compare two
checkouts, run it with each on PYTHONPATH, in turns.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

import groktime as gt
from groktime.fullnet.runs import Runs

ROUNDS = 3


def runs(count: int) -> Runs:
    """Runs that generalize after about ln(alpha/2.5) time constants of decay."""
    land, rng = gt.open_landscape("addition"), np.random.default_rng(0)
    seeds = np.arange(count) % len(land.seeds)

    def setting(low: float, high: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.repeat(rng.uniform(low, high, -(-count // len(land.seeds))), len(land.seeds))[:count]

    gamma, eta = np.exp(setting(np.log(0.01), 0)), np.exp(setting(np.log(3e-4), np.log(3e-3)))
    alpha, m = setting(2.6, 4.0), setting(0.0, 0.1)
    step = np.unique(np.concatenate([[0], np.round(np.geomspace(1, 1e6, 100))])).astype(int)
    there, fits = step >= (np.log(alpha / 2.5) / (gamma * eta))[:, None], step >= np.full((count, 1), 300)
    w0 = land["w0"].values[seeds]
    return Runs.assemble(
        step=step,
        settings={"gamma": gamma, "eta_d": eta, "eta_r": eta, "alpha": alpha, "m_start": m,
                  "n_train": land.n_train[-1], "seed": np.array(land.seeds)[seeds]},
        curves={"train_loss": 1 - 0.999 * fits, "test_loss": 0.5 - 0.45 * there, "train_accuracy": 1.0 * fits,
                "test_accuracy": 0.5 + 0.5 * there,
                "weight_norm": (w0 * alpha)[:, None] * np.exp(-(gamma * eta)[:, None] * step)},
        w0=w0, steps_done=int(step[-1]), diverged=False, task=land.task, loss=land.attrs["loss"],
        threshold=float(land.attrs["accuracy_threshold"]),
        threshold_relative=bool(land.attrs["threshold_relative"]), optimizer="adamw",
    )  # fmt: skip


def seconds(call: Callable[[], object], rounds: int = 1) -> float:
    """Of the processor: the median over some rounds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main(counts: list[int]) -> None:
    """One Markdown row a question."""
    gt.compare("addition", runs(4))
    print("| question | CPU s |\n|---|---:|")
    for name, more in (("teacher-student", {}), ("addition", {"m": 0.05})):
        land = gt.open_landscape(name)
        one = {"eta_d": 1e-3, **more}
        ask = {
            "predict, one lane": lambda land=land, one=one: gt.predict(land, gamma=0.1, alpha=3.0, **one),
            "what_if, 100 lanes": lambda land=land, one=one: gt.what_if(
                land, gamma=np.geomspace(0.01, 1, 10), alpha=np.linspace(2.6, 3.9, 10), **one
            ),
        }
        for what, call in ask.items():
            call()
            print(f"| {name}: {what} | {seconds(call, ROUNDS):.3f} |", flush=True)
    for count in counts:
        made = runs(count)
        taken = seconds(lambda made=made: gt.compare("addition", made))
        print(f"| addition: compare, {count:,} runs | {taken:.1f} |", flush=True)


if __name__ == "__main__":
    main([int(x) for x in sys.argv[1:]] or [100, 1000, 10_000])
