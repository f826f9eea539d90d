"""What the check of a task says, and how it says it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One sentence on one field of a task. A `note` is worth knowing; anything else has to be mended."""

    field: str
    text: str
    note: bool = False

    def __str__(self) -> str:
        return ("note: " if self.note else "") + f"{self.field} {self.text}"


Findings = Iterator[Finding]


def message_of(error: BaseException) -> str:
    """An exception in one line: its kind, and the beginning of what it says."""
    text = " ".join(str(error).split())
    text = text if len(text) <= 200 else text[:197] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def whole_number(value: object, least: int) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def number(value: object, low: float, high: float = math.inf) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(float(value)) and low <= float(value) <= high


def kind(value: object) -> str:
    return type(value).__name__


def cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 120 else text[:119] + "…"


def short(value: object) -> str:
    return cut(repr(value))
