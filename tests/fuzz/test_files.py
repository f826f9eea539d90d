"""Damaged files: the right answer, one sentence, or nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from damage import Damage, damages
from files import KINDS, USES, attempt, whole
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outcome import ELSE, RIGHT, SENTENCE, Outcomes

BOUNDED = settings(
    max_examples=20, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("kind", KINDS)
def test_good_files_are_right(kind: str, tmp_path: Path) -> None:
    outcomes = Outcomes()
    assert attempt(outcomes, kind, [Damage("none", lambda path: None)], tmp_path) == RIGHT, outcomes.failures


@pytest.mark.parametrize("kind", [k for k in USES if k != "compared runs"])
def test_damaged_files_are_right_or_one_sentence(kind: str, tmp_path: Path) -> None:
    outcomes = Outcomes()

    @BOUNDED
    @given(st.lists(damages(), min_size=1, max_size=2))
    def each(some: list[Damage]) -> None:
        assert attempt(outcomes, kind, some, tmp_path) != ELSE, outcomes.failures[-1]

    each()
    assert outcomes.counts[SENTENCE] > 5
    assert whole()[kind]
