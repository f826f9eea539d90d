"""`predict`: when one network generalizes, by any source, with what is behind the number."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from groktime.reduced.flow import Status
from groktime.reduced.law import Schedule, convention
from groktime.reduced.remarks import LONG, of_lanes
from groktime.reduced.source import Lanes, Options, Source, about, check_options, refuse, scheduled
from groktime.reduced.sources import Sourced, source_of
from groktime.reduced.starts import SETTINGS, check_start
from groktime.reduced.value import Value

if TYPE_CHECKING:
    from groktime.reduced.figures import Panels


@dataclass(frozen=True)
class SeedPrediction:
    """The prediction for one seed. Times in optimizer steps, NaN where there is none.

    `low` and `high` hold the uncertainty of this seed alone: of the wall's place (landscapes) or of the
    numerical resolution and the fit (paths); infinite where it may never generalize, NaN where it is outside.
    `forms`: further times by name. `detail`: what is behind them, a `FlowDetail` or `PathDetail`; None of
    other sources.
    """

    seed: int
    status: Status
    t_grok: float
    t_mem: float
    low: float
    high: float
    threshold: float
    forms: dict[str, float]
    detail: Any = field(repr=False)


@dataclass(frozen=True, repr=False)
class Prediction(Value):
    """What `predict` returns; times in optimizer steps.

    `t_grok` is the median over seeds, of which those that never generalize count as infinite; NaN with a
    `status` that says why where half of them or more never do. `low` and `high` cover 90 % of the runs of
    seeds that the source does not have; `holds` lists what they hold. They are NaN of one seed, and an end
    that would need a seed that is outside is. `forms`: further times by name, of landscapes the closed forms
    "printed" and "corrected", medians over the seeds that have one, of which there are `form_seeds`.
    `typical` is the seed nearest to the median. `remarks`: what a reader has to know about this prediction.
    """

    settings: dict[str, Any]
    status: Status
    t_grok: float
    t_mem: float
    low: float
    high: float
    holds: tuple[str, ...]
    forms: dict[str, float]
    form_seeds: dict[str, int]
    remarks: tuple[str, ...]
    seeds: tuple[SeedPrediction, ...] = field(repr=False)
    typical: SeedPrediction = field(repr=False)
    source: Any = field(repr=False)

    @property
    def delay(self) -> float:
        """Steps between memorizing and generalizing."""
        return self.t_grok - self.t_mem

    @property
    def interval(self) -> tuple[float, float]:
        """`low` and `high`."""
        return self.low, self.high

    @property
    def schedule(self) -> Schedule:
        """Of the rates of the run."""
        return Schedule.of(self.settings.get("schedule", {}))

    @property
    def long(self) -> bool:
        """Whether the delay is at least five times the fit."""
        return bool(self.delay >= LONG * self.t_mem)

    @property
    def detail(self) -> Any:
        """What is behind the typical seed: a `FlowDetail` or a `PathDetail`."""
        return self.typical.detail

    def facts(self) -> dict[str, object]:
        """Status and times, for the short repr and the head of the table in a notebook."""
        names = ("t_grok", "t_mem", "low", "high")
        return {"source": about(self.source).file, "status": self.status.value} | {
            name: getattr(self, name) for name in names
        }

    def columns(self) -> dict[str, list[object]]:
        """One row a seed."""
        names = ("seed", "status", "t_grok", "t_mem", "low", "high")
        table: dict[str, list[object]] = {name: [getattr(q, name) for q in self.seeds] for name in names}
        table["status"] = [q.status.value for q in self.seeds]
        return table | {name: [q.forms[name] for q in self.seeds] for name in self.forms}

    def report(self) -> str:
        """The prediction as a page that a person can read."""
        from groktime.reduced.report import report

        return report(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for scripts (None where there is no number)."""
        from groktime.reduced.report import as_dict

        return as_dict(self)

    def plot(self, file: str | Path | None = None, overwrite: bool = False) -> Panels:
        """`gt.plot` of this prediction: what was read and what came of it."""
        from groktime.reduced.figures import Panels, plot

        drawn = plot(self, file, overwrite=overwrite)
        assert isinstance(drawn, Panels)
        return drawn


def predict(
    source: Sourced,
    *,
    gamma: float,
    eta_d: float,
    alpha: float,
    eta_r: float | None = None,
    m: float | None = None,
    schedule: Schedule | None = None,
    **options: Unpack[Options],
) -> Prediction:
    """Predict when a network that starts at w = alpha w0 (and messiness m) generalizes, before it is trained.

    Parameters
    ----------
    source : a landscape, a decay path, or another source; by value, shipped name, or file.
    gamma : weight decay, 0 or more: w becomes (1 - ηγ)w in a step, as in torch's AdamW. Where a decay of λ is
        not multiplied by the learning rate, gamma = λ/η.
    eta_d, eta_r : learning rates of the network and of its representation, per step (eta_r: of landscapes of
        (w, m); default eta_d, as P footnote 6).
    alpha, m : the start: norm over the norm at initialization, messiness (of sources that have it).
    schedule : of the run's learning rates, a `Schedule` (default: that of the task, where the source's file
        says one). Times are the steps in which Σ ηγ comes to what it takes.
    n_train, sampled_steps, seed : which of the source's (default: the largest, the largest, all seeds).
    threshold : test metric that counts as generalized (default: the source's accuracy; losses have none).
    metric : "accuracy" (at or above the threshold) or "loss" (at or below).
    level : of a landscape: training loss of the contour of the printed closed form (0.05).
    m_rate : of a landscape: "eq6", dm/dt = -η_R ∂l/∂m as in the paper, or "representation", with the factor
        1/||R_random - R_linear||² that training R itself has.
    implicit, onset : of a decay path: decay γ0 that acts without being set, and the optimizer steps after
        which it sets in (`gt.implicit_decay` measures both).
    wall : always so here; of `what_if`.

    Raises
    ------
    InputError : naming the argument and what was expected. A start off the grid, no decay and a trap are
        results with a status, not errors.
    """
    this = source_of(source)
    refuse(this, "eta_r", eta_r)
    refuse(this, "m", m)
    start = check_start(gamma=gamma, eta_d=eta_d, eta_r=eta_r, alpha=alpha, m=m)
    given = {name: start.get(name) for name in SETTINGS}
    chosen = check_options(this, options)
    schedule = about(this).schedule if schedule is None else schedule
    lanes = Lanes(**{k: np.array([x]) for k, x in start.items()})
    found = scheduled(this.read(lanes, detail=True, **chosen), schedule)
    over = found.over_seeds()
    each = tuple(
        SeedPrediction(
            seed=seed,
            **{name: float(getattr(found, name)[k, 0]) for name in ("t_grok", "t_mem", "low", "high")},
            status=Status(found.status[k, 0]),
            threshold=float(found.threshold[k, 0]),
            forms={name: float(times[k, 0]) for name, times in found.forms.items()},
            detail=None if found.details is None else found.details[k, 0],
        )
        for k, seed in enumerate(found.seeds)
    )
    return Prediction(
        settings=_settings(this, given, schedule, chosen),
        status=Status(over.status[0]),
        **{name: float(getattr(over, name)[0]) for name in ("t_grok", "t_mem", "low", "high")},
        holds=over.holds,
        forms={name: float(times[0]) for name, times in over.forms.items()},
        form_seeds={name: int(counts[0]) for name, counts in over.form_seeds.items()},
        remarks=tuple(
            r for r in (*of_lanes(found, over, lanes)[0], convention(start["gamma"], start["eta_d"])) if r
        ),
        seeds=each,
        typical=each[int(over.typical[0])],
        source=this,
    )


def _settings(source: Source, given: dict[str, Any], schedule: Schedule, options: Options) -> dict[str, Any]:
    """What was asked, with what was not given as the source understood it."""
    this = about(source)
    plane = this.two_dimensional
    chosen = getattr(source, "settings", dict)(options)
    follows = given["eta_d"] if given["eta_r"] is None and "eta_r" not in this.refused else given["eta_r"]
    rates = {} if schedule.constant else {"schedule": schedule.to_dict()}
    return {"source": this.file} | given | {"eta_r": follows if plane else None} | rates | chosen
