"""`sample(refine=…)`: the foot of the wall, enclosed ever more closely, where it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from spheres_small import Counted, squared
from torch import Tensor, nn

from groktime.fullnet.machine import Machine
from groktime.fullnet.sampler import sample
from groktime.fullnet.task import Adam, Problem, Split, Task
from groktime.reduced.boundary import bracket
from groktime.reduced.landscape import open_landscape


class Line(nn.Module):
    """x -> w·x with |w| = 1 at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(3) / 3**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w


FLOOR = 1e-4


def wall_task() -> Task:
    """One equation, three unknowns: s w_1 = y with s = 1 at m = 0 and 0.05 at m = 1. On the sphere of
    radius alpha the least loss is (y - s alpha)² + FLOOR, and FLOOR from alpha = y/s: a known wall."""

    def problem(seed: int, n_train: int) -> Problem:
        ordered = torch.tensor([[1.0, 0.0, 0.0]])
        split = Split(0.05 * ordered, {"y": torch.tensor([1.0 + 0.3 * seed])}, ordered)
        return Problem(split, split, delta_norm=0.95)

    return Task(
        name="wall",
        network=Line,
        problem=problem,
        loss=lambda output, targets: squared(output, targets) + FLOOR,
        right=lambda output, targets: squared(output, targets) < FLOOR,
        loss_name="squared error",
        n_train=1,
        optimizer=Adam(2e-2),
        steps=400,
        messiness=True,
    )


WALL: dict[str, Any] = {
    "alpha": np.geomspace(0.25, 4, 9),
    "m": [0.0, 0.1, 0.2, 1.0],
    "seeds": [0, 1],
    "budgets": [3, 400],  # after 3 steps the wall is not yet where it will be
    "machine": Machine(members=100, workers=1, progress=False),
}


@pytest.mark.parametrize("refine", [1, 4])
def test_refining_halves_the_bracket_of_the_foot_each_turn(tmp_path: Path, refine: int) -> None:
    plain = sample(wall_task(), **WALL, out=tmp_path / "plain.nc").dataset
    fine = sample(wall_task(), **WALL, refine=refine, out=tmp_path / "fine.nc").dataset
    assert "foot_low" not in plain
    assert fine["foot_low"].dims == fine["foot_high"].dims == ("seed", "n_train", "m")
    xr.testing.assert_identical(plain["train_loss"], fine["train_loss"])
    for s, seed in enumerate(WALL["seeds"]):
        coarse = bracket(WALL["alpha"], plain["train_loss"].values[s, 0, -1])
        low, high = (fine[f"foot_{side}"].values[s, 0, :3] for side in ("low", "high"))
        width = np.log(coarse.high[:3] / coarse.low[:3])
        np.testing.assert_allclose(width, np.log(2) / 2)  # one cell of the grid
        np.testing.assert_allclose(np.log(high / low), width / 2**refine, rtol=1e-6)
        assert (coarse.low[:3] <= low).all()
        assert (high <= coarse.high[:3]).all()
        scale = 1 - 0.95 * np.array(WALL["m"][:3])
        foot = (1.0 + 0.3 * seed - np.sqrt(coarse.level - FLOOR)) / scale  # there the loss is the level
        assert (low <= foot).all()
        assert (foot <= high).all()


def test_a_row_without_a_foot_on_the_grid_is_left_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    file = sample(wall_task(), **WALL, refine=2, out=tmp_path / "a.nc").dataset
    np.testing.assert_allclose(file["foot_low"].sel(m=1.0), 4.0)  # the wall of m = 1 is beyond
    assert np.isnan(file["foot_high"].sel(m=1.0)).all()
    assert [len(piece) for piece in counted.pieces] == [72, 6, 6]
    assert {cell.m for piece in counted.pieces[1:] for cell in piece} == {0.0, 0.1, 0.2}


def test_a_stopped_refinement_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: dict[str, Any] = {**WALL, "refine": 3}
    sample(wall_task(), **arguments, out=tmp_path / "whole.nc")
    first = Counted(monkeypatch, fail_at=3)  # the grid is one piece, every turn another
    with pytest.raises(KeyboardInterrupt):
        sample(wall_task(), **arguments, out=tmp_path / "halved.nc")
    second = Counted(monkeypatch)
    sample(wall_task(), **arguments, out=tmp_path / "halved.nc")
    assert len(second.pieces) == 2
    assert second.pieces[0] == first.pieces[2]
    whole, halved = (open_landscape(tmp_path / f"{name}.nc").dataset for name in ("whole", "halved"))
    xr.testing.assert_identical(halved, whole)
