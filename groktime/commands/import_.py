"""`groktime import`."""

from __future__ import annotations

import argparse

from groktime.logs import OF_A_LOG, RUNS_OR_LOG, said
from groktime.option import Command
from groktime.options import output
from groktime.output import check


def run(options: argparse.Namespace) -> None:
    """Read logs and write their runs."""
    from groktime.fullnet.runs import import_runs

    path = check(options.output, options.overwrite, (".nc",), *options.logs)
    assert path is not None
    runs = import_runs(options.logs, **said(options))
    runs.save(path, overwrite=options.overwrite)
    print(f"{path}: {runs.arrays.sizes['run']} runs to step {int(runs.step[-1])}")
    for quantity, name in runs.log["columns"].items():
        print(f"  {quantity:<15}{name}")
    for line in runs.remarks:
        print(f"- {line}")


COMMAND = Command(
    name="import",
    help="logs of training that others wrote, as a runs file",
    description="Read logs (CSV, JSON lines, trainer_state.json, .npz, TensorBoard's event files; exports of "
    "Weights & Biases, TensorBoard, Lightning) and write one runs file. What a log does not hold stays open.",
    example="groktime import log.csv --column test_accuracy=val/acc --gamma 0.1 --eta-d 1e-3 -o runs.nc",
    options={
        "": (RUNS_OR_LOG.but(name="logs", help="the logs", many=True),),
        "of the logs": OF_A_LOG,
        "output": output("runs file to write (.nc)", required=True, suffixes=(".nc",)),
    },
    run=run,
)
