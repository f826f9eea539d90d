"""`groktime recommend`."""

from __future__ import annotations

import argparse

from groktime.option import Command, Option, given, number
from groktime.options import IMPLICIT, JSON, M_RATE, SCHEDULE, SOURCE, START, WHICH
from groktime.output import print_json

BUDGET = Option("budget", "optimizer steps", number, required=True, metavar="STEPS")
LAW = (SCHEDULE, M_RATE, *IMPLICIT)


def run(options: argparse.Namespace) -> None:
    """Recommend a weight decay; print it with its prediction."""
    from groktime.reduced.recommend import recommend

    r = recommend(options.landscape, **given(options, (BUDGET,), START, LAW, WHICH))
    if options.json:
        print_json(r.to_dict())
    else:
        print(r.report())


COMMAND = Command(
    name="recommend",
    help="the weakest weight decay that groks within a budget of steps",
    description="The weakest weight decay with which a network groks within a budget of optimizer "
    "steps, and the strongest that still generalizes.",
    example="groktime recommend teacher-student --budget 20000 --eta-d 3e-4 --alpha 3",
    options={
        "": (SOURCE,),
        "network and start": (BUDGET, *START),
        "how it is predicted": LAW,
        "of the landscape or path": WHICH,
        "output": (JSON,),
    },
    run=run,
)
