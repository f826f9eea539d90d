"""Stored values: files of every version open, units are everywhere, and values show and pickle themselves."""

from __future__ import annotations

import gzip
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from groktime.fullnet.runs import Runs, open_runs, runs_of
from groktime.reduced.decay_path import DecayPath, open_path, path_of
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape, landscape_of, open_landscape
from groktime.reduced.stored import Stored
from groktime.schemas import markdown

FILES = Path(__file__).parents[1] / "files"
OPENERS: dict[str, Callable[[Path], Stored]] = {
    "landscape": open_landscape,
    "path": open_path,
    "runs": open_runs,
}
NAMES = sorted(p.name.removesuffix(".nc.gz") for p in FILES.glob("*.nc.gz"))


def unpacked(name: str, folder: Path) -> Path:
    path = folder / f"{name}.nc"
    path.write_bytes(gzip.decompress((FILES / f"{name}.nc.gz").read_bytes()))
    return path


def opened(name: str, folder: Path) -> Any:
    return OPENERS[name.split("-")[0]](unpacked(name, folder))


def test_there_is_a_file_of_every_schema() -> None:
    assert {name.split("-")[0] for name in NAMES} == set(OPENERS)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_every_version_opens_and_keeps_its_numbers(name: str, tmp_path: Path) -> None:
    value = opened(name, tmp_path)
    with xr.open_dataset(tmp_path / f"{name}.nc", engine="h5netcdf", decode_times=False) as plain:
        assert set(plain.variables) == set(value.dataset.variables)
        for k in plain.variables:
            np.testing.assert_array_equal(value[k].values, plain[k].values)
            assert value[k].dtype == plain[k].dtype
    again = type(value).open(value.save(tmp_path / "again.nc"))
    xr.testing.assert_identical(again.dataset, value.dataset)


def test_what_older_files_lack_has_its_default(tmp_path: Path) -> None:
    assert opened("path-1-before-fit", tmp_path).fit == "first"
    assert not opened("runs-1-before-constrained", tmp_path).constrained


@pytest.mark.parametrize("name", NAMES)
def test_units_everywhere_and_coordinates_first(name: str, tmp_path: Path) -> None:
    value = opened(name, tmp_path)
    with h5py.File(value.save(tmp_path / "new.nc")) as file:
        stored = [k for k, item in file.items() if "units" in item.attrs]
        assert all("long_name" in file[k].attrs for k in stored)
    assert set(stored) == set(value.dataset.variables)
    coords = set(value.dataset.coords)
    assert set(stored[: len(coords)]) == coords


@pytest.mark.parametrize("name", NAMES)
def test_values_show_and_pickle_themselves(name: str, tmp_path: Path) -> None:
    value = opened(name, tmp_path)
    assert repr(value).startswith(f"{type(value).__name__}(task=small")
    assert "\n" not in repr(value)
    assert "<table>" in value._repr_html_()
    assert json.loads(json.dumps(value.to_dict(), allow_nan=False))["schema"] == value.attrs["schema"]
    assert len(value.to_dataframe())
    copy = pickle.loads(pickle.dumps(value))
    xr.testing.assert_identical(copy.dataset, value.dataset)
    assert copy.source == value.source


@pytest.mark.parametrize("relative", ["0", 2, 0.0])
@pytest.mark.parametrize("name", NAMES)
def test_attributes_are_of_their_type(name: str, relative: object, tmp_path: Path) -> None:
    value = opened(name, tmp_path)
    with pytest.raises(InputError, match=r"threshold_relative is .*; expected 0 or 1"):
        type(value)(value.dataset.assign_attrs(threshold_relative=relative))


def test_the_value_its_name_or_its_file(tmp_path: Path) -> None:
    assert landscape_of("teacher-student").source == "teacher-student"
    land, path, runs = (unpacked(f"{kind}-1", tmp_path) for kind in OPENERS)
    assert isinstance(landscape_of(land), Landscape)
    assert isinstance(path_of(str(path)), DecayPath)
    found = runs_of(runs)
    assert isinstance(found, Runs)
    assert runs_of(found) is found
    with pytest.raises(InputError, match="expected groktime runs or its file, not int"):
        runs_of(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is a decay path"):
        landscape_of(path)


def test_reading_a_file_needs_no_xarray(tmp_path: Path) -> None:
    path = unpacked("path-1", tmp_path)
    code = (
        "import sys; from groktime.reduced.sources import source_of\n"
        f"source_of('teacher-student'); source_of({str(path)!r})\n"
        "print({'xarray', 'pandas', 'scipy', 'h5netcdf'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_page_of_files_is_what_the_tables_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "files.md"
    assert page.read_text(encoding="utf-8") == markdown()
