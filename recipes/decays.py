"""Time against weight decay on every system that decays, and its decay path beside it:
`python recipes/decays.py [--seeds 3] [--systems mnist imdb]`.

P claims t ∝ 1/γ for the transformer and MNIST (Fig. 10). Here the same on all of its and the poster's
systems but QM9, whose runs have no decay. Each is trained at several γ, and put through `compare` with a
landscape and a decay path of the same seeds; nothing is fitted but the baseline inverse_gamma. The second
question is for which systems one path tells every γ: the whole path, and one resolution of it, taken as it
is. Needs the MNIST and IMDb files (docs/data.md). Stopped, it goes on when called again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from common import folder, from_above, number, pathed, spread, table, took, trained
from drawing import in_plain
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from modular import transformer
from numpy.typing import NDArray

from groktime.fullnet.find import find_task
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import addition, mnist, mnist_representation, teacher_student
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.figures.style import BLACK, BLUE, GREEN, ORANGE, VERMILLION
from groktime.reduced.landscape import open_landscape
from groktime.reduced.path_prediction import predict_on_path
from groktime.validation.compare import Comparison, compare
from groktime.validation.survival import slope

Floats = NDArray[np.float64]

LAW = 0.1  # by which a slope may differ from -1
TOLD = 0.1  # mean error up to which a path tells the times
FITTED = "1/γ, fitted"
PREDICTORS = {"Eq. 6": "", "closed form": "_printed", "corrected": "_corrected", "path": "_path",
              FITTED: "_inverse_gamma"}  # fmt: skip


@dataclass(frozen=True)
class System:
    """One system: its starts, decays and threshold (None: the task's); how its runs, its landscape (on
    spheres from `alpha` down to `lowest`) and its path are made."""

    name: str
    task: Callable[[], Task]
    alpha: float
    gamma: Sequence[float]
    steps: int
    path: Mapping[str, Any]
    lowest: float | None = None  # None: of the landscape that ships
    sphere: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    law_up_to: float = np.inf  # the largest γ at which the law is claimed
    start: Mapping[str, Any] = field(default_factory=dict)  # of runs and path alike
    run: Mapping[str, Any] = field(default_factory=dict)

    def compared(self, out: Path, seeds: Sequence[int]) -> Comparison:
        """Trained, sampled and predicted, or read again."""
        out.mkdir(parents=True, exist_ok=True)
        task, start = self.task(), {"alpha": self.alpha, "seeds": seeds, **self.start}
        runs = trained(out / "runs.nc", task, **start, gamma=self.gamma, steps=self.steps, **self.run)
        path = pathed(out / "path.nc", task, **start, **self.path)
        if self.lowest is None:
            return compare(open_landscape(task.name), runs, path, threshold=self.threshold)
        lands = from_above(
            out / "above-{:g}.nc", task, alpha=[self.alpha], lowest=self.lowest, seeds=seeds,
            **({"m": [self.start["m"]]} if "m" in self.start else {}), **self.sphere,
            budgets=[self.sphere["steps"]],
        )  # fmt: skip
        return compare(lands, runs, path, threshold=self.threshold)


def imdb() -> Task:
    """The first hundred known words of each review: a step costs as many."""
    return find_task("imdb", {"length": 100}, preset="small")


def four_operations() -> Task:
    return find_task("four-operations", {"operation": "+"}, preset="small")


SYSTEMS = {
    "teacher-student": System(
        "teacher–student", teacher_student, 3.0, (0.03, 0.1, 0.3, 1.0, 3.0), 100_000,
        {"refit": (10, 25, 50, 100, 200, 400), "tau": 1.5, "stop_at": 0.95},
        lowest=0.9, sphere={"step": 0.04, "steps": 500}, run={"stop_at": 0.95},
    ),
    "addition": System(
        "toy addition, its m trained", lambda: addition(variant="official"), 3.6, (1e-4, 3e-4, 1e-3), 40_000,
        {"dtau": 0.01, "refit": (100, 200, 400, 800), "tau": 0.6},
        start={"m": 0.08, "n_train": 45, "eta_d": 0.03, "eta_r": 3e-3, "optimizer": "sgd",
               "representation": "line"},
    ),
    "mnist": System(
        "MNIST", lambda: mnist(n_train=1000), 9.0, (0.1, 0.3, 1.0, 3.0), 20_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100, 200, 400), "tau": 1.6, "stop_at": 0.8},
        lowest=2.5, sphere={"step": 0.04, "steps": 150}, threshold=0.7, law_up_to=1.0, run={"stop_at": 0.8},
    ),
    "mnist-ce": System(
        "MNIST, cross-entropy", lambda: mnist(n_train=200, loss="ce"), 100.0, (0.1, 0.3, 1.0, 3.0), 40_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100, 200, 400), "tau": 4.6, "stop_at": 0.65},
        lowest=1.0, sphere={"step": 0.12, "steps": 200}, threshold=0.55, law_up_to=1.0, run={"stop_at": 0.65},
    ),
    "mnist-representation": System(
        "MNIST, interpolated representation", lambda: mnist_representation(n_train=1000, n_test=2000), 8.0,
        (0.1, 0.3, 1.0, 3.0), 20_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100, 200, 400), "tau": 1.6, "stop_at": 0.8},
        lowest=2.5, sphere={"step": 0.08, "steps": 150}, law_up_to=1.0,
        start={"m": 0.5}, run={"stop_at": 0.8},
    ),
    "transformer": System(
        "transformer, a + b", lambda: transformer(full=False), 1.0, (0.5, 1.0, 2.0, 4.0), 25_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100), "tau": 8.0, "stop_at": 0.95},
        lowest=0.5, sphere={"step": 0.14, "steps": 200}, run={"stop_at": 0.95},
    ),
    "four-operations": System(
        "decoder of two blocks, x + y", four_operations, 1.0, (0.5, 1.0, 2.0, 4.0), 12_000,
        {"dtau": 0.05, "refit": (12, 25, 50, 100), "tau": 4.0, "stop_at": 0.95},
        lowest=0.3, sphere={"step": 0.15, "steps": 200}, run={"stop_at": 0.95, "resolution": 0.03},
    ),
    "imdb": System(
        "IMDb, LSTM", imdb, 6.0, (1.0, 2.0, 4.0), 5_400,
        {"dtau": 0.05, "refit": (12, 25, 50), "tau": 5.4},
        lowest=0.1, sphere={"step": 0.3, "steps": 150}, threshold=0.6, run={"resolution": 0.06},
    ),
}  # fmt: skip


def one_resolution(made: Comparison) -> tuple[float, Floats]:
    """The decay that lies, of the path's resolutions, nearest to the middle of the runs' in ln γ; and the
    times that its τ_c alone tells of the runs, as if it held for every γ."""
    path, runs = made.path, made.table
    assert path is not None
    gamma = runs["gamma"].values
    middle = float(np.exp(np.mean(np.log(np.unique(gamma)))))
    alone = float(path.gamma_eff[np.argmin(np.abs(np.log(path.gamma_eff / middle)))])
    asked = list(zip(runs["seed"].values.tolist(), runs["threshold"].values.tolist(), strict=True))
    tau = {(seed, limit): _tau(path, alone, seed, limit) for seed, limit in set(asked)}
    return alone, np.array([tau[one] for one in asked]) / (runs["eta_d"].values * gamma)


def _tau(path: DecayPath, gamma: float, seed: int, threshold: float) -> float:
    found = predict_on_path(
        path, gamma=gamma, eta_d=path.eta_d, alpha=path.alpha[0], seed=seed, threshold=threshold
    )
    return found.tau_c


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
    told = {key: runs[f"predicted_t_grok{end}"].values for key, end in PREDICTORS.items()}
    told[FITTED] = np.where(runs["fitted_inverse_gamma"].values, np.nan, told[FITTED])
    wrong = ", ".join(str(sum(_missed(runs, told[key]))) for key in ("Eq. 6", "path"))
    one = f"{_error(rescaled, t)}, γ_eff = {number(alone)}"
    return [SYSTEMS[name].name, *(_error(x, t) for x in told.values()), one, wrong]


def _missed(runs: xr.Dataset, told: Floats) -> NDArray[np.bool_]:
    """Runs that had not generalised by their end, and were told to."""
    return np.isnan(runs["measured_t_grok"].values) & (told <= runs["last"].values)


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
        told = (runs["predicted_t_grok"].values, runs["predicted_t_grok_path"].values, rescaled)
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
        off = np.abs(runs["predicted_t_grok_path"].values / runs["measured_t_grok"].values - 1)
        reached = np.isfinite(runs["measured_t_grok"].values)
        kept[name] = abs(slopes(name, made)[0] + 1) <= LAW
        # a run that has a time, and is told none, is not told; the mean of NaN is above nothing
        close = bool(reached.any() and np.mean(off[reached]) <= TOLD)
        told[name] = close and not _missed(runs, runs["predicted_t_grok_path"].values).any()
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
    ax.plot(gamma, runs["predicted_t_grok"], "s", color=ORANGE, fillstyle="none", label="Eq. 6")
    ax.plot(gamma, runs["predicted_t_grok_path"], "x", color=VERMILLION, markersize=8, label="decay path")
    ax.plot(gamma, t, "o", color=BLUE, markersize=4, label="generalised")
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


def main() -> None:
    options = folder(
        __doc__ or "",
        ("--systems", {"nargs": "+", "choices": SYSTEMS, "default": list(SYSTEMS), "help": "which"}),
    )
    seeds = range(min(options.seeds, 3))
    compared = {name: SYSTEMS[name].compared(options.out / name, seeds) for name in options.systems}
    print(f"## Time against weight decay, {len(seeds)} seeds")
    head = [
        "system",
        "γ",
        "test accuracy",
        "reached",
        "slope of ln t_grok (90 %, seeds)",
        "1/γ",
        "of ln t_mem",
    ]
    table([*head, "ηγt of a seed, largest over least"], [law(k, x) for k, x in compared.items()])
    print("\n## Mean absolute error of t_grok (mean of the sign, runs that are told)")
    head = ["system", *PREDICTORS, "one resolution of the path", "not reached, but told: Eq. 6, path"]
    table(head, [errors(k, x) for k, x in compared.items()])
    print("\n## By γ, medians over the seeds; predictions over the measured time")
    head = ["system", "γ", "reached", "t_mem", "t_grok", "ηγt", "Eq. 6", "path", "one resolution"]
    table(head, [row for k, x in compared.items() for row in by_gamma(k, x)])
    table(["claim", "came out", "yes", "no"], claims(compared))
    for name, made in compared.items():
        if made.table.attrs["remarks"]:
            print(f"\n{SYSTEMS[name].name}: {made.table.attrs['remarks']}")
    took(*sorted(options.out.glob("*/*.nc")))

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
    figure.savefig(options.out / "decays.png", dpi=110)
    print(f"\nFigure: {options.out / 'decays.png'}")


if __name__ == "__main__":
    main()
