"""`predict_on_path`: the grokking time from a decay path, for every γ and η: t = τ_c/(ηγ)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from groktime.reduced.crossings import crossings
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.path_reading import Readings, read
from groktime.reduced.prediction import check_each

LONG = 5.0  # a delay of so many t_fit is long against the fit


@dataclass(frozen=True)
class SeedOnPath:
    """The prediction for one seed. Times in optimizer steps, NaN where there is none."""

    seed: int
    status: Status
    t_grok: float
    t_mem: float
    low: float  # of the numerical resolution, and of the fit; inf where the seed does not generalise
    high: float
    tau_c: float
    tau_error: float  # NaN for a path of one resolution, which tells no error
    threshold: float


@dataclass(frozen=True)
class PathPrediction:
    """What `predict_on_path` returns; times in optimizer steps.

    `t_grok` is the median over seeds, of which those that never generalise count as infinite; NaN
    with a `status` that says why where more than half never do. `interval` is 90 %, over seeds and the
    numerical error; upwards, where the path was fitted first, over the time of the fit, too: what decay
    does meanwhile may count for a run, as is predicted, or be lost. `gamma_eff` are the resolutions that
    were read, as weight decays; `resolved` tells whether the run's γ lies among the sampled ones or below,
    `long` whether the delay is at least five times the fit. How well a path has converged is told by
    `tau_error` of each seed.
    """

    settings: dict[str, Any]
    status: Status
    t_grok: float
    t_mem: float
    interval: tuple[float, float]
    tau_c: float
    gamma_eff: tuple[float, ...]
    resolved: bool
    seeds: tuple[SeedOnPath, ...]
    path: DecayPath = field(repr=False)

    @property
    def delay(self) -> float:
        """Steps between memorising and generalising."""
        return self.t_grok - self.t_mem

    @property
    def rate(self) -> float:
        """τ that passes in one step of the run."""
        s = self.settings
        return float(s["eta_d"] * (s["gamma"] + s["implicit"]) * self.path.speed)

    @property
    def long(self) -> bool:
        """Whether the delay is long against the fit."""
        return bool(self.delay >= LONG * self.t_mem)

    def report(self) -> str:
        """The prediction as a page that a person can read."""
        from groktime.reduced.path_report import report

        return report(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for scripts (None where there is no number)."""
        from groktime.reduced.path_report import as_dict

        return as_dict(self)

    def plot(self, path: str | FilePath, overwrite: bool = False) -> FilePath:
        """Draw the curves against τ, and where they pass, into a PNG, PDF or SVG."""
        from groktime.reduced.figures import plot_path

        return plot_path(self, path, overwrite=overwrite)


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
    implicit: float = 0.0,
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
    implicit : decay γ0 that acts without being set, such as the drift of minibatch noise along the valley
        (`gt.implicit_decay` measures it): t = τ_c/(η(γ + γ0)). The refits of the path are
        taken to drift by it, too.

    Raises
    ------
    InputError : naming the argument and what was expected.
    """
    check_each("gamma", gamma, "0 or more", lambda x: x >= 0)
    check_each("eta_d", eta_d, "above 0", lambda x: x > 0)
    check_each("alpha", alpha, "above 0", lambda x: x > 0)
    check_each("implicit", implicit, "0 or more", lambda x: x >= 0)
    check_threshold(path, threshold, metric)
    n_train = path.n_train[-1] if n_train is None else n_train
    m = float(path.m_start[0]) if m is None else m
    chosen = path.seeds if seed is None else [path.seeds[path.place("seed", seed)]]
    found = crossings(path, chosen, n_train, m, threshold, metric)
    lane = (np.array([float(x)]) for x in (gamma, eta_d, alpha))
    readings = read(found, *lane, implicit=implicit)
    each = [_of_seed(readings, k, seed) for k, seed in enumerate(chosen)]
    times = np.array([q.t_grok for q in each])
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
            "implicit": implicit,
        },
        status=status,
        t_grok=median if generalizes else float("nan"),
        t_mem=_median([q.t_mem for q in each]),
        interval=(low, high),
        tau_c=_median([q.tau_c for q in each]),
        gamma_eff=tuple(float(g) for g in readings.gamma_eff[0] if not math.isnan(g)),
        resolved=bool(readings.resolved[0]),
        seeds=tuple(each),
        path=path,
    )


def _of_seed(r: Readings, k: int, seed: int) -> SeedOnPath:
    at = (k, 0)
    return SeedOnPath(
        seed=seed,
        status=Status(r.status[at]),
        t_grok=float(r.t_grok[at]),
        t_mem=float(r.t_mem[at]),
        low=float(r.low[at]),
        high=float(r.high[at]),
        tau_c=float(r.tau_c[at]),
        tau_error=float(r.tau_error[at]),
        threshold=float(r.level[at]),
    )


def check_threshold(path: DecayPath, threshold: float | None, metric: str) -> None:
    """Refuse a threshold or metric that the path cannot be read at, in one sentence that names it."""
    if metric not in ("accuracy", "loss"):
        raise InputError(f"metric = {metric!r}: expected 'accuracy' or 'loss'")
    if threshold is None and metric == "loss":
        raise InputError("threshold: expected a test loss; losses have no default")
    if threshold is not None:
        top = 1.0 if metric == "accuracy" else math.inf
        check_each("threshold", threshold, f"in (0, {top:g}]", lambda x: 0 < x <= top)
    unknown = np.isnan(path.dataset[f"test_{metric}"].values).all(-1)
    if np.all(unknown) and not path.dataset["diverged"].values.all():
        raise InputError(f"metric = {metric!r}: {path.source} holds no test_{metric}")


def _median(values: list[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return float(np.median(known)) if known else float("nan")
