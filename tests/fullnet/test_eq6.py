"""Eq. 6 with networks in the loop, on reduced losses that are known in closed form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import nn

from groktime.fullnet.engine.optimizer import tangent
from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.machine import Machine
from groktime.fullnet.procedures.flow import NAME, Flow, FlowState
from groktime.fullnet.runs import Runs, open_runs
from groktime.fullnet.task import Adam, Problem, Split, Task
from groktime.reduced.errors import InputError
from groktime.validation.measure import measure

Floats = NDArray[np.float64]

TARGET = 1.0
SQUEEZE = 0.5  # |x(m)| = 1 - m/2
# The network has two weights and one sample. It can fit where w |x| >= 1, by turning; its reduced loss is
# max(0, 1 - w (1 - m/2))²: a wall at w = 1/(1 - m/2), and flat beyond.
GAMMA, ETA = 3e-2, 1e-3


def _problem(seed: int, n_train: int) -> Problem:
    one = {"y": torch.full((1, 1), TARGET)}
    random, ordered = torch.tensor([[1 - SQUEEZE, 0.0]]), torch.tensor([[1.0, 0.0]])
    split = Split(random, one, ordered)
    return Problem(split, split, delta_norm=0.1)


TASK = Task(
    name="wall",
    network=lambda: nn.Linear(2, 1, bias=False),
    problem=_problem,
    loss=lambda out, y: (out - y["y"]).square().mean(-1),
    right=lambda out, y: (out - y["y"]).abs().squeeze(-1) < 0.05,
    loss_name="mse",
    n_train=1,
    optimizer=Adam(3e-2),
    steps=400,
    messiness=True,
)


def alpha_of(w: float, seed: int = 0) -> float:
    from groktime.fullnet.engine.fresh import initial_parameters

    return w / float(torch.linalg.vector_norm(initial_parameters(TASK, seed)))


def integrated(out: Path, task: Task = TASK, w: float = 2.2, **more: Any) -> Runs:
    settings: dict[str, Any] = {
        "gamma": GAMMA, "eta_d": ETA, "alpha": alpha_of(w), "seeds": [0], "steps": 24_000, "rate": 3e-2,
        "inner": 30, "du": 0.01, "dm": 0.004, "start": 300,
        "resolution": 0.05, "dtype": "float64", "machine": Machine(workers=1, progress=False),
    }  # fmt: skip
    if task.messiness:
        settings["m"] = 0.8
    return integrate_networks(task, out=out / "eq6.nc", **(settings | more))


def exact(step: Floats, w: float, m: float, gamma: float, eta_d: float, eta_r: float) -> Floats:
    """w and m of Eq. 6 on max(0, 1 - w(1 - m/2))², [2, time]."""

    def velocity(_: float, state: Floats) -> list[float]:
        w, m = state
        short = max(0.0, TARGET - w * (1 - SQUEEZE * m))
        push = -eta_r * 2 * short * SQUEEZE * w
        return [eta_d * (2 * short * (1 - SQUEEZE * m) - gamma * w), 0.0 if m <= 0 else push]

    found = solve_ivp(
        velocity, (0, step[-1]), [w, m], "LSODA", t_eval=step, rtol=1e-9, atol=1e-9, max_step=50
    )
    return np.asarray(found.y)


def test_the_tangent_has_no_radial_part() -> None:
    g, w = torch.randn(3, 7, dtype=torch.float64), torch.randn(3, 7, dtype=torch.float64)
    before = (g * w).sum(1)
    radial = tangent(g, w, torch.linalg.vector_norm(w, dim=1))
    torch.testing.assert_close(radial, before)
    torch.testing.assert_close((g * w).sum(1), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("ratio", [0.3, 30.0])
def test_it_slides_along_a_wall_as_eq6_does(tmp_path: Path, ratio: float) -> None:
    runs = integrated(tmp_path, eta_r=ratio * ETA)
    w, m = exact(runs.step.astype(float), 2.2, 0.8, GAMMA, ETA, ratio * ETA)
    # free decay up to the wall, ln(2.2 · 0.6) = 0.28, and from there m follows it: 1/w = 1 - m/2
    assert runs.dataset["steps_done"].values.tolist() == [24_000]
    np.testing.assert_allclose(runs.dataset["weight_norm"].values[0], w, rtol=1.2e-2)  # du
    np.testing.assert_allclose(runs.dataset["m"].values[0], m, atol=2.5e-2)  # 2 du + dm
    assert m[-1] < 0.75


def test_refining_changes_little(tmp_path: Path) -> None:
    coarse = integrated(tmp_path, w=1.9, eta_r=ETA, steps=8_000)
    fine = integrated(tmp_path, w=1.9, eta_r=ETA, steps=8_000, inner=60, du=0.005, dm=0.002, overwrite=True)
    for name, allowed in (("weight_norm", 2e-2), ("m", 2.5e-2)):
        change = fine.dataset[name].values - coarse.dataset[name].values
        assert np.abs(change).max() < allowed


def test_the_rate_of_a_trained_representation(tmp_path: Path) -> None:
    named = integrated(tmp_path, w=1.7, eta_r=0.01 * ETA, m_rate="representation", steps=3_000)
    scaled = integrated(
        tmp_path, w=1.7, eta_r=ETA, overwrite=True, steps=3_000
    )  # ||R_random - R_linear|| = 0.1
    np.testing.assert_allclose(named.dataset["m"], scaled.dataset["m"], rtol=1e-12)


def test_w_alone_comes_to_rest_at_the_wall(tmp_path: Path) -> None:
    plain = replace(
        TASK,
        problem=lambda seed, n: Problem(*(replace(s, ordered=None) for s in (_problem(0, 1).train,) * 2)),
        messiness=False,
    )
    runs = integrated(tmp_path, plain, w=3.0, gamma=[GAMMA, 4 * GAMMA], steps=16_000)
    # x = (1/2, 0): 2 (1 - w/2)/2 = γ w
    for row, gamma in enumerate((GAMMA, 4 * GAMMA)):
        rest = 1 / (0.5 + gamma)
        norm = runs.dataset["weight_norm"].values[row]
        free = 3.0 * np.exp(-ETA * gamma * runs.step)
        np.testing.assert_allclose(norm[free > 2.1], free[free > 2.1], rtol=8e-3)
        assert norm[-1] == pytest.approx(rest, rel=2e-2)
    assert np.isnan(runs.dataset["m"].values).all()


def test_a_runs_file_like_any_other(tmp_path: Path) -> None:
    runs = integrated(tmp_path, stop_at=0.9, w=1.2, seeds=[0, 1])
    again = open_runs(tmp_path / "eq6.nc")
    assert again.dataset.identical(runs.dataset)
    assert again.dataset.attrs["optimizer"] == NAME
    # seed 0 starts inside the wall, right only once m has fallen; both stop when they are
    delays = measure(again, 0.9)
    assert np.isfinite(delays["t_grok"]).all()
    assert again.finished.all()


def test_members_do_not_hang_on_their_company(tmp_path: Path) -> None:
    both = integrated(tmp_path, gamma=[GAMMA, 3 * GAMMA], w=1.8, steps=3_000)
    alone = integrated(tmp_path, gamma=3 * GAMMA, w=1.8, steps=3_000, overwrite=True)
    np.testing.assert_allclose(both.dataset["m"].values[1], alone.dataset["m"].values[0], atol=1e-9)


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    whole = integrated(tmp_path / "a", steps=3_000)
    calls, real = 0, Flow.step

    def stops(self: Flow, state: FlowState) -> int:
        nonlocal calls
        calls += 1
        if calls == 410:  # in the midst of a round
            raise KeyboardInterrupt
        return real(self, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flow, "step", stops)
        patch.setattr("groktime.fullnet.job.CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            integrated(tmp_path / "b", steps=3_000)
    gone_on = integrated(tmp_path / "b", steps=3_000)
    np.testing.assert_array_equal(gone_on.dataset["m"], whole.dataset["m"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"m_rate": "fast"}, "m_rate = 'fast'"),
        ({"du": 0.0}, "du = 0"),
        ({"dm": -1.0}, "dm = -1"),
        ({"inner": 0}, "inner = 0"),
        ({"rate": float("nan")}, "rate = nan"),
        ({"gamma": -1.0}, "gamma = -1"),
    ],
)
def test_a_bad_setting_is_told(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        integrated(tmp_path, **settings)
