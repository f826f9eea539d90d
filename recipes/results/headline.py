"""The headline table: `python -m groktime.recipes headline --write docs/predicted.md`.

From what table_teacher_student and table_mnist left in their folders (--from); what is not there is sampled
and trained first. Beside it headline.nc, every run with its times, measured and predicted.
"""

from __future__ import annotations

import subprocess
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
from groktime.reduced.files import write_dataset

FILE = "headline.nc"
HEAD = (
    "networks",
    "runs",
    "decay path",
    "Eq. 6, spheres from above",
    "Eq. 6, fresh spheres",
    "Eq. 6, landscape that ships",
    "1/γ, fitted on one run",
)
STUDENTS = {
    "adamw": "teacher–student, α 2 to 5, γ 0.03 to 3, η 1e-4 to 1e-3",
    "strict": "the same, right within 0.001, η 3e-4",
    "descent": "the same, full-batch gradient descent",
}
LAW = "inverse_gamma"
PREDICTORS = ("path", "flow", "fresh", "shipped", LAW)  # as the columns of HEAD; three of them are Eq. 6
Mask = NDArray[np.bool_]


def gathered(source: Path, student_seeds: int, mnist_seeds: int) -> xr.Dataset:
    """Every run of the table with its times, measured and predicted, from the folders of the two recipes:
    over `run` its settings, `networks` (which of the table's), `short`, `fitted` (the law on this run) and
    `t_grok`, steps; `predicted` over `predictor`, too, NaN where there is none."""
    parts = []
    seeds = range(table_teacher_student.FIRST, table_teacher_student.FIRST + student_seeds)
    for part in table_teacher_student.PARTS:
        made = table_teacher_student.compared(part, source / "table_teacher_student", seeds)
        parts.append(of_runs(part.name, *(each.table for *_, each in made)))
    seeds = range(table_mnist.FIRST, table_mnist.FIRST + mnist_seeds)
    for threshold, each, _ in table_mnist.compared(source / "table_mnist", seeds):
        parts.append(of_runs(f"mnist-{100 * threshold:.0f}", each.table))
    return xr.concat(parts, "run")


def of_runs(networks: str, above: xr.Dataset, *others: xr.Dataset) -> xr.Dataset:
    """The runs of one comparison; `others`: of the same runs with fresh spheres of the same seeds, and with
    the landscape that ships."""
    count = above.sizes["run"]
    asked = {
        "path": above,
        "flow": above,
        **dict(zip(("fresh", "shipped"), others, strict=False)),
        LAW: above,
    }
    names = {"fresh": "flow", "shipped": "flow"}
    told = np.full((count, len(PREDICTORS)), np.nan)
    for k, name in enumerate(PREDICTORS):
        if name in asked:
            told[:, k] = asked[name]["predicted"].sel(predictor=names.get(name, name)).values
    plain = {name: ("run", np.asarray(above[name].values, float)) for name in ("gamma", "eta_d", "alpha")}
    return xr.Dataset(
        {
            **plain,
            "seed": ("run", np.asarray(above["seed"].values)),
            "networks": ("run", np.full(count, networks, object)),
            "short": ("run", above["short"].values.astype(bool)),
            "fitted": ("run", above["fitted"].sel(predictor=LAW).values.astype(bool)),
            "t_grok": (
                "run",
                np.asarray(above["measured_t_grok"].values, float),
                {"units": "optimizer steps"},
            ),
            "predicted": (("run", "predictor"), told, {"units": "optimizer steps"}),
        },
        {"predictor": list(PREDICTORS)},
    )


def error(runs: xr.Dataset, some: Mask, predictor: str) -> str:
    """Mean absolute error of t_grok in %, and how many runs it leaves out."""
    if predictor == LAW:
        some = some & ~runs["fitted"].values.astype(bool)
    errors = runs["predicted"].sel(predictor=predictor).values / runs["t_grok"].values - 1
    known = some & np.isfinite(errors)
    if not known.any():
        return "–"
    mean = 100 * np.mean(np.abs(errors[known]))
    told = f"{mean:.1f} %" if mean < 10 else f"{mean:.0f} %"
    missing = int(some.sum() - known.sum())
    return f"{told} ({missing} not predicted)" if missing else told


def row(name: str, runs: xr.Dataset, some: Mask) -> list[str]:
    """One line of the table."""
    path, *others = (error(runs, some, predictor) for predictor in PREDICTORS)
    return [name, number(float(some.sum())), f"**{path}**", *others]


def rows(runs: xr.Dataset) -> list[list[str]]:
    """All lines, of what `gathered` gives."""
    out = []
    networks = runs["networks"].values.astype(str)
    for name, title in STUDENTS.items():
        out.append(row(title, runs, networks == name))
        if name == "adamw":
            long = (networks == name) & ~runs["short"].values.astype(bool)
            out.append(row("of these with a delay of at least five times the fit", runs, long))
    strong = np.asarray(runs["gamma"].values > 0.05)
    for name in (k for k in dict.fromkeys(networks) if k.startswith("mnist-")):
        own, share = networks == name, name.removeprefix("mnist-")
        out.append(row(f"MNIST, N = 1000, to {share} %, γ of 0.1 and 0.3", runs, own & strong))
        out.append(row(f"MNIST, to {share} %, γ = 0.03", runs, own & ~strong))
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
        found = gathered(from_, student_seeds, mnist_seeds)
    write_dataset(found, out / FILE, overwrite=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    made = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.strip() or 'unknown'}.\n"
    print(keep("errors", f"{markdown(HEAD, rows(found))}\n\n{made}"))
