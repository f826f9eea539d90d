"""Command lines with odd arguments; options are read from the commands, so that new ones are tried, too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from unittest import mock

from hypothesis import strategies as st
from outcome import ELSE, SENTENCE, Outcomes, command
from place import contents, inside, restore
from values import FIGURES, INPUTS, MANY, NUMBERS, OUTPUTS, TASKS, WHOLE, WORDS

from groktime.cli import main
from groktime.commands import COMMANDS
from groktime.networks import task_settings
from groktime.option import Option

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
    "explore": {
        "landscape": ["teacher-student"],
        "gamma": ["0.1"],
        "eta_d": ["3e-4"],
        "alpha": ["3", "4"],
        "seed": ["0"],
        "output": ["new.html"],
        "quiet": [],
    },
    "forecast": {
        "task": ["teacher-student"],
        "gamma": ["1"],
        "seeds": ["1"],
        "steps": ["30"],
        "fit_steps": ["2"],
        "output": ["new.nc"],
        "quiet": [],
        "workers": ["1"],
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
    "check": {"runs": ["runs.nc"]},
    "import": {"logs": ["log.csv"], "output": ["new.nc"]},
    "compare": {"landscape": ["teacher-student"], "runs": ["runs.nc"]},
    "figure": {"name": ["lu"], "landscape": ["teacher-student"], "output": ["new.png"]},
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
    if option.name in ("landscape", "runs", "path", "write", "logs", "from"):
        return INPUTS
    if option.name == "name":
        return FIGURES
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
        given = draw(st.one_of(few, few, few, st.none()))
        if given is not None or option.name not in _SLOW:  # whose defaults are real work
            chosen[option.name] = given
    return spelled(name, chosen, draw(st.sets(st.sampled_from([option.name for option in options]))))


def spelled(name: str, chosen: Mapping[str, list[str] | None], joined: Collection[str] = ()) -> list[str]:
    """A command's words, of the values of its options; those `joined` to their flags by =."""
    placed, flagged = [], []
    for option in options_of(name):
        words = chosen.get(option.name)
        if words is None:
            continue
        if option.positional:
            placed += words
        elif option.name in joined and len(words) == 1:
            flagged.append(f"{option.flag}={words[0]}")
        else:
            flagged += [option.flag, *words]
    return [name, *placed, *flagged]


def try_line(outcomes: Outcomes, argv: list[str], folder: Path) -> str:
    """Run a command in the folder. What it refuses leaves nothing behind; what it made is removed."""
    before = contents(folder)
    with inside(folder), _tame(folder):
        found = command(outcomes, argv, main)
    left = restore(folder, before)
    if found == SENTENCE and left:
        found = outcomes.add(" ".join(argv), ELSE, f"left or changed {left}")
    return found


@contextlib.contextmanager
def _tame(folder: Path) -> Iterator[None]:
    """Without recipes, which take minutes, and without downloads."""
    with (
        mock.patch("groktime.recipes.runner.run_recipe", lambda *_, **__: None),
        mock.patch.dict(os.environ, GROKTIME_DATA=str(folder / "folder.nc")),
    ):
        yield
