"""Lets the tests of this folder import `trained`, and `logged` of `fullnet`; one page of an explorer, for all
that look at it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "fullnet")]

if TYPE_CHECKING:
    from groktime.validation.explorer.explore import Explorer


@pytest.fixture(scope="session")
def made() -> Explorer:
    """Of the landscape `apart`, with nine planted runs beside it."""
    from planted import apart, grid, law, planted

    from groktime.validation.explorer.explore import explore

    runs = grid()
    return explore(apart(), planted(law(runs["gamma"]), **runs))
