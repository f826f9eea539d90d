"""Trained networks and their decay path in one time, τ = ηγt, teacher–student:
`python recipes/collapse.py [--gamma …] [--eta …] [--seeds 4] [-o out/collapse]`.

Networks are trained in full at every γ and η, and followed along their decay path once. If what is slow is
the drift along the valley, all curves of test accuracy against τ are one, and the path's. What was trained
or sampled is read again; give other settings another folder. A run takes τ_c/(ηγ) steps: the smallest η γ
decides.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from common import folder, number, table, took, trained

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.tasks import teacher_student
from groktime.reduced.decay_path import open_path
from groktime.validation.collapse import collapse, plot_collapse

REFIT = (50, 100, 200)
SAMPLED_AT = 3e-4
TAU = 0.75  # of the path, and of the runs


def main() -> None:
    many = {"type": float, "nargs": "+"}
    options = folder(
        __doc__ or "",
        ("--gamma", many | {"default": [0.125, 0.25, 0.5, 1.0], "help": "weight decays"}),
        ("--eta", many | {"default": [2e-4, 4e-4, 8e-4], "help": "learning rates"}),
        ("--alpha", {"type": float, "default": 3.0, "help": "start"}),
    )
    seeds, files = range(options.seeds), [options.out / f"{name}.nc" for name in ("runs", "path")]
    runs = trained(
        files[0], teacher_student(), gamma=options.gamma, eta_d=options.eta, alpha=options.alpha, seeds=seeds,
        steps=int(np.ceil(TAU / (min(options.gamma) * min(options.eta)))), stop_at=0.95,
    )  # fmt: skip
    if not files[1].exists():
        sample_path(
            teacher_student(), alpha=[options.alpha], seeds=seeds, eta_d=SAMPLED_AT, refit=REFIT, tau=TAU,
            stop_at=0.95, out=files[1],
        )  # fmt: skip
    path = open_path(files[1])
    found = collapse(runs, path)
    rows = []
    for gamma in options.gamma:
        for eta in options.eta:
            own = found.isel(run=np.isclose(found["gamma"], gamma) & np.isclose(found["eta_d"], eta))
            error = own["tau_path"].values / own["tau"].values - 1
            tau = ", ".join(map(number, own["tau"].values))
            told = ", ".join("–" if np.isnan(e) else f"{e:+.1%}" for e in error)
            rows.append([gamma, f"{eta:g}", tau, told])
    table(["γ", "η", "τ = ηγt at generalising, by seed", "path, by seed"], rows)
    by_seed = [found.isel(run=found["seed"].values == s)["tau"].values for s in seeds]
    spread = max(float(np.nanmax(t) / np.nanmin(t)) for t in by_seed)
    print(f"\nof one seed, τ varies by a factor of up to {spread:.3f}; t by {_factor(found):.0f}")
    plot_collapse(runs, path, options.alpha, options.out / "collapse.png", overwrite=True)
    took(files[0])


def _factor(found: xr.Dataset) -> float:
    """Slowest over fastest run in steps."""
    t = found["tau"].values / (found["gamma"].values * found["eta_d"].values)
    return float(np.nanmax(t) / np.nanmin(t))


if __name__ == "__main__":
    main()
