"""Folders that are complete or are not there, and replaced in one go."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from groktime.reduced import interrupt, locks
from groktime.reduced.errors import InputError
from groktime.reduced.files import sweep, temporary_name

_HERE = -100  # AT_FDCWD of Linux: paths as they are written
_SWAP = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


@contextmanager
def replacing_folder(path: Path, check: Callable[[], None]) -> Iterator[Path]:
    """A new folder beside `path`, which gets its name when all went well and is removed otherwise. `check` is
    called just before: what it raises leaves what is there as it is."""
    path = path.absolute()
    temporary = temporary_name(path.parent)
    sweep(path.parent)
    with interrupt.removed(temporary):
        try:
            with locks.new_folder(temporary):
                yield temporary
                check()
                with interrupt.held():
                    _put(temporary, path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
        finally:
            interrupt.remove(temporary)


def _put(new: Path, path: Path) -> None:
    """Give a folder its name; what had it is then at the new one's, or gone."""
    if not path.exists():
        new.rename(path)
        return
    if _swapped(new, path):
        return
    old = _aside(path)
    interrupt.remove(old)
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    interrupt.remove(old)


def restore(path: Path) -> None:
    """After a kill between the two renames that take the place of a swap: the old folder gets its name back,
    or goes if the new one has it."""
    old = _aside(path.absolute())
    with suppress(OSError):
        if old.is_dir() and not os.path.lexists(path):
            old.rename(path.absolute())
        elif old.is_dir():
            interrupt.remove(old)


def _aside(path: Path) -> Path:
    """Where the old folder of a name waits for the new one."""
    return path.with_name(
        f".groktime-{hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()}.old"
    )


def _swapped(one: Path, other: Path) -> bool:
    """Exchange two names in one step, where the system and the file system can."""
    name = {"linux": "renameat2", "darwin": "renamex_np"}.get(sys.platform, "")
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return False
    first, second = os.fsencode(one), os.fsencode(other)
    here = (_HERE, first, _HERE, second) if name == "renameat2" else (first, second)
    return bool(function(*here, _SWAP) == 0)
