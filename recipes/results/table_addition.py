"""The ladder of approximations on toy addition (P §5.1, Fig. 6), official variant.

Follows every setting from the closed form as printed to full networks by AdamW: N = 45 on the shipped
landscape `addition` (4 seeds), and N = 54, and 35, where the flow is trapped, on `addition-sizes` (2 seeds).
Both were sampled with the published gradient. Writes table.md, and for each landscape a ladder and, for
each N, the paths of Eq. 6 on the landscape, with the network in the loop, and of trained networks. Stopped,
it goes on when called again. About 20 minutes on two cores; --path adds the decay path of the restricted
network, at about the cost of the rest; --full samples landscapes of 8 seeds with the tangent gradient, adds a
third of the decay, and is for a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.runs import open_runs
from groktime.fullnet.tasks import addition
from groktime.recipes.registry import recipe
from groktime.recipes.results.ladder_paths import describe, draw_trajectorys, path, shown
from groktime.recipes.shared.common import sampled
from groktime.recipes.shared.tables import table
from groktime.reduced.landscape import Landscape, open_landscape
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


def landscape(name: str, full: bool, out: Path) -> Landscape:
    """The shipped one, or in full one of 8 seeds with the tangent gradient."""
    if not full:
        return open_landscape(name)
    return sampled(
        out / "landscape.nc", addition(variant="official"), alpha=np.geomspace(1.2, 4.2, 18),
        m=np.linspace(0, 0.12, 13), seeds=range(8), n_train=sorted({n for n, *_ in SETTINGS[name]}),
    )  # fmt: skip


def answers(found: Ladder, landscape: str) -> None:
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
    table(["setting", "rung", *(f"{t:g}" for t in TAUS), "ηγt at which m is halved"], lines, f"{landscape}-m")

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
    head = ["form", "median ln ratio", "median size", "pairs", "with a time"]
    head.append("of these 0: there from the start")
    table(head, lines, f"{landscape}-forms")


def resolution(found: Ladder, inner: int, out: Path) -> None:
    """The first setting with the network in the loop again, at other resolutions."""
    one = found.table.isel(setting=0)
    start: dict[str, Any] = {name: float(one[name]) for name in ("gamma", "eta_d", "eta_r", "alpha")}
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
    table(["inner", "du", "dm", *(f"{t:g}" for t in TAUS[:4])], lines, "loop")


def half_way(tau: np.ndarray, m: np.ndarray, start: float) -> float:
    """ηγt at which m first is half of what it was; infinite where it never is."""
    passed = m <= start / 2
    return float(tau[np.argmax(passed)]) if passed.any() else float("inf")


def m_at(tau: np.ndarray, m: np.ndarray, when: float) -> float:
    """The median over runs [run, time] of m at ηγt; NaN beyond the end."""
    return float(np.median([np.interp(when, tau, one, right=np.nan) for one in m]))


def resolutions(gamma: list[float]) -> list[int]:
    """Steps a refit: γ_eff = dtau/(refit η) from the smallest of the decays on, doubled up to the largest."""
    halvings = max(math.ceil(math.log2(max(gamma) / min(gamma))), 1)
    return [round(DTAU / (min(gamma) * ETA) / 2**k) for k in range(halvings + 1)]


@dataclass(frozen=True)
class Asked:
    """What every ladder is built with; see the options of `run`."""

    settings: Sequence[int]
    seeds: int
    full: bool
    tau: float
    inner: int
    path: bool


def climb(name: str, asked: Asked, out: Path) -> Ladder:
    """The ladder on one landscape, and its figures."""
    out.mkdir(exist_ok=True)
    chosen = [SETTINGS[name][k] for k in asked.settings if k < len(SETTINGS[name])]
    if asked.full:
        chosen += [(n, g / 3, ratio, alpha, m) for n, g, ratio, alpha, m in chosen]
    n, gamma, ratio, alpha, m = (list(x) for x in zip(*chosen, strict=True))
    land = landscape(name, asked.full, out)
    decay: dict[str, Any] | None = None
    if asked.path:
        decay = {"dtau": DTAU, "refit": resolutions(gamma), "tau": asked.tau}
    found = ladder(
        addition(variant="official"), land, gamma=gamma, eta_d=ETA, eta_r=[ETA * r for r in ratio],
        alpha=alpha, m=m, n_train=n, seeds=land.seeds[: asked.seeds], paired=True,
        steps=[math.ceil(asked.tau / (g * ETA)) for g in gamma], resolution=0.03,
        loop={"inner": asked.inner, "start": START, "du": DU, "dm": DM}, path=decay, stop_early=False,
        out=out / "runs",
    )  # fmt: skip
    found.plot(out / "ladder.png", overwrite=True)
    for size in sorted(set(n)):
        draw_trajectorys(found, size, out / f"paths-{size}.png")
    return found


@recipe(
    "table_addition",
    "toy addition: the ladder from the closed form to networks",
    seeds=4,
    minutes=20,
    full=True,
)
def run(
    out: Path,
    seeds: int,
    full: bool,
    *,
    landscapes: Annotated[tuple[str, ...], f"which of {', '.join(SETTINGS)} (both)"] = tuple(SETTINGS),
    settings: Annotated[tuple[int, ...], "which of each, from 0 (all)"] = tuple(range(9)),
    tau: Annotated[float, f"ηγt to which networks are trained ({TAU})"] = TAU,
    inner: Annotated[int, "steps on the sphere, each turn of the loop (100)"] = 100,
    path: Annotated[bool, "the decay path as one more rung"] = False,
) -> None:
    asked = Asked(settings, 8 if full else seeds, full, tau, inner, path)
    text = StringIO()
    with redirect_stdout(text):
        print("# The ladder on toy addition")
        for k, name in enumerate(landscapes):
            found = climb(name, asked, out / name)
            print(f"\n## {name}\n\n```\n{found.report()}\n```")
            answers(found, name)
            if k == 0:
                resolution(found, inner, out / name)
    (out / "table.md").write_text(text.getvalue() + "\n", encoding="utf-8")
    print(text.getvalue())
    print(f"written: table.md, ladder.png and paths-N.png, by landscape, into {out}")
