"""Ctrl-C and SIGTERM of a command: one line, nothing left lying, and no exception where it would hurt.

Python's own handler raises KeyboardInterrupt between any two operations, inside an import or a callback as
well, where it comes out as a traceback or is lost. A command (`handled`) therefore raises nothing: it leaves
at once where nothing is in work, removes what is `removed`, waits to the end of what is `held`, and asks what
is `watched` to stop by itself. In a program of the user's none of this acts, and Python's handler stays.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # as in `typing`: what is imported before signals are handled is to take no time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

STOPPED = 130  # the exit status of a command that Ctrl-C stopped, as in a shell
GOES_ON = "stopped; the same command goes on from here"
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_TWICE = 1.0  # seconds within which a second signal is the same one, sent to a group, say


class Interruption(KeyboardInterrupt):
    """Raised by watched work once it has stopped."""


class _Command:
    """The command that this process is; there is one at most."""

    def __init__(self, name: str) -> None:
        self.name, self.said, self.process = name, "stopped", os.getpid()
        self.signal, self.when = 0, 0.0
        self.held = 0
        self.watching: list[Callable[[], None]] = []
        self.removed: list[Path] = []
        self.status: int | None = None  # once it has told how it ended

    def on_signal(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self.process:  # a process that was forked off, to which this is not addressed
            os._exit(128 + number)
        if self.status is not None:
            os._exit(self.status)
        if self.signal:
            if time.monotonic() - self.when > _TWICE:  # who asks again does not want to wait
                self.leave()
            return
        self.signal, self.when = number, time.monotonic()
        if self.watching:
            self.watching[-1]()
        elif not self.held:
            self.leave()

    def leave(self) -> None:
        """Without Python's way out, in which another signal would be a traceback."""
        for path in list(self.removed):
            remove(path)
        with suppress(OSError):
            os.write(2, f"{self.name}: {self.said}\n".encode())
        os._exit(128 + self.signal)


_command: _Command | None = None


def handled(name: str) -> None:
    """From here on this process is the command of this name, and stops as one. Signals that are ignored (by
    `nohup`, or in the background of a script) stay so."""
    global _command
    _command = _Command(name)
    ours = [number for number in _numbers() if signal.getsignal(number) is not signal.SIG_IGN]
    for number in ours:
        signal.signal(number, _command.on_signal)
    # In its very last steps Python gives signals their first meaning back, which is death.
    atexit.register(lambda: [signal.signal(number, signal.SIG_IGN) for number in ours])


def _numbers() -> list[int]:
    """Of the signals that this system has."""
    return [getattr(signal, each) for each in _SIGNALS if hasattr(signal, each)]


def named(name: str) -> None:
    """What the command is called, once that is known."""
    if _command is not None:
        _command.name = name


def says(text: str) -> None:
    """What is told if the command is stopped from here on."""
    if _command is not None:
        _command.said = text


def told() -> tuple[int, str]:
    """The exit status and the words of a command that was stopped."""
    if _command is None:
        return STOPPED, GOES_ON
    return (128 + _command.signal if _command.signal else STOPPED), _command.said


def over(status: int) -> int:
    """The command has told how it ended: a signal has nothing more to say. Returns the status."""
    if _command is not None:
        _command.status = status
    return status


@contextmanager
def removed(path: Path) -> Iterator[None]:
    """Remove this file or folder if the command leaves within."""
    if _command is None:
        yield
        return
    command = _command
    command.removed.append(path)
    try:
        yield
    finally:
        command.removed.remove(path)


@contextmanager
def held() -> Iterator[None]:
    """Not to be cut off: the command leaves at the end."""
    command = _command
    if command is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    command.held += 1
    try:
        yield
    finally:
        command.held -= 1
        if command.signal and not command.held and not command.watching and command.status is None:
            command.leave()


@contextmanager
def watched(stop: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Work that `stop` asks to end by itself; it then calls what is given here, which raises."""
    command = _command

    def raises() -> None:
        if command is not None and command.signal:
            raise Interruption

    if command is None:
        yield raises
        return
    command.watching.append(stop)
    try:
        yield raises
    finally:
        command.watching.remove(stop)


def remove(path: Path) -> None:
    """A file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        import shutil

        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
