"""Toy addition from rung to rung, on two sizes: `python -m groktime.recipes drift_ladder`.

The networks of `drift_addition`, fitted at a frozen m on the sphere of their start, at η_R/η_D = 0.1 and two
γ: Eq. 6 on a landscape of their seed, the same on the network's own metric, Eq. 6 with the network in the
loop, a decay path, the restricted network by gradient descent (which trains m), the full one (which trains
R), and the full one by AdamW with the same ηγ. Of each, m over ηγt, and the ηγt to a test loss. Nothing is
fitted. Stopped, it goes on when called again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.runs import Runs, open_runs
from groktime.recipes.registry import recipe
from groktime.recipes.results.drift_sizes import SIZES, Size
from groktime.recipes.results.drift_tables import SHOWN, Found, asked, halfway, named, reached
from groktime.recipes.results.released import Release, Start, released
from groktime.recipes.shared.common import check_systems, kept, took
from groktime.recipes.shared.drawing import labelled
from groktime.recipes.shared.tables import number, table
from groktime.reduced.figures.file import save
from groktime.reduced.figures.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, new_figure

Floats = NDArray[np.float64]

RUNS = (0, 3)  # of a size: η_R/η_D = 0.1, and γ of 3e-3 and 3e-4
# Of a size not all of whose runs have the network in the loop, those that do: the other takes over an hour.
LOOPED = {"p30": RUNS[:1]}
LUMP, REFITS = 0.0125, (50, 25)  # of the decay path, read at γ along a straight line through both
ADAMW_RATE = 1e-3
TRAINED = "restricted, SGD"
COLOURS = {
    "Eq. 6 on the landscape": VERMILLION,
    "Eq. 6 on the network's own metric": BLUE,
    "Eq. 6, network in the loop": ORANGE,
    "decay path, SGD": SKY,
    TRAINED: BLACK,
    "full, SGD": GREEN,
    "full, AdamW": PURPLE,
}


@dataclass(frozen=True)
class Rung:
    """m over m at the start [seed, τ], and the ηγt to the test loss [seed]; NaN where there is none."""

    m: Floats
    passed: Floats


def climbed(size: Size, out: Path, found: Found, k: int) -> dict[str, Rung]:
    """The rungs of the k-th run of a size."""
    one = size.runs[k]
    limits = np.array([halfway(size, found.lands[s], "loss") for s in found.seeds])
    told = [asked(size, found.lands[s], one, "loss") for s in found.seeds]
    in_tau = one.gamma * one.rate
    ways = {drift: np.array([found.told[s, k, drift][1] for s in found.seeds]) for drift in (False, True)}
    rungs = {
        "Eq. 6 on the landscape": Rung(ways[False], np.array([in_tau * p.t_grok for p in told])),
        "Eq. 6 on the network's own metric": Rung(
            ways[True], np.array([in_tau * p.forms["drift"] for p in told])
        ),
    }
    if k in LOOPED.get(size.preset, RUNS):
        rungs["Eq. 6, network in the loop"] = looped(size, out, found, one, limits)
    rungs["decay path, SGD"] = on_path(size, out, found, one, limits)
    made = {s: {name: found.made[s][name][k] for name in ("m", "test_loss")} for s in found.seeds}
    rungs[TRAINED] = _rung(size, made, limits)
    free = replace(one, representation="free")
    rungs["full, SGD"] = _trained(size, out, found, free, limits)
    gamma = one.gamma * one.rate / ADAMW_RATE  # the same ηγ
    adamw = replace(free, rule="adamw", rate=ADAMW_RATE, gamma=gamma)
    rungs["full, AdamW"] = _trained(size, out, found, adamw, limits)
    return rungs


def looped(size: Size, out: Path, found: Found, one: Release, limits: Floats) -> Rung:
    """Eq. 6 as printed, its landscape read off the network in every turn."""
    file = out / f"loop-{one.gamma:g}.nc"
    runs = open_runs(file) if file.exists() else _integrated(size, file, found, one)
    tau = runs.step * one.gamma * one.rate
    made = {}
    for k, seed in enumerate(runs.dataset["seed"].values.tolist()):
        curves = {name: runs.dataset[name].values[k] for name in ("m", "test_loss")}
        known = np.isfinite(curves["m"])
        made[seed] = {name: _at(size.taus, tau[known], values[known]) for name, values in curves.items()}
    return _rung(size, made, limits)


def _integrated(size: Size, file: Path, found: Found, one: Release) -> Runs:
    return integrate_networks(
        size.task(), gamma=one.gamma, eta_d=one.rate, eta_r=one.rate * one.ratio, alpha=size.alpha, m=size.m,
        n_train=size.n, seeds=found.seeds, steps=round(one.tau / (one.gamma * one.rate)), start=size.fit,
        out=file,
    )  # fmt: skip


def _at(taus: Floats, tau: Floats, values: Floats) -> Floats:
    """A curve at these places, NaN beyond its end, which is a whole step."""
    return np.where(taus <= tau[-1] * (1 + 1e-3), np.interp(taus, tau, values), np.nan)


def on_path(size: Size, out: Path, found: Found, one: Release, limits: Floats) -> Rung:
    """A decay path of its m, too, read at γ: beyond its own γ_eff, along the straight line in γ."""
    effs = [LUMP / (refit * one.rate) for refit in REFITS]
    paths = [replace(one, gamma=eff, lump=LUMP, tau=size.runs[0].tau) for eff in effs]
    name = f"path-{one.rate:g}-{one.ratio:g}"
    beyond = (effs[0] - one.gamma) / (effs[1] - effs[0])
    made = {}
    for seed in found.seeds:
        each = _kept(size, out / f"{name}-{seed}.npz", seed, paths)
        made[seed] = {
            key: np.where(size.taus <= one.tau, (1 + beyond) * each[key][0] - beyond * each[key][1], np.nan)
            for key in ("m", "test_loss")
        }
    return _rung(size, made, limits)


def _trained(size: Size, out: Path, found: Found, one: Release, limits: Floats) -> Rung:
    made = {}
    for seed in found.seeds:
        file = out / f"{one.representation}-{one.rule}-{one.gamma:g}-{seed}.npz"
        made[seed] = {name: values[0] for name, values in _kept(size, file, seed, [one]).items()}
    return _rung(size, made, limits)


def _kept(size: Size, file: Path, seed: int, runs: list[Release]) -> dict[str, Floats]:
    start = Start(seed, size.alpha, size.m, size.n, size.fit)
    return kept(file, partial(released, size.task(), start, runs, size.taus))


def _rung(size: Size, made: Mapping[int, Mapping[str, Floats]], limits: Floats) -> Rung:
    passed = [
        reached(size.taus, curves["test_loss"], limit, "loss")
        for curves, limit in zip(made.values(), limits, strict=True)
    ]
    return Rung(np.array([curves["m"] / size.m for curves in made.values()]), np.array(passed))


def rows(size: Size, k: int, rungs: Mapping[str, Rung]) -> list[list[str]]:
    """One row a rung: m, medians over the seeds; its mean distance from the restricted networks; times."""
    one, trained, out = size.runs[k], rungs[TRAINED], []
    shown = [int(np.argmax(np.isclose(size.taus, t))) for t in SHOWN]
    for name, rung in rungs.items():
        known = np.isfinite(trained.m) & np.isfinite(rung.m) & (size.taus > 0)
        cells = [
            "–" if np.isnan(rung.m[:, j]).any() else number(float(np.median(rung.m[:, j]))) for j in shown
        ]
        off = number(float(np.abs(rung.m - trained.m)[known].mean())) if known.any() else "–"
        times = ", ".join(f"{x:.3f}" if np.isfinite(x) else "–" for x in rung.passed)
        out.append([named(one), name, *cells, "" if name == TRAINED else off, times])
    return out


@recipe("drift_ladder", "toy addition from rung to rung, on two sizes", seeds=3)
def run(
    out: Path,
    seeds: int,
    *,
    sizes: Annotated[tuple[str, ...], f"which of {', '.join(SIZES)} (all)"] = tuple(SIZES),
) -> None:
    check_systems(sizes, SIZES, "--sizes")
    shown, files = {}, []
    for name in sizes:
        size, where = SIZES[name], out / name
        where.mkdir(parents=True, exist_ok=True)
        found = Found.of(size, where, list(range(min(seeds, 4))))
        shown[name] = {k: climbed(size, where, found, k) for k in RUNS}
        print(f"\n## {name}: m over m at the start at ηγt =, medians; ηγt to a test loss, by seed")
        head = ["network", "rung", *(f"{t:g}" for t in SHOWN), "mean distance from restricted", "to the loss"]
        table(
            head, [row for k, rungs in shown[name].items() for row in rows(size, k, rungs)], f"rungs-{name}"
        )
        files += [*sorted(where.glob("*.nc")), *sorted(where.glob("*.npz"))]
    took(*files)
    draw(shown, out / "drift-ladder.png")
    print(f"\nFigure: {out / 'drift-ladder.png'}")


def draw(shown: Mapping[str, Mapping[int, Mapping[str, Rung]]], file: Path) -> None:
    """A panel a size: m over ηγt on every rung at the larger γ, medians over the seeds."""
    figure = new_figure(max(6.5, 5.2 * len(shown)), 4.8)
    axes = np.atleast_1d(figure.subplots(1, len(shown), sharey=True))
    for ax, (name, runs) in zip(axes, shown.items(), strict=True):
        size = SIZES[name]
        for label, rung in runs[RUNS[0]].items():
            style = "o-" if label == TRAINED else "-"
            ax.plot(size.taus, np.median(rung.m, 0), style, color=COLOURS[label], label=label, markersize=3)
        ax.set(xlabel=r"$\eta\gamma t$", title=f"{name}, N = {size.n}: γ = {size.runs[RUNS[0]].gamma:g}")
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("$m/m_0$")
    drawn = labelled(axes)
    figure.legend(
        drawn.values(), drawn, loc="outside lower center", ncols=2 + (len(shown) > 1), frameon=False
    )
    save(figure, file, overwrite=True)
