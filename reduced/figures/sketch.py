"""Fig. 6f: L, h and θ, drawn from the actual landscape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from groktime.reduced.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    LOG_NORM,
    MESSINESS,
    ORANGE,
    SKY,
    VERMILLION,
    remark,
)

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction

_ROOM = 0.12  # share of the panel left free around the drawing
_RADIUS = 0.22  # of the arc of θ, share of the panel's width


def has_geometry(p: Prediction) -> bool:
    """Whether the contour leads to a generalizing point, so that there are L, h and θ to draw."""
    return math.isfinite(p.detail.geometry.L) and math.isfinite(p.detail.geometry.theta)


def draw_geometry(ax: Axes, p: Prediction) -> None:
    """The contours of the closed forms with L, h and θ, in the plane (u = ln w, m) in which they are
    measured. The axes are stretched to fill the panel, the angle's number is the unstretched one."""
    g, b = p.detail.geometry, p.detail.balance
    if len(g.u) == 1 and not math.isfinite(g.L):  # no contour was looked for
        remark(ax, f"no L, h, θ\n(status: {p.typical.status.value})")
        return
    if not has_geometry(p):
        remark(ax, f"no L, h, θ: the contour of training loss {g.level:g}\nleads to no generalizing point")
        return
    start, end, wall = math.log(g.w_start), math.log(g.w_end), math.log(g.w_boundary)
    ax.plot(g.u, g.m, color=BLUE, linewidth=2, label=f"contour of loss {g.level:g} (as printed)")
    known = np.isfinite(b.u)
    if known.any() and math.isfinite(b.L):
        label = "contour of balance (corrected)"
        ax.plot(b.u[known], b.m[known], color=SKY, linewidth=2, linestyle="--", label=label)
    if p.detail.trajectory is not None and p.detail.trajectory.end > 0:
        u, m = p.detail.trajectory.at(np.linspace(0, p.detail.trajectory.end, 400))
        ax.plot(u, m, color=VERMILLION, linewidth=1.4, linestyle="-.", label="trajectory of Eq. 6")
    edges = [start, end, wall, *b.u[known]] if math.isfinite(b.L) else [start, end, wall]
    width, height = max(max(edges) - min(edges), 1e-6), max(g.h, 0.02)
    ax.set_xlim(min(edges) - _ROOM * width, max(edges) + 1.6 * _ROOM * width)
    ax.set_ylim(g.m_end - 2.2 * _ROOM * height, g.m_start + 1.5 * _ROOM * height)
    low = g.m_end - 0.9 * _ROOM * height
    _measure(ax, (end, low), (start, low), f"L = {g.L:.3f}")
    if g.h > 0:
        right = start + 0.5 * _ROOM * width
        _measure(ax, (right, g.m_end), (right, g.m_start), f"h = {g.h:.3f}")
        ax.plot([end, wall], [g.m_end, g.m_start], color=GREEN, linewidth=1, linestyle=":")
        _angle(ax, (end, g.m_end), (wall, g.m_start), f"θ = {math.degrees(g.theta):.1f}°")
    ax.plot([end, right if g.h > 0 else start], [g.m_end, g.m_end], color=BLACK, linewidth=0.8, linestyle=":")
    for x, y, name in ((start, g.m_start, "start"), (end, g.m_end, "E")):
        ax.plot(x, y, "o", color=ORANGE, markeredgecolor=BLACK, zorder=5)
        shift = (0 if x == start else -6, 8)
        ax.annotate(name, (x, y), shift, textcoords="offset points", ha="right")
    ax.set(xlabel=f"{LOG_NORM}  (axes not to one scale)", ylabel=MESSINESS)
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, frameon=False,
        fontsize="small", columnspacing=1,
    )  # fmt: skip


def _measure(ax: Axes, a: tuple[float, float], b: tuple[float, float], text: str) -> None:
    """A dimension line from a to b with its length."""
    arrow = {"arrowstyle": "<|-|>", "color": BLACK, "shrinkA": 0, "shrinkB": 0, "linewidth": 1}
    ax.annotate("", b, a, arrowprops=arrow)
    flat = a[1] == b[1]
    ax.annotate(
        text, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), (0, -5) if flat else (5, 0),
        textcoords="offset points", ha="center" if flat else "left", va="top" if flat else "center",
        rotation=0 if flat else 90,
    )  # fmt: skip


def _angle(ax: Axes, foot: tuple[float, float], head: tuple[float, float], text: str) -> None:
    """The arc between the u axis and the chord from foot to head, as they appear in the panel."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    scale = np.array([right - left, high - low])
    rise = (np.array(head) - np.array(foot)) / scale
    turn = np.linspace(0, math.atan2(rise[1], rise[0]), 40)
    radius = min(_RADIUS, 0.6 * float(np.hypot(*rise)))
    arc = np.array(foot) + radius * np.stack([np.cos(turn), np.sin(turn)], 1) * scale
    ax.plot(*arc.T, color=GREEN, linewidth=1.6)
    ax.annotate(
        text,
        arc[len(arc) // 2],
        (6, 0),
        textcoords="offset points",
        va="center",
        color=GREEN,
        weight="bold",
    )
