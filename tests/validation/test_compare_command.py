"""`groktime compare`: tables for people, one object for scripts, one sentence on what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from planted import NAN, flat, grid, law, planted

from groktime.cli import main
from groktime.validation.folder import FILES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("compare")
    runs = grid()
    flat().save(here / "land.nc")
    planted([*law(runs["gamma"])[:-1] / 1.1, NAN], **runs).save(here / "runs.nc")
    planted([100.0], task="another").save(here / "other.nc")
    return here


def test_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(folder / "land.nc"), str(folder / "runs.nc")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) < 200
    lines = [" ".join(line.split()) for line in out.splitlines()]
    head = lines.index("alpha gamma runs censored flow measured error %")
    assert lines[head + 1].startswith("3 0.03 3 0 23")
    assert float(lines[head + 1].split()[-1]) == pytest.approx(10, abs=0.3)
    for words in (
        "left out of flow",
        "1 never got there (censored)",
        "inverse_gamma: t = C/(eta gamma)",
        "kappa",
    ):
        assert words in out
    assert "does not say with which settings" in out


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(folder / "land.nc"), str(folder / "runs.nc"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    assert "NaN" not in out
    assert "Infinity" not in out
    told = json.loads(out)
    assert set(told) == {"schema", "table", "summary"}
    assert told["table"]["data_vars"]["measured_t_grok"]["data"][-1] is None
    assert told["table"]["attrs"]["schema"] == "groktime-comparison/2"
    assert told["summary"]["data_vars"]["n"]["data"][0][0][0] == 8


def test_report(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["compare", str(folder / "land.nc"), str(folder / "runs.nc"), "-o", str(tmp_path / "report")]
    assert main(asked) == 0
    assert str(tmp_path / "report") in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == sorted(FILES)
    assert main(asked) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*asked, "--overwrite", "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_options_are_heeded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--threshold 0.93 --metric accuracy --persist 2 --rule stable --m-rate eq6 --level 0.02"
    more = "--train-threshold 0.9 --sampled-steps 0 --json"
    asked = ["compare", str(folder / "land.nc"), str(folder / "runs.nc"), *words.split(), *more.split()]
    assert main(asked) == 0
    told = json.loads(capsys.readouterr().out)["table"]
    kept = {k: told["attrs"][k] for k in ("rule", "persist", "level", "m_rate", "train_threshold")}
    assert kept == {"rule": "stable", "persist": 2, "level": 0.02, "m_rate": "eq6", "train_threshold": 0.9}
    assert set(told["data_vars"]["threshold"]["data"]) == {0.93}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("land.nc other.nc", "task: "),
        ("runs.nc land.nc", "groktime-runs/1"),
        ("land.nc missing.nc", "missing.nc: no such file"),
        ("land.nc runs.nc --threshold 2", "threshold = 2"),
        ("land.nc runs.nc --threshold high", "--threshold"),
        ("land.nc runs.nc --rule last", "--rule: invalid choice: 'last'"),
        ("land.nc runs.nc --sampled-steps 9", "budget = 9"),
        ("land.nc runs.nc -o nowhere/report", "nowhere"),
        ("land.nc runs.nc -o runs.nc --overwrite", "not a folder"),
    ],
)
def test_one_sentence(
    words: str,
    named: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(p.name for p in folder.iterdir())
    try:
        code: object = main(["compare", *words.split()])
    except SystemExit as stopped:  # argparse's way
        code = stopped.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("groktime compare: ")
    assert err.count("\n") == 1
    assert named in err
    assert sorted(p.name for p in folder.iterdir()) == before


def test_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; import groktime as gt; from groktime.cli import main\n"
        f"land = gt.open_landscape({str(folder / 'land.nc')!r})\n"
        f"gt.compare(land, gt.open_runs({str(folder / 'runs.nc')!r})).report()\n"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
