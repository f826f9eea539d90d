"""Many odd arguments: `python tests/fuzz/arguments.py [LINES [CALLS [SEED]]]` prints what became of them."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calls import calls, try_call
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from lines import lines, try_line
from outcome import ELSE, Outcomes
from place import prepare


def _many(count: int, start: int, drawn: st.SearchStrategy[Any], attempt: Callable[[Any], object]) -> None:
    if not count:
        return

    @seed(start)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(drawn)
    def each(some: Any) -> None:
        attempt(some)

    each()


def run(n_lines: int = 2000, n_calls: int = 2000, start: int = 0) -> int:
    """Print the outcomes; 1 where there was anything else."""
    folder = Path(tempfile.mkdtemp(prefix="groktime-fuzz-"))
    prepare(folder)
    of_lines, of_calls = Outcomes(told=True), Outcomes(told=True)
    _many(n_lines, start, lines(), lambda argv: try_line(of_lines, argv, folder))
    _many(n_calls, start, calls(), lambda one: try_call(of_calls, *one, folder))
    print(of_lines.report("Command lines"))
    print(of_calls.report("Calls"))
    shutil.rmtree(folder)
    return int(bool(of_lines.counts[ELSE] or of_calls.counts[ELSE]))


if __name__ == "__main__":
    sys.exit(run(*map(int, sys.argv[1:])))
