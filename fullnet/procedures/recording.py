"""What procedures that record learning curves have in common: when to evaluate, and when a run is done."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.runs import CURVES
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


def check_curves(resolution: float, stop_at: float | None) -> None:
    """Refuse a resolution or a threshold that is none."""
    if not 0 < resolution <= 1:
        raise InputError(f"resolution = {resolution}: expected a share in (0, 1]")
    check_stop_at(stop_at)


def check_stop_at(stop_at: float | None) -> None:
    """Refuse what is no test accuracy."""
    if stop_at is not None and not 0 < stop_at <= 1:
        raise InputError(f"stop_at = {stop_at}: expected a test accuracy in (0, 1]")


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
