"""The recipes: what their decorators declare is what the catalogue lists and what their functions take."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest

from groktime.cli import main
from groktime.recipes import registry
from groktime.recipes.__main__ import main as run_with_options
from groktime.recipes.registry import Recipe, catalogue, function_of, recipe
from groktime.recipes.runner import parser_of, run_recipe
from groktime.recipes.shared.tables import table
from groktime.reduced.errors import InputError

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"


def test_every_figure_of_the_paper_has_a_recipe() -> None:
    assert {re.sub(r"[ab]$", "", name) for name in catalogue()} >= {f"fig{k}" for k in range(2, 13)}
    paper = [name for name, one in catalogue().items() if one.folder == "paper"]
    assert paper[:3] == ["fig2", "fig3", "fig4"]
    assert paper[-4:] == ["fig10a", "fig10b", "fig11", "fig12"]


def test_the_catalogue_is_what_is_registered() -> None:
    for name in catalogue():
        function_of(name)
    assert set(registry._functions) == set(catalogue())
    files = {path.relative_to(RECIPES).as_posix() for path in RECIPES.glob("paper/fig*.py")}
    assert files <= {one.module.replace(".", "/") + ".py" for one in catalogue().values()}


@pytest.mark.parametrize("name", catalogue())
def test_every_recipe_takes_its_options(name: str) -> None:
    one, run = catalogue()[name], function_of(name)
    asked = ["-o", "there", *(["--seeds", "2"] if one.seeds else []), *(["--full"] if one.full else [])]
    given = vars(parser_of(name).parse_args(asked))
    assert given["out"] == Path("there")
    assert set(given) - {"to"} == set(inspect.signature(run).parameters)
    assert (given.get("seeds"), given.get("full")) == (2 if one.seeds else None, one.full or None)
    text = import_module(run.__module__).__doc__ or ""
    assert one.line and text
    assert one.data is None or name in ("headline", "table_recommend") or "docs/data.md" in text


def test_a_declaration_that_the_function_does_not_keep_is_refused() -> None:
    def run(out: Path, seeds: int) -> None:
        pass

    for settings in ({}, {"seeds": 4, "full": True}):
        with pytest.raises(TypeError, match="declared or a parameter"):
            recipe("wrong", "neither", **settings)(run)  # type: ignore[arg-type]
    assert "wrong" not in registry._functions


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of our own, and an empty folder to run it in."""

    def run(
        out: Path,
        seeds: int,
        full: bool,
        *,
        gamma: Annotated[tuple[float, ...], "decays"] = (0.1,),
        from_: Annotated[Path | None, "a file"] = None,
    ) -> None:
        (out / "made.txt").write_text(f"{seeds} {full} {gamma} {from_}")
        table(["seeds"], [[seeds]], "count")
        if seeds == 7:
            raise InputError("seeds = 7: expected fewer")

    module: Any = ModuleType("groktime.recipes.results.mine")
    run.__module__ = module.__name__
    functions: dict[str, Callable[..., None]] = registry._functions
    monkeypatch.setitem(functions, "mine", run)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = Recipe("mine", "ours", "results.mine", seeds=4, minutes=3, full=True, data="nothing")
    monkeypatch.setitem(catalogue(), "mine", entry)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_recipe_is_run(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure", "mine"]) == 0
    assert (mine / "out" / "mine" / "made.txt").read_text() == "4 False (0.1,) None"
    out, err = capsys.readouterr()
    assert out == "\n| seeds |\n|---|\n| 4 |\n"
    for words in ("recipes/results/mine.py, small", "about 3 minutes", "needs nothing", "out/mine"):
        assert words in err
    assert main(["figure", "mine", "--seeds", "2", "--full", "-o", "there"]) == 0
    assert (mine / "there" / "made.txt").read_text() == "2 True (0.1,) None"
    assert "the paper's sizes, for a GPU; time not measured" in capsys.readouterr().err
    assert main(["figure", "mine", "--seeds", "7"]) == 2
    assert capsys.readouterr().err.endswith("groktime figure: seeds = 7: expected fewer\n")


def test_options_of_its_own(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["mine", "--gamma", "1", "0.3", "--from", "x.nc", "--seeds", "2", "-o", "there"]
    assert run_with_options(asked) == 0
    assert (mine / "there" / "made.txt").read_text() == "2 False (1.0, 0.3) x.nc"
    assert run_with_options(["nobody"]) == 2
    assert "groktime.recipes: 'nobody': expected one of fig2, fig3," in capsys.readouterr().err
    assert run_with_options([]) == 0
    assert "  mine " in capsys.readouterr().out


def test_tables_are_written(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = mine / "page.md"
    marks = [f"<!-- groktime figure mine {name} -->\nold\n<!-- end -->\n" for name in ("count", "other")]
    page.write_text("before\n" + "\n".join(marks) + "after\n")
    assert main(["figure", "mine", "--write", "page.md"]) == 0
    expected = marks[0].replace("old", "| seeds |\n|---|\n| 4 |")
    assert page.read_text() == "before\n" + "\n".join([expected, marks[1]]) + "after\n"
    err = capsys.readouterr().err
    assert "page.md: count replaced\n" in err and "page.md: other left as it was" in err
    page.write_text("no marks\n")
    with pytest.raises(InputError, match="expected a line <!-- groktime figure mine TABLE -->"):
        run_recipe("mine", to=page)


@pytest.mark.parametrize(
    ("name", "file", "maker"),
    [
        ("table_path", "out/fig2/sweep.nc", "fig2"),
        ("table_above", "out/fig2/sweep.nc", "fig2"),
        ("table_modular", "out/fig7/free.nc", "fig7"),
    ],
)
def test_a_missing_file_is_a_sentence(
    name: str, file: str, maker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        run_recipe(name)
    assert str(caught.value) == f"{file}: no such file; `groktime figure {maker}` makes it"


def test_recipes_import_nothing_from_tests() -> None:
    for path in RECIPES.rglob("*.py"):
        assert not re.search(r"sys\.path|^\s*(from|import) tests\b", path.read_text(), re.MULTILINE), path


def test_python_m_lists_them() -> None:
    code = [sys.executable, "-m", "groktime.recipes"]
    text = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "Figures and tables of the poster" in text


def test_without_torch_it_is_a_sentence() -> None:
    code = (
        "import sys\nsys.modules['torch'] = None\n"
        "from groktime.recipes.__main__ import main\nsys.exit(main(['fig2']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.endswith("recipe fig2 needs PyTorch: pip install 'groktime[train]'\n")
