"""Teacher–student, P Fig. 2.

P claims: (a) the reduced training loss is an L and the test loss a U with its minimum at α of about 1;
(b) α = 0.5 generalizes at once whatever γ, α = 2 not at all (γ = 0), late (0.03), sooner (1);
(c) steps to 95 % training accuracy do not depend on γ, steps to 95 % test accuracy go as 1/γ.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from groktime.fullnet.runs import Runs
from groktime.fullnet.tasks import teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import of, took, trained
from groktime.recipes.shared.tables import number, span, table
from groktime.reduced.figures.lu import draw_lu
from groktime.reduced.figures.style import BLUE, GREEN, PALETTE, VERMILLION
from groktime.reduced.landscape import open_landscape
from groktime.reduced.prediction import predict
from groktime.validation.measure import measure
from groktime.validation.survival import slope, summary

STEPS = 100_000
ETA = 3e-4
DECAYS = np.geomspace(0.03, 1, 8)
ALPHAS = (2.0, 3.0)


def decay_rate(run: xr.Dataset, t_mem: float, t_grok: float) -> float:
    """-d ln w/dt between fitting and generalizing, over ηγ; NaN if that is too short to tell."""
    steps = run["step"].values
    flat = (steps >= 2 * t_mem) & (steps <= t_grok)
    if flat.sum() < 10:
        return float("nan")
    fall = np.polyfit(steps[flat], np.log(run["weight_norm"].values[flat]), 1)[0]
    return float(-fall / (ETA * run["gamma"]))


def times(delays: xr.Dataset, runs: xr.Dataset) -> list[str]:
    """Times beside the landscape's prediction for the same seed, norm at generalization and rate of
    decay for each α and γ; the slopes, also in words."""
    delays = delays.assign(
        rate=(
            "run",
            [decay_rate(runs.isel(run=k), *_ends(delays.isel(run=k))) for k in range(runs.sizes["run"])],
        ),
        w_c=delays["norm_at_grok"] / runs["w0"],
    )
    rows, land = [], open_landscape("teacher-student")
    for group in _groups(summary(delays)):
        alpha, gamma = float(group["alpha"]), float(group["gamma"])
        own = of(delays, alpha=alpha, gamma=gamma)
        p = predict(land, gamma=gamma, eta_d=ETA, alpha=alpha)
        told = {seed.seed: seed.t_grok for seed in p.seeds}
        error = [told[int(s)] / float(t) - 1 for s, t in zip(own["seed"], own["t_grok"], strict=True)]
        rows.append(
            [
                *_of_group(group),
                _missed(group),
                p.t_grok,
                f"{min(error):+.0%} to {max(error):+.0%}",
                span(float(own["w_c"].min()), float(own["w_c"].max())),
                span(float(own["rate"].min()), float(own["rate"].max())),
            ]
        )
    head = ["α", "γ", "t_mem", "t_grok", "not generalized", "predicted", "error, by seed"]
    table([*head, "w/w0 at generalizing", "decay of w over ηγ"], rows, "times")
    lines, said = [], []
    for alpha in ALPHAS:
        own = of(delays, alpha=alpha)
        for name in ("t_mem", "t_grok", "delay"):
            s, low, high = slope(own["gamma"].values, own[name].values, own["seed"].values)
            lines.append([alpha, name, s, span(low, high)])
            said.append(f"slope of ln {name} at α = {alpha:g}: {s:.2f} ({span(low, high)})")
    table(["α", "ln of", "slope against ln γ", "90 %, seeds"], lines, "slopes")
    return said


def _ends(delay: xr.Dataset) -> tuple[float, float]:
    end = float(delay["last"]) if bool(delay["test_censored"]) else float(delay["t_grok"])
    return float(delay["t_mem"]), end


def _groups(groups: xr.Dataset) -> list[xr.Dataset]:
    return [groups.isel(group=k) for k in range(groups.sizes["group"])]


def _of_group(group: xr.Dataset) -> list[float]:
    return [float(group[name]) for name in ("alpha", "gamma", "t_mem", "t_grok")]


def _missed(group: xr.Dataset) -> str:
    return f"{int(group['n_test_censored'])} of {int(group['n'])}"


def draw_curves(ax: Axes, runs: xr.Dataset, alpha: float) -> None:
    """Training (dotted) and test accuracy against steps, the median over seeds."""
    for colour, gamma in zip(PALETTE, (0.0, 0.03, 1.0), strict=False):
        own = of(runs, alpha=alpha, gamma=gamma)
        for name, style in (("train_accuracy", ":"), ("test_accuracy", "-")):
            label = f"γ = {gamma:g}" if style == "-" else None
            ax.plot(own["step"], own[name].median("run"), style, color=colour, label=label)
    ax.set(
        xscale="log", xlabel="optimizer steps", ylabel="accuracy", title=f"α = {alpha:g}", ylim=(-0.03, 1.03)
    )
    ax.set_xlim(left=10)
    ax.legend(title="test (dotted: training)", frameon=False, fontsize="small")


def draw_times(ax: Axes, delays: xr.Dataset) -> None:
    """Fig. 2c: every run as a point, medians as lines; censored runs as open triangles at their end."""
    for marker, alpha in zip("os", ALPHAS, strict=True):
        own = of(delays, alpha=alpha)
        middle = summary(own)
        for name, colour in (("t_mem", BLUE), ("t_grok", VERMILLION)):
            ax.plot(own["gamma"], own[name], marker, color=colour, alpha=0.35, markersize=4)
            what = "95 % training" if name == "t_mem" else "95 % test"
            finite = np.where(np.isfinite(middle[name]), middle[name], np.nan)
            ax.plot(middle["gamma"], finite, color=colour, marker=marker, label=f"{what}, α = {alpha:g}")
        missed = own.isel(run=own["test_censored"].values)
        ax.plot(missed["gamma"], missed["last"], "^", color=VERMILLION, fillstyle="none")
    top = summary(of(delays, alpha=ALPHAS[-1]))["t_grok"].values
    ax.plot(DECAYS, top[-1] * DECAYS[-1] / DECAYS, "--", color=GREEN, label="1/γ")
    ax.set(xscale="log", yscale="log", xlabel="weight decay γ", ylabel="optimizer steps")
    ax.legend(frameon=False, fontsize="small")


@recipe("fig2", "P Fig. 2: teacher–student, LU landscape and delay against decay", seeds=4, minutes=7)
def run(out: Path, seeds: int) -> None:
    task, chosen = teacher_student(), range(seeds)
    sweep, curves = out / "sweep.nc", out / "curves.nc"
    runs = trained(sweep, task, gamma=DECAYS, alpha=ALPHAS, seeds=chosen, steps=STEPS, stop_at=0.95)
    few = trained(curves, task, gamma=[0, 0.03, 1], alpha=[0.5, 2], seeds=chosen, steps=STEPS)
    delays = measure(runs)

    print("## Fig. 2c: times against γ")
    said = times(delays, runs.dataset)
    print("\n## Fig. 2b: α = 0.5 and 2")
    groups = _groups(summary(measure(few)))
    head = ["α", "γ", "t_mem", "t_grok", "not generalized"]
    table(head, [[*_of_group(g), _missed(g)] for g in groups], "few")
    last = few.dataset.isel(time=-1)
    still = of(last, alpha=2, gamma=0)["test_accuracy"]
    reached = span(float(still.min()), float(still.max()))
    said.append(f"α = 2, γ = 0 after {STEPS:,} steps: test accuracy {reached}")
    print("\n" + said[-1])
    took(sweep, curves)
    print("\n" + (__doc__ or "").split("\n\n")[1])
    print(f"\nCame out, {number(seeds)} seeds:\n" + "\n".join(said))
    draw(few, delays, out / "fig2.png")
    print(f"\nFigure: {out / 'fig2.png'}")


def draw(few: Runs, delays: xr.Dataset, file: Path) -> None:
    """Landscape and curves, and the times against γ over both rows."""
    figure = plt.figure(figsize=(14, 8), layout="constrained")
    panels = figure.subplot_mosaic("lab\nmcb")
    draw_lu(panels["l"], panels["m"], open_landscape("teacher-student"))
    draw_curves(panels["a"], few.dataset, 0.5)
    draw_curves(panels["c"], few.dataset, 2.0)
    draw_times(panels["b"], delays)
    figure.savefig(file, dpi=110)
