"""The options of the command line, each declared once.

From these tables the parser is built, and from what was given the keyword arguments of the Python functions:
an option's name is the argument's. What was not given is left to the function's default.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from groktime.ranges import values

Completer = Callable[..., list[str]]


@dataclass(frozen=True)
class Option:
    """An option, and the keyword argument that it becomes.

    Attributes
    ----------
    default : what holds where it is not given, for help alone: the function has the same default.
    many : takes one or more values. `ranges` : these are numbers and ranges, see `groktime.ranges`.
    bare : may stand without a value, which is then True.
    positional : an argument without a flag; not `required`, it may be left out.
    short : a second flag. `completer` : of shell completion, where there are no choices.
    """

    name: str
    help: str
    type: Callable[[str], Any] = str
    default: object = None
    choices: tuple[str, ...] = ()
    many: bool = False
    ranges: bool = False
    bare: bool = False
    required: bool = False
    positional: bool = False
    metavar: str | None = None
    short: str | None = None
    completer: Completer | None = None

    @property
    def flag(self) -> str:
        """The word on the command line."""
        return self.name if self.positional else "--" + self.name.replace("_", "-")

    def but(self, **changes: Any) -> Option:
        """The same option where a command differs in its help or default, or needs it."""
        return replace(self, **changes)

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Declare it to argparse."""
        words: dict[str, Any] = {"help": self._help()}
        if self.type is bool:
            words["action"] = "store_true"
        else:
            words["type"] = str if self.ranges else whole if self.type is int else self.type
            words["metavar"] = self.metavar or self._metavar()
        if self.choices:
            words["choices"] = self.choices
        if self.many or self.ranges:
            words["nargs"] = "*" if self.bare else "+"
        flags = [self.short, self.flag] if self.short else [self.flag]
        if self.positional:
            words |= {} if self.required else {"nargs": "*" if self.many else "?"}
        elif self.required:
            words["required"] = True
        action = parser.add_argument(*flags, **words)
        if self.completer:
            action.completer = self.completer  # type: ignore[attr-defined]  # read by argcomplete

    def _metavar(self) -> str | None:
        if self.positional or self.choices:
            return None
        return "X" if self.ranges or self.type is number else "N" if self.type is int else None

    def _help(self) -> str:
        default = "" if self.default is None else f" (default: {shown_default(self.default)})"
        return (self.help + default).replace("%", "%%")


Groups = Mapping[str, tuple[Option, ...]]


@dataclass(frozen=True)
class Command:
    """A command: what help tells of it, its options by the heading they stand under, and what it does.

    `task` : whether the settings of the built-in tasks are options of it, too.
    """

    name: str
    help: str
    description: str
    example: str
    options: Groups
    run: Callable[[argparse.Namespace], None]
    task: bool = False

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Declare its options to argparse."""
        groups = dict(self.options)
        if self.task:
            from groktime.networks import task_settings

            groups["of the built-in tasks"] = task_settings()
        for title, options in groups.items():
            group = parser.add_argument_group(title) if title else parser
            for option in options:
                option.add_to(group)


def given(namespace: argparse.Namespace, *groups: Iterable[Option]) -> dict[str, Any]:
    """Those options that were given, as keyword arguments; numbers and ranges as lists of numbers."""
    found: dict[str, Any] = {}
    for option in (option for group in groups for option in group):
        value = getattr(namespace, option.name)
        if option.bare and value == []:
            found[option.name] = True
        elif value is not None and value is not False:  # 0 is given
            found[option.name] = values(option.flag.removeprefix("--"), value) if option.ranges else value
    return found


def number(text: str) -> float:
    """A number, or argparse's error that names the option."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, not {text!r}") from None


def whole(text: str) -> int:
    """A whole number, 1e3 among them, or argparse's error that names the option."""
    for read in (int, float):
        try:
            found = read(text)
            if found == int(found):
                return int(found)
        except (ValueError, OverflowError):
            continue
    raise argparse.ArgumentTypeError(f"expected a whole number, not {text!r}")


def swept(options: Iterable[Option]) -> tuple[Option, ...]:
    """The same options where each takes many numbers and ranges."""
    return tuple(option.but(type=str, ranges=True) for option in options)


def shown_default(default: object) -> str:
    """A default as help shows it."""
    if isinstance(default, list | tuple | range):
        return " ".join(map(shown_default, default))
    return f"{default:g}" if isinstance(default, float) else str(default)
