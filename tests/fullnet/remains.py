"""What lies in a folder while long work is done, and after."""

from __future__ import annotations

from pathlib import Path

import xarray as xr


def folder_of(out: Path) -> Path:
    return out.with_name(out.name + ".parts")


def pieces_of(out: Path) -> dict[str, int]:
    """The finished pieces and when they were written."""
    found = folder_of(out).glob("*.npz")
    return {p.name: p.stat().st_mtime_ns for p in found if ".checkpoint" not in p.name and p.name[0] != "."}


def names_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".log")


def content(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        return opened.load()


def equal(one: xr.Dataset, other: xr.Dataset) -> None:
    """Bit by bit, NaN for NaN, and all attributes."""
    xr.testing.assert_identical(one, other)
    for name in one.variables:
        assert one[name].values.tobytes() == other[name].values.tobytes(), name
