"""Fresh spheres against spheres from above, teacher–student:
`python -m groktime.recipes table_above --path out/table_path/along.nc`.

Of a runs file of teacher–student with the seeds 0 to 3 (--runs), such as fig2 writes. For each α in
it: errors of the flow on the landscape that ships, sampled with fresh networks on every sphere, and on
landscapes that were sampled from the start down, each sphere from the solution on the next larger one, with
several budgets; alone, and with the time of the fit added (that of a decay path, if one is given).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr

from groktime.fullnet.runs import open_runs
from groktime.fullnet.tasks import teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import from_above, predicted, there
from groktime.recipes.shared.tables import table
from groktime.reduced.decay_path import open_path
from groktime.validation.compare import compare

BUDGETS = (250, 500, 1000)
LOWEST = 0.9


def rows(name: str, compared: xr.Dataset) -> list[list[str]]:
    """Mean absolute and mean signed error, long and short delays of each α."""
    measured, long = compared["measured_t_grok"].values, ~compared["short"].values.astype(bool)
    told = {"": predicted(compared, "flow")}
    if "path" in compared["predictor"].values:
        told[" + fit"] = told[""] + compared["predicted_t_mem"].sel(predictor="path").values
    out = []
    for more, times in told.items():
        row, error = [name + more], 100 * (times / measured - 1)
        for alpha in np.unique(compared["alpha"]):
            for some in (long, ~long):
                own = error[some & (compared["alpha"].values == alpha)]
                row.append(f"{np.nanmean(np.abs(own)):.1f} ({np.nanmean(own):+.1f})" if len(own) else "–")
        out.append(row)
    return out


@recipe("table_above", "teacher–student: fresh spheres against spheres from above, on the runs of fig2")
def run(
    out: Path,
    *,
    runs: Annotated[Path, "a runs file of teacher–student (that of fig2)"] = Path("out/fig2/sweep.nc"),
    path: Annotated[Path | None, "a decay path of the same starts and seeds (none)"] = None,
) -> None:
    measured = open_runs(there(runs, "groktime figure fig2"))
    more = [open_path(path)] if path else []
    data, task = measured.dataset, teacher_student()
    alpha = [float(a) for a in np.unique(data["alpha"])]
    seeds = [int(s) for s in np.unique(data["seed"])]
    found = rows("fresh (ships)", compare(["teacher-student", *more], measured).table)
    for steps in BUDGETS:
        lands = from_above(
            out / f"{steps}-{{:g}}.nc", task, alpha=alpha, lowest=LOWEST, seeds=seeds, steps=steps,
            budgets=[steps],
        )  # fmt: skip
        found += rows(f"from above, {steps} steps a sphere", compare([*lands, *more], measured).table)
    each = [f"α = {a:g}, {what} delays" for a in alpha for what in ("long", "short")]
    table(["landscape", *(f"{text}: mean error, %" for text in each)], found, "errors")
