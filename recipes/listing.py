"""The list of all recipes, and the line that announces one."""

from __future__ import annotations

from groktime.recipes.registry import FOLDERS, Recipe, catalogue


def announcement(name: str, full: bool) -> str:
    """What is about to be run, and for how long."""
    one = catalogue()[name]
    size = "at its only size" if not one.full else "at the paper's sizes, for a GPU" if full else "small"
    time = "time not measured" if full or one.minutes is None else _time(one.minutes)
    return f"{name}: {_file(one)}, {size}; {time}" + _data(one)


def list_of_recipes() -> str:
    """All recipes, line by line."""
    every = catalogue()
    wide = max(map(len, every)) + 2
    lines = []
    for folder, words in FOLDERS.items():
        lines.append(f"Figures and tables {words}")
        for name, one in every.items():
            if one.folder == folder:
                lines.append(f"  {name:<{wide}}{one.line}")
                time = "time not measured" if one.minutes is None else _time(one.minutes)
                full = "; --full: the paper's sizes, for a GPU" if one.full else ""
                lines.append(f"  {'':<{wide}}{_file(one)}: {time}{full}" + _data(one))
    return "\n".join(lines)


def _file(one: Recipe) -> str:
    return f"recipes/{one.module.replace('.', '/')}.py"


def _time(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes:g} minute{'s' if minutes > 1 else ''} on two cores"


def _data(one: Recipe) -> str:
    return f"; needs {one.data} (docs/data.md)" if one.data else ""
