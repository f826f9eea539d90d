"""How good predictions were: errors, slopes, ranks and intervals, and what was left out of each number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import spearmanr

from groktime.reduced.flow import Status
from groktime.reduced.source import COVERAGE
from groktime.validation.baselines import QUANTITIES
from groktime.validation.report import places_of
from groktime.validation.survival import seed_draws, slope

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SCHEMA = "groktime-scores/2"
CHOICES = ("all", "long")
# Why a run is in none of a predictor's numbers; of several reasons, the first counts.
REASONS = ("short", "censored", "at_start", "not_predicted", "fitted_on")
_PREDICTED = ("generalizes", "generalizes_later", "does_not", "outside")
_MEASURED = ("generalized", "censored", "diverged")
_GROUP = ("alpha", "eta_d", "eta_r", "n_train", "m_start")
_TIMES = {"t_grok": "predicted", "delay": "predicted_delay"}  # the variables that say a quantity
_TAIL = (1 - COVERAGE) / 2
_DRAWS = 2000
_AT_ONCE = 2_000_000  # numbers in memory while draws are weighed


def summary(table: xr.Dataset) -> xr.Dataset:
    """The scores of a comparison's table.

    Returns
    -------
    Dataset of schema "groktime-scores/2".
    Over `quantity` (t_grok, delay), `runs` (all; long: delay at least five times t_mem) and
    `predictor`:
        n : the runs that the numbers are of; n_excluded, over `reason`: the others.
        ape_median, ape_mean : |predicted - measured|/measured, with `_low` and `_high`, the 90 %
            bootstrap interval over seeds.
        slope, slope_low, slope_high, r2 : of ln predicted on ln measured.
        rank : Spearman's correlation.  n_log : runs of `slope`, `r2` (a predicted 0 has no logarithm).
    Over `runs`, `predictor` and `interval` (of the run's own seed, over the source's seeds): coverage, the
        share of the n_interval runs that generalized and have an interval; n_no_interval, of any runs: off
        the sampled grid, or of a seed without uncertainty; n_censored_interval, censored runs that have an
        interval, and n_consistent, those of them whose interval reaches their last step. n_censored [runs].
    Over `group` (equal settings but for gamma and seed): gamma_slope_measured, of ln t_grok on ln gamma,
        over the n_gamma_slope runs that have a time and one from the first predictor; and gamma_slope
        [group, predictor], over those of the same runs that each predicts; with `_low` and `_high`.
    `confusion` [predictor, predicted, measured] : counts of all runs. "generalizes_later": predicted beyond
        the last step to which the run was, or would have been, watched.
    """
    names = [str(p) for p in table["predictor"].values]
    scores: dict[str, list[float]] = {}
    excluded: list[list[float]] = []
    for quantity in QUANTITIES:
        for choice in CHOICES:
            for predictor in names:
                numbers, left_out = _score(table, quantity, choice, predictor)
                excluded.append([left_out[reason] for reason in REASONS])
                for name, value in numbers.items():
                    scores.setdefault(name, []).append(value)
    dims = ("quantity", "runs", "predictor")
    shape = (len(QUANTITIES), len(CHOICES), len(names))
    variables: dict[str, object] = {k: (dims, np.reshape(v, shape)) for k, v in scores.items()}
    variables["n_excluded"] = ((*dims, "reason"), np.reshape(excluded, (*shape, len(REASONS))))
    intervals = [_coverage(table, choice) for choice in CHOICES]
    variables |= {
        k: (
            ("runs", "predictor", "interval")[: 1 + np.ndim(intervals[0][k])],
            np.stack([x[k] for x in intervals]),
        )
        for k in intervals[0]
    }
    variables["confusion"] = (("predictor", "predicted", "measured"), _confusion(table))
    slopes, settings = _gamma_slopes(table)
    variables |= {k: (("group", "predictor")[: np.ndim(v)], v) for k, v in slopes.items()}
    out = xr.Dataset(
        variables,
        {
            "quantity": list(QUANTITIES),
            "runs": list(CHOICES),
            **{k: table[k].variable for k in ("predictor", "role", "form_of", "interval")},
            "reason": list(REASONS),
            "predicted": list(_PREDICTED),
            "measured": list(_MEASURED),
        }
        | {k: ("group", v) for k, v in settings.items()},
        {"schema": SCHEMA, "coverage": COVERAGE, "n_runs": table.sizes["run"]},
    )
    for count in [k for k in out.data_vars if str(k).startswith("n")]:
        out[count] = out[count].astype(int)
    return _described(out)


def _described(scores: xr.Dataset) -> xr.Dataset:
    for name, values in scores.variables.items():
        ends = {"_low": ", lower end", "_high": ", upper end"}
        end = next((e for e in ends if str(name).endswith(e)), "")
        words = _WORDS.get(str(name).removesuffix(end), "")
        if words:
            values.attrs |= {"units": "1", "long_name": words + ends.get(end, "")}
    return scores


_WORDS = {
    "quantity": "what is scored",
    "runs": "all runs, or those with a long delay",
    "reason": "why a run is in none of the numbers",
    "group": "runs of equal settings but for gamma and seed",
    "predicted": "what was predicted",
    "measured": "what was measured",
    "n": "runs that are scored",
    "n_log": "runs of slope and r2",
    "n_excluded": "runs that are not scored",
    "ape_median": "median of |predicted - measured|/measured",
    "ape_mean": "mean of |predicted - measured|/measured",
    "slope": "slope of ln predicted on ln measured",
    "r2": "squared correlation of ln predicted and ln measured",
    "rank": "Spearman's rank correlation",
    "coverage": "share of the runs with an interval whose time is inside",
    "n_interval": "runs that generalized and have an interval",
    "n_no_interval": "runs without an interval",
    "n_censored": "runs that never generalized",
    "n_censored_interval": "runs that never generalized and have an interval",
    "n_consistent": "of these, runs whose interval reaches the last step",
    "confusion": "runs by what was predicted and measured",
    "gamma_slope": "slope of ln predicted on ln gamma",
    "gamma_slope_measured": "slope of ln measured on ln gamma",
    "n_gamma_slope": "runs of gamma_slope_measured",
}


def choose(table: xr.Dataset, choice: str) -> Bools:
    """The runs of a choice, [run]."""
    short = np.asarray(table["short"].values, bool)
    return ~short if choice == "long" else np.ones_like(short)


def _score(
    table: xr.Dataset, quantity: str, choice: str, predictor: str
) -> tuple[dict[str, float], Mapping[str, int]]:
    one = table.sel(predictor=predictor)
    predicted = np.asarray(one[_TIMES[quantity]].values, float)
    measured = np.asarray(table[f"measured_{quantity}"].values, float)
    why = {
        "short": ~choose(table, choice),
        "censored": np.isnan(measured),
        "at_start": ~(measured > 0),
        "not_predicted": ~np.isfinite(predicted),
        "fitted_on": one["fitted"].values.astype(bool),
    }
    left = np.ones(len(measured), bool)
    counts = {}
    for reason in REASONS:
        counts[reason] = int((left & why[reason]).sum())
        left &= ~why[reason]
    p, t, seed = predicted[left], measured[left], table["seed"].values[left]
    numbers: dict[str, float] = {"n": int(left.sum())}
    numbers |= _errors(np.abs(p - t) / t, seed)
    positive = p > 0
    numbers["n_log"] = int(positive.sum())
    found = slope(t[positive], p[positive], seed[positive])
    numbers |= dict(zip(("slope", "slope_low", "slope_high"), found, strict=True))
    x, y = np.log(t[positive]), np.log(p[positive])
    spread = len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
    numbers["r2"] = float(np.corrcoef(x, y)[0, 1] ** 2) if spread else np.nan
    ranked = len(t) > 1 and np.ptp(t) > 0 and np.ptp(p) > 0
    numbers["rank"] = float(spearmanr(t, p).statistic) if ranked else np.nan
    return numbers, counts


def _errors(ape: Floats, seed: NDArray[np.generic]) -> dict[str, float]:
    """Median and mean of [run], with their bootstrap intervals over seeds."""
    names = [f"ape_{which}{end}" for which in ("median", "mean") for end in ("", "_low", "_high")]
    out = dict.fromkeys(names, float("nan"))
    if not len(ape):
        return out
    out["ape_median"], out["ape_mean"] = float(np.median(ape)), float(np.mean(ape))
    drawn, which = np.unique(seed, return_inverse=True)
    if len(drawn) < 2:
        return out  # one seed has no spread
    medians, means = [], []
    middles = _Middles(ape, which, len(drawn))
    total = np.bincount(which, ape)
    for draws in seed_draws(len(drawn), _DRAWS):
        medians.append(middles.of(draws))
        means.append(draws @ total / (draws @ middles.per_seed))
    for name, found in (("ape_median", medians), ("ape_mean", means)):
        ends = np.quantile(np.concatenate(found), [_TAIL, 1 - _TAIL])
        out[f"{name}_low"], out[f"{name}_high"] = map(float, ends)
    return out


class _Middles:
    """Medians of values of which whole seeds are drawn so and so often.

    The values are sorted once and lie in blocks. How many of a block are drawn follows from how many each
    seed has there; only the block that holds the middle is looked into.
    """

    def __init__(self, values: Floats, which: NDArray[np.intp], seeds: int) -> None:
        order = np.argsort(values)
        self.size = max(1, int(np.sqrt(len(values))))
        blocks = -(-len(values) // self.size)
        room = blocks * self.size
        # padded to whole blocks by a value of no seed, which is never drawn
        self.values = np.full(room, np.nan)
        self.values[: len(values)] = values[order]
        self.which = np.full(room, seeds)
        self.which[: len(values)] = which[order]
        counts = np.zeros((seeds + 1, blocks))
        np.add.at(counts, (self.which, np.arange(room) // self.size), 1.0)
        self.counts = counts[:seeds]
        self.per_seed = self.counts.sum(1)

    def of(self, draws: Floats) -> Floats:
        """The medians [draw] of draws [draw, seed]; of an even number the mean of the two in the middle."""
        found = []
        for some in np.array_split(draws, max(1, len(draws) * (self.size + len(self.counts[0])) // _AT_ONCE)):
            total = some @ self.per_seed
            reached = (some @ self.counts).cumsum(1)
            halves = ((total - 1) // 2, total // 2)
            found.append(sum(self._at(some, reached, half) for half in halves) / 2)
        return np.concatenate(found)

    def _at(self, draws: Floats, reached: Floats, place: Floats) -> Floats:
        """The values at places [draw] of what was drawn, in order."""
        block = (reached <= place[:, None]).sum(1)
        before = np.where(
            block > 0, np.take_along_axis(reached, np.maximum(block - 1, 0)[:, None], 1)[:, 0], 0
        )
        inside = block[:, None] * self.size + np.arange(self.size)  # [draw, place in its block]
        padded = np.concatenate([draws, np.zeros((len(draws), 1))], axis=1)
        weights = np.take_along_axis(padded, self.which[inside], 1)
        steps = (before[:, None] + weights.cumsum(1) <= place[:, None]).sum(1)
        return np.asarray(self.values[block * self.size + steps])


def _coverage(table: xr.Dataset, choice: str) -> dict[str, NDArray[Any]]:
    """Counts and shares [predictor, interval], of the runs of a choice."""
    chosen = choose(table, choice)[:, None, None]
    censored = np.isnan(table["measured_t_grok"].values)[:, None, None]
    dims = ("run", "predictor", "interval")
    known = chosen & ~np.isnan((table["low"] + table["high"]).transpose(*dims).values)
    hit = table["inside"].transpose(*dims).values.astype(bool)
    n = (known & ~censored).sum(0)
    with np.errstate(invalid="ignore"):
        coverage = (hit & known & ~censored).sum(0) / np.where(n, n, np.nan)
    return {
        "n_censored": (chosen & censored).sum(),
        "n_interval": n,
        "n_no_interval": (chosen & ~known).sum(0),
        "coverage": coverage,
        "n_censored_interval": (known & censored).sum(0),
        "n_consistent": (hit & known & censored).sum(0),
    }


def _confusion(table: xr.Dataset) -> NDArray[np.int64]:
    """Counts of runs [predictor, predicted, measured]."""
    status, times = (table[k].transpose("run", "predictor").values for k in ("status", "predicted"))
    goes = np.isin(status, [Status.GENERALIZES.value, Status.ALREADY.value])
    outside = status == Status.OUTSIDE.value
    later = goes & (times > table["watched"].values[:, None])
    rows = np.stack([goes & ~later, later, ~goes & ~outside, outside])
    censored, diverged = np.isnan(table["measured_t_grok"].values), table["diverged"].values.astype(bool)
    columns = np.stack([~censored, censored & ~diverged, censored & diverged])
    counts: NDArray[np.int64] = np.einsum("prk,mr->kpm", rows.astype(int), columns.astype(int))
    return counts


def _gamma_slopes(table: xr.Dataset) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Slopes of ln t_grok on ln gamma of each group: measured [group], and of each predictor
    [group, predictor], over the same runs."""
    settings = [np.asarray(table[k].values, float) for k in _GROUP]
    codes = np.stack([np.unique(v, return_inverse=True)[1] for v in settings], axis=1)
    _, first, which = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    measured, predicted = (
        table["measured_t_grok"].values,
        table["predicted"].transpose("run", "predictor").values,
    )
    gamma, seed = table["gamma"].values, table["seed"].values
    left = (measured > 0) & (predicted[:, 0] > 0) & (gamma > 0)

    def of(some: NDArray[np.intp], times: Floats) -> tuple[float, float, float]:
        time = times[some]
        known = some[(time > 0) & np.isfinite(time)]
        return slope(gamma[known], times[known], seed[known])

    usable = np.flatnonzero(left)
    groups = [usable[places] for places in places_of(which.ravel()[usable], len(first))]
    found = np.array([of(some, measured) for some in groups])
    each = np.array([[of(some, times) for times in predicted.T] for some in groups])
    out = {"n_gamma_slope": np.array([len(some) for some in groups])}
    for k, end in enumerate(("", "_low", "_high")):
        out[f"gamma_slope_measured{end}"], out[f"gamma_slope{end}"] = found[:, k], each[..., k]
    return out, {k: v[first] for k, v in zip(_GROUP, settings, strict=True)}
