"""A task that raises in mid-run is told with its line, memory that runs out with what would fit."""

from __future__ import annotations

import subprocess
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

import groktime as gt
from groktime.cli import main
from groktime.fullnet.blame import no_memory, place_of, what_fits
from groktime.reduced.errors import InputError, TaskError

MINE = """
import os
import torch
from groktime import Adam, Problem, Split, Task

BROKEN = os.environ.get("BROKEN", "")


def problem(seed, n_train):
    if BROKEN == "problem" and seed == 3:
        raise KeyError("no\\nsuch seed")
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n_train, 2, generator=g)
    return Problem(Split(x, {"y": x[:, :1]}), Split(x.clone(), {"y": x[:, :1].clone()}))


def network():
    return torch.nn.Linear(2, 1)


steps = 0


def loss(output, targets):
    global steps
    steps += 1
    if BROKEN == "loss" and steps > 100:
        return missing
    return (output - targets["y"]).square().mean(-1)


def right(output, targets):
    return (output - targets["y"]).square().mean(-1) < 1e-9


task = Task("mine", network, problem, loss, right, "mse", 5, Adam(1e-3), 3)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


LINE = {
    "problem": 'raise KeyError("no', "loss": "return missing",
}  # fmt: skip


def line_of(kind: str) -> int:
    return next(k for k, text in enumerate(MINE.splitlines(), 1) if LINE[kind] in text)


@pytest.mark.parametrize("kind", ["problem", "loss"])
def test_commands_tell_the_line_and_go_on(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = "--gamma 1 --alpha 2 --seeds 0 1 3 --steps 200 --members 1 --workers 1 --quiet -o x.nc"
    command = ["train", "mine:task", *given.split()]
    monkeypatch.setenv("BROKEN", kind)
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"mine.py line {line_of(kind)}" in err
    assert {"problem": "KeyError", "loss": "NameError"}[kind] in err
    assert "Traceback" not in err
    assert not Path("x.nc").exists()
    kept = sorted(p.name for p in Path("x.nc.parts").glob("train*.npz") if "checkpoint" not in p.name)
    assert len(kept) == (2 if kind == "problem" else 0)
    monkeypatch.setenv("BROKEN", "")
    monkeypatch.delitem(sys.modules, "mine")
    assert main(command) == 0
    assert gt.open_runs("x.nc").dataset.sizes["run"] == 3


def task_of(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> gt.Task:
    from groktime.fullnet.find import find_task

    monkeypatch.setenv("BROKEN", kind)
    return find_task("mine:task")


QUICK = {"gamma": 1.0, "alpha": 2.0, "steps": 200}


def test_python_has_the_exception_as_cause(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(folder, monkeypatch, "loss")
    with pytest.raises(TaskError, match=rf"NameError.*mine\.py line {line_of('loss')}") as told:
        gt.train(task, **QUICK, seeds=[0], machine=gt.Machine(progress=False))
    assert isinstance(told.value.__cause__, NameError)
    assert any(
        "return missing" in (f.line or "") for f in traceback.extract_tb(told.value.__cause__.__traceback__)
    )


def test_worker_processes_tell_the_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(folder, monkeypatch, "problem")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        machine = gt.Machine(executor=pool, members=1, progress=False)
        with pytest.raises(TaskError, match=rf"KeyError.*mine\.py line {line_of('problem')}"):
            gt.train(task, gamma=1.0, alpha=2.0, steps=2, seeds=[0, 3], machine=machine)


def test_shapes_that_do_not_fit_are_the_tasks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(folder, monkeypatch, "")

    def other(seed: int, n_train: int) -> gt.Problem:
        x = torch.zeros(n_train, 2 + seed)
        return gt.Problem(gt.Split(x, {"y": x[:, :1]}), gt.Split(x.clone(), {"y": x[:, :1].clone()}))

    from dataclasses import replace

    with pytest.raises((TaskError, InputError)) as told:
        gt.train(replace(task, problem=other), **QUICK, seeds=[0, 1], machine=gt.Machine(progress=False))
    assert str(told.value).isprintable()


def test_mistakes_of_ours_are_not_told_as_the_tasks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(folder, monkeypatch, "")

    def broken(*_: object, **__: object) -> None:
        raise AssertionError("ours")

    monkeypatch.setattr("groktime.fullnet.members.Members.gradient", broken)
    broken.__code__ = broken.__code__.replace(co_filename=gt.__file__)
    with pytest.raises(AssertionError, match="ours"):
        gt.train(task, **QUICK, seeds=[0], machine=gt.Machine(progress=False))


CPU = (
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
    "allocate {} bytes. Error code 12 (Cannot allocate memory)"
)


def raised(function: object) -> BaseException:
    try:
        function()  # type: ignore[operator]
    except Exception as error:
        return error
    raise AssertionError("did not raise")


def test_places() -> None:
    inside = raised(lambda: torch.zeros(2) @ torch.zeros(3))
    assert place_of(inside).startswith("test_blame.py line ")
    assert place_of(ValueError("never raised")) == ""


@pytest.mark.parametrize(
    ("error", "yes"),
    [
        (MemoryError(), True),
        (RuntimeError(CPU.format(4 * 10**10)), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (KeyError("out of memory"), False),
    ],
)  # fmt: skip
def test_memory_that_ran_out(error: BaseException, yes: bool) -> None:
    assert no_memory(error) is yes


def test_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, gpu = MemoryError(), torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    assert "Machine(members=12), or --members 12" in what_fits(24, 2, plain)
    assert "Machine(members=512), or --members 512" in what_fits(1024, 1, gpu)
    assert "Machine(workers=1), or --workers 1" in what_fits(1, 4, plain)
    assert "smaller network" in what_fits(1, 1, plain)
    monkeypatch.setattr("groktime.fullnet.blame._free_memory", lambda: 4e9)
    asked = RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000000000 bytes."
    )
    assert "members=12," not in what_fits(96, 1, asked)
    assert "Machine(members=12)" in what_fits(96, 1, asked)  # an eighth: half is free, of four such tensors
    unable = np.empty  # numpy words it in another way
    error = raised(lambda: unable(10**15))
    assert no_memory(error)


LIMITED = """
import resource, torch
import groktime as gt

def problem(seed, n_train):
    x = torch.zeros(n_train, 3000)
    return gt.Problem(gt.Split(x, {"y": x}), gt.Split(x, {"y": x}))

def error(output, targets):
    return (output - targets["y"]).square().mean(-1)

network, right = lambda: torch.nn.Linear(3000, 3000), lambda output, targets: error(output, targets) < 1
task = gt.Task("wide", network, problem, error, right, "mse", 4, gt.Adam(1e-3), 3)
gt.train(task, gamma=1, alpha=1, seeds=[0], steps=1, machine=gt.Machine(workers=1, progress=False))
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 300 * 2**20,) * 2)
try:
    gt.train(task, gamma=1, alpha=1, seeds=range(8), steps=3,
             machine=gt.Machine(members=8, workers=1, progress=False))
except gt.InputError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are told by Linux")
def test_an_allocation_that_fails(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LIMITED], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("\n") == 1
    assert "out of memory: 8 networks together did not fit; expected Machine(members=" in found.stdout
