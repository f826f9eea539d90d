"""Long work that is killed, interrupted or out of disk space goes on where it was, and leaves no litter."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from remains import content, equal, folder_of, names_in, pieces_of

from groktime.fullnet.machine import Machine
from groktime.fullnet.sampler import sample
from groktime.fullnet.tasks import teacher_student

ROOT = Path(__file__).parents[2]

# Imports what is needed once, and then forks a process for each line it is given.
SERVER = """
import os, resource, signal, sys
from pathlib import Path
import numpy as np
import groktime.fullnet.job
from groktime.fullnet.engine.parts import Parts
from groktime.fullnet.machine import Machine
from groktime.fullnet.sampler import sample
from groktime.fullnet.tasks import teacher_student
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError

CHECKPOINT_FAILS = 200_000
groktime.fullnet.job.CHECKPOINT_SECONDS = 0.05
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are without
save = Parts.save

def logged(self, name, arrays):
    save(self, name, arrays)
    with Path(f"{self.out}.log").open("a") as log:
        log.write(f"{name}\\n")

Parts.save = logged
task = teacher_student(n_train=20)
usual = dict(seeds=[0, 1, 2], machine=Machine(members=3, workers=2, progress=False))

def work(kind, out):
    if kind == "sample":
        grid = dict(alpha=np.geomspace(0.25, 4, 6), steps=120)
        sample(task, **grid, **usual, refine=1, out=out)
    else:
        grid = dict(gamma=[0.1, 1.0], alpha=[0.5, 2.0], steps=300, stop_at=0.5)
        train(task, **grid, **usual, out=out)

for line in sys.stdin:
    kind, limit, out = line.rstrip("\\n").split(" ", 2)
    child = os.fork()
    if child == 0:
        code = 0
        try:
            if int(limit):
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
            if int(limit) not in (0, CHECKPOINT_FAILS):
                groktime.fullnet.job.CHECKPOINT_SECONDS = 1e9
            work(kind, out)
        except InputError as error:
            code = 2
            sys.stderr.write(f"{error}\\n")
        except BaseException as error:
            code = 1
            sys.stderr.write(f"{error!r}\\n")
        sys.stderr.flush()
        os._exit(code)
    print(child, flush=True)
    sys.stdin.readline()  # until then it is a process of this number, dead or alive
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


class Server:
    """Runs `sample` or `train` of a small task in processes that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.errors = (folder / "errors").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment(),
        )

    def _line(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def run(
        self,
        kind: str,
        out: Path,
        limit: int = 0,
        kill_after: float | None = None,
        by: signal.Signals = signal.SIGKILL,
    ) -> tuple[int, str]:
        """Exit status and what it said; killed so many seconds after its folder is there."""
        assert self.process.stdin is not None
        self.errors.seek(0)
        self.errors.truncate()
        self.process.stdin.write(f"{kind} {limit} {out}\n")
        self.process.stdin.flush()
        child = self._line()
        if kill_after is not None:
            until = time.monotonic() + 60
            while not folder_of(out).exists() and not out.exists() and time.monotonic() < until:
                time.sleep(0.002)
            time.sleep(kill_after)
            os.kill(child, by)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        status = self._line()
        self.errors.seek(0)
        return status, self.errors.read()

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("server"))
    yield one
    one.close()


def killed(server: Server, kind: str, kills: int, folder: Path, seed: int) -> None:
    """Kill so often, at random moments, one run after the other; each has to end as the whole one did."""
    rng = random.Random(seed)
    began = time.monotonic()
    assert server.run(kind, folder / "whole.nc") == (0, "")
    lasts = time.monotonic() - began
    assert names_in(folder) == ["whole.nc"]
    whole = content(folder / "whole.nc")
    done = number = 0
    while done < kills:
        number += 1
        out = folder / f"{number}.nc"
        known: dict[str, int] = {}
        finished = False
        while not finished:
            moment = rng.uniform(0, 0.7 * lasts) if done < kills else None
            status, said = server.run(kind, out, kill_after=moment)
            assert status in (0, -signal.SIGKILL), said
            assert said == ""
            done += status != 0
            if out.exists():  # never half a file, not even right after a kill
                equal(content(out), whole)
                finished = True
            now = pieces_of(out)
            if not finished:
                assert known.items() <= now.items()
            known = now
        log = Path(f"{out}.log").read_text().split()
        assert len(set(log)) == len(log)  # no finished piece was trained again
        if status:  # killed after the file was in its place: the folder goes with the next call
            status, said = server.run(kind, out)
            assert (status, said.count("exists already")) == (2, 1)
        assert names_in(folder) == sorted(["whole.nc", *(f"{k + 1}.nc" for k in range(number))])


@pytest.mark.parametrize("kind", ["sample", "train"])
def test_killed_twice(server: Server, kind: str, tmp_path: Path) -> None:
    killed(server, kind, 2, tmp_path, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sample", "train"])
def test_killed_ten_times(server: Server, kind: str, tmp_path: Path) -> None:
    killed(server, kind, 10, tmp_path, seed=2)


# The largest file that may be written, as if the disk were full then: too little for the configuration,
# a piece, (train) a checkpoint, and at last only for the final file.
LIMITS = {"sample": [400, 1_000, 10_000], "train": [400, 2_000, 200_000, 40_000]}


@pytest.mark.parametrize("kind", ["sample", "train"])
def test_out_of_space_is_one_sentence_and_goes_on_later(server: Server, kind: str, tmp_path: Path) -> None:
    out = tmp_path / "small.nc"
    known: dict[str, int] = {}
    for limit in LIMITS[kind]:
        status, said = server.run(kind, out, limit=limit)
        assert status == 2, said
        assert said.count("\n") == 1
        assert "small.nc" in said
        assert "cannot be written" in said
        assert "File too large" in said
        assert not out.exists()
        assert known.items() <= pieces_of(out).items()
        known = pieces_of(out)
        assert not [p for p in tmp_path.rglob("*") if p.name.endswith(".tmp")]
    assert known
    assert server.run(kind, out) == (0, "")
    assert server.run(kind, tmp_path / "whole.nc") == (0, "")
    equal(content(out), content(tmp_path / "whole.nc"))
    log = Path(f"{out}.log").read_text().split()
    assert len(set(log)) == len(log)
    assert names_in(tmp_path) == ["small.nc", "whole.nc"]


def test_ctrl_c_keeps_the_state_of_every_piece(server: Server, tmp_path: Path) -> None:
    """Without waiting for the time of a checkpoint, which in this run never comes."""
    out, never = tmp_path / "small.nc", 10**9
    assert server.run("train", tmp_path / "whole.nc", limit=never) == (0, "")
    # until it is at work, which on a machine that does more takes longer
    for wait in (0.15, 0.3, 0.6, 1.2, 2.4):
        status, said = server.run("train", out, limit=never, kill_after=wait, by=signal.SIGINT)
        if said.startswith("Exception ignored in"):  # in a callback of Python's own, which swallows it
            out.unlink(missing_ok=True)
            continue
        assert (status, said) == (1, "KeyboardInterrupt()\n")
        if folder_of(out).exists():
            break
    names = [p.name for p in folder_of(out).iterdir()]
    assert len([n for n in names if n.endswith(".checkpoint.npz")]) == 2  # two were in work
    assert not [n for n in names if n.endswith(".tmp")]
    assert server.run("train", out, limit=never) == (0, "")
    equal(content(out), content(tmp_path / "whole.nc"))
    assert names_in(tmp_path) == ["small.nc", "whole.nc"]


COMMAND = [sys.executable, "-m", "groktime", "sample", "teacher-student", "--alpha", "0.5:4:5", "--quiet"]
COMMAND += ["--seeds", "0", "1", "--n-train", "10", "20", "--workers", "1", "--device", "cpu"]


def as_the_command(out: Path, steps: int) -> xr.Dataset:
    grid = {"alpha": np.array([0.5, 0.5 * 8**0.25, 0.5 * 8**0.5, 0.5 * 8**0.75, 4.0])}
    task = teacher_student(n_train=20)
    return sample(
        task, **grid, seeds=[0, 1], n_train=[10, 20], steps=steps,
        machine=Machine("cpu", workers=1, progress=False), out=out,
    ).dataset  # fmt: skip


def with_default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs are started without


def test_ctrl_c_on_the_command_line(tmp_path: Path) -> None:
    out, steps = tmp_path / "small.nc", 200
    command = [*COMMAND, "--steps", str(steps), "-o", str(out)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=with_default_interrupt,
    )
    until = time.monotonic() + 120
    while not pieces_of(out) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    said, error = process.communicate()
    assert (process.returncode, said) == (130, ""), error
    assert error == "groktime sample: stopped; the same command goes on from here\n"
    before = pieces_of(out)
    assert len(before) == 1
    assert not list(tmp_path.rglob("*.tmp"))
    again = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert names_in(tmp_path) == ["small.nc"]
    whole = as_the_command(tmp_path / "whole.nc", steps)
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "converged"):
        np.testing.assert_array_equal(content(out)[name].values, whole[name].values)


def test_a_full_disk_on_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "small.nc"
    command = [*COMMAND, "--steps", "20", "-o", str(out)]

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))

    full = subprocess.run(
        command, capture_output=True, text=True, env=environment(), check=False, preexec_fn=little
    )
    assert full.returncode == 2, full.stderr
    assert full.stderr.count("\n") == 1
    assert full.stderr.startswith(f"groktime sample: {out}.parts")
    assert full.stderr.endswith("cannot be written (File too large)\n")
    assert len(pieces_of(out)) == 2
    assert names_in(tmp_path) == ["small.nc.parts"]
    assert not list(tmp_path.rglob("*.tmp"))
    again = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert (again.returncode, again.stderr) == (0, "")
    assert names_in(tmp_path) == ["small.nc"]


def _can_mount(folder: Path) -> bool:
    if not shutil.which("unshare"):
        return False
    test = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    return subprocess.run(test, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
def test_a_small_disk_that_is_full(tmp_path: Path) -> None:
    """A real one: a tmpfs of a few pages, in a mount namespace of its own, that is then made larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not _can_mount(disk):
        pytest.skip("no file system can be mounted here")
    command = " ".join([*COMMAND, "--steps", "20", "-o", "disk/small.nc"])
    script = f"""
        mount -t tmpfs -o size=32k none disk
        {command} ; echo $? ; find disk -type f | sort
        mount -o remount,size=1m disk
        {command} ; echo $? ; ls -A disk ; cp disk/small.nc copy.nc
    """
    process = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        capture_output=True, text=True, env=environment(), cwd=tmp_path, check=False,
    )  # fmt: skip
    assert process.stderr.count("\n") == 1, process.stderr
    assert process.stderr.startswith("groktime sample: disk/small.nc.parts/")
    assert process.stderr.endswith("cannot be written (No space left on device)\n")
    lines = process.stdout.splitlines()
    assert lines[0] == "2"
    assert "disk/small.nc.parts/configuration.json" in lines
    assert ".tmp" not in process.stdout
    assert lines[-2:] == ["0", "small.nc"]
    whole = as_the_command(tmp_path / "whole.nc", 20)
    np.testing.assert_array_equal(
        content(tmp_path / "copy.nc")["train_loss"].values, whole["train_loss"].values
    )
