"""Odd arguments of commands and functions: the right answer, one sentence, or nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from arguments import run
from calls import CALLS, calls, try_call
from hypothesis import HealthCheck, given, settings
from lines import BASE, lines, options_of, spelled, try_line
from outcome import ELSE, RIGHT, SENTENCE, Outcomes
from place import prepare

from groktime.commands import COMMANDS

BOUNDED = settings(
    max_examples=15, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("arguments")
    prepare(here)
    return here


def test_every_command_is_tried() -> None:
    assert set(BASE) == set(COMMANDS)
    for name, usual in BASE.items():
        assert set(usual) <= {option.name for option in options_of(name)}


@pytest.mark.parametrize("name", sorted(BASE))
def test_usual_lines_are_right(name: str, folder: Path) -> None:
    outcomes = Outcomes()
    assert try_line(outcomes, spelled(name, BASE[name]), folder) == RIGHT, outcomes.failures


@pytest.mark.parametrize("name", sorted(CALLS))
def test_usual_calls_are_right(name: str, folder: Path) -> None:
    outcomes = Outcomes()
    assert try_call(outcomes, name, {}, folder) == RIGHT, outcomes.failures


def test_odd_lines_are_right_or_one_sentence(folder: Path) -> None:
    outcomes = Outcomes()

    @BOUNDED
    @given(lines())
    def each(argv: list[str]) -> None:
        assert try_line(outcomes, argv, folder) != ELSE, outcomes.failures[-1]

    each()
    assert outcomes.counts[SENTENCE] > 3


def test_odd_calls_are_right_or_one_sentence(folder: Path) -> None:
    outcomes = Outcomes()

    @BOUNDED
    @given(calls())
    def each(one: tuple[str, dict[str, str]]) -> None:
        assert try_call(outcomes, *one, folder) != ELSE, outcomes.failures[-1]

    each()
    assert outcomes.counts[SENTENCE] > 3


@pytest.mark.slow
def test_many_odd_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(500, 500, 1)
    assert code == 0, capsys.readouterr().out
