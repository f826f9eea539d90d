"""Fig. 6d: the force of the loss along the boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from groktime.reduced.errors import InputError
from groktime.reduced.figures.plot import panel
from groktime.reduced.figures.prediction import FLOW, heading
from groktime.reduced.figures.style import BLUE, GREEN, LOG_NORM, MESSINESS, VERMILLION, Floats
from groktime.reduced.system import rate_of_m

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction

_ARROWS = 14
_LENGTH = 0.09  # of an arrow, share of the panel's width


@panel(FLOW, "gradients", title=heading, size=(9.5, 6.5), columns=2, when=lambda _: False)
def draw_gradients(ax: Axes, p: Prediction) -> list[Artist]:
    """Fig. 6d: the force (-∂l/∂u / w², -ρ ∂l/∂m) of Eq. 6 along the contour of the boundary.

    The arrows show direction, their color the size relative to decay γ. Grey beside them: the
    direction that the closed form as printed takes the force to have, normal to the contour in the
    plane (u, m). Both are drawn as they appear in that plane, stretched as the axes are.

    Raises
    ------
    InputError : for a landscape of w alone, or one without a contour of the level.
    """
    u, m = _contour(p)
    take = np.unique(np.linspace(0, len(u) - 1, _ARROWS).round().astype(int))
    _, lu, lm, *_ = p.detail.system.surface.derivatives(u[take], m[take], second=False)
    rate = rate_of_m(p.detail.system, p.settings["eta_r"], p.settings["m_rate"]) / p.settings["eta_d"]
    force = np.stack([-lu * np.exp(-2 * u[take]), -rate * lm])

    ax.plot(u, m, color=BLUE, linewidth=2, label=f"contour of loss {p.detail.geometry.level:g}")
    trajectory = p.detail.trajectory
    if trajectory is not None and trajectory.end > 0:
        at = trajectory.at(np.linspace(0, trajectory.end, 400))
        ax.plot(*at, color=VERMILLION, linewidth=1.4, linestyle="-.", label="trajectory of Eq. 6")
    span = _make_room(ax)
    style: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.004}
    ax.quiver(u[take], m[take], *_unit(np.stack([-lu, -lm]), span), color="0.7", **style)
    size = np.hypot(*force) / (p.settings["gamma"] or 1.0)
    arrows = ax.quiver(
        u[take], m[take], *_unit(force, span), size, cmap="viridis", norm=_norm(size), zorder=3, **style,
    )  # fmt: skip
    unit = "|force| / γ" if p.settings["gamma"] else "|force|"
    ax.figure.colorbar(arrows, ax=ax, label=f"{unit} (log scale)")
    ax.set(xlabel=f"{LOG_NORM}  (axes not to one scale)", ylabel=MESSINESS)
    arrow: dict[str, Any] = {"linestyle": "none", "marker": r"$\rightarrow$", "markersize": 16}
    ax.plot([], [], color=GREEN, label="force of Eq. 6: (−∂l/∂u / w², −ρ ∂l/∂m)", **arrow)
    ax.plot([], [], color="0.7", label="as printed: normal to the contour in (u, m)", **arrow)
    return list(ax.get_legend_handles_labels()[0])


def _contour(p: Prediction) -> tuple[Floats, Floats]:
    """u and m along the contour of the level."""
    land, g = p.source.land, p.detail.geometry
    if not land.two_dimensional:
        raise InputError(f"{land.source}: a landscape of w alone; expected one of (w, m) for this figure")
    known = np.isfinite(g.u)
    if known.sum() < 2:
        raise InputError(
            f"{land.source}: there is no contour of training loss {g.level:g}; expected another level"
        )
    return g.u[known], g.m[known]


def _make_room(ax: Axes) -> Floats:
    """Widen the panel so that arrows fit; what it spans in u and m."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    room = np.array([right - left, high - low]) * 1.6 * _LENGTH
    ax.set_xlim(left - room[0], right + room[0])
    ax.set_ylim(low - room[1], high + room[1])
    return np.array([np.diff(ax.get_xlim())[0], np.diff(ax.get_ylim())[0]])


def _unit(vectors: Floats, span: Floats) -> Floats:
    """The vectors [2, n] of the plane, scaled to one length as they appear in the panel."""
    seen = vectors / span[:, None]
    return np.asarray(vectors * _LENGTH / np.maximum(np.hypot(*seen), 1e-300))


def _norm(size: Floats) -> LogNorm:
    top = float(size.max()) or 1.0
    low = max(float(size[size > 0].min(initial=top)), top * 1e-6)
    return LogNorm(low, top) if low < 0.9 * top else LogNorm(top / 2, top * 2)
