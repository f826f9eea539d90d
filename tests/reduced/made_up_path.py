"""Decay paths whose τ_c is known at every start and resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from groktime.reduced.decay_path import DecayPath
from groktime.reduced.prediction import Prediction, predict

ETA, DTAU = 1e-3, 0.01
REFIT = (10, 20, 40)  # gamma_eff 1, 0.5, 0.25


def law(seed: int, alpha: float, k: int) -> float:
    """τ_c: linear in ln alpha, and in gamma_eff = 10/refit."""
    return exact(seed, alpha, 10 / k)


def exact(seed: int, alpha: float, gamma: float = 0.01) -> float:
    """What `law` says at a gamma of any size."""
    return float(0.5 * np.log(alpha) + 0.02 * seed + 0.1 * gamma)


def made_up(
    tau_c: Callable[[int, float, int], float] = law,
    *,
    seeds: int = 3,
    alpha: tuple[float, ...] = (2.0, 3.0, 4.0),
    refit: tuple[int, ...] = REFIT,
    t_fit: float = 20.0,
    top: float = 1.0,
    **change: Any,
) -> DecayPath:
    """Accuracies that rise with slope 1 and pass 0.95 of `top` at τ_c."""
    tau = DTAU * np.arange(121)
    shape = (seeds, 1, 1, len(alpha), len(refit))
    where = np.array([[[tau_c(s, a, k) for k in refit] for a in alpha] for s in range(seeds)])
    test = np.clip(0.95 * top + tau - where[:, None, None, ..., None], 0, top)
    usual: dict[str, Any] = {
        "coords": {"seed": range(seeds), "n_train": [100], "m_start": [1.0], "alpha": alpha, "refit": refit,
                   "tau": tau},
        "curves": {"test_accuracy": test, "test_loss": 1 - test, "train_accuracy": np.ones(test.shape),
                   "train_loss": np.full(test.shape, 1e-6), "weight_norm": np.ones(test.shape)},
        "t_fit": np.full(shape[:4], t_fit), "w0": np.ones(seeds), "eta_d": ETA, "dtau": DTAU,
    }  # fmt: skip
    return DecayPath.assemble(**(usual | change))


def at(path: DecayPath, **change: Any) -> Prediction:
    usual: dict[str, Any] = {"gamma": 0.01, "eta_d": ETA, "alpha": 3.0}
    return predict(path, **(usual | change))
