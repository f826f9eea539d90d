"""groktime: predict how long a network will take to grok, before the long run is started.

The public names are loaded when they are first used; `import groktime` itself costs nothing, and
PyTorch is imported only by what samples and trains.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in `typing`, whose import would be most of this one's time
if TYPE_CHECKING:
    from typing import Any

    from groktime.fullnet import tasks
    from groktime.fullnet.check.finding import Finding
    from groktime.fullnet.check.task import check_task
    from groktime.fullnet.decay_path import sample_path
    from groktime.fullnet.forecast import forecast
    from groktime.fullnet.machine import Machine
    from groktime.fullnet.runs import Runs, import_runs, open_runs
    from groktime.fullnet.sampler import sample
    from groktime.fullnet.task import Adam, Problem, Rule, Split, Task
    from groktime.fullnet.trainer import train
    from groktime.fullnet.watch.watcher import watch
    from groktime.reduced.decay_path import DecayPath, open_path
    from groktime.reduced.errors import InputError, TaskError
    from groktime.reduced.forecast import Forecast, open_forecast
    from groktime.reduced.landscape import Landscape, open_landscape
    from groktime.reduced.law import DecayLaw, Schedule
    from groktime.reduced.prediction import Prediction, predict
    from groktime.reduced.recommend import Recommendation, recommend
    from groktime.reduced.shipped import shipped
    from groktime.reduced.source import Lanes, Readings, Source
    from groktime.reduced.what_if import what_if
    from groktime.validation.compare import compare
    from groktime.validation.comparison import Comparison, open_comparison
    from groktime.validation.diagnose import Diagnosis, diagnose
    from groktime.validation.drift import implicit_decay
    from groktime.validation.explorer.explore import Explorer, explore
    from groktime.validation.figures import plot
    from groktime.validation.ladder import Ladder, ladder
    from groktime.validation.measure import measure

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(("InputError", "TaskError"), "groktime.reduced.errors"),
    "Landscape": "groktime.reduced.landscape",
    "open_landscape": "groktime.reduced.landscape",
    "shipped": "groktime.reduced.shipped",
    "Prediction": "groktime.reduced.prediction",
    "predict": "groktime.reduced.prediction",
    "DecayPath": "groktime.reduced.decay_path",
    "open_path": "groktime.reduced.decay_path",
    **dict.fromkeys(("Forecast", "open_forecast"), "groktime.reduced.forecast"),
    **dict.fromkeys(("DecayLaw", "Schedule"), "groktime.reduced.law"),
    "Recommendation": "groktime.reduced.recommend",
    **dict.fromkeys(("Runs", "import_runs", "open_runs"), "groktime.fullnet.runs"),
    **dict.fromkeys(("Comparison", "open_comparison"), "groktime.validation.comparison"),
    "compare": "groktime.validation.compare",
    **dict.fromkeys(("Diagnosis", "diagnose"), "groktime.validation.diagnose"),
    "implicit_decay": "groktime.validation.drift",
    **dict.fromkeys(("Explorer", "explore"), "groktime.validation.explorer.explore"),
    "Ladder": "groktime.validation.ladder",
    "ladder": "groktime.validation.ladder",
    "measure": "groktime.validation.measure",
    "plot": "groktime.validation.figures",
    "recommend": "groktime.reduced.recommend",
    **dict.fromkeys(("Lanes", "Readings", "Source"), "groktime.reduced.source"),
    "what_if": "groktime.reduced.what_if",
    "sample": "groktime.fullnet.sampler",
    "sample_path": "groktime.fullnet.decay_path",
    "forecast": "groktime.fullnet.forecast",
    "train": "groktime.fullnet.trainer",
    "watch": "groktime.fullnet.watch.watcher",
    "Machine": "groktime.fullnet.machine",
    "Finding": "groktime.fullnet.check.finding",
    "check_task": "groktime.fullnet.check.task",
    **dict.fromkeys(("Adam", "Problem", "Rule", "Split", "Task"), "groktime.fullnet.task"),
    "tasks": "groktime.fullnet",
}

# Callbacks of other libraries, which are not listed, since they need not be installed.
_CALLBACKS = {
    "LightningWatch": ("groktime.fullnet.watch.lightning", "lightning"),
    "TrainerWatch": ("groktime.fullnet.watch.trainer", "transformers"),
}

__all__ = [
    "Adam",
    "Comparison",
    "DecayLaw",
    "DecayPath",
    "Diagnosis",
    "Explorer",
    "Finding",
    "Forecast",
    "InputError",
    "Ladder",
    "Landscape",
    "Lanes",
    "Machine",
    "Prediction",
    "Problem",
    "Readings",
    "Recommendation",
    "Rule",
    "Runs",
    "Schedule",
    "Source",
    "Split",
    "Task",
    "TaskError",
    "check_task",
    "compare",
    "diagnose",
    "explore",
    "forecast",
    "implicit_decay",
    "import_runs",
    "ladder",
    "measure",
    "open_comparison",
    "open_forecast",
    "open_landscape",
    "open_path",
    "open_runs",
    "plot",
    "predict",
    "recommend",
    "sample",
    "sample_path",
    "shipped",
    "tasks",
    "train",
    "watch",
    "what_if",
]


def __getattr__(name: str) -> Any:
    if name in _CALLBACKS:
        return _callback(name)
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


def _callback(name: str) -> Any:
    module, library = _CALLBACKS[name]
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in (library, "torch"):
            raise
        raise ImportError(f"groktime.{name} is a callback of {library}: pip install {missing}") from error


def __dir__() -> list[str]:
    return sorted(__all__)
