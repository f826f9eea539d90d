"""Arguments that people give by mistake, or on purpose, to commands and Python functions.

Options are read from the commands themselves, so that a new one is tried as soon as it is there. The work
that is asked for is tiny; what is given instead of one or two arguments is drawn. Run as a program it tries
many more: `python tests/fuzz/arguments.py [LINES [CALLS [SEED]]]` prints what became of them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from outcome import ELSE, Outcomes, command, tried

import groktime as gt
from groktime.cli import main
from groktime.commands import COMMANDS
from groktime.fullnet.eq6 import integrate_networks
from groktime.networks import task_settings
from groktime.option import Option

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
    with _in(folder):
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
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


# --- command lines --------------------------------------------------------------------------------

HUGE = "1" + "0" * 23
_NASTY = ["", " ", "a\nb", "\udcff", HUGE, "1" * 5000]
NUMBERS = [
    *[
        "0.1",
        "1",
        "3",
        "0",
        "-1",
        "-0.0",
        "nan",
        "inf",
        "-inf",
        "5e-324",
        "1e308",
        "1e400",
        "1e-30",
        "1e30",
        "0x10",
        "1_0",
        "٣",
        "x",
        "1,5",
        "1e3",
        "True",
    ],
    *[
        "1:2:3",
        "1:2:10000000000:log",
        "1:2:2:lin",
        "0:1:5",
        "1e-300:1e300:5",
        "-1:1:3:lin",
        "$x$",
        "--",
        "-x",
    ],
    *_NASTY,
]
# numbers that are small, since so much work is done, or so large that they have to be refused
WHOLE = ["1", "2", "3", "0", "-1", "1e0", "2.0", "2.5", "nan", "inf", "1e400", "x", *_NASTY]
MANY = ["1e10", "1e23"]
_NAMES = ["", "$x$", "a\nb", "\udcff", "-x", "x" * 260]
TASKS = [
    *[
        "teacher-student",
        "addition",
        "own:task",
        "own:network",
        "own:nothing",
        "nowhere:task",
        ":",
        "::",
        "os:getcwd",
    ],
    *["../own:task", "own.py:task"],
    *_NAMES,
]
INPUTS = [
    *[
        "plane.nc",
        "runs.nc",
        "path.nc",
        "teacher-student",
        "addition",
        "exists.nc",
        "folder.nc",
        "nowhere.nc",
        ".",
        "/",
        "own.py",
    ],
    *["$x$ \udcff.nc", "a\nb.nc", "x" * 260 + ".nc", "/dev/null", *_NAMES],
]
OUTPUTS = [
    *[
        "new.nc",
        "new.png",
        "new.csv",
        "new.svg",
        "$x$.png",
        "$x$.nc",
        "exists.nc",
        "exists.png",
        "folder.nc",
        ".",
        "/",
        "new",
        "new.txt",
    ],
    *["nowhere/new.nc", "-x.nc", "/dev/null", "plane.nc", "exists.nc/new.nc", "report"],
    *["\udcff.nc", "\udcff.png", "a\nb.png", "x" * 260 + ".nc", "x" * 260 + ".png", "x" * 250 + ".nc"],
    *_NAMES,
]
WORDS = ["small", "official", "x", "0", *_NAMES]

BASE: Mapping[str, Mapping[str, list[str]]] = {
    "predict": {
        "landscape": ["plane.nc"],
        "gamma": ["1e-3"],
        "eta_d": ["1e-2"],
        "alpha": ["3"],
        "m": ["0.1"],
    },
    "whatif": {
        "landscape": ["plane.nc"],
        "gamma": ["1e-3", "1"],
        "eta_d": ["1e-2"],
        "alpha": ["3"],
        "m": ["0.1"],
    },
    "recommend": {
        "landscape": ["teacher-student"],
        "budget": ["20000"],
        "eta_d": ["3e-4"],
        "alpha": ["3"],
        "seed": ["0"],
    },
    "sample": {
        "task": ["teacher-student"],
        "alpha": ["1:4:4"],
        "seeds": ["1"],
        "steps": ["2"],
        "output": ["new.nc"],
        "quiet": [],
        "workers": ["1"],
    },
    "sample-path": {
        "task": ["teacher-student"],
        "alpha": ["2"],
        "seeds": ["1"],
        "refit": ["2"],
        "tau": ["0.02"],
        "fit_steps": ["2"],
        "output": ["new.nc"],
        "quiet": [],
        "workers": ["1"],
    },
    "train": {
        "task": ["teacher-student"],
        "gamma": ["1"],
        "alpha": ["2"],
        "seeds": ["1"],
        "steps": ["2"],
        "output": ["new.nc"],
        "quiet": [],
        "workers": ["1"],
    },
    "measure": {"runs": ["runs.nc"]},
    "compare": {"landscape": ["teacher-student"], "runs": ["runs.nc"]},
    "figure": {"name": ["gradients"], "landscape": ["plane.nc"], "output": ["new.png"]},
    "tasks": {},
}
_SLOW = {"steps", "refit", "seeds", "tau", "dtau", "fit_steps", "budgets", "p", "d_model", "dim"}


def options_of(name: str) -> list[Option]:
    """The options of a command, as it declares them."""
    one = COMMANDS[name]
    found = [option for group in one.options.values() for option in group]
    return found + (list(task_settings()) if one.task else [])


def values_of(option: Option) -> list[str]:
    """What is given for an option."""
    if option.name == "task":
        return TASKS
    if option.name in ("landscape", "runs", "path", "write"):
        return INPUTS
    if option.name == "output":
        return OUTPUTS
    if option.name in _SLOW:
        return WHOLE + (MANY if option.name == "seeds" else [])
    if option.choices:
        return [*option.choices, *WORDS]
    if option.type is int:
        return WHOLE
    return WORDS if option.type is str and not option.ranges else NUMBERS


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command that would be right, with one to three of its options given another way or left out."""
    name = draw(st.sampled_from(sorted(BASE)))
    chosen: dict[str, list[str] | None] = dict(BASE[name])
    options = options_of(name)
    for option in draw(st.lists(st.sampled_from(options), min_size=1, max_size=3)):
        if option.name == "compiled":  # takes the compiler's half minute
            continue
        if option.type is bool:
            chosen[option.name] = [] if chosen.get(option.name) is None else None
            continue
        most = 3 if option.many or option.ranges else 1
        few = st.lists(st.sampled_from(values_of(option)), min_size=0 if most > 1 else 1, max_size=most)
        given_ = draw(st.one_of(few, few, few, st.none()))
        if given_ is not None or option.name not in _SLOW:  # whose defaults are real work
            chosen[option.name] = given_
    placed, flagged = [], []
    for option in options:
        given_ = chosen.get(option.name)
        if given_ is None:
            continue
        joined = draw(st.booleans()) and len(given_) == 1 and not option.positional
        if option.positional:
            placed += given_
        elif joined:
            flagged.append(f"{option.flag}={given_[0]}")
        else:
            flagged += [option.flag, *given_]
    return [name, *placed, *flagged]


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(p): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def try_line(outcomes: Outcomes, argv: list[str], folder: Path) -> str:
    """Run a command in the folder. What it refuses leaves nothing behind; what it made is removed."""
    before = contents(folder)
    with _in(folder), _tame(folder):
        found = command(outcomes, argv, main)
    after = contents(folder)
    new = [name for name in after if name not in before and "__pycache__" not in name]
    if found != "right" and (new or any(after.get(name) != content for name, content in before.items())):
        found = outcomes.add(" ".join(argv), ELSE, f"left {new} or changed what was there")
    for name in sorted(new, reverse=True):
        Path(name).rmdir() if Path(name).is_dir() else Path(name).unlink()
    for name, content in before.items():
        if content is not None and after.get(name) != content:
            Path(name).write_bytes(content)
    return found


@contextlib.contextmanager
def _tame(folder: Path) -> Iterator[None]:
    """Without recipes, which take minutes, and without downloads."""
    with (
        mock.patch("groktime.recipes.runner.run_recipe", lambda *_, **__: None),
        mock.patch.dict(os.environ, GROKTIME_DATA=str(folder / "folder.nc")),
    ):
        yield


# --- calls ----------------------------------------------------------------------------------------


class Mute:
    """Cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


_SPACE = {
    "np": np, "pd": pd, "torch": torch, "Decimal": Decimal, "Fraction": Fraction, "Path": Path,
    "itertools": itertools, "Mute": Mute,
}  # fmt: skip
_TEXTS = """
    0|1|2|3|4.0|0.3|-1|-0.0|5e-324|1e308|10**23|10**400|10**5000|-10**400|float('nan')|float('inf')|1j
    True|np.True_|None|[0.3]|'0.3'|Decimal('0.3')|Decimal('nan')|Decimal('sNaN')|Fraction(3, 10)
    np.float32(0.3)|np.float64(2)|np.int8(2)|np.array(0.3)|np.array([0.3, 0.4])|np.array([1, 2])
    np.array('0.3')|np.array([True])|np.eye(2)|np.array([])|np.ma.masked
    np.ma.array([1.0, 2.0], mask=[True, False])|np.datetime64(1, 's')|np.complex64(1)|np.longdouble(2)
    torch.tensor(0.3)|torch.tensor(2)|torch.tensor([1.0, 2.0])|torch.tensor(True)|torch.tensor(1j)
    torch.zeros(0)|torch.tensor(0.3, requires_grad=True)|range(2)|range(0)|range(1, 2)|range(10**12)
    range(10**23)|{0, 1}|{'a': 1}|{}|(x for x in (1, 2))|itertools.count()|pd.Series([0, 1])
    pd.Series([0.3])|pd.DataFrame({'1': [2]})|pd.NA|pd.Index([1])|'x'|''|'0123'|'1_0'|'a\\nb'|'$x$'
    b'1'|bytearray(b'1')|[]|()|[[1], [2, 3]]|[[0.3]]|[None]|[1, 'x']|[1, 1]|[2, 1]|[0, True]
    [float('nan')]|[10**23]|['0.3', '0.4']|object()|Mute()|[Mute()]|int|len|lambda: 1|Path('x')
    Path('.')|...|'nowhere/x.nc'|'a\\0b.nc'|'loss'|'accuracy'|torch.float64|torch.device('cpu')
    'cuda:99'|'meta'|'hpu'|np.str_('loss')
"""
VALUES: Mapping[str, Callable[[], Any]] = {
    text.strip(): functools.partial(eval, text.strip(), _SPACE)
    for text in _TEXTS.replace("\n", "|").split("|")
    if text.strip()
}


def _kept(result: Any) -> bool:
    """Whether a result can be shown, and be written as JSON."""
    if hasattr(result, "report"):
        assert result.report()
    json.dumps(result.to_dict(), allow_nan=False)
    return "\n" not in repr(result)


def _table(result: Any) -> bool:
    return bool(json.dumps(result.to_dict(), default=str))


def _grid() -> dict[str, Any]:
    alpha = np.linspace(1, 4, 5)
    loss = np.exp(alpha - 4)
    return {"alpha": alpha, "train_loss": loss, "test_loss": loss, "test_accuracy": 1 - loss / 2, "w0": 9.0}


_OPTIONS = {
    "n_train": None,
    "sampled_steps": None,
    "seed": None,
    "threshold": None,
    "metric": "accuracy",
    "implicit": 0.0,
}
_FLOW = {"level": 0.05, "m_rate": "eq6", "wall": False}
_START = {"gamma": 0.1, "eta_d": 3e-4, "alpha": 3.0, "eta_r": None, "m": None}
_NETWORKS = {
    "task": "teacher-student",
    "alpha": 2.0,
    "seeds": [0],
    "n_train": None,
    "out": None,
    "overwrite": False,
    "machine": gt.Machine(progress=False, workers=1),
}
_RUN = {"m": 1.0, "eta_r": None, "eta_d": 1e-3, "dtype": "float32"}
CALLS: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any], Callable[[Any], bool]]] = {
    "predict": (gt.predict, {"source": "teacher-student", **_START, **_OPTIONS, **_FLOW}, _kept),
    "predict path": (gt.predict, {"source": "path.nc", **_START, **_OPTIONS}, _kept),
    "what_if": (
        gt.what_if,
        {"source": "plane.nc", **_START, "alpha": 3.0, "m": 0.1, **_OPTIONS, **_FLOW},
        _table,
    ),
    "recommend": (
        gt.recommend,
        {
            "source": "teacher-student",
            "budget": 20_000,
            "eta_d": 3e-4,
            "alpha": 3.0,
            **_OPTIONS,
            "seed": 0,
        },
        _kept,
    ),
    "measure": (
        gt.measure,
        {
            "runs": "runs.nc",
            "threshold": None,
            "persist": 3,
            "metric": "accuracy",
            "train_threshold": None,
            "rule": "first",
        },
        _table,
    ),
    "compare": (
        gt.compare,
        {
            "sources": "teacher-student",
            "runs": "runs.nc",
            "threshold": None,
            "metric": "accuracy",
            "persist": 3,
            "rule": "persist",
            "train_threshold": None,
            "level": 0.05,
            "m_rate": "eq6",
            "sampled_steps": None,
        },
        _table,
    ),
    "train": (
        gt.train,
        {
            **_NETWORKS,
            **_RUN,
            "gamma": 1.0,
            "steps": 2,
            "optimizer": "adamw",
            "representation": "fixed",
            "resolution": 0.02,
            "stop_at": None,
            "constrained": False,
            "paired": False,
            "batch": 0,
        },
        _kept,
    ),
    "sample": (
        gt.sample,
        {
            **_NETWORKS,
            "alpha": [1, 2, 3, 4],
            "m": [1.0],
            "steps": 2,
            "budgets": None,
            "gradient": "tangent",
            "start": "fresh",
            "refine": 0,
        },
        _kept,
    ),
    "sample_path": (
        gt.sample_path,
        {
            **_NETWORKS,
            **_RUN,
            "dtau": 0.01,
            "refit": 2,
            "tau": 0.02,
            "fit": "along",
            "optimizer": "adamw",
            "representation": "fixed",
            "stop_at": None,
            "fit_steps": 2,
            "fit_loss": None,
            "batch": 0,
        },
        _kept,
    ),
    "integrate_networks": (
        integrate_networks,
        {
            **_NETWORKS,
            **_RUN,
            "gamma": 1.0,
            "steps": 2,
            "start": 2,
            "inner": 2,
            "du": 0.005,
            "dm": 0.002,
            "m_rate": "eq6",
            "turns": 2,
            "rate": None,
            "resolution": 0.02,
            "stop_at": None,
            "paired": False,
        },
        _kept,
    ),
    "implicit_decay": (
        gt.implicit_decay,
        {"path": "path.nc", "runs": "runs.nc", "metric": "accuracy", "gamma": 1},
        repr,
    ),
    "Machine": (
        gt.Machine,
        {
            "device": "auto",
            "members": None,
            "workers": None,
            "executor": None,
            "compiled": False,
            "progress": True,
        },
        repr,
    ),
    "from_arrays": (
        gt.Landscape.from_arrays,
        {
            **_grid(),
            "m": None,
            "train_accuracy": None,
            "delta_norm": None,
            "task": "mine",
            "loss": "mse",
            "threshold": 0.95,
        },
        _kept,
    ),
    "plot": (gt.plot, {"x": "teacher-student", "file": None, "kind": None, "overwrite": False}, repr),
    "plot path": (
        gt.plot,
        {"x": "path.nc", "alpha": None, "n_train": None, "m": None, "metric": "loss"},
        repr,
    ),
    "plot runs": (gt.plot, {"x": "runs.nc", "metric": "loss", "kind": "runs"}, repr),
    "plot plane": (gt.plot, {"x": "plane.nc", "seed": 0, "field": "test_loss", "n_train": None}, repr),
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A function by name, and which values it is given instead of one or two of its usual arguments."""
    name = draw(st.sampled_from(sorted(CALLS)))
    some = draw(st.lists(st.sampled_from(sorted(CALLS[name][1])), min_size=1, max_size=2, unique=True))
    return name, {argument: draw(st.sampled_from(sorted(VALUES))) for argument in some}


def try_call(outcomes: Outcomes, name: str, changed: Mapping[str, str], folder: Path) -> str:
    """Call the function in the folder; what it made is removed."""
    function, usual, good = CALLS[name]
    arguments = dict(usual) | {k: VALUES[text]() for k, text in changed.items()}
    label = f"{name.replace(' ', '-')} {dict(changed)}"
    before = contents(folder)
    with _in(folder):
        found = tried(outcomes, label, lambda: function(**arguments), (), lambda result: bool(good(result)))
    after = contents(folder)
    new = [each for each in after if each not in before and "__pycache__" not in each]
    if new and (found != "right" or ("out" not in changed and "file" not in changed)):
        found = outcomes.add(label, ELSE, f"left {new}")
    for each in sorted(new, reverse=True):
        Path(each).rmdir() if Path(each).is_dir() else Path(each).unlink()
    import matplotlib.pyplot as plt

    plt.close("all")
    return found


# --- the long run ---------------------------------------------------------------------------------


def _many(count: int, start: int, drawn: st.SearchStrategy[Any], attempt: Callable[[Any], object]) -> None:
    if not count:
        return

    @seed(start)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(drawn)
    def each(some: Any) -> None:
        attempt(some)

    each()


def run(n_lines: int = 2000, n_calls: int = 2000, start: int = 0) -> int:
    """Print the outcomes; 1 where there was anything else."""
    folder = Path(tempfile.mkdtemp(prefix="groktime-fuzz-"))
    prepare(folder)
    of_lines, of_calls = Outcomes(told=True), Outcomes(told=True)
    _many(n_lines, start, lines(), lambda argv: try_line(of_lines, argv, folder))
    _many(n_calls, start, calls(), lambda one: try_call(of_calls, *one, folder))
    print(of_lines.report("Command lines"))
    print(of_calls.report("Calls"))
    shutil.rmtree(folder)
    return int(bool(of_lines.counts[ELSE] or of_calls.counts[ELSE]))


if __name__ == "__main__":
    sys.exit(run(*map(int, sys.argv[1:])))
