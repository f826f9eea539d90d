"""What drifts beside the decay: the weight decay γ0 that minibatch noise amounts to, from runs at γ = 0.

The drift goes along the valley and not in the norm, so it is read on the test metric: the path of the same
seed turns a run's test metric into the place τ on the valley where the path had the same, and

    s = (dτ/dt)/η        γ0 = (s − γ)/(1 − s/γ_eff)

The denominator, because the refits of the path drift by γ0 per step, too: a path that went τ is
τ(1 + γ0/γ_eff) far.
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
_LEAST = 6  # of them on the stretch that run and path share


@dataclass(frozen=True)
class SeedDrift:
    """The drift of one run at `gamma`. `gamma0` with its 90 % interval; NaN where run and path share too
    little, infinite where the run drifts as fast as the path or faster. `slope`: (dτ/dt)/η, read on the
    path as it is. `stretch`: τ of the path where the run was first and last seen."""

    seed: int
    alpha: float
    gamma: float
    gamma0: float
    low: float
    high: float
    slope: float
    stretch: tuple[float, float]


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
        known = [r.gamma0 for r in self.runs if r.seed == seed and math.isfinite(r.gamma0)]
        value = float(np.median(known)) if known else self.median
        if not math.isfinite(value):
            raise InputError("implicit decay: no run tells one; expected longer runs at gamma = 0")
        return max(value, 0.0)


def implicit_decay(
    path: DecayPath | FileName, runs: Runs | FileName, metric: str = "accuracy", gamma: float = 0.0
) -> ImplicitDecay:
    """The decay that a drift without decay amounts to, from runs at γ = 0 and the path of their seeds.

    The slope is that of Theil and Sen, over what the run and the finest resolution of the path share
    after the fit. Its error is half of what the slope's 90 % interval spans, or half the difference of
    the slopes of its two halves, whichever is more: the points are not independent.

    Parameters
    ----------
    path : (or its file) of the runs' networks, batch and optimizer, with their seeds and starts; best one
        that was fitted first, since it begins where such a run is when it has fitted.
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


def _of_run(path: DecayPath, runs: Runs, k: int, metric: str) -> SeedDrift:
    run = runs.dataset.isel(run=k)
    seed, alpha, eta, gamma = int(run["seed"]), *(float(run[k]) for k in ("alpha", "eta_d", "gamma"))
    names = {"seed": seed, "n_train": int(run["n_train"]), "alpha": alpha}
    m = float(run["m_start"])
    names["m_start"] = float(path.m_start[0]) if math.isnan(m) else m
    place = tuple(path.place(name, names[name]) for name in ("seed", "n_train", "m_start", "alpha"))
    tau, value = _valley(path, place, metric)

    seen = np.isfinite(run["train_accuracy"].values)
    step, test = runs.step[seen].astype(float), _SIGN[metric] * run[f"test_{metric}"].values[seen]
    fits = run["train_accuracy"].values[seen] >= MEMORIZED
    nan = float("nan")
    nothing = SeedDrift(seed, alpha, gamma, nan, nan, nan, nan, (nan, nan))
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
    t, at = step[chosen], np.interp(-test[chosen], -value, tau)
    law = runs.law
    slope, error = _slope(law.speed * eta * law.schedule.spent(t), at)
    finest = float(path.gamma_eff[-1]) / speeds(path, runs)[1]  # as a γ of the runs
    each = [_gamma0(s, gamma, finest) for s in (slope, slope - error, slope + error)]
    return SeedDrift(seed, alpha, gamma, each[0], each[1], each[2], slope, (float(at[0]), float(at[-1])))


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


def _gamma0(slope: float, gamma: float, gamma_eff: float) -> float:
    return (slope - gamma) / (1 - slope / gamma_eff) if slope < gamma_eff else math.inf
