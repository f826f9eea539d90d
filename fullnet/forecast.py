"""`forecast`: when networks grok, from training them in earnest until they fit and hastening their decay."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Unpack

import numpy as np

from groktime.fullnet.blame import told
from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.find import task_of
from groktime.fullnet.job import Output, blank, output, run
from groktime.fullnet.machine import Machine, machine_of
from groktime.fullnet.members import Member
from groktime.fullnet.procedures.hastened import Hastened, Hastening
from groktime.fullnet.procedures.recording import check_reach, share
from groktime.fullnet.runs import CURVES
from groktime.fullnet.settings import (
    ForecastSettings,
    Numbers,
    Out,
    check_names,
    members_of,
    rule_of,
    setup_of,
)
from groktime.fullnet.task import Task
from groktime.reduced import json_text
from groktime.reduced.arguments import number, whole_number
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.forecast import CELLS, DIMS, FORECAST, Forecast
from groktime.reduced.law import stored

FIRST = 100  # steps to an e-fold of the coarsest resolution; of the next, twice as many
_FAR = 10.0  # τ = ηγt up to which is forecast where no steps are given
_CHEAPER = 0.7  # of t_grok: what a next resolution may cost, beyond which training itself is cheaper
_BACK = 4  # times as many steps to an e-fold where hastening made a network collapse


class Ran(NamedTuple):
    """One resolution of a network: times NaN where there are none, optimizer steps, and whether one of them
    was hastened."""

    efold: int
    status: Status
    t_grok: float
    t_mem: float
    steps: int
    hastened: bool = True


@dataclass
class Cell:
    """One network: its resolutions so far, each with what became of it and optimizer steps; from the step
    `begin` on."""

    member: Member
    horizon: int
    ran: list[Ran] = field(default_factory=list)
    begin: int = 0

    @property
    def spent(self) -> int:
        """Optimizer steps so far."""
        return sum(one.steps for one in self.ran)

    def next(self, precision: float, budget: float) -> int | None:
        """Steps to an e-fold of the next resolution; None where it is known as well as was asked, where
        there is nothing to know, or where the budget does not allow for another."""
        if not self.ran:
            return min(FIRST, self.horizon)
        efold, status, t_grok, t_mem, steps, hastened = self.ran[-1]
        if not hastened or status == Status.UNFITTED:  # a finer one would be the same training again
            return None
        if len(self.ran) > 1 and self._settled(precision):
            return None
        collapsed = status == Status.COLLAPSES
        wanted = min(efold * (_BACK if collapsed else 2), self.horizon)
        fit = 0.0 if math.isnan(t_mem) else min(t_mem - self.begin, steps)
        cost = fit + (steps - fit) * wanted / efold  # at most
        left = t_grok - self.begin
        if not math.isnan(left) and cost >= _CHEAPER * left:
            wanted, cost = self.horizon, left
        return wanted if self.spent + cost <= budget else None

    def _settled(self, precision: float) -> bool:
        before, status = (one.status for one in self.ran[-2:])
        early, late = (one.t_grok - self.begin for one in self.ran[-2:])
        if math.isnan(early) or math.isnan(late):
            return math.isnan(early) and math.isnan(late) and before == status != Status.COLLAPSES
        return abs(math.log(max(late, 1.0) / max(early, 1.0))) <= precision


@told
def forecast(
    task: Task | str,
    *,
    gamma: Numbers | None = None,
    alpha: Numbers = 1.0,
    precision: float = 0.1,
    budget: int | None = None,
    steps: int | None = None,
    threshold: float | None = None,
    optimizer: str | None = None,
    representation: str = "fixed",
    out: Out = None,
    machine: Machine | None = None,
    **settings: Unpack[ForecastSettings],
) -> Forecast:
    """Forecast when networks of a task grok, from their own initial weights, data, rate and decay.

    Each network is trained in earnest until it has fitted. From there on its decay is hastened, ever more as
    time goes on: an e-fold of the time since the fit takes `efold` optimizer steps, first 100. The same is
    done with twice as many until two resolutions agree, or until training itself is cheaper, which is then
    done (docs/forecast.md).

    Parameters
    ----------
    task, gamma, alpha, eta_d, seeds : every combination is forecast; as in `train`, eta_d defaults to the
        task's rate, seeds to 0, 1, 2 and 3, and alpha to 1, the network as it is initialized.
    eta_r, m, n_train : one number each; as in `train`.
    precision : numerical error of ln t_grok up to which a network is refined, as a share (0.1).
    budget : optimizer steps that a network may take, of all resolutions together (default: no limit).
        One that is not known to `precision` by then says so.
    steps : how far to forecast, in steps of the training (default: to ηγt = 10).
    threshold : test accuracy at which a network is done (default: the task's; of one that is relative to its
        ceiling, all go on up to `steps`).
    optimizer, representation, momentum, batch, dtype, check : as in `train`. A schedule may have a warm-up
        alone.
    fit_steps : steps by which a network has to have fitted 95 % of its training set (default: those of the
        task's sampling budget).
    machine, out, overwrite : as in `train`; the output is a forecast file.

    Raises
    ------
    InputError : on a bad setting or an output that exists. A network that diverges is a result.
    """
    check_names("forecast", settings, ForecastSettings)
    began = time.monotonic()
    task, machine = task_of(task, settings.get("n_train")), machine_of(machine)
    precision = number("precision", precision, "in (0, 1]", lambda x: 0 < x <= 1)
    most = math.inf if budget is None else whole_number("budget", budget, 1)
    members = members_of(task, {"gamma": gamma, "alpha": alpha, **settings})
    _check(task, members, settings)
    threshold = threshold if threshold is not None or task.relative else task.threshold
    far = None if steps is None else whole_number("steps", steps, 1)
    given = settings.get("fit_steps")
    fit_steps = whole_number("fit_steps", task.steps if given is None else given, 1)
    speed = task.law(rule_of(task, optimizer), settings.get("momentum")).speed
    if far is not None:
        check_reach(task, far)
    begin = task.begin
    horizons = (far or begin + fit_steps + math.ceil(_FAR / (c.gamma * c.eta_d * speed)) for c in members)
    cells = [Cell(c, horizon, begin=begin) for c, horizon in zip(members, horizons, strict=True)]
    procedure = Hastening(
        setup_of(task, machine, settings, members[0].seed, representation),
        fit_steps=fit_steps,
        horizon=max(cell.horizon for cell in cells),
        optimizer=rule_of(task, optimizer),
        stop_at=None if threshold is None else share("threshold", threshold),
        momentum=settings.get("momentum"),
    )
    procedure.check(members)
    made = procedure.configuration() | {"precision": precision, "budget": budget, "steps": far}
    known = made | {"members": [asdict(c) for c in members]}
    with output(out, known, settings.get("overwrite", False)) as where:
        first = [_hastened(cell, min(FIRST, cell.horizon)) for cell in cells]
        where.rehearse(lambda: _assembled(procedure, first, _blank(procedure, first), cells, made, began))
        return where.finish(_refined(procedure, cells, machine, where, precision, most, made, began))


def _check(task: Task, members: Sequence[Member], settings: Mapping[str, Any]) -> None:
    """Refuse what a forecast cannot be of, by name."""
    if any(c.gamma == 0 for c in members):
        raise InputError("gamma = 0: without decay there is nothing to hasten; expected gamma above 0")
    for name in ("m", "n_train"):
        if len({getattr(c, name) for c in members}) > 1:
            raise InputError(f"{name}: expected one number")
    if len({c.eta_r / c.eta_d for c in members}) > 1:
        raise InputError("eta_r: expected one number, beside one eta_d")
    if task.optimizer.course.shape != "constant":
        raise InputError(
            f"{task.name}: its schedule is {task.optimizer.course.shape}; a forecast takes a constant rate, "
            "with or without a warm-up"
        )


def _hastened(cell: Cell, efold: int) -> Hastened:
    return Hastened(**asdict(cell.member), efold=efold, horizon=cell.horizon)


def _refined(
    procedure: Hastening,
    cells: Sequence[Cell],
    machine: Machine,
    where: Output,
    precision: float,
    budget: float,
    made: dict[str, Any],
    began: float,
) -> Forecast:
    """Resolution by resolution, of the networks that need one more."""
    members: list[Hastened] = []
    found: Arrays = {}
    turn = 0
    while True:
        wanted = [(cell, efold) for cell in cells if (efold := cell.next(precision, budget)) is not None]
        if not wanted:
            return _assembled(procedure, members, found, cells, made, began)
        turn += 1
        some = [_hastened(cell, efold) for cell, efold in wanted]
        new = run(
            procedure, some, machine, where, steps=procedure.steps,
            title=f"forecast of {procedure.setup.task.name}, resolution {turn}", name=f"turn{turn}",
            key=_together,
        )  # fmt: skip
        members, found = [*members, *some], _joined(found, new)
        so_far = _assembled(procedure, some, new, cells, made, began)
        times, hastened = so_far.times(procedure.stop_at), so_far.hastened
        for (cell, efold), c, steps in zip(wanted, some, new["real_steps"], strict=True):
            at = tuple(so_far.place(name, getattr(c, name)) for name in CELLS)
            t_grok, t_mem = float(times.t_grok[at]), float(times.t_mem[at])
            fast = bool(hastened[at][so_far.efold.index(efold)])
            cell.ran.append(Ran(efold, Status(times.status[at]), t_grok, t_mem, int(steps), fast))


def _blank(procedure: Hastening, members: Sequence[Hastened]) -> Arrays:
    """Arrays as they will be, with clocks that go on."""
    found = blank(procedure, members)
    clock = procedure.setup.task.begin + np.arange(found["t"].shape[1], dtype=float)
    return found | {"t": np.broadcast_to(clock, found["t"].shape)}


def _together(c: Hastened) -> tuple[float, ...]:
    """Members of one resolution and like times side by side."""
    return (c.efold, c.gamma * c.eta_d, c.gamma, c.eta_d, c.alpha, c.seed)


def _joined(first: Arrays, second: Arrays) -> Arrays:
    """What was recorded of the members of two rounds, one after the other; records are padded with NaN."""
    if not first:
        return second
    out = {}
    for name, values in second.items():
        before = first[name]
        if values.ndim > 1:
            most = max(before.shape[1], values.shape[1])
            before, values = (
                np.pad(v, ((0, 0), (0, most - v.shape[1])), constant_values=np.nan) for v in (before, values)
            )
        out[name] = np.concatenate([before, values])
    return out


def _assembled(
    procedure: Hastening,
    members: Sequence[Hastened],
    found: Arrays,
    cells: Sequence[Cell],
    configuration: dict[str, Any],
    began: float,
) -> Forecast:
    """The file of all members at all resolutions that were run."""
    first = cells[0].member
    axes: dict[str, list[Any]] = {name: sorted({getattr(c.member, name) for c in cells}) for name in CELLS}
    axes["efold"] = sorted({c.efold for c in members})
    axes["record"] = list(range(max(1, int(np.isfinite(found["t"]).sum(1).max()))))
    at = tuple(np.array([[axes[name].index(getattr(c, name)) for name in DIMS[:-1]] for c in members]).T)
    shape = tuple(len(axes[name]) for name in DIMS)

    def gridded(name: str, fill: Any) -> Any:
        values = found[name]
        full = np.full(shape[: 5 + (values.ndim > 1)], fill, values.dtype)
        full[at] = values[:, : shape[5]] if values.ndim > 1 else values
        return full

    w0 = {c.seed: float(w) for c, w in zip(members, found["w0"], strict=True)}
    horizon = np.ones((shape[1], shape[2]))
    for cell in cells:
        place = tuple(axes[name].index(getattr(cell.member, name)) for name in ("gamma", "eta_d"))
        horizon[place] = cell.horizon
    setup, task = procedure.setup, procedure.setup.task
    values = axes | {name: gridded(name, np.nan) for name in ("t", *CURVES)}
    values |= {"real_steps": gridded("real_steps", 0), "diverged": gridded("diverged", False)}
    values |= {"horizon": horizon, "w0": np.array([w0.get(seed, 1.0) for seed in axes["seed"]])}
    attrs = {
        "task": task.name,
        "loss": task.loss_name,
        "accuracy_threshold": float(procedure.stop_at or task.threshold),
        "threshold_relative": int(procedure.stop_at is None and task.relative),
        "n_train": first.n_train,
        "m_start": float(first.m),
        "eta_ratio": first.eta_r / first.eta_d,
        "optimizer": procedure.optimizer,
        "representation": setup.representation,
        "start": json_text.dump({} if task.start is None else task.start.configuration()),
        "seconds": time.monotonic() - began,
        "law": stored(procedure.law),
        "configuration": json_text.dump(configuration),
    }
    return Forecast(FORECAST.arrays(values, attrs, task.name), task.name)
