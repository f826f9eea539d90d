"""What the recipes of Figs. 7, 9 and 10a share: their transformer, and its runs at γ = 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from groktime.fullnet.find import BUILT_IN
from groktime.fullnet.runs import Runs
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import modular_addition
from groktime.recipes.shared.common import trained

SIZES = "p = 41, d_model = 64, half of the pairs"
FULL = "p = 113, d_model = 128, 30 % of the pairs"


def transformer(full: bool) -> Task:
    """The paper's, or a small one that sees half of the pairs: of 40 %, as in the preset, it generalizes
    some four times later."""
    if full:
        return modular_addition()
    return modular_addition(**{**BUILT_IN["modular-addition"].presets["small"], "n_train": 840})


def free_runs(out: Path, full: bool, seeds: Sequence[int]) -> Runs:
    """Fig. 7's networks: γ = 1, beyond the time at which they generalize; `out` is its folder."""
    out.mkdir(parents=True, exist_ok=True)
    return trained(
        out / "free.nc", transformer(full), gamma=1.0, alpha=1.0, seeds=seeds,
        steps=40_000 if full else 12_000, resolution=0.03, stop_at=0.99,
    )  # fmt: skip
