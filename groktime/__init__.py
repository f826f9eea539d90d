"""groktime: how long a network will take to grok, told before the long run is started.

The public names are loaded when they are first used; `import groktime` itself costs nothing, and
PyTorch is imported only by what samples.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fullnet import tasks
    from fullnet.check.finding import Finding
    from fullnet.check.task import check_task
    from fullnet.decay_path import sample_path
    from fullnet.runs import Runs, open_runs
    from fullnet.sampler import sample
    from fullnet.task import Adam, Problem, Split, Task
    from fullnet.trainer import train
    from reduced.decay_path import DecayPath, open_path
    from reduced.either import predict, what_if
    from reduced.errors import InputError
    from reduced.landscape import Landscape, open_landscape, shipped
    from reduced.path_prediction import PathPrediction
    from reduced.prediction import Prediction
    from reduced.recommend import Recommendation, recommend
    from validation.compare import Comparison, compare
    from validation.drift import implicit_decay
    from validation.ladder import Ladder, ladder
    from validation.measure import measure

__version__ = "0.1.0"

_HOME = {
    "InputError": "reduced.errors",
    "Landscape": "reduced.landscape",
    "open_landscape": "reduced.landscape",
    "shipped": "reduced.landscape",
    "Prediction": "reduced.prediction",
    "predict": "reduced.either",
    "DecayPath": "reduced.decay_path",
    "open_path": "reduced.decay_path",
    "PathPrediction": "reduced.path_prediction",
    "Recommendation": "reduced.recommend",
    "Runs": "fullnet.runs",
    "open_runs": "fullnet.runs",
    "Comparison": "validation.compare",
    "compare": "validation.compare",
    "implicit_decay": "validation.drift",
    "Ladder": "validation.ladder",
    "ladder": "validation.ladder",
    "measure": "validation.measure",
    "recommend": "reduced.recommend",
    "what_if": "reduced.either",
    "sample": "fullnet.sampler",
    "sample_path": "fullnet.decay_path",
    "train": "fullnet.trainer",
    "Finding": "fullnet.check.finding",
    "check_task": "fullnet.check.task",
    **dict.fromkeys(("Adam", "Problem", "Split", "Task"), "fullnet.task"),
    "tasks": "fullnet",
}

__all__ = [
    "Adam",
    "Comparison",
    "DecayPath",
    "Finding",
    "InputError",
    "Ladder",
    "Landscape",
    "PathPrediction",
    "Prediction",
    "Problem",
    "Recommendation",
    "Runs",
    "Split",
    "Task",
    "check_task",
    "compare",
    "implicit_decay",
    "ladder",
    "measure",
    "open_landscape",
    "open_path",
    "open_runs",
    "predict",
    "recommend",
    "sample",
    "sample_path",
    "shipped",
    "tasks",
    "train",
    "what_if",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'groktime' has no attribute {name!r}")
    try:
        home = import_module(_HOME[name] + (".tasks" if name == "tasks" else ""))
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            f"groktime.{name} trains networks and needs PyTorch: pip install 'groktime[train]'"
        ) from error
    return home if name == "tasks" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
