"""Plain MLPs by hand: which modules are some, and that their passes are those of the map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from groktime.fullnet.engine import native
from groktime.fullnet.engine.by_output import ByOutput
from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.recognised import mlp_of
from groktime.fullnet.engine.representation import Line
from groktime.fullnet.engine.samples import Data, Samples
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks import addition, teacher_student

_COMPILER = native.library() is not None


class Written(nn.Module):
    """An MLP with a forward of its own, without a bias at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 9), nn.Linear(9, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        last: Tensor = self.last(functional.gelu(self.first(x.flatten(1))))
        return last


class Residual(Written):
    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x.flatten(1))
        last: Tensor = self.last(y + torch.tanh(y))
        return last


class Otherwise(Written):
    """Another network in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x.flatten(1))
        last: Tensor = self.last(torch.relu(y) if self.training else torch.tanh(y))
        return last


def _deep() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 33), nn.Tanh(), nn.Linear(33, 17), nn.LeakyReLU(0.2), nn.Linear(17, 3))


def _ended() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 3), nn.Sigmoid())


def _hooked() -> nn.Module:
    network = _deep()
    network.register_forward_hook(lambda module, args, output: 2 * output)
    return network


def _frozen() -> nn.Module:
    network = _deep()
    next(network.parameters()).requires_grad_(False)
    return network


def _names(network: nn.Module) -> list[str]:
    return [name for name, p in network.named_parameters() if p.requires_grad]


@pytest.mark.parametrize("make", [Written, _deep, _ended])
def test_a_chain_of_layers_is_recognised_however_it_is_written(make: Callable[[], nn.Module]) -> None:
    network = make()
    mlp = mlp_of(network, _names(network))
    assert mlp is not None
    assert [name for layer in mlp.layers for name in (layer.weight, layer.bias) if name] == _names(network)


@pytest.mark.parametrize(
    "make",
    [
        Residual,
        Otherwise,
        _hooked,
        _frozen,
        lambda: nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.1)),
        lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)),
        lambda: nn.Sequential(nn.Linear(6, 6), nn.Softmax(-1), nn.Linear(6, 3)),
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)),
    ],
)
def test_what_is_more_than_a_chain_is_none(make: Callable[[], nn.Module]) -> None:
    network = make()
    assert mlp_of(network, _names(network)) is None


def _mse(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["y"]).square().mean(-1)


def _classes(output: Tensor, targets: Targets) -> Tensor:
    return functional.cross_entropy(output, targets["label"], reduction="none")


def _of_batch(output: Tensor, targets: Targets) -> Tensor:
    """Not of each sample: it must not see another member's."""
    return _mse(output, targets) + output.mean().square()


def _task(make: Callable[[], nn.Module], loss: Callable[[Tensor, Targets], Tensor], samples: int) -> Task:
    def problem(seed: int, n_train: int) -> Problem:
        g = torch.Generator().manual_seed(seed)
        targets = {"y": torch.randn(n_train, 3, generator=g), "label": torch.arange(n_train) % 3}
        split = Split(torch.randn(n_train, 6, generator=g), targets)
        return Problem(split, split)

    def right(output: Tensor, targets: Targets) -> Tensor:
        return output.argmax(-1) == targets["label"]

    return Task("mlp", make, problem, loss, right, "", samples, Adam(1e-3), 10)


def _found(task: Task, dtype: torch.dtype, alike: bool, by_hand: bool) -> tuple[Ensemble, list[Tensor]]:
    flat = torch.stack([(k + 1) * initial_parameters(task, k) for k in range(3)]).to(dtype)
    splits = [task.problem(0 if alike else k, task.n_train).train for k in range(3)]
    data = Data.of([splits[0]] * 3 if alike else splits, dtype=dtype)
    ensemble = Ensemble(task, flat)
    if not by_hand:
        ensemble._dense = None
    for _ in range(2):  # beside the map, and without
        loss, gradient, _ = ensemble.loss_and_gradient(data.samples())
    return ensemble, [loss, gradient, *ensemble.metrics(data)]


@pytest.mark.parametrize(
    "kernel", [False, pytest.param(True, marks=pytest.mark.skipif(not _COMPILER, reason="no compiler"))]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", [_mse, _classes, _of_batch])
@pytest.mark.parametrize("make", [Written, _deep, _ended])
@pytest.mark.parametrize(("samples", "alike"), [(1, False), (37, True), (300, False)])
def test_passes_by_hand_are_those_of_the_map(
    make: Callable[[], nn.Module],
    loss: Callable[[Tensor, Targets], Tensor],
    dtype: torch.dtype,
    kernel: bool,
    samples: int,
    alike: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GROKTIME_NATIVE", "1" if kernel else "0")
    task = _task(make, loss, samples)
    ensemble, found = _found(task, dtype, alike, by_hand=True)
    assert ensemble._believed
    _, expected = _found(task, dtype, alike, by_hand=False)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_one_that_is_not_as_the_map_has_it_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    task = teacher_student(n_train=10)
    data = Data.of([task.problem(k, 10).train for k in range(2)])
    flat = torch.stack([initial_parameters(task, k) for k in range(2)])
    expected = Ensemble(task, flat).loss_and_gradient(data.samples())[1].clone()
    ensemble = Ensemble(task, flat)
    passes = ensemble._passes

    def wrong(*given: object) -> object:
        found = passes(*given)
        ensemble._gradient[1, 3] += 0.1
        return found

    monkeypatch.setattr(ensemble, "_passes", wrong)
    for _ in range(2):
        _, gradient, _ = ensemble.loss_and_gradient(data.samples())
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-7)
    assert ensemble._dense is None


def test_a_trained_messiness_has_its_gradient() -> None:
    task = addition(n_train=20)
    data = Data.of([task.problem(k, 20).train for k in range(2)], dtype=torch.float64)
    flat = torch.stack([initial_parameters(task, k) for k in range(2)]).double()
    found = []
    for by_hand in (True, False):
        ensemble = Ensemble(task, flat, torch.tensor([[0.3], [0.8]]).double(), Line(trained=True))
        ensemble._dense = ensemble._dense if by_hand else None
        for _ in range(2):
            loss, gradient, slow = ensemble.loss_and_gradient(data.samples())
        assert slow is not None
        found.append((loss, gradient.clone(), slow))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.skipif(not _COMPILER, reason="no compiler")
def test_a_members_numbers_do_not_depend_on_its_company() -> None:
    task = teacher_student(n_train=33)
    splits = [task.problem(k, 33).train for k in range(3)]
    flat = torch.stack([initial_parameters(task, k) for k in range(3)])
    together, alone = Ensemble(task, flat), Ensemble(task, flat[1:2].clone())
    for _ in range(2):
        both = together.loss_and_gradient(Data.of(splits).samples())[1]
        one = alone.loss_and_gradient(Data.of(splits[1:2]).samples())[1]
    assert torch.equal(both[1], one[0])


def test_without_a_compiler_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    native._library.cache_clear()
    try:
        assert native.library() is None
    finally:
        native._library.cache_clear()


def test_nothing_of_other_threads_is_changed_while_a_module_is_looked_at() -> None:
    """As torch.fx changes it; networks that another thread trains would then fail."""
    usual, seen = nn.Module.__call__, []

    class Watched(Written):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(nn.Module.__call__ is usual)
            return super().forward(x)

    network = Watched()
    assert mlp_of(network, _names(network)) is not None
    assert seen == [True, True]


SQUARES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "square": lambda o, y: (o - y).square().mean(-1),
    "power": lambda o, y: ((o - y) ** 2).mean(1),
    "torch's": lambda o, y: torch.mean((y - o).pow(2), dim=-1),
    "mse_loss": lambda o, y: functional.mse_loss(o, y, reduction="none").mean(-1),
}
NO_SQUARES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": lambda o, y: (o - y).square().sum(-1),
    "absolute": lambda o, y: (o - y).abs().mean(-1),
    "scaled": lambda o, y: 2 * (o - y).square().mean(-1),
    "of twice": lambda o, y: (o - 2 * y).square().mean(-1),
    "over samples": lambda o, y: (o - y).square().mean(0),
    "cube": lambda o, y: (o - y).pow(3).mean(1),
    "of the target": lambda o, y: (y - y).pow(2).mean(1) + o.mean(1),
    "for some": lambda o, y: (o - y).square().mean(-1) if bool(o.sum() <= 0) else o.mean(1),
}


@pytest.mark.parametrize("name", [*SQUARES, *NO_SQUARES])
def test_a_mean_squared_error_is_known_by_its_calls(name: str) -> None:
    loss, y = (SQUARES | NO_SQUARES)[name], torch.rand(3, 2)
    task = replace(teacher_student(), loss=lambda output, targets: loss(output, targets["y"]))
    samples = Samples({"x": torch.rand(3, 4)}, {"y": y, "label": torch.arange(3)}, {}, mapped=False)
    found = ByOutput(task).squared(2, samples)
    assert found is (y if name in SQUARES else None)
