"""Named points of a predicted trajectory (P Fig. 6a, 6b): A the start to E the end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groktime.reduced.events import Trajectory
from groktime.reduced.flow import Status

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction

_POINTS = 400
_ENDS = {
    Status.GENERALIZES: "generalized",
    Status.TRAPPED: "at rest in a ridge",
    Status.NEVER: "at rest",
    Status.COLLAPSES: "off the grid, through the wall",
    Status.OUTSIDE: "off the grid",
    Status.UNFITTED: "never fitted",
}


@dataclass(frozen=True)
class Point:
    """A named point of a trajectory: s = η_D t, absolute norm, messiness, and what happens there."""

    name: str
    s: float
    w: float
    m: float
    event: str


def points(p: Prediction) -> list[Point]:
    """Points of the typical seed in the order of time, as far as there are such: A the start, B the training
    set is fitted, C the wall is met, D half of the way down in m, E the end."""
    geometry, trajectory = p.detail.geometry, p.detail.trajectory
    found = [("A", 0.0, "start")]
    if math.isfinite(p.typical.t_mem):
        fit = float(p.schedule.spent(p.typical.t_mem)) * p.settings["eta_d"]
        found.append(("B", fit, "training set fitted; the norm only decays"))
    if trajectory is not None:
        wall = meets_wall(p, trajectory)
        if wall is not None and 0 < wall < trajectory.end:
            found.append(("C", wall, "the wall is met: loss and decay balance"))
        if p.source.land.two_dimensional and p.typical.status is Status.GENERALIZES:
            half = _halfway(trajectory)
            if half is not None:
                found.append(("D", half, "half of the way down in m"))
        found.append(("E", trajectory.end, _ENDS.get(p.typical.status, "end")))
    placed = []
    for name, s, event in found:
        w, m = geometry.w_start, geometry.m_start
        if trajectory is not None:
            u, at = trajectory.at(s)
            w, m = float(np.exp(u[0])), float(at[0])
        placed.append(Point(name, s, w, m, event))
    return sorted(placed, key=lambda x: (x.s, x.name))


def meets_wall(p: Prediction, trajectory: Trajectory) -> float | None:
    """s = η_D t at which the loss first stops growing under decay (dl/ds = 0), None if it never does."""
    s = np.linspace(0, trajectory.end, _POINTS)
    u, m = trajectory.at(s)
    _, lu, lm, *_ = p.detail.system.surface.derivatives(u, m, second=False)
    ratio = (p.settings["eta_r"] or 0.0) / p.settings["eta_d"]
    gained = lu**2 * np.exp(-2 * u) + ratio * lm**2 + p.settings["gamma"] * lu
    met = np.flatnonzero((gained >= 0) & (lu < 0))
    return float(s[met[0]]) if len(met) else None


def _halfway(trajectory: Trajectory) -> float | None:
    """s at half of the way down in m, None if there is no way down."""
    s = np.linspace(0, trajectory.end, _POINTS)
    m = trajectory.at(s)[1]
    return float(s[np.argmax(m <= (m[0] + m[-1]) / 2)]) if m[-1] < m[0] else None
