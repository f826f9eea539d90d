"""The ladder of approximations on toy addition (P §5.1, Fig. 6), official variant:
`python recipes/table_addition.py [--seeds 4] [--path] [--full] [-o out/table_addition]`.

Follows every setting from the closed form as printed to full networks by AdamW: N = 45 on the shipped
landscape `addition` (4 seeds), and N = 54, and 35, where the flow is trapped, on `addition-sizes` (2 seeds).
Both were sampled with the published gradient. Writes table.md, and for each landscape a ladder and, for
each N, the paths of Eq. 6 on the landscape, with the network in the loop, and of trained networks. Stopped,
it goes on when called again. About 20 minutes on two cores; --path adds the decay path of the restricted
network, at about the cost of the rest; --full samples landscapes of 8 seeds with the tangent gradient, adds a
third of the decay, and is for a GPU.
"""

from __future__ import annotations

import argparse
import math
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from common import folder, sampled, table
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.runs import open_runs
from groktime.fullnet.tasks import addition
from groktime.reduced.figures.file import save
from groktime.reduced.figures.landscape import draw_landscape
from groktime.reduced.figures.style import (
    ALPHA,
    BLACK,
    BLUE,
    GREEN,
    MESSINESS,
    PURPLE,
    VERMILLION,
    new_figure,
)
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.prediction import predict
from groktime.validation.ladder import Ladder, ladder

START = 9000  # steps on the sphere before the network in the loop sets off
ETA = 0.03  # of plain gradient descent, which the decoders bear
TAU = 0.8  # networks are trained up to this ηγt
# by landscape: N, γ, η_R/η_D, α, m
SETTINGS = {
    "addition": (
        (45, 1e-3, 0.1, 3.6, 0.08),
        (45, 3e-4, 0.1, 3.6, 0.08),
        (45, 1e-3, 0.01, 3.6, 0.08),
        (45, 1e-3, 1.0, 3.6, 0.08),
        (45, 1e-3, 0.1, 3.2, 0.08),
    ),
    "addition-sizes": (
        (54, 1e-3, 0.1, 3.6, 0.08),
        (54, 1e-3, 0.01, 3.6, 0.08),
        (35, 1e-3, 0.1, 3.6, 0.08),
    ),
}
TAUS = (0.05, 0.1, 0.2, 0.3, 0.5)
DU, DM = 0.005, 0.002
DTAU = 0.01  # of the decay path
NOWHERE = 1e-30  # a test loss that is never reached: a path to its very end
COLOURS = {
    "eq6": (VERMILLION, "Eq. 6 on the landscape"),
    "loop": (BLUE, "network in the loop"),
    "path": (BLACK, "decay path, SGD"),
    "restricted": (GREEN, "restricted network, SGD"),
    "gd": (PURPLE, "full network, SGD"),
}


def landscape(name: str, full: bool, out: Path) -> Landscape:
    """The shipped one, or in full one of 8 seeds with the tangent gradient."""
    if not full:
        return open_landscape(name)
    return sampled(
        out / "landscape.nc", addition(variant="official"), alpha=np.geomspace(1.2, 4.2, 18),
        m=np.linspace(0, 0.12, 13), seeds=range(8), n_train=sorted({n for n, *_ in SETTINGS[name]}),
    )  # fmt: skip


def answers(found: Ladder) -> None:
    """What was asked of the ladder, in numbers: how far m has come at each ηγt, and what explains what."""
    rows = found.table
    print("\n### Does a restricted network follow the integrated path?\n")
    print("m over m at the start, at ηγt =; medians over the seeds")
    lines = []
    for k in range(rows.sizes["setting"]):
        one = rows.isel(setting=k)
        name = describe(found, k)
        start = float(one["m_start"])
        for rung, (_, words) in shown(found).items():
            each = [path(found, k, rung, int(s)) for s in rows["seed"].values]
            ends = [
                np.interp(TAUS, tau, m, right=np.nan) if len(m) else [np.nan] * len(TAUS)
                for tau, _, m in each
            ]
            at = np.median(np.array(ends) / start, axis=0).tolist()
            half = np.median([half_way(tau, m, start) for tau, _, m in each])
            lines.append([name, words, *at, float(half)])
    table(["setting", "rung", *(f"{t:g}" for t in TAUS), "ηγt at which m is halved"], lines)

    print("\n### Do the corrected form and the 1/‖Δ‖² rate explain what the printed form misses?\n")
    print(
        "ln(rung / full network by SGD), over the settings and seeds that have both; and how many have a time"
    )
    full = rows["t_grok"].sel(rung="gd").values
    compared = {
        "printed": rows["t_grok"].sel(rung="printed").values,
        "corrected": rows["t_grok"].sel(rung="corrected").values,
        "corrected, rate 1/‖Δ‖²": rows["representation_rate"].sel(form="corrected").values,
        "Eq. 6": rows["t_grok"].sel(rung="eq6").values,
        "Eq. 6, rate 1/‖Δ‖²": rows["representation_rate"].sel(form="eq6").values,
        "network in the loop": rows["t_grok"].sel(rung="loop").values,
        "restricted network": rows["t_grok"].sel(rung="restricted").values,
    }
    if found.paths:
        compared["decay path"] = rows["t_grok"].sel(rung="path").values
    lines = []
    for name, times in compared.items():
        both = (times > 0) & (full > 0)
        error = np.log(times[both] / full[both])
        middle = float(np.median(error)) if error.size else np.nan
        size = float(np.median(np.abs(error))) if error.size else np.nan
        lines.append(
            [name, middle, size, int(both.sum()), int(np.isfinite(times).sum()), int((times == 0).sum())]
        )
    table(
        [
            "form",
            "median ln ratio",
            "median size",
            "pairs",
            "with a time",
            "of these 0: there from the start",
        ],
        lines,
    )


def resolution(found: Ladder, inner: int, out: Path) -> None:
    """The first setting with the network in the loop again, at other resolutions."""
    one = found.table.isel(setting=0)
    start = {name: float(one[name]) for name in ("gamma", "eta_d", "eta_r", "alpha")}
    print("\n### Is the network in the loop resolved?\n")
    print(f"m over m at the start, at ηγt =; medians over the seeds; {describe(found, 0)}")
    lines = []
    for steps, du, dm in (
        (inner // 2, DU, DM),
        (inner, DU, DM),
        (inner, DU / 2, DM / 2),
        (4 * inner, DU, DM),
    ):
        file = out / f"loop-{steps}-{du:g}.nc"
        if not file.exists():
            integrate_networks(
                addition(variant="official"), **start, m=float(one["m_start"]), n_train=int(one["n_train"]),
                seeds=[int(s) for s in one["seed"]], steps=int(one["steps"]) // 2, inner=steps, start=START,
                du=du, dm=dm, resolution=0.03, out=file,
            )  # fmt: skip
        ds = open_runs(file).dataset
        tau = ds["step"].values * start["gamma"] * start["eta_d"]
        at = [m_at(tau, ds["m"].values, t) / float(one["m_start"]) for t in TAUS[:4]]
        lines.append([f"{steps}", f"{du:g}", f"{dm:g}", *at])
    table(["inner", "du", "dm", *(f"{t:g}" for t in TAUS[:4])], lines)


def half_way(tau: np.ndarray, m: np.ndarray, start: float) -> float:
    """ηγt at which m first is half of what it was; infinite where it never is."""
    passed = m <= start / 2
    return float(tau[np.argmax(passed)]) if passed.any() else float("inf")


def m_at(tau: np.ndarray, m: np.ndarray, when: float) -> float:
    """The median over runs [run, time] of m at ηγt; NaN beyond the end."""
    return float(np.median([np.interp(when, tau, one, right=np.nan) for one in m]))


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
        if p.path is None:
            return np.zeros(0), np.zeros(0), np.zeros(0)
        s = np.linspace(0, p.path.end, 400)
        u, m = p.path.at(s)
        return s * c["gamma"], np.exp(u) / p.system.w0, m
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


def resolutions(gamma: list[float]) -> list[int]:
    """Steps a refit: γ_eff = dtau/(refit η) from the smallest of the decays on, doubled up to the largest."""
    halvings = max(math.ceil(math.log2(max(gamma) / min(gamma))), 1)
    return [round(DTAU / (min(gamma) * ETA) / 2**k) for k in range(halvings + 1)]


def draw_paths(found: Ladder, n: int, file: Path) -> None:
    """One panel a setting: the landscape of one seed and the paths of all rungs on it."""
    rows = found.table
    chosen = [k for k in range(rows.sizes["setting"]) if rows["n_train"].values[k] == n]
    figure = new_figure(5.2 * max(len(chosen), 2), 5.4)
    handles: list[object] = []
    for ax, k in zip(
        np.ravel(np.asarray(figure.subplots(1, len(chosen), squeeze=False), object)), chosen, strict=True
    ):
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
        draw_landscape(ax, found.land.one(seed, n, found.land.budgets[-1]), at.system.surface, levels=(0.05,))
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
    ax.set_title(describe(found, k).split(", ", 1)[1], fontsize="medium")
    return handles


def climb(name: str, options: argparse.Namespace) -> Ladder:
    """The ladder on one landscape, and its figures."""
    out = options.out / name
    out.mkdir(exist_ok=True)
    chosen = [SETTINGS[name][k] for k in options.settings if k < len(SETTINGS[name])]
    if options.full:
        chosen += [(n, g / 3, ratio, alpha, m) for n, g, ratio, alpha, m in chosen]
    n, gamma, ratio, alpha, m = (list(x) for x in zip(*chosen, strict=True))
    land = landscape(name, options.full, out)
    decay = {"dtau": DTAU, "refit": resolutions(gamma), "tau": options.tau} if options.path else None
    found = ladder(
        addition(variant="official"), land, gamma=gamma, eta_d=ETA, eta_r=[ETA * r for r in ratio],
        alpha=alpha, m=m, n_train=n, seeds=land.seeds[: options.seeds], paired=True,
        steps=[math.ceil(options.tau / (g * ETA)) for g in gamma], resolution=0.03,
        loop={"inner": options.inner, "start": START, "du": DU, "dm": DM}, path=decay, stop_early=False,
        out=out / "runs",
    )  # fmt: skip
    found.plot(out / "ladder.png", overwrite=True)
    for size in sorted(set(n)):
        draw_paths(found, size, out / f"paths-{size}.png")
    return found


def main() -> None:
    options = folder(
        __doc__,
        ("--landscapes", {"nargs": "+", "default": list(SETTINGS), "help": "which of the two (both)"}),
        (
            "--settings",
            {"type": int, "nargs": "+", "default": range(9), "help": "which of each, from 0 (all)"},
        ),
        ("--tau", {"type": float, "default": TAU, "help": "ηγt to which networks are trained"}),
        ("--inner", {"type": int, "default": 100, "help": "steps on the sphere, each turn of the loop"}),
        ("--path", {"action": "store_true", "help": "the decay path as one more rung"}),
        ("--full", {"action": "store_true", "help": "landscapes of 8 seeds, more decays: for a GPU"}),
    )
    if options.full:
        options.seeds = 8
    said = StringIO()
    with redirect_stdout(said):
        print("# The ladder on toy addition")
        for k, name in enumerate(options.landscapes):
            found = climb(name, options)
            print(f"\n## {name}\n\n```\n{found.text()}\n```")
            answers(found)
            if k == 0:
                resolution(found, options.inner, options.out / name)
    (options.out / "table.md").write_text(said.getvalue() + "\n", encoding="utf-8")
    print(said.getvalue())
    print(f"written: table.md, ladder.png and paths-N.png, by landscape, into {options.out}")


if __name__ == "__main__":
    main()
