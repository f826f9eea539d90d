"""A comparison as text: medians over the seeds by settings, and the scores beside the baselines."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.reduced.flow import Status
from groktime.validation.baselines import BASELINES
from groktime.validation.headline import REASONS, by_run, headline
from groktime.validation.report import cell, groups, table
from groktime.validation.score import column
from groktime.validation.survival import LEVEL, median_time

Floats = NDArray[np.float64]

FEW = 24  # runs that are told one by one on a terminal
SLOPES = "Slope of ln t_grok on ln gamma, over the same runs"
CONFUSION = "Predicted (rows) and measured (columns), all runs"
CHOICES = {"all": "all runs", "long": "runs whose delay is at least {:g} times t_mem"}
_WHOSE = {
    "": "of the run's own seed",
    "_spread": "over the landscape's seeds",
    "_path": "of the decay path, the run's own seed",
}


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
        *_path_heading(rows),
        *how["remarks"].splitlines(),
        "\n" + by_settings(rows),
    ]
    for choice, words in CHOICES.items():
        parts.append(f"\nErrors of t_grok, {words.format(how['long'])} (in brackets {LEVEL:.0%}, over seeds)")
        parts.append(table(score_columns(scores.sel(quantity="t_grok", runs=choice))))
        parts += _left_out(scores.sel(quantity="t_grok", runs=choice))
    parts.append("\nErrors of the delay t_grok - t_mem")
    for choice, words in CHOICES.items():
        one = scores.sel(quantity="delay", runs=choice)
        parts.append(f"{words.format(how['long'])}\n{table(score_columns(one))}")
    parts += ["\nFitted baselines (the others are not fitted)"]
    parts += [f"  {name}: {rows[column('t_grok', name)].attrs['fitted']}" for name in BASELINES]
    parts += [f"\n{SLOPES}\n{table(slope_columns(scores))}", "\n" + "\n".join(intervals(scores))]
    parts += [f"\n{title}\n{table(columns)}" for title, columns in confusions(scores).items()]
    parts += ["\n" + by_run(rows)] if rows.sizes["run"] <= FEW else []
    parts += ["\n" + "\n".join(headline(rows, scores))]
    return "\n".join(parts)


def _path_heading(rows: xr.Dataset) -> list[str]:
    if "path_status" not in rows:
        return []
    strangers = int((~rows["path_seed_matched"].values).sum())
    outside = int((rows["path_status"].values == Status.OUTSIDE).sum())
    coarse = int((~rows["path_resolved"].values & (rows["path_status"].values != Status.OUTSIDE)).sum())
    told = [f"{n} {why}" for n, why in (
        (strangers, "of seeds that it does not hold"),
        (outside, "outside of it, which it does not predict"),
        (coarse, "with a gamma above its resolutions"),
    ) if n]  # fmt: skip
    return [f"Decay path {rows.attrs['path']}" + (f": runs {', '.join(told)}" if told else "")]


def by_settings(rows: xr.Dataset) -> str:
    """`settings_columns` as a table under its title."""
    return f"{settings_title(rows)}\n{table(settings_columns(rows))}"


def settings_title(rows: xr.Dataset) -> str:
    """What `settings_columns` is of."""
    whose = "flow, and decay path" if "predicted_t_grok_path" in rows else "flow"
    return f"Medians of t_grok over the seeds ({whose})"


def settings_columns(rows: xr.Dataset) -> dict[str, Iterable[object]]:
    """Medians over the seeds, predicted and measured (Kaplan and Meier's), and their difference."""
    names, with_path = groups(rows), "predicted_t_grok_path" in rows
    settings = np.stack([rows[k].values.astype(float) for k in names], axis=1)
    _, first, which = np.unique(
        np.nan_to_num(settings, nan=-1.0), axis=0, return_index=True, return_inverse=True
    )
    found: dict[str, list[float]] = {}
    for k in range(len(first)):
        mine = rows.isel(run=which.ravel() == k)
        censored = mine["test_censored"].values
        measured = median_time(mine["measured_t_grok"].values, censored, mine["last"].values)[0]
        told = {"predicted": _middle(mine["predicted_t_grok"].values)}
        if with_path:
            told["path"] = _middle(mine["predicted_t_grok_path"].values)
        row: dict[str, float] = {"runs": mine.sizes["run"], "censored": int(censored.sum()), **told}
        row["measured"] = measured if np.isfinite(measured) else np.nan
        for name, predicted in told.items():
            both = np.isfinite(predicted) and np.isfinite(measured) and measured > 0
            error = round(100 * (predicted / measured - 1), 1) if both else np.nan
            row["error %" if name == "predicted" else f"error % ({name})"] = error
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    for name in ("predicted", *(["path"] if with_path else []), "measured"):
        found[name] = [round(x) if np.isfinite(x) else x for x in found[name]]
    return {**{k: settings[first, j] for j, k in enumerate(names)}, **found}


def _middle(times: Floats) -> float:
    """The median, in which what never generalises is infinite; NaN where that is most. Of an even number
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
    for which in ("measured", "predicted", "path"):
        if f"gamma_slope_{which}" not in scores:
            continue
        ends = (scores[f"gamma_slope_{which}{end}"].values for end in ("", "_low", "_high"))
        columns[which] = [_spread(*each, digits=3) for each in zip(*ends, strict=True)]
    return columns


def _told(values: NDArray[np.float64], name: str) -> bool:
    return name in ("alpha", "eta_d") or len(np.unique(values)) > 1


def intervals(scores: xr.Dataset) -> list[str]:
    """How often the intervals held, line by line under a title."""
    lines = [f"Intervals, {LEVEL:.0%}: share of the runs that generalised whose t_grok is inside"]
    for choice in CHOICES:
        one = scores.sel(runs=choice)
        name = "all runs" if choice == "all" else "long delays"
        for end, whose in _WHOSE.items():
            if f"coverage{end}" not in scores:
                continue
            n, held = int(one[f"n_interval{end}"]), int(one[f"n_censored_interval{end}"])
            share = f"{float(one[f'coverage{end}']):.0%} of {n}" if n else "no interval"
            late = f"; {int(one[f'n_consistent{end}'])} of {held} censored runs consistent" if held else ""
            none = int(one[f"n_no_interval{end}"])
            lines.append(
                f"  {name}, {whose}: {share}{late}" + (f"; {none} without one" if none and n else "")
            )
    return lines


def confusions(scores: xr.Dataset) -> dict[str, dict[str, Iterable[object]]]:
    """By title, a row for each thing that can be predicted, and how many runs then did what."""
    told = {CONFUSION: _counts(scores["confusion"])}
    if "confusion_path" in scores:
        told["The same by the decay path"] = _counts(scores["confusion_path"])
    return told


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
