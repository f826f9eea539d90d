"""A decay for a budget, then trained.

For budgets of steps on teacher–student and MNIST: the γ that a landscape (sampled from above) and that a
decay path recommend, and when networks of other seeds, trained with it, generalize. Landscapes and paths
are those of table_teacher_student and table_mnist, where they have been sampled (--from).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from groktime.fullnet.runs import Runs
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import mnist, teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import from_above, of, pathed, took, trained
from groktime.recipes.shared.tables import number, table
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape
from groktime.reduced.recommend import recommend
from groktime.validation.measure import measure

FIRST = 40  # seeds that no landscape and no path holds


@dataclass(frozen=True)
class Case:
    """One task, its start and rate, the budgets, and how its landscape and path are sampled."""

    title: str
    task: Task
    files: str
    alpha: float
    eta_d: float
    budgets: Sequence[int]
    seeds: range  # of landscape and path
    above: Mapping[str, Any]
    path: Mapping[str, Any]
    most: int  # seeds that are trained


CASES = (
    Case(
        "Teacher–student, α = 3, η = 3e-4",
        teacher_student(),
        "table_teacher_student/adamw-",
        3.0,
        3e-4,
        (3_000, 6_000, 12_000, 25_000, 50_000, 100_000),
        range(20, 25),
        {"lowest": 0.9, "steps": 500, "budgets": [500]},
        {"refit": (10, 25, 50, 100, 200, 400)},
        10,
    ),
    Case(
        "MNIST, N = 1000, α = 8, η = 1e-3, 70 %",
        mnist(n_train=1000),
        "table_mnist/",
        8.0,
        1e-3,
        (2_500, 3_500, 5_000, 7_000, 10_000, 14_000),
        range(3, 6),
        {"lowest": 2.5, "steps": 150, "budgets": [150]},
        {"refit": (50, 100, 200), "dtau": 0.02},
        2,
    ),
)


def rows(case: Case, sources: Mapping[str, Landscape | DecayPath], out: Path, seeds: int) -> list[list[Any]]:
    """One a budget and source: γ, and the median of the measured times, and each seed's."""
    asked: dict[tuple[str, int], float] = {}
    for name, source in sources.items():
        for budget in case.budgets:
            try:
                gamma = recommend(source, budget=budget, eta_d=case.eta_d, alpha=case.alpha).gamma
            except InputError as error:
                print(f"\n{name}, {budget:,} steps: {error}")
                continue
            asked[name, budget] = float(f"{gamma:.4g}")
    runs: dict[int, Runs] = {}
    for budget in case.budgets:
        decays = sorted({g for (_, b), g in asked.items() if b == budget})
        if decays:
            runs[budget] = trained(
                out / f"{case.task.name}-{budget}.nc", case.task, gamma=decays, eta_d=case.eta_d,
                alpha=case.alpha, seeds=range(FIRST, FIRST + min(seeds, case.most)), steps=2 * budget,
                stop_at=case.task.threshold,
            )  # fmt: skip
    found = []
    for (name, budget), gamma in asked.items():
        times = of(measure(runs[budget]), gamma=gamma)["t_grok"].values
        middle = float(np.median(np.where(np.isnan(times), np.inf, times)))
        each = ", ".join(number(float(t)) for t in times)
        found.append([budget, name, gamma, middle, f"{100 * (middle / budget - 1):+.1f}", each])
    return sorted(found, key=lambda row: row[0])


@recipe("table_recommend", "decays recommended for budgets of steps, then trained", seeds=4, data="MNIST")
def run(
    out: Path,
    seeds: int,
    *,
    from_: Annotated[Path, "folder of the folders of those tables (out)"] = Path("out"),
) -> None:
    for case in CASES:
        (from_ / case.files).parent.mkdir(parents=True, exist_ok=True)
        files = f"{from_}/{case.files}"
        (land,) = from_above(
            Path(files + "above-{:g}.nc"), case.task, alpha=[case.alpha], seeds=case.seeds, **case.above
        )
        path = pathed(
            Path(f"{files}path.nc"), case.task, alpha=[case.alpha], seeds=case.seeds, eta_d=case.eta_d,
            tau=1.5, stop_at=case.task.threshold, **case.path,
        )  # fmt: skip
        made = rows(case, {"landscape from above": land, "path": path}, out, seeds)
        print(f"\n## {case.title}")
        head = ["budget T", "source", "γ", "measured, median", "from T, %", "each seed"]
        table(head, made, f"{case.task.name}-budgets")
        for name in ("landscape from above", "path"):
            off = [abs(float(row[4])) for row in made if row[1] == name]
            print(f"\n{name}: mean distance from the budget {np.mean(off):.1f} %, worst {max(off):.1f} %")
    took(*sorted(out.glob("*.nc")))
