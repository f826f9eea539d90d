"""`train`: every member is what plain PyTorch makes of one network, whoever is trained beside it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import groktime.fullnet.job
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.parts import Checkpoint
from groktime.fullnet.job import drive
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Member, Setup
from groktime.fullnet.procedures.training import Training, TrainingState
from groktime.fullnet.runs import CURVES, Runs, open_runs
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks import addition, teacher_student
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError
from groktime.reduced.law import MOMENTUM

Arrays = dict[str, NDArray[Any]]
LOSSES = ("train_loss", "test_loss")
ACCURACIES = ("train_accuracy", "test_accuracy")


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square()


QUIET = Machine(workers=1, progress=False)


def small_task(n_test: int = 10, layers: int = 2, batch: int = 0) -> Task:
    """sin(x1 + x2) from two inputs that are messy; 20 training samples at most."""

    def problem(seed: int, n_train: int) -> Problem:
        random, ordered = torch.randn(2, 20 + n_test, 2, generator=torch.Generator().manual_seed(seed))
        y = torch.sin(ordered.sum(1))
        train, test = slice(0, n_train), slice(20, 20 + n_test)
        return Problem(
            Split(random[train], {"y": y[train]}, ordered[train]),
            Split(random[test], {"y": y[test]}, ordered[test]),
            delta_norm=float((random - ordered).norm()),
        )

    def network() -> nn.Module:
        hidden = [nn.Linear(2, 6), nn.Tanh()] + (layers - 1) * [nn.Linear(6, 6), nn.Tanh()]
        return nn.Sequential(*hidden, nn.Linear(6, 1), nn.Flatten(-2))

    return Task(
        name="small",
        network=network,
        problem=problem,
        loss=squared,
        right=lambda output, targets: squared(output, targets) < 0.1,
        loss_name="mse",
        n_train=20,
        n_total=20,
        optimizer=Adam(1e-2, betas=(0.9, 0.98)),
        steps=12,
        threshold=0.9,
        batch=batch,
        messiness=True,
        settings={"layers": layers},
    )


def plan_of(task: Task, **change: Any) -> Training:
    usual: dict[str, Any] = {"steps": 200, "batch": task.batch, "resolution": 1.0, "dtype": "float64"}
    how = usual | change
    ours = {f.name for f in fields(Setup)}
    setup = Setup(task, **{k: v for k, v in how.items() if k in ours})
    return Training(setup, **{k: v for k, v in how.items() if k not in ours})


def trained(plan: Training, members: list[Member], folder: Path) -> Arrays:
    """The arrays of one piece."""
    return drive(plan, members, checkpoint=Checkpoint(folder / "none.npz"))


def crowd(count: int, n_train: int = 20) -> list[Member]:
    """Unlike members: no two are equal, some share a seed or a setting."""
    return [
        Member(
            gamma=(0.0, 0.1, 1.0)[k % 3],
            eta_d=(1e-2, 3e-3)[k % 2],
            eta_r=1e-3,
            alpha=0.5 + 0.05 * k,
            m=(k % 5) / 4,
            n_train=n_train,
            seed=k % 7,
        )
        for k in range(count)
    ]


def of_members(members: list[Member]) -> dict[str, Any]:
    """The arguments of `train` for exactly these, walked together."""
    names = ("gamma", "eta_d", "eta_r", "alpha", "m", "n_train")
    lists = {name: [getattr(c, name) for c in members] for name in names}
    return {**lists, "seeds": [c.seed for c in members], "paired": True}


def fully(task: Task, those: list[Member], out: Path, **change: Any) -> Runs:
    usual: dict[str, Any] = {"steps": 200, "resolution": 1.0, "dtype": "float64"}
    machine = Machine(members=change.pop("members", None), workers=1, progress=False)
    return train(task, **{**of_members(those), **usual, **change}, machine=machine, out=out)


def apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest relative difference; NaN only where both are."""
    assert np.array_equal(np.isnan(one), np.isnan(other))
    known = ~np.isnan(one)
    return float(np.max(np.abs(one - other)[known] / np.maximum(np.abs(other)[known], 1e-300), initial=0.0))


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


class Plain:
    """One network in the loop that anybody would write; R or m, if trained, in a group without decay."""

    def __init__(self, task: Task, c: Member, rule: str, batch: int = 0, kind: str = "fixed") -> None:
        self.task, self.c, self.batch, self.kind = task, c, batch, kind
        self.problem = task.problem(c.seed, c.n_train)
        self.network = task.network().double()
        vector_to_parameters(c.alpha * initial_parameters(task, c.seed).double(), self.network.parameters())
        if kind == "free":
            assert self.problem.ends is not None
            random, linear = (end.double() for end in self.problem.ends)
            self.slow = nn.Parameter(c.m * random + (1 - c.m) * linear)
        else:
            self.slow = nn.Parameter(torch.tensor(c.m, dtype=torch.float64))
        groups: list[dict[str, Any]] = [
            {"params": list(self.network.parameters()), "lr": c.eta_d, "weight_decay": c.gamma}
        ]
        if kind != "fixed":
            groups.append({"params": [self.slow], "lr": c.eta_r, "weight_decay": 0.0})
        self.optimizer: torch.optim.Optimizer
        if rule == "adamw":
            self.optimizer = torch.optim.AdamW(groups, betas=task.optimizer.betas, foreach=False)
        elif rule == "adam":
            self.optimizer = torch.optim.Adam(
                [{**g, "weight_decay": 0.0} for g in groups], betas=task.optimizer.betas, foreach=False
            )
        else:
            momentum = MOMENTUM if rule == "momentum" else 0.0
            self.optimizer = torch.optim.SGD(groups, lr=1.0, momentum=momentum, foreach=False)
        self.steps = 0

    def output(self, split: Split, rows: Tensor) -> tuple[Tensor, Targets]:
        if self.kind == "free":
            assert split.symbols is not None
            i, j = split.symbols[rows].unbind(1)
            x = self.slow[i] + self.slow[j]
        else:
            assert split.ordered is not None
            x = self.slow * split.inputs[rows].double() + (1 - self.slow) * split.ordered[rows].double()
        targets = {k: v if k in split.common else v[rows] for k, v in split.targets.items()}
        doubles = {k: v.double() if v.is_floating_point() else v for k, v in targets.items()}
        return self.network(x), doubles

    def loss(self, split: Split, rows: Tensor) -> Tensor:
        return self.task.loss(*self.output(split, rows)).mean()

    def step(self) -> None:
        rows = torch.arange(self.c.n_train)
        if self.batch:
            epoch, number = divmod(self.steps, self.c.n_train // self.batch)
            order = torch.randperm(self.c.n_train, generator=generator(self.c.seed, f"epoch {epoch}"))
            rows = order[number * self.batch : (number + 1) * self.batch]
        self.optimizer.zero_grad()
        self.loss(self.problem.train, rows).backward()
        self.optimizer.step()
        self.steps += 1

    @torch.no_grad()
    def record(self) -> dict[str, float]:
        out = {"weight_norm": float(parameters_to_vector(self.network.parameters()).norm())}
        for name, split in (("train", self.problem.train), ("test", self.problem.test)):
            rows = torch.arange(len(split))
            out[f"{name}_loss"] = float(self.loss(split, rows))
            out[f"{name}_accuracy"] = float(self.task.right(*self.output(split, rows)).double().mean())
        if self.kind == "free":
            assert self.problem.ends is not None
            random, linear = (end.double() for end in self.problem.ends)
            along = (random - linear).flatten()
            out["m"] = float((self.slow - linear).flatten() @ along / along.square().sum())
        else:
            out["m"] = float(self.slow)
        return out


def steps_equal_the_plain_loop(plan: Training, members: list[Member], rtol: float = 1e-10) -> None:
    """Every step, by a training that is evaluated after each."""
    training, setup = replace(plan, resolution=1e-9), plan.setup
    state = training.init(members)
    plain = [Plain(setup.task, c, plan.optimizer, setup.batch, setup.representation) for c in members]
    for step in range(plan.steps + 1):
        if step:
            training.step(state)
        training.record(state)
        for k, one in enumerate(plain):
            if step:
                one.step()
            expected = one.record()
            for place, name in enumerate(CURVES):
                assert state.curves[place, k, step] == pytest.approx(expected[name], rel=rtol, abs=1e-13)


TRIO = [
    Member(gamma=0.0, eta_d=1e-2, eta_r=1e-2, alpha=1.0, m=1.0, n_train=20, seed=3),
    Member(gamma=0.5, eta_d=1e-2, eta_r=1e-3, alpha=2.5, m=0.3, n_train=20, seed=3),
    Member(gamma=2.0, eta_d=3e-3, eta_r=1e-1, alpha=0.4, m=0.0, n_train=20, seed=11),
]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("rule", "batch"), [("adamw", 0), ("adamw", 6), ("sgd", 0), ("momentum", 6)])
def test_every_step_is_that_of_a_plain_loop(rule: str, batch: int, layers: int) -> None:
    plan = plan_of(small_task(layers=layers), steps=100, optimizer=rule, batch=batch)
    steps_equal_the_plain_loop(plan, TRIO)


def test_adam_is_without_decay() -> None:
    members = [replace(c, gamma=0.0) for c in TRIO]
    steps_equal_the_plain_loop(plan_of(small_task(), steps=30, optimizer="adam"), members)


def tiny_addition() -> Task:
    def network() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 7), nn.Tanh(), nn.Linear(7, 30))

    return replace(addition(p=5, n_train=11, dim=2), network=network)


@pytest.mark.parametrize("kind", ["line", "free"])
def test_the_gradient_of_the_representation_is_autograds(kind: str) -> None:
    task = tiny_addition()
    members = [replace(c, n_train=11) for c in TRIO]
    some = plan_of(task, representation=kind).init(members).members
    _, _, slow = some.ensemble.loss_and_gradient(some.train.samples())
    assert slow is not None
    for k, c in enumerate(members):
        plain = Plain(task, c, "sgd", kind=kind)
        plain.loss(plain.problem.train, torch.arange(11)).backward()
        assert plain.slow.grad is not None
        torch.testing.assert_close(slow[k], plain.slow.grad.reshape(-1), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("kind", ["line", "free"])
@pytest.mark.parametrize("rule", ["adamw", "sgd", "momentum"])
def test_a_trained_representation_never_decays_and_m_is_its_projection(rule: str, kind: str) -> None:
    members = [replace(c, n_train=11) for c in TRIO]  # they differ in γ and start at m = 1, 0.3 and 0
    steps_equal_the_plain_loop(
        plan_of(tiny_addition(), steps=40, optimizer=rule, representation=kind), members, 1e-9
    )


@pytest.mark.parametrize("kind", ["line", "free"])
def test_a_representation_without_a_rate_stays_where_it_started(kind: str, tmp_path: Path) -> None:
    task, members = tiny_addition(), [replace(c, n_train=11, eta_r=0.0, gamma=1.0) for c in TRIO]
    m = trained(plan_of(task, steps=20, representation=kind), members, tmp_path)["m"]
    np.testing.assert_allclose(m, np.array([[c.m] for c in members]) * np.ones((1, m.shape[1])), atol=1e-12)


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


def learners(count: int = 8) -> list[Member]:
    """Ordered inputs and a fair rate: all but the last learn within 600 steps, at times of their own."""
    return [
        Member(gamma=0.1, eta_d=1e-2, eta_r=0.0, alpha=0.5 + 0.3 * k, m=0.0, n_train=20, seed=k % 4)
        for k in range(count - 1)
    ] + [Member(gamma=0.0, eta_d=1e-5, eta_r=0.0, alpha=0.5, m=1.0, n_train=20, seed=5)]


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


KINDS: dict[str, dict[str, Any]] = {
    "adamw": {"optimizer": "adamw"},
    "momentum in batches": {"optimizer": "momentum", "batch": 6},
    "sgd": {"optimizer": "sgd"},
    "retiring": {"optimizer": "adamw", "stop_at": 0.8, "resolution": 0.03, "batch": 6, "steps": 300},
    "line": {"optimizer": "momentum", "representation": "line", "batch": 6},
    "free": {"optimizer": "adamw", "representation": "free"},
    "single": {"optimizer": "adamw", "dtype": "float32"},
    "augmented": {"optimizer": "adamw", "batch": 6},
    "augmented, all samples": {"optimizer": "sgd", "constrained": True},
}


def jittered(inputs: Tensor, drawn: torch.Generator) -> Tensor:
    return inputs + 0.1 * torch.randn(inputs.shape, generator=drawn).to(inputs)


class Interrupted(Exception):
    """Raised by the tests in the middle of a piece."""


def _of_kind(kind: str) -> tuple[Training, list[Member]]:
    task = tiny_addition() if kind == "free" else small_task()
    members = learners()
    if "augmented" in kind:
        warm = replace(task.optimizer, warmup=120)
        task = replace(task, augment=jittered, clip=0.1, optimizer=warm, parts={"first": ("0.",)})
    if kind == "free":
        members = [replace(c, n_train=11, eta_r=1e-2) for c in members]
    if kind == "retiring":
        members.insert(2, replace(members[2], gamma=1e4, eta_d=1.0))  # diverges
    return plan_of(task, **{"steps": 150, "resolution": 0.2, **KINDS[kind]}), members


@pytest.mark.parametrize("how", ["told to stop", "killed"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_piece_goes_on_bit_by_bit(
    kind: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, members = _of_kind(kind)
    steps = plan.steps
    whole = trained(plan, members, tmp_path)
    if kind == "retiring":
        assert whole["diverged"].tolist() == [k == 2 for k in range(9)]
        assert (whole["steps_done"] < steps).sum() >= 4
    # Told to stop, a piece keeps its state at once; killed, it has what it kept from time to time.
    monkeypatch.setattr(groktime.fullnet.job, "CHECKPOINT_SECONDS", 1e9 if how == "told to stop" else -1.0)
    checkpoint = Checkpoint(tmp_path / "state.npz")
    step, begun = Training.step, 0

    def counted(self: Training, state: TrainingState) -> int:
        nonlocal begun
        begun += 1
        if how == "killed" and begun in (30, 31, 101):
            raise Interrupted
        return step(self, state)

    monkeypatch.setattr(Training, "step", counted)

    moments = [100, 30]

    def on_steps(steps: int) -> None:
        if how == "told to stop" and moments and begun == moments[-1]:
            moments.pop()
            raise Interrupted

    for _ in range(2 if how == "told to stop" else 3):
        with pytest.raises(Interrupted):
            drive(plan, members, on_steps, checkpoint)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["state.npz"]
    begun = 1000
    again = drive(plan, members, on_steps, checkpoint)
    assert begun - 1000 <= steps - 97  # nothing was trained twice, but for a step that was not kept
    assert whole.keys() == again.keys()
    for name, values in whole.items():
        assert values.dtype == again[name].dtype
        np.testing.assert_array_equal(again[name], values, err_msg=name)


def test_a_damaged_checkpoint_or_piece_is_computed_again(tmp_path: Path) -> None:
    plan, members = _of_kind("sgd")
    whole = trained(plan, members, tmp_path)
    checkpoint = Checkpoint(tmp_path / "state.npz")
    checkpoint.save(groktime.fullnet.job._kept(plan.init(members), 0))
    content = checkpoint.path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"PK\x03\x04 nonsense", b"nonsense"):
        checkpoint.path.write_bytes(damaged)
        again = drive(plan, members, checkpoint=checkpoint)
        for name, values in whole.items():
            np.testing.assert_array_equal(again[name], values, err_msg=name)


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
