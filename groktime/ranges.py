"""Numbers and ranges on the command line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from groktime.reduced.errors import InputError

RANGES = "numbers, or a range FIRST:LAST:COUNT (geometric; from 0, or with :lin at the end, linear)"


def values(name: str, texts: Sequence[str]) -> list[float]:
    """Numbers and ranges FIRST:LAST:COUNT[:lin] as a list of numbers."""
    out: list[float] = []
    for text in texts:
        parts = text.split(":")
        try:
            if len(parts) == 1:
                out.append(float(text))
                continue
            linear = parts[-1] == "lin"
            first, last, count = parts[:3]
            a, b, n = float(first), float(last), int(count)
            if (
                len(parts) != 3 + linear
                or not 2 <= n <= 100_000
                or not (math.isfinite(a) and math.isfinite(b))
            ):
                raise ValueError
        except ValueError:
            raise InputError(f"--{name} {text}: expected {RANGES}") from None
        if a == 0 or linear:
            points = [a + (b - a) * k / (n - 1) for k in range(n)]
        elif a * b > 0:
            points = [a * (b / a) ** (k / (n - 1)) for k in range(n)]
        else:
            raise InputError(f"--{name} {text}: a geometric range needs two ends of one sign")
        out += [a, *points[1:-1], b]  # the ends are exactly those given
    return out
