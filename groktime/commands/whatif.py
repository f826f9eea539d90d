"""`groktime whatif`."""

from __future__ import annotations

import argparse
from typing import Any

from groktime.option import Command, given, swept
from groktime.options import GAMMA, IMPLICIT, JSON, M_RATE, SCHEDULE, SOURCE, START, WHICH, output
from groktime.output import FIGURES, TABLES, check, print_json, write_table

LANES = swept((GAMMA, *START))
LAW = (SCHEDULE, M_RATE, *IMPLICIT)
OUTPUTS = (*TABLES, *FIGURES)


def run(options: argparse.Namespace) -> None:
    """Predict every combination; print the table, write or draw it."""
    from groktime.reduced.what_if import what_if

    path = check(options.output, options.overwrite, OUTPUTS, options.landscape)
    lanes: dict[str, Any] = {name: list_or_one(each) for name, each in given(options, LANES).items()}
    table = what_if(options.landscape, **lanes, **given(options, LAW, WHICH))
    if path and path.suffix in TABLES:
        write_table(table, path, options.overwrite)
    elif path:
        from groktime.reduced.figures import plot

        plot(table, path, overwrite=options.overwrite)
    if options.json:
        print_json(table.to_dict())
    else:
        frame = table.to_dataframe() if table.dims else table.expand_dims("start").to_dataframe()
        print(frame.to_string(float_format=lambda x: f"{x:.6g}", max_rows=60))


def list_or_one(numbers: list[float]) -> list[float] | float:
    """A single number is no dimension of the table."""
    return numbers if len(numbers) > 1 else numbers[0]


COMMAND = Command(
    name="whatif",
    help="grokking times over weight decays, learning rates and starts: table, figure",
    description="Predict every combination of the settings: what is given as several numbers or a "
    "range is a dimension of the table.",
    example="groktime whatif teacher-student --gamma 1e-3:1:25 --eta-d 3e-4 1e-3 --alpha 3 -o map.csv",
    options={
        "": (SOURCE,),
        "networks and starts": LANES,
        "how they are predicted": LAW,
        "of the landscape or path": WHICH,
        "output": (*output("table (.nc, .csv) or figure (.png, .pdf, .svg)", suffixes=OUTPUTS), JSON),
    },
    run=run,
)
