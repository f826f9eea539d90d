"""The systems of `decays`: how each is trained, and how its landscape and path are sampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from groktime.fullnet.find import find_task
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import addition, mnist, mnist_representation, teacher_student
from groktime.recipes.shared.common import from_above, pathed, trained
from groktime.recipes.shared.modular import transformer
from groktime.reduced.landscape import open_landscape
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison


@dataclass(frozen=True)
class System:
    """One system: its starts, decays and threshold (None: the task's); how its runs, its landscape (on
    spheres from `alpha` down to `lowest`) and its path are made."""

    name: str
    task: Callable[[], Task]
    alpha: float
    gamma: Sequence[float]
    steps: int
    path: Mapping[str, Any]
    lowest: float | None = None  # None: of the landscape that ships
    sphere: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    law_up_to: float = np.inf  # the largest γ at which the law is claimed
    start: Mapping[str, Any] = field(default_factory=dict)  # of runs and path alike
    run: Mapping[str, Any] = field(default_factory=dict)

    def compared(self, out: Path, seeds: Sequence[int]) -> Comparison:
        """Trained, sampled and predicted, or read again."""
        out.mkdir(parents=True, exist_ok=True)
        task, start = self.task(), {"alpha": self.alpha, "seeds": seeds, **self.start}
        runs = trained(out / "runs.nc", task, **start, gamma=self.gamma, steps=self.steps, **self.run)
        path = pathed(out / "path.nc", task, **start, **self.path)
        if self.lowest is None:
            return compare([open_landscape(task.name), path], runs, threshold=self.threshold)
        sphere: dict[str, Any] = {**self.sphere, "budgets": [self.sphere["steps"]]}
        if "m" in self.start:
            sphere["m"] = [self.start["m"]]
        lands = from_above(
            out / "above-{:g}.nc", task, alpha=[self.alpha], lowest=self.lowest, seeds=seeds, **sphere
        )
        return compare([*lands, path], runs, threshold=self.threshold)


def imdb() -> Task:
    """The first hundred known words of each review: a step costs as many."""
    return find_task("imdb", {"length": 100}, preset="small")


def four_operations() -> Task:
    return find_task("four-operations", {"operation": "+"}, preset="small")


SYSTEMS = {
    "teacher-student": System(
        "teacher–student", teacher_student, 3.0, (0.03, 0.1, 0.3, 1.0, 3.0), 100_000,
        {"refit": (10, 25, 50, 100, 200, 400), "tau": 1.5, "stop_at": 0.95},
        lowest=0.9, sphere={"step": 0.04, "steps": 500}, run={"stop_at": 0.95},
    ),
    "addition": System(
        "toy addition, its m trained", lambda: addition(variant="official"), 3.6, (1e-4, 3e-4, 1e-3), 40_000,
        {"dtau": 0.01, "refit": (100, 200, 400, 800), "tau": 0.6},
        start={"m": 0.08, "n_train": 45, "eta_d": 0.03, "eta_r": 3e-3, "optimizer": "sgd",
               "representation": "line"},
    ),
    "mnist": System(
        "MNIST", lambda: mnist(n_train=1000), 9.0, (0.1, 0.3, 1.0, 3.0), 20_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100, 200, 400), "tau": 1.6, "stop_at": 0.8},
        lowest=2.5, sphere={"step": 0.04, "steps": 150}, threshold=0.7, law_up_to=1.0, run={"stop_at": 0.8},
    ),
    "mnist-ce": System(
        "MNIST, cross-entropy", lambda: mnist(n_train=200, loss="ce"), 100.0, (0.1, 0.3, 1.0, 3.0), 40_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100, 200, 400), "tau": 4.6, "stop_at": 0.65},
        lowest=1.0, sphere={"step": 0.12, "steps": 200}, threshold=0.55, law_up_to=1.0, run={"stop_at": 0.65},
    ),
    "mnist-representation": System(
        "MNIST, interpolated representation", lambda: mnist_representation(n_train=1000, n_test=2000), 8.0,
        (0.1, 0.3, 1.0, 3.0), 20_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100, 200, 400), "tau": 1.6, "stop_at": 0.8},
        lowest=2.5, sphere={"step": 0.08, "steps": 150}, law_up_to=1.0,
        start={"m": 0.5}, run={"stop_at": 0.8},
    ),
    "transformer": System(
        "transformer, a + b", lambda: transformer(full=False), 1.0, (0.5, 1.0, 2.0, 4.0), 25_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100), "tau": 8.0, "stop_at": 0.95},
        lowest=0.5, sphere={"step": 0.14, "steps": 200}, run={"stop_at": 0.95},
    ),
    "four-operations": System(
        "decoder of two blocks, x + y", four_operations, 1.0, (0.5, 1.0, 2.0, 4.0), 12_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100), "tau": 4.0, "stop_at": 0.95},
        lowest=0.3, sphere={"step": 0.15, "steps": 200}, run={"stop_at": 0.95, "resolution": 0.03},
    ),
    "imdb": System(
        "IMDb, LSTM", imdb, 6.0, (1.0, 2.0, 4.0), 5_400,
        {"dtau": 0.05, "refit": (12, 25, 50), "tau": 5.4},
        lowest=0.1, sphere={"step": 0.3, "steps": 150}, threshold=0.6, run={"resolution": 0.06},
    ),
}  # fmt: skip
