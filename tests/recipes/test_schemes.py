"""What the recipe `schemes` keeps of a system, and how it scores it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from groktime.recipes.results.schemes import TRAINED, Tried, _told, read, write

GAMMA, SEED = np.array([0.1, 0.3]), np.array([50.0, 50.0])
FOUND = {
    TRAINED: Tried(GAMMA, SEED, np.array([1000.0, 1 / 3e-3]), np.array([1000.0, 400.0])),
    ("decay alone, memory in steps", 100): Tried(
        GAMMA, SEED, np.array([1100.0, np.nan]), np.array([100.0, 300.0])
    ),
}


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(FOUND, tmp_path / "a.csv")
    again = read(tmp_path / "a.csv")
    assert list(again) == list(FOUND)
    for key, one in FOUND.items():
        for name in ("gamma", "seed", "t_grok", "steps"):
            np.testing.assert_array_equal(getattr(again[key], name), getattr(one, name))


def test_a_scheme_is_scored_beside_the_training() -> None:
    """One is 10 % late, the other never gets there; 400 steps for the 1,333 to t_grok."""
    scheme = "decay alone, memory in steps"
    assert _told(FOUND, scheme, 100) == "10.0 % (0.30, 1 never)"
    assert _told(FOUND, scheme, 200) == ""
