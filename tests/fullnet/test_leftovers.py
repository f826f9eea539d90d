"""What a run leaves beside its file when it dies, and what the next call makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from remains import content, equal, folder_of, names_in, pieces_of

from groktime.fullnet.engine.parts import Parts
from groktime.fullnet.machine import Machine
from groktime.fullnet.sampler import sample
from groktime.fullnet.tasks import teacher_student
from groktime.reduced.errors import InputError

SMALL: dict[str, Any] = {
    "alpha": [0.5, 1.0, 2.0, 4.0], "seeds": [0], "steps": 3, "machine": Machine(workers=1, progress=False),
}  # fmt: skip


class Dead(BaseException):
    """Raised where a process is to die."""


REMOVALS = ("unlink", "rename", "rmdir")  # by which everything leaves its place


def dying(monkeypatch: pytest.MonkeyPatch, at: Callable[[], bool]) -> None:
    """Nothing is removed or renamed any more, once this is so."""
    for name in REMOVALS:
        usual = getattr(os, name)

        def dead(*given: object, usual: Callable[..., object] = usual, **options: object) -> object:
            if at():
                raise Dead
            return usual(*given, **options)

        monkeypatch.setattr(os, name, dead)


def test_what_a_killed_run_left_beside_its_file_goes_with_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each of the removals that follow the writing of the file."""
    task = teacher_student(n_train=5)
    for number in range(20):
        out = tmp_path / f"{number}.nc"
        with monkeypatch.context() as patch:
            removals = 0

            def at(number: int = number, out: Path = out) -> bool:
                nonlocal removals
                removals += out.exists()
                return removals > number

            dying(patch, at)
            died = False
            try:
                sample(task, **SMALL, out=out)
            except Dead:
                died = True
        before = out.read_bytes()
        assert died == (len(names_in(tmp_path)) > 1)
        with pytest.raises(InputError, match="exists already"):
            sample(task, **SMALL, out=out)
        assert names_in(tmp_path) == [out.name]
        assert out.read_bytes() == before
        out.unlink()
        if not died:
            break
    # the file's other name; the folder's name; a piece, the configuration, the mark, the lock; the folder
    assert number == 7


def test_pieces_of_a_finished_run_never_pass_for_those_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is about to be removed, and the file is: other settings begin from nothing."""
    out, task = tmp_path / "a.nc", teacher_student(n_train=5)
    with monkeypatch.context() as patch:
        dying(patch, out.exists)
        with pytest.raises(Dead):
            sample(task, **SMALL, out=out)
    assert pieces_of(out)
    out.unlink()
    (folder_of(out) / "whole").unlink()
    other = {**SMALL, "steps": 4}
    land = sample(task, **other, out=out)
    whole = sample(task, **other, out=tmp_path / "b.nc")
    equal(land.dataset, whole.dataset)
    assert names_in(tmp_path) == ["a.nc", "b.nc"]


def test_an_unfinished_overwriting_is_kept_by_a_call_that_may_not_overwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, task = tmp_path / "a.nc", teacher_student(n_train=5)
    old = sample(task, **SMALL, out=out).dataset
    new = {**SMALL, "steps": 4}
    with monkeypatch.context() as patch:

        def dead(*_: object) -> None:
            raise Dead

        patch.setattr(Parts, "finish", dead)
        with pytest.raises(Dead):
            sample(task, **new, out=out, overwrite=True)
    kept = pieces_of(out)
    assert kept
    with pytest.raises(InputError, match="exists already"):
        sample(task, **new, out=out)
    assert pieces_of(out) == kept
    equal(content(out), old)
    sample(task, **new, out=out, overwrite=True)
    assert int(content(out)["budget"][-1]) == 4
    assert names_in(tmp_path) == ["a.nc"]


def test_a_file_that_came_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, task = tmp_path / "a.nc", teacher_student(n_train=5)
    with monkeypatch.context() as patch:
        usual = Parts.save

        def meanwhile(self: Parts, *rest: object) -> None:
            out.write_bytes(b"somebody's work")
            usual(self, *rest)  # type: ignore[arg-type]

        patch.setattr(Parts, "save", meanwhile)
        with pytest.raises(InputError, match="exists already"):
            sample(task, **SMALL, out=out)
    assert out.read_bytes() == b"somebody's work"
    assert pieces_of(out)
    out.unlink()
    sample(task, **SMALL, out=out)
    assert names_in(tmp_path) == ["a.nc"]
