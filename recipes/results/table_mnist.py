"""Predicted against measured, MNIST.

N = 1000, mean squared error, α from 5 to 10, γ of 0.03, 0.1 and 0.3, and to 50, 70 and 80 % of the test
images; landscape and decay path of the same seeds, nothing fitted. Needs the MNIST files (docs/data.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from groktime.fullnet.tasks import mnist
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import by, coverage, from_above, headline, pathed, took, trained
from groktime.recipes.shared.rivals import RIVALS, rivals
from groktime.recipes.shared.tables import table
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison
from groktime.validation.measure import measure

FIRST = 3  # fig3 and fig10b hold the seeds 0 to 2
ALPHAS = (5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
THRESHOLDS = (0.5, 0.7, 0.8)
REFIT = (50, 100, 200, 400, 800)  # γ_eff from 0.4 to 0.025


def compared(
    out: Path, seeds: Sequence[int], full: bool = False, alpha: Sequence[float] = ALPHAS
) -> list[tuple[float, Comparison, list[list[str]]]]:
    """The comparison at each threshold; and there, what real runs at stronger decays say of the weakest."""
    task = mnist(n_train=1000)
    runs_file, path_file = out / "runs.nc", out / "path.nc"
    runs = trained(
        runs_file, task, gamma=(0.03, 0.1, 0.3), alpha=alpha, seeds=seeds, steps=60_000, stop_at=0.8
    )
    steps = 600 if full else 150
    lands = from_above(
        out / "above-{:g}.nc", task, alpha=alpha, lowest=2.5, seeds=seeds, steps=steps, budgets=[steps]
    )
    path = pathed(
        path_file, task, alpha=alpha, seeds=seeds, eta_d=1e-3, dtau=0.02, refit=REFIT, tau=1.5, stop_at=0.8
    )
    took(runs_file, path_file, *(Path(land.source) for land in lands))
    return [
        (t, compare([*lands, path], runs, threshold=t), rivals(measure(runs, t), path, t)) for t in THRESHOLDS
    ]


@recipe(
    "table_mnist",
    "MNIST: predicted against measured, landscapes from above and decay path",
    seeds=4,
    full=True,
    data="MNIST",
)
def run(
    out: Path,
    seeds: int,
    full: bool,
    *,
    first: Annotated[int, f"the first seed ({FIRST})"] = FIRST,
    alpha: Annotated[tuple[float, ...], "starts (5 6 7 8 9 10)"] = ALPHAS,
) -> None:
    chosen = range(first, first + (10 if full else seeds))
    for threshold, made, beside in compared(out, chosen, full, alpha):
        part = f"{100 * threshold:.0f}"
        print(f"\n## {threshold:.0%} of the test images")
        table(*headline(made), f"{part}-scores")
        table(["90 % interval of", "long delays", "all"], coverage(made), f"{part}-coverage")
        for name in ("gamma", "alpha"):
            table(*by(made, name), f"{part}-{name}")
        table(RIVALS, beside, f"{part}-rivals")
        made.write_report(out / f"report-{part}", overwrite=True)
