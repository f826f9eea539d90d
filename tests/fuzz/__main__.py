"""The long run: `python -m tests.fuzz [FILES [CHECKPOINTS [SEED]]]` prints what became of damaged inputs."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "validation")]

from damage import Damage, damages  # noqa: E402
from files import USES, attempt  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from outcome import ELSE, Outcomes  # noqa: E402


def files(count: int, start: int, folder: Path) -> Outcomes:
    """So many damaged files, of all kinds alike."""
    outcomes = Outcomes()
    for k, kind in enumerate(USES):
        until = count * (k + 1) // len(USES)
        while outcomes.counts.total() < until:  # what could not be damaged is not counted
            start += 1
            _some(outcomes, kind, until - outcomes.counts.total(), start, folder)
        print(f"{kind}: {outcomes.counts.total()}, {outcomes.counts[ELSE]} of them else", flush=True)
    return outcomes


def _some(outcomes: Outcomes, kind: str, count: int, start: int, folder: Path) -> None:
    @seed(start)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(damages(), min_size=1, max_size=2))
    def each(some: list[Damage]) -> None:
        attempt(outcomes, kind, some, folder)

    each()


def main(argv: list[str]) -> int:
    """Print the outcomes; 1 where there was anything else."""
    counts = [int(x) for x in argv] + [4000, 500, 0][len(argv) :]
    folder = Path(tempfile.mkdtemp(prefix="groktime-fuzz-"))
    print(f"in {folder}")
    found = {"files": files(counts[0], counts[2], folder)}
    for title, outcomes in found.items():
        print(outcomes.report(title))
    return int(any(o.counts[ELSE] for o in found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
