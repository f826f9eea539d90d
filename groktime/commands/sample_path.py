"""`groktime sample-path`."""

from __future__ import annotations

import argparse

from groktime.networks import chosen_task, needs_torch, work
from groktime.option import Command, Option, given, number, swept
from groktime.options import (
    ALPHA,
    ETA_D,
    ETA_R,
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

STARTS = (*swept((ALPHA, MESSINESS.but(help="start: messiness", default=1))), N_TRAIN)
OPTIMIZER, *OTHERS = TRAINING
NETWORK = (
    ETA_D.but(required=False, default="the task's"),
    ETA_R,
    OPTIMIZER.but(
        help="the optimizer, without its decay", choices=("adamw", "sgd", "momentum", "sgdw", "lion", "muon")
    ),
    MOMENTUM,
    *OTHERS,
)
PATH = (
    Option("dtau", "shrink the weights by exp(-dtau) at a time", number, default=0.01),
    Option(
        "refit",
        "optimizer steps after each shrink: the resolutions",
        int,
        default=(25, 50, 100, 200),
        many=True,
        metavar="STEPS",
    ),
    Option("tau", "end of the path, in eta*gamma*steps", number, default=1.0),
    Option(
        "fit",
        "along: weights shrink while the network fits, too; first: fit without decay",
        default="along",
        choices=("along", "first"),
    ),
    Option("fit_steps", "the most steps of a fit without decay", int, default="the task's"),
    Option("fit_loss", "training loss that ends it", number, default="a thousandth of the first"),
    STOP_AT,
)


def run(options: argparse.Namespace) -> None:
    """Follow the networks along their decay path and write it."""
    with needs_torch():
        from groktime.fullnet.decay_path import sample_path

    task = chosen_task(options)
    path = sample_path(task, **given(options, STARTS, NETWORK, PATH), **work(options))
    diverged = int(path.dataset["diverged"].sum())
    print(
        f"{options.output}: {path.task}, {len(path.seeds)} seeds, {len(path.alpha)} alpha, "
        f"refit {', '.join(map(str, path.refit))}, {diverged} diverged"
    )


COMMAND = Command(
    name="sample-path",
    help="follow networks along their decay path (needs groktime[train])",
    description="Shrink networks and refit them, in big steps of eta*gamma*t: one path predicts for "
    "every weight decay and learning rate. A command that was stopped goes on where it "
    "was.",
    example="groktime sample-path teacher-student --alpha 2 3 --stop-at 0.95 -o path.nc",
    options={
        "": TASK,
        "starts": (*STARTS, SEEDS),
        "how they are trained": (
            *NETWORK,
            SCHEDULE.but(help="of the trainings that it is for", default="the task's"),
        ),
        "path": PATH,
        "machine": MACHINE,
        "output": output("path file to write (.nc)", required=True, suffixes=(".nc",)),
    },
    run=run,
    task=True,
)
