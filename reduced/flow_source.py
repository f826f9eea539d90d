"""Eq. 6 on a sampled landscape as a source: the flow of every lane, and the closed forms beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from groktime.reduced import closed_form, remarks
from groktime.reduced.drift_form import Way
from groktime.reduced.errors import InputError
from groktime.reduced.events import Trajectory
from groktime.reduced.flow import Status
from groktime.reduced.geometry import Geometry, contours, critical_norms
from groktime.reduced.landscape import Landscape
from groktime.reduced.source import About, Lanes, Options, Readings, option
from groktime.reduced.starts import check_option
from groktime.reduced.system import System, rate_of_m, systems

Floats = NDArray[np.float64]

FORMS = ("printed", "corrected")
# What Eq. 6 is off by where its assumptions hold, as a standard deviation of ln t (docs/how-it-works.md):
# 1.25 times the mean error on 450 teacher-student networks, each from the landscape of its own seed. Where
# fit or direction are not fast it is off by more, which no interval holds.
EQ6_ERROR = {"fresh": 0.1, "above": 0.05}
# Further forms, of landscapes that recorded how much the direction turns, or measured how decay moves (w, m).
TURNING, DRIFT, DRIFT_CLOSED = "turning", "drift", "drift_closed"
_CHOOSE = ("seed", "n_train", "sampled_steps", "threshold", "metric")


@dataclass(frozen=True)
class FlowDetail:
    """What is behind the times of one seed at one lane.

    `geometry` is that of the printed form, on the contour of its level; `balance` that of the corrected one.
    `lane` is (γ, η_R/η_D, u, m), None where decay takes w through 0 in a step.
    """

    geometry: Geometry
    balance: Geometry
    system: System
    lane: tuple[float, float, float, float] | None

    @cached_property
    def trajectory(self) -> Trajectory | None:
        """The integrated (u, m) in s = η_D t, None where nothing moves: integrated when it is asked for, as
        the times of many lanes need no paths."""
        if self.lane is None:
            return None
        gamma, ratio, u, m = self.lane
        result, *_ = self.system.flow(gamma=gamma, ratio=ratio, u=u, m=m, wall=False, record=True)
        return result.trajectories[0] if result.trajectories[0].steps else None


@dataclass(frozen=True)
class FlowSource:
    """A landscape that is asked for times: Eq. 6 integrated on it, and the closed forms."""

    land: Landscape
    name: str = "flow"

    @property
    def seeds(self) -> list[int]:
        return self.land.seeds

    @property
    def about(self) -> About:
        refused = dict.fromkeys(("implicit", "onset"), "it takes no implicit decay")
        if not self.land.two_dimensional:
            refused |= {"m": "it is of w alone"}
        return About(
            file=self.land.source,
            kind="landscape",
            refused=refused,
            two_dimensional=self.land.two_dimensional,
            schedule=self.land.law.schedule,
        )

    @property
    def text(self) -> ModuleType:
        """What a report says of its predictions alone."""
        from groktime.reduced import flow_text

        return flow_text

    def settings(self, options: Options) -> dict[str, Any]:
        """Which of the landscape's is read, for a prediction's settings."""
        return {
            "n_train": options.get("n_train", self.land.n_train[-1]),
            "sampled_steps": options.get("sampled_steps", self.land.budgets[-1]),
            **{k: option(options, k) for k in ("seed", "metric", "level", "m_rate")},
        }

    def read(self, lanes: Lanes, detail: bool = False, **options: Unpack[Options]) -> Readings:
        """Times of all lanes from each seed; only distinct (γ, η_R/η_D, start) are integrated.

        With `detail`, the closed forms, the norm at t_grok, and the uncertainty of the wall (as with `wall`),
        which costs three times as much.

        Raises
        ------
        InputError : on a bad option, naming it. A start off the grid, no decay and a trap are statuses.
        """
        land = self.land
        level, m_rate = (check_option(name, option(options, name)) for name in ("level", "m_rate"))
        m = _messiness(land, lanes)
        chosen = systems(land, **{k: option(options, k) for k in _CHOOSE})
        eta_r = lanes.eta_d if lanes.eta_r is None else lanes.eta_r
        wall = detail or options.get("wall", False)
        parts = [
            _read_seed(s, lanes, rate_of_m(s, 1.0, m_rate) * eta_r, m, wall, level if detail else None)
            for s in chosen
        ]
        further = {
            TURNING: any(s.surface.turning is not None for s in chosen),
            DRIFT: any(s.surface.drift is not None for s in chosen),
        }
        further[DRIFT_CLOSED] = further[DRIFT]
        forms = (*FORMS, *(name for name, known in further.items() if known)) if detail else ()
        turning = np.stack([p[TURNING] / p["t_grok"] for p in parts]) if TURNING in forms else None
        names = ("status", "t_grok", "t_mem", "low", "high")
        each: dict[str, Any] = {k: np.stack([p[k] for p in parts]) for k in names}
        return Readings(
            seeds=tuple(s.seed for s in chosen),
            **each,
            threshold=np.array([[s.threshold] * len(lanes) for s in chosen]),
            alone=land.two_dimensional,
            forms={k: np.stack([p[k] for p in parts]) for k in forms},
            norm=np.stack([p["norm"] for p in parts]) if detail else None,
            remarks=remarks.of_landscape(
                chosen, lanes, np.stack([p["end"] for p in parts]), land.attrs, turning
            ),
            own="the place of the wall" if wall and land.two_dimensional else "",
            model=EQ6_ERROR[_start(land)],
            model_name="Eq. 6 itself",
            details=np.stack([p["details"] for p in parts]) if detail else None,
        )


def _start(land: Landscape) -> str:
    """How the networks came onto their spheres: from "above", or "fresh"."""
    start = json.loads(str(land.attrs["configuration"])).get("start")
    return "above" if start == "above" else "fresh"


def _messiness(land: Landscape, lanes: Lanes) -> Floats:
    """The starts' m [lane], which a landscape of w alone has at its one place."""
    if not land.two_dimensional:
        if lanes.m is not None:
            raise InputError(f"m: {land.source} is a landscape of w alone; leave m out")
        return np.full(len(lanes), float(land.m[0]))
    if lanes.m is None:
        low, high = land.m[0], land.m[-1]
        raise InputError(f"m: {land.source} is a landscape of (w, m); expected m in [{low:g}, {high:g}]")
    return lanes.m


def _read_seed(
    system: System, lanes: Lanes, eta_r: Floats, m: Floats, wall: bool, level: float | None
) -> dict[str, NDArray[Any]]:
    """What one seed says of each lane; `level` of the printed form's contour where forms are asked for."""
    eta_d, gamma = lanes.eta_d, lanes.gamma
    each = np.stack([gamma, eta_r / eta_d, np.log(lanes.alpha * system.w0), m])
    # rounded to 12 digits: the same ratio from different rates is the same lane
    keys = np.array([float(f"{x:.12g}") for x in each.ravel()]).reshape(4, -1)
    _, first, place = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    place = place.ravel()
    g, r, u, start = each[:, first]
    result, low, high = system.flow(gamma=g, ratio=r, u=u, m=start, wall=wall)
    strong = gamma * eta_d >= 1  # a single step of decay takes w through 0: no flow describes it
    status = np.where(strong, Status.COLLAPSES, result.status[place])
    goes = (status == Status.GENERALIZES) | (status == Status.ALREADY)
    status = np.where(goes & (not system.fitted), Status.UNFITTED, status)
    goes &= system.fitted
    # what is outside tells no end, and what is not fitted or decays at once never gets there
    nowhere = np.where(status == Status.OUTSIDE, np.nan, np.inf)
    known = ~strong & (status != Status.UNFITTED) & (status != Status.OUTSIDE)
    out: dict[str, NDArray[Any]] = {
        "status": np.array([Status(s) for s in status], object),
        "t_grok": np.where(goes, result.generalized[place] / eta_d, np.nan),
        "t_mem": np.where(strong, np.nan, result.memorized[place] / eta_d),
        "low": np.where(known, low[place] / eta_d, nowhere),
        "high": np.where(known, high[place] / eta_d, nowhere),
        "end": np.where(status == Status.GENERALIZES, result.u[place], np.nan),
    }
    if level is None:
        return out
    more = _further(system, g, r, u, start)
    shapes = _shapes(system, g, r, u, start, level)
    details = np.empty(len(lanes), object)
    forms = np.full((len(lanes), len(FORMS)), np.nan)
    waits = ~strong & (out["status"] != Status.ALREADY) & (out["status"] != Status.UNFITTED)
    for k, at in enumerate(place.tolist()):
        geometry, balance = shapes[at]
        if strong[k]:
            line = _one_dimensional(level, geometry.w_start, float("nan"), geometry.m_start)
            details[k] = FlowDetail(line, line, system, None)
            continue
        details[k] = FlowDetail(geometry, balance, system, (g[at], r[at], u[at], start[at]))
        if waits[k]:  # or else there is nothing to wait for, and no form of it
            forms[k] = _forms(system, geometry, balance, gamma[k], eta_d[k], eta_r[k])
    from_here = np.array([geometry.w_start for geometry, _ in shapes])[place]
    norm = np.where(waits, np.exp(result.u[place]), from_here)
    norm[strong | (waits & np.isnan(out["t_grok"]))] = np.nan
    waits &= np.isfinite(out["t_grok"])
    out |= {"details": details, "norm": norm}
    # on another metric a network may get there that does not by Eq. 6
    of_drift = known & (out["status"] != Status.ALREADY)
    for name, each in more.items():
        out[name] = np.where(waits if name == TURNING else of_drift, each[place] / eta_d, np.nan)
    return out | dict(zip(FORMS, forms.T, strict=True))


def _further(system: System, gamma: Floats, ratio: Floats, u: Floats, m: Floats) -> dict[str, Floats]:
    """s = η_D t by the further forms, NaN where what they need was not measured: Eq. 6 with the clock of a
    turning direction, and on the network's own metric, integrated and in closed form."""
    surface = system.surface
    lanes: dict[str, Any] = {"gamma": gamma, "ratio": ratio, "u": u, "m": m, "wall": False}
    out = dict.fromkeys((TURNING, DRIFT, DRIFT_CLOSED), np.full(len(gamma), np.nan))
    if surface.turning is not None:
        out[TURNING] = system.flow(**lanes, mobility=surface.turning)[0].generalized
    if surface.drift is not None:
        out[DRIFT] = system.flow(**lanes, mobility=surface.drift)[0].generalized
        ways = [
            Way(surface, surface.domain, surface.drift, system.generalized, float(g), float(r)).tau(
                *map(float, surface.domain.snapped(start, at))
            )
            for g, r, start, at in zip(gamma, ratio, u, m, strict=True)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            out[DRIFT_CLOSED] = np.array(ways) / gamma
    return out


def _shapes(
    system: System, gamma: Floats, ratio: Floats, u: Floats, m: Floats, level: float
) -> list[tuple[Geometry, Geometry]]:
    """Of each lane the geometry on the contour of `level`, and on that on which decay and loss balance."""
    surface, domain, generalized = system.surface, system.surface.domain, system.generalized
    u, m = domain.snapped(u, m)
    inside = domain.contains(u, m)
    end = np.full(len(u), np.nan)
    known: Iterator[tuple[Geometry, Geometry]] = iter(())
    if surface.two_dimensional:
        lanes = {name: x[inside] for name, x in {"u": u, "m": m, "gamma": gamma, "ratio": ratio}.items()}
        known = zip(*contours(surface, domain, generalized, level, **lanes), strict=True)
    else:
        starts, place = np.unique(u[inside], return_inverse=True)
        end[inside] = critical_norms(domain, starts, np.full(len(starts), domain.m_low), generalized)[place]
    lines = [
        _one_dimensional(level, w, e, x)
        for w, e, x in zip(np.exp(u).tolist(), end.tolist(), m.tolist(), strict=True)
    ]
    contoured = inside & surface.two_dimensional
    return [
        next(known) if mine else (line, line) for mine, line in zip(contoured.tolist(), lines, strict=True)
    ]


def _one_dimensional(level: float, w: float, end: float, m: float) -> Geometry:
    c, u = float(np.exp(end)), float(np.log(w))
    return Geometry(level, u - end, 0.0, 0.0, w, c, c, m, m, 0.0, np.array([end]), np.array([m]))


def _forms(
    system: System, geometry: Geometry, balance: Geometry, gamma: float, eta_d: float, eta_r: float
) -> tuple[float, float]:
    """Printed and corrected closed form, in steps; of a landscape of w alone, the flat one for both."""
    inside: Callable[..., Any] = system.surface.domain.contains
    start = np.array(np.log(geometry.w_start)), np.array(geometry.m_start)
    if system.surface.two_dimensional and bool(inside(*start)):
        return (
            closed_form.printed(geometry, gamma, eta_d),
            closed_form.corrected(balance, gamma, eta_d, eta_r),
        )
    flat = closed_form.flat(geometry.w_start, geometry.w_end, gamma, eta_d)
    return flat, flat
