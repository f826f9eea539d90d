"""Forecasts of every system that decays beside its trainings, nothing chosen by hand, with the noise floor.

The runs are those of `decays`, of other seeds: γ, rate and start are as there, and a forecast is asked
with nothing but these. Seeds 70 on, of teacher–student 90 on, as those before were looked at: the scheme was
chosen on others (recipe `schemes`). The floor is one seed trained again from weights that are moved by a part
in a million. Needs the MNIST and IMDb files (docs/data.md). Stopped, it goes on when called again.

What comes of a system is kept in OUT/SYSTEM.csv, a line a network; those in recipes/data/forecasts, of
systems that were run before, are shown beside the systems that are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.procedures.hastened import Hastening
from groktime.recipes.registry import recipe
from groktime.recipes.results.decay_systems import SYSTEMS
from groktime.recipes.shared.common import check_systems, forecasted, predicted, took, trained
from groktime.recipes.shared.drawing import in_plain, labelled
from groktime.recipes.shared.tables import number, spread, table
from groktime.recipes.shared.twins import floor, twin
from groktime.reduced.figures.style import BLACK, BLUE, ORANGE
from groktime.reduced.files import replacing
from groktime.reduced.forecast import Forecast
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison
from groktime.validation.measure import measure

Floats = NDArray[np.float64]

SEED, AGAIN = 70, {"teacher-student": 90}  # the first of the runs; of a system that was looked at before
LAW = "inverse_gamma"
_SEEN = 0.002  # a narrower band of the floor is hidden by the line at 1
KEPT = Path(__file__).resolve().parents[1] / "data" / "forecasts"


@dataclass(frozen=True)
class Scored:
    """The networks of one system: weight decay, seed, t_grok as trained (NaN: not by `last`, where training
    ended), as `told` by the forecast and by the `law` fitted on one of them (NaN there), whether it lay in
    the `inside` interval of the seeds, the optimizer steps `spent` on the forecast, and its numerical error;
    and the t_grok of the `twins` of the first seed, [twin, run], itself the first."""

    gamma: Floats
    seed: Floats
    t_grok: Floats
    last: Floats
    told: Floats
    law: Floats
    inside: Floats
    spent: Floats
    numerical: Floats
    twins: Floats

    @property
    def scored(self) -> bool:
        """Whether some network got there that is told."""
        return bool(np.isfinite(self.told / self.t_grok).any())

    def write(self, file: Path) -> None:
        """As CSV: a line a network, and its twins in columns of their own."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        again = np.full((len(self.twins) - 1, len(self.seed)), np.nan)
        again[:, self.seed == self.seed.min()] = self.twins[1:]
        columns |= {f"twin_{k + 1}": values for k, values in enumerate(again)}
        with replacing(file) as made:
            values = np.array(list(columns.values())).T
            np.savetxt(made, values, "%.17g", ",", header=",".join(columns), comments="")

    @classmethod
    def read(cls, file: Path) -> Scored:
        """What `write` wrote."""
        found = np.genfromtxt(file, delimiter=",", names=True)
        first = found[found["seed"] == found["seed"].min()]
        twins = [first[name] for name in ("t_grok", *(found.dtype.names or ())[len(COLUMNS) :])]
        return cls(**{name: found[name] for name in COLUMNS}, twins=np.array(twins))


COLUMNS = tuple(field.name for field in fields(Scored) if field.name != "twins")


def scored(name: str, out: Path, seeds: int, twins: int) -> Scored:
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
    run: dict[str, Any] = {"stop_at": limit, **s.run}  # of what comes after t_grok nothing is asked here
    if "resolution" in run:  # who is looked at less often than the forecast is seen to generalize later
        run["resolution"] = min(run["resolution"], Hastening.resolution)
    runs = trained(out / "runs.nc", task, **start, seeds=chosen, gamma=s.gamma, steps=s.steps, **run)
    own = measure(runs, limit)
    times = [own["t_grok"].values[own["seed"].values == first]]
    for k in range(1, twins + 1):
        again = trained(
            out / f"twin-{k}.nc", twin(task, k), **start, seeds=[first], gamma=s.gamma, steps=s.steps, **run
        )
        times.append(measure(again, limit)["t_grok"].values)
    return _of(compare(found, runs, threshold=limit), found, np.array(times))


def _of(compared: Comparison, found: Forecast, twins: Floats) -> Scored:
    runs = compared.table
    gamma, seed = (np.asarray(runs[name].values, float) for name in ("gamma", "seed"))
    place = np.searchsorted(found.seeds, seed), np.searchsorted(found.gamma, gamma)
    error = found.times(float(runs["threshold"].values[0])).error
    return Scored(
        gamma,
        seed,
        t_grok=np.asarray(runs["measured_t_grok"].values, float),
        last=np.asarray(runs["last"].values, float),
        told=predicted(runs, "forecast"),
        law=np.where(runs["fitted"].sel(predictor=LAW).values, np.nan, predicted(runs, LAW)),
        inside=np.asarray(runs["inside"].sel(predictor="forecast", interval="seeds").values, float),
        spent=found.real_steps[..., 0, 0][place].astype(float),
        numerical=error[..., 0, 0][place],
        twins=twins,
    )


def claimed(name: str, made: Scored) -> Floats:
    """What the law says of the networks at decays at which it is claimed; NaN of the others."""
    return np.where(made.gamma <= SYSTEMS[name].law_up_to, made.law, np.nan)


def needed(made: Scored) -> Floats:
    """Steps of a training up to t_grok, or to where it was given up."""
    return np.where(np.isfinite(made.t_grok), made.t_grok, made.last)


def line(name: str, made: Scored) -> list[str]:
    """Errors, their floor, and the cost."""
    t, told = made.t_grok, made.told
    reached = np.isfinite(t)
    wrong = int((~reached & (told <= made.last)).sum())
    inside = made.inside[reached & np.isfinite(told)]
    known = np.isfinite(made.numerical)
    return [
        SYSTEMS[name].name,
        spread(made.gamma),
        f"{reached.sum()} of {len(t)}",
        str(int((reached & np.isfinite(told)).sum())),
        _error(told, t),
        _percent(100 * floor(made.twins)),
        _percent(100 * float(np.median(made.numerical[known])) if known.any() else np.nan),
        _error(claimed(name, made), t),
        str(wrong),
        f"{100 * inside.mean():.0f} %" if len(inside) else "–",
        f"{made.spent.mean():,.0f}",
        f"{needed(made).sum() / made.spent.sum():.1f}",
    ]


def short(name: str, made: Scored) -> list[str]:
    """Of these what README shows."""
    reached = np.isfinite(made.t_grok)
    error, law = (
        float(np.abs(_errors(told, made.t_grok)).mean()) for told in (made.told, claimed(name, made))
    )
    return [
        SYSTEMS[name].name,
        spread(made.gamma),
        f"{(reached & np.isfinite(made.told)).sum()} of {reached.sum()}",
        _percent(error),
        _percent(100 * floor(made.twins)),
        _percent(law),
        f"{needed(made).sum() / made.spent.sum():.1f}",
    ]


def _errors(told: Floats, measured: Floats) -> Floats:
    """In %, of the networks of which there is one."""
    errors: Floats = 100 * (told / measured - 1)
    return errors[np.isfinite(errors)]


def _error(told: Floats, measured: Floats) -> str:
    """Mean absolute error in %, and in brackets the mean of its sign."""
    known = _errors(told, measured)
    return f"{np.mean(np.abs(known)):.1f} % ({np.mean(known):+.1f})" if len(known) else "–"


def _percent(value: float) -> str:
    return f"{value:.1f} %" if np.isfinite(value) else "–"


def by_gamma(name: str, made: Scored) -> list[list[str]]:
    """Error and cost at each γ."""
    rows = []
    for gamma in np.unique(made.gamma):
        own = made.gamma == gamma
        t = made.t_grok[own]
        middle = np.median(t[np.isfinite(t)]) if np.isfinite(t).any() else np.nan
        rows.append(
            [
                SYSTEMS[name].name,
                f"{gamma:g}",
                number(float(middle)) if np.isfinite(middle) else "–",
                _error(made.told[own], t),
                f"{made.spent[own].mean():,.0f}",
                f"{needed(made)[own].sum() / made.spent[own].sum():.1f}",
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
    found = {}
    for name in SYSTEMS:
        if name in systems:
            found[name] = scored(name, out / name, seeds, twins)
            found[name].write(out / f"{name}.csv")
        elif (before := KEPT / f"{name}.csv").is_file():
            found[name] = Scored.read(before)
    print("## Forecasts beside trainings")
    head = ["system", "γ", "reached", "told of these", "forecast: mean error (signed)", "floor"]
    head += [
        "numerical error",
        "1/γ, fitted on one run, where it is claimed",
        "told, but not reached",
        "inside 90 %, of the seeds",
    ]
    head += ["steps a network", "training's steps over these"]
    table(head, [line(k, x) for k, x in found.items()], "errors")
    print("\n## In short, of systems of which some network got there")
    head = ["system", "γ", "told of those that got there", "forecast", "noise floor"]
    rows = [short(k, x) for k, x in found.items() if x.scored]
    table([*head, "1/γ, fitted on one run", "training's steps over ours"], rows, "systems")
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
    if any(np.isfinite(made.t_grok).any() for made in found.values()):
        draw(found, out / "forecasts.png")
        print(f"\nFigure: {out / 'forecasts.png'}")


def draw(found: Mapping[str, Scored], file: Path) -> None:
    """A panel a system of which some network got there: forecast over measured time, against γ, and the
    floor."""
    shown = {name: made for name, made in found.items() if np.isfinite(made.t_grok).any()}
    across = min(4, len(shown))
    down = -(-len(shown) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(3.8 * across, 3.4 * down), squeeze=False, layout="constrained", sharey=True
    )
    both = {name: (made.told, claimed(name, made)) for name, made in shown.items()}
    off = np.concatenate([told / shown[name].t_grok for name, each in both.items() for told in each])
    least, most = min(0.45, np.nanmin(off)), max(2.2, np.nanmax(off))
    for ax, (name, made) in zip(axes.flat, shown.items(), strict=False):
        apart = floor(made.twins)
        if apart > _SEEN:
            ax.axhspan(1 - apart, 1 + apart, color=BLACK, alpha=0.12, linewidth=0, label="noise floor")
        ax.axhline(1, color=BLACK, linewidth=0.8)
        ax.plot(
            made.gamma,
            both[name][1] / made.t_grok,
            "s",
            color=ORANGE,
            fillstyle="none",
            markersize=4,
            label="1/γ, fitted",
        )
        ax.plot(made.gamma, made.told / made.t_grok, "o", color=BLUE, markersize=4, label="forecast")
        ax.set(xscale="log", yscale="log", ylim=(0.9 * least, 1.1 * most), xlabel="weight decay γ")
        ax.set(title=SYSTEMS[name].name, yticks=[t for t in (0.2, 0.3, 0.5, 0.7, 1, 1.4, 2, 3) if t > least])
        in_plain(ax.yaxis)
        ax.set_xticks(gammas := np.unique(made.gamma), [number(float(g)) for g in gammas])
        ax.minorticks_off()
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    axes.flat[0].set_ylabel("predicted over measured t_grok")
    drawn = labelled(axes.flat)
    figure.legend(drawn.values(), drawn, loc="outside lower center", ncols=len(drawn), frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
