"""Full against tangent gradient on the sphere: `python recipes/table_gradients.py` (Markdown; ~5 min).

The same cells of toy addition (official variant, N = 45, m = 0 and 0.05) trained both ways: what is the
reduced training loss, and where is its wall?
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from groktime.fullnet.engine.memory import keep_freed_memory
from groktime.fullnet.procedures.sphere import Cell, minimise
from groktime.fullnet.tasks import addition

ALPHA = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
MESSINESS = (0.0, 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=9000, help="the rate drops at each third (9000)")
    steps = parser.parse_args().steps
    keep_freed_memory()
    torch.set_num_threads(1)
    task = addition(variant="official")
    task = replace(task, optimizer=replace(task.optimizer, every=steps // 3), stop_loss=0.0)
    cells = [Cell(0, 45, m, a) for m in MESSINESS for a in ALPHA]
    print("| gradient | m | step |" + "".join(f" α = {a:g} |" for a in ALPHA))
    print("|---|---:|---:|" + "---:|" * len(ALPHA))
    for gradient in ("full", "tangent"):
        budgets = [steps // 3, steps]
        loss = minimise(task, cells, budgets, gradient).train_loss.reshape(2, len(MESSINESS), -1)
        for j, m in enumerate(MESSINESS):
            for b, budget in enumerate(budgets):
                row = "".join(f" {x:.1e} |" for x in loss[b, j])
                print(f"| {gradient} | {m:g} | {budget:,} |{row}", flush=True)


if __name__ == "__main__":
    main()
