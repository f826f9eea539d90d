"""A comparison as text: medians over the seeds by settings, and the scores beside the baselines."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from validation.baselines import BASELINES
from validation.headline import REASONS, by_run, headline
from validation.report import cell, groups, table
from validation.score import column
from validation.survival import LEVEL, median_time

FEW = 24  # runs that are told one by one on a terminal
SLOPES = "Slope of ln t_test on ln gamma, over the same runs"
CONFUSION = "Predicted (rows) and measured (columns), all runs"
CHOICES = {"all": "all runs", "long": "runs whose delay is at least {:g} times t_train"}


def text(rows: xr.Dataset, scores: xr.Dataset) -> str:
    """Everything that `groktime compare` prints."""
    how = rows.attrs
    lasting = "" if how["rule"] == "first" else f", {how['persist']} evaluations or more"
    limits = np.unique(rows["threshold"].values)
    limit = cell(limits[0]) if len(limits) == 1 else f"{cell(limits[0])} to {cell(limits[-1])}"
    parts = [
        f"{how['landscape']} against {how['runs']}: {rows.sizes['run']} runs of {how['task']}, "
        f"{int((~rows['seed_matched'].values).sum())} of seeds that the landscape does not hold\n"
        f"Times in optimizer steps until the test {how['metric']} passes {limit}; "
        f"rule {how['rule']}{lasting}",
        *how["remarks"].splitlines(),
        "\nMedians of t_test over the seeds (flow)\n" + table(settings_columns(rows)),
    ]
    for choice, words in CHOICES.items():
        parts.append(f"\nErrors of t_test, {words.format(how['long'])} (in brackets {LEVEL:.0%}, over seeds)")
        parts.append(table(score_columns(scores.sel(quantity="t_test", runs=choice))))
        parts += _left_out(scores.sel(quantity="t_test", runs=choice))
    parts.append("\nErrors of the delay t_test - t_train")
    for choice, words in CHOICES.items():
        one = scores.sel(quantity="delay", runs=choice)
        parts.append(f"{words.format(how['long'])}\n{table(score_columns(one))}")
    parts += ["\nFitted baselines (the others are not fitted)"]
    parts += [f"  {name}: {rows[column('t_test', name)].attrs['fitted']}" for name in BASELINES]
    parts += [f"\n{SLOPES}\n{table(slope_columns(scores))}", "\n" + "\n".join(intervals(scores))]
    parts += [f"\n{CONFUSION}\n{table(confusion_columns(scores))}"]
    parts += ["\n" + by_run(rows)] if rows.sizes["run"] <= FEW else []
    parts += ["\n" + "\n".join(headline(rows, scores))]
    return "\n".join(parts)


def settings_columns(rows: xr.Dataset) -> dict[str, Iterable[object]]:
    """Medians over the seeds, predicted and measured (Kaplan and Meier's), and their difference."""
    names = groups(rows)
    settings = np.stack([rows[k].values.astype(float) for k in names], axis=1)
    _, first, which = np.unique(
        np.nan_to_num(settings, nan=-1.0), axis=0, return_index=True, return_inverse=True
    )
    found: dict[str, list[float]] = {}
    for k in range(len(first)):
        mine = rows.isel(run=which.ravel() == k)
        censored = mine["test_censored"].values
        measured = median_time(mine["measured_t_test"].values, censored, mine["last"].values)[0]
        times = mine["predicted_t_test"].values
        predicted = float(np.median(np.where(np.isnan(times), np.inf, times)))
        both = np.isfinite(predicted) and np.isfinite(measured) and measured > 0
        row = {
            "runs": mine.sizes["run"],
            "censored": int(censored.sum()),
            "predicted": predicted if np.isfinite(predicted) else np.nan,
            "measured": measured if np.isfinite(measured) else np.nan,
            "error %": round(100 * (predicted / measured - 1), 1) if both else np.nan,
        }
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    for name in ("predicted", "measured"):
        found[name] = [round(x) if np.isfinite(x) else x for x in found[name]]
    return {**{k: settings[first, j] for j, k in enumerate(names)}, **found}


def score_columns(scores: xr.Dataset) -> dict[str, Iterable[object]]:
    """A row for each predictor, of one quantity and choice of runs."""

    def with_ends(name: str, digits: int, factor: float = 1.0) -> list[str]:
        ends = (scores[f"{name}{end}"].values * factor for end in ("", "_low", "_high"))
        return [_spread(*each, digits=digits) for each in zip(*ends, strict=True)]

    return {
        "": [str(p) for p in scores["predictor"].values],
        "n": scores["n"].values,
        "median error %": with_ends("ape_median", 1, 100),
        "mean error %": with_ends("ape_mean", 1, 100),
        "slope": with_ends("slope", 3),
        "R2": [_number(x, 3) for x in scores["r2"].values],
        "rank": [_number(x, 3) for x in scores["rank"].values],
    }


def _left_out(scores: xr.Dataset) -> list[str]:
    """Which runs are in none of the numbers above, and why; alike predictors in one line."""
    alike: dict[str, list[str]] = {}
    for predictor in scores["predictor"].values:
        one = scores.sel(predictor=predictor)
        counts = zip(one["reason"].values, one["n_excluded"].values, strict=True)
        told = ", ".join(f"{n} {REASONS[str(reason)]}" for reason, n in counts if n)
        without = int(one["n"]) - int(one["n_log"])
        told += f"; {without} without a logarithm, left out of slope and R2" if without else ""
        alike.setdefault(told or "none", []).append(str(predictor))
    return [f"  left out of {', '.join(names)}: {told}" for told, names in alike.items()]


def slope_columns(scores: xr.Dataset) -> dict[str, Iterable[object]]:
    """A row for each group of equal settings but for gamma and the seed."""
    names = [k for k in ("alpha", "eta_d", "eta_r", "n_train", "m_start") if _told(scores[k].values, k)]
    columns: dict[str, Iterable[object]] = {k: scores[k].values for k in names}
    columns["n"] = scores["n_gamma_slope"].values
    for which in ("measured", "predicted"):
        ends = (scores[f"gamma_slope_{which}{end}"].values for end in ("", "_low", "_high"))
        columns[which] = [_spread(*each, digits=3) for each in zip(*ends, strict=True)]
    return columns


def _told(values: NDArray[np.float64], name: str) -> bool:
    return name in ("alpha", "eta_d") or len(np.unique(values)) > 1


def intervals(scores: xr.Dataset) -> list[str]:
    """How often the intervals held, line by line under a title."""
    lines = [f"Intervals, {LEVEL:.0%}: share of the runs that generalised whose t_test is inside"]
    for choice in CHOICES:
        one = scores.sel(runs=choice)
        name = "all runs" if choice == "all" else "long delays"
        for end, whose in (("", "of the run's own seed"), ("_spread", "over the landscape's seeds")):
            n, held = int(one[f"n_interval{end}"]), int(one[f"n_censored_interval{end}"])
            share = f"{float(one[f'coverage{end}']):.0%} of {n}" if n else "no interval"
            late = f"; {int(one[f'n_consistent{end}'])} of {held} censored runs consistent" if held else ""
            none = int(one[f"n_no_interval{end}"])
            lines.append(
                f"  {name}, {whose}: {share}{late}" + (f"; {none} without one" if none and n else "")
            )
    return lines


def confusion_columns(scores: xr.Dataset) -> dict[str, Iterable[object]]:
    """A row for each thing that can be predicted, and how many runs then did what."""
    counts = scores["confusion"]
    columns: dict[str, Iterable[object]] = {
        "predicted": [str(p).replace("_", " ") for p in counts["predicted"].values]
    }
    columns |= {str(k): counts.sel(measured=k).values for k in counts["measured"].values}
    return columns


def _spread(value: float, low: float, high: float, *, digits: int) -> str:
    if np.isnan(value):
        return "-"
    ends = "" if np.isnan(low) else f" ({low:.{digits}f} to {high:.{digits}f})"
    return f"{value:.{digits}f}{ends}"


def _number(value: float, digits: int) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"
