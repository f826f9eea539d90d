"""`diagnose`: is this grokking on its way, plain overfitting, or nothing that waiting will help?

Each run gets one verdict, with the numbers that it rests on and what may be tried. It is of what the curves
say up to their last evaluation, and no promise; how often it was right is written down in docs/logs.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.fullnet.runs import Runs, runs_of
from groktime.reduced.arguments import number, numbers
from groktime.reduced.errors import InputError
from groktime.reduced.files import FileName, read_outline
from groktime.reduced.forecast import FORECAST, Forecast
from groktime.reduced.value import Value
from groktime.validation.foretold import foretold, remark
from groktime.validation.report import table, with_dash
from groktime.validation.signals import Signals, signals
from groktime.validation.verdicts import TRY, Judged, Verdict, judge

NOTE = (
    "A verdict is of what the curves say so far, and no promise. Times told were off by 16 to 44 % on MLPs "
    "of others, and six to nine times too late on a transformer that generalizes in a jump: docs/logs.md"
)
if TYPE_CHECKING:
    from groktime.fullnet.task import Task

_NAN = float("nan")
_TRAIN = "train so far; `groktime recommend` tells which decay γ is the soonest"


@dataclass(frozen=True)
class Finding:
    """One run: its name, the signals that were looked at, and the verdict with its evidence."""

    name: str
    signals: Signals
    judged: Judged

    @property
    def verdict(self) -> Verdict:
        return self.judged.verdict

    @property
    def left(self) -> tuple[float, float, float]:
        """Steps that may be left, and their range; NaN but of a plateau with a drift."""
        left = self.judged.left
        return (left.steps, left.low, left.high) if left else (_NAN, _NAN, _NAN)


@dataclass(frozen=True, repr=False)
class Diagnosis(Value):
    """The findings of `diagnose`, one a run, in the order of the runs."""

    findings: tuple[Finding, ...]
    source: str
    remarks: tuple[str, ...] = ()
    tries: Mapping[Verdict, str] = field(default_factory=lambda: TRY)

    def facts(self) -> Mapping[str, object]:
        kinds = [f.verdict for f in self.findings]
        counts = {v.value: kinds.count(v) for v in Verdict if v in kinds}
        return {"source": self.source, "runs": len(kinds), **counts}

    def columns(self) -> Mapping[str, Sequence[object]]:
        every = self.findings
        times = {k: [getattr(f.signals, k) for f in every] for k in ("last", "t_mem", "t_grok")}
        left = {k: [f.left[j] for f in every] for j, k in enumerate(("left", "left_low", "left_high"))}
        return {
            "name": [f.name for f in every],
            "verdict": [f.verdict.value for f in every],
            **times,
            **left,
            "evidence": [f.judged.evidence for f in every],
            "try": [self.tries[f.verdict] for f in every],
        }

    def report(self) -> str:
        """A row a run, and below it the evidence of each and what may be tried."""
        every = self.columns()
        shown: dict[str, Iterable[object]]
        shown = {k: every[k] for k in ("name", "verdict", "last", "t_mem", "t_grok")}
        if any(f.judged.left for f in self.findings):
            spans = [f"{low:.3g} to {high:.3g}" if low == low else "-" for _, low, high in self._left()]
            shown |= {"steps left": [f"{x:.3g}" if x == x else "-" for x, *_ in self._left()], "range": spans}
        lines = [with_dash(table(shown), "not reached, not recorded, or not told"), "", "Evidence"]
        lines += [f"  {f.name}: {f.judged.evidence}" for f in self.findings]
        lines += ["", "What to try"]
        lines += [f"  {v}: {self.tries[v]}" for v in Verdict if any(f.verdict == v for f in self.findings)]
        return "\n".join([*lines, "", *(f"- {text}" for text in self.remarks), f"- {NOTE}"])

    def _left(self) -> list[tuple[float, float, float]]:
        return [f.left for f in self.findings]


def diagnose(
    runs: Runs | Forecast | Task | FileName,
    *,
    threshold: ArrayLike | None = None,
    until: float | None = None,
    **settings: Any,
) -> Diagnosis:
    """What each run is doing: a verdict with its evidence, and of a plateau the steps that may be left.

    Parameters
    ----------
    runs : trained networks, or their runs file or log; or a forecast, or its file, whose networks are judged
        by the curves that it expects; or a task, which is forecast first.
    threshold : test accuracy that counts as generalized, one or one a run; default the file's, of a log 0.95.
    until : look at nothing after this step.
    settings : of the forecast of a task, such as gamma; see `forecast`.

    Raises
    ------
    InputError : without a test accuracy, or on settings of anything but a task.
    """
    if _is_task(runs):
        from groktime.fullnet.forecast import forecast

        runs, settings = forecast(runs, **settings), {}
    if settings:
        raise InputError(f"{next(iter(settings))}: expected a task to forecast, not {type(runs).__name__}")
    of = _forecast_of(runs)
    tries = TRY if of is None else TRY | {Verdict.GENERALIZES: _TRAIN}
    if of is not None and threshold is None:
        threshold = of.times().level
    curves = foretold(of) if of is not None else runs_of(_readable(runs))
    limits = _limits(curves, threshold)
    until = None if until is None else number("until", until, "0 or more", lambda x: x >= 0)
    found = signals(curves, limits, until)
    names = curves["name"].values if "name" in curves.arrays else np.arange(len(found))
    rate = curves.law.speed * np.asarray(curves["eta_d"].values * curves["gamma"].values, float)
    findings = [
        Finding(str(name), one, judge(one, float(r))) for name, one, r in zip(names, found, rate, strict=True)
    ]
    source, told = (curves.source, ()) if of is None else (of.source, (remark(of),))
    return Diagnosis(tuple(findings), source, (*told, *curves.remarks), tries)


def _is_task(given: Any) -> TypeGuard[Task]:
    """Without torch, which logs do not need, and without which there is no task."""
    known = sys.modules.get("groktime.fullnet.task")
    return known is not None and isinstance(given, known.Task)


def _forecast_of(given: Any) -> Forecast | None:
    """A forecast, or that in a file; None of anything else."""
    if isinstance(given, str | os.PathLike) and (path := Path(given)).suffix == ".nc" and path.is_file():
        of = read_outline(path, "a groktime runs or forecast file").attrs.get("schema")
        return Forecast.open(path) if of == FORECAST.name else None
    return given if isinstance(given, Forecast) else None


def _readable(given: Any) -> Runs | FileName:
    if not isinstance(given, Runs | str | os.PathLike):
        raise InputError(
            f"runs: expected runs, a runs file, a log, a forecast or a task, not {type(given).__name__}"
        )
    return given


def _limits(runs: Runs, given: ArrayLike | None) -> NDArray[np.float64]:
    """The test accuracy of each run that counts as generalized."""
    if np.isnan(runs["test_accuracy"].values).all():
        raise InputError(f"{runs.source}: test_accuracy was not measured; expected runs that have it")
    if given is None and runs.attrs["threshold_relative"]:
        raise InputError(
            f"threshold: {runs.source} has one relative to the task's ceiling; expected the test accuracy "
            "that counts as generalized"
        )
    limit = runs.attrs["accuracy_threshold"] if given is None else given
    values = numbers("threshold", limit, "above 0 and up to 1, an accuracy", lambda x: 0 < x <= 1)
    count = runs.arrays.sizes["run"]
    if values.size not in (1, count):
        raise InputError(f"threshold: {values.size} numbers; expected one, or {count}, one a run")
    return np.broadcast_to(values, count)
