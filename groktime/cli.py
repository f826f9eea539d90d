"""The command line: one parser, built from what each command declares.

argparse, from the standard library: `--help` has to answer at once, and a mistake is one sentence.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NoReturn

from groktime import __version__, sentences
from groktime.commands import COMMANDS
from groktime.option import Command
from groktime.ranges import RANGES

_ENDING = """\
examples:
  groktime predict teacher-student --gamma 0.1 --eta-d 3e-4 --alpha 3
  groktime tasks

groktime COMMAND --help tells a command's options, with an example.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sentences.say(f"{self.prog}: {sentences.shortened(message)}; see {self.prog} --help")
        self.exit(2)


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The commands and their options; or the options of `only` one, for speed."""
    top = _Parser(
        prog="groktime",
        description="Predict how long a network will take to grok, before the long run is started.",
        epilog=_ENDING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"groktime {__version__}")
    commands = top.add_subparsers(dest="command", title="commands", metavar="COMMAND", parser_class=_Parser)
    for command in COMMANDS.values():
        sub = commands.add_parser(
            command.name,
            help=command.help,
            description=textwrap.fill(command.description, 79),
            epilog=_ending(command),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if only in (None, command.name):
            command.add_to(sub)
    return top


def _ending(command: Command) -> str:
    options = [option for group in command.options.values() for option in group]
    ranges = textwrap.fill(f"X ... is {RANGES}.", 79) + "\n\n" if any(o.ranges for o in options) else ""
    return f"{ranges}example:\n  {command.example}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 a task's own code failed, 2 a user's error in one sentence, 130 stopped by
    Ctrl-C, 143 by SIGTERM."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser(), always_complete_options="long")
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = " ".join(["groktime", *(word for word in given[:1] if word in COMMANDS)])
    try:
        with sentences.alone() if arguments is None else nullcontext():
            try:
                return _run(given)
            finally:
                sentences.flush()
    except KeyboardInterrupt:
        from groktime.reduced import interrupt

        status, said = interrupt.told()
        sentences.say(f"{name}: {said}")
        return status
    except BrokenPipeError:  # the reader, `head` perhaps, has what it wanted
        sentences.no_output()
        return 0
    except Exception as error:
        found = sentences.of(error)
        if found is None:
            raise
        sentences.say(f"{name}: {found[0]}")
        sentences.no_output()
        return found[1]


def _run(given: Sequence[str]) -> int:
    top = parser(only=given[0] if given else "")
    options = top.parse_args(given)
    if options.command is None:
        top.print_help()
        return 0
    from groktime.reduced import interrupt

    interrupt.named(f"groktime {options.command}")
    COMMANDS[options.command].run(options)
    return 0
