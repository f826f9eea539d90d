"""What the commands and the package import: no more than they need, and without PyTorch what needs none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from groktime.commands import COMMANDS
from groktime.fullnet.built_in import BUILT_IN

START = ["--gamma", "1e-3", "--eta-d", "1e-3", "--alpha", "9"]
ONE = ["teacher-student", "--seed", "0"]


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after the code."""
    tail = "\nimport sys; print('LOADED', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.rsplit("LOADED ", 1)[1].split())


def run_in_process(arguments: list[str]) -> str:
    return (
        "import contextlib, io, sys\nfrom groktime.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    assert main({arguments!r}) == 0"
    )


def test_help_imports_nothing_heavy() -> None:
    asked = [["--help"], *([command, "--help"] for command in COMMANDS)]
    loaded = loaded_by("\n".join(run_in_process(arguments) for arguments in asked))
    assert not loaded & {"torch", "numpy", "scipy", "matplotlib", "xarray", "pandas", "h5netcdf", "sympy"}


def test_predict_imports_only_what_it_needs() -> None:
    loaded = loaded_by(run_in_process(["predict", *ONE, *START]))
    assert {"numpy", "h5py", "groktime.reduced.flow"} <= loaded
    slow = {"xarray", "pandas", "h5netcdf", "dask", "scipy.sparse", "scipy.optimize", "sympy"}
    assert not loaded & {*slow, "torch", "matplotlib", "groktime.fullnet"}


def test_the_package_is_lazy() -> None:
    loaded = loaded_by("import groktime; groktime.__version__; dir(groktime)")
    assert not loaded & {"torch", "numpy", "xarray", "groktime.reduced", "groktime.fullnet"}
    loaded = loaded_by("import groktime as gt; gt.predict; gt.open_landscape('teacher-student')")
    assert "groktime.reduced.prediction" in loaded
    assert not loaded & {"torch", "matplotlib", "groktime.fullnet"}


def test_every_public_name_is_there() -> None:
    import groktime as gt

    for name in gt.__all__:
        assert getattr(gt, name) is not None
    assert set(dir(gt)) == set(gt.__all__)
    with pytest.raises(AttributeError, match="grokk"):
        _ = gt.grokk


_NO_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return None

sys.meta_path.insert(0, Blocked())
"""


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """An environment in which every Python starts with torch blocked."""
    (tmp_path / "sitecustomize.py").write_text(_NO_TORCH)
    root = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), root])}


@pytest.mark.parametrize(
    "words", ["sample addition --alpha 2:4:5", "train x:y --gamma 0 --alpha 1 --steps 9"]
)
def test_sample_and_train_without_torch(words: str, without_torch: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "groktime", *words.split()]
    done = subprocess.run(
        [*command, "-o", "x.nc"], env=without_torch, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'groktime[train]'" in done.stderr
    assert not (tmp_path / "x.nc").exists()


def test_tasks_without_torch(without_torch: dict[str, str]) -> None:
    command = [sys.executable, "-m", "groktime", "tasks", "--json"]
    done = subprocess.run(command, env=without_torch, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)["tasks"]) == set(BUILT_IN)


def test_predict_without_torch(without_torch: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "groktime", "predict", *ONE, *START],
        env=without_torch,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "generalizes" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["sample", "train", "check_task", "ladder"])
def test_the_public_names_without_torch(name: str, without_torch: dict[str, str]) -> None:
    code = f"import groktime as gt\ntry: gt.{name}\nexcept ImportError as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=without_torch, capture_output=True, text=True, check=True
    )
    assert "groktime[train]" in done.stdout
