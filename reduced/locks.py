"""Locks on files that die with their process, so that what a killed process has left can be told.

On systems without `flock`, and on file systems that know none, nothing is locked: a file then counts as held
by nobody else, but never as abandoned.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_open: set[int] = set()  # descriptors that hold a lock


def _forget() -> None:
    """In a process that was forked off: it must not keep the locks of one that dies."""
    for number in list(_open):
        with suppress(OSError):
            os.close(number)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Busy(Exception):
    """Another process, or another part of this one, holds the lock."""


def _lock(number: int, wait: bool = False) -> bool:
    """Whether the lock was got; False where the file system has none."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise Busy from error
        return False
    return True


def _is(number: int, path: Path) -> bool:
    """Whether the path still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(number), path.lstat())
    except OSError:
        return False


def _close(number: int) -> None:
    if number in _open:
        _open.discard(number)
        os.close(number)


def _held(path: Path, flags: int, wait: bool) -> int:
    """Open a file and lock it, again if it is removed between the two."""
    while True:
        number = os.open(path, flags | _FLAGS, 0o666)
        _open.add(number)
        try:
            _lock(number, wait)
        except BaseException:
            _close(number)
            raise
        if _is(number, path):
            return number
        _close(number)


@contextmanager
def new(path: Path) -> Iterator[None]:
    """Make an empty file of a name that nobody has, and hold it.

    Raises
    ------
    OSError : where it is there already (as a link, too), or cannot be made.
    """
    # It waits for nobody but who finds it between its making and its locking, and removes it at once.
    number = _held(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, wait=True)
    try:
        if fcntl is None:  # an open file cannot be renamed there
            _close(number)
        yield
    finally:
        _close(number)


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Make a folder of a name that nobody has, and hold it.

    Raises
    ------
    OSError : where it is there already, or cannot be made.
    """
    path.mkdir()
    number = None
    with suppress(OSError, Busy):
        number = _held(path, os.O_RDONLY, wait=False)
    try:
        yield
    finally:
        if number is not None:
            _close(number)


def acquire(path: Path) -> int:
    """Hold a file, which is made where it is missing; the descriptor for `release`.

    Raises
    ------
    Busy : it is held already.
    OSError : it cannot be opened, or is a link.
    """
    return _held(path, os.O_RDWR | os.O_CREAT, wait=False)


def release(number: int) -> None:
    """Let go what `acquire` held."""
    _close(number)


def if_abandoned(path: Path, remove: Callable[[Path], None]) -> None:
    """Remove a file or folder if the process that held it is gone."""
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _FLAGS)
    except OSError:
        return
    try:
        if _lock(number):
            remove(path)
    except Busy:
        return
    finally:
        os.close(number)
