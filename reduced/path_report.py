"""A prediction from a decay path as a page of text, and as plain numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from groktime.reduced.flow import Status
from groktime.reduced.report import number, plain, steps

if TYPE_CHECKING:
    from groktime.reduced.path_prediction import PathPrediction, SeedOnPath

_APART = 0.05  # numerical error, as a share of τ_c, up to which there is no remark
_NOTE = {
    Status.NEVER: "Without decay (gamma = 0), set or implicit, nothing moves along the valley.",
    Status.ALREADY: "The network generalises as it fits: nothing to wait for.",
    Status.COLLAPSES: (
        "Decay makes the network forget its training set before it generalises, or eta_d * gamma is\n"
        "            1 or more, or the path diverged: a smaller gamma, a smaller learning rate."
    ),
    Status.OUTSIDE: (
        "The start lies outside what was sampled, the training set was not fitted, or the path ends\n"
        "            before the threshold is passed; nothing is extrapolated: sample more, or a longer path."
    ),
}


def report(p: PathPrediction) -> str:
    """The prediction as a page that a person can read."""
    s, path = p.settings, p.path
    start = f"alpha = {s['alpha']:g}" + ("" if s["m"] is None else f", m = {s['m']:g}")
    lines = [
        f"Path        {path.source}: {path.task}, {len(p.seeds)} seed(s), N = {s['n_train']}, "
        f"dtau = {path.dtau:g}, refit = {', '.join(map(str, path.refit))}",
        f"Start       {start}",
        f"Rates       gamma = {s['gamma']:g}{_implicit(s['implicit'])}, eta_D = {s['eta_d']:g}",
        f"Generalised test {s['metric']} {'>=' if s['metric'] == 'accuracy' else '<='} "
        f"{p.seeds[0].threshold:.3g}",
        "",
        f"Status      {p.status.value}: {sum(map(_passes, p.seeds))} of {len(p.seeds)} seeds",
    ]
    if p.status in _NOTE:
        lines.append(f"            {_NOTE[p.status]}")
    if math.isfinite(p.t_grok):
        low, high = p.interval
        lines += [
            f"Grokking    {steps(p.t_grok)} steps (90 %: {steps(low)} to {steps(high)})",
            f"Memorised   {steps(p.t_mem)} steps; delay {steps(p.delay)}",
            f"Path        tau_c = {p.tau_c:.4g}, {_read(p)}",
        ]
        lines += [f"            {text}" for text in _remarks(p)]
    if len(p.seeds) > 1:
        lines += [
            "",
            "By seed",
            "  seed  status            steps        low       high    tau_c    error",
        ]
        lines += [
            f"  {q.seed:>4}  {q.status.value:<12}{steps(q.t_grok):>11}{steps(q.low):>11}"
            f"{steps(q.high):>11}{number(q.tau_c, '.4f'):>9}{number(q.tau_error, '.4f'):>9}"
            for q in p.seeds
        ]
    return "\n".join(lines)


def as_dict(p: PathPrediction) -> dict[str, Any]:
    """Plain numbers and strings, for scripts (None where there is no number)."""
    numbers = ("t_grok", "t_mem", "delay", "tau_c")
    of_seed = ("t_grok", "t_mem", "tau_c", "tau_error", "threshold")
    return {
        "settings": p.settings,
        "status": p.status.value,
        **{name: plain(getattr(p, name)) for name in numbers},
        "interval": [plain(x) for x in p.interval],
        "gamma_eff": list(p.gamma_eff),
        "resolved": p.resolved,
        "long": p.long,
        "seeds": [
            {"seed": q.seed, "status": q.status.value, "interval": [plain(q.low), plain(q.high)]}
            | {name: plain(getattr(q, name)) for name in of_seed}
            for q in p.seeds
        ],
    }


def _implicit(gamma0: float) -> str:
    return f" + {gamma0:g} implicit" if gamma0 else ""


def _read(p: PathPrediction) -> str:
    each = " and ".join(f"{g:.3g}" for g in p.gamma_eff)
    if len(p.gamma_eff) > 1 and p.settings["gamma"] < min(p.gamma_eff):
        return f"carried on below the resolutions gamma_eff = {each}"
    return f"read at gamma_eff = {each}"


def _remarks(p: PathPrediction) -> list[str]:
    out = []
    if p.status is Status.GENERALIZES and not p.long:
        out.append("The delay is not long against the fit: it is not as 1/gamma.")
    apart = [q.tau_error / q.tau_c for q in p.seeds if q.tau_c > 0 and math.isfinite(q.tau_error)]
    if apart and max(apart) > _APART:
        out.append(f"The numerical error is up to {max(apart):.0%}: a larger `refit` would tell better.")
    if not p.resolved:
        out.append("gamma is above what the path resolves: a smaller `refit` would resolve it.")
    if len(p.path.refit) == 1:
        out.append("The path has one resolution, which tells nothing of its error.")
    return out


def _passes(q: SeedOnPath) -> bool:
    return q.status in (Status.GENERALIZES, Status.ALREADY)
