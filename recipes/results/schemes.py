"""What a forecast does after the fit, and what else could be done: error against cost.

Each scheme at several resolutions beside the training of the same networks. The scheme was chosen on
teacher–student, the small MLP, the transformer (γ of 0.25 and 1) and MNIST (γ of 0.1 and 0.3, seeds 60 and
61); the decoder, the MLP of system A, further γ and seed 62 came afterwards. A cost
is the steps of one resolution over those of the training; a forecast takes two resolutions or more. Needs the
MNIST files for `mnist` (docs/data.md). What is there is not made again.

What comes of a system is kept in OUT/SYSTEM.csv, a line a network, scheme and resolution; those in
recipes/data/schemes, of systems that were run before, are shown beside the systems that are asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.find import find_task
from groktime.fullnet.job import drive
from groktime.fullnet.machine import Machine
from groktime.fullnet.procedures.hastened import Hastened, Hastening
from groktime.fullnet.settings import members_of, setup_of
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import mnist, teacher_student
from groktime.recipes.registry import recipe
from groktime.recipes.results.decay_systems import four_operations
from groktime.recipes.shared.common import check_systems, kept, took
from groktime.recipes.shared.drawing import in_plain, labelled
from groktime.recipes.shared.modular import transformer
from groktime.recipes.shared.schemes import SCHEMES
from groktime.recipes.shared.tables import table
from groktime.reduced.crossings import passes_at
from groktime.reduced.figures.style import BLACK, PALETTE
from groktime.reduced.files import replacing

Floats = NDArray[np.float64]

KEPT = Path(__file__).resolve().parents[1] / "data" / "schemes"
TRAINED = ("training", 0)
COLUMNS = ("scheme", "efold", "gamma", "seed", "t_grok", "steps")


@dataclass(frozen=True)
class System:
    """Networks that the schemes are tried on, up to `steps`."""

    name: str
    task: Callable[[], Task]
    gamma: Sequence[float]
    seeds: Sequence[int]
    steps: int
    alpha: float = 1.0
    threshold: float | None = None
    start: Mapping[str, Any] = field(default_factory=dict)


SYSTEMS = {
    "teacher-student": System(
        "teacher–student", teacher_student, (0.03, 0.3, 1.0), (60, 61, 62), 100_000, alpha=3.0
    ),
    "modular-mlp": System(
        "MLP, a + b, p = 31", lambda: find_task("modular-mlp", preset="small"), (0.3, 1.0), (50, 51, 52),
        40_000,
    ),
    "transformer": System(
        "transformer, a + b", lambda: transformer(full=False), (0.5, 2.0), (50, 51, 52), 25_000
    ),
    "four-operations": System(
        "decoder of two blocks, x + y", four_operations, (0.5, 1.0), (50, 51, 52), 12_000
    ),
    "mnist": System(
        "MNIST", lambda: mnist(n_train=1000, n_test=1000), (0.03, 0.1, 0.3), (60, 61, 62), 20_000, alpha=9.0,
        threshold=0.7,
    ),
    "modular-mlp-full": System(
        "MLP, a + b, of system A", lambda: find_task("modular-mlp"), (0.3, 1.0), (50, 51, 52), 20_000
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """Weight decay, seed, t_grok and steps of each network, [run]; of the training where nothing is
    hastened."""

    gamma: Floats
    seed: Floats
    t_grok: Floats
    steps: Floats


Results = Mapping[tuple[str, int], Tried]  # by scheme and steps to an e-fold, the training among them


def write(found: Results, file: Path) -> None:
    """As CSV: a line a scheme, resolution and network."""
    with replacing(file) as made, made.open("w", newline="") as lines:
        out = csv.writer(lines)
        out.writerow(COLUMNS)
        for key, one in found.items():
            for each in zip(one.gamma, one.seed, one.t_grok, one.steps, strict=True):
                out.writerow([*key, *(f"{x:.17g}" for x in each)])


def read(file: Path) -> Results:
    """What `write` wrote."""
    found: dict[tuple[str, int], list[list[float]]] = {}
    with file.open(newline="") as lines:
        for line in csv.DictReader(lines):
            values = [float(line[name]) for name in COLUMNS[2:]]
            found.setdefault((line["scheme"], int(line["efold"])), []).append(values)
    return {key: Tried(*np.array(values).T) for key, values in found.items()}


def tried(system: System, scheme: type[Hastening], efold: int | None, path: Path) -> Tried:
    """One scheme at one resolution, or the training, from a file or made."""
    task = system.task()
    made = members_of(
        task, {"gamma": system.gamma, "alpha": system.alpha, "seeds": system.seeds, **system.start}
    )
    limit = task.threshold if system.threshold is None else system.threshold
    setup = setup_of(task, Machine(device="cpu", progress=False), {}, made[0].seed, "fixed")
    one = scheme(setup, fit_steps=system.steps, horizon=system.steps, resolution=0.02, stop_at=limit)

    def found() -> Mapping[str, NDArray[Any]]:
        finest = efold or system.steps
        return drive(one, [Hastened(**asdict(c), efold=finest, horizon=system.steps) for c in made])

    arrays = kept(path, found)
    places = [
        passes_at(test[np.isfinite(t)], limit, "accuracy")
        for t, test in zip(arrays["t"], arrays["test_accuracy"], strict=True)
    ]
    times = [
        float("nan") if np.isnan(at) else float(np.interp(at, np.arange(t.size), t))
        for at, t in zip(places, arrays["t"], strict=True)
    ]
    gamma, seed = (np.array([getattr(c, name) for c in made], float) for name in ("gamma", "seed"))
    return Tried(gamma, seed, np.array(times), np.asarray(arrays["real_steps"], float))


@recipe(
    "schemes",
    "what a forecast does after the fit, and what else could be done: error against cost",
    data="MNIST",
)
def run(
    out: Path,
    *,
    systems: Annotated[tuple[str, ...], f"which of {', '.join(SYSTEMS)} (all)"] = tuple(SYSTEMS),
    efold: Annotated[tuple[int, ...], "steps to an e-fold"] = (100, 200, 400),
) -> None:
    check_systems(systems, SYSTEMS)
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Results] = {}
    for name in SYSTEMS:
        if name in systems:
            found[name] = made(name, out, efold)
            write(found[name], out / f"{name}.csv")
        elif (before := KEPT / f"{name}.csv").is_file():
            found[name] = read(before)
    shown = sorted({n for results in found.values() for _, n in results} - {TRAINED[1]})
    print(f"## Error and cost, at {', '.join(map(str, shown))} steps to an e-fold")
    head = ["system", "scheme", *(f"{n}: error (cost)" for n in shown)]
    rows = [
        [SYSTEMS[name].name, scheme, *(_told(results, scheme, n) for n in shown)]
        for name, results in found.items()
        for scheme in SCHEMES
    ]
    table(head, rows, "schemes")
    took(*sorted(out.glob("*.npz")))
    draw(found, out / "schemes.png")
    print(f"\nFigure: {out / 'schemes.png'}")


def made(name: str, out: Path, efold: Sequence[int]) -> Results:
    """Every scheme at every resolution, and the training."""
    found = {TRAINED: tried(SYSTEMS[name], Hastening, None, out / f"{name}-trained.npz")}
    for scheme, kind in SCHEMES.items():
        for n in efold:
            found[scheme, n] = tried(SYSTEMS[name], kind, n, out / f"{name}-{kind.__name__}-{n}.npz")
    return found


def _scores(made: Tried, trained: Tried) -> tuple[float, int, float]:
    """Mean absolute error of those that got there, how many did not, and the cost, of networks that training
    got there."""
    reached = np.isfinite(trained.t_grok)
    error = np.abs(made.t_grok / trained.t_grok - 1)[reached]
    known = error[np.isfinite(error)]
    mean = float(known.mean()) if len(known) else float("nan")
    return mean, len(error) - len(known), float(made.steps[reached].sum() / trained.t_grok[reached].sum())


def _told(found: Results, scheme: str, efold: int) -> str:
    if (scheme, efold) not in found:
        return ""
    error, lost, cost = _scores(found[scheme, efold], found[TRAINED])
    told = "–" if np.isnan(error) else f"{100 * error:.1f} %"
    return f"{told} ({cost:.2f}{f', {lost} never' if lost else ''})"


def draw(found: Mapping[str, Results], file: Path) -> None:
    """A panel a system: mean error over cost, a line a scheme, a mark a resolution at which all get there."""
    across = min(3, len(found))
    down = -(-len(found) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(3.9 * across, 3.4 * down), squeeze=False, layout="constrained", sharex=True,
        sharey=True,
    )  # fmt: skip
    for ax, (name, results) in zip(axes.flat, found.items(), strict=False):
        for k, scheme in enumerate(SCHEMES):
            scores = [
                _scores(one, results[TRAINED]) for key, one in sorted(results.items()) if key[0] == scheme
            ]
            shown = [(cost, 100 * error) for error, lost, cost in scores if not lost]
            if not shown:  # nor in the legend
                continue
            x, y = zip(*shown, strict=True)
            colour = BLACK if not k else PALETTE[k - 1]
            # the forecast's own is the broadest: another that does the same shows on top of it
            ax.plot(x, y, "o-", color=colour, linewidth=1 if k else 3, markersize=4 if k else 8, label=scheme)
        ax.set(xscale="log", yscale="log", xlabel="steps over those of training", title=SYSTEMS[name].name)
        ax.tick_params(labelbottom=True)
        in_plain(ax.yaxis)
        in_plain(ax.xaxis)
    for ax in axes.flat[len(found) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("mean error of $t_{grok}$, %")
    drawn = labelled(axes.flat)
    handles = [drawn[scheme] for scheme in SCHEMES if scheme in drawn]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, 1 + across), frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
