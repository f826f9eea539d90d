"""What drifts beside the decay: the weight decay γ0 that minibatch noise amounts to, from runs at γ = 0.

The drift goes along the valley and not in the norm, so it is read on the test metric: the path of the same
seed turns a run's test metric into the place τ on the valley where the path had the same, and where the
drift has set in

    s = (dτ/dt)/η        γ0 = (s − γ)/(1 − s/γ_eff)

The denominator, because the refits of the path drift by γ0 per step, too: a path that went τ is
τ(1 + γ0/γ_eff) far; it is 1 where the path has ended before the drift sets in. The onset is the step at which
τ − ηγt is 0 on the line of the drift. Under Adam it is late, thousands of steps after the fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from groktime.fullnet.runs import Runs, runs_of
from groktime.reduced.arguments import choice, number
from groktime.reduced.decay_path import DecayPath, path_of
from groktime.reduced.errors import InputError
from groktime.reduced.files import FileName
from groktime.reduced.starts import METRICS, SETTINGS
from groktime.reduced.system import MEMORIZED
from groktime.validation.match import check_match, speeds

Floats = NDArray[np.float64]

SETTLED = 2.0  # times the fit, from where on a run is looked at
_POINTS = 60  # of a run, evenly in steps: evaluations are dense at its start
_SIGN = {"loss": 1, "accuracy": -1}  # with which both fall
_LEAST = 6  # of them on the stretch that run and path share, and after the bend
_TURNS, _CLOSE = 20, 1e-6  # of γ0 and onset, each from the other


@dataclass(frozen=True)
class SeedDrift:
    """The drift of one run at `gamma`. `gamma0` with its 90 % interval; NaN where run and path share too
    little, infinite where the run drifts as fast as the path or faster. `slope`: (dτ/dt)/η where it has set
    in, read on the path as it is. `stretch`: τ of the path where the run was first and last seen. `onset`:
    the optimizer step of the run from which the drift counts; 0 where it does from the start.
    """

    seed: int
    alpha: float
    gamma: float
    gamma0: float
    low: float
    high: float
    slope: float
    stretch: tuple[float, float]
    onset: float = 0.0


@dataclass(frozen=True)
class ImplicitDecay:
    """What `implicit_decay` returns, one entry a run."""

    runs: tuple[SeedDrift, ...]
    metric: str
    remarks: tuple[str, ...] = ()  # on what the two files do not say, or say differently

    @property
    def median(self) -> float:
        """γ0 over the runs that tell it; NaN where none does."""
        known = [r.gamma0 for r in self.runs if not math.isnan(r.gamma0)]
        return float(np.median(known)) if known else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """From the lowest to the highest end of the runs' 90 %."""
        known = [r for r in self.runs if not math.isnan(r.gamma0)]
        if not known:
            return float("nan"), float("nan")
        return min(r.low for r in known), max(r.high for r in known)

    def of(self, seed: int) -> float:
        """γ0 of one seed for `predict(…, implicit=…)`: not below 0; the median where the seed tells none.

        Raises
        ------
        InputError : where no run tells a finite one.
        """
        value = float(np.median([r.gamma0 for r in self._telling(seed)] or [self.median]))
        if not math.isfinite(value):
            raise InputError("implicit decay: no run tells one; expected longer runs at gamma = 0")
        return max(value, 0.0)

    def onset(self, seed: int) -> float:
        """The step after which it acts, for `predict(…, onset=…)`: the median where the seed tells none; 0
        where none does."""
        telling = self._telling(seed) or [r for r in self.runs if math.isfinite(r.gamma0)]
        return float(np.median([r.onset for r in telling])) if telling else 0.0

    def _telling(self, seed: int) -> list[SeedDrift]:
        return [r for r in self.runs if r.seed == seed and math.isfinite(r.gamma0)]


def implicit_decay(
    path: DecayPath | FileName, runs: Runs | FileName, metric: str = "accuracy", gamma: float = 0.0
) -> ImplicitDecay:
    """The decay that a drift without decay amounts to, from runs at γ = 0 and the path of their seeds.

    Of what the run and the finest resolution of the path share after the fit, the part counts in which
    the drift has set in: after the bend of the best two straight lines of which the first does not rise. The
    slope is that of Theil and Sen. Its error is half of what the slope's 90 % interval spans, or half the
    difference of the slopes of its two halves, whichever is more: the points are not independent.

    Parameters
    ----------
    path : (or its file) of the runs' networks, batch and optimizer, with their seeds and starts; best one
        whose refits have ended before the onset, since they do not drift then.
    runs : (or their file) of which those with `gamma` are read; the others are left out.
    metric : of the test, by which run and path are set beside each other: that of the threshold, since
        they need not drift alike. The loss tells much of the norm, the accuracy of the direction.
    gamma : the decay of the runs, which is taken off what they drift. Of 0 the drift is all there is; other
        ones tell whether it is the same under decay.

    Raises
    ------
    InputError : on runs that the path does not belong to, without one at `gamma`, or whose seed or start
        the path does not hold.
    """
    metric, gamma = choice("metric", metric, METRICS), number("gamma", gamma, *SETTINGS["gamma"])
    path, runs = path_of(path), runs_of(runs)
    remarks = check_match(path, runs, 1.0, metric)
    ds = runs.dataset
    still = np.flatnonzero(ds["gamma"].values == gamma)
    if not still.size:
        raise InputError(f"runs: {runs.source} has none with gamma = {gamma:g}; expected one or more")
    found = tuple(_of_run(path, runs, int(k), metric) for k in still)
    return ImplicitDecay(found, metric, tuple(remarks))


def places(path: DecayPath, runs: Runs, k: int, metric: str = "accuracy") -> tuple[Floats, Floats]:
    """Where on the path of its seed run k is, by the test metric: optimizer steps, evenly, and τ, [point]
    each, of what both share after the fit. Empty where that is too little."""
    run = runs.dataset.isel(run=k)
    names = {name: run[name].values.item() for name in ("seed", "n_train", "alpha")}
    m = float(run["m_start"])
    names["m_start"] = float(path.m_start[0]) if math.isnan(m) else m
    place = tuple(path.place(name, names[name]) for name in ("seed", "n_train", "m_start", "alpha"))
    tau, value = _valley(path, place, metric)

    seen = np.isfinite(run["train_accuracy"].values)
    step, test = runs.step[seen].astype(float), _SIGN[metric] * run[f"test_{metric}"].values[seen]
    fits = run["train_accuracy"].values[seen] >= MEMORIZED
    nothing = np.zeros(0), np.zeros(0)
    if not fits.any() or len(tau) < 2:
        return nothing
    shared = (step >= SETTLED * step[np.argmax(fits)]) & (test <= value[0]) & (test >= value[-1])
    if not shared.any():
        return nothing
    step, test = step[shared], test[shared]
    # evenly in steps, so that no part of the run counts for more
    chosen = np.unique(np.searchsorted(step, np.linspace(step[0], step[-1], _POINTS)))
    if len(chosen) < _LEAST:
        return nothing
    return step[chosen], np.interp(-test[chosen], -value, tau)


def _of_run(path: DecayPath, runs: Runs, k: int, metric: str) -> SeedDrift:
    run = runs.dataset.isel(run=k)
    seed, alpha, eta, gamma = int(run["seed"]), *(float(run[k]) for k in ("alpha", "eta_d", "gamma"))
    t, at = places(path, runs, k, metric)
    if not len(t):
        nan = float("nan")
        return SeedDrift(seed, alpha, gamma, nan, nan, nan, nan, (nan, nan))
    law = runs.law
    gone = law.speed * eta * law.schedule.spent(t)  # ηt
    settled = _bend(gone, at - gamma * gone)
    gone, here = gone[settled:], at[settled:]
    slope, error = _slope(gone, here)
    finest = float(path.gamma_eff[-1]) / speeds(path, runs)[1]  # as a γ of the runs
    gamma0, onset, share = _settled(gone, here, gamma, finest, slope)
    low, high = (_gamma0(slope + x, gamma, share) for x in (-error, error))
    ends = float(at[0]), float(at[-1])
    return SeedDrift(seed, alpha, gamma, gamma0, low, high, slope, ends, onset / (law.speed * eta))


def _bend(gone: Floats, tau: Floats) -> int:
    """From which point on the drift has set in: the bend of the best level line and another one after it."""
    last, best = len(gone) - _LEAST, (math.inf, 0)
    for k in range(last + 1):
        design = np.stack([np.ones_like(gone), np.maximum(gone - gone[k], 0)], -1)
        off = tau - design @ np.linalg.lstsq(design, tau, rcond=None)[0]
        best = min(best, (float(off @ off), k))
    return best[1]


def _settled(
    gone: Floats, tau: Floats, gamma: float, gamma_eff: float, slope: float
) -> tuple[float, float, float]:
    """γ0, the onset in ηt, and what is 1/γ_eff where all of the path drifts, of the line of the drift: each
    follows from the others."""
    gamma0 = onset = share = 0.0
    for _ in range(_TURNS):
        drifting = np.maximum(tau / gamma_eff - onset, 0)  # ηt of the path after the onset
        share = float(theilslopes(drifting, gone)[0]) / slope if slope else 0.0
        gamma0, before = _gamma0(slope, gamma, share), onset
        if not 0 < gamma0 < math.inf:
            return gamma0, 0.0, share
        far = tau + gamma0 * drifting - gamma * gone
        onset = max(float(np.median(gone - far / gamma0)), 0.0)
        if abs(onset - before) <= _CLOSE * onset:
            break
    return gamma0, onset, share


def _valley(path: DecayPath, place: tuple[int, ...], metric: str) -> tuple[Floats, Floats]:
    """τ and what falls along the finest path after its fit: the test loss, or minus the accuracy; up to its
    lowest, where it falls."""
    ds = path.dataset
    curve = np.asarray(ds[f"test_{metric}"].values[(*place, -1)], float)
    curve = _SIGN[metric] * curve[np.isfinite(curve)]
    fit = float(ds["t_fit"].values[place]) / path.refit[-1] if path.fit == "along" else 0.0
    if math.isnan(fit) or not len(curve):
        return np.zeros(0), np.zeros(0)
    records = np.arange(math.ceil(fit), int(np.argmin(curve)) + 1)
    falls = np.minimum.accumulate(curve[records]) if len(records) else np.zeros(0)
    new = np.append(True, np.diff(falls) < 0)[: len(falls)]
    return records[new] * path.dtau, falls[new]


def _slope(s: Floats, tau: Floats) -> tuple[float, float]:
    """dτ/ds and its error."""
    slope, _, low, high = theilslopes(tau, s, 0.9)
    half = len(s) // 2
    halves = [theilslopes(tau[part], s[part])[0] for part in (slice(half), slice(half, None))]
    return float(slope), max(float(high - low) / 2, abs(float(halves[1] - halves[0])) / 2)


def _gamma0(slope: float, gamma: float, share: float) -> float:
    """`share`: 1/γ_eff, of the part of the path that drifts."""
    return (slope - gamma) / (1 - slope * share) if slope * share < 1 else math.inf
