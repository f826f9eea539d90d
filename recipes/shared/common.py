"""What the recipes share: work that is done once and then read, and the line that says on what."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.forecast import forecast
from groktime.fullnet.runs import Runs, open_runs
from groktime.fullnet.sampler import sample
from groktime.fullnet.task import Task
from groktime.fullnet.trainer import train
from groktime.reduced.decay_path import DecayPath, open_path
from groktime.reduced.errors import InputError
from groktime.reduced.forecast import Forecast, open_forecast
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.path_source import PathSource
from groktime.validation.comparison import Comparison


def there(path: Path, maker: str) -> Path:
    """The file, which a recipe reads and does not make.

    Raises
    ------
    InputError : it is missing; `maker` is the command that makes it.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; `{maker}` makes it")
    return path


def check_systems(asked: Sequence[str], known: Collection[str], option: str = "--systems") -> None:
    """Refuse a system, or what else the option is of, that the recipe does not have."""
    for name in asked:
        if name not in known:
            raise InputError(f"{option} {name}: expected some of {', '.join(known)}")


def trained(path: Path, task: Task, **settings: Any) -> Runs:
    """The runs of a file, trained first if it is not there (`fullnet.trainer.train`)."""
    if not path.exists():
        with _Clock(path):
            train(task, out=path, **settings)
    return open_runs(path)


def sampled(path: Path, task: Task, **settings: Any) -> Landscape:
    """The landscape of a file, sampled first if it is not there (`fullnet.sampler.sample`)."""
    if not path.exists():
        with _Clock(path):
            sample(task, out=path, **settings)
    return open_landscape(path)


def pathed(path: Path, task: Task, **settings: Any) -> DecayPath:
    """The decay path of a file, sampled first if it is not there (`fullnet.decay_path.sample_path`)."""
    if not path.exists():
        with _Clock(path):
            sample_path(task, out=path, **settings)
    return open_path(path)


def forecasted(path: Path, task: Task, **settings: Any) -> Forecast:
    """The forecast of a file, made first if it is not there (`fullnet.forecast.forecast`)."""
    if not path.exists():
        with _Clock(path):
            forecast(task, out=path, **settings)
    return open_forecast(path)


def kept(path: Path, made: Callable[[], Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file, made first if it is not there."""
    if not path.exists():
        with _Clock(path):
            np.savez(path, **made())  # type: ignore[arg-type]
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def from_above(
    path: Path, task: Task, *, alpha: Sequence[float], lowest: float, step: float = 0.04, **settings: Any
) -> list[Landscape]:
    """Landscapes sampled from larger to smaller spheres, one for each start alpha; `path` has a place for
    it. `step`: ln alpha between two spheres."""
    lands = []
    for top in alpha:
        spheres = round(np.log(top / lowest) / step) + 1
        grid = np.geomspace(lowest, top, spheres)
        lands.append(sampled(Path(str(path).format(top)), task, alpha=grid, start="above", **settings))
    return lands


def predicted(table: xr.Dataset, predictor: str) -> NDArray[np.float64]:
    """What a predictor says of t_grok, [run]."""
    return np.asarray(table["predicted"].sel(predictor=predictor).values, float)


def path_of(made: Comparison) -> DecayPath:
    """The decay path among the sources of a comparison."""
    each = (source for predictor in made.predictors for source in predictor.sources)
    return next(source.path for source in each if isinstance(source, PathSource))


def headline(made: Comparison) -> tuple[list[str], list[list[Any]]]:
    """The scores of a comparison in one line a predictor, of t_grok; and what was left out."""
    rows: list[list[Any]] = []
    for predictor in made.summary["predictor"].values:
        one = made.summary.sel(quantity="t_grok", predictor=predictor)
        row: list[Any] = [str(predictor)]
        for choice in ("long", "all"):
            mine = one.sel(runs=choice)
            ends = (f"{100 * float(mine[f'ape_mean{end}']):.1f}" for end in ("", "_low", "_high"))
            row += [float(mine["n"]), "{} ({} – {})".format(*ends), f"{100 * float(mine['ape_median']):.1f}"]
        mine = one.sel(runs="all")
        row.append(
            "{:.3f} ({:.3f} – {:.3f})".format(*(float(mine[f"slope{e}"]) for e in ("", "_low", "_high")))
        )
        row.append(_left_out(mine))
        rows.append(row)
    head = ["predictor", "long delays: n", "mean error, %", "median", "all: n", "mean error, %", "median"]
    return [*head, "slope of ln predicted on ln measured", "left out"], rows


def coverage(made: Comparison) -> list[list[Any]]:
    """Shares of the runs that generalized within the 90 % intervals, long delays and all."""
    names = {
        ("flow", "seed"): "own seed's landscape",
        ("flow", "seeds"): "landscape's seeds",
        ("path", "seed"): "path",
    }
    rows: list[list[Any]] = []
    for (predictor, which), name in names.items():
        if predictor in made.summary["predictor"].values:
            one = made.summary.sel(predictor=predictor, interval=which, runs=["long", "all"])
            shares, counts = one["coverage"].values, one["n_interval"].values
            told = [f"{100 * x:.0f} % of {n}" if n else "–" for x, n in zip(shares, counts, strict=True)]
            rows.append([name, *told])
    return rows


def by(made: Comparison, name: str) -> tuple[list[str], list[list[Any]]]:
    """Mean absolute (and signed) error of t_grok by one setting, of long and short delays."""
    table = made.table
    columns = [p for p in ("flow", "path") if p in table["predictor"].values]
    rows: list[list[Any]] = []
    for value in np.unique(table[name]):
        row: list[Any] = [float(value)]
        for short in (False, True):
            mine = (table[name].values == value) & (table["short"].values.astype(bool) == short)
            row.append(float(mine.sum()))
            for column in columns:
                error = 100 * np.expm1(table["log_error"].sel(predictor=column).values[mine])
                error = error[np.isfinite(error)]
                known = f"{np.mean(np.abs(error)):.1f} ({np.mean(error):+.1f})" if len(error) else "–"
                row.append(known)
        rows.append(row)
    return [
        name,
        *(x for what in ("long", "short") for x in (f"{what}: n", *(f"{p}, %" for p in columns))),
    ], rows


def _left_out(scores: xr.Dataset) -> str:
    counts = zip(scores["reason"].values, scores["n_excluded"].values, strict=True)
    return ", ".join(f"{n} {str(reason).replace('_', ' ')}" for reason, n in counts if n) or "none"


class _Clock:
    """Writes beside a result how long it took and on what."""

    def __init__(self, path: Path) -> None:
        self.note = path.with_suffix(".txt")

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            seconds = time.perf_counter() - self.start
            self.note.write_text(f"{seconds:,.0f} s (since it was last started) on {machine()}\n")


def took(*paths: Path) -> None:
    """Print what the clocks of the results say."""
    print()
    for path in paths:
        note = path.with_suffix(".txt")
        told = note.read_text().strip() if note.exists() else "time not known"
        print(f"{path.parent.name}/{path.name}: {told}")


def machine() -> str:
    """Processor or GPU, cores, torch."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, torch {torch.__version__}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def of(ds: xr.Dataset, **settings: float) -> xr.Dataset:
    """The runs with these settings."""
    chosen: NDArray[np.bool_] = np.ones(ds.sizes["run"], bool)
    for name, value in settings.items():
        chosen &= np.isclose(ds[name].values, value)
    return ds.isel(run=chosen)


def by_run(ds: xr.Dataset, name: str) -> NDArray[np.float64]:
    """A curve as [run, time]."""
    return np.asarray(ds[name].transpose("run", "time").values, float)


def evaluated(ds: xr.Dataset, at: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first evaluations from these steps on: their places along time, and their steps."""
    places = np.searchsorted(ds["step"].values, at)
    return places, ds["step"].values[places]
