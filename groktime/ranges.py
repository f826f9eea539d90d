"""Numbers and ranges on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from groktime.reduced.errors import InputError

RANGES = "numbers, or a range FIRST:LAST:COUNT (geometric; from 0, or with :lin at the end, linear)"


def values(name: str, texts: Sequence[str]) -> list[float]:
    """Numbers and ranges FIRST:LAST:COUNT[:lin] as a list of numbers."""
    from groktime.reduced.arguments import LARGE, MANY, SMALL  # not for --help, which is to be quick

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
                or not all(x == 0 or SMALL <= abs(x) <= LARGE for x in (a, b))
            ):
                raise ValueError
        except ValueError:
            raise InputError(f"--{name} {text}: expected {RANGES}") from None
        if a == 0 or linear:
            points = [a + (b - a) * k / (n - 1) for k in range(n)]
        elif (a > 0) == (b > 0) and b:
            points = [a * (b / a) ** (k / (n - 1)) for k in range(n)]
        else:
            raise InputError(f"--{name} {text}: a geometric range needs two ends of one sign")
        out += [a, *points[1:-1], b]  # the ends are exactly those given
        if len(out) > MANY:
            raise InputError(f"--{name}: more than {MANY:,} values")
    return out
