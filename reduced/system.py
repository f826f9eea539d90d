"""One seed of a landscape as a system to integrate: its surface, what "generalized" and "memorized"
mean on it, and Eq. 6 with and without its wall moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.arrays import Arrays
from groktime.reduced.drift import Mobility
from groktime.reduced.errors import InputError
from groktime.reduced.events import Test
from groktime.reduced.flow import FlowResult, integrate
from groktime.reduced.landscape import Landscape
from groktime.reduced.starts import check_option
from groktime.reduced.surface import Field, Surface, fit_surface

Floats = NDArray[np.float64]

LEVEL = 0.05  # the training loss that divides the two regions of P Fig. 6a
# The share of training samples that counts as memorized; without accuracies, a loss below LEVEL does.
MEMORIZED = 0.95
# The wall is moved by -, 0, + so many standard deviations: with the seeds, a 90 % interval.
QUANTILE = 1.645
DEEP = 0.1  # a valley's loss, as a share of the largest
_ROUND = 1e-6  # of an accuracy stored in single precision


@dataclass(frozen=True)
class System:
    """The surface of one seed with the tests that its threshold means."""

    seed: int
    surface: Surface
    generalized: Test
    memorized: Test
    w0: float
    delta_norm: float  # ||R_random - R_linear||, NaN if unknown
    threshold: float  # of the test metric, as applied
    layer: Arrays  # the sampled cells, dims (m, alpha)
    move: tuple[float, float]  # largest step of the flow, half a grid cell

    @property
    def fitted(self) -> bool:
        """Whether the training set is fitted in any cell of the landscape: by its accuracy, or, without one,
        by a loss of `LEVEL` or one that is `DEEP` below the largest (losses have units)."""
        if self.surface.train_accuracy is not None:
            return bool(np.max(self.layer["train_accuracy"].values) >= MEMORIZED - _ROUND)
        return bool(np.min(self.layer["train_loss"].values) <= LEVEL) or self.valley

    @property
    def valley(self) -> bool:
        """Whether the training loss is anywhere `DEEP` below its largest value."""
        loss = np.asarray(self.layer["train_loss"].values, float)
        return bool(loss.min() <= DEEP * loss.max())

    def flow(
        self,
        *,
        gamma: ArrayLike,
        ratio: ArrayLike,
        u: ArrayLike,
        m: ArrayLike,
        wall: bool,
        record: bool = False,
        mobility: Mobility | None = None,
    ) -> tuple[FlowResult, Floats, Floats]:
        """Eq. 6 for all lanes, and the s = η_D t within which each generalizes, infinite where it does not.

        With `wall`, those are the ends that the wall's uncertainty makes (90 %): the lanes are integrated
        with the wall at its place and at either end of it, side by side. A path is recorded of the first.
        `mobility`: how u and m move, where not as in Eq. 6: the surface's `turning` or `drift`.
        """
        places = [0.0]
        if wall and self.surface.two_dimensional:
            places += [
                -QUANTILE * self.surface.boundary.deviation,
                QUANTILE * self.surface.boundary.deviation,
            ]
        lanes = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, float)) for x in (gamma, ratio, u, m)))
        g, r, u, m = (np.tile(x.ravel(), len(places)) for x in lanes)
        count = lanes[0].size
        shift = np.repeat(places, count)
        result = integrate(
            self.surface,
            self.surface.domain,
            gamma=g,
            ratio=r,
            u=u,
            m=m,
            generalized=self.generalized,
            memorized=self.memorized,
            wall=shift,
            # an error of 1e-4 in u is nothing beside the error that moves the wall
            tolerance=np.where(shift == 0, 1e-6, 1e-4),
            largest_move=self.move,
            record=record,
            mobility=mobility,
        )
        when = result.generalized.reshape(len(places), count)
        ends = np.where(np.isnan(when), np.inf, when)
        return result.first(count), ends.min(0), ends.max(0)


def systems(
    land: Landscape,
    *,
    seed: int | None = None,
    n_train: int | None = None,
    sampled_steps: int | None = None,
    threshold: float | None = None,
    metric: str = "accuracy",
) -> list[System]:
    """The systems of a landscape, one a seed, or the one asked for."""
    check_option("metric", metric)
    if seed is not None and seed not in land.seeds:
        raise InputError(f"seed = {seed}: {land.source} has {', '.join(map(str, land.seeds))}")
    if threshold is not None and not (np.isfinite(threshold) and threshold > 0):
        raise InputError(f"threshold = {threshold}: expected a number above 0")
    if metric == "accuracy" and threshold is not None and threshold > 1:
        raise InputError(f"threshold = {threshold}: expected a test accuracy, within (0, 1]")
    chosen = land.seeds if seed is None else [seed]
    return [_system(land, s, n_train, sampled_steps, threshold, metric) for s in chosen]


_KEPT = 64  # surfaces, some 200 kB each
_FITTED: dict[bytes, Surface] = {}
_LOCK = Lock()


def _surface(one: Arrays, source: str) -> Surface:
    """The surface of a layer. The last `_KEPT` that were asked for are kept, by the numbers that they were
    fitted to: whatever holds the same numbers has them, and what was changed is fitted anew."""
    seen = blake2b()
    for name, variable in sorted(one.variables.items()):
        seen.update(f"{name} {variable.dtype} {variable.values.shape} ".encode())
        seen.update(variable.values.tobytes())
    key = seen.digest()
    with _LOCK:
        found = _FITTED.pop(key, None)
    if found is None:
        found = fit_surface(one, source)
    with _LOCK:
        _FITTED[key] = found  # the last that was asked for stands last
        while len(_FITTED) > _KEPT:
            del _FITTED[next(iter(_FITTED))]
    return found


def _system(
    land: Landscape,
    seed: int,
    n_train: int | None,
    sampled_steps: int | None,
    threshold: float | None,
    metric: str,
) -> System:
    one = land.layer(seed, n_train, sampled_steps)
    if not np.isfinite(land["w0"].values[land.place("seed", seed)]):
        raise InputError(
            f"w0: {land.source} was made without it; Eq. 6 needs the norm at alpha = 1: "
            "Landscape.from_arrays(…, w0=…)"
        )
    surface = _surface(one, land.source)
    tested = surface.test_accuracy if metric == "accuracy" else surface.test_loss
    if tested is None:
        other = "loss" if metric == "accuracy" else "accuracy"
        raise InputError(
            f"{land.source}: has no test {metric} here; expected one, or metric = '{other}' and a threshold"
        )
    if threshold is None:
        if metric == "loss":
            raise InputError("threshold: expected the test loss below which a network has generalized")
        threshold = float(land.attrs["accuracy_threshold"])
        if land.attrs["threshold_relative"]:
            threshold *= _ceiling(surface, tested, land)
    return System(
        seed=seed,
        surface=surface,
        generalized=_passes(tested, threshold, metric),
        memorized=(
            _passes(surface.train_accuracy, MEMORIZED, "accuracy")
            if surface.train_accuracy is not None
            else _passes(surface.train_loss, LEVEL, "loss")
        ),
        w0=float(one["w0"]),
        delta_norm=float(one["delta_norm"]) if "delta_norm" in one else float("nan"),
        threshold=threshold,
        layer=one,
        move=(
            float(np.diff(np.log(land.alpha)).min()) / 2,
            float(np.diff(land.m).min()) / 2 if land.two_dimensional else 1.0,
        ),
    )


@dataclass(frozen=True)
class _Margin:
    """By how much a metric passes its threshold: a value, so that a prediction can be pickled."""

    tested: Field
    threshold: float
    sign: float

    def __call__(self, u: Floats, m: Floats) -> Floats:
        return self.sign * (self.tested.value(u, m) - self.threshold)


def _passes(tested: Field, threshold: float, metric: str) -> Test:
    return _Margin(tested, threshold, 1.0 if metric == "accuracy" else -1.0)


def _ceiling(surface: Surface, tested: Field, land: Landscape) -> float:
    """Test accuracy of the m = 0 solution, one cell right of the boundary."""
    m = surface.domain.m_low
    beside = float(surface.boundary.curve(np.array([m]))[0]) + float(np.diff(np.log(land.alpha)).mean())
    u = float(np.clip(beside, surface.domain.u_low, surface.domain.u_high))
    return float(np.clip(tested(np.array(u), np.array(m)), 0.0, 1.0))


def rate_of_m(system: System, eta_r: float, m_rate: str) -> float:
    """The η_R of Eq. 6 that the named rate means for this seed."""
    if m_rate == "eq6" or not system.surface.two_dimensional:
        return eta_r
    if not np.isfinite(system.delta_norm):
        raise InputError("m_rate = 'representation': the landscape has no delta_norm; use 'eq6'")
    return eta_r / system.delta_norm**2
