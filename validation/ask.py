"""What sources say of trained runs: one batch for all runs that ask the same of a source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.runs import Runs
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.flow_source import FlowSource
from groktime.reduced.path_source import PathSource
from groktime.reduced.prediction import Prediction, predict
from groktime.reduced.remarks import ONE_SEED, of_lanes
from groktime.reduced.source import (
    DEFAULTS,
    Lanes,
    Options,
    OverSeeds,
    Readings,
    Source,
    about,
    refuse,
    scheduled,
)
from groktime.reduced.starts import check_settings
from groktime.validation.match import Sampled, speeds

Floats = NDArray[np.float64]

INTERVALS = ("seed", "seeds")
_PASSED_ON = ("metric", "level", "m_rate", "sampled_steps")


@dataclass(frozen=True)
class Predictor:
    """One source, or several of one name of which each run has its own: landscapes from different starts.

    `which` [run] : the place in `sources` of what predicts a run.
    """

    sources: tuple[Source, ...]
    which: NDArray[np.intp]

    @property
    def name(self) -> str:
        return self.sources[-1].name


@dataclass(frozen=True)
class Answer:
    """What a predictor says of each run, [run]; times in optimizer steps, NaN where there is none.

    `low`, `high` [run, interval] : of the run's own seed, and over the seeds of the source. `holds`: what
        both hold, in words.
    """

    status: NDArray[np.object_]
    t_grok: Floats
    t_mem: Floats
    low: Floats
    high: Floats
    norm: Floats
    remark: NDArray[np.object_]
    matched: NDArray[np.bool_]
    forms: Mapping[str, Floats]
    holds: str = ""


_EACH = ("status", "t_grok", "t_mem", "low", "high", "norm", "remark", "matched")


def file_of(source: Source) -> Sampled | None:
    """The landscape or decay path behind a source; None of one that has none."""
    if isinstance(source, FlowSource):
        return source.land
    return source.path if isinstance(source, PathSource) else None


def predictors_of(sources: Sequence[Source], runs: Runs) -> tuple[Predictor, ...]:
    """The sources by name, in their order. Landscapes may share a name: each run has the one whose largest
    α is next at or above its start, or else the one with the largest.

    Raises
    ------
    InputError : for other sources that share a name.
    """
    named: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        named[source.name].append(source)
    alpha = runs.dataset["alpha"].values
    found = []
    for name, each in named.items():
        flows = [s for s in each if isinstance(s, FlowSource)]
        if len(each) > 1 and len(flows) < len(each):
            raise InputError(
                f"sources: {len(each)} of them are called {name!r}; expected a name of its own for each, "
                "such as PathSource(path, name=…)"
            )
        flows.sort(key=lambda s: float(s.land.alpha[-1]))
        tops = [s.land.alpha[-1] * (1 + 1e-9) for s in flows[:-1]]
        found.append(Predictor(tuple(flows or each), np.searchsorted(tops, alpha)))
    return tuple(found)


def options_for(source: Source, options: Mapping[str, Any]) -> Options:
    """Of the options of a comparison, those that the source takes."""
    refused = about(source).refused
    taken: Any = {k: options[k] for k in _PASSED_ON if k not in refused}
    kept: Options = taken
    return kept


def check_options(sources: Sequence[Source], options: Mapping[str, Any]) -> None:
    """Refuse an option that no source takes, rather than leave it unheeded."""
    for name in _PASSED_ON:
        if options[name] != DEFAULTS[name] and all(name in about(s).refused for s in sources):
            refuse(sources[0], name, options[name])


def ask(predictor: Predictor, runs: Runs, limits: Floats, options: Mapping[str, Any]) -> Answer:
    """What a predictor says of each run, from the run's seed where the source has it, else over its seeds.

    `limits` [run] : the test metric that counts as generalized.
    """
    count = len(limits)
    parts = [
        (mine, _answer(source, mine, runs, asked))
        for k, source in enumerate(predictor.sources)
        for mine, asked in _groups(source, predictor.which == k, runs, limits, options)
    ]

    def joined(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        out = np.empty((count, *values[0].shape[1:]), values[0].dtype)
        for (mine, _), each in zip(parts, values, strict=True):
            out[mine] = each
        return out

    names = list(dict.fromkeys(name for _, answer in parts for name in answer.forms))
    forms = {
        name: joined([answer.forms.get(name, np.full(len(mine), np.nan)) for mine, answer in parts])
        for name in names
    }
    return Answer(
        **{name: joined([getattr(answer, name) for _, answer in parts]) for name in _EACH},
        forms=forms,
        holds="; ".join(dict.fromkeys(answer.holds for _, answer in parts if answer.holds)),
    )


def prediction(
    predictor: Predictor, runs: Runs, run: int, limit: float, options: Mapping[str, Any]
) -> Prediction:
    """The prediction that one run was given, with what is behind it."""
    source = predictor.sources[predictor.which[run]]
    mine = np.arange(len(predictor.which)) == run
    limits = np.full(len(mine), limit)
    ((_, asked),) = _groups(source, mine, runs, limits, options)
    lanes = lanes_of(source, runs, np.array([run]))
    given = {f.name: getattr(lanes, f.name) for f in fields(Lanes)}
    seed = int(runs.seeds[run])
    if seed in source.seeds:
        asked["seed"] = seed
    return predict(
        source,
        **{name: float(v[0]) for name, v in given.items() if v is not None},
        schedule=runs.law.schedule,
        **asked,
    )


def lanes_of(source: Source, runs: Runs, mine: NDArray[np.intp]) -> Lanes:
    """What a source is asked of runs: their settings, at the rates at which their optimizer really moves."""
    ds, this = runs.dataset, about(source)
    faster, stronger = speeds(file_of(source), runs)
    gamma, eta_d, alpha, m = (
        np.asarray(ds[k].values[mine], float) for k in ("gamma", "eta_d", "alpha", "m_start")
    )
    eta_r = np.asarray(ds["eta_r"].values[mine], float)
    if ds.attrs["representation"] == "fixed":
        eta_r = np.zeros(len(mine))
    plane = this.two_dimensional
    given = {"gamma": stronger * gamma, "eta_d": faster * eta_d, "alpha": alpha}
    if plane and "eta_r" not in this.refused:
        given["eta_r"] = faster * eta_r
    if not np.isnan(m).any() and (plane or isinstance(source, PathSource)):
        given["m"] = m
    return Lanes(**check_settings(**given))


def _groups(
    source: Source, chosen: NDArray[np.bool_], runs: Runs, limits: Floats, options: Mapping[str, Any]
) -> list[tuple[NDArray[np.intp], Options]]:
    """The runs that ask the same of a source, and what they ask."""
    one, refused = file_of(source), about(source).refused
    size = np.asarray(runs.dataset["n_train"].values, int)
    if isinstance(one, Sampled) and one.n_train == [0]:
        size = np.zeros_like(size)  # the name under which the file has it
    # a landscape has a threshold for each of its seeds, where it is relative to the ceiling
    if isinstance(source, FlowSource):
        limits = np.full(len(limits), np.nan if options["threshold"] is None else options["threshold"])
    found = []
    for n, limit in sorted(
        {*zip(size[chosen].tolist(), np.nan_to_num(limits[chosen], nan=-1.0).tolist(), strict=True)}
    ):
        mine = np.flatnonzero(chosen & (size == n) & (np.nan_to_num(limits, nan=-1.0) == limit))
        asked = {"n_train": n, "threshold": None if limit < 0 else limit}
        kept: Any = {k: v for k, v in asked.items() if k not in refused and v is not None}
        options_of: Options = kept | options_for(source, options)
        found.append((mine, options_of))
    return found


def _answer(source: Source, mine: NDArray[np.intp], runs: Runs, options: Options) -> Answer:
    """What a source says of some runs: of each setting once."""
    lanes = lanes_of(source, runs, mine)
    known = _sampled(source, lanes)
    if not known.all():
        inside, rest = _nothing(len(mine)), np.flatnonzero(known)
        if rest.size:
            some = _answer(source, mine[rest], runs, options)
            for name in _EACH:
                getattr(inside, name)[rest] = getattr(some, name)
            inside = replace(inside, holds=some.holds)
        seeds = runs.seeds[mine]
        return replace(inside, matched=np.isin(seeds, list(source.seeds)))
    names = [f.name for f in fields(Lanes) if getattr(lanes, f.name) is not None]
    each = np.stack([getattr(lanes, name) for name in names])
    settings, place = np.unique(each, axis=1, return_inverse=True)
    some_of = Lanes(**dict(zip(names, settings, strict=True)))
    readings = scheduled(source.read(some_of, detail=True, **options), runs.law.schedule)
    seeds = runs.seeds[mine]
    return _of_runs(readings, some_of, list(source.seeds), place.ravel(), seeds)


def _sampled(source: Source, lanes: Lanes) -> NDArray[np.bool_]:
    """The lanes that a source can be asked about: a decay path has the starts m that were sampled."""
    if isinstance(source, PathSource) and lanes.m is not None:
        return np.isin(lanes.m, source.path.m_start)
    return np.ones(len(lanes), bool)


def _nothing(count: int) -> Answer:
    """Of runs outside of a source."""
    nan, two = np.full(count, np.nan), np.full((count, len(INTERVALS)), np.nan)
    words = np.full(count, "", object)
    outside = np.full(count, Status.OUTSIDE, object)
    never = np.zeros(count, bool)
    return Answer(outside, nan.copy(), nan.copy(), two.copy(), two.copy(), nan.copy(), words, never, {})


def _of_runs(
    readings: Readings,
    lanes: Lanes,
    seeds: Sequence[int],
    place: NDArray[np.intp],
    wanted: NDArray[np.int_],
) -> Answer:
    """Readings of each setting, a lane, as those of each run: its lane is at `place`, its seed `wanted`."""
    over, rows = readings.over_seeds(), {seed: k for k, seed in enumerate(readings.seeds) if seed in seeds}
    matched = np.array([int(seed) in rows for seed in wanted])
    row = np.array([rows.get(int(seed), 0) for seed in wanted])

    def of_seed(values: NDArray[Any], over_seeds: NDArray[Any]) -> NDArray[Any]:
        out: NDArray[Any] = np.where(matched, values[row, place], over_seeds[place])
        return out

    status = of_seed(readings.status, over.status)
    # there is no interval where nothing was sampled, and some sources have no uncertainty of a single seed
    none = np.stack(
        [(status == Status.OUTSIDE) | (matched & (not readings.alone)), over.status[place] == Status.OUTSIDE],
        1,
    )
    low, high = (
        np.where(none, np.nan, np.stack([of_seed(one, all_of_them), all_of_them[place]], 1))
        for one, all_of_them in ((readings.low, over.low), (readings.high, over.high))
    )
    nan = np.full(readings.t_grok.shape, np.nan)
    norm = nan if readings.norm is None else readings.norm
    remarks = np.array([" ".join(each) for each in of_lanes(readings, over, lanes)], object)
    return Answer(
        status=status,
        t_grok=of_seed(readings.t_grok, over.t_grok),
        t_mem=of_seed(readings.t_mem, over.t_mem),
        low=low,
        high=high,
        norm=of_seed(norm, norm[over.typical, np.arange(norm.shape[1])]),
        remark=remarks[place],
        matched=matched,
        forms={name: of_seed(times, over.forms[name]) for name, times in readings.forms.items()},
        holds=_holds(readings, over),
    )


def _holds(readings: Readings, over: OverSeeds) -> str:
    """What the two intervals of a source hold."""
    one = readings.own or "nothing that is known, so that there is none"
    if not readings.alone:
        one = "a single seed has none"
    return f"of the run's own seed: {one}; over the seeds: {', '.join(over.holds) or ONE_SEED}"
