"""Logs as people have them, written down by the tests themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

STEP = np.array([0, 10, 20, 40, 80, 160, 320, 640])
TRAIN = np.array([0.1, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
LATE = np.array([0.1, 0.1, 0.2, 0.2, 0.3, 0.96, 1.0, 1.0])  # generalizes at 160
EARLY = np.array([0.1, 0.2, 0.3, 0.96, 1.0, 1.0, 1.0, 1.0])  # generalizes at 40
NORM = np.linspace(10.0, 6.0, len(STEP))
TIMES = ([20.0, 20.0], [160.0, 40.0])  # t_mem and t_grok of the two runs


def one(test: Sequence[float] = LATE, **more: Any) -> pd.DataFrame:
    """The log of one run, by the names that this project has itself."""
    curves = {"step": STEP, "train_accuracy": TRAIN, "test_accuracy": np.asarray(test)}
    losses = {"train_loss": 1.1 - TRAIN, "test_loss": 1.1 - np.asarray(test)}
    return pd.DataFrame(curves | losses | {"weight_norm": NORM}).assign(**more)


def two(**names: str) -> pd.DataFrame:
    """A long table of two runs, with other names for its columns."""
    return pd.concat([one(LATE, run="late"), one(EARLY, run="early")], ignore_index=True).rename(
        columns=names
    )
