"""How a decay path converges, where the path is known exactly.

Linear regression with more weights than samples, plain gradient descent: components of the weights in the
row space of the data stay fitted, those in its null space decay as e^(-τ). Shrink and refit, as `sample_path`
does them, leave the row space off by an amount that is known for every curvature λ, dtau and refit (lines);
the points are sampled. Third panel: the time to a given test loss, by path and by training with decay, off
the exact one. Takes seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor, nn

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.machine import Machine
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.trainer import train
from groktime.recipes.registry import recipe
from groktime.recipes.shared.tables import number, table
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.figures.file import save
from groktime.reduced.figures.style import BLACK, PALETTE, new_figure
from groktime.reduced.path_text import tau_c
from groktime.reduced.prediction import predict

Floats = NDArray[np.float64]

SAMPLES, WEIGHTS = 6, 20
CURVATURES = np.linspace(0.5, 2, SAMPLES)
TRUTH = np.linspace(0.5, 1.5, SAMPLES)  # in the basis of the row space
ALONE = Machine(device="cpu", workers=1, progress=False)
ALPHA, ETA, TAU = 3.0, 0.3, 1.0
AT = 0.68  # τ of the test loss whose time is asked for; a record of every path
REFIT = (1, 2, 4, 8, 16, 32)
DTAU = (0.04, 0.02, 0.01, 0.005)
GAMMA = (0.1, 0.05, 0.025, 0.0125)  # of the trained


def regression() -> Task:
    """The test loss is |θ - θ*|²/20; the Hessian of the training loss has the CURVATURES."""
    seeded = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(WEIGHTS, SAMPLES, generator=seeded, dtype=torch.float64))[0]
    rows = (torch.as_tensor(CURVATURES) * SAMPLES / 2).sqrt()[:, None] * basis.T
    truth = basis @ torch.as_tensor(TRUTH)
    known = torch.eye(WEIGHTS, dtype=torch.float64)
    train, test = Split(rows, {"y": rows @ truth}), Split(known, {"y": truth})

    def squared(output: Tensor, targets: Targets) -> Tensor:
        return (output - targets["y"]).square()

    return Task(
        name="regression",
        network=lambda: nn.Sequential(nn.Linear(WEIGHTS, 1, bias=False), nn.Flatten(-2)),
        problem=lambda seed, n_train: Problem(train, test),
        loss=squared,
        right=lambda output, targets: squared(output, targets) < 1e-2,
        loss_name="squared error",
        n_train=SAMPLES,
        optimizer=Adam(ETA),
        steps=400,
    )


def null_space() -> float:
    """Squared norm of the start's part that no sample sees."""
    start = ALPHA * initial_parameters(regression(), 0).double().numpy()
    rows = regression().problem(0, SAMPLES).train.inputs.double().numpy()
    basis = np.linalg.qr(rows.T)[0]
    return float(np.sum((start - basis @ (basis.T @ start)) ** 2))


def valley(tau: Floats | float) -> Floats:
    """Test loss on the exact path."""
    return np.asarray(null_space() * np.exp(-2 * np.asarray(tau)) / WEIGHTS)


def left_off(dtau: float, refit: int) -> float:
    """How far shrink and refit leave the row space, by their recursion over the path's records."""
    kept, off = (1 - ETA * CURVATURES) ** refit, np.zeros(SAMPLES)
    for _ in range(round(TAU / dtau)):
        off = kept * (off * np.exp(-dtau) + (1 - np.exp(-dtau)) * TRUTH)
    return float(np.sqrt(off @ off / WEIGHTS))


def follow(out: Path, dtau: float) -> DecayPath:
    return sample_path(
        regression(), alpha=ALPHA, seeds=[0], eta_d=ETA, dtau=dtau, refit=REFIT, tau=TAU, fit="first",
        fit_loss=1e-24, optimizer="sgd", dtype="float64", machine=ALONE, out=out,
        overwrite=True,
    )  # fmt: skip


def sampled_off(path: DecayPath) -> Floats:
    """The same of a sampled path, [refit]: what its test loss holds beside the valley's."""
    excess = path.dataset["test_loss"].values[0, 0, 0, 0, :, -1] - valley(path.tau[-1])
    return np.sqrt(np.maximum(excess, 0))


def times_on(path: DecayPath) -> Floats:
    """τ to the test loss of the valley at AT, [refit]."""
    each = []
    for k in range(len(path.refit)):
        one = DecayPath(path.dataset.isel(refit=[k]))
        p = predict(
            one, gamma=float(one.gamma_eff[0]), eta_d=ETA, alpha=ALPHA, metric="loss",
            threshold=float(valley(AT)),
        )  # fmt: skip
        each.append(tau_c(p))
    return np.array(each)


def times_trained(out: Path) -> Floats:
    """The same of networks trained with decay, [γ]; between steps by a straight line."""
    runs = train(
        regression(), gamma=GAMMA, alpha=ALPHA, eta_d=ETA, seeds=[0], steps=int(1.2 / (ETA * min(GAMMA))),
        optimizer="sgd", resolution=1e-4, dtype="float64", machine=ALONE, out=out,
        overwrite=True,
    )  # fmt: skip
    ds, level, found = runs.dataset, float(valley(AT)), []
    for k, gamma in enumerate(ds["gamma"].values):
        loss = ds["test_loss"].values[k]
        found.append(np.interp(-level, -loss, ds["step"].values) * ETA * gamma)
    return np.array(found)


def lines_and_points(ax: Axes, x: Any, by: list[tuple[str, Floats, Floats]]) -> None:
    for colour, (label, exact, sampled) in zip(PALETTE, by, strict=False):
        ax.plot(x, exact, color=colour, linewidth=1.4, label=label)
        shown = np.where(sampled > 1e-9, sampled, np.nan)  # below is the noise of double precision
        ax.plot(x, shown, "o", color=colour, markersize=4.5)
    ax.set(xscale="log", yscale="log", ylim=(1e-7, 1))
    ax.grid(alpha=0.25)


@recipe("path_order", "how a decay path converges, against an exact one", minutes=0.5)
def run(out: Path) -> None:
    paths = [follow(out / f"path-{d:g}.nc", d) for d in DTAU]
    sampled = np.array([sampled_off(path) for path in paths])  # [dtau, refit]
    exact = np.array([[left_off(d, k) for k in REFIT] for d in DTAU])
    agree = sampled > 1e-6
    worst = float(np.max(np.abs(sampled[agree] / exact[agree] - 1)))
    order = np.log2(sampled[:-1] / np.where(sampled[1:] > 1e-9, sampled[1:], np.nan))
    print("distance left in the row space, and its order from dtau to dtau/2")
    heads = [f"refit {k}" for k in REFIT]
    lines = [[f"{d:g}", *(f"{x:.2e}" for x in row)] for d, row in zip(DTAU, sampled, strict=True)]
    table(["dtau", *heads], lines, "distance")
    lines = [[f"{d:g}", *(number(float(x)) for x in row)] for d, row in zip(DTAU, order, strict=False)]
    table(["order at", *heads], lines, "order")
    print(f"\nsampled off the formula by {worst:.1e} of it at most")
    times = times_trained(out / "runs.nc")
    draw(paths, exact, sampled, times, out / "path_order.png")
    told = ", ".join(f"{100 * (t / AT - 1):+.2f} % at γ = {g:g}" for g, t in zip(GAMMA, times, strict=True))
    print(f"\ntrained with decay, time to the test loss of τ = {AT:g}: {told}")


def draw(paths: list[DecayPath], exact: Floats, sampled: Floats, times: Floats, file: Path) -> None:
    """Both distances, [dtau, refit], against dtau and against refit; and errors of the time."""
    figure = new_figure(13.5, 4.6)
    one, two, three = np.ravel(np.asarray(figure.subplots(1, 3), object))
    lines_and_points(
        one, DTAU, [(f"refit {k}", exact[:, i], sampled[:, i]) for i, k in enumerate(REFIT[:-1])]
    )
    one.plot(DTAU, 0.02 * np.array(DTAU), ":", color=BLACK, label="first order")
    one.set(xlabel="dtau", ylabel="left off in the row space, rms", title="order 1 in dtau")
    one.set_xticks(DTAU, [f"{d:g}" for d in DTAU])
    one.set_xticks([], minor=True)
    lines_and_points(two, REFIT, [(f"dtau = {d:g}", exact[i], sampled[i]) for i, d in enumerate(DTAU)])
    two.set(xlabel="refit, steps", title="exponential in refit")
    two.set_xticks(REFIT, [str(k) for k in REFIT])
    two.set_xticks([], minor=True)
    for colour, path in zip(PALETTE, paths, strict=False):
        off = np.abs(times_on(path) / AT - 1)
        three.plot(path.gamma_eff, off, "o-", color=colour, markersize=4, linewidth=1,
                   label=f"path, dtau = {path.dtau:g}")  # fmt: skip
    three.plot(GAMMA, np.abs(times / AT - 1), "s-", color=BLACK, markersize=5, label="trained with decay γ")
    three.set(xscale="log", yscale="log", xlabel=r"$\gamma_{eff}$, and γ of the trained",
              title="time to a test loss", ylabel="error of the time, share", ylim=(1e-7, 1))  # fmt: skip
    three.grid(alpha=0.25)
    for ax in (one, two, three):
        ax.legend(frameon=False, fontsize="small")
    figure.suptitle(
        "shrink and refit on overparameterized linear regression (lines: exact, points: sampled)",
        fontsize="medium",
    )
    save(figure, file, overwrite=True)
