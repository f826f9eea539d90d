"""`groktime tasks` tells what tasks there are and cost; `groktime figure NAME` runs a figure's recipe."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import groktime.fullnet.tasks
from groktime import recipes
from groktime.cli import main, parser
from groktime.fullnet.find import BUILT_IN, find_task
from groktime.ranges import values
from groktime.recipe import run_recipe
from groktime.recipes import FIGURES, Figure
from groktime.reduced.errors import InputError

ROOT = Path(__file__).parents[2]
RECIPES = Path(recipes.__file__).parent

# --- tasks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_typical_run_costs_what_is_told(name: str) -> None:
    task = BUILT_IN[name]
    if not task.run:
        pytest.skip("no typical run is told")
    options = parser().parse_args([*shlex.split(task.run), "-o", "x.nc"])
    settings = {k: getattr(options, k) for k in task.settings}
    made = find_task(options.task, settings, options.n_train and max(options.n_train), options.preset)
    counted = [options.n_train or [made.n_train]]
    seeds = options.seeds or [4]
    counted += [range(seeds[0]) if len(seeds) == 1 else seeds]
    swept = [getattr(options, k, None) for k in ("gamma", "alpha", "eta_d", "eta_r", "m")]
    counted += [values("x", texts) for texts in swept if texts]
    members = prod(len(list(x)) for x in counted)
    assert task.member_steps == members * (options.steps or made.steps)


@pytest.mark.parametrize(("name", "preset"), [(n, p) for n, t in BUILT_IN.items() for p in t.presets])
def test_every_preset_makes_its_task(name: str, preset: str) -> None:
    settings = BUILT_IN[name].presets[preset]
    function = getattr(groktime.fullnet.tasks, BUILT_IN[name].function)
    assert set(settings) <= set(inspect.signature(function).parameters)
    made, expected = find_task(name, preset=preset), function(**settings)
    assert (made.name, made.n_train, made.settings) == (expected.name, expected.n_train, expected.settings)


def test_what_is_given_wins_over_a_preset() -> None:
    assert find_task("mnist", {"loss": "mse"}, preset="fig12").settings["loss"] == "mse"
    assert find_task("mnist", {"loss": None}, preset="fig12").settings["loss"] == "ce"
    assert [find_task("mnist", n_train=n, preset="fig12").n_train for n in (None, 30)] == [200, 30]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mnist", "--preset tiny: expected one of small, fig12, the presets of mnist"),
        ("some:task", "--preset tiny: some:task has no presets"),
    ],
)
def test_an_unknown_preset_is_a_sentence(name: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        find_task(name, preset="tiny")
    assert str(caught.value) == words


def test_a_preset_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.nc"
    few = ["--alpha", "1", "--seeds", "1", "--steps", "1", "--quiet", "--workers", "1", "-o", str(path)]
    asked = ["train", "addition", "--preset", "sizes", "--gamma", "0", *few]
    assert main(asked) == 0
    with xr.open_dataset(path) as runs:
        assert runs["n_train"].values.tolist() == [54]
        assert json.loads(runs.attrs["configuration"])["settings"]["variant"] == "official"
    capsys.readouterr()
    for command in (["sample"], ["sample-path"], ["train", "--gamma", "0"]):
        assert main([command[0], "addition", "--preset", "tiny", *command[1:], *few[:4], *few[-2:]]
                    + (["--steps", "1"] if command[0] == "train" else [])) == 2  # fmt: skip
        assert "--preset tiny: expected one of official, sizes" in capsys.readouterr().err


def test_tasks_tell_figures_presets_and_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["tasks"]
    assert main(["tasks"]) == 0
    text = capsys.readouterr().out
    for name, task in BUILT_IN.items():
        assert found[name]["presets"] == task.presets
        assert found[name]["minutes"] == task.minutes
        assert all(words in text for words in (name, task.line, task.figures, task.run, *task.presets))
        assert f"{task.member_steps:,} steps" in text
    assert found["teacher-student"]["minutes"] == pytest.approx(240_000 / 7531 / 60)


# --- figures ----------------------------------------------------------------------------------


def test_the_figures_of_the_paper_are_all_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert {re.sub(r"[ab]$", "", name) for name in FIGURES} >= {f"fig{k}" for k in range(2, 13)}
    assert main(["figure"]) == 0
    text = capsys.readouterr().out
    assert all(figure.line in text for figure in FIGURES.values())
    assert main(["figure", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["figures"]
    assert found["fig3"] == vars(FIGURES["fig3"])
    assert list(found) == list(FIGURES)


def test_recipes_are_there_and_take_what_they_are_told() -> None:
    for name, figure in FIGURES.items():
        text = (RECIPES / figure.recipe).read_text()
        assert "folder(" in text, name  # its options are those of recipes/common.py
        assert ('"--full"' in text) == figure.full, name
        assert ("docs/data.md" in text) == (figure.data is not None), name
    drawn = {p.name for p in RECIPES.glob("fig*.py")}
    assert drawn == {f.recipe for f in FIGURES.values() if f.recipe.startswith("fig")}


@pytest.mark.parametrize("name", FIGURES)
def test_every_recipe_can_be_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as its options: then its imports are sound, and `-o`, `--seeds`, `--full` its own."""
    asked: list[list[str]] = []

    def taken(self: argparse.ArgumentParser, *_: Any) -> argparse.Namespace:
        asked.append(sys.argv)
        parse(self)
        raise KeyboardInterrupt

    parse = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", taken)
    monkeypatch.delitem(sys.modules, "common", raising=False)
    before = list(sys.argv), list(sys.path)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(name, tmp_path / "out", 2, FIGURES[name].full)
    full = ["--full"] if FIGURES[name].full else []
    assert asked[0][1:] == ["-o", str(tmp_path / "out"), "--seeds", "2", *full]
    assert (sys.argv, sys.path) == before


def test_descents_of_a_known_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fig. 6c: what counts as one, and the share by which it falls."""
    monkeypatch.syspath_prepend(RECIPES)
    descents = importlib.import_module("fig6").descents
    for corners, falls in (
        ([1.0, 0.8, 1.2, 0.6], [0.2, 0.5]),  # two, the second from the top between them
        ([1.0, 0.5, 0.505, 0.25], [0.75]),  # a rise of 1 % parts nothing
        ([1.0, 0.99, 2.0, 1.0, 4.0], [0.5]),  # a fall of 1 % is none, nor is a rise at the end
        ([1.0, 3.0], []),
    ):
        assert descents(np.array(corners)) == pytest.approx(falls)
        fine = np.interp(np.linspace(0, 1, 1001), np.linspace(0, 1, len(corners)), corners)
        assert descents(fine) == pytest.approx(falls, abs=0.03)


def test_cells_of_the_band_count_what_is_censored(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 1081 / 4 is inside, 1081 / 128 not; each has a run that fitted and did not generalise."""
    monkeypatch.syspath_prepend(RECIPES)
    monkeypatch.delitem(sys.modules, "common", raising=False)
    band = importlib.import_module("band")
    last, nan = np.full(3, 6000.0), np.nan
    inside = band.Cell(47, 4, 1081, np.array([900.0, 1000, nan]), np.array([100.0, nan, nan]), last)
    outside = band.Cell(47, 128, 1081, np.array([500.0, 500, 500]), np.array([400.0, 800, nan]), last)
    one, two = band.rows_of([inside, outside])
    assert one == ["47", "1,081", "4", "270", "yes", "3", "1", "1", "100", "0.37"]
    assert two == ["47", "1,081", "128", "8.45", "no", "3", "0", "1", "600", "75"]
    # the censored count: of 2 that fitted one takes 100 steps, of 3 two take 800 or less
    steps, epochs, failed = band.claims([inside, outside])
    assert steps[1] == epochs[1] == failed[1] == "yes"
    assert "inside 100 (" in steps[2] and "outside 800 (" in steps[2]
    assert steps[2].endswith("inside 1 of 3 generalised, 2 fitted; outside 2 of 3 generalised, 3 fitted")
    assert "inside 0.37 (" in epochs[2] and "outside 100 (" in epochs[2]
    assert failed[2] == "1 of 1 cells; outside 0 of 1"
    none = [replace(cell, delay=np.full(3, nan)) for cell in (inside, outside)]
    assert band.claims(none)[0][1] == "cannot be told"


SCRIPT = """
from common import folder

def main():
    options = folder("As `python recipes/mine.py`.", ("--full", {"action": "store_true"}))
    (options.out / "made.txt").write_text(f"{options.seeds} {options.full}")
    if options.seeds == 7:
        from groktime.reduced.errors import InputError
        raise InputError("seeds = 7: expected fewer")

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recipes with one of our own, and the current folder elsewhere."""
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "mine.py").write_text(SCRIPT)
    (shipped / "common.py").write_text((RECIPES / "common.py").read_text())
    monkeypatch.setattr(recipes, "__file__", str(shipped / "__init__.py"))
    monkeypatch.setitem(FIGURES, "mine", Figure("ours", "mine.py", 3, full=True, data="nothing"))
    monkeypatch.delitem(sys.modules, "common", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_a_recipe_is_run(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", "mine"]) == 0
    assert (mine / "out" / "mine" / "made.txt").read_text() == "4 False"
    out, err = capsys.readouterr()
    assert out == ""
    for words in ("recipes/mine.py, small", "about 3 minutes", "needs nothing", "out/mine"):
        assert words in err
    assert main(["figure", "mine", "--seeds", "2", "--full", "-o", "there"]) == 0
    assert (mine / "there" / "made.txt").read_text() == "2 True"
    assert "the paper's sizes, for a GPU; time not measured" in capsys.readouterr().err
    assert main(["figure", "mine", "--seeds", "7"]) == 2
    assert capsys.readouterr().err.endswith("groktime figure: seeds = 7: expected fewer\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("fig99", "figure 'fig99': expected one of fig2, fig3,"),
        ("fig2 --full", "--full: the recipe of fig2 has one size only"),
        ("fig2 --seeds 0", "--seeds 0: expected 1 or more"),
        ("fig2 -o file", "file: is not a folder"),
        ("fig2 teacher-student", "landscape: is for lu, sizes and gradients"),
        ("fig2 --gamma 0", "--gamma: is for lu, sizes and gradients"),
        ("fig2 --json", "--json: is for the list"),
        ("--full", "--full: is for one figure"),
        ("lu teacher-student -o x.png --full", "--full: is for recipes"),
        ("lu -o x.png", "figure lu: expected a landscape"),
        ("lu teacher-student", "-o: expected a name that ends in .png"),
    ],
)
def test_what_no_figure_takes_is_a_sentence(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["figure", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"groktime figure: {told}")
    assert err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_list_needs_no_torch() -> None:
    code = (
        "import sys\nfrom groktime.cli import main\n"
        "assert main(['figure']) == 0 and main(['tasks']) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)


def test_recipes_are_in_the_wheel() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["groktime"] and (ROOT / "groktime" / "recipes").samefile(ROOT / "recipes")
