"""Where and how networks are trained, as one value; no result depends on it, but for rounding: products round
another way for other numbers of members, which long runs amplify (docs/training.md)."""

from __future__ import annotations

from dataclasses import dataclass

from groktime.fullnet.engine.pieces import Executor
from groktime.fullnet.task import whole_number


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
    InputError : on numbers of members or workers that are not whole numbers from 1.
    """

    device: str = "auto"
    members: int | None = None
    workers: int | None = None
    executor: Executor | None = None
    compiled: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        for name in ("members", "workers"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), 1)
