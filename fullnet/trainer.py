"""`train`: full networks with decay, hundreds at once, into a runs file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Unpack

from groktime.fullnet.blame import told
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.find import task_of
from groktime.fullnet.job import blank, output, run
from groktime.fullnet.machine import Machine, machine_of
from groktime.fullnet.members import Member
from groktime.fullnet.procedures.flow import Flow
from groktime.fullnet.procedures.recording import share
from groktime.fullnet.procedures.training import NO_LAW, Training
from groktime.fullnet.runs import Runs
from groktime.fullnet.settings import Numbers, Out, TrainSettings, check_names, members_of, rule_of, setup_of
from groktime.fullnet.task import Task
from groktime.reduced.arguments import flag, whole_number

_COORDS = ("gamma", "eta_d", "eta_r", "alpha", "n_train", "seed")


@told
def train(
    task: Task | str,
    *,
    gamma: Numbers | None = None,
    alpha: Numbers,
    steps: int,
    optimizer: str | None = None,
    representation: str = "fixed",
    resolution: float = 0.02,
    stop_at: float | None = None,
    constrained: bool = False,
    out: Out = None,
    machine: Machine | None = None,
    **settings: Unpack[TrainSettings],
) -> Runs:
    """Train a task's networks and record their curves at geometric times.

    Parameters
    ----------
    task : a `Task`, or the name of one ("teacher-student").
    gamma, alpha, eta_d, eta_r, m, n_train, seeds : every combination is a run; with `paired` (default:
        False), the lists are walked together (single values are repeated). gamma defaults to the task's
        own, if it has one (`Task.from_torch`), eta_d to its rate, eta_r to eta_d, m to 1, n_train to the
        task's, seeds to 0, 1, 2 and 3, or of a checkpoint to 0. All weights that decay are multiplied by
        alpha at the start.
    steps : optimizer steps of every run, with those of a checkpoint that it starts from (`Task.at`).
    optimizer : "adamw", "adam" (no decay), "adam_l2" (torch's Adam, whose decay has no 1/γ law), "sgd",
        "momentum" (torch's SGD), "sgdw", "lion" or "muon"; for the network and for the representation, which
        never decays (default: the task's, or "adamw"). Rates follow the task's schedule.
    momentum : of "momentum" and "sgdw" (default: 0.9) and "muon" (0.95), in [0, 1).
    representation : "fixed" at m, or trained: "line" (m alone) or "free" (R itself).
    batch : samples a step (default: the task's; 0: all).
    resolution : an evaluation follows within this share of the steps before it, so that a time is
        known to that share.
    stop_at : test accuracy at which a run is done, once it has lasted for three evaluations, as has 95 %
        of training accuracy (default: no run stops before `steps`).
    constrained : rescale all weights after every optimizer step to the norm that they started with (P
        Fig. 7b); the optimizer is given the full gradient, and decay acts on nothing but the rate.
    dtype : "float32" or "float64" (default: that of the task's network).
    check : whether the task is looked at first, and refused with what is wrong with it (default: True).
    machine : where, and how many at once; see `Machine`.
    out : the runs file (default: none, the runs are only returned). It appears at the end; until then
        finished pieces, and the state of those in work, lie beside it, and the same call goes on where it
        was stopped. One that exists is only replaced with `overwrite` (default: False).

    Raises
    ------
    InputError : on a bad setting or an output that exists. A run that diverges is a result.
    """
    check_names("train", settings, TrainSettings)
    task, machine = task_of(task, settings.get("n_train")), machine_of(machine)
    members = members_of(task, {"gamma": gamma, "alpha": alpha, **settings})
    procedure = Training(
        setup_of(task, machine, settings, members[0].seed, representation),
        steps=whole_number("steps", steps, 1),
        optimizer=rule_of(task, optimizer),
        resolution=share("resolution", resolution),
        stop_at=None if stop_at is None else share("stop_at", stop_at),
        constrained=flag("constrained", constrained),
        momentum=settings.get("momentum"),
    )
    procedure.check(members)
    if procedure.optimizer == "adam_l2" and any(c.gamma for c in members):
        warnings.warn(f"optimizer = 'adam_l2': {NO_LAW}", stacklevel=3)
    made = procedure.configuration()
    known = {**made, "runs": [asdict(c) for c in members]}
    with output(out, known, settings.get("overwrite", False)) as where:
        where.rehearse(lambda: runs_of(blank(procedure, members), members, procedure, made))
        found = run(
            procedure, members, machine, where, steps=procedure.steps, title=f"training {task.name}",
            name="train", key=together,
        )  # fmt: skip
        return where.finish(runs_of(found, members, procedure, made))


def together(c: Member) -> tuple[float, ...]:
    """Members of one size, equal settings and like norms side by side: they finish together, and an
    optimizer step takes those with equal settings in one call."""
    return (c.n_train, c.gamma, c.eta_d, c.eta_r, c.alpha, c.m, c.seed)


def runs_of(
    found: Arrays,
    members: Sequence[Member],
    procedure: Training | Flow,
    configuration: Mapping[str, Any],
) -> Runs:
    """The runs of what a procedure recorded of these members, [member, ...] each: the curves of
    `Members.measured`, w0, steps_done and diverged."""
    setup, law, task = procedure.setup, procedure.law, procedure.setup.task
    coords = {name: [getattr(c, name) for c in members] for name in _COORDS}
    if task.messiness:
        coords["m_start"] = [c.m for c in members]
    return Runs.assemble(
        step=procedure.times,
        settings=coords,
        curves={name: found[name] for name in setup.curves},
        w0=found["w0"],
        steps_done=found["steps_done"],
        diverged=found["diverged"],
        task=task.name,
        loss=task.loss_name,
        threshold=task.threshold,
        threshold_relative=task.relative,
        optimizer=law.rule,
        law=law,
        batch=setup.batch,
        representation=setup.representation,
        constrained=configuration.get("constrained", False),
        configuration=configuration,
    )
