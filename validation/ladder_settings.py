"""What a ladder is asked: its settings, which of them are trained together, and the folder of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.members import Member
from groktime.fullnet.task import Task
from groktime.reduced.arguments import whole_numbers
from groktime.reduced.errors import InputError
from groktime.reduced.files import replacing
from groktime.reduced.landscape import Landscape
from groktime.reduced.system import systems

Floats = NDArray[np.float64]


class LadderSettings(TypedDict, total=False):
    """More settings of `ladder`, whose docstring tells them and their defaults."""

    eta_r: float | Sequence[float] | None
    m: float | Sequence[float] | None
    n_train: int | Sequence[int] | None
    seeds: Sequence[int] | None
    paired: bool
    adamw_rate: float
    level: float
    persist: int
    stop_early: bool
    resolution: float


@dataclass(frozen=True)
class Settings:
    """The settings (of the first seed) and the seeds; `limits`: test accuracies [setting, seed]."""

    task: Task
    land: Landscape
    members: Sequence[Member]
    seeds: Sequence[int]
    steps: list[int]
    threshold: float | None
    stop_early: bool

    @property
    def parts(self) -> list[list[int]]:
        """The settings that are trained together: those with equal steps."""
        return [[k for k, s in enumerate(self.steps) if s == each] for each in sorted(set(self.steps))]

    def size(self, k: int) -> int | None:
        """The n_train of setting k by which the landscape knows it."""
        return None if self.land.n_train == [0] else self.members[k].n_train

    @cached_property
    def limits(self) -> Floats:
        known: dict[int | None, dict[int, float]] = {}
        for k in range(len(self.members)):
            n = self.size(k)
            if n not in known:
                found = systems(self.land, n_train=n, threshold=self.threshold)
                known[n] = {s.seed: s.threshold for s in found}
        return np.array([[known[self.size(k)][s] for s in self.seeds] for k in range(len(self.members))])


def steps_of(steps: int | Sequence[int], count: int) -> list[int]:
    each = whole_numbers("steps", steps, 1)
    if len(each) not in (1, count):
        raise InputError(f"steps: {len(each)} values, expected one number, or {count}, one a setting")
    return each * count if len(each) == 1 else each


def folder_of(out: Path, how: Mapping[str, Any]) -> Path:
    """The folder of the runs files, which belong to one ladder only."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror or error})") from error
    note, text = out / "ladder.json", json.dumps(how, indent=1, sort_keys=True, default=float)
    if not note.exists():
        with replacing(note) as temporary:
            temporary.write_text(text)
    elif note.read_text() != text:
        raise InputError(f"{out}: holds a ladder of other settings; name another folder, or remove it")
    return out
