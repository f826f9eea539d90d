"""Parameters that do not decay, schedules and momentum: every member is what a plain loop with torch's own
optimizers, parameter groups and schedulers makes of one network."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_groups import (
    ALONE,
    ALPHA,
    NO_DECAY,
    SCHEDULES,
    STEPS,
    TASK,
    WHOLE,
    Plain,
    against,
    network,
    trained,
)
from torch import nn

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.norms import decayed_columns, decaying
from groktime.fullnet.engine.optimizer import Optimizer, Setting
from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.forecast import forecast
from groktime.fullnet.members import Setup
from groktime.fullnet.procedures.sphere import Cell, Spheres
from groktime.fullnet.runs import open_runs
from groktime.fullnet.sampler import sample
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError
from groktime.reduced.law import CONSTANT, DecayLaw


@pytest.mark.parametrize(
    ("rule", "name"),
    [("adamw", name) for name in SCHEDULES]
    + [(rule, name) for rule in ("sgd", "momentum") for name in ("constant", "warm-up and steps")],
)
def test_learning_curves_are_those_of_torch_with_groups_and_a_schedule(rule: str, name: str) -> None:
    schedule, make = SCHEDULES[name]
    task = replace(TASK, optimizer=replace(TASK.optimizer, schedule=schedule))
    runs = trained(task, rule)
    against(runs, task, rule, make)
    assert runs.law.schedule == schedule
    assert runs.law.no_decay == NO_DECAY
    strong, weak = runs["weight_norm"].values[1, -1], runs["weight_norm"].values[0, -1]
    assert strong < weak * 0.99  # decay is felt


@pytest.mark.parametrize("rule", ["adamw", "momentum"])
def test_without_groups_a_schedule_is_torch_s_too(rule: str) -> None:
    schedule, make = SCHEDULES["step"]
    task = replace(WHOLE, optimizer=replace(WHOLE.optimizer, schedule=schedule))
    runs = trained(task, rule)
    against(runs, task, rule, make)
    assert "norm_all" not in runs.dataset


def test_momentum_has_a_value() -> None:
    runs = trained(TASK, "momentum", momentum=0.5)
    against(runs, TASK, "momentum", None, momentum=0.5)
    assert runs.law == DecayLaw("momentum", 0.5, True, None, CONSTANT, NO_DECAY)
    assert json.loads(runs.attrs["configuration"])["momentum"] == 0.5
    usual = trained(TASK, "momentum")
    assert "momentum" not in json.loads(usual.attrs["configuration"])
    assert usual.law.momentum == 0.9
    wrong: list[tuple[str, Any, str]] = [
        (
            "adamw",
            0.5,
            "momentum = 0.5: 'adamw' has none; expected optimizer = 'momentum' or 'sgdw' or 'muon'",
        ),
        ("momentum", 1.0, r"momentum = 1\.0: expected a number in \[0, 1\)"),
        ("momentum", "0.5", "momentum = '0.5'"),
    ]
    for rule, value, words in wrong:
        with pytest.raises(InputError, match=words):
            trained(TASK, rule, momentum=value)


@pytest.mark.parametrize("rule", ["adamw", "adam", "adam_l2", "sgd", "momentum"])
def test_groups_are_torch_s_member_by_member(rule: str) -> None:
    generator = torch.Generator().manual_seed(0)
    flat, goal = torch.randn(2, 3, 17, dtype=torch.float64, generator=generator)
    decays = torch.rand(17, generator=generator) < 0.5
    given = [Setting(1e-2, 0.3, momentum=0.8), Setting(1e-2, 0.0), Setting(3e-3, 2.0, (0.8, 0.98))]
    parts = [[row[decays].clone(), row[~decays].clone()] for row in flat]
    rates = torch.where(decays, 1.0, torch.tensor(0.4, dtype=torch.float64))
    ours, rivals = Optimizer(rule, flat, given, decays, rates), []
    for s, (some, rest) in zip(given, parts, strict=True):
        groups = [{"params": [some], "weight_decay": 0.0 if rule == "adam" else s.decay}, {"params": [rest]}]
        groups[1]["weight_decay"] = 0.0
        if rule.startswith("adam"):
            kind = torch.optim.Adam if rule == "adam_l2" else torch.optim.AdamW
            rivals.append(kind(groups, lr=s.rate, betas=s.betas, foreach=False))
        else:
            share = s.momentum if rule == "momentum" else 0.0
            rivals.append(torch.optim.SGD(groups, lr=s.rate, momentum=share, foreach=False))  # type: ignore[arg-type]
    for step in range(50):
        factor = 1.0 if step < 30 else 0.2
        slope = (flat - goal) + 0.3 * (flat - goal) ** 3
        before = slope.clone()
        ours.step(slope, factor)
        assert torch.equal(slope, before)  # the gradient is left alone
        for k, ((some, rest), rival) in enumerate(zip(parts, rivals, strict=True)):
            for p, chosen in ((some, decays), (rest, ~decays)):
                p.grad = (p - goal[k, chosen]) + 0.3 * (p - goal[k, chosen]) ** 3
            for group, share in zip(rival.param_groups, (1.0, 0.4), strict=True):
                group["lr"] = given[k].rate * factor * share
            rival.step()
            torch.testing.assert_close(flat[k, decays], some, rtol=1e-12, atol=1e-14)
            torch.testing.assert_close(flat[k, ~decays], rest, rtol=1e-12, atol=1e-14)


def test_a_weak_decay_is_not_rounded_away_in_float32() -> None:
    """1 - ηγ in float32 would be off by up to 3e-8, a third of this decay."""
    flat = torch.linspace(1.0, 2.0, 20_000)[None].contiguous()
    start = flat.double().norm()
    decays = torch.ones(20_000, dtype=torch.bool)
    optimizer = Optimizer("sgd", flat, [Setting(1e-3, 1e-4)], decays)
    for _ in range(1000):
        optimizer.step(torch.zeros_like(flat))
    assert float(torch.log(start / flat.double().norm())) == pytest.approx(1e-4, rel=0.1)


def test_decay_without_a_law_is_trained_with_a_warning_and_not_forecast() -> None:
    with pytest.warns(UserWarning, match="optimizer = 'adam_l2': Adam divides .* no 1/γ law"):
        runs = trained(TASK, "adam_l2", steps=3)
    assert runs.law.coupled
    words = "optimizer = 'adam_l2': Adam divides .*; expected 'adamw'"
    with pytest.raises(InputError, match=words):
        sample_path(TASK, alpha=1.0, optimizer="adam_l2", **ALONE)
    with pytest.raises(InputError, match=words):
        forecast(TASK, gamma=0.1, optimizer="adam_l2", **ALONE)


# --- the norm that is held, shrunk and recorded -------------------------------------------------


def test_names_stand_for_one_parameter_and_begins_for_many() -> None:
    names = ["layers.1", "layers.1.bias", "layers.10.weight", "norm.weight"]
    assert decaying(("layers.1",), names) == [False, True, True, True]
    assert decaying(("layers.",), names) == [False, False, False, True]
    assert decaying(("norm", "layers.10"), names) == [True, True, False, False]
    assert decayed_columns(WHOLE) is None
    columns = decayed_columns(TASK)
    assert columns is not None
    assert columns.tolist() == [True] * 24 + [False] * 24 + [True] * 8 + [False]


@pytest.mark.parametrize(
    ("no_decay", "words"),
    [
        (("embedding",), "'embedding', with which no parameter's name begins; expected one of 0.weight"),
        (("0.bias", "4."), "'4.', with which"),
        (("0.", "1.", "3."), "all of the network; expected some parameter to decay"),
        ("0.bias", "expected a tuple of names"),
        (("",), "expected a tuple of names"),
        (("1.weight", 3), "expected a tuple of names"),
    ],
)
def test_what_is_no_group_is_refused_everywhere(no_decay: Any, words: str, tmp_path: Path) -> None:
    task = replace(WHOLE, no_decay=no_decay)
    file = {"out": tmp_path / "a.nc", **ALONE}
    with pytest.raises(InputError, match=f"no_decay.* (has|is) .*{words}"):
        train(task, gamma=0.1, alpha=1.0, steps=2, **file)
    with pytest.raises(InputError, match=f"no_decay.* (has|is) .*{words}"):
        sample_path(task, alpha=1.0, **file)
    with pytest.raises(InputError, match=f"no_decay.* (has|is) .*{words}"):
        sample(task, alpha=[1, 2, 3, 4], seeds=[0], steps=3, **file)
    assert list(tmp_path.iterdir()) == []


def test_what_decays_starts_above_0_and_all_is_no_part() -> None:
    def idle() -> nn.Module:
        made = network()
        nn.init.zeros_(made.get_parameter("3.weight"))
        return made

    still = replace(WHOLE, network=idle, no_decay=("0.", "1.", "3.bias"))
    with pytest.raises(InputError, match="no_decay: of groups all that decays starts at 0"):
        trained(still, "adamw")
    with pytest.raises(InputError, match="parts: groups has a part 'all'"):
        trained(replace(TASK, parts={"all": ("0.",)}), "adamw")
    assert "norm_all" in trained(replace(WHOLE, parts={"all": ("0.",)}), "adamw", steps=2).dataset


def test_the_file_says_the_norm_of_what_decays_and_that_of_all(tmp_path: Path) -> None:
    file = tmp_path / "runs.nc"
    trained(TASK, "adamw", out=file)
    runs = open_runs(file)
    whole = trained(WHOLE, "adamw")
    decays = decayed_columns(TASK)
    assert decays is not None
    start = initial_parameters(TASK, 3).double()
    assert runs["w0"].values == pytest.approx(float(start[decays].norm()))
    assert runs["weight_norm"].values[:, 0] == pytest.approx(ALPHA * float(start[decays].norm()))
    moved = torch.where(decays, ALPHA * start, start)
    assert runs["norm_all"].values[:, 0] == pytest.approx(float(moved.norm()))
    assert whole["w0"].values == pytest.approx(float(start.norm()))
    assert runs.parts == ["all"]
    made = [json.loads(r.attrs["configuration"]) for r in (runs, whole)]
    assert made[0].keys() - made[1].keys() == {"no_decay"}
    assert whole.law == DecayLaw("adamw", betas=(0.9, 0.98))


def test_a_constrained_network_keeps_the_norm_of_what_decays() -> None:
    runs = trained(TASK, "adamw", constrained=True, gamma=0.8)
    plain = Plain(TASK, 3, "adamw", 0.8, 1e-2)
    first, losses = plain.norm(), [plain.record()[0]]
    for _ in range(STEPS):
        plain.step()
        plain.rescale(first / plain.norm())
        losses.append(plain.record()[0])
    np.testing.assert_allclose(runs["weight_norm"].values, first, rtol=1e-12)
    np.testing.assert_allclose(runs["train_loss"].values[0], [losses[s] for s in runs.step], rtol=1e-9)
    assert np.ptp(runs["norm_all"].values) > 1e-2  # the others are free


@pytest.mark.parametrize("gradient", ["tangent", "full"])
def test_a_sphere_holds_the_norm_of_what_decays(gradient: str) -> None:
    procedure = Spheres(Setup(TASK, dtype="float64"), (20,), gradient, shrink=(0.7,))
    state = procedure.init([Cell(3, 16, 1.0, ALPHA)])
    plain = Plain(TASK, 3, "adam", 0.0, 1e-2)
    held = plain.norm()
    for step in range(40):
        if step == 20:
            held *= 0.7
            plain.rescale(held / plain.norm())
        procedure.step(state)
        plain.backward()
        if gradient == "tangent":
            slope = sum(float((p.grad * p.detach()).sum()) for p in plain.decays if p.grad is not None)
            for p in plain.decays:
                assert p.grad is not None
                p.grad -= slope / held**2 * p.detach()
        plain.optimizer.step()
        plain.rescale(held / plain.norm())
        flat = torch.cat([p.detach().flatten() for p in plain.network.parameters()])
        torch.testing.assert_close(state.members.flat[0], flat, rtol=1e-8, atol=1e-10)


def test_a_path_shrinks_what_decays() -> None:
    path = sample_path(
        TASK, alpha=ALPHA, seeds=[3], refit=4, dtau=0.1, tau=1.0, dtype="float64", fit_steps=10, **ALONE
    )
    plain = Plain(TASK, 3, "adam", 0.0, 1e-2)
    norms, losses = [plain.norm()], [plain.record()[0]]
    for _ in range(10):
        plain.rescale(math.exp(-0.1))
        for _ in range(4):
            plain.step()
        norms.append(plain.norm())
        losses.append(plain.record()[0])
    np.testing.assert_allclose(path["weight_norm"].values.ravel(), norms, rtol=1e-9)
    np.testing.assert_allclose(path["train_loss"].values.ravel(), losses, rtol=1e-9)
    assert path.law.no_decay == NO_DECAY


def test_eq6_and_landscapes_are_of_what_decays() -> None:
    land = sample(TASK, alpha=[0.5, 1, 2, 4], seeds=[3], steps=12, **ALONE)
    flow = integrate_networks(
        TASK, gamma=1.0, alpha=ALPHA, eta_d=1e-2, steps=30, start=10, inner=5, turns=6, seeds=[3], **ALONE
    )
    decays = decayed_columns(TASK)
    assert decays is not None
    w0 = float(initial_parameters(TASK, 3)[decays].norm())
    assert land["w0"].values == pytest.approx(w0)
    assert land.law.no_decay == flow.law.no_decay == NO_DECAY
    assert flow.law.rule == "eq6"
    assert flow["weight_norm"].values[0, 0] == pytest.approx(ALPHA * w0)
    assert flow["norm_all"].values[0, 0] > flow["weight_norm"].values[0, 0]
    assert np.isfinite(flow["weight_norm"].values[0, :3]).all()
