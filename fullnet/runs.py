"""The runs file: learning curves of networks trained in full, and where each run started and ended.

Runs have dims `run, time`; what was set is a coordinate along `run`. Times are measured from them after
the fact (`validation.measure`), so that no threshold is baked in. They are stored as NetCDF-4 and open in
plain xarray.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.fullnet.logs import reading
from groktime.fullnet.logs.kinds import is_log
from groktime.fullnet.logs.reading import Log, LogOptions
from groktime.fullnet.runs_schema import (
    CURVES,
    DIMS,
    PART,
    REPRESENTATIONS,
    RUNS,
    SCHEMA,
    SETTINGS,
    WATCHED,
    WHOLE,
    more_curves,
)
from groktime.reduced import json_text
from groktime.reduced.arrays import unmasked
from groktime.reduced.errors import InputError
from groktime.reduced.law import DecayLaw, law_of, stored
from groktime.reduced.stored import Stored

if TYPE_CHECKING:
    import pandas as pd

# What a runs file is called and holds stands in `runs_schema`; it is read as of here.
__all__ = [
    "CURVES",
    "DIMS",
    "PART",
    "REPRESENTATIONS",
    "RUNS",
    "SCHEMA",
    "SETTINGS",
    "WATCHED",
    "WHOLE",
    "Runs",
    "import_runs",
    "open_runs",
    "runs_of",
]


class Runs(Stored):
    """Full training runs of one task. `source` is the file or name it came from."""

    SCHEMA = RUNS

    @staticmethod
    def assemble(
        *,
        step: ArrayLike,
        settings: Mapping[str, ArrayLike],
        curves: Mapping[str, ArrayLike],
        w0: ArrayLike,
        steps_done: ArrayLike,
        diverged: ArrayLike,
        task: str,
        loss: str,
        threshold: float,
        threshold_relative: bool = False,
        optimizer: str,
        batch: int = 0,
        representation: str = "fixed",
        constrained: bool = False,
        law: DecayLaw | Mapping[str, Any] | None = None,
        configuration: Mapping[str, Any] | None = None,
        names: Sequence[str] | None = None,
        source: str = "",
    ) -> Runs:
        """Runs from full arrays.

        Parameters
        ----------
        step : optimizer steps of the evaluations [time], ascending.
        settings : gamma, eta_d, eta_r, alpha, n_train, seed and, for tasks that have it, m_start;
            each [run], or one number for all.
        curves : train_loss and weight_norm, and of test_loss, train_accuracy, test_accuracy and m
            what was measured; each [run, time], NaN after the run's `steps_done`. `norm_NAME` are
            norms of parts of the network, and `turn` and `tau` are of a script that was watched.
        w0, steps_done, diverged : norm at alpha = 1, last step that was trained, and whether the
            run ended because it diverged; each [run], or one for all.
        threshold : test accuracy that counts as generalized; with `threshold_relative`, as a
            fraction of the task's ceiling.
        batch : samples a step, 0 for all of them.
        representation : "fixed", "line" (moves along m alone) or "free".
        constrained : whether the weights were rescaled to their first norm after every step.
        optimizer, law : what trained them, and what is known of its law of decay, such as optimizer="SGD",
            law={"momentum": 0.95}; see `DecayLaw`. What is not said is that of gt.train's of this name.
        names : of runs that were read from a log [run], which may lack settings, w0, curves and evaluations.
        source : the file or name that they came from, for sentences; the task's unless given.

        Raises
        ------
        InputError : naming the array and what was expected of it.
        """
        more = more_curves(curves)
        for given, there in ((settings, SETTINGS), (curves, (*CURVES, *more))):
            for name in given:
                if name not in there:
                    raise InputError(f"{name}: expected only {', '.join(there)}")
        known = {k: unmasked(v) for k, v in curves.items()}
        if "train_loss" not in known or known["train_loss"].ndim != 2:
            raise InputError("train_loss: expected an array [run, time]")
        shape = known["train_loss"].shape
        for name, values in known.items():
            if values.shape != shape:
                raise InputError(f"{name} has shape {values.shape}; expected {shape} = (run, time)")
        if np.shape(step) != shape[1:]:
            raise InputError(f"step has shape {np.shape(step)}; expected {shape[1:]} = (time,)")

        def per_run(name: str, values: ArrayLike) -> NDArray[Any]:
            if np.shape(values) not in ((), shape[:1]):
                raise InputError(f"{name} has shape {np.shape(values)}; expected {shape[:1]} = (run,)")
            return np.broadcast_to(unmasked(values), shape[:1]).copy()

        table: dict[str, Any] = {k: known.get(k, np.full(shape, np.nan)) for k in (*CURVES, *more)}
        each = {"m_start": np.nan, **settings, "w0": w0, "steps_done": steps_done, "diverged": diverged}
        table |= {k: per_run(k, v) for k, v in each.items()} | {"step": step}
        if names is not None:
            table["name"] = per_run("name", np.array(names, np.str_))
        attrs = {
            "task": task,
            "loss": loss,
            "accuracy_threshold": float(threshold),
            "threshold_relative": int(threshold_relative),
            "optimizer": optimizer,
            "batch": int(batch),
            "representation": representation,
            "constrained": int(constrained),
            "imported": int(names is not None),
            "law": stored(law),
            "configuration": json_text.dump(configuration),
        }
        source = source or task
        return Runs(RUNS.arrays(table, attrs, source), source)

    @classmethod
    def from_dataframe(cls, frame: pd.DataFrame, **said: Unpack[LogOptions]) -> Runs:
        """Runs from a table, long or wide: see `import_runs`."""
        return import_runs(frame, **said)

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str], **said: Unpack[LogOptions]) -> Runs:
        """Runs from a CSV file, long or wide: see `import_runs`."""
        return import_runs(path, **said)

    @property
    def parts(self) -> list[str]:
        """Names of the parts of the network whose norms the file holds."""
        return [name.removeprefix(PART) for name in self.arrays.variables if name.startswith(PART)]

    @property
    def law(self) -> DecayLaw:
        """By which law the weights decay."""
        return law_of(self.attrs)

    @property
    def constrained(self) -> bool:
        """Whether the weights kept the norm that they started with."""
        return bool(self.attrs["constrained"])

    @property
    def imported(self) -> bool:
        """Whether the runs were read from a log."""
        return bool(self.attrs["imported"])

    @property
    def log(self) -> Mapping[str, Any]:
        """Of a log: its `files`, what its `columns` were called, and `remarks` on what was done to it."""
        found: Mapping[str, Any] = json.loads(self.attrs["configuration"]).get("log", {})
        return found

    @property
    def remarks(self) -> list[str]:
        """What a reader has to know of the log that the runs were read from."""
        return [str(text) for text in self.log.get("remarks", [])]

    @property
    def seeds(self) -> NDArray[np.int64]:
        """The seed of each run, [run]; -1 of a log's, whose networks are drawn by other generators."""
        own = np.asarray(self["seed"].values, np.int64)
        return np.full_like(own, -1) if self.imported else own

    @property
    def step(self) -> NDArray[np.int64]:
        """Optimizer steps of the evaluations, [time]."""
        return np.asarray(self["step"].values, np.int64)

    @property
    def trained(self) -> NDArray[np.bool_]:
        """Whether a run still trained at a time, [run, time]."""
        return np.asarray(self.step[None] <= self["steps_done"].values[:, None])

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Whether a run was retired before the last step because it was done, [run]; of a log none is known
        to have been."""
        early = self["steps_done"].values < self.step[-1]
        return np.asarray(early & ~self["diverged"].values.astype(bool) & (not self.imported))

    def facts(self) -> Mapping[str, object]:
        seeds = np.unique(self["seed"].values).tolist()
        shown = {"task": self.task, "runs": self.arrays.sizes["run"], "seeds": seeds}
        return {**shown, "steps": int(self.step[-1]), "source": self.source}

    def columns(self) -> Mapping[str, Sequence[object]]:
        """A row a run: what was set, where it ended, and its last accuracies."""
        ends = {k: self._last(k) for k in ("train_accuracy", "test_accuracy")}
        names = ("name",) if "name" in self.arrays else ()
        given = {k: self[k].values for k in (*names, *SETTINGS, "steps_done", "diverged")}
        return {k: v.tolist() for k, v in (given | ends).items()}

    def _last(self, name: str) -> NDArray[Any]:
        """The last value of a curve while its run trained, [run]; of a log the last that it holds."""
        values = self[name].values
        seen = self.trained & (~np.isnan(values) if self.imported else True)
        last = values.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1)
        return np.where(seen.any(1), values[np.arange(len(values)), last], np.nan)


def open_runs(path: str | os.PathLike[str]) -> Runs:
    """Open a runs file.

    Raises
    ------
    InputError : naming the file, the variable and what was expected.
    """
    return Runs.open(path)


def import_runs(logs: Log | Sequence[Log], **said: Unpack[LogOptions]) -> Runs:
    """Runs from logs of training: what others recorded, at their own steps (docs/logs.md).

    Parameters
    ----------
    logs : a file (CSV, JSON lines, trainer_state.json, .npz, TensorBoard's), a pandas.DataFrame, or several.
    columns : names of columns that are not found, or not meant, by their pattern, such as
        {"test_accuracy": "val/acc"}; of step, run, seed, gamma, eta_d, alpha, n_train and the curves.
    accuracy : "share" or "percent" (default: percent where one exceeds 1).
    gamma, eta_d, alpha, n_train : settings that the log does not tell; one number, or one a run.
    task, loss, optimizer : what was trained, and how, for `compare`.

    Returns
    -------
    Runs whose curves are NaN where nothing was recorded; `remarks` tells what was done to the log.

    Raises
    ------
    InputError : naming the log or the argument, and what was expected.
    """
    return Runs.assemble(**reading.read(logs, **said))


def runs_of(given: Runs | str | os.PathLike[str], **said: Unpack[LogOptions]) -> Runs:
    """Runs themselves, or those in a runs file or a log; of a log `said` is what the user adds.

    Raises
    ------
    InputError : naming the file and what was expected, or what is said of a runs file, which says it itself.
    """
    if isinstance(given, str | os.PathLike) and is_log(Path(given)):
        return import_runs(given, **said)
    if said:
        raise InputError(f"{next(iter(said))}: expected a log, and not {given}, which says what it holds")
    return Runs.of(given)
