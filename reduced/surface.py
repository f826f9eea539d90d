"""A C² surface through a sampled landscape that knows its wall.

A raw spline turns a cliff one cell wide into a staircase whose treads trap the flow. Here the
sampled field y (the logarithm of a loss, or an accuracy) is read as

    y(u, m) = S(u - u_b(m)) + c(u, m)

with u_b the smooth boundary, S one monotone profile of the wall, pooled over all rows (each row cuts
the wall at another place within its cell, so together they resolve it better than any of them), and
c what is left, smoothed by its own noise. A cell that the wall may pass through says little about c
and is weighed accordingly. In one dimension there is nothing to align: S is the monotone-in-pieces
cubic through the samples, and c = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.arrays import Arrays
from groktime.reduced.boundary import Boundary, fit_boundary
from groktime.reduced.columns import Columns
from groktime.reduced.drift import Drift
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape
from groktime.reduced.spline import (
    GridSmoother,
    GridSpline,
    Six,
    UniformSpline,
    monotone_cubic,
    pool_adjacent_violators,
)
from groktime.reduced.turning import Turning

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]

_ROUND = 1e-9


@dataclass(frozen=True)
class Domain:
    """The sampled rectangle in u = ln w (absolute) and m."""

    u_low: float
    u_high: float
    m_low: float
    m_high: float

    def contains(self, u: Floats, m: Floats) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = (
            (u >= self.u_low) & (u <= self.u_high) & (m >= self.m_low) & (m <= self.m_high)
        )
        return inside

    def snapped(self, u: Floats, m: Floats) -> tuple[Floats, Floats]:
        """Points that lie off an edge by rounding alone, on it: networks start where a landscape ends."""

        def onto(x: Floats, low: float, high: float) -> Floats:
            near = (x > low - _ROUND) & (x < high + _ROUND)
            return np.where(near, np.clip(x, low, high), x)

        return onto(u, self.u_low, self.u_high), onto(m, self.m_low, self.m_high)


class LossSurface(Protocol):
    """What the flow needs: the loss with its derivatives, for many points (u, m) at once."""

    def derivatives(self, u: Floats, m: Floats, second: bool = True, wall: Floats | float = 0.0) -> Six:
        """l, ∂l/∂u, ∂l/∂m, ∂²l/∂u², ∂²l/∂u∂m, ∂²l/∂m², each [point].

        The last three are not used, and may be anything, unless `second`. `wall`: how far to the
        right of its place, in u, each point sees the wall.
        """
        ...


@dataclass(frozen=True)
class Field:
    """One sampled quantity as y(u, m) = S(u - u_b(m)) + c(u, m), a logarithm where `floor` is set.

    `floor` is the sampled floor: the surface bends off smoothly above it and never goes below.
    """

    boundary: Boundary
    profile: UniformSpline
    rest: GridSpline | None
    floor: float | None

    BEND = 0.1  # e-foldings over which the surface bends off at the floor

    def derivatives(self, u: Floats, m: Floats, second: bool = True, wall: Floats | float = 0.0) -> Six:
        """Value and derivatives ∂u, ∂m, ∂uu, ∂um, ∂mm at the points, each [point]."""
        y, yu, ym, yuu, yum, ymm = self._plain(u, m, second, wall)
        if self.floor is None:
            return y, yu, ym, yuu, yum, ymm
        x = np.exp(-np.abs(y - self.floor) / self.BEND)
        weight = np.where(y > self.floor, 1.0, x) / (1 + x)
        value = np.exp(np.maximum(y, self.floor) + self.BEND * np.log1p(x))
        gu, gm = weight * yu, weight * ym
        if second:
            curve = weight * (1 - weight) / self.BEND
            yuu = value * (weight * yuu + curve * yu * yu + gu * gu)
            yum = value * (weight * yum + curve * yu * ym + gu * gm)
            ymm = value * (weight * ymm + curve * ym * ym + gm * gm)
        return value, value * gu, value * gm, yuu, yum, ymm

    def _plain(self, u: Floats, m: Floats, second: bool, wall: Floats | float) -> Six:
        b, b1, b2 = self.boundary.curve.derivatives(m, second)
        s, s1, s2 = self.profile.derivatives(u - (b + wall), second)
        sm, smm = -s1 * b1, s2 * b1 * b1 - s1 * b2 if second else s2
        if self.rest is None:
            return s, s1, sm, s2, -s2 * b1, smm
        c, cu, cm, cuu, cum, cmm = self.rest.derivatives(u, m, second)
        y, yu, ym = s + c, s1 + cu, sm + cm
        return (y, yu, ym, s2 + cuu, -s2 * b1 + cum, smm + cmm) if second else (y, yu, ym, cuu, cum, cmm)

    def value(self, u: Floats, m: Floats) -> Floats:
        """The value alone, [point], at a third of the price."""
        y = self.profile(u - self.boundary.curve(m))
        if self.rest is not None:
            y = y + self.rest(u, m)
        if self.floor is None:
            return y
        x = np.exp(-np.abs(y - self.floor) / self.BEND)
        return np.exp(np.maximum(y, self.floor) + self.BEND * np.log1p(x))

    def plain(self, value: float) -> float:
        """The y at which the field has this value: what bends off at the floor, turned around."""
        if self.floor is None:
            return value
        above = float(np.log(value)) - self.floor
        bent = self.BEND * np.log1p(-np.exp(-above / self.BEND)) if above > 0 else -np.inf
        return float(np.log(value) + bent)

    def columns(self, u: Floats) -> Columns | None:
        """The field along columns u [column]; None of one without rest or floor, which is cheap as it is."""
        return None if self.rest is None or self.floor is None else Columns(self, self.rest, self.floor, u)

    def __call__(self, u: Floats, m: Floats) -> Floats:
        """The value at the points (any one shape)."""
        u, m = np.broadcast_arrays(np.asarray(u, float), np.asarray(m, float))
        return self.value(u.ravel(), m.ravel()).reshape(u.shape)


@dataclass(frozen=True)
class Surface:
    """The landscape of one seed as smooth fields over (u = ln w, m), all on one boundary.

    `turning` and `drift` are None where they were not measured.
    """

    train_loss: Field
    test_loss: Field | None
    train_accuracy: Field | None
    test_accuracy: Field | None
    boundary: Boundary
    domain: Domain
    two_dimensional: bool
    turning: Turning | None
    drift: Drift | None

    def derivatives(self, u: Floats, m: Floats, second: bool = True, wall: Floats | float = 0.0) -> Six:
        """The reduced training loss and its derivatives (the flow's `LossSurface`)."""
        return self.train_loss.derivatives(u, m, second, wall)


def surface_of(land: Landscape, seed: int, n_train: int | None = None, budget: int | None = None) -> Surface:
    """Fit the surface of one seed (and training-set size and budget, default the largest)."""
    return fit_surface(land.layer(seed, n_train, budget), land.source)


def fit_surface(one: Arrays | xr.Dataset, source: str = "landscape") -> Surface:
    """Fit the surface of a landscape with dims (m, alpha)."""
    u = np.log(one["alpha"].values * float(one["w0"]))
    m = np.asarray(one["m"].values, float)
    train = np.asarray(one["train_loss"].values, float)
    if np.isnan(train).any():
        alpha = float(one["alpha"].values[np.isnan(train).any(0)][0])
        raise InputError(
            f"{source}: the network diverged at alpha {alpha:g}; expected a landscape without such cells, "
            "as Landscape(land.dataset.sel(alpha=slice(low, high))) gives one"
        )
    if not np.any(train > 0):
        raise InputError(f"{source}: train_loss is 0 everywhere; expected a loss above 0 somewhere")
    feet = None
    if "foot_low" in one:
        w0 = float(one["w0"])
        feet = (np.log(one["foot_low"].values * w0), np.log(one["foot_high"].values * w0))
    boundary = fit_boundary(u, m, train, feet)
    smoother = GridSmoother(u, m) if len(m) > 1 else None

    def field(name: str, logarithm: bool) -> Field | None:
        values = np.asarray(one[name].values, float)
        if np.isnan(values).all():
            return None
        if logarithm:
            values = np.log(np.maximum(values, values[values > 0].min(initial=1.0)))
        return _fit(u, m, values, boundary, smoother, logarithm)

    loss = field("train_loss", logarithm=True)
    assert loss is not None
    if smoother is not None:
        boundary = boundary.widened(_foot_width(loss))
        loss = replace(loss, boundary=boundary)
    return Surface(
        train_loss=loss,
        test_loss=field("test_loss", logarithm=True),
        train_accuracy=field("train_accuracy", logarithm=False),
        test_accuracy=field("test_accuracy", logarithm=False),
        boundary=boundary,
        domain=Domain(float(u[0]), float(u[-1]), float(m[0]), float(m[-1])),
        two_dimensional=len(m) > 1,
        turning=Turning.read(one, u, m),
        drift=Drift.read(one, u, m),
    )


# Knots of the profile S per grid cell: it resolves the wall to this part of a cell.
_PER_CELL = 8
_ENTRIES = 15  # of filling in what the weights of c leave open


def _fit(
    u: Floats, m: Floats, y: Floats, boundary: Boundary, smoother: GridSmoother | None, logarithm: bool
) -> Field:
    xi = u[None] - boundary.curve(m)[:, None]
    step = float(np.diff(u).min()) / _PER_CELL
    if smoother is None:
        return Field(boundary, _profile(xi[0], y[0], step), None, float(y.min()) if logarithm else None)
    blur = 2 * boundary.deviation
    profile = _monotone_profile(xi, y, step)
    if np.var(y - profile(xi)) > 0.5 * np.var(y):  # this quantity does not follow the wall
        profile = _profile(xi.ravel()[:1], np.array([y.mean()]), step)
    residual = y - profile(xi)
    # how far a shift of the wall by its error changes the profile in this cell
    reach = 0.5 * np.abs(profile(xi + blur) - profile(xi - blur))
    calm = reach <= np.median(reach)
    noise = max(1.4826 * float(np.median(np.abs(residual[calm]))), 1e-3)
    weight = noise**2 / (noise**2 + reach**2)
    # What the weights leave open is filled in by the fit itself, from 0 (the profile is right there).
    # S and c are not fitted in turn again: c would take over part of the wall, and smear it.
    strengths = smoother.choose(weight * residual)
    rest = np.zeros_like(y)
    for _ in range(_ENTRIES):
        rest = smoother.smooth(weight * residual + (1 - weight) * rest, strengths)
    floor = _floor(y, profile(xi) + rest) if logarithm else None
    return Field(boundary, profile, GridSpline.through(u, m, rest), floor)


def _foot_width(loss: Field) -> float:
    """The width in u of the wall's last e-folding above the floor, where a soft wall sinks into it.

    Weak decay rides lower than the samples can show; by how much is not known better than this.
    """
    knots = loss.profile.start + loss.profile.step * np.arange(loss.profile.pieces.shape[1] + 1)
    floor = loss.floor if loss.floor is not None else -np.inf
    foot = (loss.profile(knots) > floor + 0.25) & (loss.profile(knots) < floor + 1.25)
    return float(min(foot.sum(), _PER_CELL)) * loss.profile.step  # a cell at the most


def _floor(y: Floats, fit: Floats) -> float:
    """The level below which differences are the optimizer's noise and no force.

    The lowest fitted value, raised by what the fit still varies among the cells within one e-folding
    of it, as far as their scatter about the fit explains that. Without this, the noise of a floor of
    1e-5 outweighs a decay of 1e-4 and carries m about.
    """
    lowest = float(fit.min())
    near = fit < lowest + 1.0
    noise, spread = float(np.std((y - fit)[near])), float(np.quantile(fit[near], 0.95)) - lowest
    return max(float(y.min()), lowest + min(2.5 * noise, spread))


def _monotone_profile(xi: Floats, y: Floats, step: float) -> UniformSpline:
    """The pooled profile of the wall: monotone, falling or rising as the samples do."""
    order = np.argsort(xi, axis=None)
    x, values = xi.ravel()[order], y.ravel()[order]
    sign = -1.0 if np.polyfit(x, values, 1)[0] < 0 else 1.0
    level, block = pool_adjacent_violators(sign * values)
    # Each block is level from its first to its last sample: between blocks lies the wall.
    ends = np.concatenate([[True], np.diff(block) > 0]) | np.concatenate([np.diff(block) > 0, [True]])
    return _profile(x[ends], sign * level[ends], step)


def _profile(x: Floats, y: Floats, step: float) -> UniformSpline:
    """A C² curve through (x, y) on fine uniform knots, without overshoot."""
    keep = np.concatenate([[True], np.diff(x) > 1e-12])
    x, y = x[keep], y[keep]
    if len(x) < 3:
        return UniformSpline.through(float(x[0]), 1.0, np.full(2, float(np.mean(y))))
    knots = np.arange(x[0], x[-1] + step, step)
    return UniformSpline.through(float(knots[0]), step, monotone_cubic(x, y, knots))
