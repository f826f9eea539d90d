"""The batched program computes, member by member, what plain PyTorch computes for one network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.optimizer import weight_norm
from groktime.fullnet.engine.samples import Data
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.fullnet.tasks import addition, teacher_student


def members(task: Task, dtype: torch.dtype = torch.float32) -> tuple[Tensor, list[Split]]:
    """Three unlike members: flat parameters and training split, with messiness mixed in."""
    flat = torch.stack([(k + 1) * initial_parameters(task, k) for k in range(3)]).to(dtype)
    splits = [task.problem(k, task.n_train).train for k in range(3)]
    cast = [
        Split(
            s.inputs.to(dtype),
            {k: v.to(dtype) if v.is_floating_point() else v for k, v in s.targets.items()},
            None if s.ordered is None else s.ordered.to(dtype),
            common=s.common,
        )
        for s in splits
    ]
    return flat, cast


def alone(task: Task, flat: Tensor, split: Split, messiness: float) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, gradient and accuracy of one network as anybody would write it."""
    network = task.network().to(flat.dtype)
    vector_to_parameters(flat, network.parameters())
    output = network(split.at(messiness))
    loss = task.loss(output, split.targets).mean()
    gradient = parameters_to_vector(torch.autograd.grad(loss, list(network.parameters())))
    return loss.detach(), gradient, task.right(output, split.targets).float().mean()


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("make", [addition, lambda: addition(variant="official"), teacher_student])
def test_equals_autograd_one_by_one(make: Callable[[], Task], dtype: torch.dtype, rtol: float) -> None:
    task = make()
    flat, splits = members(task, dtype)
    messiness = [0.0, 0.3, 1.0]
    ensemble = Ensemble(task, flat, torch.tensor(messiness, dtype=dtype).unsqueeze(1))
    data = Data.of(splits)
    losses, gradients, _ = ensemble.loss_and_gradient(data.samples())
    assert gradients.is_contiguous()
    assert gradients.shape == flat.shape
    again, accuracies = ensemble.metrics(data)
    torch.testing.assert_close(again, losses, rtol=rtol, atol=0)
    for k in range(3):
        loss, gradient, accuracy = alone(task, flat[k], splits[k], messiness[k])
        assert float(losses[k]) == pytest.approx(float(loss), rel=rtol)
        assert float((gradients[k] - gradient).norm()) <= rtol * float(gradient.norm())
        assert float(accuracies[k]) == pytest.approx(float(accuracy), rel=1e-6)


def test_works_in_place_on_the_buffer_it_was_given() -> None:
    task = teacher_student(n_train=10)
    flat, splits = members(task)
    ensemble = Ensemble(task, flat)
    data = Data.of(splits)
    before, *_ = ensemble.loss_and_gradient(data.samples())
    flat[1].mul_(2)
    after, *_ = ensemble.loss_and_gradient(data.samples())
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert float(after[1]) == pytest.approx(float(alone(task, flat[1], splits[1], 1.0)[0]), rel=1e-5)
    assert float(after[1]) != pytest.approx(float(before[1]), rel=0.01)


def test_adopting_some_members_leaves_them_as_they_are() -> None:
    task = teacher_student(n_train=10)
    flat, splits = members(task)
    ensemble = Ensemble(task, flat)
    data = Data.of(splits)
    loss, gradient, _ = ensemble.loss_and_gradient(data.samples())
    loss, gradient = loss.clone(), gradient.clone()
    rows = torch.tensor([2, 0])
    ensemble.adopt(flat[rows].contiguous(), torch.ones(2, 1))
    fewer, gradient_of_fewer, _ = ensemble.loss_and_gradient(data.keep(rows).samples())
    torch.testing.assert_close(fewer, loss[rows], rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient_of_fewer, gradient[rows], rtol=1e-5, atol=1e-7)


def test_of_members_that_are_run_one_by_one_only_those_asked_for_are() -> None:
    task = teacher_student(n_train=10)
    flat, splits = members(task)
    data = Data.of(splits)
    singly = Ensemble(task, flat, mapped=False)
    every, one = singly.evaluated(data), singly.evaluated(data, [1])
    assert torch.equal(one[:, 1], every[:, 1])
    assert bool(one[:, [0, 2]].isnan().all())
    torch.testing.assert_close(every, Ensemble(task, flat).evaluated(data), rtol=1e-5, atol=0)


def test_metrics_without_samples_are_nan() -> None:
    task = addition(n_train=55)
    flat, _ = members(task)
    empty = Data.of([task.problem(k, 55).test for k in range(3)])
    assert empty.empty
    for values in Ensemble(task, flat).metrics(empty):
        assert values.shape == (3,)
        assert bool(values.isnan().all())


class Tied(nn.Module):
    """One tensor in two places, as in tied embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        second: Tensor = self.second(torch.tanh(self.first(x)))
        return second


def test_initial_parameters_count_each_tensor_once() -> None:
    flat = torch.stack([initial_parameters(regression(Tied, torch.eye(4)), s) for s in (0, 1)])
    assert flat.shape == (2, 16)
    assert not torch.equal(flat[0], flat[1])
    assert 0 < float(flat.abs().max()) <= 4**-0.5  # PyTorch's default: uniform within 1/sqrt(fan-in)
    torch.testing.assert_close(weight_norm(flat), flat.square().sum(1).sqrt())


def test_both_uses_of_a_tied_tensor_contribute_to_its_gradient() -> None:
    task = regression(Tied, torch.eye(4))
    flat = torch.stack([initial_parameters(task, s) for s in (0, 1)])
    split = task.problem(0, 4).train
    _, gradient, _ = Ensemble(task, flat).loss_and_gradient(Data.of([split] * 2).samples())
    for k in range(2):
        expected = alone(task, flat[k], split, 1.0)[1]
        torch.testing.assert_close(gradient[k], expected, rtol=1e-5, atol=1e-8)


def test_drawing_initial_parameters_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    first = initial_parameters(teacher_student(), 3)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    assert torch.equal(initial_parameters(teacher_student(), 3), first)


def test_building_an_ensemble_leaves_the_global_generator_alone() -> None:
    task = teacher_student()
    flat = initial_parameters(task, 0).unsqueeze(0)
    state = torch.get_rng_state()
    Ensemble(task, flat)
    assert torch.equal(torch.get_rng_state(), state)


def test_modules_with_buffers_work() -> None:
    class Scaled(nn.Module):
        scale: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.register_buffer("scale", torch.tensor(3.0))

        def forward(self, x: Tensor) -> Tensor:
            scaled: Tensor = self.scale * self.linear(x)
            return scaled

    task = regression(Scaled, torch.eye(4))
    flat = initial_parameters(task, 0).unsqueeze(0)
    split = task.problem(0, 4).train
    loss, *_ = Ensemble(task, flat).loss_and_gradient(Data.of([split]).samples())
    assert float(loss) == pytest.approx(float(alone(task, flat[0], split, 1.0)[0]), rel=1e-5)


def test_metrics_are_taken_in_evaluation_mode() -> None:
    def network() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5), nn.Linear(64, 4))

    task = regression(network, torch.eye(4))
    flat = initial_parameters(task, 0).unsqueeze(0)
    split = task.problem(0, 4).train
    plain = network().eval()
    vector_to_parameters(flat[0], plain.parameters())
    expected = float(task.loss(plain(split.inputs), split.targets).mean().detach())
    loss, _ = Ensemble(task, flat).metrics(Data.of([split]))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def regression(network: Callable[[], nn.Module], inputs: Tensor) -> Task:
    """Learn the sines of the inputs, with a module of the test's own."""

    def loss(output: Tensor, targets: Targets) -> Tensor:
        return (output - targets["vector"]).square().mean(-1)

    split = Split(inputs, {"vector": inputs.sin()})
    return Task(
        name="regression",
        network=network,
        problem=lambda seed, n_train: Problem(split, split),
        loss=loss,
        right=lambda output, targets: loss(output, targets) < 0.1,
        loss_name="mse",
        n_train=len(inputs),
        optimizer=Adam(1e-3),
        steps=10,
    )


def test_compiled_is_the_same_to_rounding_and_for_every_size() -> None:
    task = teacher_student(n_train=10)
    flat, splits = members(task, torch.float64)
    plain, compiled = (Ensemble(task, flat.clone(), compiled=c) for c in (False, True))
    for rows in (torch.arange(3), torch.tensor([2, 0])):
        data = Data.of(splits).keep(rows)
        for ensemble in (plain, compiled):
            ensemble.adopt(flat[rows].contiguous(), torch.ones(len(rows), 1, dtype=torch.float64))
        loss, gradient, _ = plain.loss_and_gradient(data.samples())
        again, same, slow = compiled.loss_and_gradient(data.samples())
        torch.testing.assert_close(again, loss, rtol=1e-12, atol=0)
        torch.testing.assert_close(same, gradient, rtol=1e-10, atol=1e-14)
        assert slow is None
    assert compiled._compiled


def test_where_nothing_can_be_compiled_it_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object, **__: object) -> None:
        raise RuntimeError("no working C++ compiler\nand a page of reasons")

    monkeypatch.setattr(torch, "compile", no_compiler)
    task = teacher_student(n_train=10)
    flat, splits = members(task)
    ensemble, samples = Ensemble(task, flat, compiled=True), Data.of(splits).samples()
    with pytest.warns(UserWarning, match=r"cannot be compiled here \(no working C\+\+ compiler\)"):
        loss, *_ = ensemble.loss_and_gradient(samples)
    torch.testing.assert_close(loss, Ensemble(task, flat).loss_and_gradient(samples)[0])
