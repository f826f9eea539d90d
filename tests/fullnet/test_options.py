"""What a task may ask for beside its loss: a warm-up, a clip, augmented inputs, norms of parts; and runs that
are constrained to their first norm. Every member is what a plain loop makes of one network."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, vector_to_parameters

from groktime.fullnet.decay_path import sample_path
from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.samples import Data, Minibatches
from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.machine import Machine
from groktime.fullnet.members import Member, Setup
from groktime.fullnet.procedures.sphere import Cell, minimize
from groktime.fullnet.procedures.training import Training
from groktime.fullnet.runs import Runs, open_runs
from groktime.fullnet.sampler import sample
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.trainer import train
from groktime.reduced.errors import InputError
from groktime.validation.measure import measure

ALONE = Machine("cpu", workers=1, progress=False)


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square()


def problem(seed: int, n_train: int) -> Problem:
    """sin(x1 + x2) from two inputs that are messy."""
    random, ordered = torch.randn(2, 30, 2, generator=torch.Generator().manual_seed(seed))
    y = torch.sin(ordered.sum(1))
    train, test = (Split(random[k], {"y": y[k]}, ordered[k]) for k in (slice(0, n_train), slice(20, 30)))
    return Problem(train, test, delta_norm=float((random - ordered).norm()))


def shaken(inputs: Tensor, drawn: Generator) -> Tensor:
    """Turned and moved, each sample by numbers of its own."""
    turn, move = torch.rand(2, len(inputs), 1, generator=drawn).to(inputs)
    return inputs * (0.7 + 0.6 * turn) + inputs.roll(1, -1) * (turn - 0.5) + move - 0.5


TASK = Task(
    name="small",
    network=lambda: nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(-2)),
    problem=problem,
    loss=squared,
    right=lambda output, targets: squared(output, targets) < 0.1,
    loss_name="mse",
    n_train=20,
    optimizer=Adam(1e-2, betas=(0.9, 0.98)),
    steps=12,
    messiness=True,
)
TRIO = [
    Member(gamma=0.0, eta_d=1e-2, eta_r=1e-2, alpha=1.0, m=1.0, n_train=20, seed=3),
    Member(gamma=0.5, eta_d=1e-2, eta_r=1e-3, alpha=2.5, m=0.3, n_train=20, seed=3),
    Member(gamma=2.0, eta_d=3e-3, eta_r=1e-1, alpha=0.4, m=0.0, n_train=20, seed=11),
]


def plan_of(task: Task, **change: Any) -> Training:
    how: dict[str, Any] = {"steps": 30, "resolution": 1.0, "dtype": "float64"} | change
    ours = {f.name for f in fields(Setup)}
    setup = Setup(task, **{k: v for k, v in how.items() if k in ours})
    return Training(setup, **{k: v for k, v in how.items() if k not in ours})


class Started:
    """Members in plain training, step by step."""

    def __init__(self, plan: Training, members: list[Member]) -> None:
        self.plan, self.state = plan, plan.init(members)
        self.members = self.state.members

    def advance(self) -> None:
        self.plan.step(self.state)


class Plain:
    """One network in the loop that anybody would write."""

    def __init__(self, plan: Training, c: Member) -> None:
        self.plan, self.setup, self.task, self.c, self.steps = plan, plan.setup, plan.setup.task, c, 0
        self.split = self.task.problem(c.seed, c.n_train).train
        self.network = self.task.network().double()
        vector_to_parameters(c.alpha * initial_parameters(TASK, c.seed).double(), self.network.parameters())
        self.m = nn.Parameter(torch.tensor(c.m, dtype=torch.float64))
        groups = [{"params": list(self.network.parameters()), "lr": c.eta_d, "weight_decay": c.gamma}]
        if plan.setup.representation == "line":
            groups.append({"params": [self.m], "lr": c.eta_r, "weight_decay": 0.0})
        betas, warmup = self.task.optimizer.betas, self.task.optimizer.warmup
        self.optimizer = torch.optim.AdamW(groups, betas=betas, foreach=False)
        factors = [lambda step: min(1.0, (step + 1) / max(warmup, 1)), lambda step: 1.0]
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factors[: len(groups)])

    @property
    def flat(self) -> Tensor:
        return parameters_to_vector(self.network.parameters()).detach()

    def step(self) -> None:
        rows = torch.arange(20)
        if self.setup.batch:
            epoch, number = divmod(self.steps, 20 // self.setup.batch)
            order = torch.randperm(20, generator=generator(self.c.seed, f"epoch {epoch}"))
            rows = order[number * self.setup.batch : (number + 1) * self.setup.batch]
        assert self.split.ordered is not None
        random, ordered = self.split.inputs[rows].double(), self.split.ordered[rows].double()
        inputs = self.m * random + (1 - self.m) * ordered
        if self.task.augment is not None:
            inputs = self.task.augment(inputs, generator(self.c.seed, f"augment {self.steps}"))
        targets = {"y": self.split.targets["y"][rows].double()}
        before = self.flat.norm()
        self.optimizer.zero_grad()
        self.task.loss(self.network(inputs), targets).mean().backward()
        if self.task.clip:
            clip_grad_norm_(self.network.parameters(), self.task.clip)
        self.optimizer.step()
        self.schedule.step()
        if self.plan.constrained:
            vector_to_parameters(self.flat * before / self.flat.norm(), self.network.parameters())
        self.steps += 1


ASKED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "warm-up": ({"optimizer": Adam(1e-2, warmup=20)}, {}),
    "warm-up beside m": ({"optimizer": Adam(1e-2, warmup=20)}, {"representation": "line"}),
    "clip": ({"clip": 0.3}, {}),
    "clip beside m": ({"clip": 0.3}, {"representation": "line", "batch": 6}),
    "augmented": ({"augment": shaken}, {}),
    "augmented batches": ({"augment": shaken}, {"batch": 6}),
    "augmented beside m": ({"augment": shaken}, {"representation": "line"}),
    "constrained": ({}, {"constrained": True}),
    "all": (
        {"optimizer": Adam(1e-2, warmup=20), "clip": 0.3, "augment": shaken},
        {"constrained": True, "batch": 6},
    ),
}


@pytest.mark.parametrize("asked", ASKED)
def test_every_step_is_that_of_a_plain_loop(asked: str) -> None:
    fields, how = ASKED[asked]
    plan = plan_of(replace(TASK, **fields), **how)
    training, plain = Started(plan, TRIO), [Plain(plan, c) for c in TRIO]
    usual = Started(plan_of(TASK, representation=plan.setup.representation, batch=plan.setup.batch), TRIO)
    for _ in range(plan.steps):
        training.advance()
        usual.advance()
        for k, one in enumerate(plain):
            one.step()
            torch.testing.assert_close(training.members.flat[k], one.flat, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(training.members.slow[k, 0], one.m.detach(), rtol=1e-9, atol=1e-12)
    assert all(float((training.members.flat[k] - usual.members.flat[k]).norm()) > 1e-3 for k in range(3))


@pytest.mark.parametrize("warmup", [0, 1])
def test_no_warm_up_is_as_if_there_were_none(warmup: int) -> None:
    plans = [plan_of(replace(TASK, optimizer=Adam(1e-2, warmup=k))) for k in (0, warmup)]
    one, other = (Started(plan, TRIO) for plan in plans)
    for _ in range(5):
        one.advance()
        other.advance()
    assert torch.equal(one.members.flat, other.members.flat)
    assert plans[0].configuration() == plans[1].configuration()


# --- clip -------------------------------------------------------------------------------------


def test_a_gradient_is_cut_as_torch_cuts_it() -> None:
    flat = torch.stack([a * initial_parameters(TASK, s).double() for a, s in ((0.5, 0), (2, 1), (9, 2))])
    splits = [problem(s, 20).train for s in range(3)]
    data, slow = Data.of(splits, dtype=torch.float64), torch.tensor([[1.0], [0.5], [0.0]]).double()
    whole = Ensemble(TASK, flat, slow).loss_and_gradient(data.samples())[1]
    norms = whole.norm(dim=1)
    most = 1.01 * float(norms.median())  # one is longer
    cut = Ensemble(replace(TASK, clip=most), flat, slow).loss_and_gradient(data.samples())[1]
    for k in range(3):
        weight = nn.Parameter(flat[k].clone())
        weight.grad = whole[k].clone()
        clip_grad_norm_([weight], most)
        torch.testing.assert_close(cut[k], weight.grad, rtol=1e-12, atol=0)
    assert sorted((cut != whole).any(1).tolist()) == [False, False, True]
    assert float(cut.norm(dim=1).max()) == pytest.approx(most, rel=1e-5)


@pytest.mark.parametrize("batch", [0, 6])
def test_a_cell_is_cut_before_its_tangent_and_augmented(batch: int) -> None:
    task = replace(TASK, clip=0.1, augment=shaken, batch=batch)
    cells = [Cell(0, 20, 0.7, 1.5), Cell(1, 20, 0.0, 1.0)]
    found, usual = (minimize(t, cells, [40]).train_loss[0] for t in (task, replace(TASK, batch=batch)))
    for k, c in enumerate(cells):
        split, network = problem(c.seed, 20).train, TASK.network()
        start = c.alpha * initial_parameters(TASK, c.seed)
        vector_to_parameters(start, network.parameters())
        weights = nn.Parameter(start.clone())
        adam = torch.optim.Adam([weights], lr=1e-2, betas=(0.9, 0.98))
        for step in range(40):
            rows = torch.arange(20)
            if batch:
                order = torch.randperm(20, generator=generator(c.seed, f"epoch {step // 3}"))
                rows = order[step % 3 * 6 : (step % 3 + 1) * 6]
            inputs = shaken(split.at(c.m)[rows], generator(c.seed, f"augment {step}"))
            network.zero_grad()
            squared(network(inputs), {"y": split.targets["y"][rows]}).mean().backward()
            clip_grad_norm_(network.parameters(), 0.1)
            gradient = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
            at = weights.detach()
            weights.grad = gradient - (gradient @ at) / at.square().sum() * at
            adam.step()
            with torch.no_grad():
                weights *= start.norm() / weights.norm()
            vector_to_parameters(weights.detach().clone(), network.parameters())
        with torch.no_grad():
            expected = float(squared(network(split.at(c.m)), split.targets).mean())
        assert found[k] == pytest.approx(expected, rel=1e-4)
        assert abs(found[k] - usual[k]) > 1e-3 * expected


# --- augmented inputs -------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [0, 6])
def test_a_member_of_many_is_what_it_is_alone(batch: int) -> None:
    task = replace(TASK, clip=0.3, augment=shaken, batch=batch)
    many = [replace(TRIO[k % 3], alpha=0.5 + 0.1 * k, seed=k % 5) for k in range(16)]
    together = Started(plan_of(task, batch=batch, constrained=True), many)
    for step in range(40):
        if step == 20:  # some are retired
            together.members.keep(torch.tensor([1, 2, 6, 15]))
        together.advance()
    for row, k in enumerate((1, 2, 6, 15)):
        alone = Started(plan_of(task, batch=batch, constrained=True), [many[k]])
        for _ in range(40):
            alone.advance()
        torch.testing.assert_close(together.members.flat[row], alone.members.flat[0], rtol=1e-9, atol=1e-12)


def test_a_draw_is_made_once_for_all_members_of_a_seed() -> None:
    calls: Counter[tuple[int, ...]] = Counter()

    def counted(inputs: Tensor, drawn: Generator) -> Tensor:
        calls[tuple(inputs.shape)] += 1
        return shaken(inputs, drawn)

    training = Started(plan_of(replace(TASK, augment=counted), batch=6), TRIO)
    training.advance()
    assert calls == {(6, 2): 4}  # two seeds, random and ordered inputs
    training.members.measured()
    assert calls == {(6, 2): 4}  # metrics are of the inputs as they are


def test_samples_that_all_members_share_become_their_own() -> None:
    split = Split(
        torch.randn(5, 2), {"y": torch.arange(5.0), "book": torch.eye(3)}, common=frozenset({"book"})
    )
    data, seeds = Data.of([split] * 3), [4, 4, 7]
    assert not data.samples().mapped
    batches = Minibatches(seeds, 5, 0, torch.device("cpu"), shaken)
    for step in (0, 1):
        taken = batches.of_step(data, step)
        assert taken.mapped
        assert len(taken) == 5
        for k, seed in enumerate(seeds):
            expected = shaken(split.inputs, generator(seed, f"augment {step}"))
            assert torch.equal(taken.inputs["x"][k], expected)
            assert torch.equal(taken.targets["y"][k], torch.arange(5.0))
            assert torch.equal(taken.common["book"][k], torch.eye(3))
    plain = Minibatches(seeds, 5, 0, torch.device("cpu")).of_step(data, 1)
    assert torch.equal(plain.inputs["x"], split.inputs)


def test_symbols_cannot_be_augmented(tmp_path: Path) -> None:
    ends = torch.randn(2, 4, 2)
    symbols = torch.tensor([[0, 1], [2, 3]])
    split = Split(ends[0][symbols].sum(1), {"y": torch.zeros(2)}, ends[1][symbols].sum(1), symbols)
    task = replace(
        TASK,
        problem=lambda seed, n_train: Problem(split, split, 1.0, (ends[0], ends[1])),
        augment=shaken,
        n_train=2,
    )
    with pytest.raises(InputError, match=r"representation = 'free': .*augment"):
        train(task, gamma=0, alpha=1, steps=3, representation="free", check=False, out=tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


# --- norms of parts ---------------------------------------------------------------------------


PARTS = {"first": ("0.",), "biases": ("0.bias", "2.bias")}


def short(out: Path, task: Task, **change: Any) -> Runs:
    usual: dict[str, Any] = {
        "gamma": [0.1, 1.0], "alpha": 2.0, "seeds": [0, 1], "steps": 20, "resolution": 0.5,
        "dtype": "float64", "machine": ALONE,
    }  # fmt: skip
    return train(task, **(usual | change), out=out)


def test_norms_of_parts_are_recorded(tmp_path: Path) -> None:
    task = replace(TASK, parts=PARTS | {"rest": ("2.",)})
    runs = short(tmp_path / "a.nc", task)
    plain = short(tmp_path / "plain.nc", TASK)
    assert runs.parts == ["first", "biases", "rest"]
    assert plain.parts == []
    ds = runs.dataset
    xr_same = ds.drop_vars([f"norm_{part}" for part in runs.parts]).drop_attrs(deep=False)
    assert xr_same.identical(plain.dataset.drop_attrs(deep=False))
    whole = ds["norm_first"] ** 2 + ds["norm_rest"] ** 2
    np.testing.assert_allclose(whole, ds["weight_norm"] ** 2, rtol=1e-12)
    for run, seed in enumerate(ds["seed"].values):
        network = TASK.network().double()
        vector_to_parameters(2 * initial_parameters(TASK, int(seed)).double(), network.parameters())
        biases = torch.cat([network[0].bias, network[2].bias])  # type: ignore[index]
        assert float(ds["norm_biases"][run, 0]) == pytest.approx(float(biases.detach().norm()), rel=1e-12)
    assert ds["norm_biases"].attrs["long_name"].startswith("L2 norm")
    assert open_runs(tmp_path / "a.nc").dataset.identical(ds)


def test_parts_in_eq6_and_not_in_landscapes_and_paths(tmp_path: Path) -> None:
    task, quiet = replace(TASK, parts=PARTS), {"machine": ALONE}
    flow = integrate_networks(
        task, gamma=0.1, alpha=2.0, eta_d=1e-2, m=0.5, seeds=[0], steps=10, start=20, inner=10,
        out=tmp_path / "flow.nc", **quiet,
    )  # fmt: skip
    first, whole = flow.dataset["norm_first"].values, flow.dataset["weight_norm"].values
    assert ((first > 0) & (first < whole)).all()
    land = sample(task, alpha=[1, 2, 3, 4], seeds=[0], steps=4, out=tmp_path / "land.nc", **quiet)
    path = sample_path(
        task, alpha=2, seeds=[0], refit=2, dtau=0.1, tau=0.5, out=tmp_path / "path.nc", **quiet
    )
    assert not [k for ds in (land.dataset, path.dataset) for k in ds if str(k).startswith("norm_")]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"first": ("0.",), "head": ("0.", "head.")}, r"'head\.' in 'head', with which no parameter's name"),
        ({"head": ()}, "as 'head'; expected a tuple"),
        ({"head": "0."}, "as 'head'; expected a tuple"),
        ({"a head": ("0.",)}, "part 'a head'; expected a name"),
    ],
)
def test_a_part_that_is_none_is_told_at_the_start(parts: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^task 'small': parts .*{words}"):
        short(tmp_path / "a.nc", replace(TASK, parts=parts))
    assert list(tmp_path.iterdir()) == []


# --- constrained ------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-6), ("float64", 1e-12)])
def test_a_constrained_network_keeps_its_norm(dtype: str, rtol: float, tmp_path: Path) -> None:
    change: dict[str, Any] = {"dtype": dtype, "steps": 200, "gamma": [0.0, 1.0], "alpha": [0.8, 3.0]}
    runs = short(tmp_path / "a.nc", TASK, constrained=True, **change)
    start = (runs.dataset["alpha"] * runs.dataset["w0"]).values[:, None]
    np.testing.assert_allclose(runs.dataset["weight_norm"] / start, 1.0, rtol=rtol)
    assert (runs.dataset["train_loss"][:, -1] < runs.dataset["train_loss"][:, 0]).all()
    assert runs.constrained
    assert open_runs(tmp_path / "a.nc").dataset.attrs["constrained"] == 1
    assert measure(runs, threshold=0.5).sizes["run"] == 8
    assert not short(tmp_path / "free.nc", TASK, steps=2).constrained


def test_what_is_asked_for_is_part_of_the_configuration() -> None:
    asked = replace(TASK, optimizer=Adam(1e-2, warmup=5), clip=1.0, augment=shaken, parts=PARTS)
    more = plan_of(asked, constrained=True).configuration()
    plain = plan_of(replace(TASK, optimizer=Adam(1e-2))).configuration()
    assert {k: more[k] for k in more.keys() - plain.keys()} == {
        "warmup": 5, "clip": 1.0, "augment": True, "constrained": True,
        "parts": {"first": ["0."], "biases": ["0.bias", "2.bias"]},
    }  # fmt: skip
    assert plain.keys() <= more.keys()
