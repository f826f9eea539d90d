"""What a report says of a prediction from a decay path: τ_c, the resolutions, the numerical error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from groktime.reduced.flow import Status
from groktime.reduced.report import INDENT, number, plain

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction, SeedPrediction

_NEXT = "\n" + INDENT
NOTES = {
    Status.NEVER: "Without decay (gamma = 0), set or implicit, nothing moves along the valley.",
    Status.ALREADY: "The network generalizes as it fits: nothing to wait for.",
    Status.COLLAPSES: (
        f"Decay makes the network forget its training set before it generalizes, or eta_d * gamma is{_NEXT}"
        "1 or more, or the path diverged: a smaller gamma, a smaller learning rate."
    ),
    Status.UNFITTED: "The training set was not fitted: more `fit_steps`, or another learning rate.",
    Status.OUTSIDE: (
        f"The start lies outside what was sampled, or the path ends before the threshold is passed;{_NEXT}"
        "nothing is extrapolated: sample more, or a longer path."
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
    return [f"Path        tau_c = {tau_c(p):.4g}, {_read(p)}"]


def _read(p: Prediction) -> str:
    used = p.detail.gamma_eff
    each = " and ".join(f"{g:.3g}" for g in used)
    if len(used) > 1 and p.settings["gamma"] < min(used):
        return f"carried on below the resolutions gamma_eff = {each}"
    return f"read at gamma_eff = {each}"


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
