"""Toy addition on its decay path.

Official variant, N = 45, plain gradient descent. Networks that train m alone (restricted, "line") or the
representation itself (full, "free") beside the decay path of the same seeds, sampled with the same η_R/η_D,
and beside Eq. 6 on the shipped landscape: m over ηγt (figure and table), and the time to the accuracy ceiling
(95 % of the accuracy that the landscape has at m = 0, seed by seed, for all three). Nothing is fitted.
Stopped, it goes on when called again. Two million steps of one network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from groktime.fullnet.tasks import addition
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import of, pathed, took, trained
from groktime.recipes.shared.tables import number, table
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.figures.file import save
from groktime.reduced.figures.style import BLACK, BLUE, ETA_D, ETA_R, ORANGE, PURPLE, VERMILLION, new_figure
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.path_text import tau_c
from groktime.reduced.prediction import predict
from groktime.reduced.system import systems
from groktime.validation.measure import measure

Floats = NDArray[np.float64]

N, ALPHA, M = 45, 3.6, 0.08  # as in table_addition
ETA = 0.03
REFIT = (200, 400, 800)  # γ_eff of 1.7e-3, 8.3e-4 and 4.2e-4
TAUS = (0.05, 0.1, 0.2, 0.3, 0.5)
NOWHERE = 1e-30  # a test loss that is never reached: Eq. 6 to its very end
WORDS = {"line": "restricted", "free": "full"}
M_RATE = {"line": "eq6", "free": "representation"}  # R itself moves along the line with 1/‖Δ‖²
COLOURS = (BLUE, VERMILLION, PURPLE, ORANGE)
STYLES: tuple[tuple[Literal["-", "--", ":"], float, str], ...] = (
    ("-", 1.2, "trained"),
    ("--", 1.8, "decay path, read at γ"),
    (":", 1.2, "Eq. 6 on the landscape"),
)


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
        settings: dict[str, Any] = {
            "gamma": gamma,
            "eta_d": ETA,
            "eta_r": ETA * self.ratio,
            "alpha": ALPHA,
            "m": M,
        }
        settings |= {"n_train": N, "seed": seed, "m_rate": M_RATE[self.representation]}
        if threshold is not None:
            return predict(self.land, **settings, threshold=threshold).t_grok, _NONE, _NONE
        way = predict(self.land, **settings, metric="loss", threshold=NOWHERE).detail.trajectory
        if way is None:
            return float("nan"), _NONE, _NONE
        s = np.linspace(0, way.end, 400)
        return float("nan"), s * gamma, way.at(s)[1]

    def on_path(self, gamma: float, seed: int) -> tuple[Floats, Floats]:
        """τ and m of the path at γ: linear in γ between the two resolutions next to it, and through the two
        finest below them, as `predict` reads τ_c."""
        each = np.asarray(self.path.dataset["m"].values[self.path.place("seed", seed), 0, 0, 0], float)
        known = np.isfinite(each).all(0)
        eff = self.path.gamma_eff
        fine = int(np.clip(np.searchsorted(-eff, -gamma), 1, len(eff) - 1))
        share = min((gamma - eff[fine]) / (eff[fine - 1] - eff[fine]), 1.0)
        return self.path.tau[known], (share * each[fine - 1] + (1 - share) * each[fine])[known]

    def of_run(self, gamma: float, seed: int) -> tuple[Floats, Floats]:
        """ηγt and m of one trained network."""
        runs = self.runs[gamma]
        m = runs["m"].values[np.argmax(runs["seed"].values == seed)]
        known = np.isfinite(m)
        return runs["step"].values[known] * ETA * gamma, m[known]


_NONE = np.zeros(0)


def cases(out: Path, seeds: int, decays: Sequence[float], ratios: Sequence[float], tau: float) -> list[Case]:
    """Everything trained and sampled, or read again."""
    task, land = addition(variant="official"), open_landscape("addition")
    chosen = land.seeds[:seeds]
    limits = {s.seed: s.threshold for s in systems(land, n_train=N) if s.seed in chosen}
    found = []
    for representation in WORDS:
        start: dict[str, Any] = {"alpha": ALPHA, "m": M, "n_train": N, "seeds": chosen, "eta_d": ETA}
        start |= {"optimizer": "sgd", "representation": representation}
        trained_at = {}
        for gamma in decays:
            trained_at[gamma] = trained(
                out / f"runs-{representation}-{gamma:g}.nc", task, **start, gamma=gamma,
                eta_r=[ETA * r for r in ratios], steps=math.ceil(tau / (gamma * ETA)),
                resolution=0.03,
            )  # fmt: skip
        for ratio in ratios:
            path = pathed(
                out / f"path-{representation}-{ratio:g}.nc", task, **start, eta_r=ETA * ratio,
                dtau=0.01, refit=REFIT, tau=tau,
            )  # fmt: skip
            runs, times = {}, {}
            for gamma, made in trained_at.items():
                each = np.array([limits[int(s)] for s in made.dataset["seed"]])
                delays = of(measure(made, threshold=each), eta_r=ETA * ratio)
                runs[gamma] = of(made.dataset, eta_r=ETA * ratio)
                times[gamma] = np.array([by_seed(delays, s) for s in chosen])
            found.append(Case(representation, ratio, path, runs, times, land, limits))
    return found


def by_seed(delays: xr.Dataset, seed: int) -> float:
    """t_grok of a seed's run."""
    return float(delays["t_grok"].values[np.argmax(delays["seed"].values == seed)])


def messiness(case: Case, taus: list[float]) -> list[list[str]]:
    """m over m at the start, medians over the seeds, of runs, path and Eq. 6; and how far from the runs."""

    def at(ways: list[tuple[Floats, Floats]]) -> Floats:
        """[seed, τ]"""
        return np.array(
            [
                np.interp(taus, t, m / M, right=np.nan) if len(t) else np.full(len(taus), np.nan)
                for t, m in ways
            ]
        )

    seeds = list(case.limits)
    rows = []
    for gamma in case.runs:
        runs = at([case.of_run(gamma, s) for s in seeds])
        rows.append([case.name, number(gamma), "trained", *middle(runs), ""])
        path = at([case.on_path(gamma, s) for s in seeds])
        rows.append([case.name, number(gamma), "path", *middle(path), apart(path, runs)])
        eq6 = at([case.eq6(gamma, s)[1:] for s in seeds])
        rows.append([case.name, number(gamma), "Eq. 6", *middle(eq6), apart(eq6, runs)])
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
            p = predict(case.path, gamma=gamma, eta_d=ETA, alpha=ALPHA, m=M, seed=seed, threshold=limit)
            path.append(p.t_grok)
            tau_error.append(p.seeds[0].detail.tau_error / tau_c(p))
            eq6.append(case.eq6(gamma, seed, limit)[0])
        row = [case.name, number(gamma), ", ".join(map(number, times.tolist()))]
        for told in (path, eq6):
            off = np.array(told) / times - 1
            row.append(", ".join("–" if np.isnan(e) else f"{100 * e:+.0f}" for e in off))
        own = ", ".join("–" if np.isnan(e) else f"{100 * e:.0f}" for e in tau_error)
        rows.append([*row, own])
    return rows


def draw(ax: Axes, case: Case) -> list[Line2D]:
    """m over ηγt of all seeds, a colour for each γ."""
    handles = []
    for colour, gamma in zip(COLOURS, case.runs, strict=False):
        for seed in case.limits:
            ways = case.of_run(gamma, seed), case.on_path(gamma, seed), case.eq6(gamma, seed)[1:]
            for (tau, m), (style, width, _) in zip(ways, STYLES, strict=True):
                ax.plot(tau, m / M, style, color=colour, linewidth=width)
        handles.append(Line2D([], [], color=colour, label=f"γ = {gamma:g}"))
    handles += [Line2D([], [], linestyle=s, color=BLACK, linewidth=w, label=text) for s, w, text in STYLES]
    ax.set(xlabel=r"$\tau = \eta\gamma t$", ylabel=r"$m/m_0$", xlim=(0, float(case.path.tau[-1])))
    ax.set_title(case.name.replace("η_R/η_D", f"{ETA_R}/{ETA_D}"), fontsize="medium")
    ax.axhline(0, color=BLACK, linewidth=0.6)
    ax.grid(alpha=0.25)
    return handles


@recipe("path_addition", "toy addition on its decay path", seeds=4, minutes=38)
def run(
    out: Path,
    seeds: int,
    *,
    gamma: Annotated[tuple[float, ...], "weight decays"] = (1e-3, 3e-4),
    ratio: Annotated[tuple[float, ...], "η_R/η_D"] = (0.1, 0.01),
    tau: Annotated[float, "ηγt up to which all goes"] = 0.6,
) -> None:
    made = cases(out, min(seeds, 3), gamma, ratio, tau)
    taus = [t for t in TAUS if t <= tau]
    print("\n## m over m at the start, at ηγt =; medians over the seeds")
    head = ["network", "γ", "", *(f"{t:g}" for t in taus), "mean distance from the trained"]
    table(head, [row for case in made for row in messiness(case, taus)], "messiness")
    print("\n## Steps to the accuracy ceiling")
    head = ["network", "γ", "trained, by seed", "path, error by seed, %", "Eq. 6, error by seed, %"]
    table([*head, "the path's own error, %"], [row for case in made for row in ceilings(case)], "times")
    draw_all(made, len(ratio), out / "m-over-tau.png")
    took(*sorted(out.glob("*.nc")))


def draw_all(made: list[Case], across: int, file: Path) -> None:
    """A panel a case, a row a kind of network."""
    figure = new_figure(5.2 * max(across, 2), 8.0)
    axes = np.ravel(np.asarray(figure.subplots(len(WORDS), across, squeeze=False, sharey=True), object))
    for ax, case in zip(axes, made, strict=True):
        handles = draw(ax, case)
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        f"toy addition, N = {N}, SGD, start α = {ALPHA:g}, m = {M:g}, {len(made[0].limits)} seeds",
        fontsize="medium",
    )
    save(figure, file, overwrite=True)
