"""Comparisons by the law that the files record: momentum, coupling, schedules, and what does not decay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from planted import LAST, NAN, flat, grid, law, planted, planted_path

from groktime.fullnet.runs import Runs
from groktime.reduced.errors import InputError
from groktime.reduced.law import Schedule, law_by
from groktime.validation.baselines import BASELINES
from groktime.validation.collapse import collapse
from groktime.validation.compare import compare
from groktime.validation.drift import implicit_decay
from groktime.validation.figures import plot

RUNS = grid()
TIMES = law(RUNS["gamma"])
SAID: dict[str, tuple[dict[str, Any], float]] = {
    "torch's SGD with momentum 0.95": ({"optimizer": "SGD", "law": {"momentum": 0.95}}, 20.0),
    "torch's SGD without": ({"optimizer": "SGD", "law": {"momentum": 0.0}}, 1.0),
    "momentum as ever": ({"optimizer": "momentum"}, 10.0),
    "momentum 0.5": ({"optimizer": "momentum", "law": {"momentum": 0.5}}, 2.0),
    "decoupled momentum": ({"optimizer": "momentum", "law": {"momentum": 0.95, "coupled": False}}, 1.0),
    "AdamW": ({"optimizer": "AdamW", "law": {"betas": [0.9, 0.98]}}, 1.0),
}


@pytest.mark.parametrize("said", SAID)
def test_times_are_by_the_law_of_the_file(said: str) -> None:
    how, faster = SAID[said]
    runs = planted(TIMES / faster, **RUNS, **how)
    rule = {"AdamW": "adamw", "SGD": "sgd"}.get(how["optimizer"], how["optimizer"])
    table = compare([flat(), planted_path(optimizer=rule)], runs).table
    for predictor in ("flow", "path", "inverse_gamma"):
        told = table["predicted"].sel(predictor=predictor).values
        np.testing.assert_allclose(told, TIMES / faster, rtol=3e-3, err_msg=predictor)
    np.testing.assert_allclose(table["decay_rate"].values, faster * RUNS["gamma"] * 1e-3)
    if how["optimizer"] != "SGD" or faster == 1:
        np.testing.assert_allclose(collapse(runs, planted_path(optimizer=rule))["tau"], np.log(2), rtol=1e-2)


def test_paths_of_another_momentum_carry_over_in_time() -> None:
    for path, run in (("sgd", "momentum"), ("momentum", "sgd")):
        speed = {"sgd": 1.0, "momentum": 10.0}
        runs = planted(TIMES / speed[run], **RUNS, optimizer=run)
        found = compare(planted_path(optimizer=path), runs)
        told = found.table["predicted"].sel(predictor="path").values
        np.testing.assert_allclose(told, TIMES / speed[run], rtol=3e-3)
        assert "sampled with momentum" in str(found.table.attrs["remarks"])


@pytest.mark.parametrize(
    ("path", "runs", "words"),
    [
        ({}, {"optimizer": "SGD"}, "'SGD' and does not say its momentum"),
        ({}, {"optimizer": "adam"}, "Adam's decay"),
        ({}, {"law": {"coupled": True}}, "Adam's decay"),
        ({}, {"optimizer": "rprop"}, "'rprop', whose law of decay is not known"),
        ({"law": {"no_decay": ["bias"]}}, {"law": {"no_decay": ["norm", "bias"]}}, r"no_decay: .* 'bias'"),
        ({"law": {"no_decay": ["bias"]}}, {}, r"without 'bias' and .* with every parameter"),
        (
            {"configuration": {"settings": {}}},
            {"law": {"no_decay": ["b"]}},
            r"with every parameter and .*'b'",
        ),
    ],
)
def test_laws_that_time_does_not_carry_over_are_refused(path: Any, runs: Any, words: str) -> None:
    trained = planted(TIMES, **RUNS, **runs)
    rule = {"SGD": "sgd", "adam": "adam"}.get(runs.get("optimizer"), "adamw")
    with pytest.raises(InputError, match=words):
        compare(planted_path(**({"optimizer": rule} | path)), trained)


def test_another_family_is_refused_and_other_betas_are_remarked() -> None:
    with pytest.raises(InputError, match=r"optimizer: 'adamw' in .* and 'sgd' in"):
        compare(planted_path(), planted(TIMES, **RUNS, optimizer="sgd"))
    runs = planted(TIMES, **RUNS, law={"betas": [0.9, 0.999]})
    found = compare(planted_path(law={"betas": [0.9, 0.98]}), runs)
    assert "betas 0.9 and 0.98" in str(found.table.attrs["remarks"])


def test_groups_that_agree_are_compared_and_silence_is_remarked() -> None:
    groups = {"no_decay": ["norm", "bias"]}
    runs = planted(TIMES, **RUNS, law=groups)
    same = compare(planted_path(law={"no_decay": ["bias", "norm"]}), runs)
    assert "which parameters decay" not in str(same.table.attrs["remarks"])
    silent = compare(flat(), runs)
    assert "does not say which parameters decay" in str(silent.table.attrs["remarks"])


SCHEDULES = [
    Schedule(warmup=4000),
    Schedule("step", 3000, 0.7),
    Schedule("linear", 20_000, 0.3),
    Schedule("cosine", 100_000, 0.1, warmup=1000),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_time_is_what_the_schedule_has_come_to(schedule: Schedule) -> None:
    never = schedule.spent(np.inf) < TIMES
    times = np.where(never, NAN, schedule.steps_to(TIMES))
    runs = planted(times, t_mem=1, **RUNS, law=law_by("adamw", schedule=schedule))
    found = compare([flat(), planted_path()], runs)
    for predictor in ("flow", "path", "inverse_gamma"):
        told = found.table["predicted"].sel(predictor=predictor).values
        np.testing.assert_allclose(told[~never], times[~never], rtol=5e-3, err_msg=predictor)
        assert np.isnan(told[never]).all()
    one = int(np.flatnonzero(~never)[0])
    p = found.prediction(one, "path")
    assert p.schedule == schedule
    assert p.t_grok == pytest.approx(times[one], rel=5e-3)
    plain = compare([flat(), planted_path()], planted(TIMES, **RUNS, last=LAST))
    assert set(BASELINES) <= set(found.table["predictor"].values)
    naive = plain.table["predicted"].sel(predictor="flow").values  # as if the rate stayed
    assert np.nanmax(np.abs(np.log(naive / times))) > 0.02
    tau = collapse(runs, planted_path())["tau"].values
    np.testing.assert_allclose(tau[~never], np.log(2), rtol=1e-2)
    if schedule.shape == "cosine":
        assert plot(found, kind="trajectory") is not None


def test_the_delay_of_a_baseline_is_in_steps_of_the_schedule() -> None:
    schedule = Schedule("linear", 10_000, 0.5)
    t_mem, t_grok = (schedule.steps_to(x) for x in (np.full(9, 100.0), 100 + TIMES))
    runs = planted(t_grok, t_mem=t_mem, **RUNS, law=law_by("adamw", schedule=schedule))
    table = compare(flat(), runs).table
    delay = table["predicted_delay"].sel(predictor="norm_separation").values
    rate = table["decay_rate"].values
    free = np.log(table["norm_at_mem"].values / table["norm_at_grok"].values) / rate
    kappa = np.exp(np.mean(np.log(free[3:6] / TIMES[3:6])))
    expected = schedule.steps_to(100 + free / kappa) - t_mem
    np.testing.assert_allclose(delay, expected, rtol=1e-2)


def test_the_drift_of_runs_under_a_schedule_is_in_its_time() -> None:
    tau = 0.01 * np.arange(151)
    schedule = Schedule("step", 4000, 0.5)
    path = planted_path(alpha=(3.0,), eta_d=1e-3)
    gamma0, step = 0.01, np.unique(np.geomspace(1, 20_000, 200).astype(int))
    step = np.concatenate([[0], step])
    # the path of planted_path passes at τ = ln 2, its test accuracy rises by 0.3 τ
    at = gamma0 * 1e-3 * schedule.spent(step)
    test = np.clip(0.9 + 0.3 * (at - np.log(2)), 0, 1)
    ones = np.ones((1, len(step)))
    runs = Runs.assemble(
        step=step,
        settings={"gamma": 0.0, "eta_d": 1e-3, "eta_r": NAN, "alpha": 3.0, "n_train": 50, "seed": 0},
        curves={"train_accuracy": ones, "test_accuracy": test[None], "test_loss": 1 - test[None],
                "train_loss": 1e-3 * ones, "weight_norm": ones},
        w0=2.0, steps_done=int(step[-1]), diverged=False, task="planted", loss="mse", threshold=0.9,
        optimizer="adamw", law=law_by("adamw", schedule=schedule),
    )  # fmt: skip
    found = implicit_decay(path, runs)
    finest = float(path.gamma_eff[-1])
    assert found.median == pytest.approx(gamma0 / (1 - gamma0 / finest), rel=0.05)
    assert tau[-1] > 1
