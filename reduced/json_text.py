"""Settings as JSON in a file's attribute: an object that is bounded, and means one thing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

LETTERS = 4_000_000
DEPTH = 64
_WHOLE = 2**63


class _Odd(ValueError):
    """JSON that Python reads and that does not say what it seems to."""


def parse(text: str) -> dict[str, Any]:
    """The settings, or a ValueError whose words say what is wrong with them.

    Refused are text that is no JSON object, NaN and infinities, a name twice, whole numbers beyond 64 bits,
    nesting deeper than `DEPTH` and more than `LETTERS` letters.
    """
    if len(text) > LETTERS:
        raise ValueError(f"has {len(text)} letters; expected at most {LETTERS}")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_constant, parse_int=_whole)
    except _Odd:
        raise
    except ValueError:
        raise ValueError("is not JSON") from None
    except RecursionError:
        raise ValueError(_deep()) from None
    if not isinstance(found, dict):
        raise ValueError("is JSON, but no object")
    level: list[Any] = [found]
    for _ in range(DEPTH):
        level = [x for one in level for x in (one.values() if isinstance(one, dict) else one)]
        level = [x for x in level if isinstance(x, dict | list)]
        if not level:
            return found
    raise ValueError(_deep())


def dump(settings: Mapping[str, Any] | None) -> str:
    """Settings as text, in the order of their names."""
    return json.dumps(dict(settings or {}), sort_keys=True)


def _deep() -> str:
    return f"is nested deeper than {DEPTH}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Odd(f"names {next(n for n in names if names.count(n) > 1)!a} twice")
    return found


def _constant(text: str) -> NoReturn:
    raise _Odd(f"holds {text}, which is no JSON number")


def _whole(text: str) -> int:
    if len(text) > 20 or not -_WHOLE <= int(text) < _WHOLE:
        raise _Odd("holds a whole number of more than 64 bits")
    return int(text)
