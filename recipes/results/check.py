"""How often `diagnose` was right: runs that are cut short, and what became of them.

Two systems are trained, teacher-student and an MLP on addition modulo p, some without decay, some with few
samples. On the even seeds the constants of `validation.time_to_go` are measured; the odd ones, and the logs
of others that are named (--logs), are scored. A run is cut at 25 and 50 % of T, the median time of the runs
of its set that generalize: will it, by T? Beside the diagnosis, the weight norm and the test accuracy at the
cut, alone. Then each is cut at 25 and 50 % of its own time, and its time is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from groktime.fullnet.runs import Runs, import_runs
from groktime.fullnet.tasks import modular_mlp, teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import took, trained
from groktime.recipes.shared.tables import number, table
from groktime.reduced.interval import TAIL
from groktime.validation import time_to_go
from groktime.validation.diagnose import Finding, diagnose
from groktime.validation.signals import Signals
from groktime.validation.verdicts import Verdict

Floats = NDArray[np.float64]

CUTS = (0.25, 0.5)
SYSTEMS: Mapping[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "teacher-student": (
        teacher_student,
        {
            "gamma": [0, 0.1, 0.3, 1],
            "alpha": [2.0, 3.0],
            "eta_d": 1e-3,
            "n_train": [25, 100],
            "steps": 15_000,
        },
    ),
    "modular-mlp": (
        lambda: modular_mlp(p=31, d_model=64, width=128),
        {"gamma": [0, 1, 3], "alpha": 1.0, "eta_d": 1e-3, "n_train": [240, 577], "steps": 8_000},
    ),
}
WAYS = {
    "test curves": (time_to_go.by_test, time_to_go.TEST),
    "weight norm": (time_to_go.by_norm, time_to_go.NORM),
    "time since the fit": (time_to_go.by_waiting, time_to_go.WAITED),
}


@dataclass(frozen=True)
class Set:
    """Runs that are scored together: where they are from, the threshold, and each run's t_grok by it."""

    name: str
    runs: Runs
    threshold: float | None
    t_grok: Floats

    @staticmethod
    def of(name: str, runs: Runs, threshold: float | None = None) -> Set:
        every = diagnose(runs, threshold=threshold).findings
        return Set(name, runs, threshold, np.array([f.signals.t_grok for f in every]))

    def cut(self, step: float) -> list[Finding]:
        """What is said of each run at a step."""
        return list(diagnose(self.runs, threshold=self.threshold, until=step).findings)

    def each_cut(self, share: float) -> list[tuple[float, Finding]]:
        """t_grok of each run that generalizes, and what is said of it at a share of that time."""
        alone = [
            (t, Runs(self.runs.dataset.isel(run=[k]), self.runs.source))
            for k, t in enumerate(self.t_grok.tolist())
            if np.isfinite(t)
        ]
        return [(t, diagnose(one, threshold=self.threshold, until=share * t).findings[0]) for t, one in alone]

    @property
    def horizon(self) -> float:
        """T: the median time of the runs that generalize."""
        return float(np.nanmedian(self.t_grok))


def some(runs: Runs, odd: bool) -> Runs:
    """The runs of the odd or the even seeds."""
    kept = runs.dataset.isel(run=np.flatnonzero(runs["seed"].values % 2 == odd))
    return Runs(kept, runs.source)


def auroc(score: Floats, yes: NDArray[np.bool_]) -> float:
    """How often a run that did is above one that did not; NaN without both. Ties count half."""
    if yes.all() or not yes.any():
        return float("nan")
    return float(mannwhitneyu(score[yes], score[~yes]).statistic / (yes.sum() * (~yes).sum()))


def within(sets: Sequence[Set], name: str) -> list[list[str]]:
    """A row a cut: AUROC of "generalizes by T" among the runs that had not at the cut."""
    rows = []
    for share in CUTS:
        scores: list[tuple[float, float, float]] = []
        yes: list[bool] = []
        for one in sets:
            for found, t in zip(one.cut(share * one.horizon), one.t_grok, strict=True):
                if found.verdict != Verdict.GENERALIZES:
                    said = found.signals.last + found.left[0] if np.isfinite(found.left[0]) else np.inf
                    now = found.signals.now
                    scores.append((-said / one.horizon, -now["weight_norm"], now["test_accuracy"]))
                    yes.append(bool(t <= one.horizon))
        each = np.array(scores).T
        told = [f"{auroc(s, np.array(yes)):.2f}" for s in each]
        rows.append([name, f"{share:.0%}", f"{sum(yes)} of {len(yes)}", *told])
    return rows


def ratios(one: Set, share: float, way: Callable[[Signals], float]) -> Floats:
    """True over told steps that are left, by one way, of each run that generalizes and had fitted when it was
    cut at a share of its own time."""
    each = [(t, found.signals) for t, found in one.each_cut(share)]
    return np.array([(t - s.last) / way(s) for t, s in each if s.fitted])


def times(one: Set) -> list[list[str]]:
    """A row a cut: how far the told time is off, and whether it lies in the interval."""
    rows = []
    for share in CUTS:
        found = one.each_cut(share)
        told = [(t, f) for t, f in found if np.isfinite(f.left[0])]
        error = [abs((f.signals.last + f.left[0]) / t - 1) for t, f in told]
        inside = [f.left[1] <= t - f.signals.last <= f.left[2] for t, f in told]
        wide = [f.left[2] / f.left[1] for _, f in told]
        row = [one.name, f"{share:.0%}", f"{len(told)} of {len(found)}"]
        if told:
            row += [
                f"{100 * np.median(error):.0f} %",
                f"{100 * np.mean(inside):.0f} %",
                number(np.median(wide)),
            ]
        rows.append(row + ["–"] * (6 - len(row)))
    return rows


def constants(sets: Sequence[Set]) -> list[list[str]]:
    """What the runs that choose say of each way, at both cuts: its κ, and where 90 % of them lie."""
    rows = []
    for name, (way, now) in WAYS.items():
        each = np.concatenate([ratios(one, share, way) for one in sets for share in CUTS])
        each = each[np.isfinite(each) & (each > 0)]
        if len(each):
            low, middle, high = np.quantile(each, [TAIL, 0.5, 1 - TAIL])
            spans = [f"{number(low)} – {number(high)}", f"{now.low:g} – {now.high:g}"]
            rows.append([name, str(len(each)), f"{now.kappa:g}", number(middle), *spans])
    return rows


def verdicts(sets: Sequence[Set]) -> list[list[str]]:
    """A row a verdict and cut, at shares of T: how many runs, and how many of them generalized in the end."""
    count: Counter[tuple[Verdict, float]] = Counter()
    later: Counter[tuple[Verdict, float]] = Counter()
    for one, share in product(sets, CUTS):
        for found, t in zip(one.cut(share * one.horizon), one.t_grok, strict=True):
            count[found.verdict, share] += 1
            later[found.verdict, share] += int(np.isfinite(t))
    return [
        [v.value, f"{share:.0%}", str(count[v, share]), str(later[v, share])]
        for v, share in product(Verdict, CUTS)
        if count[v, share]
    ]


def _stem(log: str) -> str:
    """The name of a log in a table."""
    return Path(log).name.split(".csv")[0].removesuffix(".npz").removesuffix(".curves")


@recipe("check", "verdicts on runs that were cut short, and the times that they were told", seeds=4)
def run(
    out: Path,
    seeds: int,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(SYSTEMS)} to train"] = tuple(SYSTEMS),
    logs: Annotated[tuple[str, ...], "logs of others, to be scored as well"] = (),
    threshold: Annotated[float, "test accuracy that counts as generalized, of these logs"] = 0.9,
) -> None:
    own = {
        name: trained(out / f"{name}.nc", SYSTEMS[name][0](), seeds=range(seeds), **SYSTEMS[name][1])
        for name in systems
    }
    chosen = [Set.of(name, some(runs, odd=False)) for name, runs in own.items()]
    scored = [Set.of(name, some(runs, odd=True)) for name, runs in own.items()]
    others = [Set.of(_stem(log), import_runs(log), threshold) for log in logs]
    head = ["way", "runs and cuts", "κ", "true over told: median", "90 %", "in use"]
    table(head, constants(chosen), "constants")
    rows = [row for one in [*scored, *others] for row in within([one], one.name)]
    for name, sets in (("all of our own", scored), ("all logs of others", others)):
        rows += within(sets, name) if len(sets) > 1 else []
    table(["runs", "cut at", "generalized by T", "diagnosis", "norm alone", "accuracy alone"], rows, "within")
    head = ["runs", "cut at, of t_grok", "told", "median error of t_grok", "in its range", "high over low"]
    table(head, [row for one in [*scored, *others] for row in times(one)], "times")
    head = ["verdict", "cut at", "runs", "generalized in the end"]
    table(head, verdicts(scored), "verdicts")
    if others:
        table(head, verdicts(others), "verdicts-others")
    took(*(out / f"{name}.nc" for name in own))
