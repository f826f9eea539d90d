"""Calls of the public functions with odd arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from outcome import ELSE, RIGHT, Outcomes, tried
from place import contents, inside, restore
from values import VALUES

import groktime as gt
from groktime.fullnet.eq6 import integrate_networks


def _kept(result: Any) -> bool:
    """Whether a result can be shown, and be written as JSON."""
    if hasattr(result, "report"):
        assert result.report()
    json.dumps(result.to_dict(), allow_nan=False)
    return "\n" not in repr(result)


def _table(result: Any) -> bool:
    return bool(json.dumps(result.to_dict(), default=str))


def _grid() -> dict[str, Any]:
    alpha = np.linspace(1, 4, 5)
    loss = np.exp(alpha - 4)
    return {"alpha": alpha, "train_loss": loss, "test_loss": loss, "test_accuracy": 1 - loss / 2, "w0": 9.0}


_OPTIONS = {
    "n_train": None,
    "sampled_steps": None,
    "seed": None,
    "threshold": None,
    "metric": "accuracy",
    "implicit": 0.0,
    "onset": 0.0,
}
_FLOW = {"level": 0.05, "m_rate": "eq6", "wall": False}
_START = {"gamma": 0.1, "eta_d": 3e-4, "alpha": 3.0, "eta_r": None, "m": None}
_NETWORKS = {
    "task": "teacher-student",
    "alpha": 2.0,
    "seeds": [0],
    "n_train": None,
    "out": None,
    "overwrite": False,
    "machine": gt.Machine(progress=False, workers=1),
}
_RUN = {"m": 1.0, "eta_r": None, "eta_d": 1e-3, "dtype": "float32"}
CALLS: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any], Callable[[Any], bool]]] = {
    "predict": (gt.predict, {"source": "teacher-student", **_START, **_OPTIONS, **_FLOW}, _kept),
    "predict path": (gt.predict, {"source": "path.nc", **_START, **_OPTIONS}, _kept),
    "what_if": (
        gt.what_if,
        {"source": "plane.nc", **_START, "alpha": 3.0, "m": 0.1, **_OPTIONS, **_FLOW},
        _table,
    ),
    "recommend": (
        gt.recommend,
        {
            "source": "teacher-student",
            "budget": 20_000,
            "eta_d": 3e-4,
            "alpha": 3.0,
            **_OPTIONS,
            "seed": 0,
        },
        _kept,
    ),
    "measure": (
        gt.measure,
        {
            "runs": "runs.nc",
            "threshold": None,
            "persist": 3,
            "metric": "accuracy",
            "train_threshold": None,
            "rule": "first",
        },
        _table,
    ),
    "compare": (
        gt.compare,
        {
            "sources": "teacher-student",
            "runs": "runs.nc",
            "threshold": None,
            "metric": "accuracy",
            "persist": 3,
            "rule": "persist",
            "train_threshold": None,
            "level": 0.05,
            "m_rate": "eq6",
            "sampled_steps": None,
        },
        _table,
    ),
    "train": (
        gt.train,
        {
            **_NETWORKS,
            **_RUN,
            "gamma": 1.0,
            "steps": 2,
            "optimizer": "adamw",
            "representation": "fixed",
            "resolution": 0.02,
            "stop_at": None,
            "constrained": False,
            "paired": False,
            "batch": 0,
        },
        _kept,
    ),
    "sample": (
        gt.sample,
        {
            **_NETWORKS,
            "alpha": [1, 2, 3, 4],
            "m": [1.0],
            "steps": 2,
            "budgets": None,
            "gradient": "tangent",
            "start": "fresh",
            "refine": 0,
        },
        _kept,
    ),
    "sample_path": (
        gt.sample_path,
        {
            **_NETWORKS,
            **_RUN,
            "dtau": 0.01,
            "refit": 2,
            "tau": 0.02,
            "fit": "along",
            "optimizer": "adamw",
            "representation": "fixed",
            "stop_at": None,
            "fit_steps": 2,
            "fit_loss": None,
            "batch": 0,
        },
        _kept,
    ),
    "forecast": (
        gt.forecast,
        {
            **_NETWORKS,
            **_RUN,
            "gamma": 1.0,
            "precision": 0.1,
            "budget": None,
            "steps": 30,
            "threshold": None,
            "optimizer": "adamw",
            "representation": "fixed",
            "fit_steps": 2,
            "batch": 0,
        },
        _kept,
    ),
    "integrate_networks": (
        integrate_networks,
        {
            **_NETWORKS,
            **_RUN,
            "gamma": 1.0,
            "steps": 2,
            "start": 2,
            "inner": 2,
            "du": 0.005,
            "dm": 0.002,
            "m_rate": "eq6",
            "turns": 2,
            "rate": None,
            "resolution": 0.02,
            "stop_at": None,
            "paired": False,
        },
        _kept,
    ),
    "implicit_decay": (
        gt.implicit_decay,
        {"path": "path.nc", "runs": "runs.nc", "metric": "accuracy", "gamma": 1},
        repr,
    ),
    "Machine": (
        gt.Machine,
        {
            "device": "auto",
            "members": None,
            "workers": None,
            "executor": None,
            "compiled": False,
            "progress": True,
        },
        repr,
    ),
    "from_arrays": (
        gt.Landscape.from_arrays,
        {
            **_grid(),
            "m": None,
            "train_accuracy": None,
            "delta_norm": None,
            "task": "mine",
            "loss": "mse",
            "threshold": 0.95,
        },
        _kept,
    ),
    "plot": (gt.plot, {"x": "teacher-student", "file": None, "kind": None, "overwrite": False}, repr),
    "plot path": (
        gt.plot,
        {"x": "path.nc", "alpha": None, "n_train": None, "m": None, "metric": "loss"},
        repr,
    ),
    "plot runs": (gt.plot, {"x": "runs.nc", "metric": "loss", "kind": "runs"}, repr),
    "plot plane": (gt.plot, {"x": "plane.nc", "seed": 0, "field": "test_loss", "n_train": None}, repr),
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A function by name, and which values it is given instead of one or two of its usual arguments."""
    name = draw(st.sampled_from(sorted(CALLS)))
    some = draw(st.lists(st.sampled_from(sorted(CALLS[name][1])), min_size=1, max_size=2, unique=True))
    return name, {argument: draw(st.sampled_from(sorted(VALUES))) for argument in some}


def try_call(outcomes: Outcomes, name: str, changed: Mapping[str, str], folder: Path) -> str:
    """Call the function in the folder; what it made is removed."""
    function, usual, good = CALLS[name]
    arguments = dict(usual) | {k: VALUES[text]() for k, text in changed.items()}
    label = f"{name.replace(' ', '-')} {dict(changed)}"
    before = contents(folder)
    with inside(folder):
        found = tried(outcomes, label, lambda: function(**arguments), (), lambda result: bool(good(result)))
    left = restore(folder, before)
    if left and (found != RIGHT or not {"out", "file"} & set(changed)):
        found = outcomes.add(label, ELSE, f"left or changed {left}")
    return found
