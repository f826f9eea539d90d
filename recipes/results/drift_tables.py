"""What `drift_addition` found of one size, and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groktime.recipes.results.drift_sizes import Size
from groktime.recipes.results.released import Release
from groktime.recipes.shared.tables import number
from groktime.reduced.drift_form import Way
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import Prediction, predict
from groktime.reduced.system import System, systems

Floats = NDArray[np.float64]

SHOWN = (0.05, 0.1, 0.2, 0.3, 0.4)
RATIO = 0.1
NEVER = 1e-30  # a test loss that is never reached: the flow to its very end
FORMS = ("drift", "drift_closed", "Eq. 6", "corrected", "printed")


@dataclass(frozen=True)
class Found:
    """By seed the curves of the runs `made` and the landscapes; `told` by seed, run, and whether with
    drift."""

    size: Size
    made: dict[int, dict[str, Floats]]
    lands: dict[int, Landscape]
    told: dict[tuple[int, int, bool], Floats]

    @classmethod
    def of(cls, size: Size, out: Path, seeds: Sequence[int], fitted: bool = True) -> Found:
        """Made, or read again; `fitted`: released after a fit at a frozen m, or as they were initialized."""
        lands = {seed: size.land(out, seed) for seed in seeds}
        made = {seed: size.trained(out, seed, fitted) for seed in seeds}
        told = {}
        for seed, land in lands.items():
            (system,) = systems(land, seed=seed, metric="loss", threshold=NEVER)
            for k, one in enumerate(size.runs):
                for drift in (True, False):
                    told[seed, k, drift] = size.flowed(system, one, drift)
        return cls(size, made, lands, told)

    @property
    def seeds(self) -> list[int]:
        return list(self.made)


def named(one: Release) -> str:
    return f"γ = {one.gamma:g}, η_R/η_D = {one.ratio:g}"


def messiness(found: Found, run: int) -> list[list[str]]:
    """m over m at the start of a setting, medians over the seeds, and the mean distance from the runs."""
    size, made, told = found.size, found.made, found.told
    trained = np.array([made[s]["m"][run] / size.m for s in found.seeds])
    known = np.isfinite(trained) & (size.taus > 0)
    ways = {"trained": trained}
    if run == 0 and "own" in made[found.seeds[0]]:
        ways["projection on the run's own way"] = np.array([made[s]["own"] / size.m for s in found.seeds])
    ways["drift"] = np.array([told[s, run, True][1] for s in found.seeds])
    ways["Eq. 6"] = np.array([told[s, run, False][1] for s in found.seeds])
    ways["m stays"] = np.ones_like(trained)
    rows = []
    for name, values in ways.items():
        shown = [np.argmax(np.isclose(size.taus, t)) for t in SHOWN]
        cells = [number(float(np.median(values[:, k]))) if known[:, k].all() else "–" for k in shown]
        off = number(float(np.abs(values - trained)[known].mean())) if name != "trained" else ""
        rows.append([named(size.runs[run]), name, *cells, off])
    return rows


def norms(found: Found) -> list[list[str]]:
    """How far the norm has fallen."""
    at = int(np.argmax(np.isclose(found.size.taus, 0.2)))
    rows = []
    for k, one in enumerate(found.size.runs):
        trained = [found.made[s]["ln_w"][k, at] - found.made[s]["ln_w"][k, 0] for s in found.seeds]
        drift = [found.told[s, k, True][0, at] for s in found.seeds]
        row = (f"{np.median(trained):.3f}", f"{np.median(drift):.3f}", f"{-found.size.taus[at]:.3f}")
        rows.append([named(one), *row])
    return rows


def halfway(size: Size, land: Landscape, metric: str) -> float:
    """The test loss or accuracy halfway from the landscape's at the start to its best: chosen without the
    runs."""
    values = land[f"test_{metric}"].values[0, 0, -1]
    start = np.interp(size.m, land.m, values[:, -1])
    return float((start + (values.min() if metric == "loss" else values.max())) / 2)


def reached(taus: Floats, values: Floats, limit: float, metric: str) -> float:
    """ηγt at which a curve first passes, straight between its points; NaN where it does not."""
    beyond = (values - limit) * (1 if metric == "accuracy" else -1)
    at = np.flatnonzero(beyond >= 0)
    if not len(at):
        return float("nan")
    k = int(at[0])
    share = beyond[k - 1] / (beyond[k - 1] - beyond[k]) if k else 0.0
    return float(taus[k - 1] + share * (taus[k] - taus[k - 1])) if k else 0.0


def asked(size: Size, land: Landscape, one: Release, metric: str) -> Prediction:
    """The landscape's times for a run."""
    return predict(
        land, gamma=one.gamma, eta_d=one.rate, eta_r=one.rate * one.ratio, alpha=size.alpha, m=size.m,
        metric=metric, threshold=halfway(size, land, metric),
    )  # fmt: skip


def times(found: Found, metric: str) -> list[list[str]]:
    """ηγt to that test loss or accuracy by seed: trained, and how far the forms are off, %."""
    size, rows = found.size, []
    for k, one in enumerate(size.runs):
        trained, told = [], []
        for seed in found.seeds:
            limit = halfway(size, found.lands[seed], metric)
            trained.append(reached(size.taus, found.made[seed][f"test_{metric}"][k], limit, metric))
            p = asked(size, found.lands[seed], one, metric)
            forms = {**p.forms, "Eq. 6": p.t_grok}
            told.append([one.gamma * one.rate * forms[name] for name in FORMS])
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.array(told) / np.array(trained)[:, None] - 1
        shown = [", ".join(f"{100 * x:+.0f}" if np.isfinite(x) else "–" for x in each) for each in off.T]
        rows.append([named(one), ", ".join("–" if np.isnan(x) else f"{x:.3f}" for x in trained), *shown])
    return rows


def shares(found: Found, metric: str) -> list[list[str]]:
    """ηγt to that test loss or accuracy by each form, whatever the runs do, by seed. Of the printed and the
    corrected form L, the whole way in u, and what m adds; with drift what passes in the valley and on the
    wall."""
    size, rows = found.size, []
    for one in size.runs:
        cells: list[list[str]] = [[] for _ in FORMS]
        for seed in found.seeds:
            p = asked(size, found.lands[seed], one, metric)
            system, g, b = p.detail.system, p.detail.geometry, p.detail.balance
            each = (
                (p.t_grok, None),
                (p.forms["drift"], None),
                (p.forms["printed"], (g.L, g.h * np.tan(g.theta))),
                (p.forms["corrected"], (b.L, b.slide / one.ratio)),
                (p.forms["drift_closed"], _drifted(size, system, one)),
            )
            for cell, (time, parts) in zip(cells, each, strict=True):
                shown = f"{one.gamma * one.rate * time:.3f}" if parts is None else _sum(*parts)
                cell.append(shown if np.isfinite(time) else "–")
        rows.append([named(one), *("; ".join(cell) for cell in cells)])
    return rows


def _sum(before: float, on: float) -> str:
    return f"{before:.3f} + {on:.3f}"


def readings(found: Found) -> list[list[str]]:
    """The test loss of the runs, and of the landscape at their own (w, m), medians over the seeds."""
    size, rows = found.size, []
    for k, one in enumerate(size.runs):
        trained, read = np.full((2, len(found.seeds), len(SHOWN)), np.nan)
        for i, seed in enumerate(found.seeds):
            (system,) = systems(found.lands[seed], seed=seed, metric="loss", threshold=NEVER)
            assert system.surface.test_loss is not None
            made, at = found.made[seed], [int(np.argmax(np.isclose(size.taus, t))) for t in SHOWN]
            trained[i] = made["test_loss"][k, at]
            u, m = made["ln_w"][k, at], made["m"][k, at]
            known = np.isfinite(u)
            read[i, known] = system.surface.test_loss.value(u[known], m[known])
        for name, values in (("trained", trained), ("landscape, there", read)):
            rows.append(
                [named(one), name, *(f"{x:.2f}" if np.isfinite(x) else "–" for x in np.median(values, 0))]
            )
    return rows


def _drifted(size: Size, system: System, one: Release) -> tuple[float, float]:
    surface = system.surface
    assert surface.drift is not None
    way = Way(surface, surface.domain, surface.drift, system.generalized, one.gamma, one.ratio)
    start = surface.domain.snapped(np.array(np.log(size.alpha * system.w0)), np.array(size.m))
    return way.parts(*map(float, start))


def cells(found: Found) -> list[list[str]]:
    """The three numbers, what m weighs beside u, and b over m, medians over α and the seeds."""
    rows, lands = [], found.lands.values()
    for j, m in enumerate(found.size.rows):
        for k, cutoff in enumerate(found.size.cutoffs):
            normal, overlap, turn = (
                np.array([land[f"drift_{name}"].values[0, 0, k, j] for land in lands])
                for name in ("normal", "overlap", "turn")
            )
            w2 = np.array([(land["w0"].values[0] * land.alpha) ** 2 for land in lands])
            each = (normal, overlap, turn, (turn + 1 / RATIO) / w2, 1 / RATIO / w2)
            b = f"{np.median(-overlap / (1 / RATIO + turn) / m):.2f}" if m else "–"
            rows.append([f"{m:g}", f"{cutoff:g}", *(number(float(np.median(x))) for x in each), b])
    return rows
