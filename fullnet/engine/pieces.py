"""Long work in independent pieces: side by side, stopped and gone on with, here or by an executor.

A piece's result is a function of the piece alone, and is kept on disk as soon as it is there.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import cloudpickle
import torch
from numpy.typing import NDArray

from groktime.fullnet.blame import telling_there
from groktime.fullnet.engine.memory import keep_freed_memory
from groktime.fullnet.engine.parts import Checkpoint, Store
from groktime.fullnet.engine.progress import Progress
from groktime.reduced import interrupt
from groktime.reduced.errors import InputError

Arrays = dict[str, NDArray[Any]]
OnSteps = Callable[[int], None]  # told the member-steps done


class Executor(Protocol):
    """Anything with the `submit` of concurrent.futures, such as a process pool or a dask client."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any: ...


@dataclass(frozen=True)
class Piece:
    """One piece of work, of so many member-steps; `work` is given `on_steps` and its checkpoint."""

    name: str
    steps: int
    work: Callable[[OnSteps, Checkpoint], Arrays]


def run(
    pieces: Sequence[Piece], parts: Store, bar: Progress, workers: int, executor: Executor | None = None
) -> list[Arrays]:
    """The results of all pieces, in order; those that are finished are taken from the disk."""
    done: dict[str, Arrays] = {}
    for piece in pieces:
        known = parts.load(piece.name)
        if known is not None:
            done[piece.name] = known
            bar.skip(piece.steps)
    open_ones = [piece for piece in pieces if piece.name not in done]
    finished = _elsewhere(open_ones, parts, executor) if executor else _here(open_ones, parts, bar, workers)
    with closing(finished):  # an error here stops the pieces there
        for piece, arrays in finished:
            parts.save(piece.name, arrays)
            parts.checkpoint(piece.name).clear()
            done[piece.name] = arrays
            if executor:
                bar.add(piece.steps)
    return [done[piece.name] for piece in pieces]


class _Stopped(BaseException):
    """Raised in a piece that is to stop, because of Ctrl-C or because another one failed."""


def _here(
    pieces: Sequence[Piece], parts: Store, bar: Progress, workers: int
) -> Generator[tuple[Piece, Arrays]]:
    stop = threading.Event()

    def one(piece: Piece) -> Arrays:
        reported = 0

        def on_steps(steps: int) -> None:
            nonlocal reported
            if stop.is_set():
                raise _Stopped
            # what it tells first may be what it did before it was stopped
            (bar.add if reported else bar.skip)(steps)
            reported += steps

        if stop.is_set():
            raise _Stopped
        try:
            arrays = piece.work(on_steps, parts.checkpoint(piece.name))
        except BaseException:
            stop.set()  # the pieces beside this one stop at their next step, none is begun
            raise
        bar.skip(piece.steps - reported)  # steps saved by members that finished
        return arrays

    keep_freed_memory()
    # One thread a piece and one core a thread: torch's own threads would meet at every operation of
    # a step, and on a machine that does anything else wait there for each other.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    with interrupt.watched(stop.set) as asked_to_stop, pool:
        futures = [(piece, pool.submit(one, piece)) for piece in pieces]
        try:
            yield from _as_they_finish(futures)
            asked_to_stop()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _elsewhere(pieces: Sequence[Piece], parts: Store, executor: Executor) -> Generator[tuple[Piece, Arrays]]:
    futures: list[tuple[Piece, Any]] = []
    try:
        for piece in pieces:
            # by cloudpickle, because a task is made of functions, and a user's are often local ones
            job = cloudpickle.dumps((piece.work, parts.checkpoint(piece.name)))
            with warnings.catch_warnings():  # dask's advice on large arguments is not for the user
                warnings.filterwarnings("ignore", "Sending large graph")
                futures.append((piece, executor.submit(_remote, job)))
        yield from _as_they_finish(futures)
    except Exception as error:
        # dask, which replaces a worker that dies, gives a piece up when it has cost it several
        if not isinstance(error, BrokenExecutor | CancelledError) and type(error).__name__ != "KilledWorker":
            raise
        raise InputError(parts.lost) from error
    finally:
        for _, future in futures:
            future.cancel()


def _remote(job: bytes) -> Arrays:
    torch.set_num_threads(1)
    keep_freed_memory()
    work, checkpoint = cloudpickle.loads(job)
    with telling_there():
        arrays: Arrays = work(lambda steps: None, checkpoint)
    return arrays


def _as_they_finish(futures: Sequence[tuple[Piece, Any]]) -> Iterator[tuple[Piece, Arrays]]:
    # By polling: it asks nothing of a future but done() and result(), which dask's have as well.
    waiting = list(futures)
    while waiting:
        ready = [pair for pair in waiting if pair[1].done()]
        waiting = [pair for pair in waiting if pair not in ready]
        failures = []
        for piece, future in ready:  # those that succeeded are kept before a failure is told
            try:
                arrays = future.result()
            except _Stopped:  # the piece that made it stop is, or will be, among the others
                continue
            except BaseException as error:
                failures.append(error)
                continue
            yield piece, arrays
        if failures:
            raise failures[0]
        if not ready:
            time.sleep(0.02)
