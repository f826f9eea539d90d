"""A prediction as text for a person and as plain numbers for a script."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from groktime.reduced.flow import Path, Status

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction

_REMEDY = {
    Status.ALREADY: "The start passes the threshold already: nothing to wait for.",
    Status.NEVER: (
        "Eq. 6 does not lead there. Without decay (gamma = 0) nothing moves the norm; with it, the loss\n"
        "            holds the norm above where the threshold is passed: a larger gamma, a lower threshold,\n"
        "            or more training samples."
    ),
    Status.TRAPPED: (
        "The flow comes to rest at m > 0, in a ridge of this landscape: another seed, a smaller m at\n"
        "            the start, a stronger decay, or more training samples (P Fig. 6e)."
    ),
    Status.COLLAPSES: (
        "Decay drives the norm through the wall, or eta_d * gamma is 1 or more: the network forgets its\n"
        "            training set. A smaller gamma, or a larger eta_r."
    ),
    Status.OUTSIDE: (
        "The start, or the path, lies outside what was sampled, and nothing is extrapolated: start\n"
        "            inside, or sample a larger grid."
    ),
}


def report(p: Prediction) -> str:
    """The prediction as a page of text."""
    g, s, land = p.geometry, p.settings, p.landscape
    w0 = p.system.w0
    start = f"alpha = {s['alpha']:g} (w = {g.w_start:.2f}, w0 = {w0:.2f})"
    rates = f"gamma = {s['gamma']:g}, eta_D = {s['eta_d']:g}"
    if land.two_dimensional:
        start += f", m = {s['m']:g}"
        rates += f", eta_R = {s['eta_r']:g}"
    lines = [
        f"Landscape   {land.source}: {land.task}, {len(p.seeds)} seed(s), N = {s['n_train']}, "
        f"{s['sampled_steps']:,} steps a cell",
        f"Start       {start}",
        f"Rates       {rates}",
        f"Generalised test {s['metric']} "
        + (">=" if s["metric"] == "accuracy" else "<=")
        + f" {p.typical.threshold:.3g} (seed {p.typical.seed})",
        "",
        f"Status      {p.status.value}: {_count(p)} of {len(p.seeds)} seeds generalise",
    ]
    if p.status in _REMEDY:
        lines += [f"            {_REMEDY[p.status]}"]
    if math.isfinite(p.t_grok):
        low, high = p.interval
        lines += [
            f"Grokking    {steps(p.t_grok)} steps (90 %: {steps(low)} to {steps(high)})",
            f"Memorised   {steps(p.t_mem)} steps; delay {steps(p.delay)}",
        ]
    lines += ["", f"Phases of seed {p.typical.seed} (the one nearest to the median)", *_phases(p), ""]
    lines += ["Three predictions, in steps (median over the seeds that have one)", *_three(p)]
    if len(p.seeds) > 1:
        lines += ["", "By seed", *_by_seed(p)]
    return "\n".join(lines)


def _three(p: Prediction) -> list[str]:
    g, b = p.geometry, p.typical.balance
    if not p.landscape.two_dimensional:
        w_c = number(g.w_end, ".2f")
        return [
            f"  closed form  {steps(p.closed_form):>12}  ln(w_start/w_c)/(eta_D gamma), w_c = {w_c}",
            f"  flow, Eq. 6  {steps(p.t_grok):>12}  differs where the loss holds the norm up",
        ]
    theta, theta_b = math.degrees(g.theta), math.degrees(b.theta)
    return [
        f"  as printed   {steps(p.closed_form):>12}  (L + h tan theta)/(eta_D gamma), at loss {g.level:g}",
        f"  corrected    {steps(p.corrected):>12}  metric 1/w^2, rates, where decay and loss balance",
        f"  flow, Eq. 6  {steps(p.t_grok):>12}  integrated; no contour is assumed",
        f"Why they differ, for seed {p.typical.seed}",
        f"  contour      printed: L = {number(g.L, '.3f')}, h = {number(g.h, '.4f')}, "
        f"theta = {number(theta, '.1f')} deg; balance: L = {number(b.L, '.3f')}, "
        f"h = {number(b.h, '.4f')}, theta = {number(theta_b, '.1f')} deg",
        f"  slide        h tan theta = {number(g.h * math.tan(g.theta), '.4f')} in the plain metric; "
        f"{number(_slide(p), '.4f')} with 1/w^2 and the rates",
    ]


def _slide(p: Prediction) -> float:
    ratio = p.settings["eta_d"] / p.settings["eta_r"] if p.settings["eta_r"] else math.inf
    return ratio * p.typical.balance.slide


def _phases(p: Prediction) -> list[str]:
    g, path, eta_d = p.geometry, p.path, p.settings["eta_d"]
    w0 = p.system.w0
    rows = [("A", 0.0, g.w_start, g.m_start, "start")]
    if math.isfinite(p.typical.t_mem):
        t = p.typical.t_mem
        at = _at(path, t * eta_d, g.w_start, g.m_start)
        rows.append(("B", t, *at, "training set fitted; the norm only decays"))
    if path is not None:
        wall = meets_wall(p, path)
        if wall is not None and wall < path.end:
            at = _at(path, wall, g.w_start, g.m_start)
            rows.append(("C", wall / eta_d, *at, "the wall is met: loss and decay balance"))
        t = path.end
        w, m = _at(path, t, g.w_start, g.m_start)
        word = {
            Status.GENERALIZES: "generalised",
            Status.TRAPPED: "at rest in a ridge",
            Status.NEVER: "at rest",
            Status.COLLAPSES: "off the grid, through the wall",
            Status.OUTSIDE: "off the grid",
        }.get(p.typical.status, "end")
        if p.landscape.two_dimensional and p.typical.status is Status.GENERALIZES:
            half = _halfway(path)
            rows.append(("D", half / eta_d, *_at(path, half, w, m), "half of the way down in m"))
        rows.append(("E", t / eta_d, w, m, word))
    out = []
    for name, t, w, m, word in sorted(rows, key=lambda r: (r[1], r[0])):
        where = f"w = {w:8.3f} (alpha {w / w0:.3f})"
        if p.landscape.two_dimensional:
            where += f", m = {m:.4f}"
        out.append(f"  {name}  t = {steps(t):>10}  {where}  {word}")
    return out


def meets_wall(p: Prediction, path: Path) -> float | None:
    """s = η_D t at which the loss first stops growing under decay (dl/ds = 0), None if it never does."""
    s = np.linspace(0, path.end, 400)
    u, m = path.at(s)
    _, lu, lm, *_ = p.system.surface.derivatives(u, m, second=False)
    ratio = (p.settings["eta_r"] or 0.0) / p.settings["eta_d"]
    gained = lu**2 * np.exp(-2 * u) + ratio * lm**2 + p.settings["gamma"] * lu
    met = np.flatnonzero((gained >= 0) & (lu < 0))
    return float(s[met[0]]) if len(met) else None


def _halfway(path: Path) -> float:
    s = np.linspace(0, path.end, 400)
    m = path.at(s)[1]
    return float(s[np.argmax(m <= (m[0] + m[-1]) / 2)])


def _at(path: Path | None, s: float, w: float, m: float) -> tuple[float, float]:
    if path is None:
        return w, m
    u, m_at = path.at(s)
    return float(np.exp(u[0])), float(m_at[0])


def _by_seed(p: Prediction) -> list[str]:
    head = "  seed  status         flow        low       high    printed  corrected"
    rows = [
        f"  {q.seed:>4}  {q.status.value:<12}{steps(q.t_grok):>11}{steps(q.low):>11}"
        f"{steps(q.high):>11}{steps(q.closed_form):>11}{steps(q.corrected):>11}"
        for q in p.seeds
    ]
    return [head, *rows]


def _count(p: Prediction) -> int:
    return sum(q.status in (Status.GENERALIZES, Status.ALREADY) for q in p.seeds)


def number(value: float, form: str) -> str:
    """A number by its format, a dash where there is none."""
    return format(value, form) if math.isfinite(value) else "-"


def steps(t: float) -> str:
    """A time in optimizer steps."""
    if math.isnan(t):
        return "-"
    if math.isinf(t):
        return "never"
    return f"{t:,.0f}" if t >= 100 or t == 0 else f"{t:.3g}"


def as_dict(p: Prediction) -> dict[str, Any]:
    """Plain numbers and strings; None where there is no number, "inf" as None too."""

    def geometry(g: Any) -> dict[str, Any]:
        names = ("level", "L", "h", "theta", "w_start", "w_boundary", "w_end", "m_start", "m_end")
        return {name: plain(getattr(g, name)) for name in names}

    return {
        "settings": p.settings,
        "status": p.status.value,
        "t_grok": plain(p.t_grok),
        "t_mem": plain(p.t_mem),
        "delay": plain(p.delay),
        "interval": [plain(x) for x in p.interval],
        "closed_form": plain(p.closed_form),
        "corrected": plain(p.corrected),
        "geometry": geometry(p.geometry),
        "seeds": [
            {
                "seed": q.seed,
                "status": q.status.value,
                "t_grok": plain(q.t_grok),
                "interval": [plain(q.low), plain(q.high)],
                "closed_form": plain(q.closed_form),
                "corrected": plain(q.corrected),
                "threshold": plain(q.threshold),
                "geometry": geometry(q.geometry),
            }
            for q in p.seeds
        ],
    }


def plain(value: float) -> float | None:
    """A number for JSON, which has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None
