"""What can be moved on the page: the settings of a run, each from one end to the other, and its stops."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.flow_source import FlowSource
from groktime.reduced.forecast_source import ForecastSource
from groktime.reduced.landscape import Landscape
from groktime.reduced.path_source import PathSource
from groktime.reduced.source import Source, about, refuse
from groktime.reduced.starts import SETTINGS, check_settings
from groktime.reduced.system import MEMORIZED

Floats = NDArray[np.float64]

ORDER = ("gamma", "eta_d", "eta_ratio", "alpha", "m")
_RATE = 1e-3  # of landscapes that do not say theirs
_AROUND = 10.0  # factor to either side of the rate that networks were sampled with
_FEW = 5  # an axis that spans less than this factor has even stops
_STOPS = 100
# In a decade: what people write, one to five percent apart.
_DECADE = np.concatenate([np.arange(100, 200, 5), np.arange(200, 500, 10), np.arange(500, 1000, 20)]) / 100


@dataclass(frozen=True)
class Slider:
    """One setting: where it can stand, ascending, where it stands at first, and the `nodes` that the source
    itself was sampled at, which a table has to have. `exact`: it can stand at these alone."""

    name: str
    stops: Floats
    start: float
    nodes: Floats
    exact: bool = False

    @property
    def fixed(self) -> bool:
        """Whether there is nothing to move."""
        return len(self.nodes) == 1

    @property
    def logarithmic(self) -> bool:
        """Whether its table is read in logarithms: of all but m, which begins at 0."""
        return self.name != "m"


def sliders(source: Source, given: Mapping[str, ArrayLike | None]) -> list[Slider]:
    """The sliders of a source; `given` are their ends, or one value that stays, where the caller says so.

    Raises
    ------
    InputError : naming the setting, where the source does not take it or nothing tells its ends.
    """
    known = _of_source(source)
    found = []
    for name in ORDER:
        values = _given(source, name, given.get(name))
        nodes, exact = known.get(name, (np.empty(0), False))
        if values is None and not len(nodes):
            if name in ("eta_ratio", "m"):
                continue
            raise InputError(
                f"{name}: {about(source).file} does not say from where to where; expected two ends"
            )
        if values is not None and not exact:
            low, high = values.min(), values.max()
            inside = nodes[(nodes > low) & (nodes < high)] if isinstance(source, ForecastSource) else []
            nodes = np.unique([low, *inside, high])
        elif values is not None:
            nodes = nodes[(nodes >= values.min()) & (nodes <= values.max())]
            if not len(nodes):
                raise InputError(f"{name}: none of those that {about(source).file} was sampled at lies there")
        stops = nodes if exact or len(nodes) == 1 else _stops(nodes)
        middle = float(np.sqrt(stops[0] * stops[-1])) if stops[0] > 0 else float(stops[-1] + stops[0]) / 2
        start = float(stops[int(np.argmin(np.abs(stops - middle)))])
        found.append(Slider(name, stops, start, nodes, exact))
    return found


def _given(source: Source, name: str, values: ArrayLike | None) -> Floats | None:
    if values is None:
        return None
    refuse(source, "eta_r" if name == "eta_ratio" else name, values)
    if name in ("eta_ratio", "m") and not about(source).two_dimensional:
        raise InputError(f"{name}: {about(source).file} has no messiness; leave {name} out")
    if name == "eta_ratio":
        return check_settings(alpha=values)["alpha"] if _above_0(values) else _refused(name, values)
    found = check_settings(**{name: values})[name]
    if SETTINGS[name] is SETTINGS["gamma"] and (found <= 0).any():
        raise InputError(f"{name}: expected ends above 0")
    return found


def _above_0(values: ArrayLike) -> bool:
    try:
        return bool((np.asarray(values, float) > 0).all())
    except (TypeError, ValueError):
        return False


def _refused(name: str, values: ArrayLike) -> Floats:
    raise InputError(f"{name} = {values!r}: expected numbers above 0")


def _of_source(source: Source) -> dict[str, tuple[Floats, bool]]:
    """What the file says of each setting: the values that a table has to have, and whether they are all."""
    if isinstance(source, ForecastSource):
        one = source.forecast
        return {"gamma": (one.gamma, False), "eta_d": (one.eta_d, False), "alpha": (one.alpha, False)}
    if isinstance(source, PathSource):
        path = source.path
        gamma = np.unique([path.gamma_eff.min() / _AROUND, *path.gamma_eff])
        found = {"gamma": (gamma, False), "alpha": (path.alpha, False)}
        found["eta_d"] = (_around(path.eta_d), False)
        return found | ({"m": (path.m_start, True)} if about(source).two_dimensional else {})
    if isinstance(source, FlowSource):
        land = source.land
        rate = _rate(land.attrs)
        ends = (1e-4, 0.3) if land.two_dimensional else (1e-3, 3.0)
        found = {"gamma": (np.array(ends), False), "alpha": (_fitted(land)[[0, -1]], False)}
        found["eta_d"] = (_around(rate), False)
        if land.two_dimensional:
            # one that chatters along its wall takes minutes: few settings are asked about, and at once
            low, high = found["alpha"][0]
            found |= {
                "gamma": (np.geomspace(*ends, 7), False),
                "alpha": (np.geomspace(low, high, 9), False),
                "eta_ratio": (np.array([0.2, 1.0, 5.0]), False),
                "m": (np.linspace(land.m[0], land.m[-1], 7), False),
            }
        return found
    return {}


def _around(rate: float) -> Floats:
    return np.array([float(f"{x:.12g}") for x in (rate / _AROUND, rate * _AROUND)])


def _fitted(land: Landscape) -> Floats:
    """The norms from where the networks of all seeds fit, at every m, or at some: below, Eq. 6 starts outside
    of the valley. All norms, where there are none."""
    fits = np.asarray(land["train_accuracy"].values, float)[:, -1, -1] >= MEMORIZED  # [seed, m, alpha]
    for each in (fits.all(1), fits.any(1)):
        lost = np.flatnonzero(~each.all(0))
        first = lost[-1] + 1 if len(lost) else 0
        if first < len(land.alpha) - 1:
            return land.alpha[first:]
    return land.alpha


def _rate(attrs: Mapping[str, Any]) -> float:
    """The learning rate that a landscape was sampled with."""
    optimizer = json.loads(str(attrs["configuration"])).get("optimizer")
    rate = optimizer.get("rate") if isinstance(optimizer, dict) else None
    return float(rate) if rate else _RATE


def _stops(nodes: Floats) -> Floats:
    """Where a slider can stand: round numbers from end to end, and what was sampled."""
    low, high = float(nodes[0]), float(nodes[-1])
    if low > 0 and high > _FEW * low:
        decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        round_ = np.outer(decades, _DECADE).ravel()
    else:
        step = _round_step((high - low) / _STOPS)
        round_ = step * np.arange(np.floor(low / step), np.ceil(high / step) + 1)
    short = np.array([float(f"{x:.6g}") for x in round_])
    return np.unique([*nodes, *short[(short > low) & (short < high)]])


def _round_step(least: float) -> float:
    """1, 2 or 5 of a power of ten, next above."""
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(power * k for k in (1, 2, 5, 10) if power * k >= least * (1 - 1e-9)))
