"""What the shipped landscapes show, seed by seed: `python recipes/table_landscapes.py` (Markdown).

Teacher–student: the LU shape of P Fig. 2a. Toy addition by training-set size: P Fig. 6e claims that 45
and more pairs reach the generalising solution, more of them at a smaller angle θ and sooner, and that
25 and 35 do not reach it.
"""

from __future__ import annotations

import math

import numpy as np

from groktime.reduced.landscape import Landscape, open_landscape, shipped
from groktime.reduced.prediction import predict
from groktime.reduced.system import systems

FITTED = 1e-4  # a training loss below this counts as 0
GAMMA, ETA_D, ETA_R = 1e-3, 1e-2, 1e-2
REACHED = 0.45  # a test accuracy that N = 25 has nowhere, and N = 45 at m = 0


def lu_shape(land: Landscape) -> None:
    print(
        "| seed | alpha of the least test loss | smallest alpha that fits (training loss < 1e-4) | alpha_c |"
    )
    print("|---:|---:|---:|---:|")
    for seed in land.seeds:
        one = land.one(seed).isel(m=0)
        alpha, train = one["alpha"].values, one["train_loss"].values
        left = alpha[np.flatnonzero(train < FITTED)[0]]
        p = predict(land, gamma=0.1, eta_d=3e-4, alpha=float(alpha[-2]), seed=seed)
        best = float(alpha[np.argmin(one["test_loss"].values)])
        print(f"| {seed} | {best:.3g} | {left:.3g} | {p.geometry.w_end / p.system.w0:.3f} |")


def by_train_size(land: Landscape, alpha: float, m: float) -> None:
    print(f"Start alpha = {alpha:g}, m = {m:g}; gamma = {GAMMA:g}, eta_D = {ETA_D:g}, eta_R = {ETA_R:g}.")
    print("The wall: alpha of the boundary at m = 0 and at the start's m, and its angle between them.\n")
    print(
        "| N | seed | wall at m = 0 | at the start's m | theta, deg | test accuracy at m = 0 "
        f"| 95 % of that: status | flow | 90 % | printed | corrected | accuracy {REACHED:g}: status | flow |"
    )
    print("|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|---|---:|")
    start = {"gamma": GAMMA, "eta_d": ETA_D, "eta_r": ETA_R, "alpha": alpha, "m": m}
    for n in land.n_train:
        own = predict(land, n_train=n, **start)
        fixed = predict(land, n_train=n, threshold=REACHED, **start)
        for system, q, r in zip(systems(land, n_train=n), own.seeds, fixed.seeds, strict=True):
            u = system.surface.boundary.curve(np.array([0.0, m]))
            low, high = np.exp(u) / system.w0
            theta = math.degrees(system.surface.boundary.angle(0.0, m))
            ceiling = q.threshold / float(land.dataset.attrs["accuracy_threshold"])
            print(
                f"| {n} | {q.seed} | {low:.2f} | {high:.2f} | {theta:.1f} | {ceiling:.2f} "
                f"| {q.status.value} | {_n(q.t_grok)} | {_n(q.low)} – {_n(q.high)} "
                f"| {_n(q.closed_form)} | {_n(q.corrected)} | {r.status.value} | {_n(r.t_grok)} |"
            )


def _n(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "–"


if __name__ == "__main__":
    print("## teacher-student: the LU shape\n")
    lu_shape(open_landscape("teacher-student"))
    for name in shipped():
        if name.startswith("addition"):
            land = open_landscape(name)
            print(f"\n## {name}\n")
            by_train_size(land, float(land.alpha[-2]), float(land.m[len(land.m) * 3 // 5]))
