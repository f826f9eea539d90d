"""`groktime figure`: the list of figures, a figure's recipe, or a drawing of a landscape."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from groktime.completion import figures as names
from groktime.option import Command, Option, given
from groktime.options import ALPHA, ETA_D, ETA_R, GAMMA, JSON, LANDSCAPE, MESSINESS, WHICH, output
from groktime.output import FIGURES, check
from groktime.reduced.errors import InputError

KINDS = ("lu", "sizes", "gradients")
DRAWINGS = """Figures of a landscape (groktime figure KIND LANDSCAPE -o FILE)
  lu         P Fig. 2a, of a landscape of w alone
  sizes      P Fig. 6e, of a landscape of (w, m)
  gradients  P Fig. 6d, of a landscape of (w, m)"""

NAME = Option(
    "name", f"one of the list that comes without; or {', '.join(KINDS)}", positional=True, completer=names
)
DRAWN = LANDSCAPE.but(help=f"of {', '.join(KINDS)}: {LANDSCAPE.help}", required=False)
LANE = (
    GAMMA.but(required=False, default=1e-3),
    ETA_D.but(required=False, default=1e-2),
    ETA_R,
    ALPHA.but(required=False, default="the largest sampled"),
    MESSINESS.but(default="the largest sampled"),
)
RECIPE = (
    Option("full", "the paper's sizes, for a GPU", bool),
    Option("seeds", "how many seeds", int, default="the recipe's", metavar="N"),
    Option("write", "a file in which to replace the recipe's tables", metavar="FILE"),
)
OUTPUT = output(
    "of a recipe its folder (out/NAME), of a landscape a file: .png, .pdf or .svg", suffixes=FIGURES
)


def run(options: argparse.Namespace) -> None:
    """Run a recipe, draw a landscape, or list what there is."""
    if options.name in KINDS:
        _refuse(options, (*RECIPE, JSON), why="is for recipes and their list")
        _draw(options)
        return
    from groktime.recipes.listing import list_of_recipes
    from groktime.recipes.registry import catalogue

    recipes = catalogue()
    if options.name is not None and options.name not in recipes:
        raise InputError(
            f"figure {options.name!r}: expected one of {', '.join(KINDS)}, or of the {len(recipes)} recipes "
            "that `groktime figure` lists"
        )
    _refuse(options, (DRAWN, *LANE, *WHICH), why="is for lu, sizes and gradients, drawn of a landscape")
    if options.name is None:
        _refuse(options, (OUTPUT[0], *RECIPE), why="is for one figure; expected its name")
        found = {name: asdict(recipe) for name, recipe in recipes.items()}
        print(json.dumps({"figures": found}) if options.json else f"{list_of_recipes()}\n{DRAWINGS}")
        return
    _refuse(options, (JSON,), why="is for the list; leave out the figure's name")
    out, write = (Path(given) if given else None for given in (options.output, options.write))
    from groktime.recipes.runner import run_recipe

    run_recipe(options.name, out, options.seeds, options.full, write)


def _refuse(options: argparse.Namespace, those: Iterable[Option], why: str) -> None:
    """One sentence on an option that is given where it means nothing."""
    for option in those:
        value = getattr(options, option.name)
        if value is not None and value is not False:  # 0 is given
            raise InputError(f"{option.flag}: {why}")


def _draw(options: argparse.Namespace) -> None:
    if options.landscape is None:
        raise InputError(f"figure {options.name}: expected a landscape, by its shipped name or a .nc file")
    if options.output is None:
        raise InputError("-o: expected a name that ends in .png, .pdf or .svg")
    from groktime.reduced.figures import plot
    from groktime.reduced.landscape import open_landscape
    from groktime.reduced.prediction import predict

    land = open_landscape(options.landscape)
    check(options.output, options.overwrite, FIGURES, options.landscape)
    if options.name == "lu":
        if land.two_dimensional:
            raise InputError(f"figure lu: {land.source} is a landscape of (w, m); expected one of w alone")
        plot(land, options.output, overwrite=options.overwrite)
        return
    if not land.two_dimensional:
        raise InputError(f"figure {options.name}: {land.source} has no m; expected a landscape of (w, m)")
    lane = {"gamma": 1e-3, "eta_d": 1e-2, "alpha": float(land.alpha[-1]), "m": float(land.m[-1])}
    settings = lane | given(options, LANE, WHICH)
    if options.name == "gradients":
        p = predict(land, **settings)
        plot(p, options.output, kind="gradients", overwrite=options.overwrite)
    else:
        each = {n: predict(land, **settings | {"n_train": n}) for n in land.n_train}
        plot(each, options.output, overwrite=options.overwrite)


COMMAND = Command(
    name="figure",
    help="a published figure, by its recipe, or one of a landscape",
    description="Make a published figure again, by its recipe, which goes on where it was stopped; "
    "draw one of a landscape; or, without a name, list them all.",
    example="groktime figure fig2",
    options={
        "": (NAME, DRAWN),
        "recipes": RECIPE,
        "drawings of a landscape": (*LANE, *WHICH),
        "output": (*OUTPUT, JSON),
    },
    run=run,
)
