"""A folder to try arguments in: good files, and files and folders that are in the way."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import groktime as gt

OWN = """
import torch
from groktime import Adam, Problem, Split, Task


def problem(seed, n_train):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n_train, 2, generator=g)
    return Problem(Split(x, {"y": x[:, :1]}), Split(x.clone(), {"y": x[:, :1].clone()}))


def square(output, targets):
    return (output - targets["y"]).square().mean(-1)


def right(output, targets):
    return square(output, targets) < 0.1


def network():
    return torch.nn.Linear(2, 1)


task = Task("$a$ <b>", network, problem, square, right, "mse", 5, Adam(1e-3), 3)
"""


def prepare(folder: Path) -> None:
    """Good files, and files and folders that are in the way."""
    (folder / "own.py").write_text(OWN)
    (folder / "log.csv").write_text("step,train_acc,test_acc\n0,0.1,0.1\n10,1,0.2\n20,1,0.9\n")
    with inside(folder):
        sys.modules.pop("own", None)
        quick = gt.Machine(progress=False)
        land = gt.sample(
            "addition", alpha=[2.4, 2.8, 3.2, 3.6], m=[0, 0.1, 0.2, 0.3], seeds=[0], steps=2, machine=quick
        )
        land.save("plane.nc")
        runs = gt.train(
            "teacher-student", gamma=[0.1, 1], alpha=2, seeds=[0, 1], steps=3, out="runs.nc", machine=quick
        )
        gt.sample_path(
            "teacher-student",
            alpha=[2, 3],
            seeds=[0, 1],
            refit=(1, 2),
            tau=0.03,
            out="path.nc",
            machine=quick,
        )
        assert runs.task == "teacher-student"
    shutil.copy(folder / "plane.nc", folder / "$x$ \udcff.nc")
    (folder / "exists.nc").write_text("mine")
    (folder / "exists.png").write_text("mine")
    (folder / "folder.nc").mkdir()


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def contents(folder: Path) -> dict[str, bytes | None]:
    """What is in the folder, by name."""
    found = (p for p in sorted(folder.rglob("*")) if "__pycache__" not in p.parts)
    return {str(p): p.read_bytes() if p.is_file() else None for p in found}


def restore(folder: Path, before: dict[str, bytes | None]) -> list[str]:
    """Bring the folder back to what it held; what was new or had changed."""
    after = contents(folder)
    new = [name for name in after if name not in before]
    for name in sorted(new, reverse=True):
        Path(name).rmdir() if Path(name).is_dir() else Path(name).unlink()
    changed = [name for name, content in before.items() if after.get(name) != content]
    for name in changed:
        content = before[name]
        if content is not None:
            Path(name).write_bytes(content)
    return new + changed
