"""The cells of a landscape: which there are, how they are sampled, and what is made of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.engine.pieces import Arrays
from groktime.fullnet.engine.probe import Probe, placed
from groktime.fullnet.job import Output, run
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Setup, norm_at_start
from groktime.fullnet.procedures.sphere import DRIFTS, METRICS, STOP_RULE, Cell, Spheres
from groktime.reduced.arguments import check_count, shown
from groktime.reduced.boundary import bracket
from groktime.reduced.drift import CUTOFF, FIELDS, LOOP
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The cells of a landscape, and how they are sampled."""

    setup: Setup
    alpha: Floats
    m: Floats
    seeds: tuple[int, ...]
    n_train: tuple[int, ...]
    budgets: tuple[int, ...]
    gradient: str
    start: str
    refine: int
    cutoffs: tuple[float, ...]
    fit_steps: int
    along_m: bool
    probe: Probe | None
    loop: bool

    def check(self) -> None:
        self.setup.check_names(min(self.seeds, default=0))
        if self.start == "above" and self.refine:
            raise InputError("refine: bisects with fresh networks; expected 0 with start = 'above'")
        if self.along_m and (self.start != "above" or not self.cutoffs):
            raise InputError("along_m: is a way to cells with drift; expected start = 'above' and drift")
        if self.loop and not (self.start == "above" and self.cutoffs and self.setup.task.messiness):
            raise InputError(
                "loop: compares two ways to cells of (w, m) with drift; expected start = 'above'"
            )
        if self.probe and (not self.cutoffs or self.setup.task.messiness):
            raise InputError(
                "probe: measures the drift of w alone; expected drift, and a task without messiness"
            )
        if self.cutoffs and not self.probe and not self.setup.mapped:
            raise InputError(
                f"drift: {self.setup.task.name} cannot be mapped over members; expected drift = False"
            )
        for name in ("seeds", "n_train", "budgets"):
            values = getattr(self, name)
            if list(values) != sorted(set(values)):
                raise InputError(f"{name} = {shown(values)}: expected an ascending list without repetition")
        if len(self.alpha) < 4:
            raise InputError(f"alpha: expected at least 4 values, not {len(self.alpha)}")
        if len(self.m) in (2, 3):
            raise InputError(f"m: expected one value, or at least 4, not {len(self.m)}")
        if not self.setup.task.messiness and self.m.tolist() != [1.0]:
            raise InputError(f"m: {self.setup.task.name} has no messiness")
        check_count("the cells", self.shape)

    def configuration(self) -> dict[str, Any]:
        """Everything that the numbers depend on."""
        adam, sampling = self.setup.task.optimizer, self.setup.task.optimizer.sampling
        drops = sampling.shape == "step"
        made = {"rate": adam.rate, "betas": adam.betas, "factor": sampling.factor if drops else 1.0}
        made |= {"every": sampling.steps if drops else 0}
        if not (drops or sampling.constant) or sampling.warmup > 1:
            made["schedule"] = sampling.to_dict()
        return {
            "task": self.setup.task.name,
            "settings": dict(self.setup.task.settings),
            "optimizer": {"name": "Adam", **made},
            **self.setup.task.handling,
            "gradient": self.gradient,
            **({"start": self.start} if self.start != "fresh" else {}),
            **({"drift": list(self.cutoffs), "fit_steps": self.fit_steps} if self.cutoffs else {}),
            **({"along_m": True} if self.along_m else {}),
            **({"loop": True} if self.loop else {}),
            **({"probe": self.probe._asdict()} if self.probe else {}),
            "stop_loss": self.setup.task.stop_loss,
            "alpha": self.alpha.tolist(),
            "m": self.m.tolist(),
            "seeds": list(self.seeds),
            "n_train": list(self.n_train),
            "budgets": list(self.budgets),
            "refine": self.refine,
            "dtype": self.setup.dtype,
            "compiled": self.setup.compiled,
        }

    @property
    def shape(self) -> tuple[int, ...]:
        """[seed, n_train, m, alpha]"""
        return len(self.seeds), len(self.n_train), len(self.m), len(self.alpha)

    def blank(self) -> Arrays:
        """What is found in the end, with a number in every place."""
        seeds, sizes, *plane = self.shape
        cells = np.ones((seeds, sizes, len(self.budgets), *plane))
        feet = {"foot_low", "foot_high"} if self.refine else set()
        fields = np.ones((seeds, sizes, len(self.cutoffs), *plane))
        names = (*FIELDS, LOOP) if self.loop else FIELDS
        drifts = dict.fromkeys(names, fields) | {CUTOFF: np.array(self.cutoffs)} if self.cutoffs else {}
        return dict.fromkeys(METRICS, cells) | dict.fromkeys(feet, np.ones(self.shape[:3])) | drifts

    def cells(self, alpha: Sequence[float]) -> list[Cell]:
        """One for each seed, n_train, m and alpha."""
        axes = itertools.product(self.seeds, self.n_train, self.m.tolist(), alpha)
        return [Cell(*place) for place in axes]

    def fresh(self, machine: Machine, where: Output) -> Arrays:
        """Every cell from its initial weights: the metrics [seed, n_train, budget, m, alpha]."""
        cells = self.cells(self.alpha.tolist())
        found = self._run(cells, machine, where, key=lambda c: (c.n_train, c.alpha, c.seed, c.m))
        each = {k: v[:, 0].reshape(*self.shape, -1).transpose(0, 1, 4, 2, 3) for k, v in found.items()}
        return self._with_drift(each)

    def from_above(self, machine: Machine, where: Output) -> Arrays:
        """The same from the largest alpha down, each cell from the solution on the sphere above."""
        found = self._from_above(machine, where, "above")
        if self.loop:
            other = replace(self, along_m=not self.along_m)._from_above(machine, where, "loop")
            found[LOOP] = np.abs(_slaved(found) - _slaved(other))
        return found

    def _from_above(self, machine: Machine, where: Output, name: str) -> Arrays:
        down = self.alpha[::-1].tolist()
        shrink = tuple(b / a for a, b in itertools.pairwise(down))
        fit = math.ceil(self.fit_steps / self.budgets[-1]) if self.cutoffs else 0
        # every cell is fitted at its own m, or all of them at the largest, from where they come to theirs
        along = (*self.m[-1:].tolist() * fit, *self.m[-2::-1].tolist()) if self.along_m else (0.0,) * fit
        found = self._run(self.cells(down[:1]), machine, where, name, shrink=shrink, along=along)
        whole = {k: v.reshape(*self.shape[:3], *v.shape[1:])[:, :, :, ::-1] for k, v in found.items()}
        each = {k: v.transpose(0, 1, 4, 2, 3) for k, v in whole.items() if k != "straight"}
        # per ln w: from the next larger sphere, which the largest has not
        per = np.append(np.diff(np.log(self.alpha)), np.nan)
        turned = {"turning": each.pop("turned") / per**2, "turning_cosine": whole["straight"]}
        return self._with_drift(each) | turned

    def _with_drift(self, each: Arrays) -> Arrays:
        """The drift under its names in the file, with the weight decays that it is of."""
        if not self.cutoffs:
            return each
        if self.probe:
            each["normal"] = placed(np.log(self.alpha), each["normal"], each.pop("below"))
        named = {name: each.pop(short) for name, short in zip(FIELDS, DRIFTS, strict=True)}
        return each | named | {CUTOFF: np.array(self.cutoffs)}

    def refined(self, train_loss: Floats, machine: Machine, where: Output) -> Arrays:
        """Narrow the cell that holds the foot of the wall; [seed, n_train, m] low and high alpha."""
        low, high, level = self._feet(train_loss)
        rows = [tuple(int(k) for k in row) for row in np.argwhere(np.isfinite(low) & np.isfinite(high))]
        for turn in range(self.refine if rows else 0):
            middle = np.sqrt(low * high)
            cells = [
                Cell(self.seeds[s], self.n_train[n], float(self.m[j]), float(middle[s, n, j]))
                for s, n, j in rows
            ]
            title = f"refining the wall, round {turn + 1} of {self.refine}"
            loss = self._run(cells, machine, where, f"refine{turn}", title)["train_loss"][:, 0, -1]
            for (s, n, j), value in zip(rows, loss, strict=True):
                side = low if value > level[s, n] else high
                side[s, n, j] = middle[s, n, j]
        return {"foot_low": low, "foot_high": high}

    def _feet(self, train_loss: Floats) -> tuple[Floats, Floats, Floats]:
        """The grid's alpha below and above the foot [seed, n_train, m], and its level [seed, n_train]."""
        low, high = np.full((2, *self.shape[:3]), np.nan)
        level = np.full(self.shape[:2], np.nan)
        for s, n in np.ndindex(level.shape):
            if not np.isfinite(train_loss[s, n]).all():
                continue  # a network diverged: there is no telling where the wall is
            found = bracket(self.alpha, train_loss[s, n])
            low[s, n], high[s, n], level[s, n] = found.low, found.high, found.level
        return low, high, level

    def _run(
        self,
        cells: Sequence[Cell],
        machine: Machine,
        where: Output,
        name: str = "grid",
        title: str = "",
        shrink: tuple[float, ...] = (),
        along: tuple[float, ...] = (),
        key: Callable[[Cell], tuple[Any, ...]] = lambda c: (c.n_train,),
    ) -> Arrays:
        """The metrics [cell, sphere, budget] of cells that shrink so to further spheres."""
        spheres = Spheres(self.setup, self.budgets, self.gradient, shrink, along, self.cutoffs, self.probe)
        return run(
            spheres, cells, machine, where,
            steps=spheres.stages * self.budgets[-1], title=title or f"sampling {self.setup.task.name}",
            name=name, key=key,
        )  # fmt: skip


def _slaved(found: Arrays) -> Floats:
    """-dm/dτ in the valley where m is as fast as it can be (η_R/η_D without bound): overlap over turn."""
    _, overlap, turn = (found[name] for name in FIELDS)
    return -overlap / turn


def assembled(grid: Grid, found: Arrays) -> Landscape:
    task = grid.setup.task
    return Landscape.assemble(
        **_flagged(found),
        coords={
            "seed": grid.seeds,
            "n_train": grid.n_train,
            "budget": grid.budgets,
            "m": grid.m if task.messiness else None,
            "alpha": grid.alpha,
        },
        w0=np.array([norm_at_start(task, s) for s in grid.seeds]),
        delta_norm=np.array([_delta_norm(grid, s) for s in grid.seeds]) if task.messiness else None,
        task=task.name,
        loss=task.loss_name,
        threshold=task.threshold,
        threshold_relative=task.relative,
        stop_rule=STOP_RULE,
        law=task.law("adam"),
        configuration=grid.configuration(),
    )


def _delta_norm(grid: Grid, seed: int) -> float | None:
    return grid.setup.task.problem(seed, grid.n_train[0]).delta_norm


def _flagged(found: Arrays) -> Arrays:
    """Cells whose networks diverged, as NaN and marked as such; without any, as they are."""
    train, test = found["train_loss"], found["test_loss"]
    tested = ~np.isnan(test).all(axis=(-2, -1), keepdims=True)
    diverged = ~np.isfinite(train) | (tested & ~np.isfinite(test))
    if not diverged.any():
        return found
    cells = {k: np.where(diverged, np.nan, found[k]) for k in METRICS if k != "converged"}
    return found | cells | {"converged": found["converged"] & ~diverged, "diverged": diverged}
