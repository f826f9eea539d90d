"""`train`: every member is what plain PyTorch makes of one network, whoever is trained beside it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_task import (
    LOSSES,
    QUIET,
    TRIO,
    apart,
    crowd,
    fully,
    learners,
    plan_of,
    small_task,
    squared,
    trained,
)

from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.machine import Machine
from groktime.fullnet.procedures.training import Training, TrainingState
from groktime.fullnet.runs import CURVES, open_runs
from groktime.fullnet.task import Problem
from groktime.fullnet.tasks import teacher_student
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError


@pytest.mark.parametrize("batch", [0, 6])
@pytest.mark.parametrize("rule", ["adamw", "sgd", "momentum"])
def test_a_member_of_64_is_what_it_is_alone(rule: str, batch: int, tmp_path: Path) -> None:
    task, members = small_task(batch=batch), crowd(64)
    together = fully(task, members, tmp_path / "64.nc", optimizer=rule, members=64)
    cut = fully(task, members[::-1], tmp_path / "13.nc", optimizer=rule, members=13)
    for name in CURVES:
        assert apart(cut.dataset[name].values[::-1], together.dataset[name].values) <= 1e-9, name
    for k in (0, 1, 2, 3, 9, 17, 24, 31, 38, 45, 52, 60, 63):
        alone = trained(plan_of(task, optimizer=rule), [members[k]], tmp_path)
        for name in CURVES:
            assert apart(together.dataset[name].values[k], alone[name][0]) <= 1e-9, (k, name)


def test_a_task_without_messiness_has_no_line(tmp_path: Path) -> None:
    for kind in ("line", "free"):
        with pytest.raises(InputError, match=rf"representation = '{kind}': .*expected 'fixed'"):
            train(
                teacher_student(), gamma=0.1, alpha=1.0, steps=3, representation=kind, out=tmp_path / "a.nc"
            )
    assert list(tmp_path.iterdir()) == []
    file = train(
        teacher_student(n_train=5), gamma=0.1, alpha=1, seeds=[0], steps=2, out=tmp_path / "a.nc",
        machine=QUIET,
    ).dataset  # fmt: skip
    assert np.isnan(file["m"]).all()
    assert np.isnan(file["m_start"]).all()


def test_a_member_that_diverges_is_told_and_changes_nothing_for_the_others(tmp_path: Path) -> None:
    task, members = small_task(), crowd(9)
    wild = [
        replace(c, eta_d=eta) if eta else c
        for c, eta in zip(members, [0, 1e4, 0, 0, 1e9] + 4 * [0], strict=True)
    ]
    change: dict[str, Any] = {"optimizer": "sgd", "resolution": 0.1, "members": 9}
    quiet = fully(task, members, tmp_path / "quiet.nc", **change)
    loud = fully(task, wild, tmp_path / "loud.nc", **change)
    assert loud.dataset["diverged"].values.tolist() == [k in (1, 4) for k in range(9)]
    assert not loud.finished.any()
    rest = [k for k in range(9) if k not in (1, 4)]
    for name in CURVES:
        assert apart(loud.dataset[name].values[rest], quiet.dataset[name].values[rest]) <= 1e-12
    for k in (1, 4):
        done = int(loud.dataset["steps_done"][k])
        assert 0 < done < 200
        at = int(np.searchsorted(loud.step, done))
        assert loud.step[at] == done
        for name in CURVES:
            values = loud.dataset[name].values[k]
            assert np.isfinite(values[:at]).all(), name
            assert np.isnan(values[at + 1 :]).all(), name
        assert not np.isfinite([loud.dataset[name].values[k, at] for name in LOSSES]).all()
    assert loud.dataset["steps_done"].values[rest].tolist() == [200] * 7
    assert open_runs(tmp_path / "loud.nc").dataset.identical(loud.dataset)


@pytest.mark.parametrize("broken", ["test", "norm"])
def test_whatever_is_not_finite_is_a_divergence(broken: str, tmp_path: Path) -> None:
    """Also where the training loss still is a number: in float32 the others may overflow before it."""
    task = small_task()
    if broken == "test":

        def problem(seed: int, n_train: int) -> Problem:
            known = task.problem(seed, n_train)
            return replace(known, test=replace(known.test, targets={"y": 3e38 * torch.ones(10)}))

        odd, alpha = replace(task, problem=problem), 1.0
    else:
        odd, alpha = replace(task, loss=lambda o, t: torch.tanh(squared(o, t))), 1e25
    runs = train(odd, gamma=0.1, alpha=alpha, seeds=[0, 1], steps=3, machine=QUIET, out=tmp_path / "a.nc")
    assert runs.dataset["diverged"].values.all()
    assert runs.dataset["steps_done"].values.tolist() == [0, 0]


def test_everybody_may_diverge(tmp_path: Path) -> None:
    runs = fully(small_task(), [replace(TRIO[0], alpha=1e30)], tmp_path / "a.nc", dtype="float32")
    assert runs.dataset["diverged"].values.all()
    assert runs.dataset["steps_done"].values.tolist() == [0]


EARLY: dict[str, Any] = {"steps": 600, "resolution": 0.03, "optimizer": "adamw"}


def test_a_member_that_is_done_stops_and_changes_nothing_for_the_others(tmp_path: Path) -> None:
    task, members = small_task(), learners()
    free = fully(task, members, tmp_path / "free.nc", **EARLY)
    stopped = fully(task, members, tmp_path / "stopped.nc", **EARLY, stop_at=0.8)
    done = stopped.dataset["steps_done"].values
    assert 3 <= (done < 600).sum() < len(members)
    assert len(set(done.tolist())) >= 4
    assert (stopped.finished == (done < 600)).all()
    step = free.step
    for k, last in enumerate(done):
        for name in CURVES:
            whole, part = free.dataset[name].values[k], stopped.dataset[name].values[k]
            assert apart(part[step <= last], whole[step <= last]) <= 1e-9
            assert np.isnan(part[step > last]).all()
        beyond = (free.dataset["test_accuracy"].values[k] >= 0.8) & (
            free.dataset["train_accuracy"].values[k] >= 0.95
        )
        third = [i for i in range(2, len(step)) if beyond[i - 2 : i + 1].all()]
        assert last == (step[third[0]] if third else 600)


@pytest.mark.parametrize("steps", [1, 2, 3, 49, 50, 51, 52, 100, 12_345, 300_000])
@pytest.mark.parametrize("resolution", [1e-3, 0.02, 0.1, 1.0])
def test_evaluation_times(steps: int, resolution: float) -> None:
    times = plan_of(small_task(), steps=steps, resolution=resolution).times
    assert times[0] == 0
    assert times[-1] == steps
    assert (np.diff(times) > 0).all()
    before, after = times[1:-1], times[2:]
    assert ((after <= before * (1 + resolution)) | (after == before + 1)).all()
    assert steps < 2 or times[1] == 1


def test_initial_weights_do_not_depend_on_what_is_made_beside_them() -> None:
    """Pieces are built in threads, and modules draw from the one global generator."""
    task = teacher_student()
    seeds = list(range(8)) * 8
    alone = {seed: initial_parameters(task, seed) for seed in set(seeds)}
    teachers = {seed: task.problem(seed, 5).train.targets["vector"] for seed in set(seeds)}
    with ThreadPoolExecutor(8) as pool:
        weights = list(pool.map(lambda seed: initial_parameters(task, seed), seeds))
        labels = list(pool.map(lambda seed: task.problem(seed, 5).train.targets["vector"], seeds))
    assert all(torch.equal(w, alone[seed]) for w, seed in zip(weights, seeds, strict=True))
    # to rounding, which depends on how many threads torch gives the product; another teacher is far away
    near = (torch.allclose(y, teachers[s], atol=1e-6) for y, s in zip(labels, seeds, strict=True))
    assert all(near)


def test_the_file_has_a_run_for_every_combination_in_the_given_order(tmp_path: Path) -> None:
    runs = train(
        small_task(), gamma=[1.0, 0.1], alpha=[2.0, 1.0], m=[0.5, 0.0], seeds=[3, 1], n_train=[20, 10],
        steps=5, machine=Machine(members=3, workers=2, progress=False), out=tmp_path / "a.nc",
    ).dataset  # fmt: skip
    assert runs.sizes["run"] == 32
    settings = zip(
        *(runs[k].values.tolist() for k in ("gamma", "alpha", "m_start", "n_train", "seed")), strict=True
    )
    expected = [
        (g, a, m, n, s)
        for g in (1.0, 0.1) for a in (2.0, 1.0) for m in (0.5, 0.0) for n in (20, 10) for s in (3, 1)
    ]  # fmt: skip
    assert list(settings) == expected
    assert (runs["eta_d"] == 1e-2).all()
    assert (runs["eta_r"] == 1e-2).all()
    np.testing.assert_allclose(runs["weight_norm"][:, 0], runs["alpha"] * runs["w0"], rtol=1e-6)
    np.testing.assert_allclose(runs["m"], runs["m_start"].values[:, None] * np.ones((1, 6)))
    assert json.loads(runs.attrs["configuration"])["steps"] == 5
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"gamma": -0.1}, "gamma"),
        ({"gamma": [0.1, float("nan")]}, "gamma"),
        ({"gamma": "strong"}, "gamma"),
        ({"gamma": []}, "gamma"),
        ({"gamma": [0.1, 0.1]}, "the same run occurs twice"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": [1.0, float("inf")]}, "alpha"),
        ({"eta_d": 0.0}, "eta_d"),
        ({"eta_r": -1.0}, "eta_r"),
        ({"m": 1.5}, "m"),
        ({"n_train": 21}, "n_train = 21: expected 1 to 20"),
        ({"n_train": 0}, "n_train"),
        ({"n_train": 2.5}, "n_train"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [0.5]}, "seeds"),
        ({"seeds": [-1]}, "seeds"),
        ({"seeds": [10**23]}, "seeds"),
        ({"seeds": 3}, "seeds"),
        ({"seeds": "012"}, "seeds"),
        ({"steps": 0}, "steps"),
        ({"steps": 1.5}, "steps"),
        ({"steps": float("nan")}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"batch": -1}, "batch"),
        ({"optimizer": "rprop"}, "optimizer"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"representation": "loose"}, "representation"),
        ({"representation": "free"}, "representation"),
        ({"resolution": 0.0}, "resolution"),
        ({"resolution": float("nan")}, "resolution"),
        ({"stop_at": 1.1}, "stop_at"),
        ({"dtype": "float16"}, "dtype"),
        ({"device": "abacus"}, "device"),
        ({"members": 0}, "members"),
        ({"members": -2}, "members"),
        ({"workers": 0}, "workers"),
        ({"paired": True, "gamma": [0.1, 0.2], "alpha": [1, 2, 3]}, "gamma"),
        ({"out": "no/such/folder.nc"}, r".*folder\.nc"),
        ({"task": teacher_student(), "m": [0.5, 1.0]}, "m = 0.5: teacher-student has no messiness"),
        ({"task": teacher_student(), "n_train": 0}, "n_train = 0: expected a whole number, 1 or more"),
    ],
    ids=lambda x: x if isinstance(x, str) else ", ".join(x),
)
def test_wrong_arguments_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], names: str
) -> None:
    def never(*_: Any) -> TrainingState:
        raise AssertionError("no training may begin")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Training, "init", never)
    usual: dict[str, Any] = {"gamma": 0.1, "alpha": 1.0, "seeds": [0, 1, 2], "steps": 3}
    with pytest.raises(InputError, match=rf"^{names}\b") as caught:
        machine = {k: change[k] for k in ("device", "members", "workers") if k in change}
        rest = {k: v for k, v in change.items() if k not in machine}
        train(**{"task": small_task(), "out": "small.nc", **usual, **rest}, machine=Machine(**machine))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
