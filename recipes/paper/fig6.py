"""Toy addition, P Fig. 6. Less than a minute.

P claims: (a) the training loss has a region I (high, small w) and a region II (low, large w), split by a
contour; (b) the test loss depends strongly on m; (c) on the path A to E it has several descents; (e) by
training-set size, 45 and 55 pairs reach the generalizing solution, 25 and 35 do not, and θ55 < θ45, hence
t55 < t45 (54 here: 55 leave no test pair). Drawn from the landscapes that ship; nothing is trained. P drew
its path by hand: here it is that of Eq. 6. (d) is `groktime figure gradients`, (f) `groktime predict --plot`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from groktime.recipes.registry import recipe
from groktime.recipes.shared.landscapes import ETA_D, ETA_R, GAMMA, REACHED, along_m
from groktime.recipes.shared.tables import number, span, table
from groktime.reduced.figures.landscape import draw_landscape, draw_trajectory
from groktime.reduced.figures.prediction import draw_threshold
from groktime.reduced.figures.sizes import draw_sizes
from groktime.reduced.figures.style import BLACK, PALETTE, new_figure
from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.phases import Point, points
from groktime.reduced.prediction import Prediction, predict
from groktime.reduced.system import LEVEL

RATES: dict[str, Any] = {"gamma": GAMMA, "eta_d": ETA_D, "eta_r": ETA_R}
# Starts: 0.08 is beyond the wall's foot and inside the grid; the paper's variant has its own norms.
STARTS = {"addition": (3.9, 0.08), "addition-paper": (5.146, 0.12)}
SIZES_START = (3.983, 0.06)  # of addition-sizes, as in table_landscapes.py
SIZES_LEVEL = 0.02  # P's contour of Fig. 6e
DESCENT = 0.02  # the share by which the test loss must fall, and rise before it, to count as a descent
GOT_THERE = (Status.GENERALIZES, Status.ALREADY)

Floats = NDArray[np.float64]


def along(p: Prediction) -> tuple[Floats, Floats, Floats]:
    """s = η_D t, the way in grid cells and the test loss at points of the path."""
    field = p.detail.system.surface.test_loss
    assert p.detail.trajectory is not None and field is not None
    s = np.linspace(0, p.detail.trajectory.end, 20_001)
    u, m = p.detail.trajectory.at(s)
    half_u, half_m = p.detail.system.move
    steps = np.hypot(np.diff(u) / (2 * half_u), np.diff(m) / (2 * half_m))
    return s, np.concatenate([[0.0], np.cumsum(steps)]), field.derivatives(u, m, second=False)[0]


def descents(loss: Floats) -> list[float]:
    """The share by which the loss falls in each of its descents: from a top to the least value before it
    has risen again, both by more than `DESCENT`."""
    falls, top, low = [], float(loss[0]), float(loss[0])
    for x in loss:
        if low < (1 - DESCENT) * top and x > (1 + DESCENT) * low:
            falls.append(1 - low / top)
            top = low = x
        elif x > top and low >= (1 - DESCENT) * top:
            top = low = x
        low = min(low, x)
    return falls + ([1 - low / top] if low < (1 - DESCENT) * top else [])


def regions(one: xr.Dataset) -> tuple[float, float]:
    """Of a landscape [m, alpha]: the share of rows that pass `LEVEL` once, from above to below; and how many
    times higher the median loss is in region I."""
    high = one["train_loss"].transpose("m", "alpha").values > LEVEL
    once = (np.diff(high.astype(int), axis=1) != 0).sum(1) == 1
    loss = one["train_loss"].values
    ratio = np.median(loss[loss > LEVEL]) / np.median(loss[loss <= LEVEL])
    return float((once & high[:, 0]).mean()), float(ratio)


def along_alpha(loss: xr.DataArray) -> float:
    """As `along_m`, of the variance of ln(loss) with α."""
    return along_m(loss.rename({"m": "alpha", "alpha": "m"}))


def claims_of(land: Landscape, by_seed: list[Prediction]) -> list[list[str]]:
    """(a), (b) and (c), of all seeds."""
    one = land.dataset.isel(n_train=0, budget=-1).sel(seed=[p.typical.seed for p in by_seed])
    shares, ratios = zip(*(regions(one.sel(seed=s)) for s in one["seed"].values), strict=True)
    text = f"{100 * np.mean(shares):.0f} % of the rows pass it once; "
    text += f"the median loss of region I is {span(min(ratios), max(ratios))} times that of II"
    rows = [[f"(a) the contour {LEVEL:g} splits regions I and II", min(shares) > 0.9, text]]
    loss = one["test_loss"].where(one["train_loss"] <= LEVEL)
    each = [loss.sel(seed=[s]) for s in one["seed"].values]
    with_m, with_alpha = ([100 * f(x) for x in each] for f in (along_m, along_alpha))
    factor = [float((x.max("m") / x.min("m")).median()) for x in each]
    text = f"in region II: {_of(with_m)} % of the variance of ln(loss) along m, {_of(with_alpha)} % along α; "
    text += f"by a factor of {_of(factor)} over m"
    stronger = all(a > b for a, b in zip(with_m, with_alpha, strict=True))
    rows.append(["(b) the test loss depends strongly on m: more than on α", stronger, text])
    falls = {p.typical.seed: descents(along(p)[2]) for p in _arrive(by_seed)}
    told = [f"seed {s}: {', '.join(f'{100 * x:.0f} %' for x in f) or 'none'}" for s, f in falls.items()]
    told += [f"seed {p.typical.seed}: {p.status.value}" for p in by_seed if p.typical.seed not in falls]
    several = bool(falls) and min(len(f) for f in falls.values()) > 1
    rows.append(["(c) several descents on every path", several, "falls in turn: " + "; ".join(told)])
    return [[land.source, claim, "yes" if came else "no", text] for claim, came, text in rows]


def _of(values: list[float]) -> str:
    return span(min(values), max(values))


def _arrive(by_seed: list[Prediction]) -> list[Prediction]:
    return [p for p in by_seed if p.status is Status.GENERALIZES]


def _point(point: Point, loss: float, w0: float) -> str:
    return f"{point.s / ETA_D:,.0f}: {point.w / w0:.2f}, {point.m:.3f}, {loss:.2f}"


def way(by_seed: list[Prediction]) -> list[list[str | float]]:
    """Each path's points, with the test loss there."""
    rows: list[list[str | float]] = []
    for p in by_seed:
        row: list[str | float] = [p.source.land.source, str(p.typical.seed), p.status.value]
        if p.detail.trajectory is not None:
            s, _, loss = along(p)
            at = {x.name: (x, float(np.interp(x.s, s, loss))) for x in points(p)}
            row += [_point(*at[n], p.detail.system.w0) if n in at else "–" for n in "ACDE"]
        rows.append(row)
    return rows


def sizes(land: Landscape, count: int) -> tuple[list[list[str]], dict[int, Prediction]]:
    """(e): the claims by training-set size, and each size's prediction of one seed for the drawing."""
    seeds = land.seeds[:count]
    start: dict[str, Any] = {**RATES, "alpha": SIZES_START[0], "m": SIZES_START[1]}
    start |= {"threshold": REACHED, "level": SIZES_LEVEL}
    drawn: dict[int, Prediction] = {}
    reach: dict[int, int] = {}
    theta: dict[int, Floats] = {}
    time: dict[int, Floats] = {}
    for n in land.n_train:
        each = [predict(land, **start, n_train=n, seed=s) for s in seeds]
        drawn[n] = each[-1]
        reach[n] = sum(p.status in GOT_THERE for p in each)
        time[n] = np.array([p.t_grok for p in each])
        walls = [p.detail.system.surface.boundary for p in each]
        theta[n] = np.array([math.degrees(b.angle(land.m[0], SIZES_START[1])) for b in walls])
    few, many = (sum(reach[n] for n in ns) for ns in ((25, 35), (45, 54)))
    got = f"test accuracy {REACHED:g}, seeds: " + ", ".join(
        f"N = {n}: {k} of {len(seeds)}" for n, k in reach.items()
    )
    angles = "; ".join(f"{n}: {', '.join(f'{x:.1f}°' for x in t)}" for n, t in theta.items())
    steps = "; ".join(f"{n}: {', '.join(map(number, t))}" for n, t in time.items())
    rows: list[tuple[str, bool, str]] = [
        ("45 and 54 get there", many == 2 * len(seeds), got),
        ("25 and 35 do not", few == 0, got),
        ("θ54 < θ45, by a degree or more", bool((theta[54] <= theta[45] - 1).all()), f"by seed: {angles}"),
        ("t54 < t45", bool((time[54] < time[45]).all()), f"steps to {REACHED:g}, by seed: {steps}"),
    ]
    told = [[land.source, f"(e) {claim}", "yes" if came else "no", text] for claim, came, text in rows]
    return told, drawn


def draw_descents(ax: Axes, by_seed: list[Prediction]) -> None:
    """Test loss along the path of each seed that arrives, with its points."""
    for colour, p in zip(PALETTE, _arrive(by_seed), strict=False):
        s, cells, loss = along(p)
        ax.plot(cells, loss, color=colour, linewidth=2, label=f"seed {p.typical.seed}")
        for point in points(p):
            at = (float(np.interp(point.s, s, cells)), float(np.interp(point.s, s, loss)))
            ax.plot(*at, "o", color=colour, markeredgecolor="white", zorder=4)
            ax.annotate(point.name, at, (0, 7), textcoords="offset points", ha="center", color=BLACK)
    ax.set(xlabel="way along the path, grid cells", ylabel="test loss")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, loc="upper right")


@recipe(
    "fig6",
    "P Fig. 6: toy addition, (w, m) landscape, path, training-set sizes (d: `groktime figure gradients`)",
    seeds=4,
    minutes=0.5,
)
def run(out: Path, seeds: int) -> None:
    paths: dict[str, list[Prediction]] = {}
    rows = []
    for name, (alpha, m) in STARTS.items():
        land = open_landscape(name)
        chosen = land.seeds[:seeds]
        paths[name] = [predict(land, **RATES, alpha=alpha, m=m, seed=s) for s in chosen]
        rows += claims_of(land, paths[name])
    by_size, drawn = sizes(open_landscape("addition-sizes"), seeds)
    starts = ", ".join(f"{name}: α = {a:g}, m = {m:g}" for name, (a, m) in STARTS.items())
    print(f"## Fig. 6: γ = {GAMMA:g}, η_D = η_R = {ETA_D:g}; start {starts}")
    table(["landscape", "claim", "came out", "numbers"], [*rows, *by_size], "claims")
    print("\nThe path's points, steps: α, m, test loss")
    head = ["A start", "C meets the wall", "D half of the way down in m", "E end"]
    table(["landscape", "seed", "ends", *head], way([p for own in paths.values() for p in own]), "path")
    draw(paths["addition"], drawn, out / "fig6.png")
    print(f"\nFigure: {out / 'fig6.png'}")


def draw(by_seed: list[Prediction], by_size: dict[int, Prediction], file: Path) -> None:
    """(a) and (b) with the path of a seed that arrives, (c) of all that do, and (e)."""
    arrived = _arrive(by_seed)
    p = arrived[len(arrived) // 2]
    one = p.source.land.one(p.typical.seed)
    figure = new_figure(13, 11)
    upper, lower = np.ravel(np.asarray(figure.subfigures(2, 1, height_ratios=(1.08, 1)), object))
    train, test = upper.subplots(1, 2)
    handles = draw_landscape(train, one, p.detail.system.surface, "train_loss", (LEVEL,))
    draw_landscape(test, one, p.detail.system.surface, "test_loss", ())
    handles += draw_threshold(test, p)
    for ax in (train, test):
        path = draw_trajectory(ax, p)
    handles += path
    train.set_title(f"(a) seed {p.typical.seed}: training loss")
    test.set_title(f"(b) seed {p.typical.seed}: test loss")
    upper.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)
    left, right = lower.subfigures(1, 2)
    ax = left.subplots()
    draw_descents(ax, by_seed)
    ax.set_title("(c) test loss along the path")
    ax = right.subplots()
    draw_sizes(ax, by_size)
    ax.set_title(f"(e) contour of training loss {SIZES_LEVEL:g} by training-set size")
    right.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    alpha, m = STARTS["addition"]
    figure.suptitle(f"toy addition, γ = {GAMMA:g}, η = {ETA_D:g}, start α = {alpha:g}, m = {m:g}")
    figure.savefig(file, dpi=110)
