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
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters
from torch.optim import lr_scheduler

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.norms import decayed_columns, decaying
from groktime.fullnet.engine.optimizer import Optimizer, Setting
from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.forecast import forecast
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Setup
from groktime.fullnet.procedures.sphere import Cell, Spheres
from groktime.fullnet.runs import Runs, open_runs
from groktime.fullnet.sampler import sample
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks import teacher_student
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError
from groktime.reduced.law import CONSTANT, DecayLaw, Schedule
from groktime.reduced.prediction import predict
from groktime.validation.compare import compare
from groktime.validation.measure import measure

ALONE: dict[str, Any] = {"machine": Machine("cpu", workers=1, progress=False)}
STEPS = 80
ALPHA = 1.7


def problem(seed: int, n_train: int) -> Problem:
    x = torch.randn(n_train + 10, 3, generator=torch.Generator().manual_seed(seed))
    train, test = (Split(x[k], {"y": x[k].sin().sum(1)}) for k in (slice(0, n_train), slice(n_train, None)))
    return Problem(train, test)


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square()


def network() -> nn.Module:
    layers = [nn.Linear(3, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(-2)]
    return nn.Sequential(*layers)


NO_DECAY = ("0.bias", "1.", "3.bias")
WHOLE = Task(
    name="groups",
    network=network,
    problem=problem,
    loss=squared,
    right=lambda output, targets: squared(output, targets) < 0.1,
    loss_name="mse",
    n_train=16,
    optimizer=Adam(1e-2, betas=(0.9, 0.98)),
    steps=30,
)
TASK = replace(WHOLE, no_decay=NO_DECAY)


class Plain:
    """One network, an optimizer with two groups, and a scheduler, as anybody writes them."""

    def __init__(self, task: Task, seed: int, rule: str, gamma: float, rate: float, momentum: float = 0.9):
        data = task.problem(seed, task.n_train)
        self.task, self.network = task, network().double()
        vector_to_parameters(initial_parameters(task, seed).double(), self.network.parameters())
        decays: list[Tensor] = []
        others: list[Tensor] = []
        for name, p in self.network.named_parameters():
            free = bool(task.no_decay) and (name.endswith("bias") or name.startswith("1."))
            (others if free else decays).append(p)
        self.decays = decays
        with torch.no_grad():
            for p in decays:
                p *= ALPHA
        groups = [{"params": decays, "weight_decay": gamma}, {"params": others, "weight_decay": 0.0}]
        groups = groups[: 2 if others else 1]
        if rule in ("adamw", "adam"):
            betas = task.optimizer.betas
            self.optimizer: Any = torch.optim.AdamW(groups, lr=rate, betas=betas, foreach=False)
        else:
            share = momentum if rule == "momentum" else 0.0
            self.optimizer = torch.optim.SGD(groups, lr=rate, momentum=share, foreach=False)
        self.scheduler: Any = None
        self.splits = [(s.inputs.double(), {"y": s.targets["y"].double()}) for s in (data.train, data.test)]

    def norm(self, whole: bool = False) -> float:
        each = list(self.network.parameters()) if whole else self.decays
        return math.sqrt(sum(float(p.detach().square().sum()) for p in each))

    def rescale(self, factor: float) -> None:
        with torch.no_grad():
            for p in self.decays:
                p *= factor

    def backward(self) -> None:
        inputs, targets = self.splits[0]
        self.optimizer.zero_grad()
        self.task.loss(self.network(inputs), targets).mean().backward()

    def step(self) -> None:
        self.backward()
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()

    def record(self) -> list[float]:
        with torch.no_grad():
            losses = [float(self.task.loss(self.network(x), y).mean()) for x, y in self.splits]
        return [*losses, self.norm(), self.norm(whole=True)]


CURVES = ("train_loss", "test_loss", "weight_norm", "norm_all")
SCHEDULES: dict[str, tuple[Schedule, Any]] = {
    "constant": (CONSTANT, None),
    "step": (Schedule("step", 25, 0.3), lambda o: lr_scheduler.StepLR(o, 25, 0.3)),
    "linear": (Schedule("linear", 40, 0.2), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, 40)),
    "cosine": (Schedule("cosine", STEPS, 0.0), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)),
    "warm-up": (
        Schedule(warmup=20),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 20, total_iters=19),
    ),
    "warm-up and steps": (
        Schedule("step", 15, 0.5, warmup=12),
        lambda o: lr_scheduler.LambdaLR(o, lambda k: (k + 1) / 12 if k < 12 else 0.5 ** ((k - 12) // 15)),
    ),
}


def trained(task: Task, rule: str, **more: Any) -> Runs:
    usual: dict[str, Any] = {"gamma": [0.0, 0.8], "alpha": ALPHA, "seeds": [3], "steps": STEPS, **ALONE}
    return train(task, **(usual | {"optimizer": rule, "dtype": "float64", "resolution": 0.3} | more))


def against(runs: Runs, task: Task, rule: str, make: Any, momentum: float = 0.9) -> None:
    """Every curve of every run is that of the plain loop, to rounding."""
    for k, gamma in enumerate(runs["gamma"].values):
        plain = Plain(task, 3, rule, float(gamma), task.optimizer.rate, momentum)
        plain.scheduler = None if make is None else make(plain.optimizer)
        records = {0: plain.record()}
        for step in range(1, STEPS + 1):
            plain.step()
            records[step] = plain.record()
        for column, name in enumerate(CURVES):
            if name in runs.dataset:
                expected = [records[int(s)][column] for s in runs.step]
                np.testing.assert_allclose(runs[name].values[k], expected, rtol=1e-9, err_msg=name)


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


# --- schedules --------------------------------------------------------------------------------


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
