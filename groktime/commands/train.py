"""`groktime train`."""

from __future__ import annotations

import argparse

from groktime.networks import chosen_task, needs_torch, work
from groktime.option import Command, Option, given, number, swept
from groktime.options import (
    ALPHA,
    ETA_D,
    ETA_R,
    GAMMA,
    MACHINE,
    MESSINESS,
    MOMENTUM,
    N_TRAIN,
    SCHEDULE,
    SEEDS,
    STOP_AT,
    TASK,
    TRAINING,
    output,
)

LISTS = (
    *swept((GAMMA.but(required=False, default="the task's"), ALPHA)),
    *swept((ETA_D.but(required=False, default="the task's"), ETA_R)),
    *swept((MESSINESS.but(help="start: messiness", default=1),)),
    N_TRAIN,
    Option("paired", "take the lists together, first with first (every combination)", bool),
)
RUN = (
    Option("steps", "optimizer steps of a run", int, required=True),
    *TRAINING,
    MOMENTUM,
    Option("resolution", "of the recorded times, relative", number, default=0.02),
    STOP_AT.but(help="test accuracy at which a run is done"),
    Option("constrained", "keep the norm that the weights start with", bool),
    Option("dtype", "of the weights", default="the network's", choices=("float32", "float64")),
)


def run(options: argparse.Namespace) -> None:
    """Train every run and write their curves."""
    with needs_torch():
        from groktime.fullnet.trainer import train

    task = chosen_task(options)
    runs = train(task, **given(options, LISTS, RUN), **work(options))
    diverged = int(runs.dataset["diverged"].sum())
    print(f"{options.output}: {runs.task}, {runs.dataset.sizes['run']} runs, {diverged} diverged")


COMMAND = Command(
    name="train",
    help="train networks in full, with weight decay (needs groktime[train])",
    description="Train networks in full, many at once, and record their curves: every combination of "
    "the lists is a run. A command that was stopped goes on where it was.",
    example="groktime train teacher-student --gamma 0.1 0.3 1 --alpha 2 3 --seeds 4 --steps 30000 -o runs.nc",
    options={
        "": TASK,
        "runs": (*LISTS, SEEDS),
        "how they are trained": (*RUN, SCHEDULE.but(default="the task's")),
        "machine": MACHINE,
        "output": output("runs file to write (.nc)", required=True, suffixes=(".nc",)),
    },
    run=run,
    task=True,
)
