"""One hastened step: what it does to the weights, and when it does again what the gradient did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from groktime.fullnet.job import drive
from groktime.fullnet.members import Setup
from groktime.fullnet.procedures.hastened import Hastened, HastenedState, Hastening
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task

WEIGHTS, ETA, GAMMA, EFOLD = 3, 1e-3, 0.5, 4


def bowl(curvature: float = 1.0, share: float = 1.0) -> Task:
    """Loss ½ curvature |x|² of the weights x themselves; a minibatch of `share` samples has others' signs."""

    def loss(output: Tensor, targets: Targets) -> Tensor:
        return 0.5 * curvature * (output - targets["y"]).square().sum(-1)

    rows = torch.eye(WEIGHTS).expand(4, WEIGHTS, WEIGHTS)
    y = torch.tensor([1.0, -1.0, 1.0, -1.0]).unsqueeze(1).expand(4, WEIGHTS) * (1 - share) * 100
    split = Split(rows, {"y": y})
    return Task(
        name="bowl",
        network=lambda: nn.Sequential(nn.Linear(WEIGHTS, 1, bias=False), nn.Flatten(-2)),
        problem=lambda seed, n_train: Problem(split, split),
        loss=loss,
        right=lambda output, targets: torch.ones(len(output), dtype=torch.bool),
        loss_name="½|x|²",
        n_train=4,
        optimizer=Adam(ETA),
        steps=100,
    )


def ready(
    task: Task, optimizer: str, seeds: tuple[int, ...] = (0,), fits: tuple[float, ...] = (0.0,), **setup: Any
) -> tuple[Hastening, HastenedState]:
    """Members in the midst of it, at t = 41 and fitted at `fits`; those at t = 41 are not hastened."""
    procedure = Hastening(
        Setup(task, dtype="float64", **setup), fit_steps=100, horizon=10**6, optimizer=optimizer
    )
    members = [
        Hastened(
            gamma=GAMMA, eta_d=ETA, eta_r=ETA, alpha=5.0, m=1.0, n_train=4, seed=s, efold=EFOLD, horizon=10**6
        )
        for s in seeds
    ]
    state = procedure.init(members)
    state.t_fit[:], state.time[:] = fits, 41.0
    return procedure, state


def test_a_step_is_one_of_training_with_more_decay_and_the_gradient_again() -> None:
    procedure, state = ready(bowl(), "sgd")
    x = state.members.flat.clone()
    state.slopes, state.stretch[:] = x.clone(), 10.0  # the last gradient is x, and so is this one
    procedure.step(state)
    assert state.time[0] == 41 + 10  # 41 // 4
    again = 10 - 1  # 5 % more than 10 is beyond the pace
    expected = (x * (1 - ETA * GAMMA) - ETA * x) * np.exp(-ETA * GAMMA * 9) - again * ETA * x
    torch.testing.assert_close(state.members.flat, expected, rtol=1e-12, atol=0)


def test_a_gradient_that_points_where_the_last_one_did_is_done_more_and_more_often() -> None:
    procedure, state = ready(bowl(), "sgd")
    seen = []
    for _ in range(20):
        procedure.step(state)
        seen.append(state.stretch[0])
    np.testing.assert_allclose(seen[:10], 1.05 ** np.arange(1, 11))
    assert (np.diff(seen) > 0).all()


@pytest.mark.parametrize("task", [bowl(curvature=1.98 / ETA), replace(bowl(share=0.0), batch=1)])
def test_what_oscillates_or_is_of_other_samples_is_not(task: Task) -> None:
    procedure, state = ready(task, "sgd", batch=task.batch)
    for _ in range(40):
        procedure.step(state)
    assert state.stretch[0] == 1


def test_decay_through_the_gradient_is_hastened_alone() -> None:
    procedure, state = ready(bowl(), "momentum")
    for _ in range(5):
        procedure.step(state)
    assert state.stretch[0] == 1
    assert state.time[0] > 41 + 5


def test_second_moments_forget_by_the_clock_but_no_faster_than_steps_allow() -> None:
    procedure, state = ready(bowl(), "adamw")
    rows = np.array([0])
    for again in (0.0, 3.0):
        least = float(procedure.remembered(state, rows, np.array([again]))[0])
        assert least == max(min(EFOLD / 4, 1 / (1 - 0.999 ** (1 + again))), 1)
    state.efold[:] = 8000.0
    assert procedure.remembered(state, rows, np.array([9.0]))[0] == pytest.approx(1 / (1 - 0.999**10))


def test_a_member_does_not_depend_on_its_company() -> None:
    """Beside one that has been hastened for long, or alone."""
    alone, together = (
        ready(bowl(), "adamw", seeds, fits) for seeds, fits in (((0,), (30.0,)), ((0, 1), (30.0, 0.0)))
    )
    for procedure, state in (alone, together):
        for _ in range(15):
            procedure.step(state)
    mine, theirs = alone[1], together[1]
    assert (mine.time[0], mine.stretch[0], mine.aligned[0]) == (
        theirs.time[0], theirs.stretch[0], theirs.aligned[0],
    )  # fmt: skip
    assert mine.stretch[0] > 1
    torch.testing.assert_close(mine.members.flat[0], theirs.members.flat[0], rtol=1e-12, atol=0)


def test_records_are_the_same_where_members_are_run_one_by_one() -> None:
    """Which are then evaluated where a record of theirs is due, and not where one of another's is."""
    found = []
    for mapped in (True, False):
        procedure, _ = ready(bowl(), "adamw", mapped=mapped)
        members = [
            Hastened(gamma=g, eta_d=ETA, eta_r=ETA, alpha=5, m=1, n_train=4, seed=0, efold=40, horizon=4000)
            for g in (GAMMA, 20 * GAMMA)
        ]
        found.append(drive(replace(procedure, horizon=4000), members))
    together, singly = found
    assert (np.isfinite(singly["t"]).sum(1) > 100).all()
    assert len(set(singly["real_steps"])) == 2
    for name, values in together.items():
        np.testing.assert_allclose(singly[name], values, rtol=1e-10, err_msg=name)


def test_driven_to_its_end() -> None:
    procedure, _ = ready(bowl(), "adamw")
    member = Hastened(
        gamma=GAMMA, eta_d=ETA, eta_r=ETA, alpha=5.0, m=1.0, n_train=4, seed=0, efold=EFOLD, horizon=3000
    )
    found = drive(replace(procedure, horizon=3000), [member])
    assert found["real_steps"][0] < 100
    assert np.nanmax(found["t"]) >= 3000
