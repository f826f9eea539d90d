"""Division over train size and batch, Q.

Q claims a "comprehension band", train size / batch from 100 to 800, in which delays are short. Each cell
(p, batch) has runs over input noise, initial scale α and decay γ. Most of Q's runs inside the band failed,
so all that are censored are counted: never fitted, or fitted and not generalized within the steps.
Small: half of the equations, as in the preset "small" (with 30 % at p = 47 test accuracy stays near chance),
width 64; half an hour of half a busy core for each noise. --full: Q's sizes, 30 % and width 128, where
noise at p = 997 takes 16 GB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from groktime.fullnet.find import find_task
from groktime.fullnet.machine import Machine
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import took, trained
from groktime.recipes.shared.drawing import in_plain
from groktime.recipes.shared.tables import number, table
from groktime.reduced.figures.style import PALETTE, new_figure
from groktime.validation.measure import measure
from groktime.validation.survival import median_time

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LOW, HIGH = 100, 800  # the claimed band of train size / batch
ALPHAS, GAMMAS = (0.5, 1.0), (0.1, 0.3, 1.0)
LEAST = 0.5  # epochs; none at all has no logarithm
NOISES = (0.0, 0.1)  # standard deviation of what is added to the one-hot inputs


@dataclass(frozen=True)
class Sizes:
    primes: tuple[int, ...]
    batches: tuple[int, ...]
    steps: int
    half: bool  # of the equations, not 30 %
    settings: dict[str, int]


SMALL = Sizes((41, 67), (4, 16, 64), 20_000, True, {"d_model": 64})
FULL = Sizes((47, 97, 197, 293, 563, 997), (4, 8, 32, 128, 512, 1024), 100_000, False, {})


@dataclass(frozen=True)
class Cell:
    """All runs of one p and batch; times are in optimizer steps, NaN where censored."""

    p: int
    batch: int
    n_train: int
    t_mem: Floats
    delay: Floats
    last: Floats

    @property
    def ratio(self) -> float:
        return self.n_train / self.batch

    @property
    def epoch(self) -> int:
        """Steps of an epoch; samples that do not fill a batch are left out of it."""
        return self.n_train // self.batch

    @property
    def inside(self) -> bool:
        return LOW <= self.ratio <= HIGH

    @property
    def fitted(self) -> Bools:
        return np.isfinite(self.t_mem)

    @property
    def generalized(self) -> Bools:
        return np.isfinite(self.delay)

    @property
    def late(self) -> Bools:
        """Fitted, and not generalized by the end."""
        return self.fitted & ~self.generalized

    @property
    def median(self) -> float:
        """Of the delays that are known."""
        return float(np.median(self.delay[self.generalized])) if self.generalized.any() else np.nan


def cells_of(
    sizes: Sizes, seeds: Sequence[int], noises: Sequence[float], out: Path
) -> tuple[list[Cell], list[Path]]:
    """Every cell whose batch is smaller than its training set, and the files of its runs."""
    files: dict[tuple[int, int], list[Path]] = {}
    found: dict[tuple[int, int], list[Floats]] = {}
    n_train: dict[int, int] = {}
    for noise in noises:
        for p in sizes.primes:
            half = p * (p - 1) // 2 if sizes.half else None
            task = find_task("four-operations", {"p": p, "noise": noise, **sizes.settings}, n_train=half)
            n_train[p] = task.n_train
            for batch in (b for b in sizes.batches if b < task.n_train):
                file = out / f"p{p}-noise{noise:g}-batch{batch}.nc"
                # one ensemble in one thread: at these sizes its members cost little more than one of them
                runs = trained(
                    file, task, gamma=GAMMAS, alpha=ALPHAS, seeds=seeds, steps=sizes.steps, batch=batch,
                    resolution=0.1, stop_at=0.95, machine=Machine(workers=1),
                )  # fmt: skip
                delays = measure(runs)
                times = np.stack([delays[k].values.astype(float) for k in ("t_mem", "delay", "last")])
                files.setdefault((p, batch), []).append(file)
                found.setdefault((p, batch), []).append(times)
    cells = [
        Cell(p, batch, n_train[p], *np.concatenate(times, axis=1)) for (p, batch), times in found.items()
    ]
    return cells, [file for each in files.values() for file in each]


def rows_of(cells: list[Cell]) -> list[list[str]]:
    rows = []
    for c in cells:
        counts = [len(c.delay), int((~c.fitted).sum()), int(c.late.sum())]
        told = [str(c.p), number(c.n_train), str(c.batch), number(c.ratio), "yes" if c.inside else "no"]
        rows.append([*told, *map(str, counts), number(c.median), number(c.median / c.epoch)])
    return rows


def known(cells: list[Cell], epochs: bool) -> tuple[Floats, Bools, Floats]:
    """Delays of the runs that fitted, whether they are censored, and how long after the fit these were
    watched; in steps or epochs."""
    unit = [np.full(c.fitted.sum(), c.epoch if epochs else 1) for c in cells]
    delay = np.concatenate([c.delay[c.fitted] for c in cells]) / np.concatenate(unit)
    watched = np.concatenate([(c.last - c.t_mem)[c.fitted] for c in cells]) / np.concatenate(unit)
    return delay, np.isnan(delay), watched


def claims(cells: list[Cell]) -> list[list[str]]:
    """Q's claims; runs that fitted and did not generalize count as longer than they were watched."""
    sides = {"inside": [c for c in cells if c.inside], "outside": [c for c in cells if not c.inside]}
    rows = []
    shares = []
    for name, mine in sides.items():
        done, fitted, runs = (
            sum(int(x.sum()) for x in each)
            for each in (
                [c.generalized for c in mine],
                [c.fitted for c in mine],
                [np.ones(len(c.delay)) for c in mine],
            )
        )
        shares.append(f"{name} {done} of {runs} generalized, {fitted} fitted")
    for unit in ("steps", "epochs"):
        medians = {}
        for name, mine in sides.items():
            delay, censored, watched = known(mine, unit == "epochs")
            medians[name] = median_time(delay, censored, watched) if len(delay) else (np.inf, 0.0, np.inf)
        (one, *one_ends), (two, *two_ends) = medians.values()
        came = "cannot be told" if np.isinf(one) and np.isinf(two) else "yes" if one < two else "no"
        told = "; ".join(
            f"{name} {number(m)} (90 %: {number(low)} – {number(high)})"
            for name, m, (low, high) in (("inside", one, one_ends), ("outside", two, two_ends))
        )
        rows.append([f"delays are shorter inside the band, in {unit}", came, told])
    rows[0][2] += "; " + "; ".join(shares)
    failed = [2 * int(c.generalized.sum()) < len(c.delay) for c in sides["inside"]]
    came = "yes" if 2 * sum(failed) > len(failed) else "no"
    outside = [2 * int(c.generalized.sum()) < len(c.delay) for c in sides["outside"]]
    told = f"{sum(failed)} of {len(failed)} cells; outside {sum(outside)} of {len(outside)}"
    rows.append(["most cells of the band have mostly failed runs", came, told])
    return rows


def draw_cells(figure: Figure, ax: Axes, cells: list[Cell]) -> None:
    """Median delay in each cell, its counts, and the band hatched."""
    primes, batches = sorted({c.p for c in cells}), sorted({c.batch for c in cells})
    grid = np.full((len(primes), len(batches)), np.nan)
    for c in cells:
        row, column = primes.index(c.p), batches.index(c.batch)
        grid[row, column] = max(c.median, 1.0) if np.isfinite(c.median) else np.nan
        told = f"{number(c.median)}\n" if np.isfinite(c.median) else ""
        told += f"{(~c.fitted).sum()} not fitted\n{c.late.sum()} not gen.\nof {len(c.delay)}"
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
        ax.text(column, row, told, ha="center", va="center", fontsize=7.5, bbox=box)
        corner = (column - 0.5, row - 0.5)
        if c.inside:
            ax.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="//", edgecolor="0.35", linewidth=1.8))
    ax.set_facecolor("0.88")
    if np.isfinite(grid).any():
        low, high = float(np.nanmin(grid)), float(np.nanmax(grid))
        norm = LogNorm(low / 1.2, high * 1.2)
        mesh = ax.imshow(grid, cmap="viridis", origin="lower", aspect="auto", norm=norm)
        bar = figure.colorbar(mesh, ax=ax, label="median delay, steps, of the runs that generalized")
        in_plain(bar.ax.yaxis)
    size = {c.p: c.n_train for c in cells}
    ax.set_xticks(range(len(batches)), [str(b) for b in batches])
    ax.set_yticks(range(len(primes)), [f"{p}\n({number(size[p])})" for p in primes])
    ax.set(xlim=(-0.5, len(batches) - 0.5), ylim=(-0.5, len(primes) - 0.5))
    ax.set(xlabel="batch", ylabel="p (train size)")
    ax.set_title(
        f"hatched: train size / batch from {LOW} to {HIGH}; grey: no run generalized", fontsize="medium"
    )


def draw_runs(ax: Axes, cells: list[Cell]) -> None:
    """Delay in epochs against train size / batch: every run, side by side where they are of one cell."""
    ax.axvspan(LOW, HIGH, color="0.9", label="claimed band", zorder=0)
    colours = dict(zip(sorted({c.p for c in cells}), PALETTE, strict=False))
    for c in cells:
        x = c.ratio * np.geomspace(0.88, 1.14, len(c.delay))
        y = np.maximum(c.delay / c.epoch, LEAST)
        ax.plot(x, y, "o", color=colours[c.p], markersize=4.5)
        for mine, since, marker in ((c.late, c.t_mem, "^"), (~c.fitted, 0, "v")):
            end = np.where(mine, (c.last - since) / c.epoch, np.nan)
            ax.plot(x, end, marker, color=colours[c.p], markerfacecolor="none", markersize=5, linewidth=0)
    for p, colour in colours.items():
        ax.plot([], [], "s", color=colour, label=f"p = {p}")
    for marker, fill, told in (
        ("o", "full", "generalized"),
        ("^", "none", "not generalized: watched since the fit"),
        ("v", "none", "not fitted: its whole run"),
    ):
        ax.plot([], [], marker, color="0.3", fillstyle=fill, linewidth=0, label=told)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="train size / batch",
        ylabel=f"delay, epochs (less than {LEAST:g}: drawn there)",
    )
    in_plain(ax.xaxis)
    in_plain(ax.yaxis)


@recipe(
    "band",
    "Q: division, delay over train size and batch, the comprehension band",
    seeds=4,
    minutes=60,
    full=True,
)
def run(
    out: Path,
    seeds: int,
    full: bool,
    *,
    noise: Annotated[tuple[float, ...], "standard deviation of what is added to the inputs (0 0.1)"] = NOISES,
) -> None:
    sizes = FULL if full else SMALL
    cells, files = cells_of(sizes, range(seeds), noise, out)
    print(f"## Division, delays by train size and batch: {sizes.steps:,} steps, {seeds} seed(s)")
    head = ["p", "train size", "batch", "train size / batch", "in the band", "runs", "not fitted"]
    table([*head, "not generalized", "median delay, steps", "epochs"], rows_of(cells), "cells")
    table(["claim", "came out", "numbers"], claims(cells), "claims")
    took(*files)

    figure = new_figure(13, 5.6)
    left, right = figure.subplots(1, 2)
    draw_cells(figure, left, cells)
    draw_runs(right, cells)
    figure.legend(loc="outside lower center", ncols=7, frameon=False, fontsize="small")
    figure.savefig(out / "band.png", dpi=110)
    print(f"\nFigure: {out / 'band.png'}")
