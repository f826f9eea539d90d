"""The law of decay: schedules and their time, what files say of it, and what predictions make of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_path import ETA, at, made_up

from groktime.reduced.decay_path import DecayPath, open_path
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape
from groktime.reduced.law import DecayLaw, Schedule, law_by, law_of, stored
from groktime.reduced.prediction import predict
from groktime.reduced.recommend import recommend
from groktime.reduced.what_if import what_if

SCHEDULES = [
    Schedule(),
    Schedule(warmup=10),
    Schedule("step", 70, 0.5),
    Schedule("step", 100, 0.9, warmup=33),
    Schedule("linear", 50, 0.1),
    Schedule("linear", 50, 2.0, warmup=5),
    Schedule("cosine", 300),
    Schedule("cosine", 1, 0.5, warmup=3),
    Schedule("cosine", 64, 0.1, warmup=20),
    Schedule(warmup=10, from_zero=True),
    Schedule("linear", 50, 0.1, warmup=1, from_zero=True),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_time_of_a_schedule_is_the_sum_of_its_factors(schedule: Schedule) -> None:
    steps = np.arange(401)
    spent = np.concatenate([[0], np.cumsum([schedule.at(k) for k in range(400)])])
    np.testing.assert_allclose(schedule.spent(steps), spent, rtol=1e-12, atol=1e-11)
    between = np.linspace(0, 400, 1801)
    np.testing.assert_allclose(
        schedule.spent(between), np.interp(between, steps, spent), rtol=1e-12, atol=1e-11
    )
    here = schedule.spent(between)
    falls = here < schedule.spent(math.inf) * (1 - 1e-6)
    falls &= (here > 0) | (between == 0)  # a warm-up from 0 spends nothing in its first step
    np.testing.assert_allclose(schedule.steps_to(here)[falls], between[falls], rtol=1e-6, atol=1e-9)
    assert np.isnan(schedule.steps_to(math.nan))
    assert np.isinf(schedule.steps_to(math.inf))
    assert float(schedule.steps_to(0.0)) == 0


def test_numbers_by_hand() -> None:
    cosine = Schedule("cosine", 1000)  # half of the rate on average, and then nothing
    assert float(cosine.spent(math.inf)) == pytest.approx(500.5)
    assert np.isinf(cosine.steps_to(501))
    assert float(cosine.spent(500)) == pytest.approx(0.5 * 500 + 1000 / (2 * math.pi), rel=2e-3)
    drops = Schedule("step", 100, 0.1)
    assert float(drops.spent(250)) == pytest.approx(100 + 10 + 0.5)
    assert float(drops.steps_to(110.5)) == pytest.approx(250)
    assert float(drops.spent(math.inf)) == pytest.approx(1000 / 9)
    assert float(Schedule(warmup=4).spent(4)) == pytest.approx((1 + 2 + 3 + 4) / 4)
    assert float(Schedule("linear", 10, 0.5).steps_to(1e9)) == pytest.approx(2e9, rel=1e-6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shape": "exponential"}, "shape = 'exponential'"),
        ({"shape": "cosine"}, "steps = 0"),
        ({"shape": "step", "steps": 10}, r"factor = 0\.0: expected a share in \(0, 1\]"),
        ({"shape": "step", "steps": 10, "factor": 2.0}, "factor = 2"),
        ({"shape": "linear", "steps": 10, "factor": math.nan}, "factor = nan"),
        ({"shape": "linear", "steps": 10, "factor": "half"}, "factor = 'half'"),
        ({"shape": "linear", "steps": 1.5}, "steps = 1.5"),
        ({"warmup": -1}, "warmup = -1"),
        ({"warmup": True}, "warmup = True"),
        ({"warmup": 5, "from_zero": 1}, "from_zero = 1"),
    ],
)
def test_what_is_no_schedule_is_refused(given: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"^schedule: {words}"):
        Schedule(**given)


def test_speeds() -> None:
    assert law_by("adamw", betas=(0.9, 0.98)) == DecayLaw("adamw", betas=(0.9, 0.98))
    usual, strong = law_by("momentum"), law_by("momentum", 0.95)
    assert (usual.pace, usual.speed) == pytest.approx((10, 10))
    assert (strong.pace, strong.speed) == pytest.approx((20, 20))
    decoupled = DecayLaw("momentum", 0.95)
    assert (decoupled.pace, decoupled.speed) == pytest.approx((20, 1))
    law = DecayLaw("momentum", 0.9, coupled=True, schedule=Schedule("step", 100, 0.1))
    assert float(law.tau(250, 1e-3)) == pytest.approx(10 * 1e-3 * 110.5)


# --- in files ---------------------------------------------------------------------------------


def test_a_law_is_in_the_file_as_it_was(tmp_path: Path) -> None:
    law = DecayLaw("momentum", 0.95, True, None, Schedule("cosine", 500, 0.1, 20), ("bias", "norm."))
    made_up(optimizer="momentum", law=law).save(tmp_path / "path.nc")
    path = open_path(tmp_path / "path.nc")
    assert path.law == law
    assert json.loads(path.attrs["law"])["no_decay"] == ["bias", "norm."]
    assert path.speed == pytest.approx(20)
    again = DecayPath(path.dataset, "again")
    assert again.law == law


def test_a_file_that_does_not_say_has_the_law_of_its_optimizer() -> None:
    assert made_up(optimizer="momentum").law == law_by("momentum")
    assert made_up(optimizer="sgd").law == law_by("sgd")
    made = {"betas": [0.9, 0.98], "warmup": 10}
    assert made_up(configuration=made).law == law_by("adamw", None, (0.9, 0.98), Schedule(warmup=10))
    land = Landscape.from_arrays(alpha=[1, 2, 3, 4], train_loss=[1, 1, 1, 1])
    assert land.law == DecayLaw("adam")
    older = land.dataset
    del older.attrs["law"]
    assert Landscape(older).law == land.law
    assert law_of({"optimizer": "SGD", "law": '{"momentum": 0.95}'}) == DecayLaw("sgd", 0.95, True)


@pytest.mark.parametrize(
    ("law", "words"),
    [
        ({"momentum": 1.0}, r"momentum = 1\.0: expected a number in \[0, 1\)"),
        ({"momentum": "much"}, "momentum = 'much'"),
        ({"nesterov": True}, "'nesterov' is none of rule, momentum"),
        ({"coupled": 1}, "coupled = 1"),
        ({"betas": [0.9]}, r"betas = \[0\.9\]"),
        ({"no_decay": "bias"}, "no_decay = 'bias'"),
        ({"schedule": {"shape": "cosine"}}, "schedule: steps = 0"),
        ({"schedule": ["cosine"]}, "schedule = "),
        ({"rule": "sgd"}, "rule = 'sgd': expected 'adamw', the file's optimizer"),
    ],
)
def test_a_law_that_is_none_is_refused_with_the_file(law: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"^user: attribute law: .*{words}"):
        made_up(law=law)
    with pytest.raises(InputError, match="law: expected a DecayLaw"):
        made_up(law=3)
    with pytest.raises(InputError, match="law: cannot be stored"):
        stored({"momentum": object()})


# --- what predictions make of it --------------------------------------------------------------


def test_times_of_a_path_are_those_at_which_the_schedule_has_come_to_them() -> None:
    plain = at(made_up(t_fit=200.0), gamma=0.3)
    for schedule in SCHEDULES:
        p = at(made_up(t_fit=200.0), gamma=0.3, schedule=schedule)
        if schedule.spent(math.inf) < plain.t_grok:
            assert p.status is Status.NEVER
            assert math.isnan(p.t_grok)
            assert "The schedule lets the rates fall" in p.remarks[0]
            continue
        for name, rel in (("t_grok", 1e-6), ("t_mem", 1e-6), ("low", 0.02), ("high", 0.02)):
            # an interval is one in ln t, and not in the decay that is spent
            assert float(schedule.spent(getattr(p, name))) == pytest.approx(getattr(plain, name), rel=rel)
        assert (str(schedule) in p.report()) == (not schedule.constant)
    assert "schedule" not in plain.settings


def test_the_schedule_of_the_file_is_taken_unless_another_is_given() -> None:
    halved = Schedule("linear", 1, 0.5)
    path = made_up(law=law_by("adamw", schedule=halved))
    usual = at(made_up())
    assert at(path).t_grok == pytest.approx(float(halved.steps_to(usual.t_grok)))
    assert at(path, schedule=Schedule()).t_grok == pytest.approx(usual.t_grok)
    assert at(path).settings["schedule"]["factor"] == 0.5
    assert json.loads(json.dumps(at(path).to_dict()))["settings"]["schedule"]["shape"] == "linear"
    table = what_if(path, gamma=[0.01, 0.02], eta_d=ETA, alpha=3.0)
    assert float(table["t_grok"][0]) == pytest.approx(at(path).t_grok)
    slow = recommend(path, budget=200_000, eta_d=ETA, alpha=3.0)
    full = recommend(path, budget=200_000, eta_d=ETA, alpha=3.0, schedule=Schedule())
    assert slow.gamma == pytest.approx(2 * full.gamma, rel=0.02)  # half the steps of the full rate
    assert slow.prediction.t_grok <= 200_000


def test_a_path_knows_its_own_warm_up() -> None:
    """What the path fits in holds the warm-up, and a run with the same one fits in as many steps."""
    warm = law_by("adamw", schedule=Schedule(warmup=100))
    p = at(made_up(t_fit=60.0, law=warm))
    assert p.t_mem == pytest.approx(60)
    assert at(made_up(t_fit=60.0, law=warm), schedule=Schedule()).t_mem == pytest.approx(60 * 61 / 200)


def test_momentum_is_the_one_that_is_said() -> None:
    strong = made_up(optimizer="momentum", law={"momentum": 0.95})
    assert strong.gamma_eff == pytest.approx(made_up().gamma_eff / 20)
    assert at(strong, gamma=0.01 / 20).t_grok == pytest.approx(at(made_up()).t_grok)
    decoupled = made_up(optimizer="momentum", law={"momentum": 0.95, "coupled": False})
    assert at(decoupled).t_grok == pytest.approx(at(made_up()).t_grok)


def test_landscapes_take_a_schedule() -> None:
    alpha = np.geomspace(0.5, 8, 17)
    accuracy = np.clip(0.9 - 0.2 * np.log(alpha / 1.5), 0, 1)
    land = Landscape.from_arrays(
        alpha=alpha, train_loss=np.full(17, 1e-6), train_accuracy=np.ones(17), test_accuracy=accuracy,
        test_loss=1 - accuracy + 1e-9, threshold=0.9, w0=1.0,
    )  # fmt: skip
    asked: dict[str, Any] = {"gamma": 0.1, "eta_d": 1e-3, "alpha": 3.0}
    plain = predict(land, **asked)
    drops = Schedule("step", 5000, 0.5)
    p = predict(land, **asked, schedule=drops)
    assert plain.t_grok == pytest.approx(math.log(2) / 1e-4, rel=1e-3)
    assert p.t_grok == pytest.approx(5000 + (plain.t_grok - 5000) / 0.5)
    assert f"t = {p.t_grok:>10,.0f}" in p.report()  # of the phases, too
    assert p.forms["printed"] == pytest.approx(float(drops.steps_to(plain.forms["printed"])))
    never = predict(land, **asked, schedule=Schedule("step", 1000, 0.5))  # 2,000 steps in all
    assert never.status is Status.NEVER
    assert math.isnan(never.t_grok)


# --- the convention ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gamma", "eta_d", "told"),
    [(1e-4, 1e-3, True), (1e-3, 3e-4, True), (0.01, 3e-4, False), (0.01, 1e-6, True), (1.0, 1e-7, False),
     (0.0, 1e-3, False), (1e-3, 1e-2, False), (0.1, 3e-4, False)],
)  # fmt: skip
def test_a_decay_that_looks_like_one_of_a_step_itself_is_remarked(
    gamma: float, eta_d: float, told: bool
) -> None:
    p = at(made_up(), gamma=gamma, eta_d=eta_d)
    told_now = [r for r in p.remarks if "gamma is multiplied" in r]
    assert bool(told_now) is told
    if told:
        assert f"gamma = {gamma / eta_d:.3g}." in told_now[0]
