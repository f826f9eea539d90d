"""What can be asked for grokking times: a source, and what it answers.

A source is anything with a `name`, `seeds` and `read(lanes, **options) -> Readings`: Eq. 6 on a sampled
landscape (`reduced.flow_source`), a decay path (`reduced.path_source`), a published law, a forecast.
`predict`, `what_if`, `recommend` and `gt.compare` ask all of them alike; what they share, above all the
median over seeds, is here. `reduced.sources.source_of` makes one of a landscape, a path, or a file's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypedDict, Unpack, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.interval import COVERAGE as COVERAGE
from groktime.reduced.interval import predictive
from groktime.reduced.law import CONSTANT, Schedule
from groktime.reduced.starts import check_option
from groktime.reduced.system import LEVEL

Floats = NDArray[np.float64]

GOOD = (Status.GENERALIZES, Status.ALREADY)


class Options(TypedDict, total=False):
    """What may be asked of a source, beside the runs; each says which it does not take (`Source.refused`).

    n_train, sampled_steps, seed : which of the source's (default: the largest, the largest, all seeds).
    threshold : test metric that counts as generalized (default: the source's accuracy; losses have none).
    metric : "accuracy" (at or above the threshold) or "loss" (at or below).
    level : of a landscape: training loss of the contour of the printed closed form.
    m_rate : of a landscape: "eq6", dm/dt = -η_R ∂l/∂m as in the paper, or "representation", with the factor
        1/||R_random - R_linear||² that training R itself has.
    implicit : of a decay path: decay γ0 that acts without being set, such as the drift of minibatch noise
        along the valley (`gt.implicit_decay` measures it): t = τ_c/(η(γ + γ0)).
    onset : of a decay path: optimizer steps after which the implicit decay sets in (0).
    wall : of a landscape: whether `low` and `high` hold the uncertainty of the wall's place, too.
    """

    n_train: int | None
    sampled_steps: int | None
    seed: int | None
    threshold: float | None
    metric: str
    level: float
    m_rate: str
    implicit: float
    onset: float
    wall: bool


# An option with its default counts as not given.
DEFAULTS: Mapping[str, Any] = {
    "n_train": None,
    "sampled_steps": None,
    "seed": None,
    "threshold": None,
    "metric": "accuracy",
    "level": LEVEL,
    "m_rate": "eq6",
    "implicit": 0.0,
    "onset": 0.0,
    "wall": False,
}


@dataclass(frozen=True)
class Lanes:
    """The runs that are asked about, one a lane: weight decay γ, learning rates per step, start w/w0 and
    messiness, [lane] each; `eta_r` and `m` are None where they are not given."""

    gamma: Floats
    eta_d: Floats
    alpha: Floats
    eta_r: Floats | None = None
    m: Floats | None = None

    def __len__(self) -> int:
        return len(self.gamma)


@dataclass(frozen=True)
class Readings:
    """What a source says of each lane, seed by seed: [seed, lane] each, unless another shape is given.

    `t_grok`, `t_mem` : optimizer steps, NaN where there is none.
    `low`, `high` : ends of the interval of that seed alone, infinite where it may never generalize;
        `alone` tells whether one seed has such an interval at all, `own` what it holds, in words.
    `model` : the error of the predictor itself, as a standard deviation of ln t that was measured on other
        runs, and `model_name`, whose it is; 0 where nothing is known of it.
    `least` : seeds that the interval takes; 1 where the run that is asked for is that of the seed itself, as
        one that is on its way already.
    `forms` : further times by name, such as closed forms, NaN where there is none.
    `norm` : the weight norm at t_grok, NaN where it is not known.
    `remarks` [lane] : what a reader has to know, sentences of each lane.
    `details` : what is behind each number (a geometry, a τ_c), if it was asked for.
    """

    seeds: tuple[int, ...]
    status: NDArray[np.object_]
    t_grok: Floats
    t_mem: Floats
    low: Floats
    high: Floats
    threshold: Floats
    alone: bool = True
    forms: Mapping[str, Floats] = field(default_factory=dict)
    norm: Floats | None = None
    remarks: Sequence[Sequence[str]] = ()
    details: NDArray[np.object_] | None = None
    own: str = ""
    model: float = 0.0
    model_name: str = ""
    least: int = 2

    def over_seeds(self) -> OverSeeds:
        """The median over seeds, in which those that never generalize count as infinite, and the interval
        for a run of another seed (`reduced.interval`)."""
        times = np.where(np.isnan(self.t_grok), np.inf, self.t_grok)
        median = np.median(times, axis=0)
        goes = np.isfinite(median)
        status, typical = np.empty(times.shape[1], object), np.empty(times.shape[1], np.intp)
        for lane in range(times.shape[1]):
            mine = [Status(s) for s in self.status[:, lane]]
            if goes[lane]:
                typical[lane] = int(np.argmin(np.abs(times[:, lane] - median[lane])))
                status[lane] = mine[typical[lane]]
            else:
                bad = [s for s in mine if s not in GOOD]
                status[lane] = max(bad, key=bad.count)
                typical[lane] = mine.index(status[lane])
        outside = self.status == Status.OUTSIDE
        low, high = predictive(self.t_grok, self.low, self.high, outside, self.model, self.least)
        return OverSeeds(
            status=status,
            t_grok=np.where(goes, median, np.nan),
            t_mem=finite_median(self.t_mem),
            low=low,
            high=high,
            generalizing=np.isfinite(self.t_grok).mean(0),
            forms={name: finite_median(times) for name, times in self.forms.items()},
            form_seeds={name: np.isfinite(times).sum(0) for name, times in self.forms.items()},
            typical=typical,
            holds=self.holds(),
        )

    def holds(self) -> tuple[str, ...]:
        """What the interval over the seeds holds, in words; nothing of too few, which have none."""
        count = len(self.t_grok)
        if count < self.least:
            return ()
        found = [*([f"{count} seeds"] if count > 1 else []), *([self.own] if self.own else [])]
        return (*found, *([f"{100 * self.model:g} % for {self.model_name}"] if self.model else []))


@dataclass(frozen=True)
class OverSeeds:
    """`Readings` as one number a lane, [lane] each.

    `t_grok` is NaN, with a `status` that says why, where half of the seeds or more never generalize;
    `t_mem` and `forms` are medians over the seeds that have one, `form_seeds` how many these are. `low` and
    `high` cover 90 % of the runs of other seeds, NaN where one seed tells no interval or an end would need a
    seed that is outside. `holds` : what they hold, in words.
    `generalizing` : share of the seeds. `typical` : the place of the seed nearest to the median.
    """

    status: NDArray[np.object_]
    t_grok: Floats
    t_mem: Floats
    low: Floats
    high: Floats
    generalizing: Floats
    forms: Mapping[str, Floats]
    form_seeds: Mapping[str, NDArray[np.intp]]
    typical: NDArray[np.intp]
    holds: tuple[str, ...]


@dataclass(frozen=True)
class About:
    """What a source says of itself, as its attribute `about`; one without it has these defaults.

    file : the file or name it came from. kind : what it is, in a word.
    refused : options that it does not take, and why. strongest : the largest γ that it can be asked about.
    two_dimensional : whether a start has a messiness m.
    schedule : of the rates of the runs that it is asked about, where they are given none.
    """

    file: str = ""
    kind: str = "source"
    refused: Mapping[str, str] = field(default_factory=dict)
    strongest: float = np.inf
    two_dimensional: bool = False
    schedule: Schedule = CONSTANT


def about(source: Source) -> About:
    """What a source says of itself."""
    found = getattr(source, "about", None)
    return found if isinstance(found, About) else About(file=source.name)


@runtime_checkable
class Source(Protocol):
    """Something that can be asked for times.

    `name` is that of the predictor in a comparison. What more a source may have is in `About`.
    """

    @property
    def name(self) -> str:
        """Of the predictor, such as "flow" or "path"."""
        ...

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds that it holds; empty where it knows of none."""
        ...

    def read(self, lanes: Lanes, detail: bool = False, **options: Unpack[Options]) -> Readings:
        """Times of all lanes; with `detail`, `forms` and `details`, too."""
        ...


def check_options(source: Source, given: Mapping[str, Any]) -> Options:
    """The options that mean something; unknown ones are refused, and those that the source does not take."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in DEFAULTS:
            raise InputError(f"{name}: is no option; expected {', '.join(DEFAULTS)}")
        found[name] = check_option(name, value)
        refuse(source, name, found[name])
    chosen: Any = {k: v for k, v in found.items() if v is not None and v != DEFAULTS[k]}
    options: Options = chosen
    return options


def option(options: Options, name: str) -> Any:
    """An option, or its default."""
    return options.get(name, DEFAULTS[name])


def refuse(source: Source, name: str, value: Any) -> None:
    """One sentence where a source does not take what is given."""
    this = about(source)
    default = name in DEFAULTS and value == DEFAULTS[name]
    if name in this.refused and value is not None and not default:
        raise InputError(f"{name}: {this.file} is a {this.kind}; {this.refused[name]}; leave {name} out")


def finite_median(values: Floats) -> Floats:
    """Medians over the first axis of what is finite; NaN where nothing is."""
    out = np.full(values.shape[1:], np.nan)
    known = np.isfinite(values)
    some = known.any(0)
    out[some] = np.nanmedian(np.where(known, values, np.nan)[:, some], axis=0)
    return out


def scheduled(found: Readings, schedule: Schedule) -> Readings:
    """Readings at the full rate as those of runs whose rates follow a schedule: all that takes Σ ηγ takes the
    steps in which the schedule has come to it. What it never comes to never generalizes."""
    if schedule.constant:
        return found
    t_grok, t_mem = schedule.steps_to(found.t_grok), schedule.steps_to(found.t_mem)
    late = np.array(np.isinf(t_grok), bool)
    remarks = list(found.remarks) or [""] * t_grok.shape[1]
    text = "The schedule lets the rates fall before some of the seeds generalize."
    remarks = [
        f"{old} {text}".strip() if some else old
        for old, some in zip(remarks, np.any(late, 0).tolist(), strict=True)
    ]
    return replace(
        found,
        status=np.where(late, Status.NEVER, found.status),
        t_grok=np.where(late, np.nan, t_grok),
        t_mem=np.where(np.isinf(t_mem), np.nan, t_mem),
        low=np.where(late, np.inf, schedule.steps_to(found.low)),
        high=schedule.steps_to(found.high),
        forms={name: schedule.steps_to(times) for name, times in found.forms.items()},
        norm=None if found.norm is None else np.where(late, np.nan, found.norm),
        remarks=remarks,
    )
