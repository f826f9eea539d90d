"""Transformer, time against weight decay, P Fig. 10a.

P claims: the time to generalize goes as 1/γ over two decades, and the prefactor depends on the seed. Beside
it what the decay path of the same seeds says, sampled at decays of 4.2 to 0.5. γ = 1 is
that of fig7, from the folder fig7 beside this one's; what is not there is trained.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.ticker import NullFormatter

from groktime.recipes.registry import recipe
from groktime.recipes.shared.common import pathed, took, trained
from groktime.recipes.shared.modular import FULL, SIZES, free_runs, transformer
from groktime.recipes.shared.tables import number, span, table
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.figures.style import BLACK, PALETTE
from groktime.reduced.prediction import predict
from groktime.validation.measure import measure
from groktime.validation.survival import slope

ETA = 1e-3
FEW = (0.25, 0.5, 2.0, 4.0)  # weight decays
LAW = 0.1  # by which the slope may differ from -1
DTAU, REFIT = 0.05, (12, 25, 50, 100)  # γ_eff = DTAU/(REFIT ETA), from 4.2 to 0.5


def told(path: DecayPath, delays: xr.Dataset) -> np.ndarray:
    """What the path of each run's seed says of its t_grok, [run]."""
    settings = zip(delays["gamma"].values, delays["alpha"].values, delays["seed"].values, strict=True)
    return np.array(
        [predict(path, gamma=float(g), eta_d=ETA, alpha=float(a), seed=int(s)).t_grok for g, a, s in settings]
    )


def times(delays: xr.Dataset, predicted: np.ndarray) -> None:
    """Every run."""
    rows = []
    for k in np.lexsort((delays["seed"].values, delays["gamma"].values)):
        gamma, t = float(delays["gamma"][k]), float(delays["t_grok"][k])
        row = [gamma, number(int(delays["seed"][k])), float(delays["t_mem"][k]), t, ETA * gamma * t]
        error = predicted[k] / t - 1
        rows.append([*row, float(predicted[k]), f"{error:+.0%}" if np.isfinite(error) else "–"])
    table(["γ", "seed", "t_mem", "t_grok", "ηγ t_grok", "path", "error"], rows, "times")


def claims(delays: xr.Dataset) -> list[list[str]]:
    """P's claims against what came out; the slopes of each seed first."""
    gamma, seed = delays["gamma"].values, delays["seed"].values
    rows = []
    for name in ("t_mem", "t_grok"):
        t = delays[name].values
        each = [slope(gamma[seed == s], t[seed == s], seed[seed == s])[0] for s in np.unique(seed)]
        s, low, high = slope(gamma, t, seed)
        rows.append([name, s, span(low, high), ", ".join(f"{x:.2f}" for x in each)])
    table(["ln of", "slope against ln γ", "90 %, seeds", "by seed"], rows, "slopes")
    t, censored = delays["t_grok"].values, delays["test_censored"].values
    lawful = [abs(x + 1) <= LAW for x in each]  # the last ones, of t_grok
    text = f"slopes {', '.join(f'{x:.2f}' for x in each)}, γ from {gamma.min():g} to {gamma.max():g}"
    text += f"; {censored.sum()} of {len(t)} runs had not generalized, and are left out"
    least = np.where(censored, delays["last"].values, t)  # a censored run takes longer than it was watched
    ratios = [f"{least[gamma == g].max() / least[gamma == g].min():.2f}" for g in np.unique(gamma)]
    spread = min(map(float, ratios)) > 1 + LAW
    prefactor = f"slowest over fastest seed, at least: {', '.join(ratios)}, by γ"
    return [
        ["t ∝ 1/γ", "yes" if all(lawful) else f"{sum(lawful)} of {len(each)} seeds", text],
        ["the prefactor depends on the seed", "yes" if spread else "no", prefactor],
    ]


@recipe("fig10a", "P Fig. 10a: transformer, time against decay", seeds=4, minutes=10, full=True)
def run(out: Path, seeds: int, full: bool) -> None:
    chosen = range(seeds if full else min(seeds, 3))
    files = out / "decay.nc", out / "path.nc"
    task = transformer(full)
    runs = trained(
        files[0], task, gamma=[g for g in np.geomspace(0.1, 10, 9) if g != 1] if full else FEW, alpha=1.0,
        seeds=chosen, steps=300_000 if full else 40_000, resolution=0.03, stop_at=0.95,
    )  # fmt: skip
    path = pathed(
        files[1], task, alpha=1.0, seeds=chosen, eta_d=ETA, dtau=DTAU, refit=REFIT,
        tau=30.0 if full else 7.0, stop_at=0.95,
    )  # fmt: skip
    at_one = measure(free_runs(out.parent / "fig7", full, chosen))
    delays = xr.concat([at_one.isel(run=at_one["seed"].isin(chosen)), measure(runs)], "run")
    predicted = told(path, delays)
    sizes = FULL if full else SIZES
    print(f"## Fig. 10a: {sizes}, {len(chosen)} seeds")
    times(delays, predicted)
    found = claims(delays)
    table(["claim", "came out", "numbers"], found, "claims")
    took(*files)
    draw(delays, predicted, sizes, out / "fig10a.png")
    print(f"\nFigure: {out / 'fig10a.png'}")


def draw(delays: xr.Dataset, predicted: np.ndarray, sizes: str, file: Path) -> None:
    """Times of each seed against γ, and what its path says."""
    figure, ax = plt.subplots(figsize=(6.5, 4.8), layout="constrained")
    for colour, seed in zip(PALETTE, np.unique(delays["seed"]), strict=False):
        own = delays["seed"].values == seed
        gamma, order = delays["gamma"].values[own], np.argsort(delays["gamma"].values[own])
        for name, style in (("t_mem", ":"), ("t_grok", "-")):
            what = "95 % test" if name == "t_grok" else "95 % training"
            t = delays[name].values[own]
            ax.plot(gamma[order], t[order], style, marker="o", color=colour, label=f"{what}, seed {seed}")
        ax.plot(gamma, predicted[own], "x", color=colour, markersize=9, label=f"path, seed {seed}")
    decays = np.unique(delays["gamma"])
    middle = np.exp(np.nanmean(np.log(delays["t_grok"].values * delays["gamma"].values)))
    ax.plot(decays, middle / decays, "--", color=BLACK, label="1/γ")
    missed = delays.isel(run=delays["test_censored"].values)
    if missed.sizes["run"]:
        label = "not generalized by then"
        ax.plot(missed["gamma"], missed["last"], "^", color=BLACK, fillstyle="none", label=label)
    ax.set(xscale="log", yscale="log", xlabel="weight decay γ", ylabel="optimizer steps")
    ax.set_xticks(decays, [f"{g:.2g}" for g in decays])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_title(sizes, fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(file, dpi=110)
