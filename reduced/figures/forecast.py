"""A forecast: curves of every seed and resolution against the steps of the training; a prediction in them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from groktime.reduced.figures.plot import composite, panel
from groktime.reduced.figures.style import (
    BLACK,
    BLUE,
    ETA_D,
    ORANGE,
    PURPLE,
    STEPS,
    entitle,
    file_label,
    legend_below,
    literal,
    new_figure,
    panels_of,
)
from groktime.reduced.report import number

if TYPE_CHECKING:
    from groktime.reduced.forecast import Forecast
    from groktime.reduced.prediction import Prediction

FORECAST = "groktime.reduced.forecast.Forecast"
DETAIL = "groktime.reduced.forecast_source.ForecastDetail"
_SETTING = ("gamma", "eta_d", "alpha")


def heading(forecast: Forecast) -> str:
    """Which forecast."""
    return f"{file_label(forecast.source)}: {literal(forecast.task)}, N = {forecast.attrs['n_train']}"


@panel(FORECAST, "curves", title=heading, size=(8.5, 5.0))
def draw_forecast(
    ax: Axes,
    forecast: Forecast,
    *,
    gamma: float | None = None,
    eta_d: float | None = None,
    alpha: float | None = None,
) -> list[Artist]:
    """Test and training accuracy of every seed at one setting (default: the first of each axis), at its
    finest resolution, and thin at the coarser ones; dots at its t_grok.

    Raises
    ------
    InputError : for a setting that was not forecast.
    """
    asked = dict(zip(_SETTING, (gamma, eta_d, alpha), strict=True))
    place = [0 if v is None else forecast.place(name, v) for name, v in asked.items()]
    return _curves(ax, forecast, (place[0], place[1], place[2]))


def _curves(ax: Axes, forecast: Forecast, place: tuple[int, int, int]) -> list[Artist]:
    times, limit = forecast.times(), float(forecast.attrs["accuracy_threshold"])
    for k in range(len(forecast.seeds)):
        cell = (k, *place)
        ran = np.flatnonzero(forecast["real_steps"].values[cell] > 0)
        for j in ran:
            t = np.asarray(forecast["t"].values[(*cell, j)], float)
            width = 1.6 if j == ran[-1] else 0.7
            for name, color in (("train_accuracy", ORANGE), ("test_accuracy", BLUE)):
                ax.plot(t, forecast[name].values[(*cell, j)], color=color, linewidth=width, alpha=0.8)
        ax.plot(times.t_grok[cell], limit, "o", color=BLUE, markeredgecolor="white", zorder=4)
    ax.axhline(limit, color=PURPLE, linewidth=1, linestyle="--")
    there = [float(getattr(forecast, k)[at]) for k, at in zip(_SETTING, place, strict=True)]
    words = "γ = {:g}, {} = {:g}, α = {:g}".format(there[0], ETA_D, *there[1:])
    ax.set(xscale="log", ylabel="accuracy", ylim=(-0.03, 1.04))
    ax.set_xlabel(f"{STEPS} of the training (curves: {words})")
    ax.set_xlim(1, None)
    ax.grid(alpha=0.25)
    return [
        Line2D([], [], color=BLUE, linewidth=1.6, label="test, finest resolution"),
        Line2D([], [], color=ORANGE, linewidth=1.6, label="training"),
        Line2D([], [], color=BLUE, linewidth=0.7, label="coarser resolutions"),
        Line2D([], [], color=BLUE, marker="o", linestyle="", label="t_grok of each seed"),
        Line2D([], [], color=PURPLE, linewidth=1, linestyle="--", label=f"threshold {limit:.3g}"),
    ]


def _of_prediction(p: Prediction) -> str:
    s = p.settings
    first = f"{heading(p.source.forecast)}: γ = {s['gamma']:g}, {ETA_D} = {s['eta_d']:g}, α = {s['alpha']:g}"
    if not math.isfinite(p.t_grok):
        return f"{first}\nstatus: {p.status.value}"
    ends = "" if math.isnan(p.low) else f" (90 %: {number(p.low, ',.0f')} to {number(p.high, ',.0f')})"
    return f"{first}\n{p.status.value}: {number(p.t_grok, ',.0f')} steps{ends}"


@composite(DETAIL, "prediction")
def prediction_figure(p: Prediction) -> Figure:
    """The curves of the setting that was forecast next to the one asked for, in ln γ, ln η and ln α, and the
    predicted time with its interval."""
    figure = new_figure(8.5, 5.2)
    (ax,) = panels_of(figure, 1, 1)
    legend_below(figure, _prediction(ax, p))
    entitle(figure, _of_prediction(p))
    return figure


def _prediction(ax: Axes, p: Prediction) -> list[Artist]:
    forecast = p.source.forecast
    place = [int(np.argmin(np.abs(np.log(getattr(forecast, k) / p.settings[k])))) for k in _SETTING]
    handles = _curves(ax, forecast, (place[0], place[1], place[2]))
    if not math.isfinite(p.t_grok):
        return handles
    ax.axvline(p.t_grok, color=BLACK, linewidth=1.4)
    handles.append(Line2D([], [], color=BLACK, linewidth=1.4, label="predicted to generalize"))
    if not math.isnan(p.low):
        end = min(p.high, ax.get_xlim()[1])
        ax.axvspan(max(p.low, 1.0), end, color=BLUE, alpha=0.13, linewidth=0)
        handles.append(Patch(color=BLUE, alpha=0.13, linewidth=0, label="90 %"))
    return handles
