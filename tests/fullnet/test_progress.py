"""Progress: a bar on a terminal, a line now and then in a log, nothing where it is not wanted."""

from __future__ import annotations

import io
import sys

import pytest

from groktime.fullnet.engine.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which every look takes half a minute."""
    now = iter(range(0, 10_000, 30))
    monkeypatch.setattr("groktime.fullnet.engine.progress.time.monotonic", lambda: float(next(now)))


@pytest.mark.usefixtures("minutes")
def test_a_line_a_minute_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1000, "sampling") as bar:
        for _ in range(5):
            bar.add(100)
    assert capsys.readouterr().err.splitlines() == [
        "sampling: 20% of 1,000 steps, 3 a second, 04:00 left",
        "sampling: 40% of 1,000 steps, 3 a second, 03:00 left",
    ]


@pytest.mark.usefixtures("minutes")
def test_what_was_done_before_is_no_part_of_the_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1000, "sampling") as bar:
        bar.skip(600)
        bar.add(100)
    assert capsys.readouterr().err == "sampling: 70% of 1,000 steps, 2 a second, 03:00 left\n"


@pytest.mark.usefixtures("minutes")
def test_silent_where_it_is_not_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1000, "sampling", show=False) as bar:
        for _ in range(5):
            bar.add(100)
    assert capsys.readouterr().err == ""


def test_short_work_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1000, "sampling") as bar:
        bar.add(1000)
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("groktime.fullnet.engine.progress.tqdm", lambda **words: bars.append(words) or made)
    bars: list[dict[str, object]] = []
    made = Bar()
    with Progress(1000, "sampling") as bar:
        bar.skip(400)
        bar.add(600)
    assert made.initial == 400
    assert [words["disable"] for words in bars] == [False]
    assert terminal.getvalue() == ""


class Bar:
    """What `Progress` asks of tqdm."""

    disable, initial = False, 0

    def update(self, done: int) -> None: ...

    def close(self) -> None: ...
