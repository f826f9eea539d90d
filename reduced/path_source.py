"""A decay path as a source: τ_c at the run's own γ and start, and t = τ_c/(ηγ)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from groktime.reduced import path_reading, remarks
from groktime.reduced.arguments import number
from groktime.reduced.crossings import crossings
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.source import About, Lanes, Options, Readings, option
from groktime.reduced.starts import check_option
from groktime.reduced.stored import Gridded
from groktime.reduced.valley_clock import ValleyClock

Floats = NDArray[np.float64]

# What a path is off by beside its resolution, as a standard deviation of ln t: 1.25 times the mean error of
# 2.0 % on 450 teacher-student networks, each from the path of its own seed (docs/predicted.md).
PATH_ERROR = 0.03


@dataclass(frozen=True)
class PathDetail:
    """What is behind the times of one seed at one lane.

    `tau_c`, in τ = ηγt, and its numerical error (NaN for a path of one resolution, which tells none).
    `gamma_eff` are the resolutions that were read, as weight decays; `resolved`: whether the run's γ lies
    among the sampled ones or below. `clock` tells which step of the run is at which τ.
    """

    tau_c: float
    tau_error: float
    gamma_eff: tuple[float, ...]
    resolved: bool
    clock: ValleyClock


@dataclass(frozen=True)
class PathSource:
    """A decay path that is asked for times, for every γ and η."""

    path: DecayPath
    name: str = "path"

    @property
    def seeds(self) -> list[int]:
        return self.path.seeds

    @property
    def about(self) -> About:
        attrs = self.path.attrs
        ratio = float(attrs["eta_r"]) / float(attrs["eta_d"])
        return About(
            file=self.path.source,
            kind="decay path",
            refused={
                "eta_r": f"the path was sampled with eta_R/eta_D = {ratio:g}, which holds for every eta_D",
                "sampled_steps": "a path has no sampling budget; its resolution is refit",
                "level": "a path has no contour",
                "m_rate": "a path moves m as the networks do",
                "wall": "a path has no wall, and its numerical error is always in low and high",
            },
            strongest=float(self.path.gamma_eff[0]),
            two_dimensional=len(self.path.m_start) > 1 or bool(self.path.m_start[0] != 1),
            schedule=self.path.law.schedule,
        )

    @property
    def text(self) -> ModuleType:
        """What a report says of its predictions alone."""
        from groktime.reduced import path_text

        return path_text

    def settings(self, options: Options) -> dict[str, Any]:
        """Which of the path's is read, for a prediction's settings."""
        return {
            "n_train": options.get("n_train", self.path.n_train[-1]),
            **{k: option(options, k) for k in ("seed", "metric", "implicit", "onset")},
        }

    def read(self, lanes: Lanes, detail: bool = False, **options: Unpack[Options]) -> Readings:
        """Times of all lanes from each seed; α is interpolated in ln α between the sampled starts, m has to
        be one of them (default: the first).

        Raises
        ------
        InputError : naming the option and what was expected.
        """
        path = self.path
        metric, threshold = options.get("metric", "accuracy"), options.get("threshold")
        drift = {name: check_option(name, options.get(name, 0.0)) for name in ("implicit", "onset")}
        seed = options.get("seed")
        check_threshold(path, threshold, metric)
        seeds = path.seeds if seed is None else [path.seeds[path.place("seed", seed)]]
        n_train = options.get("n_train") or path.n_train[-1]
        start = np.full(len(lanes), path.m_start[0]) if lanes.m is None else lanes.m
        values = np.unique(start)
        parts = []
        for m in values:
            mine = start == m
            found = crossings(path, seeds, n_train, float(m), threshold, metric)
            each = (x[mine] for x in (lanes.gamma, lanes.eta_d, lanes.alpha))
            parts.append((mine, path_reading.read(found, *each, **drift)))

        def joined(name: str) -> Any:
            """[seed, lane], or [lane, ...] for what does not depend on the seed."""
            first = getattr(parts[0][1], name)
            axis = 0 if name in ("resolved", "gamma_eff") else 1
            out = np.empty((*first.shape[:axis], len(lanes), *first.shape[axis + 1 :]), first.dtype)
            for mine, found in parts:
                out[(slice(None),) * axis + (mine,)] = getattr(found, name)
            return out

        return Readings(
            seeds=tuple(seeds),
            **{name: joined(name) for name in ("status", "t_grok", "t_mem", "low", "high")},
            threshold=joined("level"),
            alone=len(path.refit) > 1,
            remarks=self._remarks(parts, len(lanes)),
            own="the resolution of the path" if len(path.refit) > 1 else "",
            model=PATH_ERROR,
            model_name="the path itself",
            details=self._details(lanes, drift, joined) if detail else None,
        )

    def _remarks(
        self, parts: list[tuple[NDArray[np.bool_], path_reading.Readings]], lanes: int
    ) -> remarks.Remarks:
        """Those of each lane, from the parts in which the lanes were read."""
        told: list[tuple[str, ...]] = [()] * lanes
        for mine, found in parts:
            for lane, each in zip(
                np.flatnonzero(mine), remarks.of_path(found, len(self.path.refit)), strict=True
            ):
                told[lane] = each
        return tuple(told)

    def _details(self, lanes: Lanes, drift: dict[str, float], joined: Any) -> NDArray[np.object_]:
        tau, error = joined("tau_c"), joined("tau_error")
        gamma_eff, resolved = joined("gamma_eff"), joined("resolved")
        out = np.empty(tau.shape, object)
        for s, k in np.ndindex(*tau.shape):
            used = tuple(float(g) for g in gamma_eff[k] if not math.isnan(g))
            eta = float(lanes.eta_d[k]) * self.path.speed
            clock = ValleyClock(float(lanes.gamma[k]), eta, **drift)
            out[s, k] = PathDetail(float(tau[s, k]), float(error[s, k]), used, bool(resolved[k]), clock)
        return out


def check_threshold(path: Gridded, threshold: float | None, metric: str) -> None:
    """Refuse a threshold or metric that the path cannot be read at, in one sentence that names it."""
    check_option("metric", metric)
    if threshold is None and metric == "loss":
        raise InputError("threshold: expected a test loss; losses have no default")
    if threshold is not None:
        top = 1.0 if metric == "accuracy" else math.inf
        number("threshold", threshold, f"in (0, {top:g}]", lambda x: 0 < x <= top)
    unknown = np.isnan(path[f"test_{metric}"].values).all(-1)
    if np.all(unknown) and not path["diverged"].values.all():
        raise InputError(f"metric = {metric!r}: {path.source} holds no test_{metric}")
