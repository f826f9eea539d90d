"""How many runs of further seeds lie inside the 90 % intervals, by the number of seeds in the file.

MNIST: see docs/data.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.runs import Runs
from groktime.fullnet.tasks import teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.results.decay_systems import SYSTEMS
from groktime.recipes.shared.common import check_systems, from_above, pathed, took, trained
from groktime.recipes.shared.tables import table
from groktime.reduced.figures.style import BLACK, BLUE, ORANGE
from groktime.reduced.flow_source import FlowSource
from groktime.reduced.interval import COVERAGE, TAIL
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.path_source import PathSource
from groktime.reduced.source import Lanes, Readings, Source, about
from groktime.validation.ask import lanes_of
from groktime.validation.compare import compare

Floats = NDArray[np.float64]

HELD, FRESH = range(16), range(16, 40)  # seeds in the files, and of the runs
SIZES = (2, 4, 8, 16)
# γ, seeds and steps of the runs, and the path, system by system; all else is as in `decays`.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "teacher-student": {
        "gamma": (0.1, 0.3, 1.0),
        "steps": 40_000,
        "path": {"refit": (25, 50, 100, 200), "tau": 1.0, "stop_at": 0.95},
    },
    "transformer": {
        "gamma": (2.0,),
        "fresh": range(16, 32),
        "steps": 12_000,
        "path": {"dtau": 0.05, "refit": (12, 25), "tau": 8.0, "stop_at": 0.95},
    },
    "mnist": {
        "gamma": (0.3,),
        "fresh": range(16, 32),
        "steps": 12_000,
        "path": {"dtau": 0.05, "refit": (50, 100, 200), "tau": 1.6, "stop_at": 0.8},
    },
}
SHIPPED = "shipped"  # `make run`'s example: the landscape that ships, and other seeds than its own
NAMES = {name: SYSTEMS[name].name for name in SETTINGS} | {SHIPPED: "teacher–student, `make run`"}
PREDICTORS = {"flow": "Eq. 6", "path": "decay path"}


@dataclass(frozen=True)
class Made:
    """Of one system: the table of a comparison, its runs and its sources."""

    rows: xr.Dataset
    runs: Runs
    sources: tuple[Source, ...]
    options: Mapping[str, Any]


def made(name: str, out: Path) -> Made:
    """Trained and sampled, or read again."""
    out.mkdir(parents=True, exist_ok=True)
    if name == SHIPPED:
        runs = trained(
            out / "runs.nc", teacher_student(), alpha=3.0, seeds=range(100, 124), gamma=(0.1, 0.3),
            eta_d=3e-4, steps=30_000, stop_at=0.95,
        )  # fmt: skip
        return _compared([open_landscape("teacher-student")], [], runs, None)
    s, own = SYSTEMS[name], SETTINGS[name]
    task, start = s.task(), {"alpha": s.alpha, **s.start}
    seeds, steps = own.get("fresh", FRESH), own["steps"]
    runs = trained(out / "runs.nc", task, **start, seeds=seeds, gamma=own["gamma"], steps=steps, **s.run)
    path = pathed(out / "path.nc", task, **start, seeds=HELD, **own["path"])
    assert s.lowest is not None
    sphere: dict[str, Any] = {**s.sphere, "budgets": [s.sphere["steps"]]}
    lands = from_above(out / "above-{:g}.nc", task, alpha=[s.alpha], lowest=s.lowest, seeds=HELD, **sphere)
    return _compared(lands, [PathSource(path)], runs, s.threshold)


def _compared(
    lands: Sequence[Landscape], paths: Sequence[Source], runs: Runs, threshold: float | None
) -> Made:
    found = compare([*lands, *paths], runs, threshold=threshold)
    options = {} if threshold is None else {"threshold": threshold}
    return Made(found.table, runs, (*(FlowSource(land) for land in lands), *paths), options)


@dataclass(frozen=True)
class Share:
    """Shares of the runs inside, by the rule that was and by the one that is, of all subsets of `n` seeds;
    `subsets` of them; and the median and the spread of ln(predicted/measured)."""

    n: int
    subsets: int
    before: float
    after: float
    off: float
    width: float


def subsets(seeds: int, n: int) -> Iterator[NDArray[np.intp]]:
    """Disjoint subsets of n of the seeds."""
    for k in range(seeds // n):
        yield np.arange(k * n, (k + 1) * n)


def of_seeds(found: Readings, rows: NDArray[np.intp]) -> Readings:
    """What a source says of some of its seeds alone."""
    names = ("status", "t_grok", "t_mem", "low", "high", "threshold")
    return replace(
        found,
        seeds=tuple(found.seeds[k] for k in rows),
        **{name: getattr(found, name)[rows] for name in names},
        forms={name: times[rows] for name, times in found.forms.items()},
        norm=None,
        details=None,
    )


def least_to_greatest(found: Readings) -> tuple[Floats, Floats]:
    """The interval as it was: the ends of the seeds' own, at 5 and 95 % of them."""
    late = (np.where(np.isnan(x), np.inf, x) for x in (found.low, found.high))
    low, high = late
    return (
        np.quantile(low, TAIL, axis=0, method="lower"),
        np.quantile(high, 1 - TAIL, axis=0, method="higher"),
    )


def shares(source: Source, made: Made, sizes: Sequence[int] = SIZES) -> list[Share]:
    """By the number of seeds, over disjoint subsets of those in the file."""
    lanes, place = _distinct(lanes_of(source, made.runs, np.arange(made.rows.sizes["run"])))
    options: dict[str, Any] = dict(made.options)
    if "wall" not in about(source).refused:
        options["wall"] = True
    found = source.read(lanes, **options)
    out = []
    for n in sizes:
        before, after, off, width = [], [], [], []
        for rows in subsets(len(found.seeds), n):
            one = of_seeds(found, rows)
            over = one.over_seeds()
            before.append(inside(made.rows, *(end[place] for end in least_to_greatest(one))).mean())
            after.append(inside(made.rows, over.low[place], over.high[place]).mean())
            off.append(np.log(over.t_grok[place] / made.rows["measured_t_grok"].values))
            apart = np.sqrt(over.high / over.low)
            width.append(np.median(apart[~np.isnan(apart)]) if not np.isnan(apart).all() else np.nan)
        if before:
            error = np.concatenate(off)
            known = error[np.isfinite(error)]
            middle = float(np.median(known)) if len(known) else np.nan
            out.append(
                Share(n, len(before), np.mean(before), np.mean(after), middle, float(np.median(width)))
            )
    return out


def _distinct(lanes: Lanes) -> tuple[Lanes, NDArray[np.intp]]:
    """Each setting once, and where that of each run is."""
    given = {k: v for k, v in vars(lanes).items() if v is not None}
    each, place = np.unique(np.stack([*given.values()]), axis=1, return_inverse=True)
    return Lanes(**dict(zip(given, each, strict=True))), place.ravel()


def inside(rows: xr.Dataset, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Whether the measured time of each run is, as `compare` has it: it passed between two evaluations, or
    later than it was watched."""
    time, after, last = (rows[k].values for k in ("measured_t_grok", "measured_after", "last"))
    return np.asarray(np.where(np.isnan(time), high >= last, (low <= time) & (high >= after)))


def cells(x: Share) -> list[str]:
    """The numbers of a line."""
    return [f"{x.before:.0%}", f"{x.after:.0%}", f"{np.expm1(x.off):+.0%}", f"{x.width:.2f}"]


def spread_of(rows: xr.Dataset) -> float:
    """Standard deviation of ln t_grok over the seeds of the runs, over the decays in the mean."""
    times = np.log(rows["measured_t_grok"].values)
    each = [times[rows["gamma"].values == gamma] for gamma in np.unique(rows["gamma"])]
    return float(np.mean([np.nanstd(some, ddof=1) for some in each]))


@recipe(
    "coverage",
    "how many runs of further seeds the 90 % intervals hold, by the number of seeds in the file",
    minutes=60,
    data="MNIST",
)
def run(
    out: Path,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(NAMES)} (all)"] = tuple(NAMES),
) -> None:
    check_systems(systems, NAMES)
    lines: list[list[str]] = []
    found: dict[str, dict[str, list[Share]]] = {}
    for name in systems:
        each = made(name, out / name)
        found[name] = {source.name: shares(source, each) for source in each.sources}
        of = each.rows.sizes["run"], len(np.unique(each.rows["seed"])), spread_of(each.rows)
        words = "{}, {} seeds, {:.0%}".format(*of)
        lines += [
            [NAMES[name], words, PREDICTORS[key], str(x.n), str(x.subsets), *cells(x)]
            for key, those in found[name].items()
            for x in those
        ]
    print("## Runs of seeds that the file does not hold, inside the 90 % interval")
    head = ["system", "runs, seeds, spread of t_grok", "predictor", "seeds in the file", "subsets"]
    head += ["least to greatest", "as it is", "median error", "an end over the middle"]
    table(head, lines, "coverage")
    draw(found, out / "coverage.png")
    took(*sorted(out.glob("*/*.nc")))
    print(f"\nFigure: {out / 'coverage.png'}")


def draw(found: Mapping[str, Mapping[str, Sequence[Share]]], file: Path) -> None:
    """A panel a system: shares against the number of seeds in the file."""
    figure, axes = plt.subplots(
        1, len(found), figsize=(3.6 * len(found), 3.6), squeeze=False, sharey=True, layout="constrained"
    )
    for ax, (name, predictors) in zip(axes.flat, found.items(), strict=True):
        ax.axhspan(0.85, 0.95, color=BLACK, alpha=0.1, linewidth=0)
        ax.axhline(COVERAGE, color=BLACK, linewidth=0.8, linestyle=":")
        for key, color in (("flow", ORANGE), ("path", BLUE)):
            those = predictors.get(key, [])
            n = [x.n for x in those]
            if those:
                ax.plot(n, [x.after for x in those], "o-", color=color, label=PREDICTORS[key])
                ax.plot(
                    n, [x.before for x in those], "s--", color=color, fillstyle="none", linewidth=1,
                    label=f"{PREDICTORS[key]}, least to greatest",
                )  # fmt: skip
        ax.set(xscale="log", xlabel="seeds in the file", ylim=(0, 1.03), title=NAMES[name])
        ax.set_xticks(SIZES, [str(n) for n in SIZES])
        ax.minorticks_off()
    axes.flat[0].set_ylabel("runs of other seeds inside")
    handles = {label: h for ax in axes.flat for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
