"""Predicted against measured, MNIST: `python recipes/table_mnist.py [--seeds 3] [--full]`.

N = 1000, mean squared error, α from 5 to 10, γ of 0.03, 0.1 and 0.3, and to 50, 70 and 80 % of the test
images; landscape and decay path of the same seeds, nothing fitted. Needs the MNIST files (docs/data.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common import by, coverage, folder, from_above, headline, pathed, table, took, trained
from rivals import RIVALS, rivals

from groktime.fullnet.tasks import mnist
from groktime.validation.compare import Comparison, compare
from groktime.validation.measure import measure

FIRST = 3  # recipes/fig3.py and fig10b.py hold the seeds 0 to 2
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
        (t, compare(lands, runs, path, threshold=t), rivals(measure(runs, t), path, t)) for t in THRESHOLDS
    ]


def main() -> None:
    options = folder(
        __doc__ or "",
        ("--first", {"type": int, "default": FIRST, "help": "the first seed"}),
        ("--alpha", {"type": float, "nargs": "+", "default": ALPHAS, "help": "starts"}),
        ("--full", {"action": "store_true", "help": "more seeds, a finer landscape (for a GPU)"}),
    )
    seeds = range(options.first, options.first + (10 if options.full else options.seeds))
    for threshold, made, beside in compared(options.out, seeds, options.full, options.alpha):
        print(f"\n## {threshold:.0%} of the test images")
        table(*headline(made))
        table(["90 % interval of", "long delays", "all"], coverage(made))
        for name in ("gamma", "alpha"):
            table(*by(made, name))
        table(RIVALS, beside)
        made.report(options.out / f"report-{100 * threshold:.0f}", overwrite=True)


if __name__ == "__main__":
    main()
