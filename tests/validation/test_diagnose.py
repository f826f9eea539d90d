"""Verdicts on curves that were made to deserve them, and times on laws that are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import groktime as gt
from groktime.cli import main
from groktime.reduced.errors import InputError
from groktime.validation.diagnose import Diagnosis, diagnose
from groktime.validation.signals import Drift, signals
from groktime.validation.time_to_go import (
    TEST,
    by_accuracy,
    by_loss,
    by_norm,
    by_test,
    by_waiting,
    time_to_go,
)
from groktime.validation.verdicts import TRY, Verdict

STEP = np.unique(np.round(np.append(0, np.geomspace(1, 10_000, 200))))
FIT = 100.0


def log(**curves: Any) -> pd.DataFrame:
    """A run that fits at 100 and then rests; the curves that are given are functions of the step."""
    usual: dict[str, Any] = {
        "train_acc": lambda t: np.where(t < FIT, 0.5, 1.0),
        "test_acc": lambda t: np.full_like(t, 0.1),
        "train_loss": lambda t: np.where(t < FIT, 1.0, 1e-3),
        "test_loss": lambda t: np.full_like(t, 4.0),
        "weight_norm": lambda t: np.full_like(t, 10.0),
    }
    made = {name: curve(STEP) for name, curve in (usual | curves).items() if curve is not None}
    return pd.DataFrame({"step": STEP} | made)


def verdict(frame: pd.DataFrame, **how: Any) -> Verdict:
    return diagnose(gt.import_runs(frame, **how)).findings[0].verdict


def decaying(rate: float, start: float, at: float = FIT) -> Any:
    return lambda t: start * np.exp(-rate * np.maximum(t - at, 0))


def noise(values: Any, size: float) -> Any:
    return lambda t: values(t) * (1 + size * np.random.default_rng(0).normal(size=len(t)))


SMALL = {"train_acc": lambda t: np.where(t < FIT, 0.5, np.where(t < 3000, 1.0, 0.97))}
CASES: dict[str, tuple[dict[str, Any], Verdict]] = {
    "it is there": ({"test_acc": lambda t: np.where(t < 2000, 0.1, 1.0)}, Verdict.GENERALIZES),
    "not fitted": ({"train_acc": lambda t: np.full_like(t, 0.7)}, Verdict.UNFITTED),
    "nothing moves": ({}, Verdict.OVERFIT),
    "the test loss rises": ({"test_loss": lambda t: 4 * (1 + t) ** 0.3}, Verdict.OVERFIT),
    "it only shakes": ({"test_loss": noise(lambda t: np.full_like(t, 4.0), 0.3)}, Verdict.OVERFIT),
    "the test loss falls": ({"test_loss": decaying(2e-4, 4.0)}, Verdict.PLATEAU),
    "and shakes": ({"test_loss": noise(decaying(2e-4, 4.0), 0.1)}, Verdict.PLATEAU),
    "only the norm falls": ({"test_loss": None, "weight_norm": decaying(1e-4, 10.0)}, Verdict.PLATEAU),
    "only the accuracy rises": (
        {"test_loss": None, "weight_norm": None, "test_acc": lambda t: 0.1 + 3e-5 * t}, Verdict.PLATEAU,
    ),
    "the norm came to rest": ({"weight_norm": lambda t: 5 + 5 * np.exp(-t / 500)}, Verdict.AT_REST),
    "float32 has no gradient": ({"train_loss": lambda t: np.where(t < FIT, 1.0, 0.0)}, Verdict.COLLAPSED),
    "small and on its way": (
        {"train_loss": lambda t: np.where(t < FIT, 1.0, 1e-9), "test_loss": decaying(2e-4, 4.0)},
        Verdict.PLATEAU,
    ),
    "too small to fit": (
        {**SMALL, "train_loss": lambda t: np.where(t < 3000, 1e-3, 0.2), "weight_norm": decaying(1e-4, 10.0)},
        Verdict.FEW,
    ),
    "a few evaluations": ({"test_acc": lambda t: np.where(t < 9000, np.nan, 0.1)}, Verdict.UNKNOWN),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_verdict_where_it_is_deserved(case: str) -> None:
    curves, expected = CASES[case]
    assert verdict(log(**curves)) == expected


def test_without_decay_no_norm_comes_to_rest() -> None:
    """A norm that fell while the network fitted, at γ = 0, says nothing of a decay."""
    frame = log(weight_norm=lambda t: 5 + 5 * np.exp(-t / 500))
    assert verdict(frame, gamma=0.0, eta_d=1e-3) == Verdict.OVERFIT
    assert verdict(frame, gamma=0.1, eta_d=1e-3) == Verdict.AT_REST


def test_a_real_collapse_of_float32_is_seen() -> None:
    """Twenty samples of ten classes, fitted by steps so large that every logit wins by more than 17."""
    torch.manual_seed(0)
    x, y = torch.randn(40, 32), torch.randint(10, (40,))
    net = torch.nn.Linear(32, 10)
    optimizer = torch.optim.Adam(net.parameters(), lr=3.0)
    rows = []
    for step in range(200):
        logits = net(x)
        losses = torch.nn.functional.cross_entropy(logits, y, reduction="none")
        right = (logits.argmax(1) == y).float()
        said = {"train": slice(20), "test": slice(20, None)}
        row = {f"{k}_loss": losses[part].mean().item() for k, part in said.items()}
        row |= {f"{k}_acc": right[part].mean().item() for k, part in said.items()}
        rows.append({"step": step, "weight_norm": net.weight.norm().item(), **row})
        optimizer.zero_grad()
        losses[:20].mean().backward()
        optimizer.step()
    found = diagnose(gt.import_runs(pd.DataFrame(rows))).findings[0]
    assert found.verdict == Verdict.COLLAPSED
    assert net.weight.grad.abs().max() < 1e-9  # as the evidence says


def test_a_decay_that_has_acted_for_long_and_moved_nothing_lacks_samples() -> None:
    """Of 25 % of the pairs modulo p, a network under decay has a test loss that rises, as without one."""
    frame = log(test_loss=lambda t: 4 * (1 + t) ** 0.3, weight_norm=lambda t: 10 * (1 + t) ** 0.05)
    assert verdict(frame, gamma=0.1, eta_d=1e-3) == Verdict.OVERFIT  # 1/(ηγ) is all that was waited
    assert verdict(frame, gamma=1.0, eta_d=1e-3) == Verdict.FEW
    assert verdict(frame) == Verdict.OVERFIT


def test_a_verdict_looks_at_nothing_later() -> None:
    runs = gt.import_runs(log(test_acc=lambda t: np.where(t < 2000, 0.1, 1.0), test_loss=decaying(2e-4, 4.0)))
    early = diagnose(runs, until=1500)
    assert early.findings[0].verdict == Verdict.PLATEAU
    cut = log(test_acc=lambda t: np.where(t < 2000, 0.1, 1.0), test_loss=decaying(2e-4, 4.0))
    alone = diagnose(gt.import_runs(cut[cut["step"] <= 1500]))
    assert alone.to_dict()["evidence"] == early.to_dict()["evidence"]


@settings(max_examples=25)
@given(st.floats(1e-5, 1e-3), st.floats(0.5, 20.0), st.floats(0.2, 0.9))
def test_a_loss_that_falls_by_a_law_is_told_exactly(rate: float, start: float, share: float) -> None:
    """L = L0 exp(-b t) reaches κ L0 at ln(1/κ)/b after the fit, seen from wherever."""
    runs = gt.import_runs(log(test_loss=decaying(rate, start)))
    (run,) = signals(runs, np.array([0.95]), share * 10_000)
    due = run.t_mem + np.log(1 / TEST.kappa) / rate
    if due > run.last * 1.2:
        assert run.last + by_loss(run) == pytest.approx(due, rel=0.02)


def test_an_accuracy_is_told_by_its_logit() -> None:
    """From 0.3 to 0.5 in 100 steps is ln(7/3); from 0.5 to 0.95 ln(19) are left."""
    runs = gt.import_runs(log(test_loss=None))
    (run,) = signals(runs, np.array([0.95]))
    rising = {"test_accuracy": Drift(0.2, 0.1, 0.3, 0.4, 100.0)}
    run = replace(run, now=run.now | {"test_accuracy": 0.5}, drift=run.drift | rising)
    assert by_accuracy(run) == pytest.approx(100 * np.log(19) / np.log(7 / 3))
    assert by_test(run) == pytest.approx(by_accuracy(run)) and np.isnan(by_loss(run))


def test_the_other_ways_are_their_formulas() -> None:
    runs = gt.import_runs(log(test_loss=None, weight_norm=decaying(1e-4, 10.0)))
    (run,) = signals(runs, np.array([0.95]))
    assert by_norm(run, kappa=0.5) == pytest.approx(0.5 / 1e-4, rel=1e-6)
    assert by_waiting(run, kappa=2.0) == 2 * (10_000 - run.t_mem)
    assert time_to_go(run).by == "the weight norm" and np.isnan(by_loss(run))


def test_an_interval_holds_what_it_is_of() -> None:
    runs = gt.import_runs(log(test_loss=decaying(2e-4, 4.0)))
    left, low, high = diagnose(runs).findings[0].left
    assert low < left < high


def test_every_verdict_has_something_to_try() -> None:
    assert set(TRY) == set(Verdict)


def test_the_command_prints_evidence_and_no_promise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [log(**CASES[name][0]).assign(run=name) for name in ("the test loss falls", "nothing moves")]
    pd.concat(frames).to_csv(tmp_path / "log.csv", index=False)
    assert main(["check", str(tmp_path / "log.csv")]) == 0
    out = capsys.readouterr().out
    assert "plateau with a drift" in out and "plain overfitting" in out and "no promise" in out
    assert "test loss moved by -" in out and "decay γ above 0" in out
    assert main(["check", str(tmp_path / "log.csv"), "--json", "--until", "5000"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == ["plateau with a drift", "plain overfitting"]
    assert found["left"][0] > 0 and found["left"][1] is None


def test_a_saved_file_and_its_log_are_diagnosed_alike(tmp_path: Path) -> None:
    runs = gt.import_runs(log(test_loss=decaying(2e-4, 4.0)))
    saved = runs.save(tmp_path / "runs.nc")
    assert gt.diagnose(saved).to_dict()["evidence"] == gt.diagnose(runs).to_dict()["evidence"]
    assert isinstance(gt.diagnose(runs), Diagnosis) and "runs=1" in repr(gt.diagnose(runs))


@pytest.mark.parametrize(
    ("runs", "how", "words"),
    [
        (3, {}, "expected runs, a runs file, a log, a forecast or a task, not int"),
        (log(test_acc=None), {}, "test_accuracy was not measured"),
        (log(), {"threshold": 2.0}, "threshold = 2"),
        (log(), {"threshold": [0.5, 0.6]}, "threshold: 2 numbers"),
        (log(), {"until": -1}, "until = -1"),
    ],
)
def test_what_cannot_be_diagnosed_is_one_sentence(runs: Any, how: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        diagnose(gt.import_runs(runs) if isinstance(runs, pd.DataFrame) else runs, **how)


FORECAST: dict[str, Any] = {"gamma": [3e-4, 3.0], "eta_d": 3e-4, "alpha": 3.0, "seeds": [0], "steps": 2000}


def test_a_task_is_judged_by_its_forecast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two weight decays the strong one generalizes, and the weak one is seen to do nothing."""
    task = gt.tasks.teacher_student()
    how = {**FORECAST, "machine": gt.Machine(device="cpu", workers=1, progress=False)}
    found = gt.forecast(task, **how)
    judged = diagnose(found)
    verdicts = [f.verdict for f in judged.findings]
    assert verdicts == [Verdict.OVERFIT, Verdict.GENERALIZES]
    times = found.times()
    assert judged.findings[1].signals.t_grok == times.t_grok[0, 1, 0, 0]
    assert judged.findings[1].signals.t_mem == pytest.approx(times.t_mem[0, 1, 0, 0], rel=0.03)  # a record
    assert judged.findings[0].name == "seed 0, gamma 0.0003, eta_d 0.0003, alpha 3"
    assert "No network was trained so far." in judged.remarks[0]
    assert "train so far; `groktime recommend`" in judged.report()
    assert [f.verdict for f in diagnose(task, **how | {"gamma": 3.0}).findings] == verdicts[1:]
    found.save(tmp_path / "f.nc")
    main(["check", str(tmp_path / "f.nc"), "--json"])
    assert json.loads(capsys.readouterr().out)["verdict"] == [v.value for v in verdicts]
    with pytest.raises(InputError, match="gamma: expected a task to forecast, not Forecast"):
        diagnose(found, gamma=0.1)
    with pytest.raises(InputError, match="gamma: expected a weight decay; teacher-student has none"):
        diagnose(task)
