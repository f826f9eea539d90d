"""Runs whose curves are written down by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from groktime.fullnet.runs import Runs

NAN = float("nan")


def trained(
    test: Sequence[Sequence[float]],
    train: Sequence[Sequence[float]] | None = None,
    *,
    step: Sequence[int] | None = None,
    steps_done: Any = None,
    diverged: Any = False,
    **settings: Any,
) -> Runs:
    """One run a row of test accuracy (losses: 1 - accuracy), at steps 0, 10, 20, … unless told.

    The training accuracy is 1 from the start unless told; the norm falls from 10 to 9.
    """
    accuracy = np.array(test, float)
    count, times = accuracy.shape
    steps = np.arange(times) * 10 if step is None else np.asarray(step)
    done = np.broadcast_to(steps[-1] if steps_done is None else steps_done, count)
    held = steps[None] <= done[:, None]
    fitted = np.ones_like(accuracy) if train is None else np.array(train, float)
    norm = np.broadcast_to(np.linspace(10.0, 9.0, times), accuracy.shape)
    curves = {
        "train_accuracy": fitted,
        "test_accuracy": accuracy,
        "train_loss": 1 - fitted,
        "test_loss": 1 - accuracy,
        "weight_norm": norm,
    }
    relative = settings.pop("threshold_relative", False)
    per_run = {
        "gamma": 1e-3,
        "eta_d": 1e-2,
        "eta_r": NAN,
        "alpha": 3.0,
        "n_train": 50,
        "seed": np.arange(count),
    }
    return Runs.assemble(
        step=steps,
        settings=per_run | settings,
        curves={k: np.where(held, v, NAN) for k, v in curves.items()},
        w0=2.0,
        steps_done=done,
        diverged=diverged,
        task="by hand",
        loss="mse",
        threshold=0.9,
        threshold_relative=relative,
        optimizer="AdamW",
        configuration={"steps": int(steps[-1])},
    )
