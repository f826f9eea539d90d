"""`groktime predict`."""

from __future__ import annotations

import argparse
import json

from groktime.option import Command, given
from groktime.options import GAMMA, IMPLICIT, JSON, LEVEL, M_RATE, SCHEDULE, SOURCE, START, WHICH, output
from groktime.output import FIGURES, check

LANE = (GAMMA, *START)
LAW = (SCHEDULE, LEVEL, M_RATE, *IMPLICIT)


def run(options: argparse.Namespace) -> None:
    """Predict one lane; print the report, draw the figure."""
    from groktime.reduced.prediction import predict

    figure = check(options.output, options.overwrite, FIGURES, options.landscape)
    p = predict(options.landscape, **given(options, LANE, LAW, WHICH))
    if figure:
        p.plot(figure, overwrite=options.overwrite)
    if options.json:
        print(json.dumps(p.to_dict()))
    else:
        print(p.report())
        if figure:
            print(f"\nFigure      {figure}")


COMMAND = Command(
    name="predict",
    help="grokking time from a landscape or a decay path: report, figure",
    description="Predict when a network groks, before it is trained: by the printed and the corrected "
    "formula and by Eq. 6 on a sampled landscape, or on a decay path.",
    example="groktime predict teacher-student --gamma 0.1 --eta-d 3e-4 --alpha 3 -o prediction.png",
    options={
        "": (SOURCE,),
        "network and start": LANE,
        "how it is predicted": LAW,
        "of the landscape or path": WHICH,
        "output": (*output("figure: .png, .pdf or .svg", suffixes=FIGURES), JSON),
    },
    run=run,
)
