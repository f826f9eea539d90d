"""A ladder as text: times by rung, ratios between neighbours, and which rung costs most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.validation.report import cell, table

if TYPE_CHECKING:
    from groktime.validation.ladder import Ladder

Floats = NDArray[np.float64]


def ratios(rows: xr.Dataset) -> Floats:
    """t_grok of each rung over that of the rung above it, [setting, seed, rung]; NaN on the first, and where
    one of the two has no time above 0."""
    times = rows["t_grok"].transpose("setting", "seed", "rung").values
    known = np.where(times > 0, times, np.nan)
    out = np.full(known.shape, np.nan)
    out[..., 1:] = known[..., 1:] / known[..., :-1]
    return out


def middle(rows: xr.Dataset) -> Floats:
    """Medians of t_grok over the seeds, [setting, rung], those without a time counting as infinite; NaN
    where the median is."""
    times = rows["t_grok"].transpose("setting", "seed", "rung").values
    median = np.median(np.where(np.isnan(times), np.inf, times), axis=1)
    return np.where(np.isfinite(median), median, np.nan)


def settings(rows: xr.Dataset) -> dict[str, NDArray[np.float64]]:
    """The settings that are not the same in all rows, and always γ, [setting]."""
    names = [k for k in ("n_train", "gamma", "eta_d", "eta_r", "alpha", "m_start") if k in rows.coords]
    return {k: rows[k].values for k in names if k == "gamma" or len(np.unique(rows[k].values)) > 1}


def text(ladder: Ladder) -> str:
    """Everything that `print` should show of a ladder."""
    first, *rest = (f"{title}\n{table(columns)}" for title, columns in tables(ladder).items())
    return "\n\n".join([f"{heading(ladder)}\n{first}", *rest, verdict(ladder)])


def heading(ladder: Ladder) -> str:
    """What was followed, in one line."""
    rows, how = ladder.table, ladder.table.attrs
    words = (
        f"{rows.sizes['setting']} settings of {how['task']} with {rows.sizes['seed']} seeds, landscape "
        f"{how['landscape']}; AdamW at rate {how['adamw_rate']:g} with the same ηγ"
    )
    if not ladder.paths:
        return words
    sampled = sorted({float(g) for path in ladder.paths for g in path.gamma_eff}, reverse=True)
    return f"{words}; decay path sampled at γ_eff of {', '.join(f'{g:.3g}' for g in sampled)}"


def tables(ladder: Ladder) -> dict[str, dict[str, Iterable[object]]]:
    """The tables of a ladder, by title: times, ratios, and what each rung costs."""
    rows = ladder.table
    return {
        "Median steps until the test accuracy passes the threshold (in brackets: seeds with a time; "
        "0: it passes at the start)": {**_start(rows), **_times(rows)},
        "Each rung over the one above it, median over the seeds with both times (how many)": {
            **_start(rows),
            **_ratios(rows),
        },
        "All settings and seeds": {**summary(ladder)},
    }


def _start(rows: xr.Dataset) -> dict[str, Iterable[object]]:
    return {**settings(rows)}


def _times(rows: xr.Dataset) -> dict[str, Iterable[object]]:
    medians, known = middle(rows), np.isfinite(rows["t_grok"].values).sum(1)
    columns: dict[str, Iterable[object]] = {}
    for k, name in enumerate(rows["rung"].values):
        columns[str(name)] = [f"{_steps(t)} ({n})" for t, n in zip(medians[:, k], known[:, k], strict=True)]
    return columns


def _ratios(rows: xr.Dataset) -> dict[str, Iterable[object]]:
    found, names = ratios(rows), rows["rung"].values
    columns: dict[str, Iterable[object]] = {}
    for k in range(1, len(names)):
        each = [r[np.isfinite(r)] for r in found[..., k]]
        columns[f"{names[k]}/{names[k - 1]}"] = [
            f"{np.median(r):.2f} ({r.size})" if r.size else "-" for r in each
        ]
    return columns


def summary(ladder: Ladder) -> dict[str, list[object]]:
    """By rung: what it drops, the ratio to the rung above (median, least, greatest), the number of pairs, and
    how many lose or gain a time there; and against the full network by SGD."""
    rows, found = ladder.table, ratios(ladder.table)
    times = rows["t_grok"].values
    full = times[..., [r.name for r in ladder.rungs].index("gd")]
    columns: dict[str, list[object]] = {
        k: []
        for k in ("rung", "does without", "ratio", "least", "greatest", "pairs", "lost", "gained", "over SGD")
    }
    for k, rung in enumerate(ladder.rungs):
        known = found[..., k][np.isfinite(found[..., k])]
        here = np.isfinite(times[..., k])
        above = np.isfinite(times[..., k - 1]) if k else here
        with np.errstate(divide="ignore", invalid="ignore"):
            against = (times[..., k] / full)[here & np.isfinite(full) & (times[..., k] > 0) & (full > 0)]
        ends = (np.median, np.min, np.max)
        row: list[object] = [
            rung.words,
            rung.drops or "-",
            *(f"{f(known):.2f}" if known.size else "-" for f in ends),
        ]
        row += [known.size, int((above & ~here).sum()), int((here & ~above).sum())]
        row += [f"{np.median(against):.2f} ({against.size})" if against.size else "-"]
        for name, value in zip(columns, row, strict=True):
            columns[name].append(value)
    return columns


def verdict(ladder: Ladder) -> str:
    """Which assumption costs most."""
    found = ratios(ladder.table)
    cost = [
        np.median(np.abs(np.log(r))) if (r := found[..., k][np.isfinite(found[..., k])]).size else np.nan
        for k in range(len(ladder.rungs))
    ]
    known = np.isfinite(ladder.table["t_grok"].values)
    lost = (known[..., :-1] & ~known[..., 1:]).sum((0, 1))
    worst = int(lost.argmax()) + 1
    also = (
        f" Most times are lost, {lost.max()} of {known[..., worst - 1].sum()}, in dropping that of "
        f"{ladder.rungs[worst].drops}."
        if lost.any()
        else ""
    )
    if np.isnan(cost).all():
        return (
            "No two neighbouring rungs have a time: which assumption costs most cannot be read from "
            f"them.{also}"
        )
    k = int(np.nanargmax(cost))
    pairs = int(np.isfinite(found[..., k]).sum())
    return (
        f"The costliest assumption is that of {ladder.rungs[k].drops}: dropping it "
        f"({ladder.rungs[k - 1].words} → {ladder.rungs[k].words}) changes a time by a factor of "
        f"{np.exp(cost[k]):.2f} (median of {pairs}, either way).{also}"
    )


def _steps(value: float) -> str:
    return "-" if np.isnan(value) else cell(float(round(value)))
