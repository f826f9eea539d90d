"""A training that is interrupted, or whose checkpoint is damaged, comes to the same arrays, bit by bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_task import (
    learners,
    plan_of,
    small_task,
    tiny_addition,
    trained,
)
from torch import Tensor

import groktime.fullnet.job
from groktime.fullnet.engine.parts import Checkpoint
from groktime.fullnet.job import drive
from groktime.fullnet.members import Member
from groktime.fullnet.procedures.training import Training, TrainingState

KINDS: dict[str, dict[str, Any]] = {
    "adamw": {"optimizer": "adamw"},
    "momentum in batches": {"optimizer": "momentum", "batch": 6},
    "sgd": {"optimizer": "sgd"},
    "retiring": {"optimizer": "adamw", "stop_at": 0.8, "resolution": 0.03, "batch": 6, "steps": 300},
    "line": {"optimizer": "momentum", "representation": "line", "batch": 6},
    "free": {"optimizer": "adamw", "representation": "free"},
    "single": {"optimizer": "adamw", "dtype": "float32"},
    "augmented": {"optimizer": "adamw", "batch": 6},
    "augmented, all samples": {"optimizer": "sgd", "constrained": True},
}


def jittered(inputs: Tensor, drawn: torch.Generator) -> Tensor:
    return inputs + 0.1 * torch.randn(inputs.shape, generator=drawn).to(inputs)


class Interrupted(Exception):
    """Raised by the tests in the middle of a piece."""


def _of_kind(kind: str) -> tuple[Training, list[Member]]:
    task = tiny_addition() if kind == "free" else small_task()
    members = learners()
    if "augmented" in kind:
        warm = replace(task.optimizer, warmup=120)
        task = replace(task, augment=jittered, clip=0.1, optimizer=warm, parts={"first": ("0.",)})
    if kind == "free":
        members = [replace(c, n_train=11, eta_r=1e-2) for c in members]
    if kind == "retiring":
        members.insert(2, replace(members[2], gamma=1e4, eta_d=1.0))  # diverges
    return plan_of(task, **{"steps": 150, "resolution": 0.2, **KINDS[kind]}), members


@pytest.mark.parametrize("how", ["told to stop", "killed"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_piece_goes_on_bit_by_bit(
    kind: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, members = _of_kind(kind)
    steps = plan.steps
    whole = trained(plan, members, tmp_path)
    if kind == "retiring":
        assert whole["diverged"].tolist() == [k == 2 for k in range(9)]
        assert (whole["steps_done"] < steps).sum() >= 4
    # Told to stop, a piece keeps its state at once; killed, it has what it kept from time to time.
    monkeypatch.setattr(groktime.fullnet.job, "CHECKPOINT_SECONDS", 1e9 if how == "told to stop" else -1.0)
    checkpoint = Checkpoint(tmp_path / "state.npz")
    step, begun = Training.step, 0

    def counted(self: Training, state: TrainingState) -> int:
        nonlocal begun
        begun += 1
        if how == "killed" and begun in (30, 31, 101):
            raise Interrupted
        return step(self, state)

    monkeypatch.setattr(Training, "step", counted)

    moments = [100, 30]

    def on_steps(steps: int) -> None:
        if how == "told to stop" and moments and begun == moments[-1]:
            moments.pop()
            raise Interrupted

    for _ in range(2 if how == "told to stop" else 3):
        with pytest.raises(Interrupted):
            drive(plan, members, on_steps, checkpoint)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["state.npz"]
    begun = 1000
    again = drive(plan, members, on_steps, checkpoint)
    assert begun - 1000 <= steps - 97  # nothing was trained twice, but for a step that was not kept
    assert whole.keys() == again.keys()
    for name, values in whole.items():
        assert values.dtype == again[name].dtype
        np.testing.assert_array_equal(again[name], values, err_msg=name)


def test_a_damaged_checkpoint_or_piece_is_computed_again(tmp_path: Path) -> None:
    plan, members = _of_kind("sgd")
    whole = trained(plan, members, tmp_path)
    checkpoint = Checkpoint(tmp_path / "state.npz")
    checkpoint.save(groktime.fullnet.job._kept(plan.init(members), 0))
    content = checkpoint.path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"PK\x03\x04 nonsense", b"nonsense"):
        checkpoint.path.write_bytes(damaged)
        again = drive(plan, members, checkpoint=checkpoint)
        for name, values in whole.items():
            np.testing.assert_array_equal(again[name], values, err_msg=name)
