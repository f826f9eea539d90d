"""`groktime tasks` lists the tasks and their costs; `groktime figure` lists the recipes and runs one."""

from __future__ import annotations

import inspect
import json
import shlex
import subprocess
import sys
from math import prod
from pathlib import Path

import pytest
import xarray as xr

import groktime.fullnet.tasks
from groktime.cli import main, parser
from groktime.fullnet.find import BUILT_IN, find_task
from groktime.ranges import values
from groktime.recipes.registry import catalogue
from groktime.reduced.errors import InputError

ROOT = Path(__file__).parents[2]

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


def test_the_list_is_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure"]) == 0
    text = capsys.readouterr().out
    assert all(recipe.line in text for recipe in catalogue().values())
    assert all(f"\n  {kind} " in text for kind in ("lu", "sizes", "gradients"))
    assert main(["figure", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["figures"]
    assert found["fig3"] == vars(catalogue()["fig3"])
    assert list(found) == list(catalogue())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("fig99", "figure 'fig99': expected one of lu, sizes, gradients, or of the "),
        ("fig2 --full", "--full: the recipe of fig2 has one size only"),
        ("fig2 --seeds 0", "--seeds 0: expected 1 or more"),
        ("path_order --seeds 2", "--seeds: the recipe of path_order has no choice of seeds"),
        ("fig2 --write file", "file: expected a line <!-- groktime figure fig2 TABLE -->"),
        ("fig2 --write none.md", "none.md: no such file"),
        ("fig2 -o file", "file: is not a folder"),
        ("fig2 teacher-student", "landscape: is for lu, sizes and gradients"),
        ("fig2 --gamma 0", "--gamma: is for lu, sizes and gradients"),
        ("fig2 --json", "--json: is for the list"),
        ("--full", "--full: is for one figure"),
        ("--write file", "--write: is for one figure"),
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
