"""Grids on the command line: numbers, and START:STOP:COUNT."""

from __future__ import annotations

import math

import numpy as np
import pytest

from groktime.ranges import values
from groktime.reduced.errors import InputError


def test_ranges() -> None:
    assert values("gamma", ["0.03", "0.1"]) == [0.03, 0.1]
    np.testing.assert_allclose(values("gamma", ["1e-3:1:4"]), [1e-3, 1e-2, 1e-1, 1], rtol=1e-14)
    np.testing.assert_allclose(values("gamma", ["1:1e-3:4"]), [1, 1e-1, 1e-2, 1e-3], rtol=1e-14)
    np.testing.assert_allclose(values("m", ["0:0.1:3"]), [0, 0.05, 0.1], rtol=1e-14)
    np.testing.assert_allclose(values("alpha", ["2:4:3:lin"]), [2, 3, 4], rtol=1e-14)
    assert values("gamma", ["0", "1:4:3"]) == [0, 1, 2, 4]


@pytest.mark.parametrize(
    "text", ["1:2", "1:2:1", "1:2:x", "1:2:3:log", "1:2:3:4:5", ":2:3", "nan:1:3", "1:inf:3", "-1:1:3", ""]
)
def test_bad_ranges(text: str) -> None:
    with pytest.raises(InputError, match=f"--gamma {text}"):
        values("gamma", [text])


def test_a_range_ends_where_it_says() -> None:
    """The last point of a grid may not fall outside the sampled range by rounding."""
    for first, last, count in ((0.1, 10, 25), (2.5, 4.0, 16), (1e-3, 1e-1, 7)):
        for suffix in ("", ":lin"):
            ends = values("alpha", [f"{first}:{last}:{count}{suffix}"])
            assert ends[0] == first
            assert math.isclose(ends[-1], last, rel_tol=1e-15)
            assert ends[-1] <= last
