"""Unfinished work that was damaged: the same call has to give the result of work that nobody stopped, bit by
bit, or say in one sentence what is in its way."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from damage import Damage
from hypothesis import strategies as st
from outcome import ELSE, Outcomes, tried

import groktime as gt
from groktime.fullnet import job
from groktime.fullnet.members import Members
from groktime.fullnet.tasks import teacher_student
from groktime.reduced.stored import Stored

_STEPS = 30
_STOPPED_AT = {"train": 75, "sample": 75}  # steps of all pieces: two are finished, and one is in work


def _call(kind: str, out: Path | None) -> Stored:
    torch.set_num_threads(1)
    machine = gt.Machine(members=2, workers=1, progress=False, device="cpu")
    task = teacher_student(n_train=10)
    usual: Any = {"seeds": [0, 1], "steps": _STEPS, "machine": machine, "out": out}
    if kind == "train":
        return gt.train(task, gamma=[0.1, 1.0], alpha=[0.5, 2.0], **usual)
    return gt.sample(task, alpha=[0.5, 1.0, 2.0, 4.0], **usual)


CALLS = ("train", "sample")


@cache
def right(kind: str) -> Mapping[str, Any]:
    """The arrays of work that nobody stopped."""
    return {k: v.values for k, v in _call(kind, None).arrays.variables.items()}


@contextmanager
def _stopped(after: int) -> Iterator[None]:
    advance, done = Members.advance, 0

    def counted(self: Members, *given: Any, **more: Any) -> None:
        nonlocal done
        done += 1
        if done > after:
            raise KeyboardInterrupt
        advance(self, *given, **more)

    with mock.patch.object(Members, "advance", counted), mock.patch.object(job, "CHECKPOINT_SECONDS", 0.0):
        yield


@cache
def unfinished(kind: str) -> Path:
    """A folder with an output that was stopped when two pieces were finished and one was in work."""
    folder = Path(tempfile.mkdtemp(prefix="groktime-fuzz-"))
    with _stopped(_STOPPED_AT[kind]), suppress(KeyboardInterrupt):
        _call(kind, folder / "out.nc")
    names = [p.name for p in (folder / "out.nc.parts").iterdir()]
    assert sum(n.endswith(".checkpoint.npz") for n in names) == 1, names
    assert sum(n.endswith(".npz") for n in names) == 3, names
    return folder


# --- damages of one file of the folder of pieces


def _files(parts: Path) -> list[Path]:
    return sorted(p for p in parts.iterdir() if p.suffix in (".npz", ".json"))


def _bytes(where: float, kind: str, seed: int) -> Damage:
    def act(parts: Path) -> None:
        files, rng = _files(parts), random.Random(seed)
        path = files[int(where * len(files))]
        data = bytearray(path.read_bytes())
        if kind == "truncated":
            data = data[: int(len(data) * rng.random())]
        elif kind == "flipped":
            for _ in range(rng.choice((1, 3, 30))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == "zeroed":
            start = rng.randrange(len(data))
            data[start : start + 200] = bytes(len(data[start : start + 200]))
        else:
            data = bytearray(rng.randbytes(500))
        path.write_bytes(data)

    return Damage(f"bytes {kind} at {where:.3f} {seed}", act)


def _claims(file: Path) -> None:
    """An array that says it has more numbers than there are in the world."""
    import zipfile

    with zipfile.ZipFile(file, "w") as archive:
        head = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
        archive.writestr("flat.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())


def _file(where: float, kind: str) -> Damage:
    def act(parts: Path) -> None:
        files = _files(parts)
        path, other = files[int(where * len(files))], files[(int(where * len(files)) + 1) % len(files)]
        if kind == "deleted":
            path.unlink()
        elif kind == "exchanged":
            a, b = path.read_bytes(), other.read_bytes()
            path.write_bytes(b)
            other.write_bytes(a)
        elif kind == "copied":
            shutil.copy(other, path)
        elif kind == "another's":
            of = unfinished("sample" if (parts / "train-2-0.npz").exists() else "train") / "out.nc.parts"
            shutil.copy(next(iter(_files(of))), path)
        elif kind == "folder":
            path.unlink()
            path.mkdir()
        elif kind == "dangling link":
            path.unlink()
            path.symlink_to(parts / "nowhere")
        elif kind == "link":
            path.rename(parts.parent / "moved")
            path.symlink_to(parts.parent / "moved")
        elif kind == "claims":
            _claims(path)
        elif kind == "stranger":
            (parts / "notes.txt").write_text("somebody's")
        else:
            np.savez(path.open("wb"), a=np.array([{"pickled": 1}], object))

    return Damage(f"file {kind} at {where:.3f}", act)


FILES = ("deleted", "exchanged", "copied", "another's", "folder", "dangling link", "link", "claims",
         "stranger", "pickled")  # fmt: skip


def _rewritten(where: float, kind: str, which: float) -> Damage:
    """One array of a piece or checkpoint is another one, in an archive that is whole."""

    def act(parts: Path) -> None:
        files = [p for p in _files(parts) if p.suffix == ".npz"]
        path = files[int(where * len(files))]
        with np.load(path) as kept:
            arrays = dict(kept)
        name = sorted(arrays)[int(which * len(arrays))]
        values = arrays[name]
        changes: dict[str, Callable[[], Any]] = {
            "nan": lambda: np.full(values.shape, np.nan),
            "more": lambda: values + np.ones((), values.dtype) if values.dtype.kind in "fiu" else ~values,
            "negative": lambda: -1 - values.astype(float),
            "huge": lambda: np.full(values.shape, 2**62),
            "shorter": lambda: values.reshape(-1)[:-1],
            "wider": lambda: np.stack([values, values]),
            "text": lambda: np.full(values.shape, "x"),
            "single": lambda: values.astype("f2"),
            "empty": lambda: np.zeros(0),
        }
        if kind == "missing":
            del arrays[name]
        elif kind == "extra":
            arrays["members more"] = np.ones(3)
        else:
            arrays[name] = changes[kind]()
        np.savez(path, **arrays)

    return Damage(f"rewritten {kind} at {where:.3f} {which:.3f}", act)


REWRITES = (
    "nan",
    "more",
    "negative",
    "huge",
    "shorter",
    "wider",
    "text",
    "single",
    "empty",
    "missing",
    "extra",
)


def _json(k: int) -> Damage:
    texts = ("", "{}", "[" * 100_000, '{"layout": 2}', "null", "\x00", "é", '{"layout": NaN}')

    def act(parts: Path) -> None:
        (parts / "configuration.json").write_bytes(texts[k % len(texts)].encode("latin-1"))

    return Damage(f"json {k % len(texts)}", act)


def damages() -> st.SearchStrategy[Damage]:
    """Any one damage of the folder of pieces."""
    where = st.floats(0, 1, exclude_max=True)
    return st.one_of(
        st.builds(
            _bytes,
            where,
            st.sampled_from(("truncated", "flipped", "zeroed", "foreign")),
            st.integers(0, 10**6),
        ),
        st.builds(_file, where, st.sampled_from(FILES)),
        st.builds(_rewritten, where, st.sampled_from(REWRITES), where),
        st.builds(_json, st.integers(0, 7)),
    )


def attempt(outcomes: Outcomes, kind: str, damage: Damage, folder: Path) -> str:
    """Damage unfinished work, go on with it, and count what became of it."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(unfinished(kind), work)
    damage.act(work / "out.nc.parts")
    wanted = right(kind)

    def same(found: Stored) -> bool:
        """Whether it is bit-equal, in memory and in the file, and nothing is left lying."""
        again = type(found).open(work / "out.nc").arrays.variables
        left = {p.name for p in work.iterdir()} - {"moved"}
        return left == {"out.nc"} and all(
            np.array_equal(v, x[k].values, equal_nan=v.dtype.kind == "f")
            for x in (found.arrays.variables, again)
            for k, v in wanted.items()
        )

    name = f"{damage.name.split()[0]} of {kind}: {damage.name}"
    found = tried(outcomes, name, lambda: _call(kind, work / "out.nc"), ["out.nc"], same)
    if found == ELSE:
        shutil.copytree(work, folder / f"failed {len(outcomes.failures)}", symlinks=True)
    return found
