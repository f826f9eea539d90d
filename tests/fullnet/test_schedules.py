"""Rates that warm up and fall: of trainings, of spheres, of representations, and as decay paths read them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plain_groups import ALONE, WHOLE, trained

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.sampler import sample
from groktime.fullnet.task import Adam
from groktime.fullnet.tasks import teacher_student
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError
from groktime.reduced.law import Schedule
from groktime.reduced.prediction import predict
from groktime.validation.compare import compare
from groktime.validation.measure import measure


def test_sampling_and_training_have_schedules_of_their_own() -> None:
    drops = replace(WHOLE, optimizer=replace(WHOLE.optimizer, sampling=Schedule("step", 5, 0.1)))
    for name in ("train_loss", "weight_norm"):
        same = [trained(task, "adamw", steps=20)[name].values for task in (WHOLE, drops)]
        np.testing.assert_array_equal(*same)
    made = json.loads(trained(drops, "adamw", steps=2).attrs["configuration"])
    assert "schedule" not in made
    falls = replace(WHOLE, optimizer=replace(WHOLE.optimizer, schedule=Schedule("cosine", 20)))
    grid: dict[str, Any] = {"alpha": [0.5, 1, 2, 4], "seeds": [0], "steps": 12, **ALONE}
    lands = [sample(task, **grid) for task in (WHOLE, falls, drops)]
    losses = [land["train_loss"].values for land in lands]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert not np.array_equal(losses[0], losses[2])
    sampled = [json.loads(land.attrs["configuration"])["optimizer"] for land in lands]
    assert sampled[0] == sampled[1] == {
        "name": "Adam", "rate": 1e-2, "betas": [0.9, 0.98], "factor": 1.0, "every": 0
    }  # fmt: skip
    assert sampled[2] == sampled[0] | {"factor": 0.1, "every": 5}
    assert lands[1].law.schedule == Schedule("cosine", 20)


def test_the_rate_of_a_representation_falls_but_does_not_warm_up() -> None:
    schedule = Schedule("step", 10, 0.5, warmup=4)
    assert [schedule.settled(k) for k in (0, 3, 4, 13, 14)] == [1, 1, 1, 1, 0.5]
    assert [schedule.at(k) for k in (0, 3, 4, 13, 14)] == [0.25, 1, 1, 1, 0.5]


def test_a_warm_up_is_said_once() -> None:
    twice = replace(WHOLE, optimizer=Adam(1e-2, warmup=5, schedule=Schedule(warmup=9)))
    with pytest.raises(InputError, match="a warm-up of its own and one of its schedule"):
        trained(twice, "adamw")
    ways = [Adam(1e-2, warmup=9), Adam(1e-2, schedule=Schedule(warmup=9))]
    one, other = (trained(replace(WHOLE, optimizer=adam), "adamw", steps=20) for adam in ways)
    np.testing.assert_array_equal(one["train_loss"].values, other["train_loss"].values)
    assert one.attrs["configuration"] == other.attrs["configuration"]


@pytest.mark.slow
def test_a_path_tells_when_runs_under_a_schedule_generalize() -> None:
    """Teacher-student at γ = 0.3: a rate that falls to a half, and one that falls to 0 too soon."""
    task = teacher_student()
    start: dict[str, Any] = {"alpha": 2.0, "seeds": [1], **ALONE}
    path = sample_path(task, dtau=0.02, refit=[50, 100], tau=0.3, stop_at=0.95, **start)
    naive = predict(path, gamma=0.3, eta_d=3e-4, alpha=2.0).t_grok

    def run(schedule: Schedule, steps: int) -> tuple[float, float]:
        adam = replace(task.optimizer, schedule=schedule)
        runs = train(
            replace(task, optimizer=adam), gamma=0.3, steps=steps, stop_at=0.95, resolution=0.05, **start
        )
        table = compare(path, runs).table
        told = float(table["predicted"].sel(predictor="path")[0])
        return told, float(measure(runs)["t_grok"][0])

    told, measured = run(Schedule("linear", 700, 0.5), 4000)
    assert told == pytest.approx(measured, rel=0.15)
    assert measured > 1.4 * naive  # as if the rate stayed
    assert all(math.isnan(t) for t in run(Schedule("cosine", 800), 800))  # 400 steps in all
