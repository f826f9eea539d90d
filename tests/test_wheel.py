"""The wheel, installed outside the repository: what is in it, that it runs, and what a user's mypy sees."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import groktime
from groktime.reduced.shipped import KINDS
from groktime.validation.explorer.page import SCRIPTS

ROOT = Path(__file__).parents[1]
ROOMS = ("reduced", "fullnet", "validation", "recipes")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Without the repository on the path."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "MYPYPATH")}
    return subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One built from the checkout, and one from the sdist that is built from it."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheels")

    def built(kind: str, source: Path, pattern: str) -> Path:
        out = folder / f"{kind}-of-{source.name}"
        command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
        subprocess.run(command, cwd=source, capture_output=True, check=True)
        (made,) = out.glob(pattern)
        return made

    direct = built("wheel", ROOT, "*.whl")
    sdist = built("sdist", ROOT, "*.tar.gz")
    assert run("tar", "xzf", sdist, cwd=folder).returncode == 0
    return direct, built("wheel", folder / sdist.name.removesuffix(".tar.gz"), "*.whl")


@pytest.fixture(scope="module")
def python(wheels: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has the wheel, and what it depends on from this one."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    (site,) = (home / "lib").glob("*/site-packages")
    with zipfile.ZipFile(wheels[0]) as wheel:  # a pure wheel is installed by unpacking it
        wheel.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    where = run(python, "-c", "import groktime; print(groktime.__file__)", cwd=home).stdout.strip()
    assert Path(where).is_relative_to(site)
    return python


def test_both_wheels_hold_the_package_alone(wheels: tuple[Path, Path]) -> None:
    names = []
    for path in wheels:
        with zipfile.ZipFile(path) as wheel:
            names.append({info.filename: info.CRC for info in wheel.infolist()})
    assert names[0] == names[1]
    files = [name for name in names[0] if ".dist-info/" not in name]
    assert {name.partition("/")[0] for name in files} == {"groktime"}
    for room in ROOMS:
        sources = {p.relative_to(ROOT) for p in (ROOT / room).rglob("*.py")}
        assert {f"groktime/{p}" for p in sources} == {
            name for name in files if name.startswith(f"groktime/{room}/") and name.endswith(".py")
        }
    templates = {
        "page.html",
        "palette.css",
        *(f"explorer/{name}" for name in (*SCRIPTS, "page.html", "style.css")),
    }
    assert {"groktime/py.typed", *(f"groktime/validation/{name}" for name in templates)} <= set(files)
    shipped = {f"groktime/reduced/landscapes/{p.name}" for p in (ROOT / "reduced/landscapes").glob("*.nc")}
    assert shipped and shipped <= set(files)
    assert {"groktime/py.typed", "groktime/validation/page.html"} <= set(files)
    for kind in KINDS:
        shipped = {f"groktime/reduced/{kind}/{p.name}" for p in (ROOT / "reduced" / kind).glob("*.nc")}
        assert shipped and shipped <= set(files)


def test_what_is_cited_is_what_is_released(wheels: tuple[Path, Path]) -> None:
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    with zipfile.ZipFile(wheels[0]) as wheel:
        (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
        released = email.message_from_bytes(wheel.read(name))
    assert released["Version"] == groktime.__version__
    assert re.search(rf"^version: {re.escape(groktime.__version__)}$", cited, re.MULTILINE)
    assert released["License-Expression"] == zenodo["license"] == "MIT"
    assert released["Summary"] in zenodo["description"] and released["Summary"] in cited
    assert set(released["Keywords"].split(",")) == set(zenodo["keywords"])
    assert set(re.findall(r"^  - ([\w ]+)$", cited, re.MULTILINE)) == set(zenodo["keywords"])


@pytest.mark.parametrize(
    "words",
    [
        "-m groktime predict teacher-student --gamma 0.1 --eta-d 3e-4 --alpha 3",
        "-m groktime tasks",
        "-m groktime figure",
        "-m groktime.reduced.derivation",
    ],
)
def test_it_runs_outside_the_repository(words: str, python: Path, tmp_path: Path) -> None:
    done = run(python, *words.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_modules_of_the_user_s_with_the_names_of_rooms(python: Path, tmp_path: Path) -> None:
    for room in ROOMS:
        (tmp_path / f"{room}.py").write_text("raise RuntimeError('the user’s module')\n")
    (tmp_path / "script.py").write_text(
        "import groktime as gt\n"
        "gt.measure, gt.compare, gt.open_runs, gt.what_if\n"
        "land = gt.open_landscape('teacher-student')\n"
        "print(gt.predict(land, gamma=0.1, eta_d=3e-4, alpha=3.0).status)\n"
    )
    done = run(python, "script.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "generalizes\n"), done.stderr


USER = """\
import groktime as gt

land = gt.open_landscape("teacher-student")
reveal_type(gt.predict)
reveal_type(gt.predict(land, gamma=0.1, eta_d=3e-4, alpha=3.0))
gt.open_landscape(3)
"""


@pytest.mark.slow  # a minute: mypy reads torch, too
def test_a_user_s_mypy_sees_types(python: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--python-executable",
        str(python),
        "--cache-dir",
        "cache",
        "user.py",
    ]
    lines = run(*command, cwd=tmp_path).stdout.splitlines()
    revealed = re.findall(r'user.py:(\d+): note: Revealed type is "(.*)"', "\n".join(lines))
    assert [int(number) for number, _ in revealed] == [4, 5]
    assert all(kind != "Any" for _, kind in revealed)
    assert "groktime.reduced" in revealed[0][1] and "Prediction" in revealed[1][1]
    errors = [line for line in lines if ": error: " in line]
    assert len(errors) == 1 and errors[0].startswith("user.py:6: ") and "[arg-type]" in errors[0]
