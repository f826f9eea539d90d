"""The drift of w alone by training on: linear regression, of which it is known, and Adam's own metric.

Fewer samples than weights: the loss holds the part y of w, of norm r, and decay shrinks the rest alone, so
that -du/dτ = 1 - r²/w² in the metric of gradient descent and, as the inputs lie along axes, in Adam's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from valley_line import W0, R, problem, regression

from groktime.fullnet.engine.optimizer import Setting
from groktime.fullnet.engine.probe import Probe, placed, probed
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Members, Setup
from groktime.fullnet.procedures.sphere import Cell
from groktime.fullnet.sampler import sample
from groktime.fullnet.task import Adam
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import predict

QUIET = Machine(workers=1, progress=False)
REGRESSION = regression(5e-2)


@pytest.mark.parametrize(("rule", "rate"), [("sgd", 5e-2), ("sgdw", 5e-3), ("adamw", 5e-3)])
def test_what_the_data_hold_does_not_fall(rule: str, rate: float) -> None:
    """At a cutoff far below what pulls the weights back, from two norms."""
    task = replace(REGRESSION, optimizer=Adam(rate))
    cells = [Cell(0, 2, 1.0, 1.0), Cell(1, 2, 1.0, 1.0)]
    some = Members(Setup(task), cells, "adam", [Setting(rate)] * 2)
    with torch.no_grad():
        some.flat[1, 2:] *= 0.5
    before = some.flat.clone()
    found = probed(some, [1e-3, 1e-2], Probe(rule, 200, 100))
    w = some.flat.double().norm(dim=1).numpy()[:, None] * np.exp(-found.below)  # where it is measured
    np.testing.assert_allclose(found.normal, R**2 / w**2, rtol=0.03)
    assert np.all(np.diff(found.below, axis=1) > 0)
    assert torch.equal(some.flat, before)  # the networks themselves stay where they are


def land(**more: Any) -> Landscape:
    given: dict[str, Any] = {
        "alpha": np.geomspace(1.6 / W0, 1.0, 8), "seeds": [0, 1], "steps": 100, "budgets": [100],
        "start": "above", "drift": [3e-2, 1e-1], "fit_steps": 100, "probe": "sgd", "machine": QUIET,
        "check": False,
    }  # fmt: skip
    return sample(REGRESSION, **(given | more))


def test_the_time_by_the_probe_is_that_of_training() -> None:
    limit, gamma, eta = 1.5, 3e-2, 5e-2
    found = land()
    assert np.isnan(found["drift_turn"].values).all()
    how: dict[str, Any] = {"gamma": gamma, "eta_d": eta, "metric": "loss", "threshold": limit}
    p = predict(found, alpha=1.0, **how)
    runs = train(
        REGRESSION, gamma=gamma, eta_d=eta, alpha=1.0, seeds=[0, 1], steps=1500, optimizer="sgd",
        resolution=0.01, machine=QUIET, check=False,
    )  # fmt: skip
    loss = np.asarray(runs.dataset["test_loss"].values, float)
    steps = np.median([runs.step[np.flatnonzero(one <= limit)[0]] for one in loss])
    assert p.forms["drift"] == pytest.approx(steps, rel=0.05)
    assert p.forms["drift_closed"] == pytest.approx(steps, rel=0.05)
    assert p.t_grok < 0.65 * steps  # Eq. 6


def test_it_is_brought_back_to_the_spheres() -> None:
    """What is linear in u keeps its values between the places, and its last one beyond them."""
    u = np.array([0.0, 1.0, 2.0, 3.0])
    below = np.array([[0.5, 0.25, 0.5, 0.75], [0.0, 1.5, 0.0, 0.0]])
    found = placed(u, 1 - 0.1 * (u - below), below)
    np.testing.assert_allclose(found, 1 - 0.1 * np.minimum(u, np.array([[2.25], [3.0]])))


def test_what_it_was_probed_with_is_in_the_file() -> None:
    import json

    made = json.loads(str(land(seeds=[0]).attrs["configuration"]))
    assert made["probe"] == {"rule": "sgd", "settle": 50, "steps": 50}
    assert "probe" not in json.loads(str(land(seeds=[0], probe=None).attrs["configuration"]))


def test_bad_probes_are_told() -> None:
    with pytest.raises(InputError, match=r"probe = 'adam': expected"):
        land(probe="adam")
    with pytest.raises(InputError, match="probe: measures the drift of w alone"):
        land(drift=False)
    messy = replace(REGRESSION, messiness=True, problem=lambda s, n: replace(problem(s, n), delta_norm=1.0))
    with pytest.raises(InputError, match="probe: measures the drift of w alone"):
        sample(
            messy, alpha=[0.7, 0.8, 0.9, 1.0], m=[0.5], seeds=[0], steps=5, drift=True, probe="adamw",
            machine=QUIET, check=False,
        )  # fmt: skip
