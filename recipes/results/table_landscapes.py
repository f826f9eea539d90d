"""What the shipped landscapes show, seed by seed.

Teacher–student: the LU shape of P Fig. 2a. Toy addition by training-set size: P Fig. 6e claims that 45
and more pairs reach the generalizing solution, more of them at a smaller angle θ and sooner, and that
25 and 35 do not reach it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from groktime.recipes.registry import recipe
from groktime.recipes.shared.landscapes import ETA_D, ETA_R, GAMMA, REACHED
from groktime.recipes.shared.tables import keep, markdown
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.prediction import predict
from groktime.reduced.shipped import shipped
from groktime.reduced.system import systems

FITTED = 1e-4  # a training loss below this counts as 0


def lu_shape(land: Landscape) -> None:
    head = [
        "seed",
        "alpha of the least test loss",
        "smallest alpha that fits (training loss < 1e-4)",
        "alpha_c",
    ]
    rows = []
    for seed in land.seeds:
        one = land.one(seed).isel(m=0)
        alpha, train = one["alpha"].values, one["train_loss"].values
        left = alpha[np.flatnonzero(train < FITTED)[0]]
        p = predict(land, gamma=0.1, eta_d=3e-4, alpha=float(alpha[-2]), seed=seed)
        best = float(alpha[np.argmin(one["test_loss"].values)])
        rows.append(
            [f"{seed}", f"{best:.3g}", f"{left:.3g}", f"{p.detail.geometry.w_end / p.detail.system.w0:.3f}"]
        )
    print(keep(f"{land.source}-seeds", markdown(head, rows, right=range(4))))


def by_train_size(land: Landscape, alpha: float, m: float) -> None:
    print(f"Start alpha = {alpha:g}, m = {m:g}; gamma = {GAMMA:g}, eta_D = {ETA_D:g}, eta_R = {ETA_R:g}.")
    print("The wall: alpha of the boundary at m = 0 and at the start's m, and its angle between them.\n")
    head = ["N", "seed", "wall at m = 0", "at the start's m", "theta, deg", "test accuracy at m = 0"]
    head += ["95 % of that: status", "flow", "90 %", "printed", "corrected"]
    head += [f"accuracy {REACHED:g}: status", "flow"]
    rows: list[list[str]] = []
    start: dict[str, Any] = {"gamma": GAMMA, "eta_d": ETA_D, "eta_r": ETA_R, "alpha": alpha, "m": m}
    for n in land.n_train:
        own = predict(land, n_train=n, **start)
        fixed = predict(land, n_train=n, threshold=REACHED, **start)
        for system, q, r in zip(systems(land, n_train=n), own.seeds, fixed.seeds, strict=True):
            u = system.surface.boundary.curve(np.array([0.0, m]))
            low, high = np.exp(u) / system.w0
            theta = math.degrees(system.surface.boundary.angle(0.0, m))
            ceiling = q.threshold / float(land.dataset.attrs["accuracy_threshold"])
            row = [f"{n}", f"{q.seed}", f"{low:.2f}", f"{high:.2f}", f"{theta:.1f}", f"{ceiling:.2f}"]
            row += [q.status.value, _n(q.t_grok), f"{_n(q.low)} – {_n(q.high)}"]
            rows.append(
                [*row, _n(q.forms["printed"]), _n(q.forms["corrected"]), r.status.value, _n(r.t_grok)]
            )
    print(
        keep(
            f"{land.source}-seeds",
            markdown(head, rows, right=[k for k in range(len(head)) if k not in (6, 11)]),
        )
    )


def _n(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "–"


@recipe("table_landscapes", "what the landscapes that ship show, seed by seed", minutes=0.5)
def run(out: Path) -> None:
    print("## teacher-student: the LU shape\n")
    lu_shape(open_landscape("teacher-student"))
    for name in shipped():
        if name.startswith("addition"):
            land = open_landscape(name)
            print(f"\n## {name}\n")
            by_train_size(land, float(land.alpha[-2]), float(land.m[len(land.m) * 3 // 5]))
