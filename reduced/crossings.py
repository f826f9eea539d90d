"""Where the networks of a decay path pass their threshold: τ_c at each sampled start and resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.decay_path import DecayPath
from groktime.reduced.flow import Status
from groktime.reduced.system import MEMORIZED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PERSIST = 3  # records that a pass must last
# What can become of a network on its path, the worse the later.
ORDER = (Status.ALREADY, Status.GENERALIZES, Status.OUTSIDE, Status.COLLAPSES)
ALREADY, GENERALIZES, OUTSIDE, COLLAPSES = range(len(ORDER))
_ROUND = 1e-6  # of an accuracy stored in single precision


@dataclass(frozen=True)
class Crossings:
    """Of some seeds of a path, at one n_train and one m.

    `tau` is τ_c, 0 where the network passes from the start and NaN where it does not pass; `kind` is a
    place in `ORDER`; both [seed, alpha, refit]. `t_fit` in optimizer steps at the path's own η and
    `level`, the threshold, are [seed, alpha]. `lost` [seed]: whether any network of the seed diverged.
    """

    path: DecayPath
    tau: Floats
    kind: Ints
    t_fit: Floats
    level: Floats
    lost: NDArray[np.bool_]


def crossings(
    path: DecayPath, seeds: list[int], n_train: int, m: float, threshold: float | None, metric: str
) -> Crossings:
    """`threshold` None: the file's, which may be a share of the accuracy at the end of the path."""
    place = (path.place("n_train", n_train), path.place("m_start", m))
    rows = [path.place("seed", seed) for seed in seeds]
    test, train = (path[f"{part}_{metric}"].values[rows, *place] for part in ("test", "train"))
    if metric != "accuracy":
        train = path["train_accuracy"].values[rows, *place]
    diverged = path["diverged"].values[rows, *place].astype(bool)
    t_fit = np.asarray(path["t_fit"].values[rows, *place], float)
    tau, kind = np.full(diverged.shape, np.nan), np.full(diverged.shape, OUTSIDE)
    level = np.full(t_fit.shape, np.nan)
    for s, a in np.ndindex(*level.shape):
        limit = level[s, a] = _level(path, test[s, a, -1], threshold, metric)
        for k in range(len(path.refit)):
            at = passes_at(test[s, a, k], limit, metric) * path.dtau
            if np.isnan(at):
                known = train[s, a, k][np.isfinite(train[s, a, k])]
                gone = diverged[s, a, k] or (len(known) > 0 and known[-1] < MEMORIZED)
                kind[s, a, k] = COLLAPSES if gone else OUTSIDE
                continue
            kind[s, a, k], tau[s, a, k] = (ALREADY if at == 0 else GENERALIZES), at
    return Crossings(path, tau, kind, t_fit, level, np.asarray(diverged.any((1, 2))))


def _level(path: DecayPath, finest: Floats, threshold: float | None, metric: str) -> float:
    """The threshold of one start: the one given, or the file's."""
    attrs = path.attrs
    if threshold is not None or metric != "accuracy":
        return float("nan") if threshold is None else float(threshold)
    level = float(attrs["accuracy_threshold"])
    if not attrs["threshold_relative"]:
        return level
    known = finest[np.isfinite(finest)]
    return level * float(known[-1]) if len(known) else float("nan")


def passes_at(curve: Floats, level: float, metric: str) -> float:
    """After how many records a curve passes for `PERSIST` of them, linear between records; 0 where it
    passes from the start, NaN where it never does."""
    curve = curve[np.isfinite(curve)]
    passes = curve >= level - _ROUND if metric == "accuracy" else curve <= level
    windows = max(len(passes) - PERSIST + 1, 0)
    lasting = np.flatnonzero(np.all([passes[k : k + windows] for k in range(PERSIST)], 0))
    if not len(lasting):
        return float("nan")
    j = int(lasting[0])
    if j == 0:
        return 0.0
    before, after = float(curve[j - 1]), float(curve[j])
    share = min(max((level - before) / (after - before), 0.0), 1.0) if after != before else 1.0
    return j - 1 + share
