"""`sample_path`: networks followed along their zero-loss valley, into a path file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.blame import told
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.find import task_of
from groktime.fullnet.job import blank, output, run
from groktime.fullnet.machine import Machine, machine_of
from groktime.fullnet.procedures.path import STOP_RULE, Follower, Following
from groktime.fullnet.procedures.recording import share
from groktime.fullnet.runs import CURVES
from groktime.fullnet.settings import Numbers, Out, PathSettings, check_names, members_of, rule_of, setup_of
from groktime.fullnet.task import Task
from groktime.reduced.arguments import MANY, is_list, number, whole_number, whole_numbers
from groktime.reduced.decay_path import DIMS, DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.starts import POSITIVE


@told
def sample_path(
    task: Task | str,
    *,
    alpha: Numbers,
    dtau: float = 0.01,
    refit: int | Sequence[int] = (25, 50, 100, 200),
    tau: float = 1.0,
    fit: str = "along",
    optimizer: str | None = None,
    representation: str = "fixed",
    stop_at: float | None = None,
    out: Out = None,
    machine: Machine | None = None,
    **settings: Unpack[PathSettings],
) -> DecayPath:
    """Shrink a task's networks and refit them, again and again, and record them against τ = ηγt.

    Parameters
    ----------
    task, alpha, m, n_train, seeds : starts, as in `train`; every combination is followed, at every
        resolution.
    dtau, refit : the weights are multiplied by exp(-dtau) and refitted with so many steps. `refit` steps
        per dtau are training at γ = dtau/(refit η); of several, the finer ones tell the error.
    tau : where the path ends.
    fit : "along": the weights are shrunk from the first step on, as decay does. "first": the training set
        is fitted without decay, and the path begins there. Where delays are long against the fit the two
        agree; where they are not, "first" leaves out what decay and fit do to each other.
    fit_loss : training loss at which a fit without decay ends, if 95 % of the training set is right,
        too (default: the task's `stop_loss`, or a thousandth of the loss at the start).
    fit_steps : at which it ends in any case (default: the task's sampling budget).
    optimizer, momentum, representation, batch, dtype, check, eta_d, eta_r : as in `train`, one rate each,
        which stays after its warm-up: where a schedule lets it fall, `predict` takes τ as Σ ηγ. The optimizer
        ought to be that of the runs to be predicted: its metric decides which way the drift goes.
    stop_at : test accuracy at which a member is done, once it has reached it in five records in a row and
        has fitted 95 % of the training set (default: all go on up to `tau`).
    machine, out, overwrite : as in `train`; the output is a path file.

    Raises
    ------
    InputError : on a bad setting or an output that exists. A member that diverges is a result.
    """
    check_names("sample_path", settings, PathSettings)
    task, machine = task_of(task, settings.get("n_train")), machine_of(machine)
    fit_steps, fit_loss = settings.get("fit_steps"), settings.get("fit_loss")
    dtau, records = _grid(dtau, tau)
    refits = sorted(set(whole_numbers("refit", refit, 1)))
    if is_list(settings.get("eta_d")) or is_list(settings.get("eta_r")):
        raise InputError("eta_d, eta_r: expected one number each; a path is the same at every rate")
    starts = members_of(task, {"gamma": 0.0, "alpha": alpha, **settings})
    starts = sorted(starts, key=lambda c: (c.n_train, c.seed, c.m, c.alpha))
    procedure = Following(
        setup_of(task, machine, settings, starts[0].seed, representation),
        dtau=dtau,
        records=records,
        fit_steps=whole_number("fit_steps", task.steps if fit_steps is None else fit_steps, 1),
        fit_loss=None if fit_loss is None else number("fit_loss", fit_loss, *POSITIVE),
        fit=fit,
        optimizer=rule_of(task, optimizer),
        stop_at=None if stop_at is None else share("stop_at", stop_at),
        momentum=settings.get("momentum"),
    )
    procedure.check(starts)
    made = procedure.configuration() | {"dtau": dtau, "refit": refits}
    members = [Follower(**asdict(c), refit=k) for k in refits for c in starts]
    known = made | {"members": [asdict(c) for c in starts]}
    with output(out, known, settings.get("overwrite", False)) as where:
        where.rehearse(lambda: _assembled(procedure, members, blank(procedure, members), made))
        found = run(
            procedure, members, machine, where, steps=lambda c: procedure.records * c.refit,
            title=f"decay path of {task.name}", name="path", key=_longest_first,
        )  # fmt: skip
        return where.finish(_assembled(procedure, members, found, made))


def _longest_first(c: Follower) -> tuple[Any, ...]:
    return ((-c.refit, c.n_train), c.seed, c.m, c.alpha)


def _grid(dtau: Any, tau: Any) -> tuple[float, int]:
    """dtau, and the records up to tau; bad numbers are refused by name."""
    dtau, tau = number("dtau", dtau, *POSITIVE), number("tau", tau, *POSITIVE)
    if not dtau < 1 or tau < dtau:
        raise InputError(f"dtau = {dtau:g}, tau = {tau:g}: expected dtau below 1 and tau from dtau on")
    if tau / dtau > MANY:
        raise InputError(f"dtau = {dtau:g}, tau = {tau:g}: expected at most {MANY:,} records")
    return dtau, max(round(tau / dtau), 1)


def _assembled(
    procedure: Following, members: Sequence[Follower], found: Arrays, configuration: dict[str, Any]
) -> DecayPath:
    """The file of all members at all resolutions."""
    coords: dict[str, Any] = {
        "seed": sorted({c.seed for c in members}),
        "n_train": sorted({c.n_train for c in members}),
        "m_start": sorted({c.m for c in members}),
        "alpha": sorted({c.alpha for c in members}),
        "refit": sorted({c.refit for c in members}),
        "tau": procedure.dtau * np.arange(procedure.records + 1),
    }
    shape = tuple(len(coords[name]) for name in DIMS)
    places = [(c.seed, c.n_train, c.m, c.alpha, c.refit) for c in members]
    at = [tuple(coords[n].index(v) for n, v in zip(DIMS, place, strict=False)) for place in places]
    index = tuple(np.array(at).T)

    def gridded(values: NDArray[Any], *more: int) -> NDArray[Any]:
        full = np.empty((*shape[:5], *more), values.dtype)
        full[index] = values
        return full

    setup, task = procedure.setup, procedure.setup.task
    return DecayPath.assemble(
        coords=coords,
        curves={name: gridded(found[name], shape[5]) for name in CURVES},
        t_fit=gridded(found["t_fit"])[..., -1],
        fit_end=gridded(found["fit_end"])[..., -1],
        diverged=gridded(found["diverged"]),
        w0=gridded(found["w0"])[:, 0, 0, 0, 0],
        eta_d=members[0].eta_d,
        eta_r=members[0].eta_r,
        dtau=procedure.dtau,
        optimizer=procedure.optimizer,
        law=procedure.law,
        representation=setup.representation,
        fit=procedure.fit,
        task=task.name,
        loss=task.loss_name,
        threshold=task.threshold,
        threshold_relative=task.relative,
        stop_rule=STOP_RULE,
        configuration=configuration,
    )
