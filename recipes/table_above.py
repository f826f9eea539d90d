"""Fresh spheres against spheres from above, teacher–student: `python recipes/table_above.py RUNS`.

RUNS is a runs file of teacher–student with the seeds 0 to 3, such as recipes/fig2.py writes. For each α in
it: errors of the flow on the landscape that ships, sampled with fresh networks on every sphere, and on
landscapes that were sampled from the start down, each sphere from the solution on the next larger one, with
several budgets; alone, and with the time of the fit added (that of a decay path, if one is given).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from common import from_above, table

from groktime.fullnet.runs import open_runs
from groktime.fullnet.tasks import teacher_student
from groktime.reduced.decay_path import open_path
from groktime.reduced.landscape import open_landscape
from groktime.validation.compare import compare

BUDGETS = (250, 500, 1000)
LOWEST = 0.9


def rows(name: str, compared: xr.Dataset) -> list[list[str]]:
    """Mean absolute and mean signed error, long and short delays of each α."""
    measured, long = compared["measured_t_grok"].values, ~compared["short"].values.astype(bool)
    told = {"": compared["predicted_t_grok"].values}
    if "predicted_t_mem_path" in compared:
        told[" + fit"] = told[""] + compared["predicted_t_mem_path"].values
    out = []
    for more, predicted in told.items():
        row, error = [name + more], 100 * (predicted / measured - 1)
        for alpha in np.unique(compared["alpha"]):
            for some in (long, ~long):
                own = error[some & (compared["alpha"].values == alpha)]
                row.append(f"{np.nanmean(np.abs(own)):.1f} ({np.nanmean(own):+.1f})" if len(own) else "–")
        out.append(row)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="a runs file of teacher–student")
    parser.add_argument("--path", type=Path, help="a decay path of the same starts and seeds")
    parser.add_argument("-o", "--out", type=Path, default=Path("out/table_above"), help="folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    runs, path = open_runs(options.runs), open_path(options.path) if options.path else None
    data, task = runs.dataset, teacher_student()
    alpha = [float(a) for a in np.unique(data["alpha"])]
    seeds = [int(s) for s in np.unique(data["seed"])]
    found = rows("fresh (ships)", compare(open_landscape("teacher-student"), runs, path).table)
    for steps in BUDGETS:
        lands = from_above(
            options.out / f"{steps}-{{:g}}.nc", task, alpha=alpha, lowest=LOWEST, seeds=seeds, steps=steps,
            budgets=[steps],
        )  # fmt: skip
        found += rows(f"from above, {steps} steps a sphere", compare(lands, runs, path).table)
    each = [f"α = {a:g}, {what} delays" for a in alpha for what in ("long", "short")]
    table(["landscape", *(f"{text}: mean error, %" for text in each)], found)


if __name__ == "__main__":
    main()
