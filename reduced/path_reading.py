"""A decay path read at many (γ, η_D, α) at once: t = τ_c/(ηγ), τ_c at the resolution of the run itself.

`refit` steps per dtau are training at γ_eff = dtau/(refit η), and what a run's decay competes with is the
fit. Both go on in s = ηt: decay at the rate γ, the fit at one that does not depend on η while η is small. So
it is γ alone that is set beside γ_eff, which holds the η that the path was sampled with; the run's η
scales the time, and t_fit.

τ_c is linear in γ between the two resolutions next to the run's γ, and through the two finest below them,
where no run is taken to generalize sooner than at the finest: less decay does not help.

An implicit decay γ0, a drift along the valley that goes on without decay and counts per step, adds to γ, and
in the refit to γ_eff: a path that went τ came τ(1 + γ0/γ_eff) far, at γ_eff + γ0; t = τ_c/(η(γ + γ0)). It may
set in late, in the path as in the run (`ValleyClock`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.crossings import ALREADY, GENERALIZES, ORDER, Crossings
from groktime.reduced.flow import Status
from groktime.reduced.valley_clock import ValleyClock

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NEAR = 1e-9  # of a share: a γ or α that was sampled is read as such
_STATUS = np.array(ORDER, dtype=object)


@dataclass(frozen=True)
class Readings:
    """What each seed of a path says of each lane, a (γ, η_D, α); [seed, lane] but for the last two.

    Times in optimizer steps, NaN where there are none; `low` and `high` of the numerical error, infinite
    where the seed does not generalize, NaN where it is outside. `tau_error` is NaN where nothing tells it.
    `gamma_eff` [lane, 2]: the two resolutions that were read, NaN where there was one; `resolved` [lane]:
    whether γ lies among the sampled resolutions or below.
    """

    status: NDArray[np.object_]
    t_grok: Floats
    t_mem: Floats
    low: Floats
    high: Floats
    tau_c: Floats
    tau_error: Floats
    level: Floats
    gamma_eff: Floats
    resolved: NDArray[np.bool_]


def read(
    found: Crossings,
    gamma: Floats,
    eta_d: Floats,
    alpha: Floats,
    *,
    implicit: float = 0.0,
    onset: float = 0.0,
) -> Readings:
    """Read all lanes; `gamma`, `eta_d`, `alpha` are [lane]. `implicit`: γ0, of runs and path alike,
    and `onset`, the steps after which it acts."""
    path = found.path
    clock = ValleyClock(gamma, eta_d * path.speed, implicit, onset)
    starts, by_start, inside = _starts(path.alpha, alpha)
    rows, share, above, resolved = _resolutions(path.gamma_eff, gamma)
    rises = path.law.schedule.rising  # all that a path follows of it
    fits = _weighed(rises.spent(found.t_fit)[:, starts], by_start)
    t_fit = np.where(inside, fits * path.eta_d / eta_d, np.nan)
    level = np.where(by_start > 0, found.level[:, starts], np.inf).min(-1)
    level = np.where(inside & np.isfinite(level), level, np.nan)

    corners, weights = (slice(None), starts[:, None, :], rows[:, :, None]), by_start[:, None, :]
    tau = _weighed(found.tau[corners], weights)  # at the start α, [seed, lane, resolution]
    # where γ lies among the resolutions, `share`, is the same with γ0 added to both
    refits = tau / path.dtau * np.array(path.refit)[rows]  # optimizer steps of the path until there
    tau = tau + ValleyClock(path.gamma_eff[rows], path.eta_d * path.speed, implicit, onset).drifted(refits)
    kind = np.where(weights > 0, found.kind[corners], ALREADY).max(-1)
    # below the finest no run is as far as that one after as many steps, in η t
    least = np.where(share < 0, clock.tau(refits[..., 2] * path.eta_d / eta_d), 0.0)
    tau_c, error, kind = _at_gamma(tau, kind, share, above, least, path.dtau, several=len(path.refit) > 1)

    fitted, strong = ~np.isnan(t_fit), clock.rate >= 1
    status = _STATUS[kind]
    status = np.where(fitted, status, np.where(found.lost[:, None], Status.COLLAPSES, Status.UNFITTED))
    status = np.where(strong, Status.COLLAPSES, status)
    status = np.where(gamma + implicit == 0, Status.NEVER, status)
    status = np.where(inside, status, Status.OUTSIDE)
    goes = (status == Status.GENERALIZES) | (status == Status.ALREADY)

    spread = np.where(np.isnan(error), np.inf if len(path.refit) > 1 else 0.0, error)
    time, low, high = (clock.steps(np.maximum(tau_c + x, 0.0)) for x in (0.0, -spread, spread))
    if path.fit == "first":
        time, low = (np.maximum(x, t_fit) for x in (time, low))
        high = high + t_fit  # what decay does while a run fits may be lost
    # no drift was waited for by what passes as it fits
    status = np.where((status == Status.GENERALIZES) & (time <= t_fit), Status.ALREADY, status)
    nowhere = np.where(status == Status.OUTSIDE, np.nan, np.inf)
    weight = np.minimum(share, 1.0)[:, None]
    used = np.concatenate([weight, 1 - weight], 1) != 0
    return Readings(
        status=status,
        t_grok=np.where(goes, time, np.nan),
        t_mem=t_fit,
        low=np.where(goes, low, nowhere),
        high=np.where(goes, np.maximum(high, time), nowhere),
        tau_c=np.where(goes, tau_c, np.nan),
        tau_error=np.where(goes, error, np.nan),
        level=level,
        gamma_eff=np.where(used, path.gamma_eff[rows[:, 1:]], np.nan),
        resolved=resolved,
    )


def _at_gamma(
    tau: Floats, kind: Ints, share: Floats, above: Floats, least: Floats, dtau: float, several: bool
) -> tuple[Floats, Floats, Ints]:
    """τ_c at the runs' own γ, its error, and what becomes of the network, [seed, lane].

    tau, kind : [seed, lane, 3], at the resolution before the two next to γ, and at these, the coarse one
    first. `share` [lane]: where γ lies between the two, 1 at the coarse one, 0 at the fine one, below 0
    under the finest, and above 1 over the coarsest, which is read there. `above`: the same between the
    first two of the three, NaN where there is none before. `least` [seed, lane]: τ_c below which a run would
    generalize sooner than with the finest one's stronger decay; 0 above the finest.

    The error is half the difference of the two; further from them than that, what their slope makes of
    the distance. Under the finest it is no less than what the pair before would have said otherwise,
    which for a τ_c of second order in γ, and `refit` doubled, is three times the error or more. A
    crossing is known no better than to half a record.
    """
    coarse, fine = kind[..., 1], kind[..., 2]
    # a coarse network that never passes does not say how τ_c goes on below the finest
    lone = (share < 0) & (coarse > GENERALIZES) & (fine <= GENERALIZES)
    weight = np.where(lone, 0.0, np.minimum(share, 1.0))
    tau_c = np.maximum(_between(tau[..., 1], tau[..., 2], weight), least)
    kind = np.maximum(np.where(weight != 0, coarse, ALREADY), np.where(weight != 1, fine, ALREADY))
    kind = np.where((kind == GENERALIZES) & (tau_c == 0), ALREADY, kind)
    if not several:
        return tau_c, np.full(tau_c.shape, np.nan), kind
    apart = np.abs(tau[..., 1] - tau[..., 2])
    error = np.maximum(np.maximum(0.5, -share), share - 1) * apart
    other = np.where(share < 0, np.abs(tau_c - _between(tau[..., 0], tau[..., 1], above)), np.nan)
    error = np.where(np.isnan(error), error, np.fmax(error, other))
    return tau_c, np.where(tau_c + apart > 0, np.maximum(error, dtau / 2), error), kind


def _between(coarse: Floats, fine: Floats, share: Floats) -> Floats:
    """τ_c on the line through two resolutions, or beyond the fine one, but not below 0."""
    line = _weighed(np.stack([coarse, fine], -1), np.stack([share, 1 - share], -1))
    return np.asarray(np.maximum(line, 0.0))


def _weighed(values: Floats, weights: Floats) -> Floats:
    """Weighted sums over the last axis; what has no weight may be NaN."""
    return np.asarray(np.where(weights == 0, 0.0, weights * values).sum(-1))


def _starts(known: Floats, alpha: Floats) -> tuple[Ints, Floats, NDArray[np.bool_]]:
    """The two sampled starts next to each alpha and their weights, linear in ln alpha, both [lane, 2];
    and whether alpha lies within what was sampled, [lane]."""
    upper = np.minimum(np.clip(np.searchsorted(known, alpha), 1, None), len(known) - 1)
    lower = np.maximum(upper - 1, 0)
    away, step = np.log(alpha / known[lower]), np.log(known[upper] / known[lower])
    share = _snapped(away / np.where(step > 0, step, 1.0))
    return np.stack([lower, upper], -1), np.stack([1 - share, share], -1), (share >= 0) & (share <= 1)


def _resolutions(gamma_eff: Floats, gamma: Floats) -> tuple[Ints, Floats, Floats, NDArray[np.bool_]]:
    """Rows [lane, 3] of the coarse and the fine resolution next to each γ, and the one before them; where
    γ lies between the two, and between the first two, as `_at_gamma` has it, [lane]; whether γ is at the
    coarsest or below, [lane]. `gamma_eff` falls as `refit` grows."""
    last = len(gamma_eff) - 1
    fine = np.minimum(np.clip(np.searchsorted(-gamma_eff, -gamma), 1, None), last)
    coarse = np.maximum(fine - 1, 0)
    before = np.maximum(fine - 2, 0)

    def share(up: Ints, down: Ints) -> Floats:
        step = gamma_eff[up] - gamma_eff[down]
        return _snapped((gamma - gamma_eff[down]) / np.where(step > 0, step, np.nan))

    own = share(coarse, fine) if last else np.zeros(len(gamma))
    resolved = gamma <= gamma_eff[0] * (1 + _NEAR)
    return np.stack([before, coarse, fine], -1), own, share(before, coarse), resolved


def _snapped(share: Floats) -> Floats:
    """Shares of 0 and 1 but for rounding are 0 and 1."""
    whole = np.round(share)
    return np.where((np.abs(share - whole) < _NEAR) & (np.abs(whole) <= 1), whole, share)
