"""The way of a network from its start: norm, messiness and accuracies, as curves that the page moves.

A curve is kept against x = t/T at some settings, the nodes. T is the seed's own t_grok where it has one, else
1/(ηγ): so that the curves of neighbors, whose times differ, can be mixed, and each passes its threshold at
its own t_grok, which the page reads from the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.crossings import GENERALIZES, crossings
from groktime.reduced.events import Trajectory
from groktime.reduced.flow_source import FlowSource
from groktime.reduced.forecast_source import ForecastSource
from groktime.reduced.path_source import PathSource
from groktime.reduced.source import Options, Source, about, option
from groktime.reduced.system import System, rate_of_m, systems
from groktime.validation.explorer.sliders import Slider

Floats = NDArray[np.float64]

# x of the curves: dense around 1, where they pass
X = np.concatenate([np.geomspace(0.001, 0.5, 26), np.linspace(0.6, 1.4, 17), np.geomspace(1.55, 2.5, 4)])
CURVES = ("test_accuracy", "train_accuracy", "alpha", "m", "train_loss", "test_loss")
_MOST = 120_000  # numbers of one curve, over nodes and seeds
_NODES = {"gamma": 7, "eta_ratio": 3, "alpha": 9, "m": 5}  # of landscapes


@dataclass(frozen=True)
class Ways:
    """Curves [*axes, seed, x] by name, NaN where there are none; `timed` [*axes, seed]: whether T is t_grok.
    Axes are in the order of the sliders; a setting that they do not hold does not change them."""

    axes: Mapping[str, Floats]
    seeds: Sequence[int]
    timed: NDArray[np.bool_]
    curves: Mapping[str, Floats]


def ways(source: Source, sliders: Sequence[Slider], options: Options) -> Ways | None:
    """The ways of a landscape, a decay path or a forecast; None of other sources."""
    if isinstance(source, FlowSource):
        found = _of_landscape(source, sliders, options)
    elif isinstance(source, PathSource):
        found = _of_path(source, options)
    elif isinstance(source, ForecastSource):
        found = _of_forecast(source, options)
    else:
        return None
    nodes = int(np.prod(found.timed.shape[:-1]))
    kept = max(min(len(found.seeds), _MOST // (nodes * len(X))), 1)
    curves = {k: v[..., :kept, :] for k, v in found.curves.items() if np.isfinite(v).any()}
    return replace(found, seeds=found.seeds[:kept], timed=found.timed[..., :kept], curves=curves)


# --- landscapes ----------------------------------------------------------------------------------


def _of_landscape(source: FlowSource, sliders: Sequence[Slider], options: Options) -> Ways:
    """Eq. 6 from nodes of the sliders on, past where it generalizes."""
    names = ("seed", "n_train", "sampled_steps", "threshold", "metric")
    chosen = systems(source.land, **{k: option(options, k) for k in names})
    axes = {s.name: _nodes(s) for s in sliders if s.name in _NODES}
    shape = tuple(map(len, axes.values()))
    mesh = [x.ravel() for x in np.meshgrid(*axes.values(), indexing="ij")]
    at = dict(zip(axes, mesh, strict=True))
    m = at.get("m", np.full(mesh[0].size, source.land.m[0]))
    ratio = at.get("eta_ratio", np.ones(mesh[0].size))
    timed = np.zeros((mesh[0].size, len(chosen)), bool)
    curves = {name: np.full((*timed.shape, len(X)), np.nan) for name in CURVES[:4]}
    for k, system in enumerate(chosen):
        gamma, ratio_m = at["gamma"], rate_of_m(system, 1.0, option(options, "m_rate")) * ratio
        u = np.log(at["alpha"] * system.w0)
        first, *_ = system.flow(gamma=gamma, ratio=ratio_m, u=u, m=m, wall=False)
        endless = replace(system, generalized=_never)
        on, *_ = endless.flow(gamma=gamma, ratio=ratio_m, u=u, m=m, wall=False, record=True)
        timed[:, k] = first.generalized > 0
        scale = np.where(timed[:, k], first.generalized, 1 / gamma)
        for j, way in enumerate(on.trajectories):
            start = np.array([u[j], m[j]])
            for name, values in _along(system, way, X * scale[j], start).items():
                curves[name][j, k] = values
    full = {name: values.reshape(*shape, *values.shape[1:]) for name, values in curves.items()}
    return Ways(axes, [s.seed for s in chosen], timed.reshape(*shape, -1), full)


def _nodes(slider: Slider) -> Floats:
    if slider.fixed:
        return slider.nodes
    low, high, count = slider.nodes[0], slider.nodes[-1], _NODES[slider.name]
    return np.asarray((np.geomspace if slider.logarithmic else np.linspace)(low, high, count))


def _never(u: Floats, m: Floats) -> Floats:
    """A test that nothing passes, so that the flow goes on."""
    return np.full(np.shape(u), -1.0)


def _along(system: System, way: Trajectory, s: Floats, start: Floats) -> dict[str, Floats]:
    """What the surface says along a trajectory, at s = η_D t; the start where nothing moves."""
    u, m = way.at(s) if way.steps else np.broadcast_to(start[:, None], (2, len(s)))
    known = np.where(s <= way.end * (1 + 1e-9), 1.0, np.nan) if way.steps else np.ones(len(s))
    surface = system.surface
    fields = {"test_accuracy": surface.test_accuracy, "train_accuracy": surface.train_accuracy}
    found = {name: np.clip(field(u, m), 0, 1) * known for name, field in fields.items() if field is not None}
    return found | {"alpha": np.exp(u) / system.w0 * known, "m": m * known}


# --- what was trained ----------------------------------------------------------------------------


def _of_path(source: PathSource, options: Options) -> Ways:
    """The records of a path against τ over its τ_c; its resolutions are nodes of γ."""
    path = source.path
    seeds = path.seeds if option(options, "seed") is None else [int(option(options, "seed"))]
    n_train = option(options, "n_train") or path.n_train[-1]
    axes = {"gamma": path.gamma_eff[::-1], "alpha": path.alpha}
    starts = path.m_start if about(source).two_dimensional else path.m_start[:1]
    if about(source).two_dimensional:
        axes["m"] = starts
    timed, every = [], []
    rows = [path.place("seed", seed) for seed in seeds]
    for m in starts:
        limits = option(options, "threshold"), option(options, "metric")
        found = crossings(path, seeds, n_train, float(m), *limits)
        place = (path.place("n_train", n_train), path.place("m_start", float(m)))
        goes = (found.kind == GENERALIZES) & (found.tau > 0)
        scale = np.where(goes, found.tau, 1.0)
        curves = {
            name: _scaled_curves(path.tau, np.asarray(path[name].values[rows, *place], float), scale)
            for name in ("test_accuracy", "train_accuracy", "weight_norm", "m", "train_loss", "test_loss")
        }
        norm = curves.pop("weight_norm") / path["w0"].values[rows][:, None, None, None]
        timed.append(goes)
        every.append(curves | {"alpha": norm})
    # [m, seed, alpha, refit, …] to [gamma, alpha, m, seed, …], the finest resolution first
    order = (3, 2, 0, 1)
    full = {k: np.stack([c[k] for c in every]).transpose(*order, 4)[::-1] for k in every[0]}
    marks = np.stack(timed).transpose(order)[::-1]
    if "m" not in axes:
        full, marks = {k: v[:, :, 0] for k, v in full.items()}, marks[:, :, 0]
    return Ways(axes, seeds, marks, full)


def _of_forecast(source: ForecastSource, options: Options) -> Ways:
    """The curves of a forecast at its finest resolutions, against t over t_grok."""
    one = source.forecast
    seed = option(options, "seed")
    rows = list(range(len(one.seeds))) if seed is None else [one.place("seed", seed)]
    times = one.times(option(options, "threshold"), option(options, "metric"))
    curves = one.curves().isel(seed=rows)
    t_grok = times.t_grok[rows]
    timed = t_grok > 0
    free = 1 / (one.gamma[:, None, None] * one.eta_d[:, None])
    scale = np.where(timed, t_grok, free)
    found = {
        name: np.moveaxis(
            _scaled_curves(curves["t"].values, np.asarray(curves[name].values, float), scale), 0, 3
        )
        for name in ("test_accuracy", "train_accuracy", "weight_norm", "m", "train_loss", "test_loss")
    }
    found["alpha"] = found.pop("weight_norm") / one["w0"].values[rows][:, None]
    axes = {"gamma": one.gamma, "eta_d": one.eta_d, "alpha": one.alpha}
    return Ways(axes, [one.seeds[k] for k in rows], np.moveaxis(timed, 0, 3), found)


def _scaled_curves(t: Floats, values: Floats, scale: Floats) -> Floats:
    """Curves [..., record] on records t (of all, or of each), at X times their scale; NaN past their end."""
    out = np.full((*scale.shape, len(X)), np.nan)
    for at in np.ndindex(*scale.shape):
        when = t if t.ndim == 1 else t[at]
        known = np.isfinite(when) & np.isfinite(values[at])
        if known.any():
            out[at] = np.interp(X * scale[at], when[known], values[at][known], right=np.nan)
    return out
