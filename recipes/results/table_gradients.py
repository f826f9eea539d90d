"""Full against tangent gradient on the sphere.

The same cells of toy addition (official variant, N = 45, m = 0 and 0.05) trained both ways: what is the
reduced training loss, and where is its wall?
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch

from groktime.fullnet.engine.memory import keep_freed_memory
from groktime.fullnet.procedures.sphere import Cell, minimize
from groktime.fullnet.tasks import addition
from groktime.recipes.registry import recipe
from groktime.recipes.shared.tables import keep
from groktime.reduced.law import Schedule

ALPHA = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
MESSINESS = (0.0, 0.05)


@recipe("table_gradients", "full against tangent gradient on the sphere, toy addition", minutes=5)
def run(out: Path, *, steps: Annotated[int, "the rate drops at each third (9000)"] = 9000) -> None:
    keep_freed_memory()
    torch.set_num_threads(1)
    task = addition(variant="official")
    adam = replace(task.optimizer, sampling=Schedule("step", steps // 3, 0.2))
    task = replace(task, optimizer=adam, stop_loss=0.0)
    cells = [Cell(0, 45, m, a) for m in MESSINESS for a in ALPHA]
    lines = ["| gradient | m | step |" + "".join(f" α = {a:g} |" for a in ALPHA)]
    lines.append("|---|---:|---:|" + "---:|" * len(ALPHA))
    print("\n".join(lines))
    for gradient in ("full", "tangent"):
        budgets = [steps // 3, steps]
        loss = minimize(task, cells, budgets, gradient).train_loss.reshape(2, len(MESSINESS), -1)
        for j, m in enumerate(MESSINESS):
            for b, budget in enumerate(budgets):
                row = "".join(f" {x:.1e} |" for x in loss[b, j])
                lines.append(f"| {gradient} | {m:g} | {budget:,} |{row}")
                print(lines[-1], flush=True)
    keep("losses", "\n".join(lines))
