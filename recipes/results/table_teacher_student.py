"""Predicted against measured, teacher–student.

Trains 90 networks a seed, α from 2 to 5, γ from 0.03 to 3 and η from 1e-4 to 1e-3, of seeds that no
landscape that ships holds, and predicts each of them, nothing fitted: from landscapes and a decay path
sampled for the same seeds, from a landscape of these seeds with fresh networks on every sphere, and as a
newcomer would, from the landscape that ships. The same in small for a tolerance of 0.001 and for plain
gradient descent. About 45 minutes on two cores; --full is for a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from groktime.fullnet.tasks import teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import by, coverage, from_above, headline, pathed, sampled, took, trained
from groktime.recipes.shared.tables import keep, markdown, table
from groktime.reduced.landscape import open_landscape
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison

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
    fresh: bool = False  # beside: spheres with fresh networks, of these seeds and of the shipped ones


PARTS = (
    Part(
        "adamw",
        "AdamW",
        0.01,
        {"gamma": np.geomspace(0.03, 3, 6), "eta_d": (1e-4, 3e-4, 1e-3), "steps": 500_000},
        ALPHAS,
        3e-4,
        fresh=True,
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


def compared(
    part: Part, out: Path, seeds: Sequence[int], full: bool = False
) -> list[tuple[str, str, Comparison]]:
    """The comparisons of one part: name, what predicts, and the comparison."""
    task = teacher_student(tolerance=part.tolerance)
    runs_file, path_file, fresh_file = (out / f"{part.name}-{what}.nc" for what in ("runs", "path", "fresh"))
    runs = trained(runs_file, task, alpha=part.alpha, seeds=seeds, stop_at=task.threshold, **part.runs)
    lands = from_above(
        out / f"{part.name}-above-{{:g}}.nc", task, alpha=part.alpha, lowest=LOWEST, seeds=seeds,
        steps=STEPS, budgets=[STEPS], step=0.02 if full else 0.04,
    )  # fmt: skip
    refit = (*part.refit, 2 * part.refit[-1], 4 * part.refit[-1]) if full else part.refit
    path = pathed(
        path_file, task, alpha=part.alpha, seeds=seeds, eta_d=part.eta_d, refit=refit, tau=1.5,
        optimizer=part.optimizer, stop_at=task.threshold,
    )  # fmt: skip
    made = [("", "Landscapes of the same seeds, sampled from above", compare([*lands, path], runs))]
    if part.fresh:
        # the spheres, the budget and the stop of the landscape that ships
        fresh = sampled(fresh_file, task, alpha=np.geomspace(0.1, 10, 25), seeds=seeds)
        made += [
            ("-fresh", "A landscape of the same seeds, fresh networks on every sphere", compare(fresh, runs)),
            (
                "-shipped",
                "The landscape that ships, of other seeds",
                compare(open_landscape("teacher-student"), runs),
            ),
        ]
    took(runs_file, path_file, *(Path(land.source) for land in lands), *([fresh_file] * part.fresh))
    return made


@recipe(
    "table_teacher_student",
    "teacher–student: predicted against measured, landscapes and decay path",
    seeds=4,
    minutes=45,
    full=True,
)
def run(out: Path, seeds: int, full: bool) -> None:
    chosen = range(FIRST, FIRST + (20 if full else seeds))
    for part in PARTS:
        print(f"\n## {part.title}")
        every = compared(part, out, chosen, full)
        for name, which, made in every:
            print(f"\n### {which}")
            table(*headline(made), f"{part.name}{name}-scores")
            table(["90 % interval of", "long delays", "all"], coverage(made), f"{part.name}{name}-coverage")
            for setting in ("alpha", "gamma", "eta_d"):
                table(*by(made, setting), f"{part.name}{name}-{setting}")
            report = out / f"{part.name}-report{name}"
            made.write_report(report, overwrite=True)
            print(f"\nReport: {report}")
        if part.fresh:
            by_name = {"from above": every[0][-1], "fresh networks": every[1][-1]}
            keep(f"{part.name}-spheres", markdown(SPHERES, [spheres(*one) for one in by_name.items()]))


# as docs/predicted.md sets the two beside each other
SPHERES = ["landscape of the runs' own seeds", "long delays: mean error, %", "all", "slope"]
SPHERES += ["interval of the seeds, long", "all"]


def spheres(name: str, made: Comparison) -> list[str]:
    """Errors, slope and coverage of Eq. 6 on one landscape, from its other tables."""
    (scores,) = (row for row in headline(made)[1] if row[0] == "flow")
    (shares,) = (row[1:] for row in coverage(made) if row[0] == "landscape's seeds")
    return [
        name,
        scores[2],
        scores[5],
        scores[7].split(" ")[0],
        *(share.split(" of ")[0] for share in shares),
    ]
