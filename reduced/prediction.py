"""`predict`: the grokking time from a landscape, in closed form, corrected, and by the flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.reduced import closed_form
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Path, Status
from groktime.reduced.geometry import Geometry, Sheet, critical_norm, on_balance, on_level
from groktime.reduced.landscape import Landscape
from groktime.reduced.system import LEVEL, System, rate_of_m, systems

Floats = NDArray[np.float64]

M_RATES = ("eq6", "representation")


@dataclass(frozen=True)
class SeedPrediction:
    """The prediction for one seed. Times in optimizer steps, NaN where there is none."""

    seed: int
    status: Status
    t_grok: float
    t_mem: float
    low: float  # of the wall's uncertainty; inf where the flow does not generalise there
    high: float
    closed_form: float
    corrected: float
    geometry: Geometry
    balance: Geometry
    threshold: float
    path: Path | None


@dataclass(frozen=True)
class Prediction:
    """What `predict` returns; times in optimizer steps.

    `t_grok` and `t_mem` are those of the flow (Eq. 6), the median over seeds, of
    which those that never generalise count as infinite; NaN with a `status` that says why where more
    than half never do. `interval` is 90 %, over seeds and the wall's uncertainty. `closed_form` and
    `corrected`: medians over the seeds that have one. `geometry` and `path` are those of `typical`,
    the seed nearest to the median.
    """

    settings: dict[str, Any]
    status: Status
    t_grok: float
    t_mem: float
    interval: tuple[float, float]
    closed_form: float
    corrected: float
    seeds: tuple[SeedPrediction, ...]
    typical: SeedPrediction
    landscape: Landscape = field(repr=False)
    system: System = field(repr=False)

    @property
    def delay(self) -> float:
        """Steps between memorising and generalising."""
        return self.t_grok - self.t_mem

    @property
    def geometry(self) -> Geometry:
        return self.typical.geometry

    @property
    def path(self) -> Path | None:
        """The typical seed's integrated path, in s = η_D t."""
        return self.typical.path

    def report(self) -> str:
        """The prediction as a page that a person can read."""
        from groktime.reduced.report import report

        return report(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for scripts (None where there is no number)."""
        from groktime.reduced.report import as_dict

        return as_dict(self)

    def plot(self, path: str | FilePath, overwrite: bool = False) -> FilePath:
        """Draw the landscape with the path, and the losses along it, into a PNG, PDF or SVG."""
        from groktime.reduced.figures import plot_prediction

        return plot_prediction(self, path, overwrite=overwrite)


def predict(
    land: Landscape,
    *,
    gamma: float,
    eta_d: float,
    alpha: float,
    eta_r: float | None = None,
    m: float | None = None,
    n_train: int | None = None,
    sampled_steps: int | None = None,
    seed: int | None = None,
    threshold: float | None = None,
    metric: str = "accuracy",
    level: float = LEVEL,
    m_rate: str = "eq6",
) -> Prediction:
    """Predict when a network that starts at w = alpha w0 (and messiness m) generalises.

    Parameters
    ----------
    gamma : decoupled weight decay, >= 0.
    eta_d, eta_r : learning rates of the decoder and of the representation per step (eta_r: only for
        landscapes of (w, m); default eta_d, as P footnote 6).
    alpha, m : the start. m only for landscapes of (w, m).
    n_train, sampled_steps, seed : which of the landscape's (default: the largest, the largest, all seeds).
    threshold : test metric that counts as generalised (default: the task's).
    metric : "accuracy" (at or above the threshold) or "loss" (at or below).
    level : training loss of the contour of the closed form as printed.
    m_rate : "eq6", dm/dt = -η_R ∂l/∂m as in the paper, or "representation", with the factor
        1/||R_random - R_linear||² that training R itself has.

    Raises
    ------
    InputError : on a bad argument, naming it. A start off the grid, no decay and a trap are results
        with a status, not errors.
    """
    eta_r = _check_rates(gamma=gamma, eta_d=eta_d, eta_r=eta_r)
    m = check_start(land, alpha, m)
    if not (np.isfinite(level) and level > 0):
        raise InputError(f"level = {level}: expected a training loss above 0")
    if m_rate not in M_RATES:
        raise InputError(f"m_rate = {m_rate!r}: expected one of {', '.join(M_RATES)}")
    chosen = systems(
        land, seed=seed, n_train=n_train, sampled_steps=sampled_steps, threshold=threshold, metric=metric
    )
    each = [_predict_seed(s, gamma, eta_d, rate_of_m(s, eta_r, m_rate), alpha, m, level) for s in chosen]

    times = np.array([p.t_grok for p in each])
    median = float(np.median(np.where(np.isnan(times), np.inf, times)))
    generalizes = np.isfinite(median)
    typical = int(np.nanargmin(np.abs(times - median))) if generalizes else 0
    statuses = [p.status for p in each]
    bad = [s for s in statuses if s not in (Status.GENERALIZES, Status.ALREADY)]
    status = each[typical].status if generalizes else max(bad, key=bad.count)
    if not generalizes:
        typical = statuses.index(status)
    low = float(np.quantile([p.low for p in each], 0.05, method="lower"))
    high = float(np.quantile([p.high for p in each], 0.95, method="higher"))
    return Prediction(
        settings={
            "landscape": land.source,
            "gamma": gamma,
            "eta_d": eta_d,
            "eta_r": eta_r if land.two_dimensional else None,
            "alpha": alpha,
            "m": m if land.two_dimensional else None,
            "n_train": n_train if n_train is not None else land.n_train[-1],
            "sampled_steps": sampled_steps if sampled_steps is not None else land.budgets[-1],
            "seed": seed,
            "metric": metric,
            "level": level,
            "m_rate": m_rate,
        },
        status=status,
        t_grok=median if generalizes else float("nan"),
        t_mem=_median([p.t_mem for p in each]),
        interval=(low, high),
        closed_form=_median([p.closed_form for p in each]),
        corrected=_median([p.corrected for p in each]),
        seeds=tuple(each),
        typical=each[typical],
        landscape=land,
        system=chosen[typical],
    )


def _predict_seed(
    system: System, gamma: float, eta_d: float, eta_r: float, alpha: float, m: float, level: float
) -> SeedPrediction:
    surface, domain = system.surface, system.surface.domain
    u, m = (float(x) for x in domain.snapped(np.log(np.array(alpha * system.w0)), np.array(m)))
    ratio = eta_r / eta_d
    if eta_d * gamma >= 1:
        return _too_strong(system, level, u, m)
    result, low, high = system.flow(gamma=gamma, ratio=ratio, u=u, m=m, wall=True, record=True)
    inside = bool(domain.contains(np.array(u), np.array(m)))
    if surface.two_dimensional and inside:
        sheet = Sheet.of(surface, domain, m)
        geometry = on_level(surface, sheet, level, u, m, system.generalized)
        balance = on_balance(surface, sheet, level, u, m, system.generalized, gamma, ratio)
        forms = (
            closed_form.printed(geometry, gamma, eta_d),
            closed_form.corrected(balance, gamma, eta_d, eta_r),
        )
    else:
        end = critical_norm(domain, u, m, system.generalized) if inside else float("nan")
        geometry = balance = _one_dimensional(level, u, end, m)
        forms = (closed_form.flat(np.exp(u), np.exp(end), gamma, eta_d),) * 2
    status = Status(result.status[0])
    if status is Status.ALREADY:
        forms = (float("nan"),) * 2  # nothing to wait for
    return SeedPrediction(
        seed=system.seed,
        status=status,
        t_grok=float(result.generalized[0]) / eta_d,
        t_mem=float(result.memorized[0]) / eta_d,
        low=float(low[0]) / eta_d,
        high=float(high[0]) / eta_d,
        closed_form=forms[0],
        corrected=forms[1],
        geometry=geometry,
        balance=balance,
        threshold=system.threshold,
        path=result.paths[0] if result.paths[0].steps else None,
    )


def _too_strong(system: System, level: float, u: float, m: float) -> SeedPrediction:
    """η_D γ >= 1: a single step of decay takes w through 0, and no flow describes it."""
    nan, geometry = float("nan"), _one_dimensional(level, u, float("nan"), m)
    return SeedPrediction(
        system.seed, Status.COLLAPSES, nan, nan, np.inf, np.inf, nan, nan, geometry, geometry,
        system.threshold, None,
    )  # fmt: skip


def _one_dimensional(level: float, u: float, end: float, m: float) -> Geometry:
    w, c = float(np.exp(u)), float(np.exp(end))
    line = np.array([end])
    return Geometry(level, u - end, 0.0, 0.0, w, c, c, m, m, 0.0, line, np.array([m]))


def _check_rates(*, gamma: float, eta_d: float, eta_r: float | None) -> float:
    check_each("gamma", gamma, "0 or more", lambda x: x >= 0)
    check_each("eta_d", eta_d, "above 0", lambda x: x > 0)
    eta_r = eta_d if eta_r is None else eta_r
    check_each("eta_r", eta_r, "0 or more", lambda x: x >= 0)
    return eta_r


def check_each(name: str, values: Any, expected: str, holds: Callable[[Floats], Any]) -> Floats:
    """The values as floats, or one sentence on the first that does not hold."""
    try:
        array = np.atleast_1d(np.asarray(values, float))
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} = {values!r}: expected a number {expected}") from error
    for value in array.ravel():
        if not (np.isfinite(value) and holds(value)):
            raise InputError(f"{name} = {value:g}: expected a finite number {expected}")
    return array


def check_start(land: Landscape, alpha: Any, m: Any) -> Any:
    """m, or 0 for a landscape of w alone; bad starts are told by name."""
    check_each("alpha", alpha, "above 0", lambda x: x > 0)
    if not land.two_dimensional:
        if m is not None:
            raise InputError(f"m: {land.source} is a landscape of w alone; leave m out")
        return float(land.m[0])
    if m is None:
        low, high = land.m[0], land.m[-1]
        raise InputError(f"m: {land.source} is a landscape of (w, m); expected m in [{low:g}, {high:g}]")
    check_each("m", m, "within [0, 1]", lambda x: 0 <= x <= 1)
    return m


def _median(values: Sequence[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.median(known)) if known else float("nan")
