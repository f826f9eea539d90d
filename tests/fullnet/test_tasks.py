"""The built-in tasks against the facts of the paper and of the authors' notebooks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.find import BUILT_IN, find_task
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Problem, Split, Task
from groktime.fullnet.tasks import addition, teacher_student
from groktime.reduced.errors import InputError


def parts(split: Split) -> list[Tensor]:
    """Every tensor of a split."""
    return [split.inputs, *split.targets.values(), *([] if split.ordered is None else [split.ordered])]


def equal(one: Problem, other: Problem) -> bool:
    pairs = zip(parts(one.train) + parts(one.test), parts(other.train) + parts(other.test), strict=True)
    return one.delta_norm == other.delta_norm and all(torch.equal(a, b) for a, b in pairs)


def everything(problem: Problem) -> Split:
    """Train and test samples of addition as one split."""
    train, test = problem.train, problem.test
    assert train.ordered is not None
    assert test.ordered is not None
    label = torch.cat([train.targets["label"], test.targets["label"]])
    vector = torch.cat([train.targets["vector"], test.targets["vector"]])
    targets = {"label": label, "vector": vector, "codebook": train.targets["codebook"]}
    return Split(torch.cat([train.inputs, test.inputs]), targets, torch.cat([train.ordered, test.ordered]))


@pytest.mark.parametrize("n_train", [25, 35, 45, 54, 55])
def test_addition_has_55_unordered_pairs(n_train: int) -> None:
    task = addition(n_train=n_train)
    problem = task.problem(0, n_train)
    assert task.n_total == 55
    assert len(problem.train.inputs) == n_train
    assert len(problem.test.inputs) == 55 - n_train
    whole = everything(problem)
    # Distinct pairs: sums of Gaussian numbers coincide only for the same pair.
    assert len(torch.unique(whole.inputs, dim=0)) == 55
    sums = sorted(i + j for i in range(10) for j in range(i, 10))
    assert sorted(whole.targets["label"].tolist()) == sums


@pytest.mark.parametrize(
    ("make", "classes", "dim", "parameters", "rate", "steps"),
    [
        (addition, 19, 1, 46_630, (1e-3, 1e-3), 10_000),
        (lambda: addition(variant="official"), 10, 2, 46_830, (1e-2, 2e-3), 15_000),
        (lambda: addition(p=7, n_train=20, dim=3), 13, 3, 47_030, (1e-3, 1e-3), 10_000),
    ],
)
def test_sizes_of_addition(
    make: Callable[[], Task],
    classes: int,
    dim: int,
    parameters: int,
    rate: tuple[float, float],
    steps: int,
) -> None:
    task = make()
    train = task.problem(0, task.n_train).train
    assert train.targets["codebook"].shape == (classes, 30)
    assert train.inputs.shape == (task.n_train, dim)
    assert torch.equal(train.targets["vector"], train.targets["codebook"][train.targets["label"]])
    assert len(initial_parameters(task, 0)) == parameters == 200 * dim + 200 + 200 * 201 + 30 * 201
    rates = [task.optimizer.rate * task.optimizer.sampling.at(step) for step in (4_999, 5_000)]
    assert rates == pytest.approx(rate)
    assert task.steps == steps


def test_the_activation_is_that_of_the_variant() -> None:
    # One negative input through identity-like weights: ReLU gives 0, LeakyReLU(0.2) a fifth.
    answers = {}
    for variant in ("paper", "official"):
        network = addition(dim=1, variant=variant).network()
        with torch.no_grad():
            for k, p in enumerate(network.parameters()):
                p.zero_()
                if k % 2 == 0:
                    p[0, 0] = 1.0
            answers[variant] = float(network(torch.tensor([[-1.0]]))[0, 0])
    assert answers == pytest.approx({"paper": 0.0, "official": -0.04})


@pytest.mark.parametrize(("p", "n_train", "n_test"), [(30, 300, 150), (50, 800, 400), (10, 25, 9)])
def test_pairs_are_tested_whose_sum_is_known(p: int, n_train: int, n_test: int) -> None:
    """They are among those that are left, and of one number for all seeds; training pairs are as without."""
    task, plain = (addition(p, n_train, variant="paper", n_test=n) for n in (n_test, 0))
    for seed in range(3):
        one, other = (t.problem(seed, n_train) for t in (task, plain))
        assert torch.equal(one.train.inputs, other.train.inputs)
        assert len(one.test) == n_test
        assert set(one.test.targets["label"].tolist()) <= set(one.train.targets["label"].tolist())
        left = (
            {tuple(pair) for pair in other.test.symbols.tolist()} if other.test.symbols is not None else set()
        )
        assert one.test.symbols is not None and {tuple(x) for x in one.test.symbols.tolist()} <= left
    assert "n_test" not in plain.settings


def test_more_known_sums_than_there_are_is_told() -> None:
    with pytest.raises(InputError, match=r"n_test = 30: seed 0 leaves .* expected no more"):
        addition(10, 25, variant="paper", n_test=30).problem(0, 25)
    with pytest.raises(InputError, match="n_test = 31: expected a whole number, 0 to 30"):
        addition(10, 25, n_test=31)


def test_the_ordered_representation_of_the_paper_is_the_standardised_sum() -> None:
    whole = everything(addition().problem(4, 45))
    assert whole.ordered is not None
    symbols = np.arange(10)
    expected = (whole.targets["label"].numpy() - 2 * symbols.mean()) / symbols.std()
    np.testing.assert_allclose(whole.ordered[:, 0].numpy(), expected, atol=1e-6)


def test_the_representations_of_the_notebook_are_uniform_in_their_ranges() -> None:
    ordered, random = [], []
    for seed in range(40):
        whole = everything(addition(variant="official").problem(seed, 45))
        assert whole.ordered is not None
        # The sum of a pair, not the label mod 10, is told by the linear coordinate.
        k = ((whole.ordered[:, 0] + 2) * 4.5).round().long()
        assert torch.equal(k % 10, whole.targets["label"])
        torch.testing.assert_close(whole.ordered[:, 0], k / 4.5 - 2, rtol=0, atol=1e-5)
        # k = 0 and 18 are the pairs of one symbol with itself: half of x is one embedding.
        double = (k == 0) | (k == 18)
        ordered.append(whole.ordered[double, 1] / 2)
        random.append(whole.inputs[double] / 2)
    for values, half_width in ((torch.cat(ordered), 0.3), (torch.cat(random), 1.0)):
        assert 0.9 * half_width < float(values.abs().max()) <= half_width
        assert float(values.std()) == pytest.approx(half_width / math.sqrt(3), rel=0.15)


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_inputs_are_linear_in_messiness_between_the_two_representations(variant: str) -> None:
    train = addition(variant=variant).problem(1, 45).train
    assert train.ordered is not None
    assert torch.equal(train.at(1.0), train.inputs)
    assert torch.equal(train.at(0.0), train.ordered)
    m = torch.linspace(0, 1, 11, dtype=torch.float64)
    x = torch.stack([train.at(float(k)) for k in m]).double()
    assert float((x[1:] - x[:-1]).abs().max()) > 0.01
    torch.testing.assert_close(x.diff(n=2, dim=0), torch.zeros_like(x[2:]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [addition, lambda: addition(variant="official", p=8, n_train=20)])
def test_delta_norm_is_the_distance_of_the_representations(make: Callable[[], Task]) -> None:
    # With D = R_random - R_linear [symbol, dim] and x over all pairs i <= j: the sum of |D_i + D_j|² is
    # (p + 2)|D|² + |ΣD|², and the sum of D_i + D_j is (p + 1) ΣD. So |D| follows from inputs alone.
    task = make()
    p = task.settings["p"]
    problem = task.problem(2, task.n_train)
    whole = everything(problem)
    assert whole.ordered is not None
    d = (whole.inputs - whole.ordered).double()
    squared = (d.square().sum() - (d.sum(0) / (p + 1)).square().sum()) / (p + 2)
    assert problem.delta_norm == pytest.approx(math.sqrt(float(squared)), rel=1e-5)


def test_right_is_the_nearest_target() -> None:
    task = addition()
    targets = everything(task.problem(5, 45)).targets
    noise = torch.randn(55, 30, generator=torch.Generator().manual_seed(0))
    seen = set()
    for scale in (0.0, 1.0, 3.0, 10.0):
        output = targets["vector"] + scale * noise
        nearest = torch.cdist(output, targets["codebook"]).argmin(1)
        assert torch.equal(task.right(output, targets), nearest == targets["label"])
        seen.add(round(float(task.right(output, targets).float().mean()), 2))
    assert 1.0 in seen
    assert min(seen) < 0.5


@pytest.mark.parametrize("make", [addition, teacher_student])
def test_loss_is_the_mean_square_over_the_outputs(make: Callable[[], Task]) -> None:
    task = make()
    targets = task.problem(0, task.n_train).train.targets
    output = targets["vector"].clone()
    output[3, 0] += 2.0
    expected = torch.zeros(len(output))
    expected[3] = 4.0 / output.shape[1]
    torch.testing.assert_close(task.loss(output, targets), expected)


def test_norm_of_the_teacher_student_network() -> None:
    norms = [float(initial_parameters(teacher_student(), seed).norm()) for seed in range(20)]
    assert np.mean(norms) == pytest.approx(8.68, rel=0.01)
    assert len(initial_parameters(teacher_student(), 0)) == 11_205


def test_teacher_student_data() -> None:
    task = teacher_student()
    inputs, labels = [], []
    for seed in range(10):
        problem = task.problem(seed, 100)
        for split in (problem.train, problem.test):
            assert split.inputs.shape == split.targets["vector"].shape == (100, 5)
            inputs.append(split.inputs)
            labels.append(split.targets["vector"])
        assert not torch.equal(problem.train.inputs, problem.test.inputs)
    x = torch.cat(inputs)
    assert float(x.mean()) == pytest.approx(0, abs=0.05)
    assert float(x.std()) == pytest.approx(1, abs=0.05)
    # A freshly initialized tanh network of this shape has outputs of a few tenths.
    assert 0.02 < float(torch.cat(labels).std()) < 0.5


def test_the_teacher_is_a_fresh_network_other_than_the_student() -> None:
    task = teacher_student()
    problem = task.problem(0, 100)
    student = task.network()
    torch.nn.utils.vector_to_parameters(initial_parameters(task, 0), student.parameters())
    with torch.no_grad():
        assert float(task.loss(student(problem.train.inputs), problem.train.targets).mean()) > 1e-3


@pytest.mark.parametrize("tolerance", [0.01, 0.001])
def test_a_sample_is_right_below_the_tolerance(tolerance: float) -> None:
    task = teacher_student(tolerance=tolerance)
    targets = {"vector": torch.zeros(2, 5)}
    # The squared error is averaged over the outputs, so one output may be off by √5 as much.
    off = torch.zeros(2, 5)
    off[0, 0], off[1, 0] = (math.sqrt(5 * tolerance * factor) for factor in (0.99, 1.01))
    assert task.right(off, targets).tolist() == [True, False]


@pytest.mark.parametrize("make", [addition, lambda: addition(variant="official"), teacher_student])
def test_a_seed_gives_the_same_bits_in_any_order(make: Callable[[], Task]) -> None:
    task = make()
    n = task.n_train
    torch.manual_seed(0)
    first = {seed: (task.problem(seed, n), initial_parameters(task, seed)) for seed in (0, 1, 2)}
    torch.manual_seed(99)
    again = make()
    for seed in (2, 0, 1):
        assert torch.equal(initial_parameters(again, seed), first[seed][1])
        assert equal(again.problem(seed, n), first[seed][0])
    assert not equal(first[0][0], first[1][0])
    assert not torch.equal(first[0][1], first[1][1])


def test_seeds_give_the_same_streams_in_every_version() -> None:
    # Published files name their seeds; whoever repeats them must draw the same numbers.
    assert generator(0, "weights").initial_seed() == 3699729803252847382
    assert generator(7, "split").initial_seed() == 3108487550197109096
    streams = {generator(s, p).initial_seed() for s in range(50) for p in ("weights", "split", "targets")}
    assert len(streams) == 150


@pytest.mark.parametrize("make", [addition, teacher_student])
def test_making_data_leaves_the_global_generator_alone(make: Callable[[], Task]) -> None:
    state = torch.get_rng_state()
    make().problem(0, 10)
    assert torch.equal(torch.get_rng_state(), state)


def test_smaller_training_sets_of_addition_are_nested() -> None:
    task = addition()
    large = task.problem(7, 45).train
    for n in (25, 35):
        small = task.problem(7, n).train
        for a, b in zip(parts(small)[:3], parts(large)[:3], strict=True):
            assert torch.equal(a, b[:n])
        assert torch.equal(small.targets["codebook"], large.targets["codebook"])


def test_the_test_set_of_teacher_student_does_not_depend_on_n_train() -> None:
    task = teacher_student()
    for a, b in zip(parts(task.problem(7, 100).test), parts(task.problem(7, 30).test), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [({"variant": "notebook"}, "variant"), ({"n_train": 56}, "n_train"), ({"n_train": 0}, "n_train")],
)
def test_wrong_arguments_are_named(arguments: dict[str, int | str], names: str) -> None:
    with pytest.raises(InputError, match=rf"^{names} = .*expected"):
        addition(**arguments)  # type: ignore[arg-type]


def test_tasks_by_name() -> None:
    assert {name: find_task(name).name for name in BUILT_IN} == {name: name for name in BUILT_IN}
    assert {"addition", "teacher-student"} <= set(BUILT_IN)
