"""Progress of long work on stderr: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

_BETWEEN_LINES = 60.0  # seconds; work that is shorter leaves a log without a line


class Progress:
    """Member-steps done, their rate and the time left; silent for work under two seconds."""

    def __init__(self, total: int, label: str, show: bool = True) -> None:
        self._total, self._label, self._done, self._skipped = total, label, 0, 0
        terminal = sys.stderr.isatty()
        self._lines = show and not terminal
        self._start = self._last = time.monotonic()
        self._bar = tqdm(
            total=total,
            desc=label,
            unit="step",
            unit_scale=True,
            delay=2,
            mininterval=1,
            disable=not (show and terminal),
        )

    def skip(self, steps: int) -> None:
        """Steps that are not done now, which the rate leaves out: done before, or never needed."""
        self._skipped += steps
        if not self._bar.disable:
            self._bar.initial += steps
        self.add(steps)

    def add(self, done: int) -> None:
        self._bar.update(done)
        self._done += done
        now = time.monotonic()
        if self._lines and now - self._last >= _BETWEEN_LINES:
            self._last = now
            print(self._line(now - self._start), file=sys.stderr, flush=True)

    def _line(self, seconds: float) -> str:
        rate = max(self._done - self._skipped, 1) / seconds
        left = tqdm.format_interval((self._total - self._done) / rate)
        return (
            f"{self._label}: {self._done / max(self._total, 1):.0%} of {self._total:,} steps, "
            f"{rate:,.0f} a second, {left} left"
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
