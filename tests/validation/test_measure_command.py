"""`groktime measure`: tables for people, one object for scripts, one sentence on what is wrong."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from trained import trained

from groktime.cli import main
from groktime.fullnet.runs import DIMS, Runs
from groktime.reduced.files import read_dataset
from groktime.reduced.landscape import Landscape

YES, NO = [0.0, 0.1, 0.9, 1.0, 1.0, 1.0], [0.0, 0.1, 0.1, 0.1, 0.1, 0.1]
Change = Callable[[xr.Dataset], xr.Dataset]


def sweep() -> Runs:
    """Two decays, three seeds: one grokked in all, one in none but the last."""
    return trained([YES, YES, YES, NO, NO, YES], gamma=[0.1] * 3 + [0.0] * 3, seed=[0, 1, 2] * 2)


def _at(name: str, value: float, ds: xr.Dataset, run: int = 1, time: int = 2) -> xr.Dataset:
    values = ds[name].values.copy()
    values[run, time] = value
    return ds.assign({name: (DIMS, values)})


def _of_run(name: str, value: Any, ds: xr.Dataset) -> xr.Dataset:
    values = np.asarray(ds[name].values, type(value))
    values[1] = value
    kept = ("run", values)
    return ds.assign_coords({name: kept}) if name in ds.coords else ds.assign({name: kept})


def _steps(values: list[float], ds: xr.Dataset) -> xr.Dataset:
    return ds.assign_coords(step=("time", values))


def _attribute(name: str, value: Any, ds: xr.Dataset) -> xr.Dataset:
    return ds.assign_attrs({name: value})


def _without_attribute(name: str, ds: xr.Dataset) -> xr.Dataset:
    ds.attrs.pop(name)
    return ds


NAN, INF = float("nan"), float("inf")
# name of the file -> what is wrong with it, and words of the sentence besides the name
_BROKEN: dict[str, tuple[Change, str]] = {
    "foreign": (lambda _: xr.Dataset({"a": ("x", [1.0, 2.0])}), "schema is None"),
    "newer": (functools.partial(_attribute, "schema", "groktime-runs/9"), "groktime-runs/9"),
    "no-loss": (lambda ds: ds.drop_vars("train_loss"), "'train_loss' is missing"),
    "no-m": (lambda ds: ds.drop_vars("m"), "'m' is missing"),
    "no-step": (lambda ds: ds.drop_vars("step"), "'step' is missing"),
    "no-gamma": (lambda ds: ds.drop_vars("gamma"), "'gamma' is missing"),
    "no-end": (lambda ds: ds.drop_vars("steps_done"), "'steps_done' is missing"),
    "no-threshold": (functools.partial(_without_attribute, "accuracy_threshold"), "accuracy_threshold"),
    "no-optimizer": (functools.partial(_without_attribute, "optimizer"), "optimizer"),
    "text-threshold": (
        functools.partial(_attribute, "accuracy_threshold", "high"),
        "accuracy_threshold is 'high'",
    ),
    "relative": (functools.partial(_attribute, "threshold_relative", 2), "threshold_relative is 2"),
    "batch": (functools.partial(_attribute, "batch", -1), "batch is -1"),
    "many-loose": (functools.partial(_attribute, "representation", [1, 2]), "fixed, line, free"),
    "loose": (functools.partial(_attribute, "representation", "loose"), "fixed, line, free"),
    "no-json": (functools.partial(_attribute, "configuration", "{steps"), "configuration is not JSON"),
    "turned": (lambda ds: ds.transpose("time", "run"), "dimensions ('time', 'run')"),
    "per-time": (lambda ds: ds.assign(w0=("time", np.ones(6))), "w0 has dimensions"),
    "text-loss": (lambda ds: ds.assign(train_loss=ds["train_loss"].astype(str)), "expected numbers"),
    "empty-runs": (lambda ds: ds.isel(run=slice(0)), "holds no run"),
    "empty-time": (lambda ds: ds.isel(time=slice(0)), "holds no time"),
    "descending": (functools.partial(_steps, [0, 10, 30, 20, 40, 50]), "step is not ascending"),
    "repeated": (functools.partial(_steps, [0, 10, 10, 20, 40, 50]), "step is not ascending"),
    "half-step": (functools.partial(_steps, [0, 0.5, 20, 30, 40, 50]), "whole numbers"),
    "nan-step": (functools.partial(_steps, [0, NAN, 20, 30, 40, 50]), "whole numbers"),
    "over-done": (functools.partial(_of_run, "steps_done", 60), "steps_done is 60 in run 1"),
    "nan-done": (functools.partial(_of_run, "steps_done", NAN), "steps_done is nan in run 1"),
    "early-nan": (functools.partial(_at, "test_accuracy", NAN), "test_accuracy is nan in run 1 at step 20"),
    "inf-loss": (functools.partial(_at, "train_loss", INF), "train_loss is inf in run 1 at step 20"),
    "no-norm": (lambda ds: ds.assign(weight_norm=NAN * ds["weight_norm"]), "weight_norm is nan"),
    "after-done": (functools.partial(_of_run, "steps_done", 40), "NaN after the run's steps_done"),
    "negative-loss": (functools.partial(_at, "test_loss", -0.1), "test_loss is -0.1"),
    "large-accuracy": (functools.partial(_at, "test_accuracy", 1.5), "test_accuracy is 1.5"),
    "negative-norm": (functools.partial(_at, "weight_norm", -1.0), "weight_norm is -1"),
    "negative-gamma": (functools.partial(_of_run, "gamma", -0.1), "gamma is -0.1 in run 1"),
    "nan-gamma": (functools.partial(_of_run, "gamma", NAN), "gamma is nan in run 1"),
    "zero-rate": (functools.partial(_of_run, "eta_d", 0.0), "eta_d is 0 in run 1"),
    "zero-alpha": (functools.partial(_of_run, "alpha", 0.0), "alpha is 0 in run 1"),
    "zero-w0": (functools.partial(_of_run, "w0", 0.0), "w0 is 0 in run 1"),
    "half-seed": (functools.partial(_of_run, "seed", 0.5), "seed is 0.5 in run 1"),
    "no-samples": (functools.partial(_of_run, "n_train", 0), "n_train is 0 in run 1"),
    "some-m": (functools.partial(_of_run, "m_start", 0.1), "m_start is nan in run 0"),
    "no-rate": (functools.partial(_attribute, "representation", "free"), "eta_r is nan in run 0"),
    "diverged-2": (functools.partial(_of_run, "diverged", 2), "diverged is 2 in run 1"),
    # good files that cannot be asked for this
    "no-test": (lambda ds: ds.assign(test_accuracy=NAN * ds["test_accuracy"]), "was not measured in run 0"),
    "share": (functools.partial(_attribute, "threshold_relative", 1), "relative to the task's ceiling"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good runs, all the broken ones, and files that are in the way."""
    here = tmp_path_factory.mktemp("runs")
    good = sweep().save(here / "good.nc")
    for name, (change, _) in _BROKEN.items():
        change(sweep().dataset.copy(deep=True)).to_netcdf(here / f"{name}.nc", engine="h5netcdf")
    Landscape.from_arrays(alpha=[1, 2, 3, 4], train_loss=[1, 1, 1, 1]).save(here / "landscape.nc")
    whole = good.read_bytes()
    (here / "truncated.nc").write_bytes(whole[: len(whole) // 2])
    (here / "text.nc").write_text("step,loss\n1,2\n")
    (here / "exists.nc").write_bytes(b"data of the user's")
    (here / "folder.nc").mkdir()
    return here


def refused(folder: Path, command: str, capsys: pytest.CaptureFixture[str], *named: str) -> None:
    before = {p: p.read_bytes() if p.is_file() else None for p in folder.iterdir()}
    try:
        code: object = main(command.split())
    except SystemExit as stopped:  # argparse's way
        code = stopped.code
    out, err = capsys.readouterr()
    assert {p: p.read_bytes() if p.is_file() else None for p in folder.iterdir()} == before
    assert code == 2
    assert out == ""
    assert err.startswith("groktime measure: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert len(err) < 400
    for words in named:
        assert words in err


@pytest.mark.parametrize(
    ("file", "words"),
    [
        *(pytest.param(f"{name}.nc", words, id=name) for name, (_, words) in _BROKEN.items()),
        ("landscape.nc", "groktime-landscape/1"),
        ("truncated.nc", "not a readable NetCDF-4 file; expected groktime runs"),
        ("text.nc", "not a readable NetCDF-4 file; expected groktime runs"),
        ("missing.nc", "no such file"),
        ("folder.nc", "is a folder"),
    ],
)
def test_bad_file(
    file: str, words: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    refused(folder, f"measure {file}", capsys, file, words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--threshold 1.5", "threshold = 1.5"),
        ("--threshold high", "--threshold"),
        ("--train-threshold 0", "train_threshold = 0"),
        ("--metric taste", "--metric: invalid choice: 'taste'"),
        ("--metric loss", "threshold"),
        ("--rule last", "--rule: invalid choice: 'last'"),
        ("--persist 0", "persist = 0"),
        ("--persist some", "--persist"),
        ("-o exists.nc", "exists.nc"),
        ("-o delays.txt", "delays.txt"),
        ("-o nowhere/delays.nc", "nowhere"),
        ("-o folder.nc --overwrite", "folder.nc"),
    ],
)
def test_bad_argument(
    options: str,
    words: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    refused(folder, f"measure good.nc {options}", capsys, words)


def test_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(folder / "good.nc")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = [" ".join(line.split()) for line in out.splitlines()]
    head = rows.index("gamma eta_d alpha n_train seed t_mem t_grok delay norm_at_grok censored at")
    assert rows[head + 1] == "0.1 0.01 3 50 0 0 20 20 9.6 -"
    assert rows[head + 4] == "0 0.01 3 50 0 0 - - - 50"
    # two of three had not grokked after 50 steps: no median; three are too few for an interval
    assert rows[-4:-2] == ["3 0 3 0 0 0 to inf 2 inf 0 to inf", "3 0.1 3 0 0 0 to inf 0 20 0 to inf"]
    assert rows[-1] == "- not reached by the end of the run, or not recorded"


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(folder / "good.nc"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    assert "NaN" not in out
    assert "Infinity" not in out
    told = json.loads(out)
    assert told["delays"]["data_vars"]["t_grok"]["data"] == [20, 20, 20, None, None, 20]
    assert told["delays"]["data_vars"]["test_censored"]["data"] == [False] * 3 + [True] * 2 + [False]
    assert told["delays"]["attrs"]["schema"] == "groktime-delays/2"
    assert told["medians"]["coords"]["gamma"]["data"] == [0.0, 0.1]
    assert told["medians"]["data_vars"]["t_grok"]["data"] == [None, 20]


def test_options_are_heeded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def t_grok(options: str) -> list[float]:
        assert main(["measure", str(folder / "good.nc"), "--json", *options.split()]) == 0
        found: list[float] = json.loads(capsys.readouterr().out)["delays"]["data_vars"]["t_grok"]["data"]
        return found[:1]

    assert t_grok("--threshold 0.95") == [30]
    assert t_grok("--metric loss --threshold 0.95") == [10]
    assert t_grok("--persist 5") == [None]
    assert t_grok("--persist 5 --rule first") == [20]
    assert t_grok("--rule stable") == [20]


def test_groups_are_runs_of_equal_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = trained([YES, NO, YES, NO], n_train=[50, 60, 50, 60], seed=[0, 0, 1, 1]).save(tmp_path / "runs.nc")
    assert main(["measure", str(path), "--json"]) == 0
    medians = json.loads(capsys.readouterr().out)["medians"]
    assert medians["coords"]["n_train"]["data"] == [50, 60]
    assert medians["data_vars"]["n"]["data"] == [2, 2]


def test_output(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "delays.nc"
    command = ["measure", str(folder / "good.nc"), "-o", str(out)]
    assert main(command) == 0
    assert "delays.nc" in capsys.readouterr().out
    assert read_dataset(out, "delays").attrs["schema"] == "groktime-delays/2"
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    table = tmp_path / "delays.csv"
    assert main(["measure", str(folder / "good.nc"), "-o", str(table)]) == 0
    head, *rows = table.read_text().splitlines()
    assert head.startswith("gamma,") and ",t_mem," in head
    assert len(rows) == read_dataset(out, "delays").sizes["run"]


def test_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; import groktime as gt; from groktime.cli import main\n"
        f"gt.measure(gt.open_runs({str(folder / 'good.nc')!r}))\n"
        f"assert main(['measure', {str(folder / 'good.nc')!r}]) == 0\n"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
