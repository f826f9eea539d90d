"""Bad input is told in one sentence that names it; nothing is printed, written or touched."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from groktime.cli import main
from groktime.reduced.landscape import Landscape
from groktime.reduced.landscape_schema import DIMS

Change = Callable[[xr.Dataset], xr.Dataset]


def slope() -> Landscape:
    """A small landscape of (w, m)."""
    alpha, m = np.linspace(2.4, 4.0, 9), np.linspace(0, 0.1, 6)
    on_plateau = 1 / (1 + np.exp(60 * (np.log(alpha)[None] - np.log(2.7 + 9 * m)[:, None])))
    return Landscape.from_arrays(
        alpha=alpha,
        m=m,
        train_loss=1e-5 + 0.1 * on_plateau,
        test_loss=0.01 + 0.1 * on_plateau,
        train_accuracy=1 - on_plateau,
        test_accuracy=np.broadcast_to((1 - 4 * m)[:, None], on_plateau.shape),
        w0=9.0,
        delta_norm=2.0,
    )


def _cell(name: str, value: float, ds: xr.Dataset) -> xr.Dataset:
    values = ds[name].values.copy()
    values[0, 0, 0, 2, 3] = value
    return ds.assign({name: (DIMS, values)})


def _axis(name: str, values: list[float], ds: xr.Dataset) -> xr.Dataset:
    return ds.isel({name: slice(len(values))}).assign_coords({name: values})


def _without_attribute(name: str, ds: xr.Dataset) -> xr.Dataset:
    ds.attrs.pop(name)
    return ds


def _attribute(name: str, value: str, ds: xr.Dataset) -> xr.Dataset:
    return ds.assign_attrs({name: value})


# name of the file -> what is wrong with it, and a word of the sentence besides the name
_BROKEN: dict[str, tuple[Change, str]] = {
    "foreign": (lambda _: xr.Dataset({"a": ("x", [1.0, 2.0])}), "schema"),
    "newer": (functools.partial(_attribute, "schema", "groktime-landscape/9"), "groktime-landscape/9"),
    "runs": (functools.partial(_attribute, "schema", "groktime-runs/1"), "groktime-runs/1"),
    "no-loss": (lambda ds: ds.drop_vars("train_loss"), "train_loss"),
    "no-w0": (lambda ds: ds.drop_vars("w0"), "w0"),
    "no-axis": (lambda ds: ds.drop_vars("alpha"), "alpha"),
    "no-threshold": (functools.partial(_without_attribute, "accuracy_threshold"), "accuracy_threshold"),
    "no-configuration": (functools.partial(_without_attribute, "configuration"), "configuration"),
    "turned": (lambda ds: ds.transpose(*reversed(DIMS)), "dimensions"),
    "squeezed": (lambda ds: ds.assign(test_loss=ds["test_loss"].isel(budget=0, drop=True)), "dimensions"),
    "descending-alpha": (lambda ds: ds.isel(alpha=slice(None, None, -1)), "axis alpha"),
    "descending-m": (lambda ds: ds.isel(m=slice(None, None, -1)), "axis m"),
    "repeated-alpha": (functools.partial(_axis, "alpha", [2.0, 2.5, 2.5, 3.0, 3.5]), "axis alpha"),
    "repeated-seed": (lambda ds: xr.concat([ds, ds], "seed", data_vars="all"), "axis seed"),
    "nan-alpha": (functools.partial(_axis, "alpha", [2.0, 2.5, float("nan"), 3.0, 3.5]), "axis alpha"),
    "zero-alpha": (functools.partial(_axis, "alpha", [0.0, 2.5, 3.0, 3.5]), "axis alpha"),
    "large-m": (functools.partial(_axis, "m", [0.0, 0.5, 1.0, 1.5]), "axis m"),
    "one-alpha": (functools.partial(_axis, "alpha", [3.0]), "axis alpha"),
    "three-m": (functools.partial(_axis, "m", [0.0, 0.05, 0.1]), "axis m"),
    "nan-loss": (functools.partial(_cell, "train_loss", float("nan")), "train_loss"),
    "inf-loss": (functools.partial(_cell, "train_loss", float("inf")), "train_loss"),
    "nan-accuracy": (functools.partial(_cell, "test_accuracy", float("nan")), "test_accuracy"),
    "negative-loss": (functools.partial(_cell, "test_loss", -1e-3), "test_loss"),
    "large-accuracy": (functools.partial(_cell, "test_accuracy", 1.5), "test_accuracy"),
    "zero-loss": (lambda ds: ds.assign(train_loss=0 * ds["train_loss"]), "train_loss"),
    "zero-w0": (lambda ds: ds.assign(w0=0 * ds["w0"]), "w0"),
    "nan-w0": (lambda ds: ds.assign(w0=np.nan * ds["w0"]), "w0"),
    "seedless": (lambda ds: ds.isel(seed=slice(0)), "seed"),
    "text-loss": (lambda ds: ds.assign(train_loss=ds["train_loss"].astype(str)), "train_loss"),
    "text-threshold": (functools.partial(_attribute, "accuracy_threshold", "high"), "accuracy_threshold"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good landscape, all the broken ones, and files that are in the way."""
    here = tmp_path_factory.mktemp("bad")
    land = slope()
    good = land.save(here / "good.nc")
    for name, (change, _) in _BROKEN.items():
        change(land.dataset.copy(deep=True)).to_netcdf(here / f"{name}.nc", engine="h5netcdf")
    whole = good.read_bytes()
    (here / "truncated.nc").write_bytes(whole[: len(whole) // 2])
    (here / "empty.nc").write_bytes(b"")
    (here / "picture.nc").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    (here / "text.nc").write_text("alpha,loss\n1,2\n")
    with (here / "archive.nc").open("wb") as file:
        np.savez(file, alpha=np.arange(4.0))
    (here / "exists.png").write_bytes(b"a picture of the user's")
    (here / "exists.nc").write_bytes(b"data of the user's")
    (here / "folder.png").mkdir()
    (here / "folder.nc").mkdir()
    return here


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(p): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def refused(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    *named: str,
) -> None:
    monkeypatch.chdir(folder)
    before = contents(folder)
    try:
        code: object = main(command.split())
    except SystemExit as stopped:  # argparse's way
        code = stopped.code
    out, err = capsys.readouterr()
    assert contents(folder) == before
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert err.startswith("groktime")
    for words in named:
        assert words in err
    assert "Traceback" not in err
    assert len(err) < 500


START = "--gamma 1e-3 --eta-d 1e-2 --alpha 3.6 --m 0.06"


@pytest.mark.parametrize(
    ("file", "word"),
    [
        *(pytest.param(f"{name}.nc", word, id=name) for name, (_, word) in _BROKEN.items()),
        *(
            pytest.param(f"{name}.nc", "not a readable NetCDF-4 file", id=name)
            for name in ("truncated", "empty", "picture", "text", "archive")
        ),
        pytest.param("missing.nc", "no such file", id="missing"),
        pytest.param("folder.nc", "folder.nc", id="folder"),
        pytest.param("./nowhere", "nowhere", id="missing without a suffix"),
        pytest.param("subtraction", "teacher-student", id="unknown shipped name"),
    ],
)
def test_bad_file(
    file: str, word: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(folder, monkeypatch, capsys, f"predict {file} {START}", file.removeprefix("./"), word)


_ARGUMENTS = [
    ("predict good.nc --gamma -1 --eta-d 1e-2 --alpha 3.6 --m 0.06", "gamma"),
    ("predict good.nc --gamma nan --eta-d 1e-2 --alpha 3.6 --m 0.06", "gamma"),
    ("predict good.nc --gamma inf --eta-d 1e-2 --alpha 3.6 --m 0.06", "gamma"),
    ("predict good.nc --gamma strong --eta-d 1e-2 --alpha 3.6 --m 0.06", "gamma"),
    ("predict good.nc --eta-d 1e-2 --alpha 3.6 --m 0.06", "gamma"),
    ("predict good.nc --gamma 1e-3 --eta-d 0 --alpha 3.6 --m 0.06", "eta_d"),
    ("predict good.nc --gamma 1e-3 --eta-d 1e-2 --eta-r -1 --alpha 3.6 --m 0.06", "eta_r"),
    ("predict good.nc --gamma 1e-3 --eta-d 1e-2 --alpha 0 --m 0.06", "alpha"),
    ("predict good.nc --gamma 1e-3 --eta-d 1e-2 --alpha -3.6 --m 0.06", "alpha"),
    ("predict good.nc --gamma 1e-3 --eta-d 1e-2 --alpha 3.6 --m 1.5", "m = 1.5"),
    ("predict good.nc --gamma 1e-3 --eta-d 1e-2 --alpha 3.6 --m -0.5", "m = -0.5"),
    ("predict good.nc --gamma 1e-3 --eta-d 1e-2 --alpha 3.6", "m: good.nc"),
    ("predict teacher-student --gamma 1e-3 --eta-d 1e-2 --alpha 5 --m 0.06", "m: teacher-student"),
    (f"predict good.nc {START} --seed 7", "seed = 7"),
    (f"predict good.nc {START} --seed first", "--seed"),
    (f"predict good.nc {START} --n-train 45", "n_train = 45"),
    (f"predict good.nc {START} --sampled-steps 5", "= 5"),
    (f"predict good.nc {START} --threshold 1.5", "threshold = 1.5"),
    (f"predict good.nc {START} --threshold 0", "threshold = 0"),
    (f"predict good.nc {START} --threshold nan", "threshold = nan"),
    (f"predict good.nc {START} --metric taste", "--metric: invalid choice: 'taste'"),
    (f"predict good.nc {START} --metric loss", "threshold"),
    (f"predict good.nc {START} --m-rate fast", "--m-rate: invalid choice: 'fast'"),
    (f"predict good.nc {START} --level 0", "level = 0"),
    ("predict teacher-student --gamma 1e-3 --eta-d 1e-2", "--alpha"),
    (f"predict good.nc {START} --colour red", "--colour"),
    (f"predict good.nc {START} -o exists.png", "exists.png"),
    (f"predict good.nc {START} -o nowhere/figure.png", "nowhere"),
    (f"predict good.nc {START} -o figure.txt", "figure.txt"),
    (f"predict good.nc {START} -o figure", "figure"),
    (f"predict good.nc {START} -o map.nc", "map.nc"),
    (f"predict good.nc {START} -o folder.png", "folder.png"),
    (f"predict good.nc {START} -o folder.png --overwrite", "folder.png"),
    ("whatif good.nc --gamma 1e-3:1e-2 --eta-d 1e-2 --alpha 3.6 --m 0.06", "--gamma 1e-3:1e-2"),
    ("whatif good.nc --gamma 1e-3:1e-2:1 --eta-d 1e-2 --alpha 3.6 --m 0.06", "--gamma 1e-3:1e-2:1"),
    ("whatif good.nc --gamma a:b:c --eta-d 1e-2 --alpha 3.6 --m 0.06", "--gamma a:b:c"),
    ("whatif good.nc --gamma 1e-3 --eta-d 1e-2 --alpha -1.0:4:5 --m 0.06", "--alpha"),
    ("whatif good.nc --gamma 1e-3 --eta-d 1e-2 --alpha 4:-1:5 --m 0.06", "--alpha 4:-1:5"),
    ("whatif good.nc --gamma 1e-3 strong --eta-d 1e-2 --alpha 3.6 --m 0.06", "--gamma strong"),
    ("whatif good.nc --gamma 1e-3 nan --eta-d 1e-2 --alpha 3.6 --m 0.06", "gamma = nan"),
    ("whatif good.nc --gamma 1e-3 --eta-d 0 1e-2 --alpha 3.6 --m 0.06", "eta_d = 0"),
    ("whatif good.nc --gamma 1e-3 --eta-d 1e-2 --alpha 3.6 --m 0.06 2", "m = 2"),
    ("whatif good.nc --gamma 1e-3 --eta-d 1e-2 --alpha 3.6", "m: good.nc"),
    (f"whatif good.nc {START} -o exists.nc", "exists.nc"),
    (f"whatif good.nc {START} -o exists.png", "exists.png"),
    (f"whatif good.nc {START} -o folder.nc", "folder.nc"),
    (f"whatif good.nc {START} -o nowhere/map.nc", "nowhere"),
    (f"whatif good.nc {START} -o map.txt", "map.txt"),
    ("recommend good.nc --budget 0 --eta-d 1e-2 --alpha 3.6 --m 0.06", "budget = 0"),
    ("recommend good.nc --budget -5 --eta-d 1e-2 --alpha 3.6 --m 0.06", "budget = -5"),
    ("recommend good.nc --budget many --eta-d 1e-2 --alpha 3.6 --m 0.06", "--budget"),
    ("recommend teacher-student --seed 0 --budget 1 --eta-d 1e-7 --alpha 9", "budget = 1"),
    ("recommend teacher-student --seed 0 --budget 1000 --eta-d 1e-3 --alpha 90", "alpha = 90"),
    ("figure lu good.nc -o figure.png", "good.nc"),
    ("figure sizes teacher-student -o figure.png", "teacher-student"),
    ("figure pie good.nc -o figure.png", "pie"),
    ("figure gradients good.nc -o exists.png", "exists.png"),
    ("sample subtraction --alpha 2:4:5 -o x.nc", "subtraction"),
    ("sample addition --alpha 4:2:5 --m 0:0.1:5 --seeds 1 --steps 1 -o x.nc", "alpha"),
    ("sample addition --alpha 2:4:5 --m 0.1 0 --seeds 1 --steps 1 -o x.nc", "m"),
    ("sample addition --alpha 2:4:5 --tolerance 0.1 --seeds 1 --steps 1 -o x.nc", "--tolerance"),
    ("sample teacher-student --alpha 2:4:5 --variant paper --seeds 1 --steps 1 -o x.nc", "--variant"),
    ("sample addition --alpha 2:4:5 --loss ce --seeds 1 --steps 1 -o x.nc", "--loss"),
    (
        "sample mnist --alpha 2:4:5 --loss hinge --seeds 1 --steps 1 -o x.nc",
        "--loss: invalid choice",
    ),
    ("sample mnist --alpha 2:4:5 --m 0 --seeds 1 --steps 1 -o x.nc", "--m"),
    ("sample mnist --alpha 2:4:5 --n-train 60001 --seeds 1 --steps 1 -o x.nc", "n_train = 60001"),
    ("sample addition --alpha 2:4:5 --m 0:0.1:5 --seeds 1 --steps 1 -o exists.nc", "exists.nc"),
    ("sample addition --alpha 2:4:x --seeds 1 --steps 1 -o x.nc", "--alpha 2:4:x"),
    ("sample addition --alpha 2:4:5 --seeds 1 --steps 1 -o x.txt", "x.txt"),
    ("sample nowhere:task --alpha 2:4:5 --seeds 1 --steps 1 -o x.nc", "no module nowhere"),
    ("train subtraction --gamma 1 --alpha 2 --steps 1 -o x.nc", "MODULE:ATTRIBUTE"),
    ("train teacher-student --alpha 2 --steps 1 -o x.nc", "gamma: expected a weight decay"),
    ("train teacher-student --gamma 1 --alpha 2 -o x.nc", "--steps"),
    ("train teacher-student --gamma 1 --alpha 2 --steps 1", "-o"),
    ("train teacher-student --gamma 1 --alpha 2 --steps 1 -o x.txt", "x.txt"),
    ("train teacher-student --gamma 1 --alpha 2 --steps 1 -o exists.nc", "exists.nc"),
    ("train teacher-student --gamma 1 --alpha 2 --steps 0 -o x.nc", "steps = 0"),
    ("train teacher-student --gamma 1:2 --alpha 2 --steps 1 -o x.nc", "--gamma 1:2"),
    ("train teacher-student --gamma 1 --alpha 2 --eta-d x --steps 1 -o x.nc", "--eta-d x"),
    ("train teacher-student --gamma 1 --alpha 0 --steps 1 -o x.nc", "alpha = 0"),
    ("train teacher-student --gamma 1 --alpha 2 --seeds 0 --steps 1 -o x.nc", "seed"),
    ("train teacher-student --gamma 1 --alpha 2 --m 1 --steps 1 -o x.nc", "--m"),
    ("train teacher-student --gamma 1 --alpha 2 --dim 2 --steps 1 -o x.nc", "--dim"),
    ("train teacher-student --gamma 1 2 --alpha 2 3 4 --paired --steps 1 -o x.nc", "gamma: 2 values"),
    ("train teacher-student --gamma 1 --alpha 2 --optimizer adagrad --steps 1 -o x.nc", "'adagrad'"),
    ("train teacher-student --gamma 1 --alpha 2 --representation line --steps 1 -o x.nc", "'line'"),
    ("train teacher-student --gamma 1 --alpha 2 --batch -1 --steps 1 -o x.nc", "batch = -1"),
    ("train teacher-student --gamma 1 --alpha 2 --resolution 0 --steps 1 -o x.nc", "resolution = 0"),
    ("train teacher-student --gamma 1 --alpha 2 --stop-at 95 --steps 1 -o x.nc", "stop_at = 95"),
    ("train teacher-student --gamma 1 --alpha 2 --dtype half --steps 1 -o x.nc", "'half'"),
    ("train teacher-student --gamma 1 --alpha 2 --device tpu --steps 1 -o x.nc", "'tpu'"),
]


_BAD_ARGUMENTS = [
    (f"whatif good.nc {START} -o map.txt", ".nc, .csv,"),
    ("sample teacher-student --alpha 2:4:5 --seeds 1 --steps 1 --quiet --device tpu -o x.nc", "tpu"),
    ("sample addition --alpha 2:4:5 --m 0:0.1:5 --seeds 1 --steps 1 --quiet --dim 0 -o y.nc", "dim = 0"),
    ("train teacher-student --gamma 1 --alpha 2 --members -1 --steps 1 -o x.nc", "members = -1"),
    ("train teacher-student --gamma 1 --alpha 2 --workers 0 --steps 1 -o x.nc", "workers = 0"),
]


@pytest.mark.parametrize(("command", "named"), [*_ARGUMENTS, *_BAD_ARGUMENTS])
def test_bad_argument(
    command: str,
    named: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused(folder, monkeypatch, capsys, command, named)


@pytest.mark.parametrize("command", ["conquer", "--gamma 1"])
def test_no_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(command.split())
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("groktime: ")


def test_the_good_one_is_good(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(folder)
    assert main(f"predict {folder / 'good.nc'} {START}".split()) == 0
    out, err = capsys.readouterr()
    assert "Status" in out
    assert err == ""
    assert contents(folder) == before


def test_off_the_grid_is_a_status(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"predict {folder / 'good.nc'} {START.replace('3.6', '9')}".split()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "Status      outside" in out
    assert "larger grid" in " ".join(out.split())  # the remedy, wherever its line breaks
