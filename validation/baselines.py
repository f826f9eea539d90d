"""What a prediction has to beat. These may be fitted to the runs; groktime's own predictions are not.

What a baseline was fitted on is left out of its score, and named in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from groktime.reduced.law import CONSTANT, Schedule
from groktime.validation.report import places_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BASELINES = ("inverse_gamma", "norm_separation", "nearest")
QUANTITIES = ("t_grok", "delay")
# What makes a setting; runs that differ in the seed alone are of one setting.
_SETTING = ("gamma", "eta_d", "alpha", "eta_r", "n_train", "m_start")
_NEAR = ("gamma", "eta_d", "alpha")
_ROUND = 9  # digits of a distance: neighbours on a geometric grid are equally far but for rounding


@dataclass(frozen=True)
class Baseline:
    """Times of each run in optimizer steps, [run], NaN where there is none.

    `fitted` are the runs that it was fitted on; `words` say so.
    """

    t_grok: Floats
    delay: Floats
    fitted: Bools
    words: str


def baselines(table: xr.Dataset, schedule: Schedule = CONSTANT) -> Mapping[str, Baseline]:
    """All of them, by name, from a comparison's table with the measured times and norms. Laws in ηγt are laws
    in Σ ηγ over the schedule of the runs."""
    spent = _at_full_rate(table, schedule)
    laws = (_on(schedule, made) for made in (inverse_gamma(spent), norm_separation(spent)))
    return dict(zip(BASELINES, (*laws, nearest(table)), strict=True))


def _at_full_rate(table: xr.Dataset, schedule: Schedule) -> xr.Dataset:
    """The table with the measured times as steps at the full rate."""
    if schedule.constant:
        return table
    t_mem, t_grok = (schedule.spent(table[f"measured_{k}"].values) for k in ("t_mem", "t_grok"))
    known = {"measured_t_mem": t_mem, "measured_t_grok": t_grok, "measured_delay": t_grok - t_mem}
    return table.assign({name: ("run", values) for name, values in known.items()})


def _on(schedule: Schedule, made: Baseline) -> Baseline:
    """A baseline in steps at the full rate in the steps of the runs; NaN where they never get there."""
    if schedule.constant:
        return made
    end = schedule.steps_to(made.t_grok)
    end = np.where(np.isfinite(end), end, np.nan)
    return replace(made, t_grok=end, delay=end - schedule.steps_to(made.t_grok - made.delay))


def inverse_gamma(table: xr.Dataset) -> Baseline:
    """The bare law t = C/(ηγ), its constant from one run.

    That run is the one with the median γ (the lower of two) among the lowest seed's runs that
    generalized under decay, those with a long delay if there are any; of several the one with the
    smallest α, η, …
    """
    rate = _rate(table)
    k = _reference(table, (table["measured_t_grok"].values > 0) & (rate > 0))
    fitted = np.zeros(len(rate), bool)
    if k is None:
        return _none(rate, "not fitted: no run generalized under decay")
    fitted[k] = True
    constants = {q: float(table[f"measured_{q}"].values[k] * rate[k]) for q in QUANTITIES}
    words = f"t = C/(eta gamma) with C = {constants['t_grok']:.4g} from {_words(table, k)}"
    return Baseline(
        **{q: constants[q] / np.where(rate > 0, rate, np.nan) for q in QUANTITIES}, fitted=fitted, words=words
    )


def norm_separation(table: xr.Dataset) -> Baseline:
    """t_grok - t_mem = ln(V_mem/V_post)/(2κηγ) (arXiv 2603.13331; κ: arXiv 2605.18845).

    V is the squared weight norm at t_mem and at t_grok **of the very run that is predicted**: this
    baseline looks at the end of what it predicts, and cannot be used before the run. κ is the geometric
    mean over the runs of one cell (one setting, all its seeds), the cell of the run that
    `inverse_gamma` would choose among those whose norm fell.
    """
    rate = _rate(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        separation = 2 * np.log(table["norm_at_mem"].values / table["norm_at_grok"].values)
        free = separation / (2 * np.where(rate > 0, rate, np.nan))  # the delay if κ were 1
    free = np.where(np.isfinite(free), free, np.nan)  # a norm of 0 has no logarithm
    delay = table["measured_delay"].values
    usable = (delay > 0) & (free > 0)
    k = _reference(table, usable)
    if k is None:
        return _none(rate, "not fitted: no run's norm fell between t_mem and t_grok")
    cell = usable & _same_setting(table, k)
    kappa = float(np.exp(np.mean(np.log(free[cell] / delay[cell]))))
    words = (
        f"ln(V_mem/V_post)/(2 kappa eta gamma) with kappa = {kappa:.4g} from {_words(table, k, 'cell')}; "
        "V at the end of each run itself"
    )
    return Baseline(
        t_grok=table["measured_t_mem"].values + free / kappa,
        delay=free / kappa,
        fitted=_same_setting(table, k),
        words=words,
    )


def nearest(table: xr.Dataset) -> Baseline:
    """The time of the nearest run of another setting that generalized, as it is.

    Near in (ln γ, ln η, ln α). Of equally near runs: one of the same seed; then the one with the
    smallest γ, η, α and seed.
    """
    place = np.log(np.stack([np.where(_column(table, n) > 0, _column(table, n), np.nan) for n in _NEAR], 1))
    setting = _settings(table)
    placed = np.isfinite(place).all(1)
    order = np.lexsort([_column(table, n) for n in ("seed", *reversed(_NEAR))])
    found: dict[str, Floats] = {}
    for quantity in QUANTITIES:
        times = table[f"measured_{quantity}"].values
        known = order[(placed & np.isfinite(times))[order]]
        out = np.full(len(times), np.nan)
        for mine, others in _neighbours(place, setting, placed, known):
            out[mine] = times[_of_a_seed(others, table["seed"].values, mine)]
        found[quantity] = out
    return Baseline(
        **found,
        fitted=np.zeros(len(place), bool),
        words="the time of the nearest run of another setting that generalized, near in (ln gamma, ln eta, "
        "ln alpha)",
    )


def _neighbours(
    place: Floats, setting: NDArray[np.intp], placed: Bools, known: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The runs of each setting, and those of the nearest other settings that are `known`, in its order."""
    runs = places_of(setting, int(setting.max(initial=-1)) + 1)
    theirs = [known[some] for some in places_of(setting[known], len(runs))]
    usable = np.flatnonzero([len(some) > 0 for some in theirs])
    if not usable.size:
        return
    at = np.stack([place[some[0]] for some in runs])
    tree = cKDTree(at[usable])
    for k, mine in enumerate(runs):
        if not placed[mine[0]]:
            continue
        # the nearest may be the setting itself; those that are equally far but for rounding lie in a ball
        far, which = tree.query(at[k], k=2)
        others = far[(which < len(usable)) & (usable[np.minimum(which, len(usable) - 1)] != k)]
        if not others.size:
            continue
        ball = usable[tree.query_ball_point(at[k], np.sqrt(others.min() ** 2 + 10.0 ** (1 - _ROUND)))]
        ball = ball[ball != k]
        distance = np.round(np.sum((at[ball] - at[k]) ** 2, axis=1), _ROUND)
        some = [theirs[b] for b in ball[distance == distance.min()]]
        yield mine, some[0] if len(some) == 1 else known[np.isin(known, np.concatenate(some))]


def _of_a_seed(
    others: NDArray[np.intp], seed: NDArray[np.generic], mine: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Of the others, the first of each run's seed, or else the first."""
    seeds, first = np.unique(seed[others], return_index=True)
    at = np.minimum(np.searchsorted(seeds, seed[mine]), len(seeds) - 1)
    return others[np.where(seeds[at] == seed[mine], first[at], 0)]


def _settings(table: xr.Dataset) -> NDArray[np.intp]:
    """The setting of each run, numbered from 0."""
    codes = [np.unique(_column(table, name), return_inverse=True)[1] for name in _SETTING]
    return np.asarray(np.unique(np.stack(codes, 1), axis=0, return_inverse=True)[1].ravel(), np.intp)


def _rate(table: xr.Dataset) -> Floats:
    return np.asarray(table["decay_rate"].values, float)


def _column(table: xr.Dataset, name: str) -> Floats:
    return np.asarray(table[name].values, float)


def _none(like: Floats, words: str) -> Baseline:
    nan = np.full(like.shape, np.nan)
    return Baseline(nan, nan, np.zeros(like.shape, bool), words)


def _reference(table: xr.Dataset, usable: Bools) -> int | None:
    """The usable run with the median γ of the lowest seed that has one.

    A short delay is mostly the fit, which neither law is about: it is only taken where all are short.
    """
    if not usable.any():
        return None
    long = usable & ~table["short"].values
    usable = long if long.any() else usable
    seed, gamma = table["seed"].values, _column(table, "gamma")
    usable = usable & (seed == seed[usable].min())
    decays = np.unique(gamma[usable])
    chosen = np.flatnonzero(usable & (gamma == decays[(len(decays) - 1) // 2]))
    order = [_column(table, n)[chosen] for n in ("m_start", "n_train", "eta_r", "eta_d", "alpha")]
    return int(chosen[np.lexsort(order)[0]])


def _same_setting(table: xr.Dataset, k: int) -> Bools:
    same = np.ones(table.sizes["run"], bool)
    for name in _SETTING:
        values = _column(table, name)
        same &= (values == values[k]) | (np.isnan(values) & np.isnan(values[k]))
    return same


def _words(table: xr.Dataset, k: int, what: str = "run") -> str:
    where = ", ".join(f"{n} = {_column(table, n)[k]:.4g}" for n in _NEAR)
    return f"the cell at {where}" if what == "cell" else f"run {k} (seed {table['seed'].values[k]}, {where})"
