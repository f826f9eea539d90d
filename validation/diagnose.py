"""`diagnose`: is this grokking on its way, plain overfitting, or nothing that waiting will help?

Each run gets one verdict, with the numbers that it rests on and what may be tried. It is of what the curves
say up to their last evaluation, and no promise; how often it was right is written down in docs/logs.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.fullnet.runs import Runs, runs_of
from groktime.reduced.arguments import number, numbers
from groktime.reduced.errors import InputError
from groktime.reduced.files import FileName
from groktime.reduced.value import Value
from groktime.validation.report import table, with_dash
from groktime.validation.signals import Signals, signals
from groktime.validation.verdicts import TRY, Judged, Verdict, judge

NOTE = (
    "A verdict is of what the curves say so far, and no promise. Times told were off by 16 to 44 % on MLPs "
    "of others, and six to nine times too late on a transformer that generalizes in a jump: docs/logs.md"
)
_NAN = float("nan")


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
            "try": [TRY[f.verdict] for f in every],
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
        lines += [f"  {v}: {TRY[v]}" for v in Verdict if any(f.verdict == v for f in self.findings)]
        return "\n".join([*lines, "", *(f"- {text}" for text in self.remarks), f"- {NOTE}"])

    def _left(self) -> list[tuple[float, float, float]]:
        return [f.left for f in self.findings]


def diagnose(
    runs: Runs | FileName, *, threshold: ArrayLike | None = None, until: float | None = None
) -> Diagnosis:
    """What each run is doing: a verdict with its evidence, and of a plateau the steps that may be left.

    Parameters
    ----------
    runs : trained networks, or their runs file or log.
    threshold : test accuracy that counts as generalized, one or one a run; default the file's, of a log 0.95.
    until : look at nothing after this step.

    Raises
    ------
    InputError : without a test accuracy; and on a task, which has no curves yet.
    """
    if not isinstance(runs, Runs | str | os.PathLike):
        raise InputError(
            f"runs: expected runs, a runs file or a log, not {type(runs).__name__}; of a task that is not "
            "trained yet, `forecast` tells when it groks"
        )
    runs = runs_of(runs)
    limits = _limits(runs, threshold)
    until = None if until is None else number("until", until, "0 or more", lambda x: x >= 0)
    found = signals(runs, limits, until)
    names = runs["name"].values if "name" in runs.arrays else np.arange(len(found))
    rate = runs.law.speed * np.asarray(runs["eta_d"].values * runs["gamma"].values, float)
    findings = [
        Finding(str(name), one, judge(one, float(r))) for name, one, r in zip(names, found, rate, strict=True)
    ]
    return Diagnosis(tuple(findings), runs.source, tuple(runs.remarks))


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
