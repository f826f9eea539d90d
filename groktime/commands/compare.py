"""`groktime compare`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from groktime.completion import files
from groktime.logs import OF_A_LOG, RUNS_OR_LOG, said
from groktime.option import Command, Option, given
from groktime.options import JSON, LEVEL, M_RATE, MEASURING, SAMPLED_STEPS, SOURCE, output
from groktime.output import print_json
from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    from groktime.reduced.decay_path import DecayPath
    from groktime.reduced.forecast import Forecast

PATH = Option(
    "path",
    "decay paths by name, or files of paths or forecasts (.nc): further predictors",
    metavar="FILE",
    many=True,
    completer=files(".nc"),
)
PREDICTING = (LEVEL, M_RATE, SAMPLED_STEPS)


def _further(name: str) -> DecayPath | Forecast:
    """A decay path or a forecast from its file."""
    from groktime.reduced.landscape import Landscape
    from groktime.reduced.sources import open_value

    found = open_value(name)
    if isinstance(found, Landscape):
        raise InputError(
            f"--path {name}: is a landscape; expected a file of schema groktime-path/1 or groktime-forecast/1"
        )
    return found


def run(options: argparse.Namespace) -> None:
    """Predict and measure every run; print the comparison, write its report."""
    from groktime.fullnet.runs import runs_of
    from groktime.validation.compare import compare
    from groktime.validation.folder import check_folder

    if options.output:
        inputs = (options.landscape, options.runs, *(options.path or ()))
        check_folder(Path(options.output), options.overwrite, inputs=inputs)
    sources = [options.landscape, *map(_further, options.path or ())]
    runs = runs_of(options.runs, **said(options))
    comparison = compare(sources, runs, **given(options, MEASURING, PREDICTING))
    if options.output:
        comparison.write_report(options.output, overwrite=options.overwrite)
    if options.json:
        print_json(comparison.to_dict())
    else:
        print(comparison.report())
        if options.output:
            print(f"\nReport      {options.output}")


FOLDER, OVERWRITE = output("folder of the report: page, table (.csv and .nc), summary and figures")

COMMAND = Command(
    name="compare",
    help="predicted beside measured times, run by run, and scores",
    description="Predict every run from its settings alone, measure it, and score the predictions "
    "beside fitted baselines.",
    example="groktime compare teacher-student runs.nc -o report",
    options={
        "": (SOURCE, RUNS_OR_LOG, PATH),
        "what counts": MEASURING,
        "how runs are predicted": PREDICTING,
        "of a log": OF_A_LOG,
        "output": (FOLDER.but(metavar="FOLDER"), OVERWRITE, JSON),
    },
    run=run,
)
