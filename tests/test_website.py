"""The pages of the site that are made of something else."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import groktime
from groktime.recipes.registry import catalogue
from website import gallery, notebooks, reference

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_gallery_shows_every_figure_with_what_makes_it() -> None:
    found = gallery.figures(DOCS)
    files = sorted(f"figures/{file.name}" for file in (DOCS / "figures").iterdir())
    assert sorted(one.file for one in found) == files
    for one in found:
        stem = Path(one.file).stem
        if stem in catalogue():  # a figure of its name is made by that recipe
            assert one.recipe and one.recipe.name == stem
        elif one.recipe is None:
            assert one.command.startswith(("python benchmarks/", "groktime explore "))
    page = gallery.page(DOCS)
    for one in found:
        assert page.count(f"]({one.file})") == 1


def test_a_figure_without_a_command_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Page\n\n![A figure](figures/new.png)\n\n`groktime figure fig2`\n")
    with pytest.raises(ValueError, match=r"no command stands before figures/new\.png"):
        gallery.figures(tmp_path)


def test_reference_has_every_public_name_once() -> None:
    named = [name for names in reference.GROUPS.values() for name in names]
    assert sorted(named) == sorted(groktime.__all__)
    text = "".join(reference.pages().values())
    for home, name in re.findall(r"^::: (\S+)\.(\w+)$", text, re.MULTILINE):
        assert hasattr(import_module(home), name)
    in_nav = re.findall(r"reference/\S+", (ROOT / "mkdocs.yml").read_text())
    assert sorted(reference.pages()) == sorted(in_nav)


def test_sections_of_docstrings_become_lists() -> None:
    text = """Train.

Parameters
----------
task, gamma : what is trained: a value
    or a name. loss (0.1) : of it.
steps : how many.

Raises
------
InputError : naming the argument.
"""
    assert (
        reference.as_lists(text)
        == """Train.

**Parameters**

- `task, gamma`: what is trained: a value
    or a name. loss (0.1) : of it.
- `steps`: how many.

**Raises**

- `InputError`: naming the argument.
"""
    )


def test_types_of_attributes_end_a_sentence() -> None:
    text = (
        "Attributes\n----------\nbatch : int\n    Samples of a step.\nrule : what trains it\n    by default."
    )
    assert reference.as_lists(text).splitlines()[2:] == [
        "- `batch`: int. Samples of a step.",
        "- `rule`: what trains it",
        "    by default.",
    ]


def test_a_notebook_is_a_page_with_its_pictures() -> None:
    made = notebooks.pages(ROOT / "notebooks")
    for name, page in made.items():
        if isinstance(page, bytes):
            assert page.startswith(b"\x89PNG")
        else:
            assert page.startswith("# ") and name in (ROOT / "mkdocs.yml").read_text()
            for picture in re.findall(r"!\[[^]]*\]\((.*?)\)", page):
                assert f"notebooks/{picture}" in made
    assert sum(isinstance(page, str) for page in made.values()) == 3
