"""`groktime measure`."""

from __future__ import annotations

import argparse

from groktime.logs import OF_A_LOG, RUNS_OR_LOG, said
from groktime.option import Command, given
from groktime.options import JSON, MEASURING, output
from groktime.output import TABLES, check, print_json, write_table


def run(options: argparse.Namespace) -> None:
    """Measure the times of every run; print and write them."""
    from groktime.fullnet.runs import runs_of
    from groktime.validation.measure import measure
    from groktime.validation.report import groups, report
    from groktime.validation.survival import summary

    path = check(options.output, options.overwrite, TABLES, options.runs)
    delays = measure(runs_of(options.runs, **said(options)), **given(options, MEASURING))
    medians = summary(delays, by=groups(delays))
    if path:
        write_table(delays, path, options.overwrite)
    if options.json:
        print_json({"delays": delays.to_dict(), "medians": medians.to_dict()})
    else:
        print(report(delays, medians))
        if path:
            print(f"\nDelays      {path}")


COMMAND = Command(
    name="measure",
    help="grokking times of networks trained in full",
    description="When each run fitted its training set and when it generalized, with Kaplan-Meier "
    "medians over runs of equal settings; runs that never did are censored, not dropped.",
    example="groktime measure runs.nc -o delays.csv",
    options={
        "": (RUNS_OR_LOG,),
        "what counts": MEASURING,
        "of a log": OF_A_LOG,
        "output": (*output("table of the runs (.nc, .csv)", suffixes=TABLES), JSON),
    },
    run=run,
)
