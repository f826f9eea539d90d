"""What procedures that record learning curves have in common: when to evaluate, and when a run is done."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.runs import CURVES
from groktime.fullnet.task import Task
from groktime.reduced.arguments import MANY, number
from groktime.reduced.errors import InputError
from groktime.reduced.system import MEMORIZED

Bools = NDArray[np.bool_]

PERSIST = 3  # evaluations in a row beyond both thresholds after which a run may stop


def evaluation_times(steps: int, resolution: float) -> NDArray[np.int64]:
    """Steps of the evaluations: 0, and on at the resolution, and the last."""
    times = [0, 1]
    while times[-1] < steps:
        times.append(max(times[-1] + 1, int(times[-1] * (1 + resolution))))
    return np.array([*(s for s in times if s < steps), steps])


def share(name: str, value: Any) -> float:
    """A number in (0, 1], such as a resolution or a test accuracy."""
    return number(name, value, "in (0, 1]", lambda x: 0 < x <= 1)


def check_reach(task: Task, steps: int) -> None:
    """Refuse a training that ends where it starts, or before."""
    if steps <= task.begin:
        raise InputError(f"steps = {steps}: expected more than {task.begin}, the step of the checkpoint")


def check_curves(steps: int, resolution: float) -> None:
    """Refuse a resolution at which curves would have too many points."""
    first = min(1 / resolution, steps)  # up to here every step is evaluated
    count = first + math.log(steps / first) / math.log1p(resolution)
    if count > MANY:
        raise InputError(
            f"resolution = {resolution:g}: {count:,.0f} evaluations of each run; expected a coarser one"
        )


def stays_beyond(
    record: NDArray[np.float64],
    passed: NDArray[np.int64],
    rows: NDArray[np.int64],
    stop_at: float | None,
    seen: Bools | bool = True,
) -> Bools:
    """Which rows have been beyond both thresholds for long enough to stop, [row]; counts in `passed`
    [member], where only what is `seen` in the curves counts."""
    if stop_at is None:
        return np.zeros(len(rows), bool)
    train_accuracy, test_accuracy = (record[CURVES.index(k)] for k in ("train_accuracy", "test_accuracy"))
    beyond = (test_accuracy >= stop_at) & (train_accuracy >= MEMORIZED)
    passed[rows] = np.where(seen, np.where(beyond, passed[rows] + 1, 0), passed[rows])
    return np.asarray(passed[rows] >= PERSIST)
