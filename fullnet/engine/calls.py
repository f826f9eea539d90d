"""What a function asks of torch, call by call, as it runs.

torch.fx would tell it, too, but changes every module of the process while it looks, and networks of other
threads fail; this is of one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class Call:
    """One call of torch: the function, what it was given, by position and by name, and what it gave."""

    function: Any
    args: tuple[Any, ...]
    options: dict[str, Any]
    out: Any


class _Recorder(TorchFunctionMode):
    """Keeps the calls of this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls.append(Call(func, args, kwargs or {}, out))
        return out


def calls_of(function: Callable[..., Any], *args: Any) -> tuple[list[Call], Any]:
    """The calls of torch that a function makes of these arguments, in order, and what it gives."""
    recorder = _Recorder()
    with recorder:
        out = function(*args)
    return recorder.calls, out
