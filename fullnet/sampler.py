"""`sample`: a landscape file from networks, on a grid of norms and messiness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.blame import told
from groktime.fullnet.engine.probe import PROBES, Probe
from groktime.fullnet.find import task_of
from groktime.fullnet.job import output
from groktime.fullnet.machine import Machine, machine_of
from groktime.fullnet.sampled_grid import Grid, assembled
from groktime.fullnet.settings import Out, SampleSettings, check_names, check_sizes, seeds_of, setup_of
from groktime.fullnet.task import Task
from groktime.reduced.arguments import choice, flag, numbers, whole_number, whole_numbers
from groktime.reduced.drift import CUTOFFS
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape
from groktime.reduced.starts import SETTINGS

Floats = NDArray[np.float64]

_MOST_ROUNDS = 50  # of a bisection: from there on both ends are the same number


@told
def sample(
    task: Task | str,
    *,
    alpha: Sequence[float],
    m: Sequence[float] = (1.0,),
    seeds: Sequence[int] | None = None,
    n_train: Sequence[int] | None = None,
    steps: int | None = None,
    budgets: Sequence[int] | None = None,
    gradient: str = "tangent",
    start: str = "fresh",
    refine: int = 0,
    out: Out = None,
    machine: Machine | None = None,
    **settings: Unpack[SampleSettings],
) -> Landscape:
    """Sample the reduced train and test losses of a task on a grid of (w, m), one a seed.

    Parameters
    ----------
    task : a `Task`, or the name of one ("teacher-student").
    alpha, m : ascending grids of the relative norm w/w0 and of the messiness.
    seeds, n_train : further axes. A seed fixes data, initial weights and representation.
    steps : optimizer steps per cell (default: the task's). `budgets`: ascending step counts at
        which snapshots are taken (default: a third, two thirds and all of `steps`).
    gradient : "tangent" or "full" (as published); see `fullnet.procedures.sphere.Spheres`.
    start : where a cell's networks start. "fresh": at their initial weights, scaled to the sphere.
        "above": with the solution on the next larger sphere, as weight decay would bring them there; the
        largest alpha ought to be that of the runs. `steps` a cell are then training at a weight decay
        of about -d ln(alpha)/(steps * rate), d ln(alpha) the grid's.
    refine : rounds of bisection along alpha, after the grid, of the cell in which the foot of the
        wall lies; each halves `foot_low`..`foot_high` of the landscape.
    drift : measure in every cell how decay moves (w, m), for all eta_r/eta_d (see `reduced.drift`): at the
        default weight decays (True), or at these, ascending. Cells are then not done before their budget.
        With start = "above" they are fitted on the largest sphere for `fit_steps` (default: the task's
        steps), and go down from there at the rate with which the task's schedule ends the fit.
    along_m (False) : fit them at the largest m, instead of at their own, and bring them along the largest
        sphere to theirs. Networks remember the m that they were fitted at: this is the other way round.
    loop (False) : sample the cells once more the other way round, with `along_m` if it was without, and keep
        by how much dm/dtau of the two differs ("drift_loop"); twice the cost.
    probe : an optimizer, as in `train`. The drift of w alone is then measured by training on with it, at the
        task's rate, with and without decay, for the steps of a sphere: half of them to take up the decay,
        half to see how the norm falls. Default: by the projection, which is that of gradient descent; Adam's
        metric is another (see `fullnet.engine.probe`).
    machine : where, and how many cells at once; see `Machine`.
    dtype, check : as in `train`.
    out : the file (default: none, the landscape is only returned). It appears at the end; until then
        finished pieces, and the state of those in work, lie beside it, and the same call goes on where it
        was stopped. One that exists is only replaced with `overwrite` (default: False).

    Raises
    ------
    InputError : on axes out of order, an unknown option, or an output that exists.
    """
    check_names("sample", settings, SampleSettings)
    task, machine = task_of(task, n_train), machine_of(machine)
    steps = whole_number("steps", task.steps if steps is None else steps, 1)
    thirds = sorted({steps // 3, 2 * steps // 3, steps} - {0})
    taken = tuple(whole_numbers("budgets", thirds if budgets is None else budgets, 1))
    chosen = seeds_of(task, seeds)
    grid = Grid(
        setup=setup_of(task, machine, settings, chosen[0]),
        alpha=_axis("alpha", alpha),
        m=_axis("m", m),
        seeds=tuple(chosen),
        n_train=tuple(check_sizes(task, task.n_train if n_train is None else n_train)),
        budgets=taken,
        gradient=choice("gradient", gradient, ("tangent", "full")),
        start=choice("start", start, ("fresh", "above")),
        refine=whole_number("refine", refine, 0, _MOST_ROUNDS),
        cutoffs=_cutoffs(settings.get("drift", False)),
        along_m=flag("along_m", settings.get("along_m", False)),
        loop=flag("loop", settings.get("loop", False)),
        fit_steps=whole_number("fit_steps", settings.get("fit_steps") or task.steps, 1),
        probe=_probe(settings.get("probe"), taken[-1]),
    )
    grid.check()
    with output(out, grid.configuration(), settings.get("overwrite", False)) as where:
        where.rehearse(lambda: assembled(grid, grid.blank()))
        found = (grid.from_above if start == "above" else grid.fresh)(machine, where)
        if refine:
            found |= grid.refined(found["train_loss"][:, :, -1], machine, where)
        return where.finish(assembled(grid, found))


def _cutoffs(drift: bool | Sequence[float]) -> tuple[float, ...]:
    """The weight decays at which the drift is measured."""
    if isinstance(drift, bool | np.bool_):
        return CUTOFFS if drift else ()
    values = numbers("drift", drift, *SETTINGS["gamma"])
    if len(values) < 2 or np.any(np.diff(values) <= 0) or values[0] <= 0:
        raise InputError(
            "drift: expected two or more weight decays, ascending and above 0 (or none: the usual ones)"
        )
    return tuple(values.tolist())


def _probe(rule: str | None, steps: int) -> Probe | None:
    """A probe by this optimizer that takes as long as a sphere."""
    if rule is None:
        return None
    half = max(steps // 2, 1)
    return Probe(choice("probe", rule, PROBES), half, half)


def _axis(name: str, values: Any) -> Floats:
    axis = numbers(name, values, *SETTINGS[name])
    if np.any(np.diff(axis) <= 0):
        raise InputError(f"{name}: expected ascending values without repetition")
    return axis
