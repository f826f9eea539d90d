"""Forecasts that begin at a checkpoint of a known run, at 5, 25, 50 and 75 % of its time: what is to go.

Networks are trained, and left on the way at each of these times as a person leaves a run: with their weights,
the optimizer's moments and the step. From there each is forecast, with the moments and without. Needs the
MNIST files for `mnist` (docs/data.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from torch.nn.utils import vector_to_parameters

from groktime.fullnet.checkpoint import Checkpoint
from groktime.fullnet.engine.fresh import fresh_network, trained
from groktime.fullnet.find import find_task
from groktime.fullnet.forecast import forecast
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Members
from groktime.fullnet.procedures.training import Training
from groktime.fullnet.settings import members_of, setup_of
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import mnist
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import check_systems, kept, took
from groktime.recipes.shared.modular import transformer
from groktime.recipes.shared.tables import table
from groktime.reduced.crossings import passes_at
from groktime.reduced.prediction import predict

Arrays = Mapping[str, NDArray[Any]]

SHARES = (0.05, 0.25, 0.5, 0.75)
_APART = 1.08  # times between two moments at which a network's state is held until its t_grok is known
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class System:
    """Networks that are trained, up to `steps`, and left on the way."""

    name: str
    task: Callable[[], Task]
    gamma: float
    alpha: float
    steps: int


SYSTEMS = {
    "mlp": System("MLP, a + b, p = 59", lambda: find_task("modular-mlp"), 1.0, 1.0, 8_000),
    "transformer": System("small transformer, a + b", lambda: transformer(full=False), 1.0, 1.0, 15_000),
    "mnist": System("MNIST, to 70 %", lambda: replace(mnist(n_train=1000), threshold=0.7), 0.1, 8.0, 15_000),
}


def checkpoint(some: Members, row: int) -> Checkpoint:
    """A member as a person saves it."""
    seed = some.starts[int(some.rows[row])].seed
    network = fresh_network(some.setup.task, seed)
    named = trained(network)
    vector_to_parameters(some.flat[row].clone(), list(named.values()))
    moments: dict[str, dict[str, Any]] = {name: {} for name in named}
    for key, flat in zip(_MOMENTS, some.optimizer.moments[:, row], strict=True):
        pieces = flat.clone().split([p.numel() for p in named.values()])
        for (name, p), piece in zip(named.items(), pieces, strict=True):
            moments[name][key] = piece.view_as(p)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    return Checkpoint(weights, moments, some.step, some.optimizer.steps, f"step {some.step}")


def left(system: System, seed: int) -> tuple[float, list[Checkpoint]]:
    """t_grok of one network, and its checkpoints nearest to SHARES of that."""
    task = system.task()
    (member,) = members_of(task, {"gamma": system.gamma, "alpha": system.alpha, "seeds": [seed]})
    setup = setup_of(task, Machine(device="cpu"), {}, seed)
    procedure = Training(setup, system.steps, resolution=0.005, stop_at=task.threshold)
    state = procedure.init([member])
    procedure.record(state)
    held: list[Checkpoint] = []
    while len(state.members.rows):
        if not held or state.members.step >= _APART * held[-1].step + 1:
            held.append(checkpoint(state.members, 0))
        procedure.step(state)
        procedure.record(state)
    accuracy = procedure.result(state)["test_accuracy"][0]
    known = np.isfinite(accuracy)
    at = passes_at(accuracy[known], task.threshold, "accuracy")
    t_grok = float(np.interp(at, np.arange(known.sum()), procedure.times[known]))
    return t_grok, [min(held, key=lambda c: abs(c.step - share * t_grok)) for share in SHARES]


def told(system: System, seed: int, bare: bool) -> Arrays:
    """Step, t_grok, and of the forecasts with moments and without, [2, share]: t_grok, low, high, steps."""
    t_grok, starts = left(system, seed)
    found = np.full((2, len(starts), 4), np.nan)
    for k, start in enumerate(starts):
        for known in (True, False)[: 1 + bare]:
            begun = start if known else replace(start, moments=None, updates=0)
            made = forecast(
                replace(system.task(), start=begun), gamma=system.gamma, seeds=[seed],
                machine=Machine(device="cpu", progress=False),
            )  # fmt: skip
            p = predict(made, gamma=system.gamma, eta_d=float(made.eta_d[0]), alpha=1.0, seed=seed)
            found[int(not known), k] = p.t_grok, p.low, p.high, made.real_steps.sum()
    return {"t_grok": np.array(t_grok), "step": np.array([c.step for c in starts]), "found": found}


@recipe("checkpoints", "forecasts from checkpoints of known runs: what is to go", seeds=3, data="MNIST")
def run(
    out: Path,
    seeds: int,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(SYSTEMS)} (all)"] = tuple(SYSTEMS),
    first: Annotated[int, "the first seed (95)"] = 95,
    bare: Annotated[bool, "forecast without the optimizer's moments, too"] = False,
) -> None:
    check_systems(systems, SYSTEMS)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in systems:
        files = [out / f"{name}-{seed}.npz" for seed in range(first, first + seeds)]
        every = [
            kept(file, lambda name=name, seed=seed: told(SYSTEMS[name], seed, bare))  # type: ignore[misc]
            for seed, file in enumerate(files, first)
        ]
        rows += scored(SYSTEMS[name].name, every)
        took(*files)
    print(f"## Forecasts from checkpoints, {seeds} networks each")
    head = ["system", "at", "of t_grok", "to go, measured", "error (signed)", "of t_grok", "inside 90 %"]
    head += ["steps taken over these"]
    table([*head, "without moments: error (signed)"] if bare else head, rows, "errors")


def scored(name: str, every: Sequence[Arrays]) -> list[list[str]]:
    """A line for each share of the way."""
    rows = []
    for k, share in enumerate(SHARES):
        t_grok = np.array([float(one["t_grok"]) for one in every])
        step = np.array([float(one["step"][k]) for one in every])
        found = np.array([one["found"][:, k] for one in every])  # [seed, moments, number]
        to_go = t_grok - step
        error = (found[..., 0] - t_grok[:, None]) / to_go[:, None]
        low, high = found[:, 0, 1], found[:, 0, 2]
        rows.append(
            [
                name, f"{100 * share:.0f} %", f"{np.median(t_grok):,.0f}", f"{np.median(to_go):,.0f}",
                _error(error[:, 0]), f"{100 * np.mean(np.abs(found[:, 0, 0] / t_grok - 1)):.1f} %",
                f"{int(((low <= t_grok) & (t_grok <= high)).sum())} of {len(t_grok)}",
                f"{np.median(found[:, 0, 3] / to_go):.2f}",
                *([_error(error[:, 1])] if np.isfinite(error[:, 1]).any() else []),
            ]
        )  # fmt: skip
    return rows


def _error(values: NDArray[np.float64]) -> str:
    known = values[np.isfinite(values)]
    lost = len(values) - len(known)
    told = f"{100 * np.abs(known).mean():.1f} % ({100 * known.mean():+.1f})" if len(known) else "–"
    return told + (f", {lost} never" if lost else "")
