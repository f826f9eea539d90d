"""`sample(drift=...)`: what a landscape keeps of the drift, and how its cells are come by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from groktime.fullnet.machine import Machine
from groktime.fullnet.sampler import sample
from groktime.fullnet.task import Adam, Problem, Split, Task
from groktime.reduced.drift import CUTOFFS
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.law import Schedule
from groktime.reduced.prediction import predict
from groktime.reduced.system import systems

QUIET = Machine(workers=1, progress=False)
ALPHA, M = np.geomspace(1.0, 1.6, 5), (0.45, 0.5, 0.55, 0.6)


def _problem(seed: int, n_train: int) -> Problem:
    g = torch.Generator().manual_seed(seed)
    x, ordered, y = (torch.randn(n_train, k, generator=g) for k in (3, 3, 2))
    split = Split(x, {"y": y}, ordered)
    return Problem(split, split, delta_norm=1.0)


TASK = Task(
    name="small decoder", problem=_problem, n_train=4, messiness=True, loss_name="mse",
    network=lambda: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)),
    loss=lambda out, y: (out - y["y"]).square().mean(-1),
    right=lambda out, y: (out - y["y"]).square().mean(-1) < 0.01,
    optimizer=Adam(2e-2, sampling=Schedule("step", 100, 0.1)), steps=200, stop_loss=1e-3,
)  # fmt: skip


def sampled(task: Task = TASK, **more: Any) -> Landscape:
    settings: dict[str, Any] = {
        "alpha": ALPHA, "seeds": [0], "steps": 40, "budgets": [40], "start": "above", "drift": True,
        "machine": QUIET, "check": False,
    }  # fmt: skip
    if task.messiness:
        settings["m"] = M
    return sample(task, **(settings | more))


@pytest.fixture(scope="module")
def land() -> Landscape:
    return sampled()


def test_every_cell_has_its_drift(land: Landscape) -> None:
    assert land["cutoff"].values.tolist() == list(CUTOFFS)
    normal, overlap, turn = (land[f"drift_{k}"].values for k in ("normal", "overlap", "turn"))
    assert normal.shape == (1, 1, len(CUTOFFS), len(M), len(ALPHA))
    assert np.all((normal > 0) & (normal < 1)) and np.all(turn > 0)
    # (cᵀ(K + ε)⁻¹q)² is at most the product of the other two; all fall with the cutoff
    w2 = (land["w0"].values[0] * ALPHA) ** 2
    assert np.all(overlap**2 <= normal * w2 * turn * (1 + 1e-6))
    assert np.all(np.diff(normal, axis=2) <= 1e-9) and np.all(np.diff(turn, axis=2) <= 1e-9)


def test_cells_come_to_their_m_fitted() -> None:
    """40 steps at the last rate bring a neighbour's network further than a fresh one at the first."""
    fresh = sampled(start="fresh", drift=False)
    top = sampled(along_m=True, drift=[1e-3, 1e-2])["train_loss"].values[0, 0, 0, :, -1]
    assert np.all(np.diff(top) < 0)  # the further from the m of the fit, the less there was of it
    assert np.all(top[1:] < fresh["train_loss"].values[0, 0, 0, 1:, -1])


def test_fresh_networks_have_one_too() -> None:
    land = sampled(start="fresh", seeds=[0, 1], drift=[1e-3, 1e-2], steps=20, budgets=[20])
    assert land["drift_turn"].values.shape[:3] == (2, 1, 2)
    assert np.isfinite(land["drift_turn"].values).all() and "turning" not in land.arrays


def test_the_file_predicts_with_it(land: Landscape, tmp_path: Path) -> None:
    land.save(tmp_path / "land.nc")
    again = open_landscape(tmp_path / "land.nc")
    how: dict[str, Any] = {"gamma": 1e-3, "eta_d": 1e-2, "alpha": 1.5, "m": 0.55, "metric": "loss"}
    p = predict(again, **how, threshold=1e9)
    assert {"drift", "drift_closed"} <= set(p.forms)
    without = Landscape(
        replace(
            again.arrays,
            variables={k: v for k, v in again.arrays.variables.items() if "drift" not in k and k != "cutoff"},
        ),
        "old",
    )
    assert predict(without, **how, threshold=1e9).t_grok == p.t_grok
    assert "drift" not in predict(without, **how, threshold=1e9).forms


def test_w_alone_has_what_is_held_and_nothing_of_m() -> None:
    task = replace(
        TASK,
        problem=lambda seed, n: Problem(*(replace(_problem(seed, n).train, ordered=None),) * 2),
        messiness=False,
    )
    land = sampled(task, steps=20, budgets=[20], fit_steps=40)
    assert np.isfinite(land["drift_normal"].values).all() and np.isnan(land["drift_turn"].values).all()


def test_it_goes_on_where_it_was_stopped(land: Landscape, tmp_path: Path) -> None:
    from groktime.fullnet.procedures.sphere import Spheres, SphereState

    calls, real = 0, Spheres.step

    def stops(self: Spheres, state: SphereState) -> int:
        nonlocal calls
        calls += 1
        if calls == 300:  # on the way along m
            raise KeyboardInterrupt
        return real(self, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Spheres, "step", stops)
        patch.setattr("groktime.fullnet.job.CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            sampled(out=tmp_path / "land.nc")
    gone_on = sampled(out=tmp_path / "land.nc")
    np.testing.assert_array_equal(gone_on["drift_turn"].values, land["drift_turn"].values)


@pytest.mark.parametrize("drift", [[1e-3], [1e-2, 1e-3], [0.0, 1e-3]])
def test_bad_cutoffs_are_told(drift: list[float]) -> None:
    with pytest.raises(InputError, match="drift: expected two or more weight decays, ascending and above 0"):
        sampled(drift=drift)


def test_the_way_along_m_is_one_to_cells_with_drift() -> None:
    for more in ({"drift": False}, {"start": "fresh"}):
        with pytest.raises(InputError, match="along_m: is a way to cells with drift"):
            sampled(along_m=True, **more)


def test_a_network_that_cannot_be_mapped_has_none() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.inner(x)
            return out if float(out.detach().sum()) > 1e9 else 2 * out

    with pytest.raises(InputError, match=r"drift: small decoder cannot be mapped"), pytest.warns(UserWarning):
        sampled(replace(TASK, network=Branches), check=True)


def test_the_two_ways_round_a_loop_are_held_against_each_other(land: Landscape, tmp_path: Path) -> None:
    along = sampled(along_m=True)
    found = sampled(loop=True)
    np.testing.assert_array_equal(found["drift_turn"].values, land["drift_turn"].values)
    slaved = [-x["drift_overlap"].values / x["drift_turn"].values for x in (land, along)]
    np.testing.assert_allclose(found["drift_loop"].values, np.abs(slaved[0] - slaved[1]), rtol=1e-6)
    # at the largest m both are fitted there, and differ by a few more steps of that
    corner, others = found["drift_loop"].values[0, 0, :, -1, -1], found["drift_loop"].values[0, 0, :, :-1]
    assert np.all(corner < 0.05 * others.mean((1, 2)))
    found.save(tmp_path / "land.nc")
    again, plain = (
        systems(x, metric="loss", threshold=1.0)[0].surface
        for x in (open_landscape(tmp_path / "land.nc"), land)
    )
    at = np.array([plain.domain.u_low + 0.1]), np.array([0.5])
    one = np.ones(1)
    np.testing.assert_allclose(
        again.drift.terms(*at, 1e-3 * one, one), plain.drift.terms(*at, 1e-3 * one, one), rtol=1e-5
    )  # the flow is that of the file without


def test_a_loop_is_of_cells_with_drift() -> None:
    for more in ({"drift": False}, {"start": "fresh"}):
        with pytest.raises(InputError, match="loop: compares two ways"):
            sampled(loop=True, **more)
