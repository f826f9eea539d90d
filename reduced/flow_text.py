"""What a report says of a prediction from a landscape: phases of the trajectory, and three predictions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from groktime.reduced.flow import Status
from groktime.reduced.flow_source import DRIFT, DRIFT_CLOSED, TURNING
from groktime.reduced.phases import points
from groktime.reduced.report import INDENT, number, of_seeds, plain, steps
from groktime.reduced.system import DEEP, LEVEL

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction, SeedPrediction

_NEXT = "\n" + INDENT
NOTES = {
    Status.ALREADY: "The start passes the threshold already: nothing to wait for.",
    Status.NEVER: (
        f"Eq. 6 does not lead there. Without decay (gamma = 0) nothing moves the norm; with it, the{_NEXT}"
        f"loss holds the norm above where the threshold is passed: a larger gamma, a lower threshold,{_NEXT}"
        "or more training samples."
    ),
    Status.TRAPPED: (
        f"The flow comes to rest at m > 0, in a ridge of this landscape: another seed, a smaller m at{_NEXT}"
        "the start, a stronger decay, or more training samples (P Fig. 6e)."
    ),
    Status.COLLAPSES: (
        f"Decay drives the norm through the wall, or eta_d * gamma is 1 or more: the network forgets{_NEXT}"
        "its training set. A smaller gamma, or a larger eta_r."
    ),
    Status.UNFITTED: (
        f"The training set is fitted nowhere on this landscape (95 % of it; without accuracies, a loss{_NEXT}"
        f"of {LEVEL:g}, or {DEEP:g} of the largest): there is nothing to generalize from; more steps a cell."
    ),
    Status.OUTSIDE: (
        f"The start, or the trajectory, lies outside what was sampled, and nothing is extrapolated:{_NEXT}"
        "start inside, or sample a larger grid."
    ),
}


def header(p: Prediction) -> list[str]:
    """Which landscape, and where on it."""
    s, land = p.settings, p.source.land
    return [
        f"Landscape   {land.source}: {land.task}, {len(p.seeds)} seed(s), N = {s['n_train']}, "
        f"{s['sampled_steps']:,} steps a cell",
        f"Norm        w = {p.detail.geometry.w_start:.2f} at the start, w0 = {p.detail.system.w0:.2f} "
        f"(seed {p.typical.seed})",
    ]


def behind(p: Prediction) -> list[str]:
    """Nothing more."""
    return []


def sections(p: Prediction) -> list[str]:
    """Phases and the three predictions."""
    return [
        "",
        f"Phases of seed {p.typical.seed} (the one nearest to the median)",
        *_phases(p),
        "",
        "Predictions, in steps (medians; of a form, over the seeds that have one)",
        *_three(p),
    ]


def _phases(p: Prediction) -> list[str]:
    w0, rows = p.detail.system.w0, []
    for point in points(p):
        where = f"w = {point.w:8.3f} (alpha {point.w / w0:.3f})"
        if p.source.land.two_dimensional:
            where += f", m = {point.m:.4f}"
        t = steps(float(p.schedule.steps_to(point.s / p.settings["eta_d"])))
        rows.append(f"  {point.name}  t = {t:>10}  {where}  {point.event}")
    return rows


def _three(p: Prediction) -> list[str]:
    g, b = p.detail.geometry, p.detail.balance
    if not p.source.land.two_dimensional:
        w_c = number(g.w_end, ".2f")
        return [
            f"  closed form  {steps(p.forms['printed']):>12}  {of_seeds(p, 'printed')}; "
            f"ln(w_start/w_c)/(eta_D gamma), w_c = {w_c}",
            f"  flow, Eq. 6  {steps(p.t_grok):>12}  {_flow_seeds(p)}; other where the loss holds the norm up",
            *_turning(p),
            *_drift(p),
        ]
    printed, corrected = (steps(p.forms[name]) for name in ("printed", "corrected"))
    theta, theta_b = math.degrees(g.theta), math.degrees(b.theta)
    slide = p.settings["eta_d"] / p.settings["eta_r"] * b.slide if p.settings["eta_r"] else math.inf
    return [
        f"  as printed   {printed:>12}  {of_seeds(p, 'printed')}; "
        f"(L + h tan theta)/(eta_D gamma), at loss {g.level:g}",
        f"  corrected    {corrected:>12}  {of_seeds(p, 'corrected')}; "
        "metric 1/w^2, rates, where decay and loss balance",
        f"  flow, Eq. 6  {steps(p.t_grok):>12}  {_flow_seeds(p)}; integrated, no contour is assumed",
        *_turning(p),
        *_drift(p),
        f"Why they differ, for seed {p.typical.seed}",
        f"  contour      printed: L = {number(g.L, '.3f')}, h = {number(g.h, '.4f')}, "
        f"theta = {number(theta, '.1f')} deg; balance: L = {number(b.L, '.3f')}, "
        f"h = {number(b.h, '.4f')}, theta = {number(theta_b, '.1f')} deg",
        f"  slide        h tan theta = {number(g.h * math.tan(g.theta), '.4f')} in the plain metric; "
        f"{number(slide, '.4f')} with 1/w^2 and the rates",
    ]


def _flow_seeds(p: Prediction) -> str:
    """How many seeds have a time; in the median the others count as infinite."""
    return f"{sum(math.isfinite(q.t_grok) for q in p.seeds)} of {len(p.seeds)} seeds"


def _drift(p: Prediction) -> list[str]:
    """The times on the network's own metric."""
    if DRIFT not in p.forms:
        return []
    times = (f"{steps(p.forms[name]):>12}  {of_seeds(p, name)}" for name in (DRIFT, DRIFT_CLOSED))
    on, closed = times
    return [
        f"  drift        {on}; Eq. 6 on the network's own metric",
        f"  {'':<12} {closed}; its closed form",
    ]


def _turning(p: Prediction) -> list[str]:
    """The time of a turning direction, and by how much it turns on the way of the typical seed."""
    if TURNING not in p.forms:
        return []
    told, turning, g = "", p.detail.system.surface.turning, p.detail.geometry
    if turning is not None and g.w_end < g.w_start:
        least, most = turning.range(math.log(g.w_end), math.log(g.w_start))
        told = f" by {least:.2g} to {most:.2g}"
    return [
        f"  turning      {steps(p.forms[TURNING]):>12}  {of_seeds(p, TURNING)}; Eq. 6 with du/dt divided by",
        f"  {'':25}  1 + |dw^/du|^2: the direction turns{told} on the way down",
    ]


def columns(q: SeedPrediction) -> dict[str, str]:
    """More columns of the table by seed."""
    return {name: steps(time) for name, time in q.forms.items()}


def numbers(p: Prediction) -> dict[str, Any]:
    """More numbers of the prediction: L, h, θ of the typical seed."""
    return {"geometry": _geometry(p.typical)}


def seed_numbers(q: SeedPrediction) -> dict[str, Any]:
    """More numbers of a seed."""
    return {"geometry": _geometry(q)}


def _geometry(q: SeedPrediction) -> dict[str, float | None]:
    names = ("level", "L", "h", "theta", "w_start", "w_boundary", "w_end", "m_start", "m_end")
    return {name: plain(getattr(q.detail.geometry, name)) for name in names}
