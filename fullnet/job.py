"""One way to run any procedure: members cut into pieces, trained side by side, kept, and joined.

A procedure says what is done to the members of a piece, and nothing else: it knows of no files, no
checkpoints, no progress and no workers.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from groktime.fullnet.blame import fitting
from groktime.fullnet.engine import pieces as engine
from groktime.fullnet.engine.device import members_at_once
from groktime.fullnet.engine.device import workers as default_workers
from groktime.fullnet.engine.footprint import activation_bytes
from groktime.fullnet.engine.parts import Checkpoint, Nowhere, Parts, Store, clean
from groktime.fullnet.engine.pieces import Arrays, OnSteps, Piece
from groktime.fullnet.engine.progress import Progress
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Members, Setup, Start
from groktime.fullnet.seeding import global_seed
from groktime.reduced import interrupt, netcdf
from groktime.reduced.arguments import file_name, flag
from groktime.reduced.files import check_output
from groktime.reduced.stored import Stored

CHECKPOINT_SECONDS = 60.0  # between two checkpoints of a piece
_LAYOUT = 4  # of pieces and checkpoints: those of another version are refused


class State(Protocol):
    """What a procedure knows of its piece: a dataclass of `members`, and of arrays and tensors, which
    together are all that a checkpoint needs."""

    members: Members


M = TypeVar("M", bound=Start, contravariant=True)
S = TypeVar("S", bound=State)
C = TypeVar("C", bound=Start)


class Procedure(Protocol[M, S]):
    """How the members of a piece are brought from their start to their end: a value that can be pickled."""

    @property
    def setup(self) -> Setup:
        """What all members share."""
        ...

    def init(self, members: Sequence[M]) -> S:
        """The state before the first step."""
        ...

    def step(self, state: S) -> int:
        """One optimizer step of every member in training; returns how many member-steps of the job's
        total that was."""
        ...

    def record(self, state: S) -> None:
        """Called before the first step and after each one: keep what is to be kept, and retire the members
        that are done. The piece ends with its last member."""
        ...

    def result(self, state: S) -> Arrays:
        """What was recorded, by name; each [member, ...], of all members of the piece."""
        ...


class Savable(Protocol):
    """A result that can be written to a file."""

    def save(self, path: Path) -> Any: ...


F = TypeVar("F", bound=Savable)


@dataclass(frozen=True)
class Output:
    """Where finished pieces lie, and where the result is to go, if anywhere."""

    parts: Store
    overwrite: bool

    def finish(self, result: F) -> F:
        """Write the file whole, or not at all, and remove the pieces."""
        if isinstance(self.parts, Parts):
            self.parts.finish(result.save, self.overwrite)
        return result

    def rehearse(self, result: Callable[[], Stored]) -> None:
        """Refuse before the work what could not be written after it: a result that has all but its numbers
        goes the whole way to a file, in memory."""
        blank = result()
        if isinstance(self.parts, Parts):
            netcdf.write(blank.arrays, blank.SCHEMA.packed(blank.arrays))


def blank(procedure: Procedure[C, S], members: Sequence[C]) -> Arrays:
    """What `run` returns of these members, [member, ...], before anything is done, with 1 for every number
    that is not known yet."""
    found = procedure.result(procedure.init(members[:1]))
    known = {k: np.nan_to_num(v, nan=1.0) if v.dtype.kind == "f" else v for k, v in found.items()}
    return {k: np.repeat(v, len(members), axis=0) for k, v in known.items()}


@contextmanager
def output(out: str | Path | None, configuration: Mapping[str, Any], overwrite: bool) -> Iterator[Output]:
    """The output of a job. Work that was stopped goes on if its configuration is the same; without `out`
    results stay in memory, and nothing is written.

    Raises
    ------
    InputError : on a file that exists, or that cannot be written; where another command is at work on it.
    """
    overwrite = flag("overwrite", overwrite)
    if out is None:
        yield Output(Nowhere(), overwrite=False)
        return
    path = Path(file_name("out", out))
    check_output(path, overwrite=True)
    clean(path)
    check_output(path, overwrite, inputs=_programs(path))
    parts = Parts(path, {"layout": _LAYOUT, **configuration})
    interrupt.says(interrupt.GOES_ON)
    try:
        yield Output(parts, overwrite)
    finally:
        parts.close()


def _programs(out: Path) -> list[str]:
    """The Python files that this process runs, where the output exists: a user's task is one of them."""
    if not out.exists():
        return []
    found = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return [file for file in found if isinstance(file, str)]


def _size(member: Start) -> tuple[Any, ...]:
    return (member.n_train,)


def run(
    procedure: Procedure[C, S],
    members: Sequence[C],
    machine: Machine,
    where: Output,
    *,
    steps: int | Callable[[C], int],
    title: str,
    name: str = "piece",
    key: Callable[[C], tuple[Any, ...]] = _size,
) -> Arrays:
    """Run a procedure on all members; what it records of each, [member, ...] in the order given.

    Parameters
    ----------
    where : the output; pieces that lie there are not computed again, and those that were stopped go on.
    steps : the most that a member takes, for the progress; `title` is shown beside it.
    name : begins the names of the pieces; unlike those of another `run` into the same output.
    key : members are trained in the order of their keys, those whose first entries are equal together. Their
        training sets have to be of one size.
    """
    setup = procedure.setup
    workers = machine.workers or default_workers(setup.device)
    shapes = _shapes(setup)
    where.parts.bind(repr(shapes))
    parameters = sum(math.prod(shape) for _, shape in shapes)
    at_once = machine.members or members_at_once(
        setup.device, parameters, len(members), workers, partial(_activations, setup, members[0])
    )
    length = steps if callable(steps) else lambda _: steps
    order = sorted(range(len(members)), key=lambda k: key(members[k]))
    pieces: list[Piece] = []
    for _, group in itertools.groupby(order, key=lambda k: key(members[k])[0]):
        for places in _batched(list(group), at_once):
            some = [members[k] for k in places]
            total = sum(length(c) for c in some)
            pieces.append(Piece(f"{name}-{at_once}-{len(pieces)}", total, partial(drive, procedure, some)))
    shown = Progress(sum(p.steps for p in pieces), title, machine.progress)
    with shown as bar, fitting(min(at_once, len(members)), min(workers, len(pieces))):
        results = engine.run(pieces, where.parts, bar, workers, machine.executor)
    back = np.argsort(order)
    return {k: np.concatenate([r[k] for r in results])[back] for k in results[0]}


def _shapes(setup: Setup) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the network's parameters."""
    with global_seed(0, "shape"):
        return [(name, tuple(p.shape)) for name, p in setup.task.network().named_parameters()]


def _activations(setup: Setup, member: Start) -> int:
    """Bytes that a member's forward pass keeps."""
    with global_seed(0, "shape"):
        split = setup.task.problem(member.seed, member.n_train).train
        return activation_bytes(setup.task, split, setup.batch)


def _batched(places: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (places[i : i + size] for i in range(0, len(places), size))


def drive(
    procedure: Procedure[C, S],
    members: Sequence[C],
    on_steps: OnSteps = lambda steps: None,
    checkpoint: Checkpoint | None = None,
) -> Arrays:
    """One piece, step after step while members are left, from its checkpoint if there is one."""
    state, done = procedure.init(members), 0
    known = None if checkpoint is None else checkpoint.load()
    if known is None:
        procedure.record(state)
    else:
        done = _restore(state, known)
        on_steps(done)
    saved = time.monotonic()
    while len(state.members.rows):
        gained = procedure.step(state)
        procedure.record(state)
        done += gained
        try:
            on_steps(gained)
        except BaseException:  # asked to stop
            if checkpoint is not None:
                checkpoint.save(_kept(state, done))
            raise
        if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_SECONDS:
            checkpoint.save(_kept(state, done))
            saved = time.monotonic()
    return procedure.result(state)


def _names(state: State) -> list[str]:
    """Of everything in a state but its members."""
    return [f.name for f in fields(state) if f.name != "members"]  # type: ignore[arg-type]


def _kept(state: State, done: int) -> Arrays:
    """A state as arrays; `done`: member-steps."""
    kept = {f"members {k}": v for k, v in state.members.state().items()}
    for name in _names(state):
        value = getattr(state, name)
        kept[name] = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    return kept | {"done": np.array(done)}


def _restore(state: State, known: Arrays) -> int:
    """Put a piece that has just begun into the state that was kept; member-steps done until then."""
    head = "members "
    state.members.restore({k.removeprefix(head): v for k, v in known.items() if k.startswith(head)})
    for name in _names(state):
        before = getattr(state, name)
        value = torch.from_numpy(known[name]).to(before.device) if isinstance(before, Tensor) else known[name]
        setattr(state, name, value)
    return int(known["done"])
