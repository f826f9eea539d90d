"""The command line: answers at once, imports no more than it needs, and speaks JSON to scripts."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import groktime
import groktime.fullnet.decay_path
import groktime.fullnet.forecast
import groktime.fullnet.sampler
import groktime.fullnet.tasks
import groktime.fullnet.trainer
import groktime.reduced.prediction
import groktime.reduced.what_if
import groktime.validation.compare
import groktime.validation.measure
from groktime.cli import main, parser
from groktime.commands import COMMANDS
from groktime.fullnet.runs import open_runs
from groktime.reduced.landscape import Landscape
from groktime.reduced.law import Schedule

START = ["--gamma", "1e-3", "--eta-d", "1e-3", "--alpha", "9"]
ONE = ["teacher-student", "--seed", "0"]
SLOPE = ["--eta-d", "1e-2", "--alpha", "3.6", "--m", "0.06"]
_HEADS = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}


@pytest.fixture(scope="module")
def slope(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A landscape of (w, m): plateau 0.1, floor 1e-5, accuracy falling with m."""
    alpha, m = np.linspace(2.4, 4.0, 17), np.linspace(0, 0.1, 11)
    on_plateau = 1 / (1 + np.exp(200 * (np.log(alpha)[None] - np.log(2.7 + 9 * m)[:, None])))
    land = Landscape.from_arrays(
        alpha=alpha,
        m=m,
        train_loss=1e-5 + 0.1 * on_plateau,
        test_loss=0.01 + 0.1 * on_plateau,
        train_accuracy=1 - on_plateau,
        test_accuracy=np.broadcast_to((1 - 4 * m)[:, None], on_plateau.shape),
        w0=9.0,
        delta_norm=2.0,
    )
    return land.save(tmp_path_factory.mktemp("slope") / "slope.nc")


def only_object(text: str) -> Any:
    """The one JSON object that the text is: no NaN, no infinity, one line."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert text.endswith("\n")
    assert text.count("\n") == 1
    found = json.loads(text, parse_constant=refuse)
    assert isinstance(found, dict)
    return found


# --- help and imports -------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"] if command else ["--help"])
    assert stopped.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: groktime {command}".rstrip())
    assert err == ""


def test_help_names_every_command() -> None:
    text = parser().format_help()
    assert all(command in text for command in COMMANDS)


def test_version_and_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"groktime {groktime.__version__}\n"
    assert main([]) == 0
    assert capsys.readouterr().out == parser().format_help()


def test_a_reader_may_stop_reading() -> None:
    command = [sys.executable, "-m", "groktime", "tasks"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# --- JSON and text ----------------------------------------------------------------------------


def test_predict_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", *ONE, *START, "--json"]) == 0
    out, err = capsys.readouterr()
    found = only_object(out)
    assert err == ""
    assert found["status"] == "generalizes"
    assert found["settings"]["gamma"] == 1e-3
    assert found["t_grok"] == pytest.approx(found["forms"]["printed"], rel=1e-2)


def test_predict_json_without_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", *ONE, *START[:-1], "50", "--json"]) == 0
    found = only_object(capsys.readouterr().out)
    assert found["status"] == "outside"
    assert found["t_grok"] is None


def test_predict_text(slope: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(slope), "--gamma", "1e-3", *SLOPE]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for words in ("Status      generalizes", "as printed", "corrected", "flow, Eq. 6"):
        assert words in out


def test_what_if_json(slope: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whatif", str(slope), "--gamma", "0", "1e-3:1e-2:3", *SLOPE, "--json"]) == 0
    found = only_object(capsys.readouterr().out)
    assert found["dims"] == {"gamma": 4}
    times = found["data_vars"]["t_grok"]["data"]
    assert times[0] is None
    assert times[1] > times[2] > times[3] > 0
    assert found["data_vars"]["status"]["data"] == ["never"] + ["generalizes"] * 3


@pytest.mark.parametrize("gamma", [["1e-3"], ["1e-3", "1e-2"]])
def test_what_if_text(gamma: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whatif", *ONE, "--gamma", *gamma, "--eta-d", "1e-3", "--alpha", "9"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("generalizes") == len(gamma)
    assert "t_grok" in out


def test_recommend(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["recommend", *ONE, "--budget", "20000", "--eta-d", "1e-3", "--alpha", "9"]
    assert main([*asked, "--json"]) == 0
    found = only_object(capsys.readouterr().out)
    assert found["prediction"]["t_grok"] <= found["budget"] == 20000
    assert main(asked) == 0
    assert f"gamma = {found['gamma']:.4g} groks within 20,000 steps" in capsys.readouterr().out


def test_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--json"]) == 0
    found = only_object(capsys.readouterr().out)
    assert {"teacher-student", "addition"} <= set(found["tasks"])
    assert found["landscapes"]["teacher-student"]["seeds"] == 8
    assert main(["tasks"]) == 0
    assert "teacher-student" in capsys.readouterr().out


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", list(_HEADS))
def test_predict_draws(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"figure{suffix}"
    assert main(["predict", *ONE, *START, "-o", str(path)]) == 0
    assert path.read_bytes().startswith(_HEADS[suffix])
    assert str(path) in capsys.readouterr().out


def test_json_with_a_figure_is_still_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figure.svg"
    assert main(["predict", *ONE, *START, "-o", str(path), "--json"]) == 0
    only_object(capsys.readouterr().out)
    assert path.exists()


def test_what_if_draws(slope: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    assert main(["whatif", str(slope), "--gamma", "1e-3:1e-2:3", *SLOPE, "-o", str(path)]) == 0
    assert path.read_bytes().startswith(_HEADS[".png"])


@pytest.mark.parametrize("kind", ["lu", "sizes", "gradients"])
def test_figure(kind: str, slope: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.png"
    which = "teacher-student" if kind == "lu" else str(slope)
    start = [] if kind == "lu" else ["--alpha", "3.6", "--m", "0.06"]
    assert main(["figure", kind, which, *start, "-o", str(path)]) == 0
    assert path.read_bytes().startswith(_HEADS[".png"])


def test_what_if_data_opens_in_xarray(slope: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.nc"
    axes = ["--gamma", "1e-3:1e-2:3", "--eta-d", "1e-3", "1e-2", "--alpha", "3.6", "--m", "0.06"]
    assert main(["whatif", str(slope), *axes, "-o", str(path)]) == 0
    with xr.open_dataset(path) as opened:
        assert opened["t_grok"].dims == ("gamma", "eta_d")
        assert opened["t_grok"].shape == (3, 2)
        assert opened["status"].values.ravel().tolist() == ["generalizes"] * 6
    assert [p.name for p in tmp_path.iterdir()] == ["map.nc"]


def test_what_if_as_csv(slope: Path, tmp_path: Path) -> None:
    """A row for each point, its settings first; what is swept and what is not."""
    asked = ["whatif", str(slope), "--eta-d", "1e-2", "--alpha", "3.6", "--m", "0.06"]
    many, one = tmp_path / "many.csv", tmp_path / "one.csv"
    assert main([*asked, "--gamma", "1e-3:1e-2:3", "-o", str(many)]) == 0
    assert main([*asked, "--gamma", "1e-3", "-o", str(one)]) == 0
    with many.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["gamma"]) for row in rows] == pytest.approx([1e-3, 10**-2.5, 1e-2])
    assert {row["status"] for row in rows} == {"generalizes"}
    with one.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["t_grok"]) == pytest.approx(float(rows[0]["t_grok"]))
    assert {p.name for p in tmp_path.iterdir()} == {"many.csv", "one.csv"}
    assert main([*asked, "--gamma", "1e-3", "-o", str(one)]) == 2


def test_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "map.nc"
    path.write_bytes(b"old")
    asked = ["whatif", *ONE, "--gamma", "1e-3", "1e-2", "--eta-d", "1e-3", "--alpha", "9", "-o", str(path)]
    assert main(asked) == 2
    assert path.read_bytes() == b"old"
    assert main([*asked, "--overwrite"]) == 0
    assert path.read_bytes().startswith(b"\x89HDF")


def test_outside_is_a_status_with_a_remedy(slope: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["predict", str(slope), "--gamma", "1e-3", "--eta-d", "1e-2", "--alpha", "9", "--m", "0.06"])
        == 0
    )
    out, err = capsys.readouterr()
    assert err == ""
    assert "Status      outside: 0 of 1 seeds generalize" in out
    assert "larger grid" in " ".join(out.split())  # the remedy, wherever its line breaks


def test_constrained_runs_are_measured_and_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.nc"
    short = "--gamma 0.1 --alpha 2 --seeds 1 --steps 4 --workers 1 --quiet --constrained"
    assert main(f"train teacher-student {short} -o {path}".split()) == 0
    with xr.open_dataset(path) as runs:
        np.testing.assert_allclose(runs["weight_norm"] / (2 * runs["w0"]), 1.0, rtol=1e-6)
    assert main(["measure", str(path)]) == 0
    capsys.readouterr()
    assert main(["compare", "teacher-student", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "constrained: " in err


def test_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lists make every combination, or with --paired walk together; the file says which is which."""
    short = "--seeds 3 5 --steps 4 --workers 1 --quiet"
    lists = "--gamma 0 1e-2:1:3 --alpha 1 2 --eta-d 1e-3"
    path = tmp_path / "runs.nc"
    assert main(f"train teacher-student {lists} {short} --tolerance 0.02 -o {path}".split()) == 0
    assert capsys.readouterr().out == f"{path}: teacher-student, 16 runs, 0 diverged\n"
    with xr.open_dataset(path) as runs:
        assert np.unique(runs["gamma"]).tolist() == pytest.approx([0, 0.01, 0.1, 1])
        assert np.unique(runs["seed"]).tolist() == [3, 5]
        assert runs["step"].values.tolist() == [0, 1, 2, 3, 4]
        assert json.loads(runs.attrs["configuration"])["settings"] == {"tolerance": 0.02}

    paired = "--gamma 0.1 0.2 --alpha 1 2 --m 0.1 0.3 --eta-d 1e-3 --eta-r 1e-2 --paired"
    other = (
        "--optimizer momentum --representation line --n-train 20 --batch 10 --dtype float64 --resolution 1"
    )
    asked = f"train addition {paired} {other} {short} --stop-at 1 --members 1 -o {path} --overwrite"
    assert main(asked.split()) == 0
    with xr.open_dataset(path) as runs:
        for name, expected in (("gamma", [0.1, 0.2]), ("alpha", [1, 2]), ("m_start", [0.1, 0.3])):
            assert runs[name].values.tolist() == expected
        assert runs["seed"].values.tolist() == [3, 5]
        assert set(runs["n_train"].values.tolist()) == {20}
        assert runs["eta_r"].values.tolist() == [1e-2, 1e-2]
        assert runs["step"].values.tolist() == [0, 1, 2, 4]
        named = {k: runs.attrs[k] for k in ("optimizer", "representation", "batch")}
        assert named == {"optimizer": "momentum", "representation": "line", "batch": 10}


def test_momentum_and_a_schedule_are_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, how = tmp_path / "runs.nc", "--steps 8 --seeds 1 --workers 1 --quiet"
    law = "--optimizer momentum --momentum 0.5 --schedule step,steps=3,factor=0.5,warmup=2"
    assert main(f"train teacher-student --gamma 0.1 --alpha 2 {law} {how} -o {path}".split()) == 0
    found = open_runs(path).law
    assert (found.rule, found.momentum, found.coupled) == ("momentum", 0.5, True)
    assert found.schedule == Schedule("step", 3, 0.5, 2)
    capsys.readouterr()
    for wrong, words in (
        ("--momentum 0.5", "momentum = 0.5: 'adamw' has none"),
        ("--schedule exponential", "shape = 'exponential'"),
        ("--schedule cosine", "steps = 0"),
        ("--schedule step,5", "expected a schedule such as"),
        ("--schedule step,pace=5", "expected a schedule such as"),
    ):
        asked = f"train teacher-student --gamma 0.1 --alpha 2 {how} -o {tmp_path / 'b.nc'} {wrong}"
        try:
            status = main(asked.split())
        except SystemExit as stopped:  # argparse's
            status = int(str(stopped.code))
        assert status == 2
        assert words in capsys.readouterr().err
    grid = f"sample teacher-student --alpha 1:4:4 --steps 5 --seeds 1 --quiet -o {tmp_path / 'l.nc'}"
    assert main([*grid.split(), "--decay-every", "3"]) == 2
    assert "--decay-every: the rate of teacher-student does not drop" in capsys.readouterr().err


def test_a_prediction_takes_a_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    asked = shlex.split("predict teacher-student --gamma 0.1 --eta-d 3e-4 --alpha 3 --json")
    found = []
    for more in ([], ["--schedule", "linear,steps=1,factor=0.5"]):
        assert main([*asked, *more]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[1]["t_grok"] == pytest.approx(2 * found[0]["t_grok"] - 1)
    assert found[1]["settings"]["schedule"]["factor"] == 0.5
    assert "schedule" not in found[0]["settings"]


def test_a_diverged_run_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "runs.nc"
    asked = f"train teacher-student --gamma 0 --alpha 3 --eta-d 1e9 1e-9 --optimizer sgd --seeds 1 -o {path}"
    assert main([*asked.split(), "--steps", "200", "--quiet", "--workers", "1"]) == 0
    assert capsys.readouterr().out.endswith(": teacher-student, 2 runs, 1 diverged\n")


def test_sample_path_and_predict_from_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "path.nc")
    few = ["--alpha", "0.5", "--seeds", "1", "--refit", "2", "4", "--tau", "0.06", "--device", "cpu"]
    assert main(["sample-path", "teacher-student", *few, "-o", out, "--quiet"]) == 0
    assert "1 seeds, 1 alpha, refit 2, 4, 0 diverged" in capsys.readouterr().out
    assert main(["predict", out, "--gamma", "0.1", "--eta-d", "3e-4", "--alpha", "0.5", "--json"]) == 0
    assert only_object(capsys.readouterr().out)["status"] in ("already", "generalizes", "outside")
    assert main(["sample-path", "teacher-student", *few, "-o", out, "--quiet"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["sample-path", "teacher-student", *few, "-o", str(tmp_path / "a"), "--quiet"]) == 2
    assert "ends in .nc" in capsys.readouterr().err
