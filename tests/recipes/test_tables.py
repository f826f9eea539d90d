"""Tables are printed, and written between marks; every mark in README and docs names a recipe's table."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from groktime.recipes.registry import catalogue, function_of
from groktime.recipes.runner import parser_of
from groktime.recipes.shared.tables import keep, markdown, named_tables, names_in, number, table, write
from groktime.reduced.errors import InputError

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = "<!-- groktime figure fig2 {} -->\n{}\n<!-- end -->\n"


def test_markdown() -> None:
    assert [number(x) for x in (np.nan, np.inf, 1234567, 1234.5, 0.12345)] == [
        "–", "∞", "1,234,567", "1,234", "0.123",
    ]  # fmt: skip
    assert markdown(["a", "b"], [[1, "x"]], right=[1]) == "| a | b |\n|---|---:|\n| 1 | x |"


def test_named_tables_are_collected(capsys: pytest.CaptureFixture[str]) -> None:
    with named_tables() as found:
        table(["a"], [[1]], "one")
        table(["a"], [[2]])
        assert keep("text", "words") == "words"
    table(["a"], [[3]], "late")
    assert found == {"one": "| a |\n|---|\n| 1 |", "text": "words"}
    assert capsys.readouterr().out.count("| a |") == 3


def test_only_the_block_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "α\n" + BLOCK.format("times", "old\nlines") + "between\n" + BLOCK.format("slopes", "kept")
    )
    write(page, "fig2 times", "| new |\n")
    text = "α\n" + BLOCK.format("times", "| new |") + "between\n" + BLOCK.format("slopes", "kept")
    assert page.read_text() == text
    assert names_in(page) == ["fig2 times", "fig2 slopes"]
    write(page, "fig2 times", "| new |\n")
    assert page.read_text() == text
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        ("no marks\n", "expected a line <!-- groktime figure fig2 times --> and, after it, <!-- end -->"),
        (BLOCK.format("slopes", "x"), "expected a line <!-- groktime figure fig2 times -->"),
        ("<!-- groktime figure fig2 times -->\nx\n", "expected a line <!-- end --> after"),
        ("<!-- groktime figure fig2 times -->\nx\n" + BLOCK.format("slopes", "x"), "<!-- end --> after"),
    ],
)
def test_a_page_without_the_block_is_left_alone(tmp_path: Path, content: str | None, words: str) -> None:
    page = tmp_path / "page.md"
    if content is not None:
        page.write_text(content)
    with pytest.raises(InputError, match=re.escape(words)):
        write(page, "fig2 times", "| new |")
    assert content is None or page.read_text() == content


def test_every_mark_names_a_table_of_a_recipe() -> None:
    marked = [(page, name) for page in PAGES for name in names_in(page)]
    assert len(marked) > 30
    assert len(set(marked)) == len(marked)
    for page, name in marked:
        recipe, wanted = name.split()
        assert recipe in catalogue(), f"{page}: {name}"
        assert "--write" in parser_of(recipe).format_help()
        assert names_of(recipe).fullmatch(wanted), f"{page}: {name}"


def names_of(recipe: str) -> re.Pattern[str]:
    """The strings that the recipe's module passes to functions, its tables' names among them; of what is put
    together, the parts that are written there."""
    tree = ast.parse(Path(function_of(recipe).__code__.co_filename).read_text())
    passed = [value for call in ast.walk(tree) if isinstance(call, ast.Call) for value in call.args]
    plain = [re.escape(v.value) for v in passed if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    parts = [v.values for v in passed if isinstance(v, ast.JoinedStr)]
    put = ["".join(re.escape(p.value) if isinstance(p, ast.Constant) else r"\S+" for p in v) for v in parts]
    return re.compile("|".join(plain + [pattern for pattern in put if pattern != r"\S+"]))


def test_every_command_for_recipes_in_the_pages_is_one() -> None:
    found = []
    for page in PAGES:
        text = page.read_text()
        assert not re.search(r"python recipes/|recipes/\w+\.py", text), page
        for words in re.findall(r"`python -m groktime\.recipes ([a-z][^`]+)`", text):
            name, *rest = words.split()
            parser_of(name).parse_args(rest)
            found.append(name)
        for words in re.findall(r"`groktime figure ([a-z]\w+)[^`]*`", text):
            assert words in catalogue() or words in ("lu", "sizes", "gradients"), page
    assert set(found) >= {"fig5", "table_above", "table_gradients"}
