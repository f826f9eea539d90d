"""The interval for a run of a seed that a source does not hold, from the seeds that it does hold.

ln t of such a run lies, in 90 of 100 cases, within mean ± w. With mean and s of ln t over the n seeds that
generalize, Student's prediction interval of a normal sample is w = t s √(1 + 1/n), t the quantile with n - 1
degrees of freedom. There is more than s: `own`, what a single seed's time is not known to (the place of a
wall, a resolution; the median over seeds), which may be alike for all of them and so need not show in s, and
σ, the error of the predictor itself, measured on other runs. For few seeds the root of the sum of the squared
widths is too wide (up to 96 % for n = 2), and Welch and Satterthwaite's t of the summed variances too narrow
(down to 84 %). w is the mean of the two: 88 to 94 % for n = 2 and 89 to 92 % from n = 3 on, whatever the
share of each.

Seeds that never generalize, and those that are there from the start, are parts of the distribution, at
infinity and at 0: the ends are its quantiles, so that the upper one is infinite where "never" has more than
the tail. A seed that is outside of what was sampled tells no time: it gives no end, and an upper end that
would need one is not known (NaN).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COVERAGE = 0.9  # of all intervals
TAIL = (1 - COVERAGE) / 2
_ROUND = 1e-12
_FAR = 1e4  # in ln t: infinite
_HALVINGS = 40  # of the range of a probability


def predictive(
    t_grok: Floats,
    low: Floats,
    high: Floats,
    outside: NDArray[np.bool_],
    model: float = 0.0,
    least: int = 2,
) -> tuple[Floats, Floats]:
    """Lower and upper end, [lane]; NaN where they are not known, as those of fewer seeds than `least`.

    least : seeds that it takes; 1 where the run is that of the seed itself.
    t_grok, low, high : of each seed, [seed, lane]: t_grok NaN where it does not generalize, 0 where it is
        there from the start; low and high as that seed alone has them, NaN where it has none.
    outside : seeds that tell nothing, [seed, lane]. model : σ of ln t, the error of the predictor itself.
    """
    count, lanes = t_grok.shape
    unknown = np.full(lanes, np.nan)
    if count < least:
        return unknown, unknown.copy()
    there, body = t_grok == 0, (t_grok > 0) & np.isfinite(t_grok)
    n = body.sum(0)
    share = n / count
    zero, out = there.mean(0), outside.mean(0)
    never = 1 - share - zero - out
    spread = _Spread.of(t_grok, low, high, body, model)
    with np.errstate(divide="ignore", invalid="ignore"):
        below, above = (TAIL - zero) / share, (COVERAGE + TAIL - zero) / share
    # a share beyond the tail decides an end by itself
    late = np.where(out > 0, np.nan, np.inf)  # what lies beyond the seeds that have a time
    lower = np.select(
        [zero >= TAIL - _ROUND, below >= 1, n >= least],
        [0.0, late, spread.end(np.minimum(below, 0.5), spread.early)],
        np.where(n == 0, late, np.nan),
    )
    upper = np.select(
        [never > TAIL + _ROUND, never + out > TAIL + _ROUND, zero >= COVERAGE + TAIL - _ROUND, n >= least],
        [np.inf, np.nan, 0.0, spread.end(np.clip(above, 0.5, 1.0), spread.late)],
        np.nan,
    )
    return lower, upper


def probability(
    t_grok: Floats,
    low: Floats,
    high: Floats,
    outside: NDArray[np.bool_],
    time: float,
    model: float = 0.0,
    least: int = 2,
) -> Floats:
    """How likely a run of another seed is to have generalized by a time, [lane]: the level of the
    distribution that `predictive` has the ends of; NaN of too few seeds. Arguments as there."""
    count, lanes = t_grok.shape
    if count < least:
        return np.full(lanes, np.nan)
    there, body = t_grok == 0, (t_grok > 0) & np.isfinite(t_grok)
    n = body.sum(0)
    spread = _Spread.of(t_grok, low, high, body, model)
    below, above = np.zeros(lanes), np.ones(lanes)
    for _ in range(_HALVINGS):  # the quantile ascends with the level
        level = (below + above) / 2
        own = np.where(level < 0.5, spread.early, spread.late)
        before = spread.end(level, own) <= time
        below, above = np.where(before, level, below), np.where(before, above, level)
    known = np.where(n >= least, below, np.where(n == 0, 0.0, np.nan))
    return np.asarray(there.mean(0) + n / count * known)


class _Spread:
    """ln t over the seeds that have a time: mean, s, what a seed's time is not known to, and σ; [lane]."""

    def __init__(self, n: Floats, mean: Floats, s: Floats, early: Floats, late: Floats, model: float) -> None:
        self.n, self.mean, self.s, self.early, self.late, self.model = n, mean, s, early, late, model

    @staticmethod
    def of(t_grok: Floats, low: Floats, high: Floats, body: NDArray[np.bool_], model: float) -> _Spread:
        n = body.sum(0)
        x = np.log(np.where(body, t_grok, 1.0))
        mean = x.sum(0) / np.maximum(n, 1)
        s = np.sqrt((np.where(body, x - mean, 0.0) ** 2).sum(0) / np.maximum(n - 1, 1))
        with np.errstate(divide="ignore"):
            early = x - np.log(np.where(body & (low >= 0), np.minimum(low, t_grok), np.exp(x)))
            late = np.log(np.where(body & (high >= 0), np.maximum(high, t_grok), np.exp(x))) - x
        return _Spread(n, mean, s, _median(early, body), _median(late, body), model)

    def end(self, level: Floats, own: Floats) -> Floats:
        """The quantile of t at a level, [lane]."""
        from scipy.special import ndtri, stdtrit  # reading a file needs no scipy

        n = np.maximum(self.n, 2)
        with np.errstate(over="ignore", invalid="ignore"):
            z, seeds = ndtri(level), self.s**2 * (1 + 1 / n)
            more = np.minimum(own / ndtri(1 - TAIL), _FAR) ** 2 + self.model**2
            freedom = (seeds + more) ** 2 / np.maximum(seeds**2 / (n - 1), _ROUND * (seeds + more) ** 2)
            freedom = np.where(seeds + more > 0, freedom, n - 1)
            squares = np.sqrt(stdtrit(n - 1, level) ** 2 * seeds + z**2 * more)
            welch = np.abs(stdtrit(freedom, level)) * np.sqrt(seeds + more)
            there = np.exp(self.mean + np.sign(z) * (squares + welch) / 2)
        return np.asarray(np.where(level >= 1, np.inf, there))


def _median(values: Floats, body: NDArray[np.bool_]) -> Floats:
    """Medians over the seeds that have a time, [lane]; 0 where none has."""
    some = body.any(0)
    out = np.zeros(values.shape[1])
    if some.any():
        out[some] = np.nanmedian(np.where(body, values, np.nan)[:, some], axis=0)
    return out
