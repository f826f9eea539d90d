"""Predicted against measured, one-layer transformer.

The runs of fig7 and fig10a (--from) and the decay path of the latter, beside a landscape of the same
seeds sampled from α = 1 down. Nothing is fitted. In a transformer the loss gradient holds the norm up,
so that Eq. 6, in which w falls at the rate ηγ nearly at once, is expected to be far too short.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np

from groktime.fullnet.runs import open_runs
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import from_above, headline, there, took
from groktime.recipes.shared.modular import transformer
from groktime.recipes.shared.tables import number, table
from groktime.reduced.decay_path import open_path
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison

STEPS = 200  # a sphere, of 0.14 in ln α: a weight decay of 0.7


HEAD = ["γ", "seed", "measured t_grok", "Eq. 6", "measured over it", "path", "measured over it"]
HEAD += ["w/w0 at t_grok, Eq. 6", "measured"]


def by_run(made: Comparison) -> list[list[Any]]:
    """Times of each run, and the norms at which it was to generalize, and did."""
    w0 = made.runs.dataset["w0"].values
    rows: list[list[Any]] = []
    for k in np.lexsort((made.table["seed"].values, made.table["gamma"].values)):
        one = made.table.isel(run=k)
        measured = float(one["measured_t_grok"])
        row: list[Any] = [float(one["gamma"]), number(int(one["seed"])), measured]
        for name in ("flow", "path"):
            told = float(one["predicted"].sel(predictor=name))
            row += [told, measured / told]
        norms = float(one["predicted_norm"].sel(predictor="flow")), float(one["norm_at_grok"])
        rows.append([*row, *(norm / w0[k] for norm in norms)])
    return rows


@recipe(
    "table_modular", "transformer: predicted against measured, on the runs of fig7 and fig10a", minutes=0.5
)
def run(
    out: Path, *, from_: Annotated[Path, "folder of the folders fig7 and fig10a (out)"] = Path("out")
) -> None:
    files = [from_ / name for name in ("fig7/free.nc", "fig10a/decay.nc", "fig10a/path.nc")]
    for file in files:
        there(file, f"groktime figure {file.parent.name}")
    every, path = [open_runs(file) for file in files[:2]], open_path(files[2])
    lands = from_above(
        out / "above-{:g}.nc", transformer(full=False), alpha=[1.0], lowest=0.5, step=0.14,
        seeds=path.seeds, steps=STEPS, budgets=[STEPS],
    )  # fmt: skip
    compared = [compare([*lands, path], runs) for runs in every]
    made = compared[-1]
    land = made.lands[-1].dataset.isel(n_train=0, budget=-1, m=0)
    print(f"## The landscape: training / test accuracy after {STEPS} steps a sphere")
    both = (land[f"{name}_accuracy"].values for name in ("train", "test"))
    cells = [[f"{a:.2f} / {b:.2f}" for a, b in zip(*two, strict=True)] for two in zip(*both, strict=True)]
    rows = [[f"{seed}", *row] for seed, row in zip(made.lands[-1].seeds, cells, strict=True)]
    table(["seed", *(f"α = {a:.2f}" for a in made.lands[-1].alpha)], rows, "landscape")
    print("\n## Predicted against measured")
    table(HEAD, [row for one in compared for row in by_run(one)], "runs")
    table(*headline(made), "scores")
    for one in compared:
        print("\n" + (one.table.attrs["remarks"] or "No remarks."))
    took(*(Path(land.source) for land in lands))
    made.write_report(out / "report", overwrite=True)
