"""Measured times as text: one row a run, and below it the medians of runs of equal settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.runs import SETTINGS
from groktime.reduced.source import COVERAGE
from groktime.validation.measure import TIMES

_FALLEN = {"t_grok_first": "first", "t_grok_stable": "stable", "share_below": "below"}


def groups(delays: xr.Dataset) -> list[str]:
    """The settings that tell runs apart, but for the seed; alpha and gamma always, where they are known."""
    varied = [k for k in SETTINGS if len(np.unique(delays[k].values)) > 1 and k != "seed"]
    always = [k for k in ("alpha", "gamma") if not np.isnan(delays[k].values).all()]
    return [*always, *(k for k in varied if k not in always)]


def places_of(which: NDArray[np.integer], count: int) -> list[NDArray[np.intp]]:
    """Of each group, where its members lie, ascending; `which` is the group of each, 0 to count - 1."""
    order = np.argsort(which, kind="stable")
    return np.split(order, np.searchsorted(which[order], np.arange(1, count)))


def report(delays: xr.Dataset, medians: xr.Dataset) -> str:
    """The tables of `validation.measure.measure` and of `validation.survival.summary`."""
    shown = [k for k in SETTINGS if not np.isnan(delays[k].values).all()]
    if "name" in delays:  # of a log, whose seeds are numbers of ours
        shown = ["name", *(k for k in shown if k != "seed")]
    censored = delays["train_censored"].values | delays["test_censored"].values
    until = np.where(censored, delays["last"].values, np.nan)
    columns: dict[str, Iterable[object]]
    columns = {k: delays[k].values for k in (*shown, "t_mem", "t_grok", "delay", "norm_at_grok")}
    columns["censored at"] = until
    fell = bool(np.any(delays["share_below"].values > 0))
    if fell:
        columns |= {words: delays[k].values for k, words in _FALLEN.items()}
    runs = table(columns)

    counts = {k: medians[k].values for k in (*medians.coords, "n")}
    spans: dict[str, Iterable[object]] = {}
    for part in ("train", "test"):
        time = TIMES[part]
        spans[f"{part} censored"] = medians[f"n_{part}_censored"].values
        spans[time] = medians[time].values
        ends = (medians[f"{time}_low"].values, medians[f"{time}_high"].values)
        spans[f"{time}, {COVERAGE:.0%}"] = [f"{cell(a)} to {cell(b)}" for a, b in zip(*ends, strict=True)]
    how = delays.attrs
    lasting = "" if how["rule"] == "first" else f", {how['persist']} evaluations or more"
    return with_dash(
        f"Times in optimizer steps: {how['metric']} passes {cell(how['train_threshold'])} (train), "
        f"{cell(how['threshold'])} (test); rule {how['rule']}{lasting}\n{runs}\n{_told(delays, fell)}\n"
        f"Kaplan–Meier medians\n{table({**counts, **spans})}",
        "not reached by the end of the run, or not recorded",
    )


def _told(delays: xr.Dataset, fell: bool) -> str:
    """Remarks below the table of runs, a line each."""
    lines = delays.attrs["remarks"].splitlines()
    if fell:
        count = int((delays["share_below"].values > 0).sum())
        lines.append(
            f"{count} runs fall back below the test threshold: first and stable pass, and the share of the "
            "evaluations after the first that are below"
        )
    return "".join(f"- {line}\n" for line in lines)


def with_dash(text: str, means: str) -> str:
    """A text with a line on what a dash in it means, where there is one."""
    return f"{text}\n\n-  {means}" if re.search(r"(^|  )-(  |$)", text, re.MULTILINE) else text


def table(columns: dict[str, Iterable[object]]) -> str:
    """Columns of numbers and words, right-aligned under their names."""
    cells = [[name, *(cell(v) for v in values)] for name, values in columns.items()]
    widths = [max(map(len, column)) for column in cells]
    return "\n".join(_row(row, widths) for row in zip(*cells, strict=True))


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def cell(value: object) -> str:
    """A number as short as can be; a dash where there is none."""
    if isinstance(value, str):
        return value
    if np.ndim(value):  # type: ignore[arg-type]
        return "one a run"
    number = float(value)  # type: ignore[arg-type]
    if np.isnan(number):
        return "-"
    return f"{number:.0f}" if number == np.floor(number) and abs(number) < 1e9 else f"{number:.6g}"
