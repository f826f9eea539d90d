"""A forecast as a source: ln t read between the settings that were forecast, in ln γ, ln η and ln α."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from groktime.reduced import remarks
from groktime.reduced.crossings import ORDER
from groktime.reduced.flow import Status
from groktime.reduced.forecast import Forecast, Times
from groktime.reduced.interval import TAIL
from groktime.reduced.path_source import check_threshold
from groktime.reduced.source import About, Lanes, Options, Readings

Floats = NDArray[np.float64]

AXES = ("gamma", "eta_d", "alpha")

# What a forecast that is hastened is off by beside its resolution, as a standard deviation of ln t: 2.4 % on
# 18 teacher-student networks, 2.8 % on 6 small MLPs and 3.5 % on 4 small transformers on a + b, those that
# the scheme was chosen on (docs/forecast.md).
FORECAST_ERROR = 0.03
_RECORD = 0.015  # half of what records are apart, in ln of the time since the start (`fullnet.forecast`)
_NEAR = 1e-9  # in ln: a setting that was forecast is read as such
_WORSE = (*ORDER, Status.UNFITTED)  # what can become of a network, the worse the later


@dataclass(frozen=True)
class ForecastDetail:
    """What is behind the time of one seed at one lane: the numerical error of ln t, and the optimizer steps
    that were taken for it."""

    error: float
    real_steps: float


@dataclass(frozen=True)
class ForecastSource:
    """A forecast that is asked for times, at its settings and between them."""

    forecast: Forecast
    name: str = "forecast"

    @property
    def seeds(self) -> list[int]:
        return self.forecast.seeds

    @property
    def about(self) -> About:
        ratio = float(self.forecast.attrs["eta_ratio"])
        m = float(self.forecast.attrs["m_start"])
        return About(
            file=self.forecast.source,
            kind="forecast",
            refused={
                "eta_r": f"its networks have eta_R/eta_D = {ratio:g}, which holds for every eta_D",
                "m": f"its networks start at m = {m:g}",
                "sampled_steps": "a forecast has no sampling budget; its resolution is efold",
                "level": "a forecast has no contour",
                "m_rate": "a forecast moves m as the networks do",
                **dict.fromkeys(("implicit", "onset"), "a forecast trains at the decay of the run itself"),
                "wall": "a forecast has no wall, and its numerical error is always in low and high",
            },
            strongest=float(self.forecast.gamma[-1]),
            schedule=self.forecast.law.schedule,
        )

    @property
    def text(self) -> ModuleType:
        """What a report says of its predictions alone."""
        from groktime.reduced import forecast_text

        return forecast_text

    def settings(self, options: Options) -> dict[str, Any]:
        """Which of the forecast's is read, for a prediction's settings."""
        return {
            "n_train": int(self.forecast.attrs["n_train"]),
            "seed": options.get("seed"),
            "metric": options.get("metric", "accuracy"),
        }

    def read(self, lanes: Lanes, detail: bool = False, **options: Unpack[Options]) -> Readings:
        """Times of all lanes from each seed. A setting beyond those that were forecast is outside.

        Raises
        ------
        InputError : naming the option and what was expected.
        """
        from scipy.special import ndtri  # reading a file needs no scipy

        forecast = self.forecast
        metric, threshold = options.get("metric", "accuracy"), options.get("threshold")
        check_threshold(forecast, threshold, metric)
        if n_train := options.get("n_train"):
            forecast.check_size(n_train)
        seed = options.get("seed")
        rows = np.arange(len(forecast.seeds)) if seed is None else np.array([forecast.place("seed", seed)])
        times = forecast.times(threshold, metric)
        found = _Mixed.of(times, rows, len(lanes), forecast.start_step)
        inside = np.ones(len(lanes), bool)
        asked = [getattr(lanes, name) for name in AXES]
        places = [_between(getattr(forecast, name), values) for name, values in zip(AXES, asked, strict=True)]
        for _, _, within in places:
            inside &= within
        for corner in np.ndindex(2, 2, 2):
            share, index = np.ones(len(lanes)), []
            for (lower, weight, _), upper in zip(places, corner, strict=True):
                share = share * (weight if upper else 1 - weight)
                index.append(lower + upper * (weight > 0))
            found.add(share, tuple(index))
        status = np.where(inside, found.status(), Status.OUTSIDE)
        goes = np.isin(status, (Status.GENERALIZES, Status.ALREADY))
        begin = forecast.start_step
        to_go = np.where(goes, np.exp(found.log_t), np.nan)
        time = begin + to_go
        error = np.where(goes, found.error, np.nan)
        # what was trained without hastening is off by nothing
        own = np.where(error > 0, np.hypot(error, ndtri(1 - TAIL) * FORECAST_ERROR), error)
        if forecast.start:  # the interval is the run's own: no seeds beside it hide how its time is read
            own = np.maximum(own, _RECORD)
        nowhere = np.where(status == Status.OUTSIDE, np.nan, np.inf)
        steps = forecast.real_steps[rows]
        details = np.empty(time.shape, object)
        for at in np.ndindex(*time.shape):
            details[at] = ForecastDetail(float(error[at]), float(steps[at[0]].mean()))
        return Readings(
            seeds=tuple(forecast.seeds[k] for k in rows),
            status=status,
            t_grok=time,
            t_mem=np.where(inside, begin + np.exp(found.log_fit), np.nan),
            low=np.where(goes, begin + to_go * np.exp(-own), nowhere),
            high=np.where(goes, begin + to_go * np.exp(own), nowhere),
            threshold=np.full(time.shape, times.level),
            own=f"the resolution of the forecast and {100 * FORECAST_ERROR:g} % for the scheme",
            least=1 if forecast.start else 2,
            remarks=remarks.of_forecast(error, time, inside),
            details=details if detail else None,
        )


@dataclass
class _Mixed:
    """Sums over the corners around each lane, [seed, lane]; times are counted from the step `begin`."""

    times: Times
    rows: NDArray[np.intp]
    log_t: Floats
    log_fit: Floats
    error: Floats
    worst: NDArray[np.intp]
    begin: int

    @staticmethod
    def of(times: Times, rows: NDArray[np.intp], lanes: int, begin: int) -> _Mixed:
        log_t, log_fit, error = (np.zeros((len(rows), lanes)) for _ in range(3))
        return _Mixed(times, rows, log_t, log_fit, error, np.zeros(log_t.shape, np.intp), begin)

    def add(self, share: Floats, index: tuple[NDArray[np.intp], ...]) -> None:
        """The cells [lane] of all seeds, with their shares; what has no share may be NaN."""
        used = share > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            for name, total in (("t_grok", self.log_t), ("t_mem", self.log_fit)):
                since = _at(getattr(self.times, name)[self.rows], index) - self.begin
                values = np.log(np.maximum(since, 1.0))
                total += np.where(used, share * values, 0.0)
            error = _at(self.times.error[self.rows], index)
            self.error += np.where(used, share * error, 0.0)
        kinds = _at(self.times.status[self.rows], index)
        worse = np.array([[_WORSE.index(Status(s)) for s in line] for line in kinds])
        np.maximum(self.worst, np.where(used, worse, 0), out=self.worst)

    def status(self) -> NDArray[np.object_]:
        """What becomes of the network: the worst of what becomes of those around."""
        out = np.empty(self.worst.shape, object)
        for at in np.ndindex(*out.shape):
            out[at] = _WORSE[self.worst[at]]
        return out


def _at(values: NDArray[Any], index: tuple[NDArray[np.intp], ...]) -> NDArray[Any]:
    """The values [seed, gamma, eta_d, alpha] of all seeds at each lane's cell, [seed, lane]."""
    gamma, eta_d, alpha = index
    return np.asarray(values[:, gamma, eta_d, alpha])


def _between(known: Floats, asked: Floats) -> tuple[NDArray[np.intp], Floats, NDArray[np.bool_]]:
    """The place below each value, the share of the one above, and whether it lies within; [lane]."""
    with np.errstate(divide="ignore"):
        x, grid = np.log(asked), np.log(known)
    lower = np.clip(np.searchsorted(grid, x + _NEAR, side="right") - 1, 0, max(len(grid) - 2, 0))
    if len(grid) == 1:
        return lower, np.zeros(len(x)), np.abs(x - grid[0]) <= _NEAR
    share = (x - grid[lower]) / (grid[lower + 1] - grid[lower])
    for whole in (0.0, 1.0):
        share = np.where(np.abs(share - whole) < _NEAR, whole, share)
    inside = (share >= 0) & (share <= 1)
    return lower, np.where(inside, share, 0.0), inside
