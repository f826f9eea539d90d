"""Pieces side by side in threads, in a pool of processes and on dask: the same numbers, whoever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr
from torch import Tensor, nn

from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Member
from groktime.fullnet.procedures.training import Training, TrainingState
from groktime.fullnet.sampler import sample
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError

TEST = os.getpid()
SAMPLE: dict[str, Any] = {
    "alpha": [0.5, 1.0, 2.0, 4.0],
    "m": [0.0, 0.3, 0.6, 1.0],
    "seeds": [0, 1],
}
TRAIN: dict[str, Any] = {
    "gamma": [0.1, 1.0],
    "alpha": [0.5, 1.0, 2.0],
    "seeds": [0, 1],
    "steps": 40,
}


def local_task(flag: Path | None = None, ballast: int = 0, deadly: bool = False) -> Task:
    """A task of functions that no other process could import; given a flag, it kills its first worker, or,
    if deadly, everyone."""
    weight = torch.zeros(ballast)

    def squared(output: Tensor, targets: Targets) -> Tensor:
        return (output - targets["y"]).square()

    def problem(seed: int, n_train: int) -> Problem:
        if flag is not None and os.getpid() != TEST and (deadly or not flag.exists()):
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        random, ordered = torch.randn(2, 20, 2, generator=torch.Generator().manual_seed(seed))
        y = torch.sin(ordered.sum(1)) + weight.sum()
        train, test = slice(0, n_train), slice(10, 20)
        return Problem(
            Split(random[train], {"y": y[train]}, ordered[train]),
            Split(random[test], {"y": y[test]}, ordered[test]),
            delta_norm=float((random - ordered).norm()),
        )

    return Task(
        name="local",
        network=lambda: nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(-2)),
        problem=problem,
        loss=squared,
        right=lambda output, targets: squared(output, targets) < 0.1,
        loss_name="mse",
        n_train=10,
        n_total=10,
        optimizer=Adam(1e-2),
        steps=30,
        messiness=True,
    )


def sampled(task: Task, out: Path, executor: Any = None) -> xr.Dataset:
    return sample(
        task, **SAMPLE, machine=Machine(members=8, workers=1, executor=executor, progress=False), out=out
    ).dataset


def trained(task: Task, out: Path, executor: Any = None) -> xr.Dataset:
    return train(
        task, **TRAIN, machine=Machine(members=3, workers=1, executor=executor, progress=False), out=out
    ).dataset


Work = Callable[..., xr.Dataset]
BOTH = pytest.mark.parametrize("work", [sampled, trained])


def pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


def test_a_pool_of_processes_gives_the_same_numbers(tmp_path: Path) -> None:
    with pool() as executor:
        for work in (sampled, trained):
            here = work(local_task(), tmp_path / "here.nc")
            there = work(local_task(), tmp_path / "there.nc", executor)
            xr.testing.assert_identical(there, here)
            assert sorted(p.name for p in tmp_path.iterdir()) == ["here.nc", "there.nc"]
            for path in tmp_path.iterdir():
                path.unlink()


@pytest.mark.parametrize("work", [pytest.param(sampled, marks=pytest.mark.slow), trained])
def test_a_worker_that_dies_is_told_and_the_same_call_goes_on(work: Work, tmp_path: Path) -> None:
    out, task = tmp_path / "a.nc", local_task(flag=tmp_path / "flag")
    with pool() as executor:
        with pytest.raises(InputError, match=r"a\.nc\.parts: a worker of the executor died; ") as caught:
            work(task, out, executor)
        assert "\n" not in str(caught.value)
        with pytest.raises(InputError, match="call with a new executor goes on"):  # this one is broken
            work(task, out, executor)
    assert not out.exists()
    with pool() as executor:
        again = work(task, out, executor)
    xr.testing.assert_identical(again, work(local_task(), tmp_path / "here.nc"))
    assert not list(tmp_path.glob("*.parts"))


class Fickle(Executor):
    """Does everything at once and here, but breaks at the last piece."""

    def __init__(self, breaks_after: int) -> None:
        self.left = breaks_after

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.left -= 1
        if self.left >= 0:
            future.set_result(fn(*args, **kwargs))
        elif self.left == -1:
            future.set_exception(BrokenProcessPool("a process died"))
        else:
            raise BrokenProcessPool("cannot be used any more")
        return future


def test_pieces_that_finished_beside_a_broken_one_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "a.nc"
    with pytest.raises(InputError, match="a worker of the executor died"):
        trained(local_task(), out, Fickle(breaks_after=3))
    assert len(list((tmp_path / "a.nc.parts").glob("train-*.npz"))) == 3
    with pytest.raises(InputError, match="a worker of the executor died"):
        trained(local_task(), out, Fickle(breaks_after=-1))
    counted = Fickle(breaks_after=100)
    again = trained(local_task(), out, counted)
    assert counted.left == 99
    xr.testing.assert_identical(again, trained(local_task(), tmp_path / "here.nc"))


@pytest.mark.parametrize("kind", [InputError, KeyboardInterrupt])
def test_a_piece_that_fails_stops_the_others_which_keep_their_state(
    kind: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason that is told is its own, though it is the last in the list."""
    whole = trained(local_task(), tmp_path / "whole.nc")
    step, reached = Training.step, threading.Barrier(4, timeout=60)
    others = threading.enumerate()  # torch's compiler keeps threads, if another test has used it

    def failing(self: Training, state: TrainingState) -> int:
        if state.members.step == 10:
            reached.wait()
            at = state.members.starts[-1]
            assert isinstance(at, Member)
            if (at.gamma, at.alpha, at.seed) == (1.0, 2.0, 1):  # of the last piece
                raise kind("its own reason")
        return step(self, state)

    out = tmp_path / "a.nc"
    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", failing)
        with pytest.raises(kind, match="its own reason"):
            train(local_task(), **TRAIN, machine=Machine(members=3, workers=4, progress=False), out=out)
    kept = {p.name for p in (tmp_path / "a.nc.parts").iterdir()}
    assert kept == {"configuration.json", "lock", *(f"train-3-{k}.checkpoint.npz" for k in range(3))}
    assert [t for t in threading.enumerate() if "ThreadPool" in t.name and t not in others] == []
    begun = 0

    def counted(self: Training, state: TrainingState) -> int:
        nonlocal begun
        begun += 1
        return step(self, state)

    monkeypatch.setattr(Training, "step", counted)
    xr.testing.assert_identical(trained(local_task(), out), whole)
    assert begun < 4 * 40 - 3 * 9


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as one,
    ):
        yield one


@pytest.mark.slow
@BOTH
def test_dask_gives_the_same_numbers(work: Work, client: Any, tmp_path: Path) -> None:
    there = work(local_task(), tmp_path / "there.nc", client)
    xr.testing.assert_identical(there, work(local_task(), tmp_path / "here.nc"))


@BOTH
def test_dask_survives_a_worker_that_is_killed(work: Work, client: Any, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    there = work(local_task(flag), tmp_path / "there.nc", client)
    assert flag.exists()
    xr.testing.assert_identical(there, work(local_task(), tmp_path / "here.nc"))
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.slow
def test_dask_takes_a_task_with_much_data(client: Any, tmp_path: Path) -> None:
    there = trained(local_task(ballast=4_000_000), tmp_path / "there.nc", client)
    xr.testing.assert_identical(there, trained(local_task(), tmp_path / "here.nc"))


@pytest.mark.slow
def test_what_kills_every_worker_of_dask_is_told(client: Any, tmp_path: Path) -> None:
    flag, out = tmp_path / "flag", tmp_path / "a.nc"
    with pytest.raises(InputError, match=r"a\.nc\.parts: a worker of the executor died; finished"):
        trained(local_task(flag, deadly=True), out, client)
    xr.testing.assert_identical(
        trained(local_task(), out, client), trained(local_task(), tmp_path / "here.nc")
    )
