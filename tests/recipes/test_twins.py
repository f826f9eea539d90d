"""The noise floor: the same seed from weights that are moved by a part in a million."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.tasks import teacher_student
from groktime.recipes.shared.twins import MOVED, floor, twin


def test_a_twin_is_moved_a_little_and_always_the_same_way() -> None:
    task = teacher_student()
    own = initial_parameters(task, 5)
    assert twin(task, 0) is task
    moved = [initial_parameters(twin(task, k), 5) for k in (1, 1, 2)]
    assert torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[0], moved[2])
    off = (moved[0] / own - 1)[own != 0]
    assert float(off.abs().max()) < 10 * MOVED
    assert float(off.double().std()) == pytest.approx(MOVED, rel=0.2)


def test_the_floor_is_one_twin_as_the_prediction_of_another() -> None:
    assert floor(np.array([[100.0, 50.0], [110.0, np.nan]])) == pytest.approx((0.1 + 10 / 110) / 2)
    assert floor(np.array([[100.0], [100.0], [100.0]])) == 0
    assert np.isnan(floor(np.array([[100.0]])))
    assert np.isnan(floor(np.array([[100.0], [np.nan]])))
