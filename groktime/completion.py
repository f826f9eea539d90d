"""What a shell may complete where there are no choices: names that ship, tasks, presets and files.

argcomplete calls these; nothing here imports more than names, so that a key press is answered at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def files(*suffixes: str) -> Callable[..., list[str]]:
    """Files that end in one of the suffixes, and folders."""

    def complete(prefix: str, **_: Any) -> list[str]:
        from argcomplete.completers import FilesCompleter

        found = FilesCompleter([suffix.lstrip(".") for suffix in suffixes])(prefix)
        return [str(name) for name in found]

    return complete


def landscapes(prefix: str, **_: Any) -> list[str]:
    """Landscapes and decay paths that ship, and files."""
    from groktime.reduced.shipped import KINDS, shipped

    return [name for kind in KINDS for name in shipped(kind)] + files(".nc")(prefix)


def tasks(**_: Any) -> list[str]:
    """The built-in tasks."""
    from groktime.fullnet.built_in import BUILT_IN

    return list(BUILT_IN)


def presets(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Those of the task that the line has already."""
    from groktime.fullnet.built_in import BUILT_IN

    task = BUILT_IN.get(getattr(parsed_args, "task", None) or "")
    return list(task.presets) if task else []


def figures(**_: Any) -> list[str]:
    """The published figures, and the kinds that are drawn of a landscape."""
    from groktime.commands.figure import KINDS
    from groktime.recipes.registry import catalogue

    return [*catalogue(), *KINDS]
