"""Where a failure of long work came from: a line of the user's task, or memory that did not suffice."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import ParamSpec, TypeVar

import groktime
from groktime.fullnet.check.finding import message_of
from groktime.reduced.errors import InputError, TaskError

P = ParamSpec("P")
R = TypeVar("R")

_OURS = str(Path(groktime.__file__).parent) + os.sep
_PYTHON = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
_INSTALLED = ("site-packages", "dist-packages")
_LIBRARIES = ("torch", "functorch", "numpy", "cloudpickle", "dask", "distributed")
_SENT = "<dynamic-code>"
_TYPED = ("<stdin>", "<string>", "<ipython")  # code without a file
_KEPT = "what was finished before is kept, and the same call goes on from there"
_NO_MEMORY = re.compile(
    r"out of memory|can't allocate memory|not enough memory|cannot allocate memory|unable to allocate", re.I
)
_ASKED = re.compile(r"allocate ([\d.]+) ?(bytes|[KMGT]iB)", re.I)
_UNITS = {"bytes": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def told(work: Callable[P, R]) -> Callable[P, R]:
    """The same function, which raises a `TaskError` for what its task's own code raises, and an `InputError`
    where memory does not suffice."""

    @wraps(work)
    def one(*args: P.args, **kwargs: P.kwargs) -> R:
        with telling():
            return work(*args, **kwargs)

    return one


@contextmanager
def telling() -> Iterator[None]:
    """What the task's own code raises in here is a `TaskError`."""
    try:
        yield
    except (InputError, TaskError):
        raise
    except Exception as error:
        if no_memory(error):
            raise InputError(f"out of memory ({message_of(error)}); {_KEPT}") from error
        # torch refuses shapes and types from its own lines, or from ours that hand the task's tensors over
        if not (place_of(error) or isinstance(error, RuntimeError)):
            raise
        raise TaskError(f"the task failed with {placed(error)}; {_KEPT} when it is mended") from error


@contextmanager
def telling_there() -> Iterator[None]:
    """The same in a worker process, from which not every exception can be sent."""
    try:
        with telling():
            yield
    except InputError as error:
        if error.__cause__ is None or not no_memory(error.__cause__):
            raise
        raise MemoryError(str(error.__cause__)) from None  # what would fit is told where the pieces are made


def placed(error: BaseException) -> str:
    """An exception in one line, with the innermost line of the user's own code that it came from."""
    place = place_of(error)
    return message_of(error) + (f", {place}" if place else "")


def place_of(error: BaseException) -> str:
    """Innermost file and line of the user's own code; "" where there is none."""
    lines = [(_file_of(frame), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:  # of a module that is imported
        lines.append((error.filename, error.lineno or 0))
    own = [(file, line) for file, line in lines if is_own(file)]
    nearer = [place for place in own if not set(Path(place[0]).parts) & set(_INSTALLED)]
    if not own:
        return ""
    file, line = (nearer or own)[-1]
    return f"{Path(file).name} line {line}"


def _file_of(frame: FrameType) -> str:
    """The file of a frame; cloudpickle sends code without it, but with its module."""
    if frame.f_code.co_filename == _SENT:
        return str(frame.f_globals.get("__name__", "task")).rpartition(".")[2] + ".py"
    return frame.f_code.co_filename


def is_own(file: str) -> bool:
    """Whether a file is neither Python's, nor of this package, nor of one that it is built on."""
    if file.startswith("<"):
        return file.startswith(_TYPED)
    if file.endswith((".pyx", ".pxd")):  # compiled, and without its folder
        return False
    parts = Path(file).parts
    at = next((k for k, part in enumerate(parts) if part in _INSTALLED), None)
    if at is not None:
        return parts[at + 1].removesuffix(".py") not in _LIBRARIES and not file.startswith(_OURS)
    return not file.startswith((_OURS, *_PYTHON))


def no_memory(error: BaseException) -> bool:
    """Whether an exception of Python, numpy or torch says that memory ran out."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError) and bool(_NO_MEMORY.search(str(error)))
    )


@contextmanager
def fitting(members: int, side_by_side: int) -> Iterator[None]:
    """One sentence on what would fit where so many networks together, and pieces of them, did not."""
    try:
        yield
    except Exception as error:
        if isinstance(error, InputError | TaskError) or not no_memory(error):
            raise
        raise InputError(f"out of memory: {what_fits(members, side_by_side, error)}") from error


def what_fits(members: int, side_by_side: int, error: BaseException) -> str:
    """What to try after `members` networks together, in so many pieces side by side, did not fit."""
    tried = f"{members} networks together" if members > 1 else "one network"
    if side_by_side > 1:
        tried += f", {side_by_side} times side by side,"
    if members == side_by_side == 1:
        return (
            f"{tried} of this size, with its data, does not fit; expected a smaller network, fewer samples, "
            "a smaller batch, or more memory"
        )
    if members == 1:
        fewer, option = "workers=1", "--workers 1"
    else:
        number = _fewer(members, error)
        fewer, option = f"members={number}", f"--members {number}"
    return f"{tried} did not fit; expected Machine({fewer}), or {option}; what was finished before is kept"


def _fewer(members: int, error: BaseException) -> int:
    """Half as many, or fewer where what was asked for tells so: it is one of several tensors of its size."""
    asked, free = _ASKED.search(str(error)), _free_memory()
    half = members // 2
    if asked is None or free is None or "CPU" not in str(error):
        return half
    size = float(asked[1]) * _UNITS[asked[2].lower()]
    return max(min(half, int(members * free / (4 * size))), 1) if size else half


def _free_memory() -> float | None:
    """Bytes that this process may still take, where the system tells."""
    try:
        import resource

        known = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = float(known["MemAvailable"].split()[0]) * 1024
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, KeyError, ValueError):
        return None
    return free if limit == resource.RLIM_INFINITY else max(min(free, limit - taken), 0.0)
