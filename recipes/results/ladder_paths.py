"""The ways in (w, m) of a ladder's rungs, and their drawing: of `table_addition`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from groktime.reduced.figures.file import save
from groktime.reduced.figures.landscape import draw_landscape
from groktime.reduced.figures.style import (
    ALPHA,
    BLACK,
    BLUE,
    ETA_D,
    ETA_R,
    GREEN,
    MESSINESS,
    PURPLE,
    VERMILLION,
    new_figure,
    panels_of,
)
from groktime.reduced.prediction import predict
from groktime.validation.ladder import Ladder

Floats = NDArray[np.float64]

NOWHERE = 1e-30  # a test loss that is never reached: a path to its very end
COLOURS = {
    "eq6": (VERMILLION, "Eq. 6 on the landscape"),
    "loop": (BLUE, "network in the loop"),
    "path": (BLACK, "decay path, SGD"),
    "restricted": (GREEN, "restricted network, SGD"),
    "gd": (PURPLE, "full network, SGD"),
}


def describe(found: Ladder, k: int) -> str:
    one = found.table.isel(setting=k)
    ratio = float(one["eta_r"] / one["eta_d"])
    return (
        f"N = {int(one['n_train'])}, γ = {float(one['gamma']):g}, η_R/η_D = {ratio:g}, "
        f"α = {float(one['alpha']):g}, m = {float(one['m_start']):g}"
    )


def path(found: Ladder, k: int, rung: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ηγt, α and m along the path of one setting and seed on one rung."""
    one = found.table.isel(setting=k)
    c = {name: float(one[name]) for name in ("gamma", "eta_d", "eta_r", "alpha", "m_start", "n_train")}
    if rung == "eq6":
        p = predict(
            found.land, gamma=c["gamma"], eta_d=c["eta_d"], eta_r=c["eta_r"], alpha=c["alpha"],
            m=c["m_start"], n_train=int(c["n_train"]), seed=seed, metric="loss",
            threshold=NOWHERE,
        )  # fmt: skip
        if p.detail.trajectory is None:
            return np.zeros(0), np.zeros(0), np.zeros(0)
        s = np.linspace(0, p.detail.trajectory.end, 400)
        u, m = p.detail.trajectory.at(s)
        return s * c["gamma"], np.exp(u) / p.detail.system.w0, m
    if rung == "path":
        return on_path(found, c, seed)
    for runs in found.runs[rung]:
        ds = runs.dataset
        mine = (ds["seed"] == seed) & np.logical_and.reduce([np.isclose(ds[name], c[name]) for name in c])
        if mine.any():
            run = ds.isel(run=int(np.argmax(mine.values)))
            kept = np.isfinite(run["m"].values)
            tau = runs.step * c["gamma"] * c["eta_d"]
            return tau[kept], (run["weight_norm"].values / float(run["w0"]))[kept], run["m"].values[kept]
    raise AssertionError(rung)


def on_path(found: Ladder, c: dict[str, float], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ηγt, α and m of the decay path, at the resolution next to γ."""
    decay = next(p for p in found.paths if p.dataset.attrs["eta_r"] == c["eta_r"])
    nearest = int(np.argmin(np.abs(np.log(decay.gamma_eff / c["gamma"]))))
    one = decay.dataset.sel(
        seed=seed, n_train=int(c["n_train"]), m_start=c["m_start"], alpha=c["alpha"]
    ).isel(refit=nearest)
    kept = np.isfinite(one["m"].values)
    alpha = one["weight_norm"].values / float(one["w0"])
    return decay.tau[kept], alpha[kept], one["m"].values[kept].astype(float)


def shown(found: Ladder) -> dict[str, tuple[str, str]]:
    """Colour and words of the rungs that have a way in (w, m)."""
    return {k: v for k, v in COLOURS.items() if k != "path" or found.paths}


def draw_trajectorys(found: Ladder, n: int, file: Path) -> None:
    """One panel a setting: the landscape of one seed and the paths of all rungs on it."""
    rows = found.table
    chosen = [k for k in range(rows.sizes["setting"]) if rows["n_train"].values[k] == n]
    across = min(3, len(chosen))  # or a page has to shrink it until nothing can be read
    down = -(-len(chosen) // across)
    figure = new_figure(5.2 * max(across, 2), 0.6 + 4.8 * down)
    panels = panels_of(figure, down, across)
    for ax in panels[len(chosen) :]:
        ax.set_axis_off()
    handles: list[object] = []
    for ax, k in zip(panels, chosen, strict=False):
        handles = draw_one(ax, found, k, int(rows["seed"].values[0]))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(f"toy addition, N = {n}, seed {rows['seed'].values[0]}; dots: ηγt = 0.1, 0.2, 0.3, …")
    save(figure, file, overwrite=True)


def draw_one(ax: Axes, found: Ladder, k: int, seed: int) -> list[object]:
    one = found.table.isel(setting=k)
    n = int(one["n_train"])
    at = predict(
        found.land, gamma=float(one["gamma"]), eta_d=float(one["eta_d"]), eta_r=float(one["eta_r"]),
        alpha=float(one["alpha"]), m=float(one["m_start"]), n_train=n, seed=seed,
    )  # fmt: skip
    handles: list[object] = list(
        draw_landscape(
            ax, found.land.one(seed, n, found.land.budgets[-1]), at.detail.system.surface, levels=(0.05,)
        )
    )
    for rung, (colour, words) in shown(found).items():
        tau, alpha, m = path(found, k, rung, seed)
        ax.plot(alpha, m, color="white", linewidth=3.6)
        ax.plot(alpha, m, color=colour, linewidth=1.8)
        marks = [int(np.argmax(tau >= t)) for t in np.arange(0.1, 2, 0.1) if len(tau) and tau[-1] >= t]
        ax.plot(alpha[marks], m[marks], "o", color=colour, markersize=5, markeredgecolor="white")
        handles.append(Line2D([], [], color=colour, linewidth=1.8, label=words))
    top = float(found.land.m[-1])
    ax.set(xlabel=ALPHA, ylabel=MESSINESS, ylim=(-0.25 * top, 1.08 * top))
    words = describe(found, k).split(", ", 1)[1].replace("η_R/η_D", f"{ETA_R}/{ETA_D}")
    ax.set_title(words, fontsize="medium")
    return handles
