"""`groktime check`."""

from __future__ import annotations

import argparse

from groktime.logs import OF_A_LOG, RUNS_OR_LOG, said
from groktime.option import Command, Option, given, number
from groktime.options import JSON, THRESHOLD
from groktime.output import print_json

LOOKING = (
    THRESHOLD.but(help="test accuracy that counts as generalizing", default="the file's, or 0.95"),
    Option("until", "look at nothing after this step", number, default="the end"),
)


def run(options: argparse.Namespace) -> None:
    """Diagnose every run and print the findings."""
    from groktime.fullnet.runs import runs_of
    from groktime.validation.diagnose import diagnose

    log = said(options)
    found = diagnose(runs_of(options.runs, **log) if log else options.runs, **given(options, LOOKING))
    if options.json:
        print_json(found.to_dict())
    else:
        print(found.report())


COMMAND = Command(
    name="check",
    help="will it grok at all? A verdict on each run of a log or a forecast, with its evidence",
    description="What each run is doing: generalizes, still fitting, plateau with a drift (and the steps "
    "that may be left), plain overfitting, norm below reach, too few samples, numerical collapse.",
    example="groktime check log.csv --column test_accuracy=val/acc",
    options={
        "": (RUNS_OR_LOG,),
        "what is looked at": LOOKING,
        "of a log": OF_A_LOG,
        "output": (JSON,),
    },
    run=run,
)
