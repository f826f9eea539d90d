"""`check_task` finds what is wrong with a task, names its field, and never raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from groktime.fullnet.check.task import check_task
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks import addition, teacher_student
from groktime.reduced.law import Schedule


def squared(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square().mean(-1)


def close(output: Tensor, targets: Targets) -> Tensor:
    return squared(output, targets) < 0.1


def data(seed: int, n_train: int) -> Problem:
    x = torch.randn(n_train + 6, 3, generator=torch.Generator().manual_seed(seed))
    train, test = (Split(part, {"y": part[:, :2].sin()}) for part in (x[:n_train], x[n_train:]))
    return Problem(train, test)


GOOD = Task(
    name="good",
    network=lambda: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)),
    problem=data,
    loss=squared,
    right=close,
    loss_name="mse",
    n_train=20,
    optimizer=Adam(1e-3),
    steps=10,
)


def with_split(**changes: Callable[[Split], Any]) -> Callable[[int, int], Problem]:
    """The good data with fields of the training split changed."""

    def problem(seed: int, n_train: int) -> Problem:
        good = data(seed, n_train)
        return replace(good, train=replace(good.train, **{k: f(good.train) for k, f in changes.items()}))

    return problem


def raising(*_: object) -> Any:
    raise KeyError("what the user's code says")


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.used(x)
        return out


class Frozen(Unused):
    def __init__(self) -> None:
        super().__init__()
        self.idle.requires_grad_(False)


class Remembers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.seen = nn.Linear(3, 2), 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        out: Tensor = self.linear(x) * self.seen
        return out


class Renormalizes(nn.Module):
    """Scales its own weights in a forward pass, as `nn.Embedding(max_norm=…)` does."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.linear.weight.mul_(0.9)
        out: Tensor = self.linear(x)
        return out


class OneFixedModule:
    network = nn.Linear(3, 2)

    def __call__(self) -> nn.Module:
        return self.network


def unseeded_network() -> nn.Module:
    network = nn.Linear(3, 2)
    with torch.no_grad():
        network.weight += torch.randn(2, 3, generator=torch.Generator().manual_seed(next(COUNTER)))
    return network


def unseeded_data(seed: int, n_train: int) -> Problem:
    return data(next(COUNTER), n_train)


COUNTER = iter(range(10**6))


def zeros() -> nn.Module:
    network = nn.Linear(3, 2)
    for p in network.parameters():
        nn.init.zeros_(p)
    return network


def grown_test(seed: int, n_train: int) -> Problem:
    good = data(seed, n_train)
    return good if seed == 0 else replace(good, test=good.train)


def deaf(seed: int, n_train: int) -> Problem:
    return data(seed, 20)


def layers(*middle: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(3, 8), *middle, nn.Linear(8, 2))


def alike_representation(**changes: Any) -> Callable[[int, int], Problem]:
    """The data of toy addition with something broken in it."""
    return lambda seed, n_train: replace(addition().problem(seed, n_train), **changes)


def no_symbols(seed: int, n_train: int) -> Problem:
    good = addition().problem(seed, n_train)
    return replace(good, test=replace(good.test, symbols=None))


def wrong_symbols(seed: int, n_train: int) -> Problem:
    good = addition().problem(seed, n_train)
    assert good.train.symbols is not None
    return replace(good, train=replace(good.train, symbols=good.train.symbols.flip(0)))


# field of the finding, a word of it, and what is changed of the good task
BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("name", "expected a text", {"name": ""}),
    ("network", "a function", {"network": 3}),
    ("network", "fresh one at every call", {"network": nn.Linear(3, 2)}),
    ("network", "gives a list", {"network": lambda: [nn.Linear(3, 2)]}),
    ("network", "what the user's code says", {"network": raising}),
    ("network", "no parameters", {"network": nn.Tanh}),
    ("network", "float32 and float64", {"network": layers(nn.Linear(8, 8).double())}),
    ("network", "fresh one", {"network": OneFixedModule()}),
    ("network", "global generator", {"network": unseeded_network}),
    ("network", "lazy", {"network": lambda: nn.LazyLinear(2)}),
    ("network", "frozen all", {"network": lambda: nn.Linear(3, 2).requires_grad_(False)}),
    ("network", "idle", {"network": Unused}),
    ("network", "all 0", {"network": zeros}),
    ("network", "(8, 3)", {"network": lambda: nn.Linear(4, 2)}),
    ("network", "Dropout", {"network": layers(nn.Dropout(0.5))}),
    ("network", "running_mean", {"network": layers(nn.BatchNorm1d(8))}),
    ("network", "in place", {"network": lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2))}),
    ("network", "not a tensor", {"network": lambda: nn.GRU(3, 2)}),
    ("network", "max_norm", {"network": lambda: Renormalizes()}),
    ("loss", "changed in place", {"loss": lambda o, y: (o - y["y"].mul_(2)).square().mean(-1)}),
    ("loss", "fewer samples", {"network": layers(nn.BatchNorm1d(8, track_running_stats=False))}),
    ("loss", "not their mean", {"loss": lambda o, y: squared(o, y).mean()}),
    ("loss", "(8, 2)", {"loss": lambda o, y: (o - y["y"]).square()}),
    ("loss", "what the user's code says", {"loss": raising}),
    ("loss", "KeyError", {"loss": lambda o, y: y["label"]}),
    ("loss", "not finite", {"loss": lambda o, y: squared(o, y) / 0}),
    ("loss", "from 0", {"loss": lambda o, y: -squared(o, y)}),
    ("loss", "no gradient", {"loss": lambda o, y: squared(o.detach(), y)}),
    ("loss", "gradient of 0", {"loss": lambda o, y: squared(0 * o, y)}),
    ("loss", "float", {"loss": lambda o, y: 0.5}),
    ("right", "torch.bool", {"right": squared}),
    ("right", "()", {"right": lambda o, y: close(o, y).all()}),
    ("right", "what the user's code says", {"right": raising}),
    ("n_train", "1 or more", {"n_train": 0}),
    ("n_train", "n_total = 10", {"n_total": 10}),
    ("optimizer", "Adam", {"optimizer": torch.optim.Adam}),
    ("optimizer", "rate", {"optimizer": Adam(float("nan"))}),
    ("optimizer", "betas", {"optimizer": Adam(1e-3, betas=(0.9, 1.0))}),
    ("steps", "1000.5", {"steps": 1000.5}),
    ("threshold", "(0, 1]", {"threshold": 95}),
    ("batch", "-1", {"batch": -1}),
    ("stop_loss", "None", {"stop_loss": None}),
    ("optimizer", "warmup", {"optimizer": Adam(1e-3, warmup=-1)}),
    ("optimizer", "expected a Schedule", {"optimizer": Adam(1e-3, schedule="cosine")}),  # type: ignore[arg-type]
    ("optimizer", "expected one", {"optimizer": Adam(1e-3, warmup=5, schedule=Schedule(warmup=9))}),
    ("no_decay", "a tuple of names", {"no_decay": "0."}),
    ("no_decay", "with which no parameter's name begins", {"no_decay": ("embedding",)}),
    ("no_decay", "all of the network", {"no_decay": ("0.", "2.")}),
    ("clip", "0 for never", {"clip": -1.0}),
    ("clip", "a gradient's norm", {"clip": "hard"}),
    ("augment", "(inputs, generator)", {"augment": "rotate"}),
    ("augment", "what the user's code says", {"augment": raising}),
    ("augment", "gives a tuple", {"augment": lambda x, g: (x, x)}),
    ("augment", "(8, 2)", {"augment": lambda x, g: x[:, :2]}),
    ("augment", "torch.float64", {"augment": lambda x, g: x.double()}),
    ("augment", "in place", {"augment": lambda x, g: x.add_(1)}),
    ("augment", "the generator that it is given", {"augment": lambda x, g: x + torch.randn(x.shape)}),
    ("augment", "NaN", {"augment": lambda x, g: x / 0}),
    ("parts", "a dict", {"parts": ("0.weight",)}),
    ("parts", "no parameter's name begins", {"parts": {"head": ("0.", "head.")}}),
    ("parts", "a tuple of prefixes", {"parts": {"head": "2."}}),
    ("parts", "letters", {"parts": {"the head": ("2.",)}}),
    ("settings", "JSON", {"settings": {"width": torch.tensor(3)}}),
    ("problem", "what the user's code says", {"problem": raising}),
    ("problem", "tuple", {"problem": lambda seed, n: (1, 2)}),
    ("problem", "called again", {"problem": unseeded_data}),
    ("problem", "20 training samples; expected n_train = 12", {"problem": deaf, "n_train": 12}),
    ("problem", "seed 1", {"problem": grown_test}),
    ("problem", "dict of targets", {"problem": with_split(targets=lambda s: s.targets["y"])}),
    ("problem", "a tensor", {"problem": with_split(targets=lambda s: {"y": [1.0] * len(s)})}),
    ("problem", "in common", {"problem": with_split(targets=lambda s: {"y": s.targets["y"][1:]})}),
    ("problem", "names of targets", {"problem": with_split(common=lambda s: frozenset({"codebook"}))}),
    ("problem", "NaN", {"problem": with_split(inputs=lambda s: s.inputs / 0)}),
    ("problem", "no_grad", {"problem": with_split(inputs=lambda s: s.inputs.requires_grad_())}),
    ("problem", "rows", {"problem": with_split(rows=lambda s: torch.arange(len(s)) + 5)}),
    ("messiness", "ordered=None", {"problem": with_split(ordered=lambda s: s.inputs)}),
    ("messiness", "no ordered", {"messiness": True}),
    ("messiness", "(20, 2)", {"messiness": True, "problem": with_split(ordered=lambda s: s.inputs[:, :2])}),
]
BROKEN_ADDITION: list[tuple[str, str, dict[str, Any]]] = [
    ("messiness", "delta_norm", {"problem": alike_representation(delta_norm=None)}),
    ("problem", "as of its ends", {"problem": alike_representation(delta_norm=100.0)}),
    ("problem", "symbols but no ends", {"problem": alike_representation(ends=None)}),
    ("problem", "one shape", {"problem": alike_representation(ends=(torch.ones(10, 1), torch.ones(9, 1)))}),
    ("problem", "outside 0 to 3", {"problem": alike_representation(ends=(torch.ones(4, 1),) * 2)}),
    ("problem", "ends but not", {"problem": no_symbols}),
    ("problem", "sums", {"problem": wrong_symbols}),
]


@pytest.mark.parametrize(
    "task", [GOOD, addition(), addition(variant="official"), teacher_student()], ids=lambda task: task.name
)
def test_nothing_is_wrong_with_a_good_task(task: Task) -> None:
    assert check_task(task) == []


@pytest.mark.parametrize(
    ("base", "field", "word", "changes"),
    [(GOOD, *case) for case in BROKEN] + [(addition(), *case) for case in BROKEN_ADDITION],
)
def test_a_broken_task(base: Task, field: str, word: str, changes: dict[str, Any]) -> None:
    found = check_task(replace(base, **changes))
    assert found
    assert not found[0].note
    assert field in {finding.field for finding in found}
    assert word in " ".join(str(finding) for finding in found)
    for finding in found:
        assert "\n" not in str(finding)
        assert len(str(finding)) < 330
        assert "cannot be checked" not in str(finding)


def jittered(inputs: Tensor, drawn: torch.Generator) -> Tensor:
    return inputs + torch.randn(inputs.shape, generator=drawn)


def test_nothing_is_wrong_with_what_a_task_may_ask_for() -> None:
    warm = Adam(1e-3, warmup=10)
    asking = replace(
        GOOD, optimizer=warm, clip=1.0, augment=jittered, parts={"first": ("0.",), "w": ("2.w",)}
    )
    assert check_task(asking) == []


@pytest.mark.parametrize("task", [None, 3, GOOD.network, Task])
def test_what_is_no_task(task: Any) -> None:
    (finding,) = check_task(task)
    assert str(finding).startswith("task is a ")
    assert "expected a fullnet.task.Task" in str(finding)


def test_several_complaints_come_together() -> None:
    found = check_task(replace(GOOD, name="", steps=0, batch=-1))
    assert [finding.field for finding in found] == ["name", "steps", "batch"]


def test_a_module_with_a_memory_of_its_own() -> None:
    found = check_task(replace(GOOD, network=Remembers))
    assert [finding.note for finding in found] == [False]


def test_no_batching_rule_is_a_note() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.out = nn.LSTM(1, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.out(self.cell(x.unsqueeze(-1))[0][:, -1])
            return out

    (note,) = check_task(replace(GOOD, network=Recurrent))
    assert note.note
    assert str(note).startswith("note: network cannot be mapped")


def test_the_same_start_for_all_seeds_is_a_note() -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Linear(3, 2)

    (note,) = check_task(replace(GOOD, network=network))
    assert note.note
    assert "same weights with seeds 0 and 1" in str(note)


def test_no_test_samples_is_a_note() -> None:
    (note,) = check_task(addition(n_train=55))
    assert note.note
    assert "no test samples" in str(note)


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    check_task(GOOD)
    assert torch.equal(torch.get_rng_state(), state)


# --- what is seen with members side by side: tests/fullnet/test_plain_loop.py has the networks ---------

_WEIGHTS: dict[int, Tensor] = {}


class Outside(nn.Module):
    """Trains a tensor that lies outside of all modules, which nobody could give to each member."""

    def __init__(self) -> None:
        super().__init__()
        self.readout = nn.Linear(3, 2)
        _WEIGHTS[0] = torch.randn(3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.readout(torch.tanh(x * _WEIGHTS[0]))
        return out


def test_what_is_not_each_members_is_found() -> None:
    found = [f for f in check_task(replace(GOOD, network=Outside)) if not f.note]
    assert [f.field for f in found] == ["task"], found
    assert "expected all that a seed draws to be in parameters, buffers or attributes" in found[0].text


def test_one_size_alone_is_a_note() -> None:
    (note,) = check_task(replace(GOOD, problem=deaf))
    assert note.note
    assert "20 training samples for n_train = 10" in str(note)


def test_frozen_parameters_are_a_note() -> None:
    (note,) = check_task(replace(GOOD, network=Frozen))
    assert note.note
    assert "'idle.weight' frozen" in str(note)


def labels(kind: torch.dtype) -> Callable[[int, int], Problem]:
    def problem(seed: int, n_train: int) -> Problem:
        good = data(seed, n_train)
        train, test = (
            replace(s, targets={"y": (s.inputs[:, 0] > 0).to(kind)}) for s in (good.train, good.test)
        )
        return Problem(train, test)

    return problem


def test_int32_labels_are_told_in_our_words() -> None:
    def entropy(output: Tensor, targets: Targets) -> Tensor:
        return nn.functional.cross_entropy(output, targets["y"], reduction="none")

    task = replace(GOOD, loss=entropy, right=lambda o, y: o.argmax(1) == y["y"])
    assert check_task(replace(task, problem=labels(torch.int64))) == []
    (finding,) = check_task(replace(task, problem=labels(torch.int32)))
    assert "targets['y'] are int32, and torch expects labels in int64" in str(finding)


def test_a_counter_of_calls_is_not_taken_for_dropout() -> None:
    (finding,) = check_task(replace(GOOD, network=Remembers))
    assert "counts its calls" in str(finding)
    assert "Dropout" not in str(finding)
