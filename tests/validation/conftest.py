"""Lets the tests of this folder import `trained`; one page of an explorer, for all that look at it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from groktime.validation.explorer.explore import Explorer


@pytest.fixture(scope="session")
def made() -> Explorer:
    """Of the landscape `apart`, with nine planted runs beside it."""
    from planted import apart, grid, law, planted

    from groktime.validation.explorer.explore import explore

    runs = grid()
    return explore(apart(), planted(law(runs["gamma"]), **runs))
