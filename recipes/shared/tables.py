"""Tables: printed as Markdown, and put where README and docs show them.

A table with a name is shown between `<!-- groktime figure RECIPE NAME -->` and `<!-- end -->`; the option
`--write FILE` of its recipe replaces what stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from groktime.reduced.errors import InputError
from groktime.reduced.files import replacing

END = "<!-- end -->"
MARK = re.compile(r"^<!-- groktime figure (\S+ \S+) -->$", re.MULTILINE)

_named: ContextVar[dict[str, str] | None] = ContextVar("named", default=None)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], name: str | None = None) -> None:
    """Print a Markdown table; with a name, it can be written to a file."""
    text = markdown(head, rows)
    print("\n" + (keep(name, text) if name else text))


def markdown(head: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> str:
    """A Markdown table; numbers with three digits, or thousands apart. `right`: columns set right."""
    rules = ("---:" if k in right else "---" for k in range(len(head)))
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(rules) + "|"]
    lines += ["| " + " | ".join(x if isinstance(x, str) else number(x) for x in row) + " |" for row in rows]
    return "\n".join(lines)


def keep(name: str, text: str) -> str:
    """Let a table, or another text, be written under this name; the text."""
    named = _named.get()
    if named is not None:
        named[name] = text
    return text


@contextmanager
def named_tables() -> Iterator[dict[str, str]]:
    """Those that are printed or kept meanwhile, by name."""
    named: dict[str, str] = {}
    token = _named.set(named)
    try:
        yield named
    finally:
        _named.reset(token)


def names_in(file: Path) -> list[str]:
    """The tables, "RECIPE NAME", for which a file has marks.

    Raises
    ------
    InputError : there is no such file, or marks are without an end.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file; expected one with marks for tables")
    found = []
    for block in re.split(
        r"(?=^<!-- groktime figure )", file.read_text(encoding="utf-8"), flags=re.MULTILINE
    ):
        mark = MARK.match(block)
        if mark and END not in block:
            raise InputError(f"{file}: expected a line {END} after {mark[0]}")
        found += [mark[1]] if mark else []
    return found


def write(file: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of "RECIPE NAME" in a file, wholly or not at all.

    Raises
    ------
    InputError : the file is missing, has no such marks, or cannot be written.
    """
    if name not in names_in(file):
        raise InputError(f"{file}: expected a line <!-- groktime figure {name} --> and, after it, {END}")
    before, mark, rest = file.read_text(encoding="utf-8").partition(f"<!-- groktime figure {name} -->\n")
    _, end, after = rest.partition(END)
    with replacing(file.resolve()) as temporary:
        temporary.write_text(f"{before}{mark}{text.strip()}\n{end}{after}", encoding="utf-8")


def number(x: float) -> str:
    if not np.isfinite(x):
        return "–" if np.isnan(x) else "∞"
    if x == int(x) and abs(x) < 1e7:
        return f"{int(x):,}"
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def span(low: float, high: float) -> str:
    """An interval."""
    return f"{number(low)} – {number(high)}"


def spread(values: ArrayLike) -> str:
    """The least and the greatest, or the one number."""
    low, high = number(float(np.min(values))), number(float(np.max(values)))
    return low if low == high else f"{low} – {high}"
