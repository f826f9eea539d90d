"""A comparison as text: medians over the seeds by settings, and the scores beside the baselines."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.reduced.flow import Status
from groktime.reduced.source import COVERAGE
from groktime.validation.headline import REASONS, by_run, error_name, headline
from groktime.validation.report import cell, groups, places_of, table, with_dash
from groktime.validation.survival import median_time
from groktime.validation.table import sources

Floats = NDArray[np.float64]

FEW = 24  # runs that are listed one by one on a terminal
SLOPES = "Slope of ln t_grok on ln gamma, over the same runs"
CONFUSION = "Predicted by {} (rows) and measured (columns), all runs"
CHOICES = {"all": "all runs", "long": "runs whose delay is at least {:g} times t_mem"}
_WHOSE = {"seed": "of the run's own seed", "seeds": "over its seeds"}
DASH = "no such number: no time within the run or none predicted, or too few runs for it"


def text(rows: xr.Dataset, scores: xr.Dataset) -> str:
    """Everything that `groktime compare` prints."""
    how = rows.attrs
    lasting = "" if how["rule"] == "first" else f", {how['persist']} evaluations or more"
    limits = np.unique(rows["threshold"].values)
    limit = cell(limits[0]) if len(limits) == 1 else f"{cell(limits[0])} to {cell(limits[-1])}"
    parts = [
        f"{', '.join(sources(rows))} against {how['runs']}: {rows.sizes['run']} runs of {how['task']}\n"
        f"Times in optimizer steps until the test {how['metric']} passes {limit}; "
        f"rule {how['rule']}{lasting}",
        *(_heading(rows, name) for name in sources(rows)),
        *how["remarks"].splitlines(),
        "\n" + by_settings(rows),
    ]
    for choice, words in CHOICES.items():
        title = f"Errors of t_grok, {words.format(how['long'])} (in brackets {COVERAGE:.0%}, over seeds)"
        parts.append(f"\n{title}")
        parts.append(table(score_columns(scores.sel(quantity="t_grok", runs=choice))))
        parts += _left_out(scores.sel(quantity="t_grok", runs=choice))
    parts.append("\nErrors of the delay t_grok - t_mem")
    for choice, words in CHOICES.items():
        one = scores.sel(quantity="delay", runs=choice)
        parts.append(f"{words.format(how['long'])}\n{table(score_columns(one))}")
    parts += ["\nFitted baselines (the others are not fitted)"]
    parts += [f"  {name}: {words}" for name, words in fits(rows).items()]
    parts += [f"\n{SLOPES}\n{table(slope_columns(scores))}", "\n" + "\n".join(intervals(rows, scores))]
    parts += [f"\n{title}\n{table(columns)}" for title, columns in confusions(scores).items()]
    parts += ["\n" + by_run(rows)] if rows.sizes["run"] <= FEW else []
    text = with_dash("\n".join(parts), DASH)
    return text + "\n\n" + "\n".join(headline(rows, scores))


def _heading(rows: xr.Dataset, name: str) -> str:
    """A source, and the runs of which it has no seed, no prediction, or something to say."""
    one = rows.sel(predictor=name)
    outside = one["status"].values == Status.OUTSIDE.value
    counts = {
        "of seeds that it does not have": int((~one["seed_matched"].values.astype(bool)).sum()),
        "outside of it, which it does not predict": int(outside.sum()),
    }
    words = [f"{n} {why}" for why, n in counts.items() if n]
    lines = [
        f"{name}: {one['kind'].item()} {one['file'].item()}" + (f"; runs {', '.join(words)}" if words else "")
    ]
    remarks, numbers = np.unique(one["remark"].values.astype(str), return_counts=True)
    lines += [f"  {n} runs: {text}" for text, n in zip(remarks, numbers, strict=True) if text]
    return "\n".join(lines)


def fits(rows: xr.Dataset) -> dict[str, str]:
    """What was fitted on what, by predictor."""
    each = zip(rows["predictor"].values, rows["fit"].values, strict=True)
    return {str(name): str(words) for name, words in each if words}


def by_settings(rows: xr.Dataset) -> str:
    """`settings_columns` as a table under its title."""
    return f"{settings_title(rows)}\n{table(settings_columns(rows))}"


def settings_title(rows: xr.Dataset) -> str:
    """What `settings_columns` is of."""
    return f"Medians of t_grok over the seeds ({', '.join(sources(rows))})"


def settings_columns(rows: xr.Dataset) -> dict[str, Iterable[object]]:
    """Medians over the seeds, predicted and measured (Kaplan and Meier's), and their difference."""
    names, shown = groups(rows), sources(rows)
    settings = np.stack([rows[k].values.astype(float) for k in names], axis=1)
    _, first, which = np.unique(
        np.nan_to_num(settings, nan=-1.0), axis=0, return_index=True, return_inverse=True
    )
    found: dict[str, list[float]] = {}
    censored_of, measured_of, last_of = (rows[k].values for k in ("test_censored", "measured_t_grok", "last"))
    predicted_of = {name: rows["predicted"].sel(predictor=name).values for name in shown}
    for mine in places_of(which.ravel(), len(first)):
        censored = censored_of[mine]
        measured = median_time(measured_of[mine], censored, last_of[mine])[0]
        predicted = {name: _middle(times[mine]) for name, times in predicted_of.items()}
        row: dict[str, float] = {"runs": len(mine), "censored": int(censored.sum()), **predicted}
        row["measured"] = measured if np.isfinite(measured) else np.nan
        for name, time in predicted.items():
            both = np.isfinite(time) and np.isfinite(measured) and measured > 0
            row[error_name(name, shown)] = round(100 * (time / measured - 1), 1) if both else np.nan
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    for name in (*shown, "measured"):
        found[name] = [round(x) if np.isfinite(x) else x for x in found[name]]
    return {**{k: settings[first, j] for j, k in enumerate(names)}, **found}


def _middle(times: Floats) -> float:
    """The median, in which what never generalizes is infinite; NaN where that is most. Of an even number
    it is the lower of the two in the middle, as Kaplan and Meier's median of the measured times is."""
    middle = float(np.quantile(np.where(np.isnan(times), np.inf, times), 0.5, method="lower"))
    return middle if np.isfinite(middle) else float("nan")


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
        words = ", ".join(f"{n} {REASONS[str(reason)]}" for reason, n in counts if n)
        without = int(one["n"]) - int(one["n_log"])
        words += f"; {without} without a logarithm, left out of slope and R2" if without else ""
        alike.setdefault(words or "none", []).append(str(predictor))
    return [f"  left out of {', '.join(names)}: {words}" for words, names in alike.items()]


def slope_columns(scores: xr.Dataset) -> dict[str, Iterable[object]]:
    """A row for each group of equal settings but for gamma and the seed."""
    names = [k for k in ("alpha", "eta_d", "eta_r", "n_train", "m_start") if _shown(scores[k].values, k)]
    columns: dict[str, Iterable[object]] = {k: scores[k].values for k in names}
    columns["n"] = scores["n_gamma_slope"].values
    ends = ("", "_low", "_high")
    measured = (scores[f"gamma_slope_measured{end}"].values for end in ends)
    columns["measured"] = [_spread(*each, digits=3) for each in zip(*measured, strict=True)]
    for name in sources(scores):
        found = (scores[f"gamma_slope{end}"].sel(predictor=name).values for end in ends)
        columns[name] = [_spread(*each, digits=3) for each in zip(*found, strict=True)]
    return columns


def _shown(values: NDArray[np.float64], name: str) -> bool:
    return name in ("alpha", "eta_d") or len(np.unique(values)) > 1


def intervals(rows: xr.Dataset, scores: xr.Dataset) -> list[str]:
    """How often what was measured was inside the intervals, line by line under a title; what they hold."""
    lines = [f"Intervals, {COVERAGE:.0%}: share of the runs that generalized whose t_grok is inside"]
    for choice in CHOICES:
        name = "all runs" if choice == "all" else "long delays"
        for predictor in sources(scores):
            for interval, whose in _WHOSE.items():
                one = scores.sel(runs=choice, predictor=predictor, interval=interval)
                lines.append(f"  {name}, {predictor}, {whose}: {_coverage(one)}")
    return lines + [f"  {text}" for text in str(rows.attrs.get("interval_holds", "")).splitlines()]


def _coverage(one: xr.Dataset) -> str:
    n, censored = int(one["n_interval"]), int(one["n_censored_interval"])
    share = f"{float(one['coverage']):.0%} of {n}" if n else "no interval"
    late = f"; {int(one['n_consistent'])} of {censored} censored runs consistent" if censored else ""
    none = int(one["n_no_interval"])
    return share + late + (f"; {none} without one" if none and n else "")


def confusions(scores: xr.Dataset) -> dict[str, dict[str, Iterable[object]]]:
    """By title, a row for each thing that can be predicted, and how many runs then did what."""
    return {
        CONFUSION.format(name): _counts(scores["confusion"].sel(predictor=name)) for name in sources(scores)
    }


def _counts(counts: xr.DataArray) -> dict[str, Iterable[object]]:
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
