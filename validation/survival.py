"""Times of many runs at once: medians that count the runs which have not got there yet.

A run that never generalized is known to take longer than it was watched. Kaplan and Meier's
estimate uses that; a mean or median over the runs that did generalize would be too early.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.stats import CensoredData, ecdf

from groktime.reduced.errors import InputError
from groktime.reduced.source import COVERAGE
from groktime.validation.measure import TIMES

Floats = NDArray[np.float64]

_TAIL = (1 - COVERAGE) / 2
_AT_ONCE = 4_000_000  # numbers in memory while draws are weighed
_ROUND = 1e-9  # a product of fractions that should be 1/2 may miss it by rounding


def median_time(times: ArrayLike, censored: ArrayLike, last: ArrayLike) -> tuple[float, float, float]:
    """Kaplan–Meier median and its 90 % interval.

    The interval holds the times at which a survival of one half is within the pointwise log-log
    band (Brookmeyer and Crowley 1982). That band is undefined where no run or every run has passed;
    there it is the exact binomial one of the runs at risk, so that a few runs alone, even when they
    agree, do not bound a median.

    Parameters
    ----------
    times, censored, last : [run]; time, whether it is unknown, and up to when the run was watched.

    Returns
    -------
    median, low, high : in the unit of `times`. Median and high are inf where fewer than half of the
        runs passed, or too few to tell; low is 0 where the runs do not bound it.
    """
    censored = np.atleast_1d(np.asarray(censored, bool))
    watched = np.where(censored, last, times).astype(float)
    if not watched.size or not np.all(np.isfinite(watched)):
        raise InputError("times: expected at least one run, each with a finite time or a finite last step")
    survival = ecdf(CensoredData.right_censored(watched, censored)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the undefined ends, which are filled in below
        band = survival.confidence_interval(COVERAGE, method="log-log")
    at, alive = survival.quantiles, survival.probabilities
    at_risk = (watched[None] >= at[:, None]).sum(1)
    none_yet, all_passed = alive == 1, alive <= _ROUND
    alike = _TAIL ** (1 / at_risk)  # the survival at which so many runs are all alive with 5 %
    low = np.select([none_yet, all_passed], [alike, 0.0], band.low.probabilities)
    high = np.select([none_yet, all_passed], [1.0, 1 - alike], band.high.probabilities)
    earliest = 0.0 if _TAIL ** (1 / len(watched)) <= 0.5 else _reached(at, low, float(at[-1]))
    return _reached(at, alive, np.inf), earliest, _reached(at, high, np.inf)


def _reached(at: Floats, survival: Floats, never: float) -> float:
    """The first time at which a survival is one half or less."""
    below = survival <= 0.5 + _ROUND
    return float(at[below.argmax()]) if below.any() else never


def summary(delays: xr.Dataset, by: Sequence[str] = ("alpha", "gamma")) -> xr.Dataset:
    """Medians of t_mem and t_grok over the runs of equal settings.

    Parameters
    ----------
    delays : from `validation.measure.measure`.
    by : names of the settings that make a group; runs that differ in others are pooled.

    Returns
    -------
    Dataset over `group`, in ascending order of the settings, which are its coordinates: `n`, the
    runs; `n_train_censored`, `n_test_censored`; and `t_mem`, `t_mem_low`, `t_mem_high`,
    likewise of t_grok, in optimizer steps (see `median_time`).
    """
    for name in by:
        if name not in delays.coords:
            raise InputError(
                f"by = {name!r}: expected settings of the runs: {', '.join(map(str, delays.coords))}"
            )
    which, groups = _groups([delays[name].values for name in by], delays.sizes["run"])
    columns: dict[str, list[float]] = {}
    for k in range(len(groups)):
        members = delays.isel(run=which == k)
        row: dict[str, float] = {"n": members.sizes["run"]}
        for part in ("train", "test"):
            time, censored = TIMES[part], members[f"{part}_censored"].values
            row[f"n_{part}_censored"] = int(censored.sum())
            known = censored | ~np.isnan(members[time].values)  # the others were not recorded
            found = (np.nan, np.nan, np.nan)
            if known.any():
                found = median_time(
                    members[time].values[known], censored[known], members["last"].values[known]
                )
            row[time], row[f"{time}_low"], row[f"{time}_high"] = found
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    settings = {name: ("group", delays[name].values[groups]) for name in by}
    out = xr.Dataset({k: ("group", v) for k, v in columns.items()}, settings, {"coverage": COVERAGE})
    for column in columns:
        time, end = column.removesuffix("_low").removesuffix("_high"), column.rpartition("_")[2]
        words = {"low": ", lower end of its interval", "high": ", upper end of its interval"}.get(end, "")
        if column.startswith("t_"):
            out[column].attrs = {"units": "optimizer steps", "long_name": f"median of {time}{words}"}
        else:
            out[column].attrs = {
                "units": "1",
                "long_name": "runs" if column == "n" else f"runs, {column[2:]}",
            }
    return out


def _groups(settings: Sequence[NDArray[np.generic]], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The group of each run, [run], and one run of each group, [group]."""
    # Each setting's own order first: np.unique of rows would take every NaN for another value.
    if not settings:
        return np.zeros(count, np.intp), np.zeros(1, np.intp)
    codes = np.stack([np.unique(v, return_inverse=True)[1] for v in settings], axis=1)
    _, first, which = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    return which.ravel(), first


def slope(x: ArrayLike, t: ArrayLike, seed: ArrayLike, draws: int = 2000) -> tuple[float, float, float]:
    """Slope of ln t on ln x by least squares, with its 90 % bootstrap interval over seeds.

    Whole seeds are drawn, because the runs of one seed share data and initial weights. Runs without
    a time (NaN) are left out, which flattens the slope where many of the slowest are censored.

    Parameters
    ----------
    x, t, seed : [run]; x and t above 0.

    Returns
    -------
    slope, low, high : NaN where the runs do not tell: fewer than two values of x, for the interval
        fewer than two seeds.
    """
    x, t, seed = np.broadcast_arrays(np.asarray(x, float), np.asarray(t, float), np.asarray(seed))
    known = ~np.isnan(t)
    for name, values in (("x", x[known]), ("t", t[known])):
        if not np.all(np.isfinite(values) & (values > 0)):
            raise InputError(f"{name}: expected finite values above 0, which have a logarithm")
    if not known.any():
        return np.nan, np.nan, np.nan
    u, v = np.log(x[known]), np.log(t[known])
    if np.all(u == u[0]):
        return np.nan, np.nan, np.nan
    u, v = u - u.mean(), v - v.mean()
    drawn, which = np.unique(seed[known], return_inverse=True)
    # The sums of each seed are all that a slope needs of it: [seed, 5].
    sums = np.zeros((len(drawn), 5))
    np.add.at(sums, which, np.stack([np.ones_like(u), u, v, u * u, u * v], axis=1))
    slope_of_all = float(_slopes(sums.sum(0)[None])[0])
    found = np.concatenate([_slopes(counts @ sums) for counts in seed_draws(len(drawn), draws)])
    found = found[np.isfinite(found)]
    if len(drawn) < 2 or not found.size:
        return slope_of_all, np.nan, np.nan
    low, high = np.quantile(found, [_TAIL, 1 - _TAIL])
    return slope_of_all, float(low), float(high)


def seed_draws(count: int, draws: int = 2000) -> Iterator[Floats]:
    """How often each of so many seeds is drawn, [draw, seed], in parts of moderate size."""
    if draws * count <= _AT_ONCE:
        yield _all_draws(count, draws)
        return
    rng, left = _random(count), draws
    while left:
        some = min(left, max(1, _AT_ONCE // count))
        yield rng.multinomial(count, np.full(count, 1 / count), size=some).astype(float)
        left -= some


@lru_cache(maxsize=8)
def _all_draws(count: int, draws: int) -> Floats:
    found = _random(count).multinomial(count, np.full(count, 1 / count), size=draws).astype(float)
    found.flags.writeable = False
    return found


def _random(count: int) -> np.random.Generator:
    """Philox is counter-based: the same draws on every machine."""
    return np.random.Generator(np.random.Philox(key=count))


def _slopes(sums: Floats) -> Floats:
    """Slopes [draw] of n, Σu, Σv, Σu², Σuv [draw, 5]; NaN where u is but one value."""
    n, u, v, uu, uv = sums.T
    spread = n * uu - u * u
    flat = spread <= 1e-12 * np.maximum(n * uu, 1e-300)
    return np.where(flat, np.nan, (n * uv - u * v) / np.where(flat, 1.0, spread))
