"""A landscape whose times are known in closed form, and runs with planted times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from groktime.fullnet.runs import Runs
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.landscape import Landscape

NAN = float("nan")
CRITICAL = 1.5  # the test accuracy is at its threshold where alpha is this
LAST = 10**7


def flat(seeds: int = 3, **settings: Any) -> Landscape:
    """Training loss flat, test accuracy straight in ln alpha: 0.9 at alpha = 1.5. Times are exact."""
    alpha = np.geomspace(0.5, 8, 17)
    accuracy = np.clip(0.9 - 0.2 * np.log(alpha / CRITICAL), 0, 1)
    every = np.broadcast_to(accuracy, (seeds, 1, alpha.size))
    land = Landscape.from_arrays(
        alpha=alpha,
        train_loss=np.full((seeds, 1, alpha.size), 1e-6),
        train_accuracy=np.ones((seeds, 1, alpha.size)),
        test_accuracy=every,
        test_loss=1 - every + 1e-9,
        w0=np.full(seeds, 2.0),
        task="planted",
        loss="mse",
        threshold=0.9,
    )
    return Landscape(land.dataset.assign_attrs(settings), land.source)


def apart() -> Landscape:
    """Three seeds whose critical norms differ, so that some pass where others have still to go."""
    land = flat()
    shift = 0.04 * np.arange(3)[:, None, None, None, None]
    accuracy = np.clip(land.dataset["test_accuracy"] + shift, 0, 1)
    return Landscape(land.dataset.assign(test_accuracy=accuracy), "apart")


def law(gamma: ArrayLike, eta_d: ArrayLike = 1e-3, alpha: ArrayLike = 3.0) -> np.ndarray[Any, Any]:
    """ln(alpha/alpha_c)/(eta gamma)."""
    return np.asarray(np.log(np.asarray(alpha) / CRITICAL) / (np.asarray(eta_d) * np.asarray(gamma)))


def grid(
    gamma: Sequence[float] = (0.03, 0.1, 0.3), alpha: Sequence[float] = (3.0,), seeds: int = 3
) -> dict[str, np.ndarray[Any, Any]]:
    """Every combination, [run]."""
    axes = np.meshgrid(gamma, alpha, np.arange(seeds), indexing="ij")
    return {k: v.ravel() for k, v in zip(("gamma", "alpha", "seed"), axes, strict=True)}


def planted(t_grok: ArrayLike, *, t_mem: ArrayLike = 1.0, last: int = LAST, **more: Any) -> Runs:
    """Runs that fit at `t_mem` and generalize at `t_grok` (NaN: never), to half a step.

    Evaluations lie at every planted time and a step before; the norm decays freely from 2 alpha.
    """
    test = np.atleast_1d(np.asarray(t_grok, float))
    train = np.broadcast_to(np.asarray(t_mem, float), test.shape)
    times = np.concatenate([test, train])
    each = np.unique(np.round(times[~np.isnan(times)]).astype(int))
    step = np.unique([0, *each, *np.maximum(each - 1, 0), last - 2, last - 1, last])
    attributes = {k: more.pop(k) for k in ("task", "loss", "optimizer", "representation") if k in more}
    attributes |= {k: more.pop(k) for k in ("threshold", "threshold_relative", "configuration") if k in more}
    attributes |= {"constrained": more.pop("constrained", False), "law": more.pop("law", None)}
    diverged, done = more.pop("diverged", False), more.pop("steps_done", last)
    w0 = more.pop("w0", 2.0)
    settings = {"eta_d": 1e-3, "eta_r": NAN, "n_train": 50, "seed": 0, "gamma": 0.1, "alpha": 3.0} | more
    rate = np.broadcast_to(np.asarray(settings["gamma"]) * np.asarray(settings["eta_d"]), test.shape)
    fits = np.nan_to_num(step >= np.round(train)[:, None])
    goes = np.nan_to_num(step >= np.round(test)[:, None])
    norm = 2.0 * np.broadcast_to(settings["alpha"], test.shape)[:, None] * np.exp(-rate[:, None] * step)
    held = step <= np.broadcast_to(done, test.shape)[:, None]
    curves = {
        "train_accuracy": 1.0 * fits,
        "test_accuracy": 0.5 + 0.45 * goes,
        "train_loss": 1.0 - 0.999 * fits,
        "test_loss": 0.5 - 0.45 * goes,
        "weight_norm": norm,
    }
    return Runs.assemble(
        step=step,
        settings=settings,
        curves={k: np.where(held, v, NAN) for k, v in curves.items()},
        w0=w0,
        steps_done=done,
        diverged=diverged,
        **({"task": "planted", "loss": "mse", "threshold": 0.9, "optimizer": "adamw"} | attributes),
    )


def planted_path(
    seeds: Sequence[int] = (0, 1, 2), alpha: Sequence[float] = (2.0, 3.0, 4.0), **more: Any
) -> DecayPath:
    """A decay path on which `law` holds at every resolution: tau_c = ln(alpha/alpha_c)."""
    tau, refit = 0.01 * np.arange(151), (20, 40)
    where = np.log(np.array(alpha) / CRITICAL)[:, None, None]
    test = np.clip(0.9 + 0.3 * (tau - where), 0, 1)
    shape = (len(seeds), 1, 1, len(alpha), len(refit), len(tau))
    test = np.broadcast_to(test, shape)
    usual: dict[str, Any] = {
        "coords": {"seed": seeds, "n_train": [50], "m_start": [1.0], "alpha": alpha, "refit": refit,
                   "tau": tau},
        "curves": {"test_accuracy": test, "test_loss": 1 - test, "train_accuracy": np.ones(shape)},
        "t_fit": np.ones(shape[:4]), "w0": np.full(len(seeds), 2.0), "eta_d": 1e-3, "dtau": 0.01,
        "task": "planted", "loss": "mse", "threshold": 0.9,
    }  # fmt: skip
    return DecayPath.assemble(**(usual | more))


def made_with(**settings: Any) -> str:
    """The configuration of a landscape that was sampled with these settings of its task."""
    return json.dumps({"settings": settings})
