"""What a page shows beside what is printed."""

from __future__ import annotations

import re

import pytest

NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")


def values(line: str) -> list[float]:
    return [float(number.replace(",", "")) for number in NUMBER.findall(line)]


def same(shown: str, printed: str) -> bool:
    """The same words, and numbers within 3 %: another processor rounds otherwise."""
    words = (NUMBER.sub("#", line).split() for line in (shown, printed))
    told, came = values(shown), values(printed)
    return next(words) == next(words) and came == pytest.approx(told, rel=0.03, abs=1)
