"""Progress of long work on stderr."""

from __future__ import annotations

from tqdm import tqdm


class Progress:
    """Member-steps done, their rate and the time left; silent for work under two seconds."""

    def __init__(self, total: int, label: str, show: bool = True) -> None:
        self._bar = tqdm(
            total=total,
            desc=label,
            unit="step",
            unit_scale=True,
            delay=2,
            mininterval=1,
            disable=not show,
        )

    def add(self, done: int) -> None:
        self._bar.update(done)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
