"""What a report says of a prediction from a forecast: its resolutions, its cost, the numerical error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groktime.reduced.flow import Status
from groktime.reduced.report import INDENT, number, plain

if TYPE_CHECKING:
    from groktime.reduced.forecast import Forecast
    from groktime.reduced.prediction import Prediction, SeedPrediction

_NEXT = "\n" + INDENT
NOTES = {
    Status.NEVER: "Without decay (gamma = 0) there is nothing to hasten.",
    Status.ALREADY: "The network generalizes as it fits: nothing to wait for.",
    Status.COLLAPSES: (
        f"Decay makes the network forget its training set before it generalizes: a smaller gamma,{_NEXT}"
        "a smaller learning rate."
    ),
    Status.UNFITTED: "The training set was not fitted: more `fit_steps`, or another learning rate.",
    Status.OUTSIDE: (
        f"The setting is not among those that were forecast, or the horizon ends before the threshold{_NEXT}"
        "is passed: forecast it, or further."
    ),
}


def header(p: Prediction) -> list[str]:
    """Which forecast."""
    forecast = p.source.forecast
    return [
        f"Forecast    {forecast.source}: {forecast.task}, {len(p.seeds)} seed(s), "
        f"N = {p.settings['n_train']}, {forecast.seconds:,.0f} s"
    ]


def behind(p: Prediction) -> list[str]:
    """What the times cost, and what limits them."""
    return [
        f"Cost        {cost(p):,.0f} optimizer steps a seed, numerical error "
        f"{number(100 * error(p), '.1f')} % of t_grok"
    ]


def cost(p: Prediction) -> float:
    """Optimizer steps of a seed, in the mean."""
    return float(np.mean([q.detail.real_steps for q in p.seeds]))


def error(p: Prediction) -> float:
    """Numerical error of ln t_grok, the median over the seeds that have one."""
    known = [q.detail.error for q in p.seeds if math.isfinite(q.detail.error)]
    return float(np.median(known)) if known else float("nan")


def sections(p: Prediction) -> list[str]:
    """Nothing more."""
    return []


def columns(q: SeedPrediction) -> dict[str, str]:
    """More columns of the table by seed."""
    return {"error, %": number(100 * q.detail.error, ".1f"), "steps": number(q.detail.real_steps, ",.0f")}


def numbers(p: Prediction) -> dict[str, Any]:
    """More numbers of the prediction."""
    return {"error": plain(error(p)), "real_steps": plain(cost(p)), "long": p.long}


def seed_numbers(q: SeedPrediction) -> dict[str, Any]:
    """More numbers of a seed."""
    return {"error": plain(q.detail.error), "real_steps": plain(q.detail.real_steps)}


def table(forecast: Forecast, by: Sequence[float] = ()) -> str:
    """A line a setting, for a person: times, interval, cost and numerical error."""
    summary, begin = forecast.summary(by=by), forecast.start_step
    head = ["gamma", "eta_d", "alpha", "t_grok", "90 %", "t_mem", "status", "steps a seed", "fewer", "error"]
    head += ["to go"] * (begin > 0)
    head += [f"by {t:,.0f}" for t in by]
    lines = [head]
    for place in np.ndindex(*summary["t_grok"].shape):
        one = summary.isel(dict(zip(summary["t_grok"].dims, place, strict=True)))
        v = {str(k): x.item() for k, x in one.data_vars.items() if k != "probability"}
        ends = "-" if math.isnan(v["low"]) else f"{number(v['low'], ',.0f')} to {number(v['high'], ',.0f')}"
        line = [f"{float(one[k]):g}" for k in ("gamma", "eta_d", "alpha")]
        line += [number(v["t_grok"], ",.0f"), ends, number(v["t_mem"], ",.0f"), str(v["status"])]
        line += [f"{v['real_steps']:,.0f}", number(v["speed_up"], ".1f"), number(100 * v["error"], ".0f")]
        line += [number(v["to_go"], ",.0f")] if begin else []
        shares = [float(x) for x in one["probability"].values] if len(by) else []
        lines.append([*line, *(number(100 * x, ".0f") for x in shares)])
    units = ["", "", "", "steps", "steps", "steps", "", "", "times", "%", *["steps"] * (begin > 0)]
    units += ["%" for _ in by]
    lines.insert(1, units)
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    text = "\n".join(
        "  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )
    seeds = len(forecast.seeds)
    since = f", from step {begin:,}" if forecast.start else ""
    since += "" if forecast.start.get("moments", True) else ", without the optimizer's moments"
    return (
        f"{forecast.task}: {seeds} seed{'s' * (seeds > 1)}, N = {forecast.attrs['n_train']}{since}, "
        f"{forecast.seconds:,.0f} s\n\n{text}"
    )
