"""Where and how networks are trained, as one value; no result depends on it, but for rounding: products round
another way for other numbers of members, which long runs amplify (docs/training.md)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from groktime.fullnet.engine.pieces import Executor
from groktime.reduced.arguments import flag, shown, text, whole_number
from groktime.reduced.errors import InputError


@dataclass(frozen=True)
class Machine:
    """What trains the networks.

    Attributes
    ----------
    device : "auto" (a GPU if there is one), "cpu", "cuda" or "mps".
    members : how many networks are trained together (default: what fits the cache).
    workers : pieces trained side by side (default: one a core on the CPU, one on a GPU).
    executor : where to train the pieces instead; anything with the `submit` of concurrent.futures, such
        as a process pool or a dask client.
    compiled : have torch compile the networks for this machine, which takes some seconds and can pay for
        long runs of small networks (docs/results/speed.md). Numbers are the same to rounding.
    progress : whether to show the progress on stderr.

    Raises
    ------
    InputError : naming what is none of these; a device that is not there is told when it is used.
    """

    device: str = "auto"
    members: int | None = None
    workers: int | None = None
    executor: Executor | None = None
    compiled: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        def keep(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        for name in ("members", "workers"):
            if getattr(self, name) is not None:
                keep(name, whole_number(name, getattr(self, name), 1))
        for name in ("compiled", "progress"):
            keep(name, flag(name, getattr(self, name)))
        device = str(self.device) if isinstance(self.device, torch.device) else self.device
        keep("device", text("device", device))
        if self.executor is not None and not callable(getattr(self.executor, "submit", None)):
            raise InputError(
                f"executor = {shown(self.executor)}: expected one with the `submit` of concurrent.futures"
            )


def machine_of(given: Machine | None) -> Machine:
    """The machine that is given, or the one there is."""
    if given is None:
        return Machine()
    if not isinstance(given, Machine):
        raise InputError(f"machine = {shown(given)}: expected a Machine")
    return given
