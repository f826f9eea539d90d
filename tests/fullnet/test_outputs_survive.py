"""Two commands on one output, strangers' files, links, inputs, and pieces that are not what they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from torch import nn

import groktime as gt
from groktime.cli import main
from groktime.fullnet.engine.parts import Checkpoint, Parts
from groktime.fullnet.procedures.training import Training
from groktime.fullnet.tasks import teacher_student
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError

ROOT = Path(__file__).parents[2]
MACHINE = gt.Machine("cpu", members=2, workers=1, progress=False)
RUNS: dict[str, Any] = {"gamma": 0.1, "alpha": [1.0, 2.0], "seeds": [0, 1], "steps": 30, "machine": MACHINE}
TASK = teacher_student(n_train=5)
LAND = ("teacher-student", "--gamma", "0.1", "--eta-d", "3e-4", "--alpha", "3")


def begun(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "groktime", *words],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def stopped(folder: Path, monkeypatch: pytest.MonkeyPatch, at: int = 45, **changes: Any) -> Path:
    """A training that Ctrl-C stopped in its second piece of two."""
    step, calls = Training.step, 0

    def stops(self: Training, state: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        return step(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", stops)
        patch.setattr("groktime.fullnet.job.CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            train(TASK, **RUNS | changes, out=folder / "a.nc")
    return folder / "a.nc.parts"


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that are taken from here on."""
    step, steps = Training.step, [0]

    def counts(self: Training, state: Any) -> int:
        steps[0] += 1
        return step(self, state)

    monkeypatch.setattr(Training, "step", counts)
    return steps


def test_two_commands_on_one_output_are_never_mixed(tmp_path: Path) -> None:
    """The second is refused in one line, also when the first was killed in between and it comes again."""
    words = ["train", "teacher-student", "--n-train", "20", "--eta-d", "3e-3", "--alpha", "2", "--quiet"]
    words += ["--seeds", "2", "--steps", "400000", "--workers", "1", "--device", "cpu", "-o", "out.nc"]
    both = [begun(tmp_path, *words, "--gamma", gamma) for gamma in ("0", "30")]
    until = time.monotonic() + 120
    while all(one.poll() is None for one in both) and time.monotonic() < until:
        time.sleep(0.05)
    (late,) = (one for one in both if one.poll() is not None)
    (first,) = (one for one in both if one.poll() is None)
    said, error = late.communicate()
    assert (late.returncode, said) == (2, "")
    assert error.startswith("groktime train: out.nc.parts: another command is at work on this output")
    assert error.count("\n") == 1
    first.send_signal(signal.SIGTERM)
    said, error = first.communicate()
    assert (first.returncode, said) == (143, "")
    assert error == "groktime train: stopped; the same command goes on from here\n"
    names = sorted(p.name for p in (tmp_path / "out.nc.parts").iterdir())
    assert names == ["configuration.json", "lock", "train-2-0.checkpoint.npz"]
    gamma = "30" if first is both[0] else "0"
    with pytest.raises(InputError, match="holds an unfinished run with other settings"):
        task = teacher_student(n_train=20)
        machine = gt.Machine("cpu", workers=1, progress=False)
        train(
            task, gamma=float(gamma), eta_d=3e-3, alpha=2.0, seeds=[0, 1], steps=400000, machine=machine,
            out=tmp_path / "out.nc",
        )  # fmt: skip


@pytest.mark.parametrize(
    "number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_while_all_is_still_imported(tmp_path: Path, number: int, status: int) -> None:
    """At moments up to which Python itself has begun."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("ignored here, as under nohup, and so by the command")
    for moment in (0.0, 0.3):
        process = begun(tmp_path, "train", "teacher-student", "--gamma", "1", "--alpha", "2", "--steps", "9",
                        "-o", "out.nc")  # fmt: skip
        ours = Path(f"/proc/{process.pid}/maps")
        until = time.monotonic() + 60
        while not _handles(process.pid, number) and time.monotonic() < until:
            time.sleep(0.002)
        if not ours.exists() or process.poll() is not None:
            pytest.skip("too slow a look")
        time.sleep(moment)
        process.send_signal(number)
        said, error = process.communicate()
        assert (process.returncode, said) == (status, ""), error
        assert error in ("groktime: stopped\n", "groktime train: stopped\n")
    assert list(tmp_path.iterdir()) == []


def _handles(process: int, number: int) -> bool:
    """Whether a process has a handler of its own, one of ours: Python's first is that of Ctrl-C alone."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        pytest.skip("no /proc here")
    (caught,) = [line for line in status.read_text().splitlines() if line.startswith("SigCgt")]
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1 and number)


@pytest.mark.parametrize("name", ["notes.txt", "train-2-0.npz"])
def test_a_stranger_s_folder_is_refused_and_stays(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a.nc.parts"
    folder.mkdir()
    (folder / name).write_text("somebody's")
    with pytest.raises(InputError, match=r"a\.nc\.parts: .*no unfinished work of groktime"):
        train(TASK, **RUNS, out=tmp_path / "a.nc")
    assert [p.read_text() for p in folder.iterdir()] == ["somebody's"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc.parts"]


def test_a_stranger_s_file_among_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stopped(tmp_path, monkeypatch)
    (folder / "notes.txt").write_text("somebody's")
    with pytest.raises(InputError, match=r"a\.nc\.parts: holds notes\.txt, which is no"):
        train(TASK, **RUNS, out=tmp_path / "a.nc")
    assert (folder / "notes.txt").read_text() == "somebody's"
    (folder / "notes.txt").unlink()
    train(TASK, **RUNS, out=tmp_path / "a.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def _edited(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    with np.load(path) as kept:
        arrays = dict(kept)
    edit(arrays)
    np.savez(path.with_suffix(""), **arrays)


def nan_weights(arrays: dict[str, Any]) -> None:
    name = next(n for n in ("members flat", "train_loss") if n in arrays)
    arrays[name] = np.full_like(arrays[name], np.nan)


def negative_step(arrays: dict[str, Any]) -> None:
    name = next(n for n in ("members step", "steps_done") if n in arrays)
    arrays[name] = -np.ones_like(arrays[name])


def other_shape(arrays: dict[str, Any]) -> None:
    name = next(n for n in ("members flat", "train_loss") if n in arrays)
    arrays[name] = arrays[name][:1]


def no_digest(arrays: dict[str, Any]) -> None:
    del arrays["digest"]


def no_array(arrays: dict[str, Any]) -> None:
    del arrays[next(n for n in ("done", "w0") if n in arrays)]


def one_bit(arrays: dict[str, Any]) -> None:
    name = next(n for n in ("members flat", "train_loss") if n in arrays)
    arrays[name] = arrays[name].copy()
    arrays[name].view(np.uint8).reshape(-1)[3] ^= 1


@pytest.fixture(scope="module")
def whole() -> gt.Runs:
    return train(TASK, **RUNS)


@pytest.mark.parametrize("edit", [nan_weights, negative_step, other_shape, no_digest, no_array, one_bit])
def test_a_piece_that_was_rewritten_is_computed_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: gt.Runs,
    edit: Callable[[dict[str, Any]], None],
) -> None:
    folder = stopped(tmp_path, monkeypatch)
    for name in ("train-2-0.npz", "train-2-1.checkpoint.npz"):
        _edited(folder / name, edit)
    steps = counted(monkeypatch)
    again = train(TASK, **RUNS, out=tmp_path / "a.nc")
    xr.testing.assert_identical(again.dataset, whole.dataset)
    assert steps[0] == 30 + 30
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def test_a_piece_as_it_was_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: gt.Runs
) -> None:
    stopped(tmp_path, monkeypatch)
    steps = counted(monkeypatch)
    again = train(TASK, **RUNS, out=tmp_path / "a.nc")
    xr.testing.assert_identical(again.dataset, whole.dataset)
    assert steps[0] == 16


def test_pieces_of_other_settings_or_names_are_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: gt.Runs
) -> None:
    """Neither under the name of another piece, nor in the folder of another γ, nor of another network."""
    folder = stopped(tmp_path, monkeypatch)
    strange = (folder / "train-2-0.npz").read_bytes()
    (folder / "train-2-1.npz").write_bytes(strange)
    again = train(TASK, **RUNS, out=tmp_path / "a.nc")
    xr.testing.assert_identical(again.dataset, whole.dataset)
    other = RUNS | {"gamma": 0.3}
    folder = stopped(tmp_path, monkeypatch, at=5, gamma=0.3, overwrite=True)
    (folder / "train-2-0.npz").write_bytes(strange)
    again = train(TASK, **other, out=tmp_path / "a.nc", overwrite=True)
    xr.testing.assert_identical(again.dataset, train(TASK, **other).dataset)
    narrow = replace(TASK, network=lambda: nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 5)))
    folder = stopped(tmp_path, monkeypatch, overwrite=True)
    again = train(narrow, **RUNS, out=tmp_path / "a.nc", overwrite=True)
    xr.testing.assert_identical(again.dataset, train(narrow, **RUNS).dataset)


def test_a_checkpoint_of_another_key_or_name_is_none(tmp_path: Path) -> None:
    one = Checkpoint(tmp_path / "one.npz", "key")
    one.save({"a": np.arange(3.0), "b": np.array(2), "c": np.zeros((0, 2))})
    found = one.load()
    assert found is not None and sorted(found) == ["a", "b", "c"] and found["b"] == 2
    assert Checkpoint(tmp_path / "one.npz", "other").load() is None
    (tmp_path / "one.npz").rename(tmp_path / "two.npz")
    assert Checkpoint(tmp_path / "two.npz", "key").load() is None
    assert Checkpoint().load() is None


def test_one_at_a_time_in_a_program_too(tmp_path: Path) -> None:
    one = Parts(tmp_path / "a.nc", {"a": 1})
    with pytest.raises(InputError, match="another command is at work"):
        Parts(tmp_path / "a.nc", {"a": 1})
    one.close()
    assert list(tmp_path.iterdir()) == []  # nothing was kept in it
    Parts(tmp_path / "a.nc", {"a": 2}).close()


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("the user's")
    return path


@pytest.mark.parametrize("kind", ["dangling", "looping", "link", "pipe", "folder", "long", "null"])
def test_what_is_no_output(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.png"
    if kind == "dangling":
        out.symlink_to(tmp_path / "nowhere")
    if kind == "looping":
        out.symlink_to(out)
    if kind == "link":
        out.symlink_to(_file(tmp_path, "theirs.png"))
    if kind == "pipe":
        os.mkfifo(out)
    if kind == "folder":
        out.mkdir()
    if kind == "long":
        out = tmp_path / ("a" * 300 + ".png")
    if kind == "null":
        out = tmp_path / "a\0b.png"
    before = sorted(tmp_path.iterdir())
    assert main(["predict", *LAND, "-o", str(out), "--overwrite"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "out.png" in error.replace("a" * 300, "out").replace("a\\x00b", "out")
    assert sorted(tmp_path.iterdir()) == before
    assert kind != "link" or (tmp_path / "theirs.png").read_text() == "the user's"
    with pytest.raises(InputError):
        train(TASK, **RUNS, out=out, overwrite=True)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("how", ["itself", "spelled", "hard"])
@pytest.mark.parametrize("command", ["predict", "whatif", "measure", "compare"])
def test_an_output_that_is_the_input(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    how: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report").mkdir()
    name = {"predict": "in.png", "whatif": "in.nc", "measure": "in.nc", "compare": "report/table.nc"}[command]
    if command in ("predict", "whatif"):
        gt.open_landscape("teacher-student").save(name)
    else:
        train(TASK, **RUNS, out=name)
    before = Path(name).read_bytes()
    other = {"itself": name, "spelled": f"./report/../{name}", "hard": name.replace("in", "other")}[how]
    if how == "hard" and command != "compare":
        os.link(name, other)
    given = {
        "predict": ["predict", name, *LAND[1:], "-o", other],
        "whatif": ["whatif", name, *LAND[1:], "-o", other],
        "measure": ["measure", name, "-o", other],
        "compare": ["compare", "teacher-student", other, "-o", "report"],
    }[command]
    assert main([*given, "--overwrite"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "the input" in error
    assert Path(name).read_bytes() == before


def test_the_file_of_a_task_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from groktime.fullnet.tasks import teacher_student\ntheirs = teacher_student(n_train=5)\n"
    Path("their_task.py").write_text(text)
    with pytest.raises(InputError, match=r"their_task\.py: is the input"):
        train("their_task:theirs", **RUNS, out="their_task.py", overwrite=True)
    assert Path("their_task.py").read_text() == text


@pytest.mark.parametrize("start", ["fresh", "above"])
def test_a_cell_that_overflows_is_marked(tmp_path: Path, start: str) -> None:
    grid = {"alpha": [0.5, 1.0, 2.0, 1e19], "seeds": [0], "steps": 5, "start": start, "machine": MACHINE}
    gt.sample(TASK, **grid, out=tmp_path / "a.nc")
    land = gt.open_landscape(tmp_path / "a.nc")
    diverged = land["diverged"].values[0, 0, -1, 0].astype(bool)
    assert diverged.tolist() == ([False] * 3 + [True] if start == "fresh" else [True] * 4)
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        np.testing.assert_array_equal(np.isnan(land[name].values[0, 0, -1, 0]), diverged)
    with pytest.raises(InputError, match="the network diverged at alpha"):
        gt.predict(land, gamma=0.1, eta_d=1e-3, alpha=2.0)


def test_what_no_file_can_hold_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = counted(monkeypatch)
    monkeypatch.setattr("groktime.fullnet.procedures.sphere.Spheres.step", Training.step)
    grid = {"alpha": [0.5, 1.0, 2.0, 4.0], "steps": 3, "machine": MACHINE}
    for seeds in ([2**53, 2**53 + 1], [2**70]):
        with pytest.raises(InputError, match="seed"):
            gt.sample(TASK, **grid, seeds=seeds, out=tmp_path / "a.nc")
    with pytest.raises(InputError, match="File name too long"):
        train(TASK, **RUNS, out=tmp_path / ("a" * 250))
    assert steps[0] == 0
    assert list(tmp_path.iterdir()) == []
