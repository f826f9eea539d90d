"""A script that is watched trains as it did, to the last bit, and what is recorded is what it was."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scripts import ONE, TEST, TRAIN
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import groktime as gt
from groktime.fullnet.watch import watcher
from groktime.reduced.errors import InputError

GIVEN: dict[str, Any] = {"train": TRAIN, "test": TEST, "loss": F.cross_entropy, "cost": None}
STEPS = 40


def script(steps: int = STEPS, decay: float = 0.5) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    """Dropout, minibatches, two groups and a falling rate."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.5)
    loader = DataLoader(TensorDataset(*TRAIN), batch_size=4, shuffle=True)

    def loop() -> None:
        done = 0
        while True:
            for x, y in loader:
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
                scheduler.step()
                done += 1
                if done == steps:
                    return

    return model, optimizer, loop


def test_a_watched_script_trains_as_it_did(tmp_path: Path) -> None:
    plain, _, loop = script()
    loop()
    model, optimizer, loop = script()
    start = [p.detach().clone() for p in model.parameters()]
    loaders = {
        name: DataLoader(TensorDataset(*data), 5, shuffle=True)
        for name, data in (("train", TRAIN), ("test", TEST))
    }
    with gt.watch(model, optimizer, **(GIVEN | loaders), out=tmp_path / "w.nc", resolution=0.3) as w:
        loop()
    for p, q in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(p, q)
    assert all(m.training for m in model.modules())
    runs = gt.open_runs(tmp_path / "w.nc")
    assert runs.step.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 18, 23, 29, 37, 40]
    assert (w.steps, runs["steps_done"].values.tolist(), runs["seed"].values.tolist()) == (40, [40], [0])
    rates = [1e-2 * 0.5 ** (k // 10) for k in range(STEPS)]
    np.testing.assert_allclose(runs["tau"].values[0], [0.5 * sum(rates[:k]) for k in runs.step], rtol=1e-6)
    assert runs["gamma"].values.tolist() == [0.5]
    assert runs["eta_d"].values.tolist() == [1e-2]
    for k, parameters in ((0, start), (-1, [p.detach() for p in plain.parameters()])):
        for name, some in (("weight_norm", [0, 2]), ("norm_all", [0, 1, 2, 3])):
            norm = math.sqrt(sum(float(parameters[j].square().sum()) for j in some))
            assert runs[name].values[0, k] == pytest.approx(norm, rel=1e-5)
    plain.eval()
    with torch.no_grad():
        out = plain(TEST[0])
    assert runs["test_loss"].values[0, -1] == pytest.approx(float(F.cross_entropy(out, TEST[1])), rel=1e-5)
    assert runs["test_accuracy"].values[0, -1] == float((out.argmax(1) == TEST[1]).double().mean())


def test_looks_take_no_more_than_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a step takes a second and a look half of one, the first that 5 % allow is after 10 seconds."""
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    model, optimizer, _ = script()

    def spend(seconds: float) -> Any:
        nonlocal now
        now += seconds
        return 0.0, 0.0

    monkeypatch.setattr(watcher, "loss_and_accuracy", lambda *_: spend(0.25))
    with gt.watch(model, optimizer, **GIVEN | {"cost": 0.05}) as w:
        for _ in range(100):
            spend(1.0)
            optimizer.step()
    seen, step = [0], 1
    while step < 100:
        if 0.5 * len(seen) <= 0.05 * step:  # those after the first, and this one
            seen.append(step)
        step = max(step + 1, int(step * 1.15))
    assert list(w._records) == [*seen, 100]
    assert seen[:4] == [0, 10, 20, 33]
    for wrong in (0.0, -1.0, True, "2 %"):
        with pytest.raises(InputError, match=r"cost = .*: expected a"):
            gt.watch(model, optimizer, **GIVEN | {"cost": wrong})


def test_the_direction_turns_as_its_angle(tmp_path: Path) -> None:
    model = nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=0.1)
    targets = [torch.zeros(2, 3) for _ in range(3)]
    for k, angle in enumerate((0.0, 0.3, 1.5)):
        targets[k][0, 0], targets[k][1, 2] = math.cos(angle), math.sin(angle)
    with torch.no_grad():
        model.weight.copy_(2 * targets[0])
    with gt.watch(model, optimizer, **GIVEN) as w:
        for target in targets[1:]:
            model.weight.grad = 0.9 * model.weight.detach() - 5 * target  # a step of SGD goes to 5 target
            optimizer.step()
    runs = w.runs()
    np.testing.assert_allclose(runs["turn"].values[0], [0, 0.3, 1.2], rtol=1e-4)
    np.testing.assert_allclose(runs["weight_norm"].values[0], [2, 5, 5], rtol=1e-6)
    np.testing.assert_allclose(runs["tau"].values[0], [0, 0.1, 0.2], rtol=1e-6)
    assert (runs.law.rule, runs.law.momentum) == ("sgd", 0.0)
    assert w.save(tmp_path / "a.nc").exists()
    with pytest.raises(InputError, match=r"a\.nc: exists"):
        w.save(tmp_path / "a.nc")
    with pytest.raises(InputError, match="out: expected the name of a runs file"):
        w.save()
    with pytest.raises(InputError, match="watch: nothing was recorded"):
        gt.watch(model, optimizer, **GIVEN).runs()


def test_a_script_that_is_stopped_or_diverges_leaves_its_file(tmp_path: Path) -> None:
    for name, stopped in (("stopped", True), ("diverged", False)):
        model, optimizer, loop = script(steps=5)
        with (
            pytest.raises(KeyboardInterrupt),
            gt.watch(model, optimizer, **GIVEN, out=tmp_path / f"{name}.nc"),
        ):
            loop()
            if not stopped:
                with torch.no_grad():
                    model[0].weight.fill_(math.inf)
                optimizer.step()
                loop()
            raise KeyboardInterrupt
        runs = gt.open_runs(tmp_path / f"{name}.nc")
        assert runs["diverged"].values.tolist() == [not stopped]
        assert runs["steps_done"].values.tolist() == [5 if stopped else 6]
        assert not optimizer._optimizer_step_post_hooks
    model, optimizer, _ = script()
    with pytest.raises(InputError, match=r"diverged\.nc: exists"):
        gt.watch(model, optimizer, **GIVEN, out=tmp_path / "diverged.nc")


def test_it_is_forecast_from_where_it_stands() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.5)
    with gt.watch(model, optimizer, **GIVEN) as w:
        for _ in range(30):
            optimizer.zero_grad()
            F.cross_entropy(model(TRAIN[0]), TRAIN[1]).backward()
            optimizer.step()
    task = w.task()
    assert task.rule == gt.Rule("adamw", 1e-2, 0.5)
    runs = gt.train(task, alpha=1, steps=40, seeds=[0], **ONE)
    assert runs.step[0] == 30
    for name in ("train_loss", "test_accuracy", "weight_norm"):
        assert runs[name].values[0, 0] == pytest.approx(float(w.runs()[name].values[0, -1]), rel=1e-5)
    for _ in range(10):  # the script goes on, and so did its forecast, moments and all
        optimizer.zero_grad()
        F.cross_entropy(model(TRAIN[0]), TRAIN[1]).backward()
        optimizer.step()
    later = F.cross_entropy(model(TRAIN[0]), TRAIN[1]).item()
    assert runs["train_loss"].values[0, -1] == pytest.approx(later, rel=1e-4)
    with pytest.raises(InputError, match=r"seeds: .* has seed 0 alone, since its start is where the script"):
        gt.train(task, alpha=1, steps=40, seeds=[1], **ONE)
    assert gt.forecast(task, seeds=[0], steps=80, **ONE).summary().sizes["gamma"] == 1


def test_a_part_of_the_samples_is_looked_at() -> None:
    model, optimizer, _ = script()
    found = {}
    for samples in (None, 100, 5):
        with gt.watch(model, optimizer, **GIVEN, samples=samples) as w:
            found[samples] = float(w.runs()["train_loss"].values[0, 0])
    assert found[None] == found[100] != found[5]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"model": 3}, "model: is a int; expected an nn.Module"),
        ({"optimizer": 3}, "optimizer: is a int; expected one of torch.optim"),
        ({"resolution": 2}, "resolution"),
        ({"samples": 0}, "samples = 0"),
        ({"test": (TEST[0][:, :2], TEST[1])}, "test: its samples are of other shapes"),
        ({"loss": None}, "loss: expected a function"),
    ],
)
def test_what_cannot_be_watched(how: dict[str, Any], words: str) -> None:
    model, optimizer, _ = script()
    given = {"model": model, "optimizer": optimizer} | GIVEN | how
    with pytest.raises(InputError, match=words):
        gt.watch(given.pop("model"), given.pop("optimizer"), **given)
