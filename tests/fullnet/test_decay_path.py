"""`sample_path`: on overparameterized linear regression the decay path is known in closed form.

Components of the weights in the row space of the data stay fitted, those in its null space decay as
e^(-τ). With the spectrum of the data known, so is what a finite resolution leaves of the first.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.parts import Checkpoint
from groktime.fullnet.job import drive
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Setup
from groktime.fullnet.procedures.path import Follower, Following
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks import addition
from groktime.fullnet.trainer import train
from groktime.reduced.decay_path import DecayPath, open_path
from groktime.reduced.errors import InputError
from groktime.reduced.law import Schedule
from groktime.reduced.path_text import tau_c
from groktime.reduced.prediction import predict
from groktime.validation.compare import compare
from groktime.validation.measure import measure

SAMPLES, WEIGHTS = 6, 20
ALONE = Machine("cpu", workers=1, progress=False)
CURVATURES = np.linspace(0.5, 2, SAMPLES)
Floats = NDArray[np.float64]


def _data() -> tuple[Tensor, Tensor]:
    """Rows of known curvature, and the true weights, which lie in their span."""
    basis = torch.linalg.qr(torch.randn(WEIGHTS, SAMPLES, generator=torch.Generator().manual_seed(0)))[0]
    rows = (torch.as_tensor(CURVATURES).float() * SAMPLES / 2).sqrt()[:, None] * basis.T
    return rows, basis @ torch.linspace(0.5, 1.5, SAMPLES)


def regression() -> Task:
    """The test loss is |θ - θ*|²/20, the training loss's Hessian has the CURVATURES."""
    rows, truth = _data()
    train, test = Split(rows, {"y": rows @ truth}), Split(torch.eye(WEIGHTS), {"y": truth})

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
        optimizer=Adam(0.1),
        steps=400,
    )


def follow(out: Path, **change: Any) -> DecayPath:
    usual: dict[str, Any] = {
        "alpha": 3.0, "seeds": [0], "eta_d": 0.1, "dtau": 0.02, "refit": 20, "tau": 1.0,
        "fit": "first", "fit_loss": 1e-20, "optimizer": "sgd", "dtype": "float64", "machine": ALONE,
    }  # fmt: skip
    return sample_path(regression(), **(usual | change), out=out)


def valley(tau: Floats) -> Floats:
    """The test loss on the exact decay path from three times the start of seed 0."""
    rows, _ = _data()
    start = 3 * initial_parameters(regression(), 0).double()
    basis = torch.linalg.qr(rows.T.double())[0]
    lost = start - basis @ (basis.T @ start)
    return np.exp(-2 * tau) * float(lost @ lost) / WEIGHTS


def test_the_norm_falls_to_what_fits(tmp_path: Path) -> None:
    """w² = r² + (w0² - r²) e^(-2τ): the fitted part stays, so ln(w0/w) is short of τ."""
    path = follow(tmp_path / "p.nc", refit=200)
    fitted = float(np.sum(np.linspace(0.5, 1.5, SAMPLES) ** 2))
    norm = path.dataset["weight_norm"].values[0, 0, 0, 0, 0]
    np.testing.assert_allclose(norm**2, fitted + WEIGHTS * valley(path.tau), rtol=1e-6)
    assert np.all(np.log(norm[0] / norm[1:]) < path.tau[1:])


def offset(path: DecayPath, k: int) -> float:
    """What the path's test loss holds beside the valley's, at its end: of the row space."""
    loss = path.dataset["test_loss"].values[0, 0, 0, 0, k]
    return float(np.sqrt(loss[-1] - valley(path.tau)[-1]))


def test_the_row_space_is_left_as_far_as_the_resolution_says(tmp_path: Path) -> None:
    path = follow(tmp_path / "a.nc", refit=[5, 20])
    truth = np.linspace(0.5, 1.5, SAMPLES)
    for k, steps in enumerate(path.refit):
        q = (1 - 0.1 * CURVATURES) ** steps
        left = 1 - (1 - q) / (1 - q * np.exp(-path.dtau))  # the fixed point of shrink and refit
        expected = np.sqrt(np.sum((left * truth) ** 2) / WEIGHTS)
        assert offset(path, k) == pytest.approx(expected, rel=1e-3)


def test_the_path_converges_to_the_valley(tmp_path: Path) -> None:
    """In refit as the slowest component's (1 - ηλ)^k, in dtau with order 1."""
    path = follow(tmp_path / "k.nc", refit=[20, 60, 200], tau=0.3)
    error = np.array([offset(path, k) for k in range(2)])
    assert error[1] < 0.2 * error[0]
    np.testing.assert_allclose(path.dataset["test_loss"].values[0, 0, 0, 0, 2], valley(path.tau), rtol=1e-6)
    coarse = [offset(follow(tmp_path / f"{d}.nc", dtau=d, refit=10), 0) for d in (0.04, 0.02, 0.01)]
    orders = np.log2(np.array(coarse[:-1]) / np.array(coarse[1:]))
    np.testing.assert_allclose(orders, 1.0, atol=0.05)
    assert abs(orders[1] - 1) < abs(orders[0] - 1)


def test_a_resolution_is_training_at_its_gamma(tmp_path: Path) -> None:
    """Half the shrink and half the steps, again and again: training with decay, whose bias is known."""
    paths = [follow(tmp_path / f"{k}.nc", dtau=k * 0.005, refit=k) for k in (8, 4, 2, 1)]
    gamma = float(paths[0].gamma_eff[0])
    for path in paths:
        assert path.gamma_eff == pytest.approx(gamma)
    left = gamma / (CURVATURES + gamma) * np.linspace(0.5, 1.5, SAMPLES)
    error = np.array([abs(offset(p, 0) - np.sqrt(left @ left / WEIGHTS)) for p in paths])
    assert np.all(error[1:] < 0.75 * error[:-1])  # as refit + 1: 9, 5, 3, 2 times ηλ/2
    assert error[-1] < 0.3 * error[0]


@pytest.mark.parametrize(("optimizer", "eta"), [("sgd", 0.1), ("momentum", 0.02)])
def test_times_are_those_of_training_with_decay(tmp_path: Path, optimizer: str, eta: float) -> None:
    path = follow(tmp_path / "p.nc", refit=[50, 100], dtau=0.05, tau=0.85, eta_d=eta, optimizer=optimizer)
    gamma = 0.01
    level = float(valley(np.array(0.7)))
    p = predict(path, gamma=gamma, eta_d=eta, alpha=3.0, metric="loss", threshold=level)
    runs = train(
        regression(), gamma=gamma, alpha=3.0, eta_d=eta, seeds=[0], steps=1000, optimizer=optimizer,
        resolution=0.002, out=tmp_path / "r.nc", machine=ALONE,
    )  # fmt: skip
    measured = float(measure(runs, metric="loss", threshold=level).t_grok[0])
    assert tau_c(p) == pytest.approx(0.7, rel=1e-3)
    assert p.t_grok == pytest.approx(measured, rel=0.01)
    assert measured * eta * gamma * path.speed == pytest.approx(0.7, rel=0.01)  # of the exact path


@pytest.mark.parametrize(
    ("optimizer", "eta", "momentum", "schedule"),
    [
        ("sgd", 0.1, None, Schedule("cosine", 800, 0.5, warmup=100)),
        ("momentum", 0.05, 0.5, Schedule("linear", 400, 0.5)),
    ],
)
def test_times_under_a_schedule_are_those_of_training(
    tmp_path: Path, optimizer: str, eta: float, momentum: float | None, schedule: Schedule
) -> None:
    """The exact path passes at Σ ηγ = 0.7, whatever the rates do until then."""
    task = replace(regression(), optimizer=Adam(0.1, schedule=schedule))
    how: dict[str, Any] = {"alpha": 3.0, "seeds": [0], "eta_d": eta, "optimizer": optimizer}
    how |= {"dtype": "float64", "machine": ALONE, "momentum": momentum}
    path = sample_path(task, refit=50, dtau=0.05, tau=0.85, fit="first", fit_loss=1e-20, **how)
    gamma, level = 0.01, float(valley(np.array(0.7)))
    asked: dict[str, Any] = {"gamma": gamma, "eta_d": eta, "alpha": 3.0, "metric": "loss", "threshold": level}
    p = predict(path, **asked)  # the schedule is that of the file
    runs = train(task, gamma=gamma, steps=1300, resolution=0.005, **how)
    measured = float(measure(runs, metric="loss", threshold=level).t_grok[0])
    assert p.t_grok == pytest.approx(measured, rel=0.01)
    assert float(runs.law.tau(measured, eta * gamma)) == pytest.approx(0.7, rel=0.01)
    told = compare(path, runs, metric="loss", threshold=level).table["predicted"].sel(predictor="path")
    assert float(told[0]) == pytest.approx(measured, rel=0.01)
    steady = predict(path, **asked, schedule=Schedule())
    assert steady.t_grok < 0.85 * measured  # as if the rate stayed


def test_along_the_decay_acts_from_the_first_step(tmp_path: Path) -> None:
    path = follow(tmp_path / "p.nc", fit="along", refit=200, alpha=[2.0, 3.0], tau=0.2)
    assert path.fit == "along"
    norm = path.dataset["weight_norm"].values[0, 0, 0, :, 0, 0]
    np.testing.assert_allclose(norm, np.array([2, 3]) * path.w0(0))
    loss = path.dataset["test_loss"].values[0, 0, 0, 1, 0]
    np.testing.assert_allclose(loss[1:], valley(path.tau)[1:], rtol=1e-6)
    assert np.isfinite(path.dataset["t_fit"]).all()


def test_members_are_functions_of_their_own_settings(tmp_path: Path) -> None:
    names = ("test_loss", "weight_norm")
    many = follow(tmp_path / "many.nc", alpha=[0.5, 3.0], seeds=[0, 1], refit=[7, 10], tau=0.2)
    alone = follow(tmp_path / "one.nc", alpha=3.0, seeds=[1], refit=7, tau=0.2)
    for name in names:
        ours = many.dataset[name].sel(seed=1, alpha=3.0, refit=7).values
        np.testing.assert_allclose(ours, alone.dataset[name].sel(seed=1, alpha=3.0, refit=7), rtol=1e-9)
    assert many.dataset["t_fit"].sel(seed=1, alpha=3.0).item() == alone.dataset["t_fit"].item()
    split = follow(
        tmp_path / "split.nc",
        alpha=[0.5, 3.0],
        seeds=[0, 1],
        refit=[7, 10],
        tau=0.2,
        machine=replace(ALONE, members=1),
    )
    np.testing.assert_allclose(split.dataset["test_loss"], many.dataset["test_loss"], rtol=1e-9)
    assert open_path(tmp_path / "split.nc").dataset.identical(split.dataset)


def test_a_member_that_is_done_ends_for_itself(tmp_path: Path) -> None:
    path = follow(tmp_path / "p.nc", alpha=[0.5, 3.0], stop_at=0.9, tau=1.5)
    ends = np.isfinite(path.dataset["test_loss"].values).sum(-1).squeeze()
    assert ends[0] < ends[1]
    for curve, end in zip(path.dataset["test_accuracy"].values.reshape(2, -1), ends, strict=True):
        assert np.all(curve[end - 5 : end] >= 0.9)
    assert tau_c(predict(path, gamma=0.01, eta_d=0.1, alpha=3.0, threshold=0.9)) > 0


def test_a_member_that_passes_while_it_fits_goes_on_until_it_has_fitted(tmp_path: Path) -> None:
    path = follow(tmp_path / "p.nc", fit="along", stop_at=0.2, alpha=0.5, refit=3, tau=2.0)
    test = path.dataset["test_accuracy"].values.squeeze()
    passed = int(np.flatnonzero(test >= 0.2)[0])
    t_fit = path.dataset["t_fit"].item()
    assert 3 * (passed + 5) < t_fit < 3 * np.isfinite(test).sum()
    p = predict(path, gamma=path.gamma_eff[0], eta_d=0.1, alpha=0.5, threshold=0.2)
    assert p.status == "already"
    assert p.t_grok < 3 * passed + 1 < p.t_mem


def test_a_stopped_piece_goes_on(tmp_path: Path) -> None:
    setup = Setup(regression(), dtype="float64")
    path = Following(setup, 0.05, 6, 300, 1e-12, "first", "momentum")
    members = [Follower(0.0, 0.02, 0.02, alpha, 1.0, SAMPLES, 0, 13) for alpha in (0.5, 3.0)]
    checkpoint = Checkpoint(tmp_path / "state.npz")
    whole = drive(path, members, checkpoint=checkpoint)
    count = 0

    def stop(steps: int) -> None:
        nonlocal count
        count += 1
        if count == 250:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(path, members, stop, checkpoint)
    assert checkpoint.path.exists()
    resumed = drive(path, members, checkpoint=checkpoint)
    for name, values in whole.items():
        np.testing.assert_array_equal(resumed[name], values)


def test_the_representation_does_not_decay() -> None:
    task = addition()
    path = Following(Setup(task, "line"), 0.3, 2, 10)
    found = drive(path, [Follower(0.0, 1e-9, 0.0, 2.0, 0.5, task.n_train, 0, 1)])
    np.testing.assert_allclose(found["m"][0], 0.5, rtol=1e-6)
    norm = found["weight_norm"][0]
    np.testing.assert_allclose(norm / norm[0], np.exp(-0.3 * np.arange(3)), rtol=1e-4)


def test_a_member_that_diverges_is_a_result(tmp_path: Path) -> None:
    path = follow(tmp_path / "p.nc", eta_d=3.0, fit_steps=300)
    assert path.dataset["diverged"].all()
    p = predict(path, gamma=0.01, eta_d=3.0, alpha=3.0)
    assert p.status in ("collapses", "outside")
    assert np.isnan(p.t_grok)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"dtau": 0.0}, "dtau"),
        ({"dtau": 2.0, "tau": 4.0}, "dtau"),
        ({"tau": 0.001}, "tau"),
        ({"refit": [0, 10]}, "refit"),
        ({"refit": 2.5}, "refit"),
        ({"fit_steps": 0}, "fit_steps"),
        ({"fit": "later"}, "fit"),
        ({"stop_at": 2.0}, "stop_at"),
        ({"alpha": -1.0}, "alpha"),
        ({"eta_d": [0.1, 0.2]}, "eta_d"),
        ({"optimizer": "rprop"}, "optimizer"),
    ],
)
def test_bad_settings_are_told_by_name(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        follow(tmp_path / "p.nc", **change)
    assert not list(tmp_path.iterdir())
