"""What the recipes of Figs. 7, 9 and 10a share: the sizes of their transformer."""

from __future__ import annotations

from fullnet.find import BUILT_IN
from fullnet.task import Task
from fullnet.tasks import modular_addition

SIZES = "p = 41, d_model = 64, half of the pairs"
FULL = "p = 113, d_model = 128, 30 % of the pairs"


def transformer(full: bool) -> Task:
    """The paper's, or a small one that sees half of the pairs: of 40 %, as in the preset, it generalises
    some four times later."""
    if full:
        return modular_addition()
    return modular_addition(**{**BUILT_IN["modular-addition"].presets["small"], "n_train": 840})
