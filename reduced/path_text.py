"""What a report says of a prediction from a decay path: τ_c, the resolutions, the numerical error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from groktime.reduced.flow import Status
from groktime.reduced.report import INDENT, number, plain

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction, SeedPrediction

_APART = 0.05  # numerical error, as a share of τ_c, up to which there is no remark
_NEXT = "\n" + INDENT
NOTES = {
    Status.NEVER: "Without decay (gamma = 0), set or implicit, nothing moves along the valley.",
    Status.ALREADY: "The network generalizes as it fits: nothing to wait for.",
    Status.COLLAPSES: (
        f"Decay makes the network forget its training set before it generalizes, or eta_d * gamma is{_NEXT}"
        "1 or more, or the path diverged: a smaller gamma, a smaller learning rate."
    ),
    Status.OUTSIDE: (
        f"The start lies outside what was sampled, the training set was not fitted, or the path ends{_NEXT}"
        "before the threshold is passed; nothing is extrapolated: sample more, or a longer path."
    ),
}


def tau_c(p: Prediction) -> float:
    """The median over the seeds that have one."""
    known = [q.detail.tau_c for q in p.seeds if math.isfinite(q.detail.tau_c)]
    return float(np.median(known)) if known else float("nan")


def header(p: Prediction) -> list[str]:
    """Which path."""
    path = p.source.path
    return [
        f"Path        {path.source}: {path.task}, {len(p.seeds)} seed(s), N = {p.settings['n_train']}, "
        f"dtau = {path.dtau:g}, refit = {', '.join(map(str, path.refit))}"
    ]


def behind(p: Prediction) -> list[str]:
    """Where the times come from, and what limits them."""
    return [f"Path        tau_c = {tau_c(p):.4g}, {_read(p)}", *(INDENT + text for text in _remarks(p))]


def _read(p: Prediction) -> str:
    used = p.detail.gamma_eff
    each = " and ".join(f"{g:.3g}" for g in used)
    if len(used) > 1 and p.settings["gamma"] < min(used):
        return f"carried on below the resolutions gamma_eff = {each}"
    return f"read at gamma_eff = {each}"


def _remarks(p: Prediction) -> list[str]:
    out = []
    if p.status is Status.GENERALIZES and not p.long:
        out.append("The delay is not long against the fit: it is not as 1/gamma.")
    details = [q.detail for q in p.seeds]
    apart = [d.tau_error / d.tau_c for d in details if d.tau_c > 0 and math.isfinite(d.tau_error)]
    if apart and max(apart) > _APART:
        out.append(f"The numerical error is up to {max(apart):.0%}: a larger `refit` would tell better.")
    if len(p.source.path.refit) == 1:
        out.append("The path has one resolution, which tells nothing of its error.")
    return out


def sections(p: Prediction) -> list[str]:
    """Nothing more."""
    return []


def columns(q: SeedPrediction) -> dict[str, str]:
    """More columns of the table by seed."""
    return {"tau_c": number(q.detail.tau_c, ".4f"), "error": number(q.detail.tau_error, ".4f")}


def numbers(p: Prediction) -> dict[str, Any]:
    """More numbers of the prediction."""
    d = p.detail
    return {
        "tau_c": plain(tau_c(p)),
        "gamma_eff": list(d.gamma_eff),
        "resolved": d.resolved,
        "long": p.long,
    }


def seed_numbers(q: SeedPrediction) -> dict[str, Any]:
    """More numbers of a seed."""
    return {name: plain(getattr(q.detail, name)) for name in ("tau_c", "tau_error")}
