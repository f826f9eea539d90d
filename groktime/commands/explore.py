"""`groktime explore`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from groktime.completion import files
from groktime.option import Command, Option, given
from groktime.options import (
    ALPHA,
    ETA_D,
    GAMMA,
    IMPLICIT,
    M_RATE,
    MESSINESS,
    QUIET,
    SCHEDULE,
    SOURCE,
    WHICH,
    output,
)
from groktime.output import check

PAGES = (".html",)
RUNS = Option(
    "runs",
    "measured runs to show beside it: runs files (.nc), or tables of `groktime measure` (.csv)",
    positional=True,
    many=True,
    completer=files(".nc", ".csv"),
)
_RATIO = Option("eta_ratio", "rate of the representation over the network's, for landscapes of (w, m)")
ENDS = tuple(
    option.but(
        type=str, ranges=True, required=False, default="the source's",
        help=f"{option.help}: both ends of its slider, or the value that stays",
    )
    for option in (GAMMA, ETA_D, _RATIO, ALPHA, MESSINESS)
)  # fmt: skip
LAW = (SCHEDULE, M_RATE, *IMPLICIT)


def run(options: argparse.Namespace) -> None:
    """Make the page, and tell where it is."""
    from groktime.validation.explorer.explore import explore

    page = check(options.output, options.overwrite, PAGES, options.landscape, *options.runs)
    made = explore(
        options.landscape,
        options.runs,
        out=page,
        overwrite=options.overwrite,
        tell=(lambda words: None) if options.quiet else _teller(),
        **given(options, ENDS, LAW, WHICH),
    )
    print(made.report())
    print(f"\nPage        {page}")


def _teller() -> Callable[[str], None]:
    """Lines on stderr: on a terminal each over the one before."""
    if not sys.stderr.isatty():
        return lambda words: print(f"explore: {words}", file=sys.stderr, flush=True)
    return lambda words: print(
        f"\r\033[Kexplore: {words}", end="\n" if not words else "", file=sys.stderr, flush=True
    )


COMMAND = Command(
    name="explore",
    help="a page of sliders that move a prediction, whole in one file",
    description="A page of HTML on which sliders move a prediction: times and their interval, curves, the "
    "landscape with the way down, and the weight decay for a budget. It is one file that opens anywhere and "
    "needs no network.",
    example="groktime explore teacher-student -o page.html",
    options={
        "": (SOURCE, RUNS),
        "sliders": ENDS,
        "how it is predicted": LAW,
        "of the landscape or path": WHICH,
        "output": (*output("the page (.html)", required=True, suffixes=PAGES), QUIET),
    },
    run=run,
)  # fmt: skip
