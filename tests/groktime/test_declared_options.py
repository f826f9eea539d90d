"""Every option is declared once, with the defaults of the function and of the tasks that it is of."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable
from typing import Any

import pytest

import groktime
import groktime.fullnet.decay_path
import groktime.fullnet.forecast
import groktime.fullnet.sampler
import groktime.fullnet.tasks
import groktime.fullnet.trainer
import groktime.reduced.prediction
import groktime.reduced.what_if
import groktime.validation.compare
import groktime.validation.measure
from groktime.cli import parser
from groktime.commands import COMMANDS, sample, whatif
from groktime.fullnet.built_in import BUILT_IN
from groktime.networks import task_settings
from groktime.option import Command, given, shown_default
from groktime.options import WHICH


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_has_a_description_and_an_example_that_runs(command: Command) -> None:
    assert command.help and command.description.endswith(".")
    _, name, *words = shlex.split(command.example)
    assert parser().parse_args([name, *words]).command == name == command.name


FUNCTIONS: dict[str, list[Callable[..., Any]]] = {
    "predict": [groktime.reduced.prediction.predict],
    "whatif": [groktime.reduced.what_if.what_if],
    "sample": [groktime.fullnet.sampler.sample],
    "sample-path": [groktime.fullnet.decay_path.sample_path],
    "forecast": [groktime.fullnet.forecast.forecast],
    "train": [groktime.fullnet.trainer.train],
    "measure": [groktime.validation.measure.measure],
    "compare": [groktime.validation.compare.compare],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_shows_the_defaults_of_the_functions(name: str) -> None:
    for function in FUNCTIONS[name]:
        parameters = inspect.signature(function).parameters
        shown = {o.name: o.default for group in COMMANDS[name].options.values() for o in group}
        for option in set(shown) & set(parameters) - {"seeds"}:
            default = parameters[option].default
            if isinstance(default, str | float | int | tuple) and not isinstance(default, bool):
                expected = default[0] if default == (1.0,) else default
                assert shown_default(shown[option]) == shown_default(expected), option


@pytest.mark.parametrize(("task", "name"), [(t, n) for t, b in BUILT_IN.items() for n in b.settings])
def test_help_shows_the_defaults_of_the_tasks(task: str, name: str) -> None:
    setting = BUILT_IN[task].settings[name]
    function = getattr(groktime.fullnet.tasks, BUILT_IN[task].function)
    default = inspect.signature(function).parameters[name].default
    if default is not None:
        assert default == setting.default
    assert not setting.choices or default in (None, *setting.choices)


def test_options_of_the_tasks_come_from_the_tasks() -> None:
    """One of each name, however many tasks have it; of one type."""
    options = task_settings()
    assert [o.name for o in options] == list(dict.fromkeys(n for b in BUILT_IN.values() for n in b.settings))
    for option in options:
        settings = [b.settings[option.name] for b in BUILT_IN.values() if option.name in b.settings]
        assert len({setting.type for setting in settings}) == 1
        assert all(f"{task}" in option.help for task, b in BUILT_IN.items() if option.name in b.settings)


def test_only_what_is_given_is_handed_on() -> None:
    words = "whatif x.nc --gamma 0 1e-2:1:3 --eta-d 1e-3 --alpha 2 --seed 0"
    options = parser().parse_args(words.split())
    assert given(options, whatif.LANES) == {
        "gamma": pytest.approx([0, 0.01, 0.1, 1]),
        "eta_d": [1e-3],
        "alpha": [2.0],
    }
    assert given(options, WHICH) == {"seed": 0}
    assert given(
        parser().parse_args(["sample", "x", "--alpha", "1", "--refine", "0", "-o", "x.nc"]), sample.SPHERES
    ) == {"refine": 0}


def test_the_drift_is_measured_at_the_decays_that_are_asked_for() -> None:
    from groktime.reduced.drift import CUTOFFS

    def asked(*words: str) -> dict[str, object]:
        return given(
            parser().parse_args(["sample", "x", "--alpha", "1", *words, "-o", "x.nc"]), sample.SPHERES
        )

    assert asked() == {}
    assert asked("--drift") == {"drift": True}
    assert asked("--drift", "--refine", "1") == {"drift": True, "refine": 1}
    assert asked("--drift", "0.3", "1") == {"drift": [0.3, 1.0]}
    (option,) = (each for each in sample.SPHERES if each.name == "drift")
    assert option.default == CUTOFFS
