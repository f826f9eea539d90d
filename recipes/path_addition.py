"""Toy addition on its decay path: `python recipes/path_addition.py [--seeds 3] [-o out/path_addition]`.

Official variant, N = 45, plain gradient descent. Networks that train m alone (restricted, "line") or the
representation itself (full, "free") beside the decay path of the same seeds, sampled with the same η_R/η_D,
and beside Eq. 6 on the shipped landscape: m over ηγt (figure and table), and the time to the accuracy ceiling
(95 % of the accuracy that the landscape has at m = 0, seed by seed, for all three). Nothing is fitted.
Stopped, it goes on when called again. 1.8 million steps of one network.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
import xarray as xr
from common import folder, number, pathed, table, took, trained
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from fullnet.tasks import addition
from reduced.decay_path import DecayPath
from reduced.figures.file import save
from reduced.figures.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILLION, new_figure
from reduced.landscape import Landscape, open_landscape
from reduced.path_prediction import predict_on_path
from reduced.prediction import predict
from reduced.system import systems
from validation.measure import measure

Floats = NDArray[np.float64]

N, ALPHA, M = 45, 3.6, 0.08  # as recipes/table_addition.py
ETA = 0.03
REFIT = (100, 200, 400)  # γ_eff of 3.3e-3, 1.7e-3 and 8.3e-4
TAUS = (0.05, 0.1, 0.2, 0.3, 0.5)
NOWHERE = 1e-30  # a test loss that is never reached: Eq. 6 to its very end
WORDS = {"line": "restricted", "free": "full"}
M_RATE = {"line": "eq6", "free": "representation"}  # R itself moves along the line with 1/‖Δ‖²
COLOURS = (BLUE, VERMILLION, PURPLE, ORANGE)


@dataclass(frozen=True)
class Case:
    """One kind of network and one η_R/η_D: its path, its runs under decay, and what all are measured by."""

    representation: str
    ratio: float
    path: DecayPath
    runs: dict[float, xr.Dataset]  # by γ: curves
    times: dict[float, Floats]  # by γ: steps to the ceiling, each seed
    land: Landscape
    limits: dict[int, float]  # by seed

    @property
    def name(self) -> str:
        return f"{WORDS[self.representation]}, η_R/η_D = {self.ratio:g}"

    def eq6(self, gamma: float, seed: int, threshold: float | None = None) -> tuple[float, Floats, Floats]:
        """Predicted steps, and ηγt and m over the whole way; empty where there is none."""
        settings = {"gamma": gamma, "eta_d": ETA, "eta_r": ETA * self.ratio, "alpha": ALPHA, "m": M}
        settings |= {"n_train": N, "seed": seed, "m_rate": M_RATE[self.representation]}
        if threshold is not None:
            return predict(self.land, **settings, threshold=threshold).grokking_time, _NONE, _NONE
        way = predict(self.land, **settings, metric="loss", threshold=NOWHERE).path
        if way is None:
            return float("nan"), _NONE, _NONE
        s = np.linspace(0, way.end, 400)
        return float("nan"), s * gamma, way.at(s)[1]

    def on_path(self, seed: int) -> tuple[Floats, Floats]:
        """τ and m along the finest path."""
        m = self.path.dataset["m"].values[self.path.place("seed", seed), 0, 0, 0, -1]
        known = np.isfinite(m)
        return self.path.tau[known], m[known]

    def of_run(self, gamma: float, seed: int) -> tuple[Floats, Floats]:
        """ηγt and m of one trained network."""
        runs = self.runs[gamma]
        m = runs["m"].values[np.argmax(runs["seed"].values == seed)]
        known = np.isfinite(m)
        return runs["step"].values[known] * ETA * gamma, m[known]


_NONE = np.zeros(0)


def cases(options: argparse.Namespace) -> list[Case]:
    """Everything trained and sampled, or read again."""
    task, land = addition(variant="official"), open_landscape("addition")
    seeds = land.seeds[: options.seeds]
    limits = {s.seed: s.threshold for s in systems(land, n_train=N) if s.seed in seeds}
    each = np.array([limits[s] for s in seeds])
    out = []
    for representation in WORDS:
        start = {"alpha": ALPHA, "m": M, "n_train": N, "seeds": seeds, "eta_d": ETA, "optimizer": "sgd"}
        start |= {"representation": representation}
        for ratio in options.ratio:
            own = start | {"eta_r": ETA * ratio}
            path = pathed(
                options.out / f"path-{representation}-{ratio:g}.nc", task, **own, dtau=0.01, refit=REFIT,
                tau=options.tau,
            )  # fmt: skip
            runs, times = {}, {}
            for gamma in options.gamma:
                made = trained(
                    options.out / f"runs-{representation}-{ratio:g}-{gamma:g}.nc", task, **own, gamma=gamma,
                    steps=math.ceil(options.tau / (gamma * ETA)), resolution=0.03,
                )  # fmt: skip
                runs[gamma] = made.dataset
                times[gamma] = measure(made, threshold=each)["t_test"].values
            out.append(Case(representation, ratio, path, runs, times, land, limits))
    return out


def messiness(case: Case, taus: list[float]) -> list[list[str]]:
    """m over m at the start, medians over the seeds, of runs, path and Eq. 6; and how far apart they are."""

    def at(ways: list[tuple[Floats, Floats]]) -> Floats:
        """[seed, τ]"""
        return np.array(
            [
                np.interp(taus, t, m / M, right=np.nan) if len(t) else np.full(len(taus), np.nan)
                for t, m in ways
            ]
        )

    seeds = list(case.limits)
    path = at([case.on_path(s) for s in seeds])
    rows = [[case.name, f"path, γ_eff = {case.path.gamma_eff[-1]:.2g}", *middle(path), ""]]
    for gamma in case.runs:
        runs = at([case.of_run(gamma, s) for s in seeds])
        eq6 = at([case.eq6(gamma, s)[1:] for s in seeds])
        rows.append([case.name, f"trained, γ = {gamma:g}", *middle(runs), apart(path, runs)])
        rows.append([case.name, f"Eq. 6, γ = {gamma:g}", *middle(eq6), apart(eq6, runs)])
    return rows


def middle(values: Floats) -> list[str]:
    return [number(float(np.median(column))) for column in values.T]


def apart(one: Floats, runs: Floats) -> str:
    """Mean distance of m/m0 from the runs, seed by seed."""
    both = np.abs(one - runs)
    return number(float(both[np.isfinite(both)].mean())) if np.isfinite(both).any() else "–"


def ceilings(case: Case) -> list[list[str]]:
    """One row a γ: times to the ceiling by seed, and those of the path and of Eq. 6 beside them."""
    rows = []
    for gamma, times in case.times.items():
        path, eq6, tau_error = [], [], []
        for seed, limit in case.limits.items():
            p = predict_on_path(
                case.path, gamma=gamma, eta_d=ETA, alpha=ALPHA, m=M, seed=seed, threshold=limit
            )
            path.append(p.grokking_time)
            tau_error.append(p.seeds[0].tau_error / p.tau_c)
            eq6.append(case.eq6(gamma, seed, limit)[0])
        row = [case.name, number(gamma), ", ".join(map(number, times.tolist()))]
        for told in (path, eq6):
            off = np.array(told) / times - 1
            row.append(", ".join("–" if np.isnan(e) else f"{100 * e:+.0f}" for e in off))
        own = ", ".join("–" if np.isnan(e) else f"{100 * e:.0f}" for e in tau_error)
        rows.append([*row, own])
    return rows


def draw(ax: Axes, case: Case) -> list[Line2D]:
    """m over ηγt of all seeds: runs by γ, the finest path, Eq. 6 dotted."""
    handles = []
    for colour, gamma in zip(COLOURS, case.runs, strict=False):
        for seed in case.limits:
            tau, m = case.of_run(gamma, seed)
            ax.plot(tau, m / M, color=colour, linewidth=1.3)
            _, tau, m = case.eq6(gamma, seed)
            ax.plot(tau, m / M, ":", color=GREEN, linewidth=1.3)
        handles.append(Line2D([], [], color=colour, linewidth=1.3, label=f"trained, γ = {gamma:g}"))
    for seed in case.limits:
        ax.plot(*(x / y for x, y in zip(case.on_path(seed), (1, M), strict=True)), "--", color=BLACK)
    label = rf"decay path, $\gamma_{{eff}}$ = {case.path.gamma_eff[-1]:.2g}"
    handles.append(Line2D([], [], linestyle="--", color=BLACK, label=label))
    handles.append(Line2D([], [], linestyle=":", color=GREEN, label="Eq. 6 on the landscape, each γ"))
    ax.set(xlabel=r"$\tau = \eta\gamma t$", ylabel=r"$m/m_0$", xlim=(0, float(case.path.tau[-1])))
    ax.set_title(case.name, fontsize="medium")
    ax.axhline(0, color=BLACK, linewidth=0.6)
    ax.grid(alpha=0.25)
    return handles


def main() -> None:
    many = {"type": float, "nargs": "+"}
    options = folder(
        __doc__ or "",
        ("--gamma", many | {"default": [1e-3, 3e-4], "help": "weight decays"}),
        ("--ratio", many | {"default": [0.1, 0.01], "help": "η_R/η_D"}),
        ("--tau", {"type": float, "default": 0.7, "help": "ηγt up to which all goes"}),
    )
    options.seeds = min(options.seeds, 3)
    made = cases(options)
    taus = [t for t in TAUS if t <= options.tau]
    print("\n## m over m at the start, at ηγt =; medians over the seeds")
    head = ["network", "of", *(f"{t:g}" for t in taus), "mean distance from the trained"]
    table(head, [row for case in made for row in messiness(case, taus)])
    print("\n## Steps to the accuracy ceiling")
    head = ["network", "γ", "trained, by seed", "path, error by seed, %", "Eq. 6, error by seed, %"]
    table([*head, "the path's own error, %"], [row for case in made for row in ceilings(case)])

    across = len(options.ratio)
    figure = new_figure(5.2 * max(across, 2), 8.0)
    axes = np.ravel(np.asarray(figure.subplots(len(WORDS), across, squeeze=False, sharey=True), object))
    for ax, case in zip(axes, made, strict=True):
        handles = draw(ax, case)
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        f"toy addition, N = {N}, SGD, start α = {ALPHA:g}, m = {M:g}, {len(made[0].limits)} seeds",
        fontsize="medium",
    )
    save(figure, options.out / "m-over-tau.png", overwrite=True)
    took(*sorted(options.out.glob("*.nc")))


if __name__ == "__main__":
    main()
