"""`groktime figure NAME`: the recipe of a published figure, run as the script that it is."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from groktime import recipes
from groktime.recipes import FIGURES, Figure
from groktime.reduced.errors import InputError


def run_recipe(name: str, out: Path, seeds: int | None, full: bool) -> None:
    """Run a figure's recipe into a folder; what it has done already it reads again.

    Raises
    ------
    InputError : where there is none of the paper's sizes, or `out` is a file.
    """
    figure = FIGURES[name]
    if full and not figure.full:
        raise InputError(f"--full: the recipe of {name} has one size only; leave it out")
    if seeds is not None and seeds < 1:
        raise InputError(f"--seeds {seeds}: expected 1 or more")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is not a folder; expected one, in which a recipe keeps its work")
    print(f"{told(name, full)}\ninto {out}, where the same command goes on if stopped", file=sys.stderr)
    script = Path(recipes.__file__).with_name(figure.recipe)
    before = sys.argv, sys.path
    sys.argv = [str(script), "-o", str(out)]
    sys.argv += ([] if seeds is None else ["--seeds", str(seeds)]) + (["--full"] if full else [])
    sys.path = [str(script.parent), *sys.path]  # as for a script; recipes share recipes/common.py
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv, sys.path = before


def told(name: str, full: bool) -> str:
    """What is about to be run, and for how long."""
    figure = FIGURES[name]
    size = "at its only size" if not figure.full else "at the paper's sizes, for a GPU" if full else "small"
    time = "time not measured" if full or figure.minutes is None else f"about {_time(figure.minutes)}"
    return f"{name}: recipes/{figure.recipe}, {size}; {time}" + _data(figure)


def list_of_figures() -> str:
    """All figures, line by line."""
    lines = ["Figures (groktime figure NAME [-o FOLDER] [--seeds N] [--full])"]
    wide = max(map(len, FIGURES)) + 2
    for name, figure in FIGURES.items():
        lines.append(f"  {name:<{wide}}{figure.line}")
        time = "time not measured" if figure.minutes is None else _time(figure.minutes)
        full = "; --full: the paper's sizes, for a GPU" if figure.full else ""
        lines.append(f"  {'':<{wide}}recipes/{figure.recipe}: {time}{full}" + _data(figure))
    lines += [
        "Of a landscape (groktime figure KIND LANDSCAPE -o FILE)",
        f"  {'lu':<{wide}}P Fig. 2a, of a landscape of w alone",
        f"  {'sizes':<{wide}}P Fig. 6e, of a landscape of (w, m)",
        f"  {'gradients':<{wide}}P Fig. 6d, of a landscape of (w, m)",
    ]
    return "\n".join(lines)


def _time(minutes: float) -> str:
    return f"{minutes:g} minutes on two cores" if minutes >= 1 else "less than a minute"


def _data(figure: Figure) -> str:
    return f"; needs {figure.data} (docs/data.md)" if figure.data else ""
