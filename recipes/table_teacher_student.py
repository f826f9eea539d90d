"""Predicted against measured, teacher–student: `python recipes/table_teacher_student.py [--seeds 5]`.

Trains 90 networks a seed, α from 2 to 5, γ from 0.03 to 3 and η from 1e-4 to 1e-3, of seeds that no
landscape that ships holds, and predicts each of them, nothing fitted: from landscapes and a decay path
sampled for the same seeds, and as a newcomer would, from the landscape that ships. The same in small for
a tolerance of 0.001 and for plain gradient descent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import by, coverage, folder, from_above, headline, pathed, table, took, trained

from fullnet.tasks import teacher_student
from reduced.landscape import open_landscape
from validation.compare import Comparison, compare

FIRST = 20  # the landscape that ships holds the seeds 0 to 7
ALPHAS = (2.0, 2.5, 3.0, 4.0, 5.0)
LOWEST = 0.9  # alpha of the landscapes
STEPS = 500  # on each of their spheres
REFIT = (10, 25, 50, 100, 200, 400)


@dataclass(frozen=True)
class Part:
    """One table: which networks, and how their landscapes and paths are sampled."""

    name: str
    title: str
    tolerance: float
    runs: Mapping[str, Any]
    alpha: Sequence[float]
    eta_d: float  # of the path
    optimizer: str = "adamw"
    refit: Sequence[int] = REFIT
    shipped: bool = False


PARTS = (
    Part(
        "adamw",
        "AdamW",
        0.01,
        {"gamma": np.geomspace(0.03, 3, 6), "eta_d": (1e-4, 3e-4, 1e-3), "steps": 500_000},
        ALPHAS,
        3e-4,
        shipped=True,
    ),
    Part(
        "strict",
        "AdamW, right within 0.001",
        0.001,
        {"gamma": (0.1, 0.3, 1.0), "eta_d": 3e-4, "steps": 60_000},
        (2.0, 3.0, 4.0),
        3e-4,
    ),
    Part(
        "descent",
        "full-batch gradient descent",
        0.01,
        {"gamma": (1e-4, 3e-4, 1e-3), "eta_d": 0.1, "steps": 300_000, "optimizer": "sgd"},
        (2.0, 3.0, 4.0),
        0.1,
        optimizer="sgd",
        refit=(100, 200, 400, 800, 1600),
    ),
)


def compared(part: Part, out: Path, seeds: Sequence[int]) -> list[tuple[str, Comparison]]:
    """The comparisons of one part, by what predicts."""
    task = teacher_student(tolerance=part.tolerance)
    runs_file, path_file = (out / f"{part.name}-{what}.nc" for what in ("runs", "path"))
    runs = trained(runs_file, task, alpha=part.alpha, seeds=seeds, stop_at=task.threshold, **part.runs)
    lands = from_above(
        out / f"{part.name}-above-{{:g}}.nc", task, alpha=part.alpha, lowest=LOWEST, seeds=seeds,
        steps=STEPS, budgets=[STEPS],
    )  # fmt: skip
    path = pathed(
        path_file, task, alpha=part.alpha, seeds=seeds, eta_d=part.eta_d, refit=part.refit, tau=1.5,
        optimizer=part.optimizer, stop_at=task.threshold,
    )  # fmt: skip
    took(runs_file, path_file, *(Path(land.source) for land in lands))
    made = [("Landscapes of the same seeds, sampled from above", compare(lands, runs, path))]
    if part.shipped:
        made.append(
            ("The landscape that ships, of other seeds", compare(open_landscape("teacher-student"), runs))
        )
    return made


def main() -> None:
    options = folder(__doc__ or "")
    seeds = range(FIRST, FIRST + options.seeds)
    for part in PARTS:
        print(f"\n## {part.title}")
        for k, (which, made) in enumerate(compared(part, options.out, seeds)):
            print(f"\n### {which}")
            table(*headline(made))
            table(["90 % interval of", "long delays", "all"], coverage(made))
            for name in ("alpha", "gamma", "eta_d"):
                table(*by(made, name))
            report = options.out / (f"{part.name}-report" + ("-shipped" if k else ""))
            made.report(report, overwrite=True)
            print(f"\nReport: {report}")


if __name__ == "__main__":
    main()
