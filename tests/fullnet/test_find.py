"""Tasks by name: the built-in ones, and MODULE:ATTRIBUTE, which travels to other processes whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest
import torch

import groktime.fullnet.tasks
from groktime.fullnet.find import BUILT_IN, find_task
from groktime.reduced.errors import InputError

ROOT = Path(__file__).parents[2]
MINE = """
from beside_own import network
from groktime import tasks
from dataclasses import replace

def loss(output, targets):
    return (output - targets["vector"]).abs().mean(-1)

task = replace(tasks.teacher_student(), name="mine", network=network, loss=loss)

def make(width=3):
    return task

def needs(width):
    return task

def fails():
    raise ValueError("no such\\nluck")

number = 3
"""
BESIDE = (
    "from torch import nn\n\ndef network():\n    return nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 5))\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a user's modules in it; what they leave behind is cleared."""
    (tmp_path / "find_own.py").write_text(MINE)
    (tmp_path / "beside_own.py").write_text(BESIDE)
    (tmp_path / "broken_own.py").write_text("import torch\n\nx = undefined_name\n")
    (tmp_path / "garbled_own.py").write_text("def f(:\n")
    (tmp_path / "exits_own.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "needs_own.py").write_text("import a_module_that_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.endswith("_own"):
            if name in cloudpickle.list_registry_pickle_by_value():
                cloudpickle.unregister_pickle_by_value(sys.modules[name])
            del sys.modules[name]


def test_the_table_and_the_functions_are_the_same() -> None:
    assert sorted(b.function for b in BUILT_IN.values()) == sorted(groktime.fullnet.tasks.__all__)
    assert all(b.line for b in BUILT_IN.values())


def test_built_in_by_name() -> None:
    task = find_task("addition", {"variant": "official", "dim": None, "loss": None}, n_train=30)
    assert (task.n_train, task.settings["variant"], task.settings["dim"]) == (30, "official", 2)
    assert find_task("addition").n_train == 45
    with pytest.raises(InputError, match="--tolerance: addition has no such setting"):
        find_task("addition", {"tolerance": 0.1})


@pytest.mark.parametrize("attribute", ["task", "make"])
def test_a_task_or_a_function(attribute: str) -> None:
    assert find_task(f"find_own:{attribute}").name == "mine"
    assert find_task(f"find_own:{attribute}").name == "mine"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("subtraction", f"expected one of {', '.join(BUILT_IN)}, or MODULE:ATTRIBUTE"),
        ("find_own:", "expected MODULE:ATTRIBUTE"),
        (":task", "expected MODULE:ATTRIBUTE"),
        ("find_own.py:", "no .py"),
        ("./find_own:task", "no folders"),
        ("find_own:task:task", "expected MODULE:ATTRIBUTE"),
        ("nobody_has_this:task", "no module nobody_has_this in "),
        ("find_own.deeper:task", "no module find_own.deeper in "),
        ("needs_own:task", "importing needs_own failed (ModuleNotFoundError: No module named 'a_module"),
        ("broken_own:task", "NameError: name 'undefined_name' is not defined, broken_own.py line 3"),
        ("garbled_own:task", "SyntaxError"),
        ("exits_own:task", "SystemExit: 3"),
        ("find_own:absent", "find_own.py) has no 'absent'"),
        ("sys:absent", "(built into Python) has no 'absent'"),
        ("find_own:number", "is of type int; expected a Task"),
        ("find_own:loss", "calling loss() failed (TypeError"),
        ("find_own:needs", "expected a Task, or a function that gives one without arguments"),
        ("find_own:fails", "ValueError: no such luck, find_own.py line"),
        ("find_own:network", "is of type Sequential"),
        ("groktime.fullnet.task:Task", "calling Task() failed"),
    ],
)
def test_every_failure_is_a_sentence(name: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        find_task(name)
    text = str(caught.value)
    assert words in text
    assert repr(name) in text
    assert "\n" not in text


def test_settings_are_for_the_built_in_ones() -> None:
    with pytest.raises(InputError, match="--loss: find_own:task has no such setting"):
        find_task("find_own:task", {"loss": "ce"})


def test_it_travels_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    """To a process that sees neither the module nor the one beside it."""
    job = cloudpickle.dumps(find_task("find_own:task"))
    code = (
        "import sys, cloudpickle, torch\n"
        "task = cloudpickle.loads(sys.stdin.buffer.read())\n"
        "torch.manual_seed(0)\n"
        "network, split = task.network(), task.problem(0, 10).train\n"
        "print(task.loss(network(split.inputs), split.targets).mean().item())"
    )
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=job,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=elsewhere,
        capture_output=True,
        check=True,
    )
    task = find_task("find_own:task")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, split = task.network(), task.problem(0, 10).train
    expected = float(task.loss(network(split.inputs), split.targets).mean().detach())
    assert float(done.stdout) == pytest.approx(expected, rel=1e-6)
