"""`predict_on_path`: the grokking time from a decay path, for every γ and η: t = τ_c/(ηγ).

τ_c, where the test metric passes its threshold for good, is read at the resolution that the run itself
has: `refit` steps per dtau are training at γ_eff = dtau/(refit η). What a run's decay competes with is the
fit, and both go on in s = ηt: decay at the rate γ, the fit at one that does not hang on η while η is
small. So it is γ alone that is set beside γ_eff, which holds the η that the path was sampled with; the
run's η scales the time, and t_fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reduced.decay_path import DecayPath
from reduced.errors import InputError
from reduced.flow import Status
from reduced.prediction import check_each
from reduced.system import MEMORIZED

Floats = NDArray[np.float64]

PERSIST = 3  # records that a pass must last
LONG = 5.0  # a delay of so many t_fit is long against the fit
_ROUND = 1e-6  # of an accuracy stored in single precision
_BAD = (Status.COLLAPSES, Status.OUTSIDE)  # the worse first


@dataclass(frozen=True)
class SeedOnPath:
    """The prediction for one seed. Times in optimizer steps, NaN where there is none."""

    seed: int
    status: Status
    grokking_time: float
    memorization_time: float
    low: float  # of the numerical resolution, and of the fit; inf where the seed does not generalise
    high: float
    tau_c: float
    tau_error: float  # NaN for a path of one resolution, which tells no error
    threshold: float


@dataclass(frozen=True)
class PathPrediction:
    """What `predict_on_path` returns; times in optimizer steps.

    `grokking_time` is the median over seeds, of which those that never generalise count as infinite; NaN
    with a `status` that says why where more than half never do. `interval` is 90 %, over seeds and the
    numerical error; upwards, where the path was fitted first, over the time of the fit, too: what decay
    does meanwhile may count for a run, as is predicted, or be lost. `gamma_eff` are the resolutions that
    were read, as weight decays; `resolved` tells whether the run's γ lies among the sampled ones or below,
    `long` whether the delay is at least five times the fit. Whether a path has converged is told by the
    difference of its resolutions, `tau_error` of each seed.
    """

    settings: dict[str, Any]
    status: Status
    grokking_time: float
    memorization_time: float
    interval: tuple[float, float]
    tau_c: float
    gamma_eff: tuple[float, ...]
    resolved: bool
    seeds: tuple[SeedOnPath, ...]
    path: DecayPath = field(repr=False)

    @property
    def delay(self) -> float:
        """Steps between memorising and generalising."""
        return self.grokking_time - self.memorization_time

    @property
    def long(self) -> bool:
        """Whether the delay is long against the fit."""
        return bool(self.delay >= LONG * self.memorization_time)

    def report(self) -> str:
        """The prediction as a page that a person can read."""
        from reduced.path_report import report

        return report(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for scripts (None where there is no number)."""
        from reduced.path_report import as_dict

        return as_dict(self)


def predict_on_path(
    path: DecayPath,
    *,
    gamma: float,
    eta_d: float,
    alpha: float,
    m: float | None = None,
    n_train: int | None = None,
    seed: int | None = None,
    threshold: float | None = None,
    metric: str = "accuracy",
) -> PathPrediction:
    """Predict when a network that starts at w = alpha w0 generalises, from its decay path.

    Parameters
    ----------
    gamma, eta_d : decoupled weight decay, and learning rate per step of the run.
    alpha : start; between sampled ones τ_c is interpolated in ln alpha, outside nothing is extrapolated.
    m, n_train : one of the sampled ones (default: the first m, the largest size).
    seed : one seed of the path (default: all).
    threshold : test metric that counts as generalised. Default for accuracy: the file's; where it is a
        share, of the accuracy at the end of the path. Losses have none.
    metric : "accuracy" or "loss".

    Raises
    ------
    InputError : naming the argument and what was expected.
    """
    check_each("gamma", gamma, "0 or more", lambda x: x >= 0)
    check_each("eta_d", eta_d, "above 0", lambda x: x > 0)
    check_each("alpha", alpha, "above 0", lambda x: x > 0)
    if metric not in ("accuracy", "loss"):
        raise InputError(f"metric = {metric!r}: expected 'accuracy' or 'loss'")
    if threshold is None and metric == "loss":
        raise InputError("threshold: expected a test loss; losses have no default")
    if threshold is not None:
        top = 1.0 if metric == "accuracy" else math.inf
        check_each("threshold", threshold, f"in (0, {top:g}]", lambda x: 0 < x <= top)
    n_train = path.n_train[-1] if n_train is None else n_train
    m = float(path.m_start[0]) if m is None else m
    place = (path.place("n_train", n_train), path.place("m_start", m))
    chosen = path.seeds if seed is None else [path.seeds[path.place("seed", seed)]]
    unknown = np.isnan(path.dataset[f"test_{metric}"].values).all(-1)
    if np.all(unknown) and not path.dataset["diverged"].values.all():
        raise InputError(f"metric = {metric!r}: {path.source} holds no test_{metric}")

    read = _resolutions(path.gamma_eff, gamma)
    each = [
        _of_seed(path, s, place, gamma=gamma, eta_d=eta_d, alpha=alpha, read=read,
                 threshold=threshold, metric=metric)
        for s in chosen
    ]  # fmt: skip
    times = np.array([q.grokking_time for q in each])
    median = float(np.median(np.where(np.isnan(times), np.inf, times)))
    generalizes = math.isfinite(median)
    statuses = [q.status for q in each]
    if generalizes:
        status = each[int(np.nanargmin(np.abs(times - median)))].status
    else:
        bad = [s for s in statuses if s not in (Status.GENERALIZES, Status.ALREADY)]
        status = max(bad, key=bad.count)
    low = float(np.quantile([q.low for q in each], 0.05, method="lower"))
    high = float(np.quantile([q.high for q in each], 0.95, method="higher"))
    return PathPrediction(
        settings={
            "path": path.source,
            "gamma": gamma,
            "eta_d": eta_d,
            "alpha": alpha,
            "m": m if len(path.m_start) > 1 or m != 1 else None,
            "n_train": n_train,
            "seed": seed,
            "metric": metric,
        },
        status=status,
        grokking_time=median if generalizes else float("nan"),
        memorization_time=_median([q.memorization_time for q in each]),
        interval=(low, high),
        tau_c=_median([q.tau_c for q in each]),
        gamma_eff=tuple(float(path.gamma_eff[k]) for k in read.rows),
        resolved=read.resolved,
        seeds=tuple(each),
        path=path,
    )


@dataclass(frozen=True)
class _Resolutions:
    """Which resolutions are read: weights of the rows, and of their difference for the error."""

    rows: tuple[int, ...]
    weights: tuple[float, ...]
    pair: tuple[int, int] | None  # whose difference, times `share`, is the numerical error
    share: float
    resolved: bool


def _resolutions(gamma_eff: Floats, gamma: float) -> _Resolutions:
    """By the run's γ among the sampled γ_eff, which fall as `refit` grows.

    Among them: interpolated over ln γ_eff, with half the difference of the two neighbours as the error.
    Below: the finest, with the difference between the two finest, which for steps of a factor of 2 is what
    is left of an error of first order. Above: the coarsest, and what its slope would make of the distance.
    """
    last = len(gamma_eff) - 1
    if last == 0:
        return _Resolutions((0,), (1.0,), None, 0.0, bool(gamma <= gamma_eff[0] * (1 + 1e-9)))
    if gamma <= gamma_eff[-1]:
        return _Resolutions((last,), (1.0,), (last - 1, last), 1.0, True)
    if gamma > gamma_eff[0] * (1 + 1e-9):
        share = math.log(gamma / gamma_eff[0]) / math.log(gamma_eff[0] / gamma_eff[1])
        return _Resolutions((0,), (1.0,), (0, 1), share, False)
    k = min(int(np.searchsorted(-gamma_eff, -gamma)), last)  # gamma_eff[k - 1] >= gamma >= gamma_eff[k]
    k = max(k, 1)
    t = min(math.log(gamma / gamma_eff[k]) / math.log(gamma_eff[k - 1] / gamma_eff[k]), 1.0)
    return _Resolutions((k - 1, k), (t, 1 - t), (k - 1, k), 0.5, True)


def _of_seed(
    path: DecayPath,
    seed: int,
    place: tuple[int, int],
    *,
    gamma: float,
    eta_d: float,
    alpha: float,
    read: _Resolutions,
    threshold: float | None,
    metric: str,
) -> SeedOnPath:
    nan, at = float("nan"), (path.place("seed", seed), *place)

    def none(status: Status, t_fit: float = nan, level: float = nan) -> SeedOnPath:
        return SeedOnPath(seed, status, nan, t_fit, math.inf, math.inf, nan, nan, level)

    starts = _starts(path.alpha, alpha)
    if not starts:
        return none(Status.OUTSIDE)
    scale = path.eta_d / eta_d
    fits = path.dataset["t_fit"].values[at]
    t_fit = scale * sum(w * float(fits[a]) for a, w in starts)
    levels = [_level(path, (*at, a), threshold, metric) for a, _ in starts]
    level = min(levels)
    if gamma == 0:
        return none(Status.NEVER, t_fit, level)
    if eta_d * gamma * path.speed >= 1:
        return none(Status.COLLAPSES, t_fit, level)
    if math.isnan(t_fit):
        lost = path.dataset["diverged"].values[at].any()
        return none(Status.COLLAPSES if lost else Status.OUTSIDE, nan, level)
    needed = {*read.rows, *(read.pair or ())}
    tau: dict[int, float] = dict.fromkeys(needed, 0.0)
    found = []
    for (a, w), own in zip(starts, levels, strict=True):
        for k in needed:
            status, tau_c = _crossing(path, (*at, a, k), own, metric)
            in_fit = max(float(fits[a]) * path.dtau / path.refit[k], path.dtau)
            if path.fit == "along" and tau_c <= in_fit:  # no drift was waited for
                status, tau_c = Status.ALREADY, 0.0
            tau[k] += w * tau_c
            if k in read.rows:
                found.append(status)
    for bad in _BAD:
        if bad in found:
            return none(bad, t_fit, level)
    tau_c = sum(w * tau[k] for k, w in zip(read.rows, read.weights, strict=True))
    error = nan
    if read.pair is not None:  # NaN, a coarse neighbour that never passes, is no bound
        error = read.share * abs(tau[read.pair[0]] - tau[read.pair[1]])
    rate = eta_d * gamma * path.speed
    spread = 0.0 if read.pair is None else (math.inf if math.isnan(error) else error)
    time, low = (max(x / rate, t_fit) for x in (tau_c, tau_c - spread))
    high = (tau_c + spread) / rate
    if path.fit == "first":  # what decay does while a run fits may be lost
        high += t_fit
    high = max(high, time)
    status = Status.ALREADY if all(s is Status.ALREADY for s in found) else Status.GENERALIZES
    return SeedOnPath(seed, status, time, t_fit, low, high, tau_c, error, level)


def _starts(known: Floats, alpha: float) -> list[tuple[int, float]]:
    """Sampled starts and their weights, linear in ln alpha; none where alpha lies outside."""
    near = np.flatnonzero(np.isclose(known, alpha, rtol=1e-9, atol=0))
    if len(near):
        return [(int(near[0]), 1.0)]
    if not known[0] < alpha < known[-1]:
        return []
    k = int(np.searchsorted(known, alpha))
    t = math.log(alpha / known[k - 1]) / math.log(known[k] / known[k - 1])
    return [(k - 1, 1 - t), (k, t)]


def _level(path: DecayPath, at: tuple[int, ...], threshold: float | None, metric: str) -> float:
    """The threshold of one start: the one given, or the file's, which may be a share of the ceiling."""
    if threshold is not None:
        return float(threshold)
    attrs = path.dataset.attrs
    level = float(attrs["accuracy_threshold"])
    if not attrs["threshold_relative"]:
        return level
    finest = path.dataset[f"test_{metric}"].values[at][-1]
    known = finest[np.isfinite(finest)]
    return level * float(known[-1]) if len(known) else float("nan")


def _crossing(path: DecayPath, at: tuple[int, ...], level: float, metric: str) -> tuple[Status, float]:
    """τ at which a curve passes its threshold for `PERSIST` records, linear between records; 0 where it
    passes from the start; or why it does not."""
    curve = path.dataset[f"test_{metric}"].values[at]
    curve = curve[np.isfinite(curve)]
    passes = curve >= level - _ROUND if metric == "accuracy" else curve <= level
    windows = len(passes) - PERSIST + 1
    lasting = np.flatnonzero(np.all([passes[k : k + max(windows, 0)] for k in range(PERSIST)], 0))
    if not len(lasting):
        train = path.dataset["train_accuracy"].values[at]
        train = train[np.isfinite(train)]
        gone = bool(path.dataset["diverged"].values[at]) or (len(train) > 0 and train[-1] < MEMORIZED)
        return (Status.COLLAPSES if gone else Status.OUTSIDE), float("nan")
    j = int(lasting[0])
    if j == 0:
        return Status.ALREADY, 0.0
    before, after = float(curve[j - 1]), float(curve[j])
    share = min(max((level - before) / (after - before), 0.0), 1.0) if after != before else 1.0
    return Status.GENERALIZES, float((j - 1 + share) * path.dtau)


def _median(values: list[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return float(np.median(known)) if known else float("nan")
