"""The rungs of a ladder that are read from a source: Eq. 6 and its closed forms, and the decay path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.decay_path import DecayPath
from groktime.reduced.flow import Status
from groktime.reduced.prediction import SeedPrediction, predict
from groktime.validation.ladder_settings import Settings

Floats = NDArray[np.float64]
Read = tuple[float, str, float]  # steps, status, and the step at which the source ends where it does not pass


def of_landscape(given: Settings, level: float) -> tuple[list[list[dict[str, Read]]], Floats]:
    """By rung, what the landscape says of each setting and seed; and the corrected form and Eq. 6 at the
    representation's rate, [setting, seed, form]."""
    found, other = [], np.full((len(given.members), len(given.seeds), 2), np.nan)
    for k, c in enumerate(given.members):
        start: dict[str, Any] = {"gamma": c.gamma, "eta_d": c.eta_d, "alpha": c.alpha, "level": level}
        start |= {"n_train": given.size(k), "threshold": given.threshold}
        if given.task.messiness:
            start |= {"m": c.m, "eta_r": c.eta_r}
            of_r = {p.seed: p for p in predict(given.land, **start, m_rate="representation").seeds}
            other[k] = [[of_r[s].forms["corrected"], of_r[s].t_grok] for s in given.seeds]
        by_seed = {p.seed: p for p in predict(given.land, **start).seeds}
        found.append([_rungs(by_seed[seed]) for seed in given.seeds])
    return found, other


def _rungs(p: SeedPrediction) -> dict[str, Read]:
    def form(time: float) -> Read:
        if p.status is Status.ALREADY:
            return 0.0, Status.ALREADY.value, float("nan")
        return time, Status.GENERALIZES.value if np.isfinite(time) else "no form", float("nan")

    eq6: Read = (p.t_grok, p.status.value, float("nan"))
    rungs = {name: form(time) for name, time in p.forms.items() if name in ("printed", "corrected", "drift")}
    return {**rungs, "eq6": eq6}


def of_paths(given: Settings, paths: Sequence[DecayPath]) -> list[list[Read]]:
    """What the path of each setting says of each of its seeds, at the test accuracies of the ladder."""
    found = []
    for k, (path, c) in enumerate(zip(paths, given.members, strict=True)):
        row: list[Read] = []
        for j, seed in enumerate(given.seeds):
            p = predict(
                path, gamma=c.gamma, eta_d=c.eta_d, alpha=c.alpha, m=c.m, n_train=c.n_train, seed=seed,
                threshold=float(given.limits[k, j]),
            )  # fmt: skip
            end = float(p.detail.clock.steps(path.tau[-1])) if p.status is Status.OUTSIDE else float("nan")
            row.append((p.t_grok, p.status.value, end))
        found.append(row)
    return found
