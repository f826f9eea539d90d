"""How much the direction turns from sphere to sphere, on linear regression, of which all is known.

Fewer samples than weights: the training loss is 0 where the part of w in the row space of the data is y, of
norm r, whatever the rest n. Decay shrinks n alone, so that w² = r² + n² and, from w0 to w_c,
τ_c = ½ ln((w0² - r²)/(w_c² - r²)). Inputs along axes, and components of equal size, keep Adam, which weighs
every component by itself, in the plane of y and n.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from valley_line import W0, R, regression

from groktime.fullnet.engine.parts import Checkpoint
from groktime.fullnet.job import drive
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Setup
from groktime.fullnet.procedures.sphere import Cell, Spheres
from groktime.fullnet.sampler import sample
from groktime.fullnet.task import Adam, Problem, Split
from groktime.fullnet.trainer import train
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.prediction import predict
from groktime.validation.compare import compare

LIMIT = 0.5
ALPHA = np.geomspace(1.6 / W0, 1.0, 18)
QUIET = Machine(workers=1, progress=False)


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Landscape:
    out = tmp_path_factory.mktemp("turning") / "land.nc"
    sample(
        regression(1e-3), alpha=ALPHA, seeds=[0, 1], budgets=[150, 200], start="above", out=out, machine=QUIET
    )
    return open_landscape(out)


def test_the_turning_between_spheres_is_that_of_the_minimum_norm_path(land: Landscape) -> None:
    w = W0 * ALPHA
    angle = np.diff(np.arctan(np.sqrt(w**2 - R**2) / R))  # in the plane of the solution and n
    for seed in (0, 1):
        for budget in (150, 200):
            found = land.layer(seed, budget=budget)["turning"].values[0]
            np.testing.assert_allclose(found[:-1], (angle / np.diff(np.log(w))) ** 2, rtol=0.01)
            assert np.isnan(found[-1])  # the largest sphere has none above it


def test_a_smooth_path_turns_on_as_it_turned(land: Landscape) -> None:
    cosine = land.dataset["turning_cosine"].isel(m=0, n_train=0)
    assert float(cosine.isel(alpha=slice(None, -2)).min()) > 0.995
    assert np.isnan(cosine.isel(alpha=slice(-2, None))).all()


def test_the_corrected_time_is_the_exact_one_and_that_of_training(land: Landscape) -> None:
    gamma, eta = 0.01, 0.1
    p = predict(land, gamma=gamma, eta_d=eta, alpha=1.0, metric="loss", threshold=LIMIT)
    exact = 0.5 * np.log((W0**2 - R**2) / LIMIT) / (gamma * eta)
    runs = train(
        regression(1e-3), gamma=[gamma], eta_d=[eta], alpha=[1.0], seeds=[0, 1], steps=1500, optimizer="sgd",
        resolution=0.01, machine=QUIET,
    )  # fmt: skip
    table = compare([land], runs, metric="loss", threshold=LIMIT).table
    assert p.forms["turning"] == pytest.approx(exact, rel=0.01)
    np.testing.assert_allclose(table["measured_t_grok"], exact, rtol=0.01)
    np.testing.assert_allclose(table["predicted"].sel(predictor="turning"), exact, rtol=0.01)
    assert table["form_of"].sel(predictor="turning") == "flow"
    # Eq. 6, of which w falls at ηγ: ln(w0/w_c), too short by far
    eq6 = 0.5 * np.log(W0**2 / (R**2 + LIMIT)) / (gamma * eta)
    assert p.t_grok == pytest.approx(eq6, rel=0.01) and eq6 < 0.6 * exact
    assert "Eq. 6 has lost its clock" in p.report()
    assert p.to_dict()["forms"]["turning"] == p.forms["turning"]


def test_jitter_is_told_from_a_turning_by_its_cosine() -> None:
    """The minima lie in one direction; minibatches keep the networks on the move about them."""

    def noisy(seed: int, n_train: int) -> Problem:
        x, noise = torch.randn(2, 64, 6, generator=torch.Generator().manual_seed(seed))
        split = Split(x, {"y": x.sum(1) + noise[:, 0]})
        return Problem(split, split)

    task = replace(regression(1e-3), problem=noisy, n_train=64, batch=2, optimizer=Adam(0.05))
    land = sample(
        task, alpha=np.geomspace(0.9, 1.1, 12), seeds=range(8), start="above", machine=QUIET, budgets=[60]
    ).dataset
    turning, cosine = (land[name].values[..., :-3] for name in ("turning", "turning_cosine"))
    assert np.median(turning) > 1  # the spheres are close, the jitter is not
    assert -0.6 < np.mean(cosine) < -0.2  # of differences of independent places: -1/2


def test_a_stopped_column_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    task, count = regression(1e-3), 0
    spheres = Spheres(Setup(task), (6, 10), "tangent", (0.97, 0.97, 0.97))
    members = [Cell(seed, 2, 1.0, 1.0) for seed in (0, 1)]
    whole = drive(spheres, members)

    def stop(steps: int) -> None:
        nonlocal count
        count += 1
        if count == 27:  # in the midst of the third sphere
            raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path / "state.npz")
    with pytest.raises(KeyboardInterrupt):
        drive(spheres, members, stop, checkpoint)
    resumed = drive(spheres, members, checkpoint=checkpoint)
    assert set(resumed) > {"turned", "straight"}
    for name, values in whole.items():
        np.testing.assert_array_equal(resumed[name], values, err_msg=name)


def test_fresh_spheres_have_none() -> None:
    land = sample(regression(1e-3), alpha=ALPHA[::4], seeds=[0], steps=10, machine=QUIET)
    assert "turning" not in land.dataset and "turning_cosine" not in land.dataset
    p = predict(land, gamma=0.01, eta_d=0.1, alpha=1.0, metric="loss", threshold=LIMIT)
    assert "turning" not in p.forms and "lost its clock" not in p.report()
