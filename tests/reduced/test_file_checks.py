"""What a file claims is held against the table of its schema before it is read, and its numbers after."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from groktime.fullnet.runs import RUNS, Runs, open_runs
from groktime.reduced import heaps, json_text, netcdf
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.landscape_schema import LANDSCAPE
from groktime.reduced.sources import open_value

CELLS = ("seed", "n_train", "budget", "m", "alpha")


def small(seeds: int = 2, points: int = 6) -> Landscape:
    alpha = np.geomspace(1, 4, points)
    loss = np.random.default_rng(0).random((seeds, 1, points))
    return Landscape.from_arrays(alpha=alpha, train_loss=loss, test_accuracy=loss, w0=2.0)


def runs(**more: Any) -> Runs:
    settings = {"gamma": [0.1, 0.1], "eta_d": 0.01, "eta_r": 0.0, "alpha": 2.0, "n_train": 10, "seed": [0, 1]}
    curves = {"train_loss": np.ones((2, 3)), "weight_norm": np.ones((2, 3))}
    made: dict[str, Any] = {
        "step": [0, 1, 2], "settings": settings, "curves": curves, "w0": 1.0, "steps_done": 2,
        "diverged": False, "task": "t", "loss": "l", "threshold": 0.9, "optimizer": "adamw",
    }  # fmt: skip
    return Runs.assemble(**(made | more))


def refused(path: Path, change: Callable[[h5py.File], object], *words: str) -> None:
    """One sentence that names the file and holds the words, and nothing large was made for it."""
    with h5py.File(path, "r+") as file:
        change(file)
    tracemalloc.start()
    with pytest.raises(InputError) as told:
        (open_runs if "runs" in path.name else open_landscape)(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7
    assert str(told.value).startswith(f"{path}: ")
    assert len(str(told.value).splitlines()) == 1
    for word in words:
        assert word in str(told.value)


def replaced(name: str, dims: tuple[str, ...] = CELLS, **made: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        new = file.create_dataset(name, **made)
        for k, dim in enumerate(dims):
            new.dims[k].attach_scale(file[dim])

    return change


def axis(name: str, data: Any) -> Callable[[h5py.File], None]:
    """Other values of an axis, of another type."""

    def change(file: h5py.File) -> None:
        along = [
            (v, k)
            for v in file.values()
            for k, dim in enumerate(v.dims)
            if name in [label for label, _ in dim.items()]
        ]
        for variable, k in along:
            variable.dims[k].detach_scale(file[name])
        del file[name]
        file[name] = data
        file[name].make_scale(name)
        for variable, k in along:
            variable.dims[k].attach_scale(file[name])

    return change


def resized(name: str, count: int) -> Callable[[h5py.File], None]:
    """An axis of so many points, and train_loss along it, of which not one number is written."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, (count,), "f8", chunks=(1000,), compression="gzip")
        file[name].make_scale(name)
        shape = tuple(count if d == name else file[d].shape[0] for d in CELLS)
        replaced("train_loss", shape=shape, dtype="f8", chunks=(1, 1, 1, 1, 1000))(file)

    return change


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file.attrs[name]
        file.attrs[name] = value

    return change


def value(name: str, number: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][(0,) * file[name].ndim] = number

    return change


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((2,), "f8")
    layout[...] = h5py.VirtualSource(file.filename, "seed", (2,))
    del file["w0"]
    file.create_virtual_dataset("w0", layout)


def _linked(link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["w0"]
        file["w0"] = link

    return change


def _settings(text: str) -> Callable[[h5py.File], None]:
    return attribute("configuration", text)


_BAD: dict[str, tuple[Callable[[h5py.File], object], tuple[str, ...]]] = {
    "claim": (
        resized("alpha", 200_000_000), ("train_loss claims 2 x 1 x 1 x 1 x 200000000", "MB", "200 times"),
    ),
    "endless": (replaced("w0", (), shape=(2**60,), dtype="f8", chunks=(1000,)), ("w0 claims", "MB")),
    "chunk": (
        replaced("w0", ("seed",), shape=(2,), dtype="f8", maxshape=(None,), chunks=(400_000_000,)),
        ("w0 claims", "3200 MB"),
    ),
    "external link": (_linked(h5py.ExternalLink("other.nc", "/w0")), ("w0 is a link",)),
    "soft link": (_linked(h5py.SoftLink("/seed")), ("w0 is a link",)),
    "external storage": (
        replaced("w0", ("seed",), shape=(2,), dtype="f8", external=[("/etc/hostname", 0, 16)]),
        ("w0 has its values in other files",),
    ),
    "virtual": (_virtual, ("w0 has its values in other files",)),
    "group": (lambda f: f.create_group("more"), ("more is a group",)),
    "compound": (replaced("w0", ("seed",), shape=(2,), dtype=[("a", "f8")]), ("w0 holds", "compound")),
    "references": (replaced("w0", ("seed",), shape=(2,), dtype=h5py.ref_dtype), ("w0 holds references",)),
    "text": (replaced("w0", ("seed",), data=["1", "2"], dtype=h5py.string_dtype()), ("w0 holds text",)),
    "latin": (lambda f: f.attrs.__setitem__("task", np.bytes_(b"\xe9")), ("'task' is not UTF-8",)),
    "lines": (attribute("task", "a\nb"), ("attribute task is", "text on one line")),
    "long text": (attribute("task", "x" * 5000), ("attribute task is",)),
    "flag as text": (attribute("threshold_relative", "0"), ("threshold_relative is '0'", "0 or 1")),
    "flag as number": (attribute("threshold_relative", 0.0), ("threshold_relative",)),
    "threshold in a list": (attribute("accuracy_threshold", [0.9, 0.8]), ("accuracy_threshold",)),
    "complex threshold": (attribute("accuracy_threshold", 0.9 + 0j), ("accuracy_threshold",)),
    "no JSON": (_settings("{"), ("configuration is not JSON",)),
    "no object": (_settings("3"), ("no object",)),
    "NaN in JSON": (_settings('{"a": NaN}'), ("holds NaN",)),
    "twice in JSON": (_settings('{"a": 1, "a": 2}'), ("names 'a' twice",)),
    "10^23 in JSON": (_settings('{"seed": 1' + "0" * 23 + "}"), ("more than 64 bits",)),
    "deep JSON": (_settings("[" * 100_000), ("nested deeper than 64",)),
    "deeper JSON": (_settings('{"a":' * 100 + "1" + "}" * 100), ("nested deeper than 64",)),
    "seed of 10^23": (axis("seed", np.array([0, 1e23])), ("axis seed", "whole numbers")),
    "seed of 2^63": (axis("seed", np.array([0, 2**63], "u8")), ("axis seed", "whole numbers")),
    "tiny norm": (value("w0", 5e-324), ("w0 is", "1e-100")),
    "points together": (
        axis("alpha", np.array([1, 2, np.nextafter(2, 3), 3, 4, 5])), ("axis alpha", "apart"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _BAD)
def test_what_cannot_be_believed_is_one_sentence(name: str, tmp_path: Path) -> None:
    change, words = _BAD[name]
    refused(small().save(tmp_path / "small.nc"), change, *words)


_BAD_RUNS: dict[str, tuple[Callable[[h5py.File], object], tuple[str, ...]]] = {
    "NaN gamma": (value("gamma", np.nan), ("gamma is nan", "expected a number")),
    "huge gamma": (value("gamma", 1e300), ("gamma is 1e+300", "1e+100")),
    "half a seed": (
        replaced("seed", ("time",), data=np.array([0.5, 1.0])), ("seed",),
    ),
    "stop_at in words": (_settings('{"stop_at": "often"}'), ("stop_at is 'often'", "a number")),
}  # fmt: skip


@pytest.mark.parametrize("name", _BAD_RUNS)
def test_runs_that_cannot_be_believed_are_one_sentence(name: str, tmp_path: Path) -> None:
    change, words = _BAD_RUNS[name]
    refused(runs().save(tmp_path / "runs.nc"), change, *words)


def test_a_run_that_is_there_twice_is_refused() -> None:
    usual = {"eta_d": 0.01, "eta_r": 0.0, "alpha": 2.0, "n_train": 10}
    with pytest.raises(InputError, match=r"run 1 is run 0 again.*expected each once"):
        runs(settings={**usual, "gamma": 0.1, "seed": 3})
    other = {"train_loss": np.ones((2, 3)), "weight_norm": np.array([[1, 1, 1], [1, 1, 0.5]])}
    assert runs(settings={**usual, "gamma": 0.1, "seed": 3}, curves=other).arrays.sizes["run"] == 2


def test_masked_arrays_are_refused_by_name() -> None:
    values = {k: v.values for k, v in small().arrays.variables.items()}
    values["alpha"] = np.ma.masked_equal(np.asarray(values["alpha"]), values["alpha"][1])
    with pytest.raises(InputError, match="axis alpha holds values that are not finite"):
        LANDSCAPE.arrays(values, small().attrs, "made")


def test_whole_numbers_are_held_exactly() -> None:
    seed = 2**62 + 1
    usual = {"gamma": 0.1, "eta_d": 0.01, "eta_r": 0.0, "alpha": 2.0, "n_train": 10}
    assert runs(settings={**usual, "seed": [seed, seed + 1]})["seed"].values.tolist() == [seed, seed + 1]
    with pytest.raises(InputError, match="seed is"):
        runs(settings={**usual, "seed": np.array([0, 2.0**60])})


def test_packed_numbers_are_read_as_xarray_does(tmp_path: Path) -> None:
    path = small().save(tmp_path / "small.nc")
    with h5py.File(path, "r+") as file:
        del file["w0"]
        packed = file.create_dataset("w0", data=np.array([10, 20], "i2"))
        packed.dims[0].attach_scale(file["seed"])
        packed.attrs.update({"scale_factor": 0.1, "add_offset": 1.0, "_FillValue": np.int16(-1)})
    with xr.open_dataset(path, engine="h5netcdf") as there:
        np.testing.assert_allclose(open_landscape(path)["w0"].values, there["w0"].values, rtol=1e-12)
    np.testing.assert_allclose(open_landscape(path)["w0"].values, [2.0, 3.0])


def test_text_that_hdf5_would_read_forever_is_found_first(tmp_path: Path) -> None:
    path = small().save(tmp_path / "small.nc")
    assert not heaps.damaged(path)
    content = bytearray(path.read_bytes())
    start = content.index(b"GCOL\x01") + 16
    content[start : start + 16] = struct.pack("<HHIQ", 0, 0, 0, 0)  # free space that takes no room
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable NetCDF-4 file"):
        open_landscape(path)


def test_an_outline_takes_no_memory(tmp_path: Path) -> None:
    path = small(4, 20_000).save(tmp_path / "large.nc")
    tracemalloc.start()
    outline = netcdf.outline(path)
    assert tracemalloc.get_traced_memory()[1] < 500_000
    tracemalloc.stop()
    assert outline.sizes == small(4, 20_000).arrays.sizes
    assert LANDSCAPE.check_outline(outline, "large")["task"] == "user"


def test_a_file_is_opened_within_twice_its_size(tmp_path: Path) -> None:
    land = small(10, 50_000)
    values = sum(v.values.nbytes for v in land.arrays.variables.values())
    path = land.save(tmp_path / "large.nc")
    del land
    tracemalloc.start()
    opened = open_value(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert values > 1.5e7
    assert peak < 1.5 * values
    assert isinstance(opened, Landscape)


def test_the_limit_is_far_from_real_files(tmp_path: Path) -> None:
    """The most compressible that is made: nothing was measured but a loss that is noise."""
    assert json_text.parse("{}") == {}
    noise = np.random.default_rng(0).random((2, 1, 100_000))
    path = Landscape.from_arrays(alpha=np.geomspace(1, 4, 100_000), train_loss=noise).save(tmp_path / "x.nc")
    values = sum(v.values.nbytes for v in open_landscape(path).arrays.variables.values())
    assert values / path.stat().st_size < 10
    assert RUNS.dims("norm_head") == ("run", "time")
