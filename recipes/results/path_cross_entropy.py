"""A decay path without a floor under its loss: MNIST with cross-entropy from α = 100 (P Fig. 12).

N = 200, all images in each step, AdamW 1e-3: networks under γ of 0.3 and 1, and their decay path. With
cross-entropy a fitted network goes on growing, in the refit, too, so that there is no valley to stay in: what
is left of the collapse onto τ = ηγt? Prints the test accuracy over τ, and draws it. Needs the MNIST files
(docs/data.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from groktime.fullnet.tasks import mnist
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import of, pathed, took, trained
from groktime.recipes.shared.tables import span, table
from groktime.validation.figures import plot

N, ALPHA, ETA = 200, 100.0, 1e-3
GAMMA = (0.3, 1.0)
TAU = 4.6  # ln(100): the norm of the start over that of initialization


@recipe(
    "path_cross_entropy",
    "MNIST with cross-entropy from α = 100, on its decay path",
    seeds=4,
    minutes=12,
    data="MNIST",
)
def run(out: Path, seeds: int) -> None:
    chosen, task = range(seeds), mnist(n_train=N, loss="ce")
    files = [out / f"{name}.nc" for name in ("runs", "path")]
    runs = trained(
        files[0], task, gamma=GAMMA, alpha=ALPHA, eta_d=ETA, seeds=chosen,
        steps=int(np.ceil(TAU / (ETA * min(GAMMA)))), stop_at=0.75, resolution=0.1,
    )  # fmt: skip
    path = pathed(files[1], task, alpha=[ALPHA], seeds=chosen, eta_d=ETA, dtau=0.02, refit=(50, 100, 200),
                  tau=TAU)  # fmt: skip
    at = np.array([0.05, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5])
    rows = []
    for what in ("test_accuracy", "weight_norm"):
        for gamma in GAMMA:
            curves, step = of(runs.dataset, gamma=gamma)[what].values, runs.step
            each = [np.interp(at, ETA * gamma * step, curve, right=np.nan) for curve in curves]
            rows.append([what.replace("_", " "), f"trained, γ = {gamma:g}", *_spans(np.array(each))])
        for k, decay in enumerate(path.gamma_eff):
            curves = path.dataset[what].values[:, 0, 0, 0, k]
            each = [np.interp(at, path.tau, curve) for curve in curves]
            rows.append([what.replace("_", " "), f"path, γ_eff = {decay:.2g}", *_spans(np.array(each))])
    print("Least and greatest of the seeds, at τ =")
    table(["", "", *(f"{t:g}" for t in at)], rows, "curves")
    file = out / "collapse.png"
    plot(runs, file, kind="collapse", path=path, alpha=ALPHA, overwrite=True)
    print(f"\nFigure: {file}")
    took(*files)


def _spans(values: np.ndarray) -> list[str]:
    return [span(float(column.min()), float(column.max())) for column in values.T]
