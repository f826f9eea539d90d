"""What the command line says of what goes wrong: one line on stderr, and nothing beside it."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from groktime.reduced.errors import InputError, TaskError, one_line

_TALKATIVE = ("matplotlib", "torch", "distributed", "asyncio")  # loggers that warn
_LONGEST = 400  # letters that argparse repeats of what it was given


@contextmanager
def alone() -> Iterator[None]:
    """Without warnings of libraries, which mean nothing to who runs a command and break its one line; those
    of the lines of a user's task in one line each. And with every name printable on every terminal."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # closed, or another kind of stream
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = _warn  # type: ignore[assignment]  # catch_warnings puts it back
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield


def _warn(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    from groktime.fullnet.blame import is_own

    ours = issubclass(category, UserWarning) and Path(filename).is_relative_to(Path(__file__).parent)
    if ours:
        say(f"groktime: {message}")
    elif is_own(filename) and not issubclass(category, DeprecationWarning | ResourceWarning):
        say(f"groktime: {Path(filename).name} line {lineno} warns: {' '.join(str(message).split())}")


def say(words: str) -> None:
    """A line on stderr, if anybody can read it."""
    with suppress(OSError, ValueError, AttributeError):
        print(one_line(words), file=sys.stderr, flush=True)


def shortened(message: str) -> str:
    """A message in one line, without the middle of what is too long to be read."""
    line = one_line(message)
    half = _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]} … {line[-half:]}"


def of(error: Exception) -> tuple[str, int] | None:
    """The sentence on an exception and the exit code; None of a mistake of this package."""
    if isinstance(error, InputError):
        return str(error), 2
    if isinstance(error, TaskError):
        return str(error), 1
    if isinstance(error, MemoryError):
        return "out of memory: expected a smaller file or fewer settings, or more memory", 2
    if isinstance(error, OSError) and error.errno is not None:
        where = "output" if error.filename is None else os.fsdecode(error.filename)
        return f"{where}: {error.strerror}", 2
    return None


def flush() -> None:
    """Have the output written; without a stdout there is none."""
    if sys.stdout is not None:
        sys.stdout.flush()


def no_output() -> None:
    """Throw away what can no longer be written, or Python would tell of it at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
