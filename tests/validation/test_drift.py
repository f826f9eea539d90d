"""An implicit decay that was planted is found again: runs at γ = 0 that walk along a known valley."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from planted import NAN, planted_path

from groktime.fullnet.runs import Runs
from groktime.recipes.results.table_weak_decay import fading
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.validation.drift import implicit_decay

GAMMA0, ETA = 0.02, 1e-3
SEEDS = (0, 1)
STEP = np.unique(np.geomspace(1, 20_000, 300).astype(int))
STEP = np.append(0, STEP)


def valley(x: Any) -> Any:
    """Test loss where decay has brought a network x far; no straight line."""
    return np.exp(-2 * np.asarray(x))


def path(gamma0: float = GAMMA0, **change: Any) -> DecayPath:
    """Its refits of 20 and 40 steps, γ_eff 0.5 and 0.25, drift by γ0 a step."""
    tau = 0.01 * np.arange(151)
    x = tau * (1 + gamma0 / np.array([0.5, 0.25]))[:, None]
    loss = np.broadcast_to(valley(x), (len(SEEDS), 1, 1, 1, 2, 151))
    curves = {"test_loss": loss, "test_accuracy": 1 - loss, "train_accuracy": np.ones(loss.shape)}
    return planted_path(SEEDS, (3.0,), **({"curves": curves, "loss": "mse"} | change))


def runs(
    gamma0: float = GAMMA0, noise: float = 0.0, gamma: Any = (0.0, 0.0), onset: float = 0.0, **change: Any
) -> Runs:
    """Each seed walks from 0.1 on, at its γ and, after the onset, γ0; fitted from step 50 on."""
    first = 0.1 if onset == 0 else 0.0
    x = first + ETA * (np.array(gamma)[:, None] * STEP + gamma0 * np.maximum(STEP - onset, 0))
    loss = valley(x) * (1 + noise * np.random.default_rng(0).standard_normal(x.shape))
    loss = np.where(STEP < 50, 2.0, loss)
    fitted = np.broadcast_to(1.0 * (STEP >= 50), x.shape)
    settings = {"gamma": gamma, "eta_d": ETA, "eta_r": NAN, "alpha": 3.0, "n_train": 50, "seed": SEEDS}
    curves = {"train_loss": 1.001 - fitted, "train_accuracy": fitted, "test_loss": loss}
    curves |= {"test_accuracy": np.clip(1 - loss, 0, 1), "weight_norm": np.ones(x.shape)}
    usual: dict[str, Any] = {
        "step": STEP, "settings": settings, "curves": curves, "w0": 2.0, "steps_done": STEP[-1],
        "diverged": False, "task": "planted", "loss": "mse", "threshold": 0.9, "optimizer": "adamw",
    }  # fmt: skip
    return Runs.assemble(**(usual | change))


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_what_was_planted_is_found(metric: str) -> None:
    found = implicit_decay(path(), runs(), metric)
    assert [r.seed for r in found.runs] == list(SEEDS)
    for r in found.runs:
        assert r.gamma0 == pytest.approx(GAMMA0, rel=1e-3)
        assert r.low <= r.gamma0 <= r.high
        assert r.high - r.low < 1e-2 * GAMMA0
        assert r.slope == pytest.approx(GAMMA0 / (1 + GAMMA0 / 0.25), rel=1e-3)
    assert found.median == pytest.approx(GAMMA0, rel=1e-3)
    assert found.of(1) == found.runs[1].gamma0


def test_only_what_run_and_path_share_counts() -> None:
    """A run that goes far beyond the path, and before it: the same drift, from fewer points."""
    short = path()
    held = short.dataset["tau"].values < 0.25
    curves = {
        name: np.where(held, short.dataset[name].values, NAN)
        for name in ("test_loss", "test_accuracy", "train_accuracy")
    }
    late = implicit_decay(path(curves=curves, fit="first"), runs(), "loss")
    assert late.runs[0].stretch[1] < 0.25
    assert late.median == pytest.approx(GAMMA0, rel=1e-2)


def test_noise_is_in_the_interval() -> None:
    found = implicit_decay(path(), runs(noise=0.02), "loss")
    low, high = found.interval
    assert low < GAMMA0 < high
    assert high - low < GAMMA0


def test_runs_with_decay_are_left_out() -> None:
    found = implicit_decay(path(), runs(gamma=(0.0, 0.01)))
    assert [r.seed for r in found.runs] == [0]
    assert found.of(1) == found.median  # a seed that has no run of its own
    with pytest.raises(InputError, match="none with gamma = 0"):
        implicit_decay(path(), runs(gamma=(0.1, 0.01)))


def test_a_decay_is_taken_off() -> None:
    found = implicit_decay(path(), runs(gamma=(0.0, 0.01)), gamma=0.01)
    assert [(r.seed, r.gamma) for r in found.runs] == [(1, 0.01)]
    assert found.median == pytest.approx(GAMMA0, rel=1e-3)


@pytest.mark.parametrize(("onset", "drifts"), [(3000.0, True), (6000.0, True), (6000.0, False)])
def test_a_late_onset_is_found(onset: float, drifts: bool) -> None:
    """Whether the refits of the path, at 4,000 steps to a τ of 1, go on for as long or not."""
    tau = 0.01 * np.arange(151)
    steps = tau / 0.01 * np.array([20, 40])[:, None]
    x = tau + ETA * GAMMA0 * np.maximum(steps - onset, 0) * drifts
    loss = np.broadcast_to(valley(x), (len(SEEDS), 1, 1, 1, 2, 151))
    curves = {"test_loss": loss, "test_accuracy": 1 - loss, "train_accuracy": np.ones(loss.shape)}
    found = implicit_decay(path(curves=curves), runs(onset=onset), "loss")
    for r in found.runs:
        assert r.gamma0 == pytest.approx(GAMMA0, rel=0.01)
        assert r.onset == pytest.approx(onset, rel=0.01)
    assert found.onset(1) == found.runs[1].onset
    under = implicit_decay(path(curves=curves), runs(gamma=(0.0, 0.01), onset=onset), "loss", gamma=0.01)
    assert under.runs[0].gamma0 == pytest.approx(GAMMA0, rel=0.01)
    assert under.runs[0].onset == pytest.approx(onset, rel=0.02)


def test_no_drift_is_none() -> None:
    found = implicit_decay(path(0.0), runs(0.0))
    assert found.median == pytest.approx(0, abs=1e-9)
    assert implicit_decay(path(0.0), runs(-0.002)).runs[0].gamma0 < 0
    assert implicit_decay(path(0.0), runs(-0.002)).of(0) == 0


def test_a_run_faster_than_the_path_tells_no_number() -> None:
    found = implicit_decay(path(0.0), runs(0.5))
    assert math.isinf(found.runs[0].gamma0)
    with pytest.raises(InputError, match="no run tells one"):
        found.of(0)


def test_where_run_and_path_share_nothing_it_says_so() -> None:
    curves = {name: np.array(runs().dataset[name].values) for name in ("train_loss", "weight_norm")}
    never = curves | {"train_accuracy": np.zeros((2, len(STEP))), "test_loss": np.ones((2, len(STEP)))}
    never["test_accuracy"] = never["train_accuracy"]
    found = implicit_decay(path(), runs(curves=never))
    assert math.isnan(found.median)
    assert all(math.isnan(x) for x in found.interval)
    unfitted = path(t_fit=np.full((2, 1, 1, 1), NAN))
    assert math.isnan(implicit_decay(unfitted, runs()).median)
    late = path(t_fit=np.full((2, 1, 1, 1), 6200.0))  # beyond all records
    assert math.isnan(implicit_decay(late, runs()).median)


def test_what_does_not_belong_is_told_by_name() -> None:
    with pytest.raises(InputError, match="metric"):
        implicit_decay(path(), runs(), "norm")
    with pytest.raises(InputError, match="optimizer"):
        implicit_decay(path(optimizer="sgd"), runs())
    with pytest.raises(InputError, match="constrained"):
        implicit_decay(path(), Runs(runs().dataset.assign_attrs(constrained=1)))
    other = runs().dataset.assign_coords(alpha=("run", [2.0, 2.0]))
    with pytest.raises(InputError, match="alpha = 2"):
        implicit_decay(path(), Runs(other))
    batches = implicit_decay(path(configuration={"batch": 10, "settings": {}}), runs())
    assert any("noise" in remark for remark in batches.remarks)


def test_a_drift_is_told_by_stretches_of_the_steps() -> None:
    """Beside the decay that the runs have; not where they, or their paths, do not go."""
    still_refits = path(gamma0=0.0)
    told = fading(still_refits, runs(gamma=(0.01, 0.01)), 0.01)
    assert told == [["0.01", str(seed), "0.020 (1e-03)", "–", "–", "–"] for seed in SEEDS]
    none = fading(still_refits, runs(gamma0=0.0, gamma=(0.01, 0.01)), 0.01)
    assert none[0][2] in ("0.000 (1e-03)", "-0.000 (1e-03)")
