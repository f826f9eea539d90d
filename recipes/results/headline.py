"""The headline table: `python -m groktime.recipes headline --write docs/predicted.md`.

From what table_teacher_student and table_mnist left in their folders (--from); what is not there is sampled
and trained first.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.recipes.registry import recipe
from groktime.recipes.results import table_mnist, table_teacher_student
from groktime.recipes.shared.tables import keep, markdown, number

HEAD = (
    "networks",
    "runs",
    "decay path",
    "Eq. 6, spheres from above",
    "Eq. 6, fresh spheres",
    "Eq. 6, landscape that ships",
    "1/γ, fitted on one run",
)
Mask = NDArray[np.bool_]


def error(compared: xr.Dataset, some: Callable[[xr.Dataset], Mask], predictor: str) -> str:
    """Mean absolute error of t_grok in %, and how many runs it leaves out."""
    chosen = some(compared)
    chosen &= ~compared["fitted"].sel(predictor=predictor).values.astype(bool)
    errors = compared["log_error"].sel(predictor=predictor).values
    known = chosen & np.isfinite(errors)
    mean = 100 * np.mean(np.abs(np.expm1(errors[known])))
    told = f"{mean:.1f} %" if mean < 10 else f"{mean:.0f} %"
    missing = int(chosen.sum() - known.sum())
    return f"{told} ({missing} not predicted)" if missing else told


def row(name: str, some: Callable[[xr.Dataset], Mask], above: xr.Dataset, *others: xr.Dataset) -> list[str]:
    """One line of the table; `others`: fresh spheres of the same seeds, the landscape that ships."""
    beside = [error(found, some, "flow") for found in others]
    beside += ["–"] * (2 - len(beside))
    path, flow, law = (error(above, some, predictor) for predictor in ("path", "flow", "inverse_gamma"))
    return [name, number(float(some(above).sum())), f"**{path}**", flow, *beside, law]


def every(compared: xr.Dataset) -> Mask:
    return np.ones(compared.sizes["run"], bool)


def long(compared: xr.Dataset) -> Mask:
    return ~compared["short"].values.astype(bool)


def strong(compared: xr.Dataset) -> Mask:
    return np.asarray(compared["gamma"].values > 0.05)


def rows(source: Path, student_seeds: int, mnist_seeds: int) -> list[list[str]]:
    """All lines, from the folders of the two recipes."""
    out = []
    titles = {
        "adamw": "teacher–student, α 2 to 5, γ 0.03 to 3, η 1e-4 to 1e-3",
        "strict": "the same, right within 0.001, η 3e-4",
        "descent": "the same, full-batch gradient descent",
    }
    seeds = range(table_teacher_student.FIRST, table_teacher_student.FIRST + student_seeds)
    for part in table_teacher_student.PARTS:
        made = table_teacher_student.compared(part, source / "table_teacher_student", seeds)
        tables = [each.table for *_, each in made]
        out.append(row(titles[part.name], every, *tables))
        if part.name == "adamw":
            out.append(row("of these with a delay of at least five times the fit", long, *tables))
    seeds = range(table_mnist.FIRST, table_mnist.FIRST + mnist_seeds)
    for threshold, each, _ in table_mnist.compared(source / "table_mnist", seeds):
        out.append(row(f"MNIST, N = 1000, to {100 * threshold:.0f} %, γ of 0.1 and 0.3", strong, each.table))
        out.append(row(f"MNIST, to {100 * threshold:.0f} %, γ = 0.03", lambda t: ~strong(t), each.table))
    return out


@recipe("headline", "the headline table: predicted against measured, in one line each", data="MNIST")
def run(
    out: Path,
    *,
    from_: Annotated[Path, "folder of the folders of the two tables (out)"] = Path("out"),
    student_seeds: Annotated[int, "of table_teacher_student (5)"] = 5,
    mnist_seeds: Annotated[int, "of table_mnist (3)"] = 3,
) -> None:
    with redirect_stdout(StringIO()):  # the clocks of the results
        found = rows(from_, student_seeds, mnist_seeds)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    made = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.strip() or 'unknown'}.\n"
    print(keep("errors", f"{markdown(HEAD, found)}\n\n{made}"))
