"""`groktime sample`."""

from __future__ import annotations

import argparse

from groktime.networks import chosen_task, needs_torch, work
from groktime.option import Command, Option, given
from groktime.options import ALPHA, MACHINE, MESSINESS, N_TRAIN, SEEDS, TASK, output
from groktime.reduced.errors import InputError

GRID = (
    ALPHA.but(help="grid of w/w0", type=str, ranges=True),
    MESSINESS.but(help="grid of the messiness", type=str, ranges=True, default=1),
    N_TRAIN,
)
SPHERES = (
    Option("steps", "optimizer steps a cell", int, default="the task's"),
    Option(
        "budgets", "steps of the snapshots", int, default="three up to --steps", many=True, metavar="STEPS"
    ),
    Option(
        "gradient",
        "tangent: to the minimum on the sphere; full: as published",
        default="tangent",
        choices=("tangent", "full"),
    ),
    Option(
        "start",
        "fresh: from initial weights on every sphere; above: from the solution on the next larger one",
        default="fresh",
        choices=("fresh", "above"),
    ),
    Option("refine", "rounds in which the foot of the wall is bisected", int, default=0, metavar="ROUNDS"),
    Option(
        "drift",
        "measure in every cell how decay moves norm and messiness, at these weight decays",
        default=(1e-4, 1e-3, 1e-2),
        ranges=True,
        bare=True,
    ),
    Option("fit_steps", "with --drift and --start above: steps of the fit", int, default="the task's"),
    Option(
        "along_m", "with --drift and --start above: fit at the largest m, and go along m from there", bool
    ),
    Option("loop", "with --drift and --start above: also the other way along m, for the drift's error", bool),
    Option("probe", "with --drift, of the norm alone: measure it by training on with this optimizer"),
)
DECAY_EVERY = Option("decay_every", "steps between drops of the learning rate", int, default="the task's")


def run(options: argparse.Namespace) -> None:
    """Sample a landscape and write it."""
    from dataclasses import replace

    with needs_torch():
        from groktime.fullnet.sampler import sample

    task = chosen_task(options)
    if options.decay_every is not None:
        falls = task.optimizer.sampling
        if falls.shape != "step":
            raise InputError(
                f"--decay-every: the rate of {task.name} does not drop in sampling; leave it out"
            )
        adam = replace(task.optimizer, sampling=replace(falls, steps=options.decay_every))
        task = replace(task, optimizer=adam)
    land = sample(task, **given(options, GRID, SPHERES), **work(options))
    print(f"{options.output}: {land.task}, {len(land.seeds)} seeds, {len(land.m)} x {len(land.alpha)} cells")


COMMAND = Command(
    name="sample",
    help="sample a reduced loss landscape from networks (needs groktime[train])",
    description="Train networks that are held on spheres of their weight norm, and write the "
    "landscape of losses over norm and messiness. A command that was stopped goes on "
    "where it was.",
    example="groktime sample teacher-student --alpha 0.1:10:25 --seeds 8 -o mine.nc",
    options={
        "": TASK,
        "what is sampled": (*GRID, SEEDS),
        "how it is sampled": (*SPHERES, DECAY_EVERY),
        "machine": MACHINE,
        "output": output("landscape file to write (.nc)", required=True, suffixes=(".nc",)),
    },
    run=run,
    task=True,
)
