"""Time against weight decay on every system that decays, and its decay path beside it.

P claims t ∝ 1/γ for the transformer and MNIST (Fig. 10). Here the same on all of its and the poster's
systems but QM9, whose runs have no decay. Each is trained at several γ, and put through `compare` with a
landscape and a decay path of the same seeds; nothing is fitted but the baseline inverse_gamma. The second
question is for which systems one path tells every γ: the whole path, and one resolution of it, taken as it
is. Needs the MNIST and IMDb files (docs/data.md). Stopped, it goes on when called again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from groktime.recipes.registry import recipe
from groktime.recipes.results.decay_systems import SYSTEMS
from groktime.recipes.shared.common import check_systems, path_of, predicted, took
from groktime.recipes.shared.drawing import in_plain
from groktime.recipes.shared.tables import number, spread, table
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.figures.style import BLACK, BLUE, GREEN, ORANGE, VERMILLION
from groktime.reduced.path_text import tau_c
from groktime.reduced.prediction import predict
from groktime.validation.comparison import Comparison
from groktime.validation.survival import slope

Floats = NDArray[np.float64]

LAW = 0.1  # by which a slope may differ from -1
TOLD = 0.1  # mean error up to which a path tells the times
FITTED = "1/γ, fitted"
PREDICTORS = {
    "Eq. 6": "flow",
    "closed form": "printed",
    "corrected": "corrected",
    "path": "path",
    FITTED: "inverse_gamma",
}


def one_resolution(made: Comparison) -> tuple[float, Floats]:
    """The decay that lies, of the path's resolutions, nearest to the middle of the runs' in ln γ; and the
    times that its τ_c alone tells of the runs, as if it held for every γ."""
    path, runs = path_of(made), made.table
    gamma = runs["gamma"].values
    middle = float(np.exp(np.mean(np.log(np.unique(gamma)))))
    alone = float(path.gamma_eff[np.argmin(np.abs(np.log(path.gamma_eff / middle)))])
    asked = list(zip(runs["seed"].values.tolist(), runs["threshold"].values.tolist(), strict=True))
    tau = {(seed, limit): _tau(path, alone, seed, limit) for seed, limit in set(asked)}
    return alone, np.array([tau[one] for one in asked]) / (runs["eta_d"].values * gamma)


def _tau(path: DecayPath, gamma: float, seed: int, threshold: float) -> float:
    found = predict(path, gamma=gamma, eta_d=path.eta_d, alpha=path.alpha[0], seed=seed, threshold=threshold)
    return tau_c(found)


def lawful(name: str, made: Comparison) -> xr.Dataset:
    """The runs of which the law is claimed."""
    return made.table.isel(run=made.table["gamma"].values <= SYSTEMS[name].law_up_to)


def slopes(name: str, made: Comparison, of: str = "measured_t_grok") -> tuple[float, float, float]:
    """Slope of a time on γ, both in logarithms, and its interval, where the law is claimed."""
    runs = lawful(name, made)
    return slope(runs["gamma"].values, runs[of].values, runs["seed"].values)


def law(name: str, made: Comparison) -> list[str]:
    """How the measured times go with γ."""
    runs = lawful(name, made)
    gamma, seed, t = (runs[name].values for name in ("gamma", "seed", "measured_t_grok"))
    s, low, high = slopes(name, made)
    fit = slopes(name, made, "measured_t_mem")[0]
    tau = runs["eta_d"].values * gamma * t
    apart = [np.nanmax(tau[seed == k]) / np.nanmin(tau[seed == k]) for k in np.unique(seed[~np.isnan(t)])]
    kept = "–" if np.isnan(s) else "yes" if abs(s + 1) <= LAW else "no"
    reached = f"{np.isfinite(t).sum()} of {len(t)}"
    limit = spread(runs["threshold"].values)
    times = number(float(np.nanmax(apart))) if apart else "–"
    return [
        SYSTEMS[name].name,
        spread(gamma),
        limit,
        reached,
        f"{s:.2f} ({low:.2f} – {high:.2f})",
        kept,
        f"{fit:.2f}",
        times,
    ]


def errors(name: str, made: Comparison) -> list[str]:
    """What was predicted, in mean absolute errors of t_grok, and how many of the runs that is of."""
    runs = made.table
    t = runs["measured_t_grok"].values
    alone, rescaled = one_resolution(made)
    told = {key: predicted(runs, name) for key, name in PREDICTORS.items()}
    told[FITTED] = np.where(runs["fitted"].sel(predictor=PREDICTORS[FITTED]).values, np.nan, told[FITTED])
    wrong = ", ".join(str(sum(_missed(runs, told[key]))) for key in ("Eq. 6", "path"))
    one = f"{_error(rescaled, t)}, γ_eff = {number(alone)}"
    return [SYSTEMS[name].name, *(_error(x, t) for x in told.values()), one, wrong]


def _missed(runs: xr.Dataset, told: Floats) -> NDArray[np.bool_]:
    """Runs that had not generalized by their end, and were told to."""
    return np.asarray(np.isnan(runs["measured_t_grok"].values) & (told <= runs["last"].values))


def _error(told: Floats, measured: Floats) -> str:
    """Mean absolute error in %, and in brackets the mean of its sign and how many runs it is of."""
    error = 100 * (told / measured - 1)
    known = error[np.isfinite(error)]
    if not len(known):
        return "–"
    return f"{np.mean(np.abs(known)):.0f} % ({np.mean(known):+.0f}, {len(known)})"


def by_gamma(name: str, made: Comparison) -> list[list[str]]:
    """Medians over the seeds at each γ: what was measured, and over it what was predicted."""
    runs, rows = made.table, []
    rescaled = one_resolution(made)[1]
    for gamma in np.unique(runs["gamma"].values):
        own = runs["gamma"].values == gamma
        t = runs["measured_t_grok"].values[own]
        tau = runs["eta_d"].values[own] * gamma * t
        told = (predicted(runs, "flow"), predicted(runs, "path"), rescaled)
        row = [_middle(runs["measured_t_mem"].values[own]), _middle(t), _middle(tau)]
        reached = f"{np.isfinite(t).sum()} of {own.sum()}"
        rows.append(
            [SYSTEMS[name].name, number(float(gamma)), reached, *row, *(_middle(x[own] / t) for x in told)]
        )
    return rows


def _middle(values: Floats) -> str:
    known = values[np.isfinite(values)]
    return number(float(np.median(known))) if len(known) else "–"


def claims(compared: Mapping[str, Comparison]) -> list[list[str]]:
    """P's law, and whether a path tells every γ of it, system by system."""
    kept, told = {}, {}
    for name, made in compared.items():
        runs = lawful(name, made)
        off = np.abs(predicted(runs, "path") / runs["measured_t_grok"].values - 1)
        reached = np.isfinite(runs["measured_t_grok"].values)
        kept[name] = abs(slopes(name, made)[0] + 1) <= LAW
        # a run that has a time, and is told none, is not told; the mean of NaN is above nothing
        close = bool(reached.any() and np.mean(off[reached]) <= TOLD)
        told[name] = close and not _missed(runs, predicted(runs, "path")).any()
    return [
        ["t ∝ 1/γ, a slope within 0.1 of −1", *_sides(kept)],
        ["one path tells every γ, within 10 % in the mean", *_sides(told)],
    ]


def _sides(came: Mapping[str, bool]) -> list[str]:
    each = ["; ".join(SYSTEMS[k].name for k in came if came[k] is yes) for yes in (True, False)]
    return [f"{sum(came.values())} of {len(came)}", each[0] or "none", each[1] or "none"]


def draw(ax: Axes, name: str, made: Comparison) -> None:
    """Measured times of each seed, and what the path and Eq. 6 say of them."""
    runs = made.table
    gamma, t = runs["gamma"].values, runs["measured_t_grok"].values
    ax.plot(gamma, runs["measured_t_mem"], ".", color=GREEN, alpha=0.6, label="fitted")
    ax.plot(gamma, predicted(runs, "flow"), "s", color=ORANGE, fillstyle="none", label="Eq. 6")
    ax.plot(gamma, predicted(runs, "path"), "x", color=VERMILLION, markersize=8, label="decay path")
    ax.plot(gamma, t, "o", color=BLUE, markersize=4, label="generalized")
    missed = np.isnan(t)
    ax.plot(
        gamma[missed], runs["last"].values[missed], "^", color=BLUE, fillstyle="none", label="not by then"
    )
    decays = np.unique(gamma)
    known = lawful(name, made)
    if np.isfinite(known["measured_t_grok"]).any():
        middle = np.exp(np.nanmean(np.log(known["measured_t_grok"].values * known["gamma"].values)))
        ax.plot(decays, middle / decays, "--", color=BLACK, linewidth=1, label="1/γ")
    s, low, high = slopes(name, made)
    ax.set(xscale="log", yscale="log", xlabel="weight decay γ", ylabel="optimizer steps")
    ax.set_xticks(decays, [f"{g:g}" for g in decays])
    ax.xaxis.set_minor_formatter(NullFormatter())
    in_plain(ax.yaxis)
    ax.set_title(f"{SYSTEMS[name].name}\nslope {s:.2f} ({low:.2f} – {high:.2f})", fontsize="medium")


@recipe(
    "decays",
    "time against decay on every system that decays, and its decay path beside it",
    seeds=4,
    minutes=100,
    data="MNIST and IMDb",
)
def run(
    out: Path,
    seeds: int,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(SYSTEMS)} (all)"] = tuple(SYSTEMS),
) -> None:
    check_systems(systems, SYSTEMS)
    chosen = range(min(seeds, 3))
    compared = {name: SYSTEMS[name].compared(out / name, chosen) for name in systems}
    print(f"## Time against weight decay, {len(chosen)} seeds")
    head = ["system", "γ", "test accuracy", "reached", "slope of ln t_grok (90 %, seeds)", "1/γ"]
    head += ["of ln t_mem", "ηγt of a seed, largest over least"]
    table(head, [law(k, x) for k, x in compared.items()], "law")
    print("\n## Mean absolute error of t_grok (mean of the sign, runs that are told)")
    head = ["system", *PREDICTORS, "one resolution of the path", "not reached, but told: Eq. 6, path"]
    table(head, [errors(k, x) for k, x in compared.items()], "errors")
    print("\n## By γ, medians over the seeds; predictions over the measured time")
    head = ["system", "γ", "reached", "t_mem", "t_grok", "ηγt", "Eq. 6", "path", "one resolution"]
    table(head, [row for k, x in compared.items() for row in by_gamma(k, x)], "times")
    table(["claim", "came out", "yes", "no"], claims(compared), "claims")
    for name, made in compared.items():
        if made.table.attrs["remarks"]:
            print(f"\n{SYSTEMS[name].name}: {made.table.attrs['remarks']}")
    took(*sorted(out.glob("*/*.nc")))
    draw_all(compared, out / "decays.png")
    print(f"\nFigure: {out / 'decays.png'}")


def draw_all(compared: Mapping[str, Comparison], file: Path) -> None:
    """A panel a system."""
    across = min(4, len(compared))
    down = -(-len(compared) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(3.8 * across, 3.7 * down), squeeze=False, layout="constrained"
    )
    for ax, (name, made) in zip(axes.flat, compared.items(), strict=False):
        draw(ax, name, made)
    for ax in axes.flat[len(compared) :]:
        ax.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(file, dpi=110)
