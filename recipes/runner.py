"""Running a recipe, and its options on the command line."""

from __future__ import annotations

import argparse
import inspect
import sys
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from groktime.recipes.listing import announcement
from groktime.recipes.registry import Recipe, catalogue, function_of
from groktime.recipes.shared.tables import named_tables, names_in, write
from groktime.reduced.errors import InputError


def run_recipe(
    name: str,
    out: Path | None = None,
    seeds: int | None = None,
    full: bool = False,
    to: Path | None = None,
    **options: Any,
) -> None:
    """Run a recipe into a folder; what it has done already it reads again. `to`: a file whose tables are
    replaced by those of the recipe; `options`: the recipe's own.

    Raises
    ------
    InputError : the recipe does not take what is asked of it, `out` is a file, or `to` has no place for
        any of its tables.
    """
    one = catalogue()[name]
    out = out or one.out
    _check(one, out, seeds, full)
    if to and not _places(to, name):
        raise InputError(f"{to}: expected a line <!-- groktime figure {name} TABLE --> and an end")
    run = function_of(name)
    _note(f"{announcement(name, full)}\ninto {out}, where the same command goes on if stopped")
    out.mkdir(parents=True, exist_ok=True)
    if one.seeds is not None:
        options["seeds"] = one.seeds if seeds is None else seeds
    if one.full:
        options["full"] = full
    with named_tables() as tables:
        run(out=out, **options)
    if to:
        for table in _places(to, name):
            if table in tables:
                write(to, f"{name} {table}", tables[table])
            done = "replaced" if table in tables else "left as it was: not printed this time"
            _note(f"{to}: {table} {done}")


def _places(file: Path, name: str) -> list[str]:
    """The tables of a recipe that a file shows."""
    return [place.split()[1] for place in names_in(file) if place.split()[0] == name]


def _note(text: str) -> None:
    print(text, file=sys.stderr)


def _check(one: Recipe, out: Path, seeds: int | None, full: bool) -> None:
    if full and not one.full:
        raise InputError(f"--full: the recipe of {one.name} has one size only; leave it out")
    if seeds is not None and one.seeds is None:
        raise InputError(f"--seeds: the recipe of {one.name} has no choice of seeds; leave it out")
    if seeds is not None and seeds < 1:
        raise InputError(f"--seeds {seeds}: expected 1 or more")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is not a folder; expected one, in which a recipe keeps its work")


def parser_of(name: str) -> argparse.ArgumentParser:
    """All options of a recipe, as `run_recipe` takes them."""
    one, run = catalogue()[name], function_of(name)
    parser = argparse.ArgumentParser(
        prog=f"python -m groktime.recipes {name}",
        description=import_module(run.__module__).__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--out", type=Path, default=one.out, help=f"folder of its files ({one.out})")
    if one.seeds is not None:
        parser.add_argument("--seeds", type=int, metavar="N", help=f"how many ({one.seeds})")
    if one.full:
        parser.add_argument("--full", action="store_true", help="the paper's sizes, for a GPU")
    parser.add_argument("--write", type=Path, dest="to", metavar="FILE", help="replace its tables in a file")
    hints = get_type_hints(run, include_extras=True)
    for parameter in inspect.signature(run).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            flag = "--" + parameter.name.strip("_").replace("_", "-")
            parser.add_argument(
                flag, dest=parameter.name, default=parameter.default, **_argument(hints[parameter.name])
            )
    return parser


def _argument(hint: Any) -> dict[str, Any]:
    """What argparse has to know of Annotated[type, "help"]; of a tuple, how many it takes."""
    if get_origin(hint) is not Annotated:
        raise TypeError(f"{hint}: expected Annotated[type, 'help']")
    kind, text = get_args(hint)
    if kind is bool:
        return {"action": "store_true", "help": text}
    items = get_args(kind)
    shown = {"help": text, "metavar": "X"}
    if get_origin(kind) is tuple:
        return {**shown, "type": items[0], "nargs": "+" if items[-1] is Ellipsis else len(items)}
    return {**shown, "type": items[0] if get_origin(kind) is UnionType else kind}
