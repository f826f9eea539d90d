"""What a prediction has to beat. These may be fitted to the runs; groktime's own predictions are not.

What a baseline was fitted on is left out of its score, and named in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.reduced.law import CONSTANT, Schedule

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
    keys = [_column(table, n) for n in ("seed", *reversed(_NEAR))]
    found: dict[str, Floats] = {}
    for quantity in QUANTITIES:
        times = table[f"measured_{quantity}"].values
        known = np.isfinite(times) & np.isfinite(place).all(1)
        out = np.full(len(times), np.nan)
        for k in map(int, np.flatnonzero(np.isfinite(place).all(1))):
            others = np.flatnonzero(known & ~_same_setting(table, k))
            if others.size:
                far = np.round(np.sum((place[others] - place[k]) ** 2, axis=1), _ROUND)
                stranger = table["seed"].values[others] != table["seed"].values[k]
                out[k] = times[others[np.lexsort([*(key[others] for key in keys), stranger, far])[0]]]
        found[quantity] = out
    return Baseline(
        **found,
        fitted=np.zeros(len(place), bool),
        words="the time of the nearest run of another setting that generalized, near in (ln gamma, ln eta, "
        "ln alpha)",
    )


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
