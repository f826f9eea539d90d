"""`groktime forecast`."""

from __future__ import annotations

import argparse

from groktime.networks import chosen_task, needs_torch, work
from groktime.option import Command, Option, given, number, swept
from groktime.options import (
    ALPHA,
    ETA_D,
    ETA_R,
    GAMMA,
    JSON,
    MACHINE,
    MESSINESS,
    MOMENTUM,
    N_TRAIN,
    SEEDS,
    TASK,
    THRESHOLD,
    TRAINING,
    output,
)
from groktime.ranges import values

SETTINGS = (
    *swept(
        (GAMMA.but(required=False, default="the task's"), ETA_D.but(required=False, default="the task's"))
    ),
    *swept((ALPHA.but(required=False, default=1),)),
    ETA_R,
    MESSINESS.but(help="start: messiness", default=1),
    N_TRAIN.but(help="training-set size"),
)
OPTIMIZER, *OTHERS = TRAINING
NETWORK = (
    OPTIMIZER.but(help="the optimizer", choices=("adamw", "sgd", "momentum", "sgdw", "lion", "muon")),
    MOMENTUM,
    *OTHERS,
    Option("fit_steps", "steps by which the training set has to be fitted", int, default="the task's"),
)
FORECAST = (
    THRESHOLD.but(help="test accuracy at which a network is done", default="the task's"),
    Option("precision", "numerical error up to which a network is refined, as a share", number, default=0.1),
    Option(
        "budget", "optimizer steps that a network may take in all", int, default="no limit", metavar="STEPS"
    ),
    Option("steps", "how far to forecast, in steps of the training", int, default="to eta*gamma*t = 10"),
)

BY = Option("by", "steps: tell how likely a network is to have generalized by then", ranges=True)


def run(options: argparse.Namespace) -> None:
    """Forecast every setting, write the file and print the table."""
    with needs_torch():
        from groktime.fullnet.forecast import forecast
    from groktime.output import print_json
    from groktime.reduced.forecast import times_of
    from groktime.reduced.forecast_text import table

    task = chosen_task(options)
    by = times_of([] if options.by is None else values("by", options.by))  # before the work
    found = forecast(task, **given(options, SETTINGS, NETWORK, FORECAST), **work(options))
    if options.json:
        print_json(found.summary(by=by).to_dict())
    else:
        print(table(found, by))


COMMAND = Command(
    name="forecast",
    help="when networks grok, at a fraction of the training (needs groktime[train])",
    description="Forecast when networks grok: they are trained until they fit, and then their decay is "
    "hastened, until two resolutions agree or training itself is cheaper. A command that was stopped goes "
    "on where it was.",
    example="groktime forecast teacher-student --gamma 0.003 0.03 --alpha 3 -o forecast.nc",
    options={
        "": TASK,
        "networks": (*SETTINGS, SEEDS),
        "how they are trained": NETWORK,
        "forecast": (*FORECAST, BY),
        "machine": MACHINE,
        "output": (*output("forecast file to write (.nc)", suffixes=(".nc",)), JSON),
    },
    run=run,
    task=True,
)
