"""Damaged unfinished work: the result of work that nobody stopped, one sentence, or nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoints import CALLS, attempt, damages
from damage import Damage
from hypothesis import HealthCheck, given, settings
from outcome import ELSE, RIGHT, Outcomes

BOUNDED = settings(
    max_examples=6, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("kind", CALLS)
def test_whole_work_goes_on(kind: str, tmp_path: Path) -> None:
    outcomes = Outcomes()
    assert attempt(outcomes, kind, Damage("none", lambda path: None), tmp_path) == RIGHT, outcomes.failures


@pytest.mark.parametrize("kind", CALLS)
def test_damaged_work_is_done_again(kind: str, tmp_path: Path) -> None:
    outcomes = Outcomes()

    @BOUNDED
    @given(damages())
    def each(damage: Damage) -> None:
        assert attempt(outcomes, kind, damage, tmp_path) != ELSE, outcomes.failures[-1]

    each()
    assert outcomes.counts[RIGHT] > 1
