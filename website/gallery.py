"""The gallery: every figure of docs/figures, what makes it, and where it is explained, read from the docs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from groktime.recipes.registry import FOLDERS, Recipe, catalogue

# A command in code, in a fence, or in the comment of the table that it writes, whose name is left out.
_COMMAND = re.compile(
    r"^<!-- (?P<table>groktime figure \S+) \S+ -->|`(?P<code>[^`\n]*)`|^\$ (?P<fence>[^#\n]*)", re.MULTILINE
)
_MAKES = re.compile(r"groktime (figure|explore) \S|python -m groktime\.recipes \S|python benchmarks/\S")
_FIGURE = re.compile(r"!\[(?P<says>[^]]*)\]\((?:\.\./)*(?P<file>figures/[^)]*)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Figure:
    """`file` and `page` are relative to docs/. `heading`: of its section. `says`: its own text."""

    file: str
    says: str
    page: str
    heading: str
    command: str

    @property
    def recipe(self) -> Recipe | None:
        """What its command runs; None of a benchmark and of the explorer."""
        words = (
            self.command.removeprefix("python -m groktime.recipes").removeprefix("groktime figure").split()
        )
        return catalogue().get(words[0])


def figures(docs: Path) -> list[Figure]:
    """Every figure that a page shows, with the last command before it; a figure once, where it is first.

    Raises
    ------
    ValueError : no command stands before a figure.
    """
    shown: dict[str, Figure] = {}
    for page in sorted(docs.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for image in _FIGURE.finditer(text):
            before = text[: image.start()]
            every = (found[found.lastgroup or 0].strip() for found in _COMMAND.finditer(before))
            commands = [one for one in every if _MAKES.match(one)]
            if not commands:
                raise ValueError(f"{page}: no command stands before {image['file']}")
            heading, where = _HEADING.findall(before)[-1], page.relative_to(docs).as_posix()
            shown.setdefault(
                image["file"], Figure(image["file"], image["says"], where, heading, commands[-1])
            )
    return list(shown.values())


def page(docs: Path) -> str:
    """The gallery as Markdown: the recipes in their order, each once, and what is of no recipe."""
    lines = [
        "# Gallery",
        "",
        "Every figure of these pages, with the command that makes it. A recipe keeps its work in `out/`, and",
        "goes on where it was stopped; `groktime figure` lists them all.",
    ]
    every, order = figures(docs), list(catalogue().values())
    by_title: dict[str, dict[str, list[Figure]]] = {}
    for one in sorted(every, key=lambda f: order.index(f.recipe) if f.recipe else len(order)):
        title = f"Figures {FOLDERS[one.recipe.folder]}" if one.recipe else "The explorer, and benchmarks"
        by_title.setdefault(title, {}).setdefault(one.recipe.line if one.recipe else one.says, []).append(one)
    for title, entries in by_title.items():
        lines += ["", f"## {title}"]
        for name, of_one in entries.items():
            lines += ["", f"### {name[:1].upper()}{name[1:].replace('`', '')}", *_entry(of_one)]
    return "\n".join(lines) + "\n"


def _entry(of_one: list[Figure]) -> list[str]:
    first = of_one[0]
    notes = [f"[explained]({first.page}#{slug(first.heading)})"]
    if first.recipe and first.recipe.minutes:
        minutes = first.recipe.minutes
        notes.append(f"about {minutes:g} minutes on two cores" if minutes > 1 else "a minute or less")
    if first.recipe and first.recipe.data:
        notes.append(f"needs {first.recipe.data} ([data](data.md))")
    pictures = [line for one in of_one for line in ("", f"![{one.says}]({one.file}){{ loading=lazy }}")]
    return [*pictures, "", f"`{first.command}`: {'; '.join(notes)}."]


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading, and the site, too."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
