"""`integrate_networks`: Eq. 6 with the networks in the loop, into a runs file whose time is t of Eq. 6."""

from __future__ import annotations

from dataclasses import asdict
from typing import Unpack

from groktime.fullnet.blame import told
from groktime.fullnet.find import task_of
from groktime.fullnet.job import blank, output, run
from groktime.fullnet.machine import Machine, machine_of
from groktime.fullnet.procedures.flow import Flow
from groktime.fullnet.procedures.recording import share
from groktime.fullnet.runs import Runs
from groktime.fullnet.settings import FlowSettings, Numbers, Out, check_names, members_of, setup_of
from groktime.fullnet.task import Task
from groktime.fullnet.trainer import runs_of, together
from groktime.reduced.arguments import number, whole_number
from groktime.reduced.starts import POSITIVE


@told
def integrate_networks(
    task: Task | str,
    *,
    gamma: Numbers,
    alpha: Numbers,
    eta_d: Numbers,
    steps: int,
    start: int | None = None,
    inner: int = 100,
    du: float = 0.005,
    dm: float = 0.002,
    m_rate: str = "eq6",
    out: Out = None,
    machine: Machine | None = None,
    **settings: Unpack[FlowSettings],
) -> Runs:
    """Integrate Eq. 6 with the networks in the loop, into a runs file of optimizer "eq6".

    Parameters
    ----------
    task, gamma, alpha, eta_d, eta_r, m, n_train, seeds, paired : the settings and starts, as in `train`.
        Where the task has no messiness, Eq. 6 is that of w alone.
    steps : where the integration ends, in optimizer steps t of Eq. 6.
    start : optimizer steps on the sphere of the start, before t = 0 (default: the task's sampling budget).
    inner : optimizer steps on the sphere in each turn; as many as the direction needs to follow.
    du, dm : the most that a turn may change u = ln w, and ηγt, and m. With `inner` the resolution:
        halving du and dm, and doubling inner, must not change the times.
    rate : of the inner Adam after the start (default: that at the end of the task's schedule).
    m_rate : "eq6", as printed, or "representation", with the factor 1/||R_random - R_linear||².
    turns : after so many a member is given up, and counts as watched up to there (default: 10,000).
    resolution, stop_at, dtype, check, machine, out, overwrite : as in `train`. Between two turns the
        curves are straight lines.

    Raises
    ------
    InputError : on a bad setting or an output that exists.
    """
    check_names("integrate_networks", settings, FlowSettings)
    task, machine = task_of(task, settings.get("n_train")), machine_of(machine)
    members = members_of(task, {"gamma": gamma, "alpha": alpha, "eta_d": eta_d, **settings})
    schedule, rate, inner = task.optimizer, settings.get("rate"), whole_number("inner", inner, 1)
    rate = schedule.rate * schedule.sampling.at(task.steps - 1) if rate is None else rate
    stop_at = settings.get("stop_at")
    kind = "line" if task.messiness else "fixed"
    procedure = Flow(
        setup_of(task, machine, settings, members[0].seed, representation=kind),
        steps=whole_number("steps", steps, 1),
        start=max(whole_number("start", task.steps if start is None else start, 1), inner),
        inner=inner,
        move=(number("du", du, *POSITIVE), number("dm", dm, *POSITIVE)),
        rate=number("rate", rate, *POSITIVE),
        m_rate=m_rate,
        turns=whole_number("turns", settings.get("turns", 10_000), 1),
        resolution=share("resolution", settings.get("resolution", 0.02)),
        stop_at=None if stop_at is None else share("stop_at", stop_at),
    )
    procedure.check(members)
    made = procedure.configuration()
    known = {**made, "runs": [asdict(c) for c in members]}
    with output(out, known, settings.get("overwrite", False)) as where:
        where.rehearse(lambda: runs_of(blank(procedure, members), members, procedure, made))
        found = run(
            procedure, members, machine, where, steps=procedure.steps, title=f"Eq. 6 of {task.name}",
            name="eq6", key=together,
        )  # fmt: skip
        return where.finish(runs_of(found, members, procedure, made))
