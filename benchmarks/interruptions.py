"""Commands that are interrupted at random moments, by kill -9, SIGTERM and Ctrl-C: nothing may be lost.

    python benchmarks/interruptions.py [--moments 30] [--commands train predict] [--seed 0]

Each command is run whole once, then interrupted at moments spread over its time, and the same command
repeated until it ends. What it writes has to be equal bit by bit to what the whole one wrote, and at no time
may half a file be there, the old output be gone before the new one is, or anything else be left lying in the
end. A command that says more than one line when it is stopped counts, too. Prints a table, and on stderr
what was amiss; the exit status is 1 if anything was.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_MACHINE = ("--workers", "2", "--members", "4", "--device", "cpu", "--quiet")
_SMALL = ("teacher-student", "--seeds", "2", *_MACHINE)
RUNS = ("train", *_SMALL, "--gamma", "0.5", "1", "--eta-d", "3e-3", "--alpha", "2", "3", "--steps", "300")
COMMANDS: Mapping[str, Sequence[str]] = {
    "sample": ("sample", *_SMALL, "--alpha", "0.5:4:4", "--steps", "150", "-o", "out.nc"),
    "train": (*RUNS, "-o", "out.nc"),
    "sample-path": (
        "sample-path", *_SMALL, "--alpha", "2", "3", "--refit", "10", "--tau", "0.2", "-o", "out.nc",
    ),
    "forecast": (
        "forecast", *_SMALL, "--gamma", "0.5", "1", "--eta-d", "3e-3", "--alpha", "2", "--steps", "3000",
        "-o", "out.nc",
    ),
    "compare -o": ("compare", "teacher-student", "runs.nc", "-o", "out"),
    "compare -o --overwrite": ("compare", "teacher-student", "runs.nc", "-o", "out", "--overwrite"),
    "predict -o": (
        "predict", "teacher-student", "--gamma", "0.1", "--eta-d", "3e-4", "--alpha", "3", "-o", "out.png",
    ),
}  # fmt: skip


_DATE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d UTC")  # at which a report was written


def environment() -> dict[str, str]:
    """PyTorch with one thread, and a date that is always the same in figures."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SOURCE_DATE_EPOCH": "0"}


def _as_in_a_shell() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background is started without


def begun(words: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """The command at work in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "groktime", *words],
        cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=_as_in_a_shell,
    )  # fmt: skip


def content(path: Path) -> dict[str, str]:
    """A digest of every file that an output consists of; a NetCDF file's is of its numbers."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return {p.name: _digest(p) for p in files if p.exists()}


def _digest(path: Path) -> str:
    if path.suffix != ".nc":
        return hashlib.blake2b(_DATE.sub(b"", path.read_bytes())).hexdigest()
    import h5py

    found = hashlib.blake2b()
    with h5py.File(path, "r") as file:
        for name in sorted(file):
            values = file[name][()]
            text = repr(values.tolist()) if values.dtype.kind == "O" else ""
            found.update(f"{name} {values.dtype} {values.shape} {text}".encode())
            found.update(b"" if text else values.tobytes())
        about = sorted((k, str(v)) for k, v in file.attrs.items() if k != "seconds")  # what it took
        found.update(repr(about).encode())
    return found.hexdigest()


@dataclass
class Count:
    """What came of the moments at which a command was interrupted."""

    moments: int = 0
    stopped: int = 0  # the others were through already
    equal: int = 0
    half: int = 0
    lying: int = 0
    old_gone: int = 0
    words: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def amiss(self) -> bool:
        return bool(self.moments - self.equal or self.half or self.lying or self.old_gone or self.words)


def interrupted(
    words: Sequence[str],
    by: signal.Signals,
    moment: float,
    start: Path,
    whole: Mapping[str, str],
    count: Count,
) -> None:
    """Interrupt the command once, repeat it, and count what is found. `start` is the folder it begins in."""
    folder = Path(tempfile.mkdtemp(dir=start.parent, prefix="moment-"))
    out = folder / words[words.index("-o") + 1]
    shutil.copytree(start, folder, dirs_exist_ok=True)
    old, expected = content(out), {p.name for p in folder.iterdir()} | {out.name}
    process = begun(words, folder)
    time.sleep(moment)
    process.send_signal(by)
    said, error = process.communicate()
    status = process.returncode
    count.moments += 1
    count.stopped += status != 0
    found = content(out)
    count.half += found not in ({}, old, dict(whole))
    count.old_gone += bool(old) and not found
    good = (0, -by) if by == signal.SIGKILL else (0, 128 + by)
    lines = error.count("\n")
    if status not in good or lines > 1 or (lines == 1 and status == 0):
        # before the command's own first line Python stops by itself, with its own words
        early = status == -by and not said and "Traceback" not in error
        count.words += not early
        count.notes += [] if early else [f"{by.name} at {moment:.2f} s: status {status}, {error[-300:]!r}"]
    if status != 0:
        again = begun(words, folder)
        _, error = again.communicate()
        done = content(out) == dict(whole) and (again.returncode == 0 or "exists already" in error)
        if not done:
            count.notes.append(f"{by.name} at {moment:.2f} s, repeated: {again.returncode}, {error[-300:]!r}")
    count.equal += content(out) == dict(whole)
    left = sorted({p.name for p in folder.iterdir()} - expected)
    count.lying += bool(left)
    count.notes += [f"{by.name} at {moment:.2f} s left {left}"] if left else []
    shutil.rmtree(folder)


def campaign(names: Sequence[str], moments: int, seed: int, base: Path) -> Iterator[tuple[str, str, Count]]:
    """Command by command and signal by signal."""
    rng = random.Random(seed)
    runs = base / "runs"
    runs.mkdir()
    if any(name.startswith("compare") for name in names):
        assert begun((*RUNS, "-o", "runs.nc"), runs).wait() == 0
    for number, name in enumerate(names):
        words = COMMANDS[name]
        start = base / f"start-{number}"
        shutil.copytree(runs, start)
        out = start / words[words.index("-o") + 1]
        if "--overwrite" in words:  # an old report of other settings
            assert begun((*words[:-1], "--threshold", "0.5"), start).wait() == 0
        trial = base / f"whole-{number}"
        shutil.copytree(start, trial)
        began = time.monotonic()
        assert begun(words, trial).wait() == 0, name
        lasts = time.monotonic() - began
        whole = content(trial / out.name)
        for by in SIGNALS:
            count = Count()
            for k in range(moments):  # spread, or a few would leave whole stretches out
                moment = (k + rng.random()) / moments * 1.05 * lasts
                interrupted(words, by, moment, start, whole, count)
            yield name, by.name, count


def main() -> int:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--moments", type=int, default=30, help="of each command and signal")
    asked.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    amiss = False
    columns = (
        "command",
        "signal",
        "moments",
        "stopped",
        "equal",
        "half files",
        "left lying",
        "old gone",
        "words",
    )
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    with tempfile.TemporaryDirectory(prefix="interruptions-") as folder:
        for name, by, c in campaign(given.commands, given.moments, given.seed, Path(folder)):
            cells = (name, by, c.moments, c.stopped, c.equal, c.half, c.lying, c.old_gone, c.words)
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            amiss |= c.amiss
            for note in c.notes:
                print(f"{name}: {note}", file=sys.stderr, flush=True)
    return int(amiss)


if __name__ == "__main__":
    sys.exit(main())
