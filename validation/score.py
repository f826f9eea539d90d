"""How good predictions were: errors, slopes, ranks and intervals, and what was left out of each number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import spearmanr

from groktime.reduced.flow import Status
from groktime.validation.baselines import BASELINES, QUANTITIES
from groktime.validation.survival import LEVEL, slope

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FORMS = ("flow", "printed", "corrected")
PREDICTORS = (*FORMS, "path", *BASELINES)  # of these, "path" only where there was one
CHOICES = ("all", "long")
# Why a run is in none of a predictor's numbers; of several reasons, the first counts.
REASONS = ("short", "censored", "at_start", "not_predicted", "fitted_on")
# the lower end, whether a run is inside, and how the scores of an interval end
INTERVALS = (
    ("predicted_low", "inside", ""),
    ("spread_low", "inside_spread", "_spread"),
    ("path_low", "inside_path", "_path"),
)
_PREDICTED = ("generalizes", "generalizes_later", "does_not", "outside")
_MEASURED = ("generalized", "censored", "diverged")
_GROUP = ("alpha", "eta_d", "eta_r", "n_train", "m_start")
_TAIL = (1 - LEVEL) / 2
_DRAWS = 2000
_AT_ONCE = 2_000_000  # numbers held while draws are weighed


def column(quantity: str, predictor: str) -> str:
    """The name in a comparison's table of what a predictor says of t_grok or delay."""
    return f"predicted_{quantity}" + ("" if predictor == "flow" else f"_{predictor}")


def predictors(table: xr.Dataset) -> tuple[str, ...]:
    """Those of a comparison's table."""
    return tuple(p for p in PREDICTORS if column("t_grok", p) in table)


def summary(table: xr.Dataset) -> xr.Dataset:
    """The scores of a comparison's table.

    Returns
    -------
    Dataset of schema "groktime-scores/1".
    Over `quantity` (t_grok, delay), `runs` (all; long: delay at least five times t_mem) and
    `predictor`:
        n : the runs that the numbers are of; n_excluded, over `reason`: the others.
        ape_median, ape_mean : |predicted - measured|/measured, with `_low` and `_high`, the 90 %
            bootstrap interval over seeds.
        slope, slope_low, slope_high, r2 : of ln predicted on ln measured.
        rank : Spearman's correlation.  n_log : runs of `slope`, `r2` (a predicted 0 has no logarithm).
    Over `runs`: coverage (own seed's interval) and coverage_spread (the interval over the
        landscape's seeds), shares of the n_interval (n_interval_spread) runs that generalised and have
        one; n_no_interval, of any runs: off the sampled grid, and for the own seed's, landscapes of w
        alone, in which one seed has no uncertainty. n_censored; of these n_censored_interval have an
        interval, and n_consistent one that reaches the run's last step (`_spread`, `_path`: likewise).
    Over `group` (equal settings but for gamma and seed): gamma_slope_measured and
        gamma_slope_predicted, of ln t_grok on ln gamma, with `_low` and `_high`; gamma_slope_path of
        those of the same runs that the path predicts.
    `confusion` [predicted, measured] : counts of all runs. "generalizes_later": predicted beyond the
        last step to which the run was, or would have been, watched. `confusion_path`: by the path.
    """
    names = predictors(table)
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
    variables |= {k: ("runs", [found[k] for found in intervals]) for k in intervals[0]}
    told = {"": ("predicted_status", "predicted_t_grok")}
    if "path" in names:
        told["_path"] = ("path_status", "predicted_t_grok_path")
    for end, (status, times) in told.items():
        counts = _confusion(table, table[status].values, table[times].values)
        variables[f"confusion{end}"] = (("predicted", "measured"), counts)
    slopes, settings = _gamma_slopes(table)
    out = xr.Dataset(
        variables | {k: ("group", v) for k, v in slopes.items()},
        {
            "quantity": list(QUANTITIES),
            "runs": list(CHOICES),
            "predictor": list(names),
            "reason": list(REASONS),
            "predicted": list(_PREDICTED),
            "measured": list(_MEASURED),
        }
        | {k: ("group", v) for k, v in settings.items()},
        {"schema": "groktime-scores/1", "level": LEVEL, "n_runs": table.sizes["run"]},
    )
    for count in [k for k in out.data_vars if str(k).startswith("n")]:
        out[count] = out[count].astype(int)
    return out


def choose(table: xr.Dataset, choice: str) -> Bools:
    """The runs of a choice, [run]."""
    short = np.asarray(table["short"].values, bool)
    return ~short if choice == "long" else np.ones_like(short)


def _score(
    table: xr.Dataset, quantity: str, choice: str, predictor: str
) -> tuple[dict[str, float], Mapping[str, int]]:
    predicted = np.asarray(table[column(quantity, predictor)].values, float)
    measured = np.asarray(table[f"measured_{quantity}"].values, float)
    held = f"fitted_{predictor}"
    why = {
        "short": ~choose(table, choice),
        "censored": np.isnan(measured),
        "at_start": ~(measured > 0),
        "not_predicted": ~np.isfinite(predicted),
        "fitted_on": table[held].values if held in table else np.zeros(len(measured), bool),
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
    # Philox is counter-based: the same draws on every machine.
    rng = np.random.Generator(np.random.Philox(key=len(drawn)))
    draws = rng.multinomial(len(drawn), np.full(len(drawn), 1 / len(drawn)), size=_DRAWS)
    order = np.argsort(ape)
    ape, which = ape[order], which[order]
    medians, means = [], []
    for some in np.array_split(draws, max(1, _DRAWS * len(ape) // _AT_ONCE)):
        weights = some[:, which]  # how often each run was drawn, [draw, run]
        count = weights.sum(1)
        reached = weights.cumsum(1)
        middle = [(reached <= half[:, None]).sum(1) for half in ((count - 1) // 2, count // 2)]
        medians.append((ape[middle[0]] + ape[middle[1]]) / 2)
        means.append(weights @ ape / count)
    for name, found in (("ape_median", medians), ("ape_mean", means)):
        ends = np.quantile(np.concatenate(found), [_TAIL, 1 - _TAIL])
        out[f"{name}_low"], out[f"{name}_high"] = map(float, ends)
    return out


def _coverage(table: xr.Dataset, choice: str) -> dict[str, float]:
    chosen = choose(table, choice)
    censored = np.isnan(table["measured_t_grok"].values)
    out: dict[str, float] = {"n_censored": int((chosen & censored).sum())}
    for low, inside, end in INTERVALS:
        if low not in table:
            continue
        known = chosen & ~np.isnan(table[low].values)
        hit = table[inside].values
        out[f"n_interval{end}"] = int((known & ~censored).sum())
        out[f"n_no_interval{end}"] = int((chosen & ~known).sum())
        out[f"coverage{end}"] = float(hit[known & ~censored].mean()) if out[f"n_interval{end}"] else np.nan
        out[f"n_censored_interval{end}"] = int((known & censored).sum())
        out[f"n_consistent{end}"] = int(hit[known & censored].sum())
    return out


def _confusion(table: xr.Dataset, status: NDArray[np.str_], times: Floats) -> NDArray[np.int64]:
    goes = np.isin(status, [Status.GENERALIZES, Status.ALREADY])
    outside = status == Status.OUTSIDE
    later = goes & (times > table["watched"].values)
    rows = (goes & ~later, later, ~goes & ~outside, outside)
    censored, diverged = np.isnan(table["measured_t_grok"].values), table["diverged"].values.astype(bool)
    columns = (~censored, censored & ~diverged, censored & diverged)
    return np.array([[int((row & column).sum()) for column in columns] for row in rows])


def _gamma_slopes(table: xr.Dataset) -> tuple[dict[str, list[float]], dict[str, Floats]]:
    """Slopes of ln t_grok on ln gamma of each group, over the same runs for both."""
    settings = [np.asarray(table[k].values, float) for k in _GROUP]
    codes = np.stack([np.unique(v, return_inverse=True)[1] for v in settings], axis=1)
    _, first, which = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    measured = table["measured_t_grok"].values
    each = {"measured": measured, "predicted": table["predicted_t_grok"].values}
    if "path" in predictors(table):
        each["path"] = table[column("t_grok", "path")].values
    gamma, seed = table["gamma"].values, table["seed"].values
    left = (measured > 0) & (each["predicted"] > 0) & (gamma > 0)
    out: dict[str, list[float]] = {}
    for k in range(len(first)):
        members = left & (which.ravel() == k)
        row: dict[str, float] = {"n_gamma_slope": int(members.sum())}
        for name, times in each.items():
            told = members & (times > 0)
            found = slope(gamma[told], times[told], seed[told])
            ends = ("", "_low", "_high")
            row |= {f"gamma_slope_{name}{end}": x for end, x in zip(ends, found, strict=True)}
        for name, value in row.items():
            out.setdefault(name, []).append(value)
    return out, {k: v[first] for k, v in zip(_GROUP, settings, strict=True)}
