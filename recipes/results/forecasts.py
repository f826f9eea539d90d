"""Forecasts of every system that decays beside its trainings, nothing chosen by hand, with the noise floor.

The runs are those of `decays`, of other seeds: γ, rate and start are as there, and a forecast is asked
with nothing but these. Seeds 70 on, of teacher–student 90 on, as those before were looked at: the scheme was
chosen on others (recipe `schemes`). The floor is one seed trained again from weights that are moved by a part
in a million. Needs the MNIST and IMDb files (docs/data.md). Stopped, it goes on when called again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from groktime.recipes.registry import recipe
from groktime.recipes.results.decay_systems import SYSTEMS
from groktime.recipes.shared.common import check_systems, forecasted, predicted, took, trained
from groktime.recipes.shared.drawing import in_plain
from groktime.recipes.shared.tables import number, spread, table
from groktime.recipes.shared.twins import floor, twin
from groktime.reduced.figures.style import BLACK, BLUE, ORANGE
from groktime.reduced.forecast import Forecast
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison
from groktime.validation.measure import measure

Floats = NDArray[np.float64]

SEED, AGAIN = 70, {"teacher-student": 90}  # the first of the runs; of a system that was looked at before
LAW = "inverse_gamma"
_SEEN = 0.002  # a narrower band of the floor is hidden by the line at 1


@dataclass(frozen=True)
class Made:
    """Of one system: forecast and runs in one comparison, and the times of the twins, [twin, run]."""

    forecast: Forecast
    compared: Comparison
    twins: Floats


def made(name: str, out: Path, seeds: int, twins: int) -> Made:
    """Trained and forecast, or read again."""
    out.mkdir(parents=True, exist_ok=True)
    s = SYSTEMS[name]
    task, first = s.task(), AGAIN.get(name, SEED)
    chosen = range(first, first + seeds)
    start: dict[str, Any] = {"alpha": s.alpha, **s.start}
    limit = task.threshold if s.threshold is None else s.threshold
    asked = {k: v for k, v in {**start, **s.run}.items() if k not in ("stop_at", "resolution")}
    found = forecasted(
        out / "forecast.nc", task, **asked, seeds=chosen, gamma=s.gamma, steps=s.steps, threshold=limit
    )
    runs = trained(out / "runs.nc", task, **start, seeds=chosen, gamma=s.gamma, steps=s.steps, **s.run)
    own = measure(runs, limit)
    times = [own["t_grok"].values[own["seed"].values == first]]
    for k in range(1, twins + 1):
        again = trained(
            out / f"twin-{k}.nc", twin(task, k), **start, seeds=[first], gamma=s.gamma, steps=s.steps,
            **s.run,
        )  # fmt: skip
        times.append(measure(again, limit)["t_grok"].values)
    return Made(found, compare(found, runs, threshold=limit), np.array(times))


def line(name: str, made: Made) -> list[str]:
    """Errors, their floor, and the cost."""
    runs = made.compared.table
    t, told = runs["measured_t_grok"].values, predicted(runs, "forecast")
    law = np.where(runs["fitted"].sel(predictor=LAW).values, np.nan, predicted(runs, LAW))
    reached = np.isfinite(t)
    wrong = int((~reached & (told <= runs["last"].values)).sum())
    inside = runs["inside"].sel(predictor="forecast", interval="seeds").values[reached & np.isfinite(told)]
    spent, steps = float(made.forecast.real_steps.sum()), float(runs["last"].values.sum())
    numerical = made.forecast.times(float(runs["threshold"].values[0])).error
    return [
        SYSTEMS[name].name,
        spread(runs["gamma"].values),
        f"{reached.sum()} of {len(t)}",
        str(int((reached & np.isfinite(told)).sum())),
        _error(told, t),
        _percent(100 * floor(made.twins)),
        _percent(100 * float(np.median(numerical[np.isfinite(numerical)]))),
        _error(law, t),
        str(wrong),
        f"{100 * inside.mean():.0f} %" if len(inside) else "–",
        f"{spent / made.forecast.real_steps.size:,.0f}",
        f"{steps / spent:.1f}",
    ]


def _error(told: Floats, measured: Floats) -> str:
    """Mean absolute error in %, and in brackets the mean of its sign."""
    error = 100 * (told / measured - 1)
    known = error[np.isfinite(error)]
    return f"{np.mean(np.abs(known)):.1f} % ({np.mean(known):+.1f})" if len(known) else "–"


def _percent(value: float) -> str:
    return f"{value:.1f} %" if np.isfinite(value) else "–"


def by_gamma(name: str, made: Made) -> list[list[str]]:
    """Error and cost at each γ."""
    runs, rows = made.compared.table, []
    t, told = runs["measured_t_grok"].values, predicted(runs, "forecast")
    for k, gamma in enumerate(made.forecast.gamma):
        own = runs["gamma"].values == gamma
        spent = float(made.forecast.real_steps[:, k].sum())
        middle = np.median(t[own][np.isfinite(t[own])]) if np.isfinite(t[own]).any() else np.nan
        rows.append(
            [
                SYSTEMS[name].name,
                f"{gamma:g}",
                number(float(middle)) if np.isfinite(middle) else "–",
                _error(told[own], t[own]),
                f"{spent / own.sum():,.0f}",
                f"{runs['last'].values[own].sum() / spent:.1f}",
            ]
        )
    return rows


@recipe(
    "forecasts",
    "forecasts of every system that decays beside its trainings, with the noise floor and the cost",
    seeds=5,
    data="MNIST and IMDb",
)
def run(
    out: Path,
    seeds: int,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(SYSTEMS)} (all)"] = tuple(SYSTEMS),
    twins: Annotated[int, "how often the first seed is trained again, for the floor"] = 4,
) -> None:
    check_systems(systems, SYSTEMS)
    found = {name: made(name, out / name, seeds, twins) for name in systems}
    print(f"## Forecasts beside trainings, {seeds} seeds each")
    head = ["system", "γ", "reached", "told of these", "forecast: mean error (signed)", "floor"]
    head += [
        "numerical error",
        "1/γ, fitted on one run",
        "told, but not reached",
        "inside 90 %, of the seeds",
    ]
    head += ["steps a network", "training's steps over these"]
    table(head, [line(k, x) for k, x in found.items()], "errors")
    print("\n## By γ")
    head = [
        "system",
        "γ",
        "t_grok, median",
        "mean error (signed)",
        "steps a network",
        "training's over these",
    ]
    table(head, [row for k, x in found.items() for row in by_gamma(k, x)], "gamma")
    took(*sorted(out.glob("*/*.nc")))
    draw(found, out / "forecasts.png")
    print(f"\nFigure: {out / 'forecasts.png'}")


def draw(found: Mapping[str, Made], file: Path) -> None:
    """A panel a system: forecast over measured time, against γ, and the floor."""
    across = min(4, len(found))
    down = -(-len(found) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(3.8 * across, 3.4 * down), squeeze=False, layout="constrained", sharey=True
    )
    for ax, (name, made) in zip(axes.flat, found.items(), strict=False):
        runs = made.compared.table
        t, gamma = runs["measured_t_grok"].values, runs["gamma"].values
        apart = floor(made.twins)
        if apart > _SEEN:
            ax.axhspan(1 - apart, 1 + apart, color=BLACK, alpha=0.12, linewidth=0, label="noise floor")
        ax.axhline(1, color=BLACK, linewidth=0.8)
        law = np.where(runs["fitted"].sel(predictor=LAW).values, np.nan, predicted(runs, LAW))
        ax.plot(gamma, law / t, "s", color=ORANGE, fillstyle="none", markersize=4, label="1/γ, fitted")
        ax.plot(gamma, predicted(runs, "forecast") / t, "o", color=BLUE, markersize=4, label="forecast")
        ax.set(xscale="log", yscale="log", ylim=(0.4, 2.5), xlabel="weight decay γ", title=SYSTEMS[name].name)
        ax.set_yticks([0.5, 0.7, 1, 1.4, 2])
        in_plain(ax.yaxis)
    for ax in axes.flat[len(found) :]:
        ax.set_axis_off()
    axes.flat[0].set_ylabel("predicted over measured t_grok")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
