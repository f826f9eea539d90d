"""The picture behind a prediction: LU curves, a landscape of (w, m), or the drift of trained networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.reduced.flow_source import FlowSource
from groktime.reduced.source import Options, Source, option
from groktime.reduced.system import System, systems
from groktime.validation.explorer.ways import Ways

Floats = NDArray[np.float64]

_FINE = 56  # points to a side on which the edge of what generalizes is looked for
WORDS = {
    "lu": (
        "The way down",
        "Losses of sampled networks against their weight norm: the training loss is an L, the test loss a U. "
        "Weight decay slides the start to the left, to where the test accuracy passes the threshold.",
    ),
    "map": (
        "The landscape and the way down",
        "Sampled training loss over weight norm and messiness, strong where it is high. Lines: the way of "
        "Eq. 6, thick for the seed of the landscape. Dashed: the edge of where it generalizes.",
    ),
    "drift": (
        "The way down",
        "Losses of the networks themselves against the weight norm that they had on their way.",
    ),
    "": ("", ""),
}


def scene(source: Source, ways: Ways | None, options: Options) -> dict[str, Any]:
    """What the page draws: its `kind` and its numbers."""
    if not isinstance(source, FlowSource):
        return {"kind": "drift" if ways is not None else "", "seeds": list(source.seeds)}
    names = ("seed", "n_train", "sampled_steps", "threshold", "metric")
    chosen = systems(source.land, **{k: option(options, k) for k in names})
    losses = ("train_loss", "test_loss")
    layers = [s.layer for s in chosen]
    found: dict[str, Any] = {
        "kind": "map" if source.land.two_dimensional else "lu",
        "seeds": [s.seed for s in chosen],
        "alpha": source.land.alpha,
    }
    if not source.land.two_dimensional:
        return found | {name: [one[name].values[0] for one in layers] for name in losses}
    return found | {
        "m": source.land.m,
        "train_loss": [one["train_loss"].values for one in layers],
        "edge": [_edge(s) for s in chosen],
    }


def _edge(system: System) -> list[list[float | None]]:
    """The edge of where a seed generalizes as points (α, m), row by row of m; None where there is none."""
    d = system.surface.domain
    u, m = np.linspace(d.u_low, d.u_high, _FINE), np.linspace(d.m_low, d.m_high, _FINE)
    passes = system.generalized(np.tile(u, _FINE), np.repeat(m, _FINE)).reshape(_FINE, _FINE)
    points: list[list[float | None]] = []
    for row, height in zip(passes, m, strict=True):
        turns = np.flatnonzero((row[:-1] >= 0) != (row[1:] >= 0))
        if not len(turns):
            points.append([None, None])
            continue
        k = int(turns[-1])
        at = u[k] + (u[k + 1] - u[k]) * row[k] / (row[k] - row[k + 1])
        points.append([float(np.exp(at)) / system.w0, float(height)])
    return points
