"""Links in README, CONTRIBUTING and docs: the files and the headings that they name exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from website.gallery import slug

ROOT = Path(__file__).parents[1]
_AT_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = [*(ROOT / name for name in _AT_ROOT), *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


@cache
def anchors(page: Path) -> set[str]:
    """Those of the headings; a heading that stands there again gets a number."""
    fenced = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.*)$", fenced, re.MULTILINE):
        name, again = slug(heading), 0
        while (numbered := f"{name}-{again}" if again else name) in found:
            again += 1
        found.add(numbered)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(<?([^)>\s]+)", CODE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = unquote(link).partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_a_wrong_anchor_is_seen() -> None:
    assert slug("Teacher–student: 450 `networks` [a](b.md)") == "teacherstudent-450-networks-a"
    assert "the-interval" in anchors(ROOT / "docs" / "how-it-works.md")
    assert "the-intervals" not in anchors(ROOT / "docs" / "how-it-works.md")
