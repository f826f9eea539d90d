"""The fenced blocks of a page, and how they are run: as they are, but small."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import groktime as gt

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^>]+) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.S | re.M
)

# What is trained is trained briefly: every verb that trains, its arguments, and those of its command.
ONE: dict[str, Any] = {"machine": gt.Machine(workers=1, progress=False)}
SMALL: Mapping[str, Mapping[str, Any]] = {
    "forecast": {"steps": 40, "seeds": [0, 1]},
    "train": {"steps": 60, "seeds": [0, 1]},
    "sample": {"steps": 30, "seeds": [0, 1]},
    "sample-path": {"tau": 1.2, "refit": [10], "seeds": [0, 1]},
    "ladder": {"steps": [200, 100]},
}


@dataclass(frozen=True)
class Snippet:
    """One fenced block: its language, its text, and why it is not run ("" of one that is)."""

    kind: str
    text: str
    why: str = ""

    @property
    def commands(self) -> list[list[str]]:
        """Of a console block, the words of each command, without those that set the environment."""
        lines = re.findall(r"^\$ (?:\w+=\S+ )?(.*)$", self.text.replace("\\\n", " "), re.MULTILINE)
        return [shlex.split(line, comments=True) for line in lines]


def snippets(page: Path) -> list[Snippet]:
    """Those of a page that are commands or Python, in their order."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [
        Snippet(m["kind"], m["text"], m["why"] or "") for m in found if m["kind"] in ("console", "python")
    ]


def briefly(words: list[str]) -> list[str]:
    """The words after `groktime`, with options that make a training short; the last one counts."""
    command, more = words[0], []
    for name, value in SMALL.get(command, {}).items():
        more += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return [*words, *more, *(["--workers", "1", "--quiet"] if more else [])]


def short(name: str) -> Any:
    """The public verb, which trains briefly whatever it is asked."""
    verb, small = getattr(gt, name), SMALL[name.replace("_", "-")]

    def call(*args: Any, **how: Any) -> Any:
        brief = {k: v for k, v in small.items() if k != "seeds" or not args[0].one_seed}
        if isinstance(how.get("steps"), int):
            brief["steps"] = min(how["steps"], brief["steps"])
        return verb(*args, **how | brief | ({} if name == "ladder" else ONE))

    return call
