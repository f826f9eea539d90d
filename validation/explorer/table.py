"""The table that the page reads its predictions from: what a source says at nodes over the sliders.

Between nodes ηγt is read linearly, in the ln of every setting (of m itself), where every seed has the same
status and about the same ηγt at all nodes around; elsewhere settings are those of the nearest node: nothing
is read across "never", nor where a time goes to 0. Nodes are added where the source, asked half way between
two, says another time than the table would: so it is the source's own predictions to within a tolerance,
which `checked` measures at settings of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.flow import Status
from groktime.reduced.law import Schedule
from groktime.reduced.remarks import of_lanes
from groktime.reduced.source import Lanes, Options, Readings, Source, scheduled
from groktime.validation.explorer.sliders import Slider

Floats = NDArray[np.float64]
Tell = Callable[[str], None]
Answer = dict[str, NDArray[Any]]

TOLERANCE = 0.004  # of a time, half way between two nodes
TIMES = ("t_grok", "low", "high", "t_mem")
TAKEN = ("alpha", "m", "eta_ratio", "gamma", "eta_d")  # from the nearest node, the first of them first
EVEN = 2.0  # by which ηγt of a seed may differ from node to node
_MOST = 24_000  # nodes
_LINES = 240  # settings half way between nodes of an axis that are looked at in a round
_NARROW = 0.02  # of an axis: what a cell between two statuses is halved down to
ROUNDS = 12  # of refining
_CHECKED = 200


@dataclass(frozen=True)
class Asked:
    """A source with the options and the schedule that all of a page is asked with."""

    source: Source
    options: Options
    schedule: Schedule
    detail: bool = False  # where there are remarks that only a closer look tells

    def __call__(self, at: Mapping[str, Floats]) -> Answer:
        """What it says of settings [lane] each: times as `predict` has them, [lane]; those of the seeds and
        their statuses, [lane, seed]; remarks, [lane]."""
        lanes = lanes_of(at)
        found = scheduled(self.source.read(lanes, detail=self.detail, **self.options), self.schedule)
        over = found.over_seeds()
        remarks = np.empty(len(lanes), object)
        remarks[:] = of_lanes(found, over, lanes)
        return {
            **{name: getattr(over, name) for name in TIMES},
            "status": np.array([s.value for s in over.status], object),
            "generalizing": over.generalizing,
            "seeds": np.where(np.isnan(found.t_grok), np.inf, found.t_grok).T,
            "each": np.array([[Status(s).value for s in line] for line in found.status], object).T,
            "remarks": remarks,
        }

    def readings(self, at: Mapping[str, Floats]) -> Readings:
        """What the source itself says of settings."""
        return self.source.read(lanes_of(at), **self.options)


def lanes_of(at: Mapping[str, Floats]) -> Lanes:
    """Settings by name as the runs that a source is asked about."""
    ratio = at.get("eta_ratio")
    eta_r = None if ratio is None else ratio * at["eta_d"]
    return Lanes(at["gamma"], at["eta_d"], at["alpha"], eta_r=eta_r, m=at.get("m"))


@dataclass(frozen=True)
class Table:
    """Answers at all nodes: `axes` are the values of each slider, `answers` [*axes] or [*axes, seed]."""

    sliders: Sequence[Slider]
    axes: Mapping[str, Floats]
    answers: Answer

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.axes.values())

    def read(self, at: Mapping[str, Floats]) -> tuple[Answer, NDArray[np.bool_]]:
        """Times and status at settings [lane] each, as the page reads them; and where it was between nodes in
        every setting. Elsewhere as few of the settings as can be are those of the nearest node."""
        found = self._read(at, ())
        even = found.pop("even").astype(bool)
        open_ = ~even
        for size in range(1, len(self.axes) + 1):
            for taken in combinations([name for name in TAKEN if name in self.axes], size):
                if not open_.any():
                    return found, even
                part = self._read({name: x[open_] for name, x in at.items()}, taken)
                done = part.pop("even").astype(bool)
                lanes = np.flatnonzero(open_)[done]
                for name, values in part.items():
                    found[name][lanes] = values[done]
                open_[lanes] = False
        return found, even

    def _read(self, at: Mapping[str, Floats], taken: Sequence[str]) -> Answer:
        """The same where some settings are those of the nearest node; `even`: whether that may be read."""
        places = []
        for s in self.sliders:
            low, share = _between(self.axes[s.name], at[s.name], s.logarithmic)
            places.append((low, np.round(share) if s.name in taken else share))
        count = len(places[0][0])
        nearest = tuple(low + (share >= 0.5) for low, share in places)
        even = np.ones(count, bool)
        least, most = np.full((2, count, self.answers["seeds"].shape[-1]), 1.0)
        sums = {name: np.zeros(count) for name in TIMES}
        rate = self._rate()
        for corner in np.ndindex(*(2,) * len(places)):
            weight, index = np.ones(count), []
            for (low, share), upper in zip(places, corner, strict=True):
                weight = weight * (share if upper else 1 - share)
                index.append(low + upper * (share > 0))
            used = weight > 0
            here = tuple(index)
            even &= ~used | (self.answers["each"][here] == self.answers["each"][nearest]).all(-1)
            apart = self._apart(here, nearest, rate)
            least = np.where(used[:, None], np.fmin(least, apart), least)
            most = np.where(used[:, None], np.fmax(most, apart), most)
            for name in TIMES:
                value = self.answers[name][here] * rate[here]
                sums[name] += np.where(used, weight * np.where(used, value, 0.0), 0.0)
        own = at["gamma"] * at["eta_d"]
        return {name: total / own for name, total in sums.items()} | {
            "status": self.answers["status"][nearest],
            "even": even & (most <= EVEN * least).all(-1),
        }

    def _apart(self, here: Any, nearest: Any, rate: Floats) -> Floats:
        """ηγt of the seeds at one node over that at another, [lane, seed]; NaN where there is none."""
        seeds = self.answers["seeds"]
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = seeds[here] * rate[here][:, None] / (seeds[nearest] * rate[nearest][:, None])
        return np.asarray(apart)

    def _rate(self) -> Floats:
        """ηγ of every node."""
        mesh = dict(zip(self.axes, np.meshgrid(*self.axes.values(), indexing="ij"), strict=True))
        return np.asarray(mesh["gamma"] * mesh["eta_d"])


def build(
    asked: Asked, sliders: Sequence[Slider], tell: Tell = lambda words: None, rounds: int = ROUNDS
) -> Table:
    """The table over the sliders, refined until it reads to within the tolerance, or has as many nodes as a
    page can hold."""
    table = _grown(asked, sliders, {s.name: s.nodes for s in sliders}, None)
    settled: set[tuple[str, float]] = set()
    random = np.random.default_rng(0)
    for turn in range(rounds):
        tell(f"{np.prod(table.shape):,} settings predicted, round {turn + 1} of at most {rounds}")
        axes = _affordable(table, _cuts(asked, table, settled, random))
        if all(len(axes[name]) == len(table.axes[name]) for name in axes):
            break
        table = _grown(asked, sliders, axes, table)
    return table


def checked(asked: Asked, table: Table, seed: int = 1) -> tuple[float, int]:
    """The largest relative error of times and of ends of intervals, at settings that are no nodes, where the
    table is read between nodes; and of how many settings. NaN of none."""
    random = np.random.default_rng(seed)
    at = {s.name: _drawn(s, _CHECKED, random) for s in table.sliders}
    truth, (read, even) = asked(at), table.read(at)
    errors = _error(read, truth)[even & np.isfinite(truth["t_grok"]) & (truth["t_grok"] > 0)]
    return (float(errors.max()), len(errors)) if len(errors) else (float("nan"), 0)


def _drawn(slider: Slider, count: int, random: np.random.Generator) -> Floats:
    if slider.exact or slider.fixed:
        return random.choice(slider.nodes, count)
    low, high = _scaled(slider.nodes[[0, -1]], slider.logarithmic)
    x = random.uniform(low, high, count)
    return np.asarray(np.exp(x) if slider.logarithmic else x)


def _scaled(values: Floats, logarithmic: bool) -> Floats:
    return np.asarray(np.log(values) if logarithmic else values)


def _between(axis: Floats, x: Floats, logarithmic: bool) -> tuple[NDArray[np.intp], Floats]:
    """The place below each value and the share of the one above."""
    if len(axis) == 1:
        return np.zeros(len(x), np.intp), np.zeros(len(x))
    grid, x = _scaled(axis, logarithmic), _scaled(x, logarithmic)
    low = np.clip(np.searchsorted(grid, x, side="right") - 1, 0, len(grid) - 2)
    return low, np.clip((x - grid[low]) / (grid[low + 1] - grid[low]), 0.0, 1.0)


def _grown(asked: Asked, sliders: Sequence[Slider], axes: Mapping[str, Floats], known: Table | None) -> Table:
    """The table over the axes; what a smaller one knows is not asked again, and all the rest at once."""
    shape = tuple(map(len, axes.values()))
    new = np.ones(shape, bool)
    if known is not None:
        inner = np.ix_(*(np.isin(axes[name], known.axes[name]) for name in axes))
        new[inner] = False
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    found = asked({name: x[new] for name, x in zip(axes, mesh, strict=True)})
    answers: Answer = {}
    for name, values in found.items():
        answers[name] = np.empty((*shape, *values.shape[1:]), values.dtype)
        answers[name][new] = values
        if known is not None:
            answers[name][inner] = known.answers[name]
    return Table(sliders, dict(axes), answers)


@dataclass(frozen=True)
class _Cut:
    """A cell of an axis to be halved at `value`, and how much is wrong there."""

    size: float
    axis: str
    value: float


def _cuts(
    asked: Asked, table: Table, settled: set[tuple[str, float]], random: np.random.Generator
) -> list[_Cut]:
    """The cells of all axes that have to be halved, the worst first. Those that need not are `settled`."""
    looked: list[tuple[Slider, Floats, Floats, int]] = []
    lines: list[dict[str, Floats]] = []
    for slider in table.sliders:
        if slider.fixed or slider.exact:
            continue
        x = _scaled(table.axes[slider.name], slider.logarithmic)
        middle, width = (x[1:] + x[:-1]) / 2, np.diff(x)
        width = width if slider.logarithmic else width / (x[-1] - x[0])
        values = np.array([float(f"{v:.9g}") for v in (np.exp(middle) if slider.logarithmic else middle)])
        open_ = np.array([(slider.name, v) not in settled for v in values.tolist()])
        if open_.any():
            at, count = _lines(table, slider.name, values[open_], random)
            looked.append((slider, values[open_], width[open_], count))
            lines.append(at)
    if not looked:
        return []
    at = {name: np.concatenate([each[name] for each in lines]) for name in table.axes}
    truth, (read, even) = asked(at), table.read(at)
    error = np.where(even & np.isfinite(truth["t_grok"]), _error(read, truth), 0.0)
    cuts, place = [], 0
    for slider, values, width, count in looked:
        here = slice(place, place + len(values) * count)
        place = here.stop
        worst = error[here].reshape(-1, count).max(1)
        mixed = (~even[here]).reshape(-1, count).mean(1)
        size = np.where(worst > TOLERANCE, worst, np.where(width > _NARROW, TOLERANCE * mixed * width, 0.0))
        cuts += [
            _Cut(e, slider.name, v) for e, v in zip(size.tolist(), values.tolist(), strict=True) if e > 0
        ]
        settled |= {(slider.name, v) for e, v in zip(size.tolist(), values.tolist(), strict=True) if e == 0}
    return sorted(cuts, key=lambda cut: -cut.size)


def _lines(
    table: Table, name: str, values: Floats, random: np.random.Generator
) -> tuple[dict[str, Floats], int]:
    """Settings at which one axis has the values, and the others are nodes, some of all if they are many;
    value by value, and how many settings each has."""
    others = {k: v for k, v in table.axes.items() if k != name}
    shape = tuple(map(len, others.values()))
    every = int(np.prod(shape))
    rows = random.choice(every, min(every, max(_LINES // len(values), 12)), replace=False)
    places = dict(zip(others, np.unravel_index(rows, shape), strict=True))
    at = {k: np.tile(v[places[k]], len(values)) for k, v in others.items()}
    return at | {name: np.repeat(values, len(rows))}, len(rows)


def _affordable(table: Table, cuts: list[_Cut]) -> dict[str, Floats]:
    """The axes with as many of the cuts, the worst first, as a page can hold the nodes of."""
    axes = {name: list(values) for name, values in table.axes.items()}
    for cut in cuts:
        more = len(axes[cut.axis]) + 1
        if np.prod([more if k == cut.axis else len(v) for k, v in axes.items()]) <= _MOST:
            axes[cut.axis].append(cut.value)
    return {name: np.sort(values) for name, values in axes.items()}


def _error(read: Answer, truth: Answer) -> Floats:
    """The largest relative error of the times and of the ends where both are numbers, [lane]."""
    found = np.zeros(len(truth["t_grok"]))
    with np.errstate(invalid="ignore", divide="ignore"):
        for name in TIMES:
            # a time below a step is none that is read
            each = np.abs(read[name] - truth[name]) / np.maximum(truth[name], 1.0)
            found = np.fmax(found, np.where(np.isfinite(each), each, 0.0))
    return found
