"""A procedure in one file: decay that is switched off once the training set is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from groktime.fullnet.engine.optimizer import Setting, weight_norm
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.job import output, run
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Member, Members, Setup
from groktime.fullnet.tasks import teacher_student


@dataclass
class State:
    """`decay`: what the weights are multiplied by in each step; `norms` [member, step]."""

    members: Members
    decay: NDArray[np.float64]
    norms: NDArray[np.float64]


@dataclass(frozen=True)
class DecayUntilFitted:
    """SGD whose decay acts on a member until its training loss is below `fitted`."""

    setup: Setup
    steps: int
    fitted: float

    def init(self, members: Sequence[Member]) -> State:
        some = Members(self.setup, members, "sgd", [Setting(c.eta_d) for c in members])
        decay = np.array([1 - c.eta_d * c.gamma for c in members])
        return State(some, decay, np.full((len(members), self.steps + 1), np.nan))

    def step(self, state: State) -> int:
        some = state.members
        loss, gradient, _ = some.gradient()
        rows = some.rows.numpy()
        state.decay[rows[(loss < self.fitted).numpy()]] = 1.0
        some.flat *= torch.as_tensor(state.decay[rows, None]).to(some.flat)
        some.advance(gradient)
        return len(rows)

    def record(self, state: State) -> None:
        some = state.members
        state.norms[some.rows.numpy(), some.step] = weight_norm(some.flat).numpy()
        if some.step == self.steps:
            some.retire(np.ones(len(some.rows), bool))

    def result(self, state: State) -> Arrays:
        return {"norm": state.norms, "decay": state.decay}


@dataclass(frozen=True)
class Norms:
    arrays: Arrays

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **self.arrays)  # type: ignore[arg-type]


def trained(fitted: float, out: Path | None) -> Arrays:
    procedure = DecayUntilFitted(Setup(teacher_student(n_train=20), dtype="float64"), 120, fitted)
    members = [Member(0.5, 0.02, 0.0, alpha, 1.0, 20, seed) for alpha in (0.5, 1.0) for seed in (0, 1)]
    with output(out, {"fitted": fitted}, overwrite=False) as where:
        machine = Machine("cpu", members=3, workers=1, progress=False)
        found = run(procedure, members, machine, where, steps=120, title="decay until fitted")
        return where.finish(Norms(found)).arrays


def test_it_runs_is_resumed_and_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(0.0, tmp_path / "whole.npz")
    assert whole["norm"].shape == (4, 121)
    step, calls = DecayUntilFitted.step, 0

    def stops(self: DecayUntilFitted, state: State) -> int:
        nonlocal calls
        calls += 1
        if calls == 70:
            raise KeyboardInterrupt
        return step(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(DecayUntilFitted, "step", stops)
        patch.setattr("groktime.fullnet.job.CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            trained(0.0, tmp_path / "a.npz")
        calls = 100
        again = trained(0.0, tmp_path / "a.npz")
        assert calls == 100 + 51 + 120  # the first piece from its checkpoint, the second one from its start
    for name, values in whole.items():
        np.testing.assert_array_equal(again[name], values)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "whole.npz"]


def test_results_may_stay_in_memory() -> None:
    free = trained(np.inf, None)
    assert (free["decay"] == 1).all()
    assert (free["norm"][:, -1] > trained(0.0, None)["norm"][:, -1]).all()
