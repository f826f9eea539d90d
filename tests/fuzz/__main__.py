"""The long run: `python -m tests.fuzz [FILES [CHECKPOINTS [SEED]]]` prints what became of damaged inputs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "validation")]

import checkpoints  # noqa: E402
import damage  # noqa: E402
import files  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from outcome import ELSE, Outcomes  # noqa: E402

_AT_ONCE = 100  # more of them, and hypothesis takes longer over each

Attempt = Callable[[Outcomes, str, Any, Path], object]


def drawn(
    count: int,
    start: int,
    folder: Path,
    kinds: Sequence[str],
    damage: st.SearchStrategy[Any],
    attempt: Attempt,
) -> Outcomes:
    """What became of so many damaged inputs, of all kinds alike."""
    outcomes = Outcomes(told=True)
    for k, kind in enumerate(kinds):
        until = count * (k + 1) // len(kinds)
        while outcomes.counts.total() < until:  # what could not be damaged is not counted
            start += 1
            some = min(_AT_ONCE, until - outcomes.counts.total())
            _some(outcomes, kind, some, start, folder, damage, attempt)
        print(f"{kind}: {outcomes.counts.total()}, {outcomes.counts[ELSE]} of them else", flush=True)
    return outcomes


def _some(
    outcomes: Outcomes,
    kind: str,
    count: int,
    start: int,
    folder: Path,
    damage: st.SearchStrategy[Any],
    attempt: Attempt,
) -> None:
    @seed(start)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(damage)
    def each(some: Any) -> None:
        attempt(outcomes, kind, some, folder)

    each()


def main(argv: list[str]) -> int:
    """Print the outcomes; 1 where there was anything else."""
    n_files, n_checkpoints, start = [int(x) for x in argv] + [4000, 500, 0][len(argv) :]
    folder = Path(tempfile.mkdtemp(prefix="groktime-fuzz-"))
    print(f"what fails is kept in {folder}")
    lists = st.lists(damage.damages(), min_size=1, max_size=2)
    found = {
        "Damaged files": drawn(n_files, start, folder, list(files.USES), lists, files.attempt),
        "Damaged unfinished work": drawn(
            n_checkpoints, start, folder, checkpoints.CALLS, checkpoints.damages(), checkpoints.attempt
        ),
    }
    for title, outcomes in found.items():
        print(outcomes.report(title))
    return int(any(o.counts[ELSE] for o in found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
