"""The decay path as a rung: on linear regression, where it is known, and with a representation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import groktime as gt
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.tasks import addition
from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape
from groktime.validation import ladder_networks as module
from groktime.validation.ladder import ladder
from groktime.validation.rungs import LOOP, ONE_DIMENSIONAL, RESTRICTED, TWO_DIMENSIONAL, Rung, with_path

SAMPLES, WEIGHTS = 6, 20
RIGHT = 0.1  # squared error of a test sample
LIMIT = 0.925  # between 18 and 19 of the 20 test samples


ALONE = gt.Machine(workers=1, progress=False)


def _rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Samples of curvature 1, and true weights in their span."""
    basis = torch.linalg.qr(torch.randn(WEIGHTS, SAMPLES, generator=torch.Generator().manual_seed(0)))[0]
    return (SAMPLES / 2) ** 0.5 * basis.T, basis @ torch.linspace(0.5, 1.5, SAMPLES)


def _regression() -> gt.Task:
    """A test sample is right when one weight is near the true one."""
    rows, truth = _rows()
    problem = gt.Problem(gt.Split(rows, {"y": rows @ truth}), gt.Split(torch.eye(WEIGHTS), {"y": truth}))
    return gt.Task(
        name="regression",
        network=lambda: torch.nn.Sequential(torch.nn.Linear(WEIGHTS, 1, bias=False), torch.nn.Flatten(-2)),
        problem=lambda seed, n_train: problem,
        loss=lambda out, y: (out - y["y"]).square(),
        right=lambda out, y: (out - y["y"]).square() < RIGHT,
        loss_name="squared error",
        n_train=SAMPLES,
        optimizer=gt.Adam(0.1),
        steps=400,
        threshold=LIMIT,
    )


def test_on_linear_regression_its_time_is_that_of_gradient_descent(tmp_path: Path) -> None:
    """What is not fitted decays as e^(-τ); a sample is right when its share of that is below √RIGHT."""
    rows, _ = _rows()
    start = 6 * initial_parameters(_regression(), 0)
    basis = torch.linalg.qr(rows.T)[0]
    error = torch.sort((start - basis @ (basis.T @ start)).abs()).values
    exact = float(torch.log(error[18] / RIGHT**0.5))
    alpha = np.geomspace(0.3, 8, 9)
    accuracy = np.linspace(1, 0.5, 9)
    land = Landscape.from_arrays(
        alpha=alpha, train_loss=np.full(9, 1e-9), test_loss=1 - accuracy, train_accuracy=np.ones(9),
        test_accuracy=accuracy, w0=float(start.norm() / 6), task="regression", loss="squared error",
        threshold=LIMIT,
    )  # fmt: skip
    found = ladder(
        _regression(), land, gamma=[0.004, 0.005], eta_d=0.2, alpha=6.0, seeds=[0], persist=1, steps=1100,
        resolution=0.005, loop={"start": 10, "inner": 2, "du": 0.2}, adamw_rate=0.01,
        path={"dtau": 0.01, "refit": [10, 20], "tau": 1.1 * exact}, machine=ALONE, out=tmp_path,
    )  # fmt: skip
    assert 0.4 < exact < 1.2
    rung = found.table["t_grok"].sel(rung=["path", "gd"], seed=0)
    np.testing.assert_allclose(rung.sel(rung="path"), rung.sel(rung="gd"), rtol=0.015)
    np.testing.assert_allclose(rung.sel(rung="path") * 0.2 * rung["gamma"], exact, rtol=0.02)
    assert np.all(found.table["status"].sel(rung="path") == "generalizes")
    assert len(found.paths) == 1  # for both γ


def test_with_a_representation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = addition(p=4, n_train=7, dim=2, variant="official")
    norms = [float(torch.linalg.vector_norm(initial_parameters(task, s))) for s in (0, 1)]
    alpha, m = np.linspace(1.0, 3, 6), np.linspace(0, 0.1, 5)
    every = [np.broadcast_to(x, (2, 5, 6)) for x in (1e-5, 1.0, (1 - 4 * m)[:, None])]
    land = Landscape.from_arrays(
        alpha=alpha, m=m, train_loss=every[0], test_loss=every[0], train_accuracy=every[1],
        test_accuracy=every[2], w0=norms, delta_norm=[task.problem(s, 7).delta_norm for s in (0, 1)],
        task=task.name, loss=task.loss_name, threshold=0.95,
    )  # fmt: skip
    settings: dict[str, Any] = {
        "gamma": [1e-2, 2e-2, 1e-2], "eta_d": 0.3, "eta_r": [0.03, 0.03, 0.003], "alpha": [2.0, 1.5, 2.0],
        "m": 0.08, "paired": True, "steps": 20, "threshold": 0.3, "machine": ALONE,
        "loop": {"start": 20, "inner": 5}, "adamw_rate": 0.01,
    }  # fmt: skip
    options = {"dtau": 0.02, "refit": [10, 5], "tau": 0.3}
    found = ladder(task, land, path=options, **settings, out=tmp_path)
    assert found.rungs == with_path(TWO_DIMENSIONAL)
    own = found.table.sel(rung="path")
    files = [gt.open_path(tmp_path / f"path-{k}.nc") for k in (0, 1)]  # by their eta_r
    assert [p.dataset.attrs["eta_r"] for p in files] == [0.003, 0.03]
    assert {p.dataset.attrs["representation"] for p in files} == {"line"}
    assert {p.dataset.attrs["optimizer"] for p in files} == {"sgd"}
    for k, j in np.ndindex(3, 2):
        one = own.isel(setting=k, seed=j)
        p = gt.predict(
            files[1 if k < 2 else 0], gamma=float(one["gamma"]), eta_d=0.3, alpha=float(one["alpha"]),
            m=0.08, n_train=7, seed=j, threshold=0.3,
        )  # fmt: skip
        assert one["status"] == p.status.value
        np.testing.assert_equal(float(one["t_grok"]), p.t_grok)
        outside = p.status is Status.OUTSIDE
        np.testing.assert_allclose(one["last"], 0.3 / (0.3 * one["gamma"]) if outside else np.nan)
    assert {"outside", "already"} <= set(own["status"].values.ravel())
    for name in ("train", "integrate_networks", "sample_path"):
        monkeypatch.setattr(module, name, None)
    again = ladder(task, land, path=options, **settings, out=tmp_path)
    xr.testing.assert_identical(again.table, found.table)
    without = ladder(task, land, **settings, out=tmp_path)
    assert without.rungs == TWO_DIMENSIONAL
    xr.testing.assert_identical(without.table, found.table.drop_sel(rung="path"))


@pytest.mark.parametrize("rungs", [ONE_DIMENSIONAL, TWO_DIMENSIONAL])
def test_it_shares_an_assumption_with_the_rung_below(rungs: tuple[Rung, ...]) -> None:
    found = with_path(rungs)
    at = [r.name for r in found].index("path")
    assert found[at - 1] == LOOP
    assert found[at].drops == rungs[at].drops == RESTRICTED.drops
    assert found[at + 1].words == rungs[at].words
    assert found[at + 1].drops == "a refit that is done before decay acts again"
    assert (*found[:at], *found[at + 2 :]) == (*rungs[:at], *rungs[at + 1 :])
