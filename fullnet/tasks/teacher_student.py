"""Teacher–student (Omnigrok §3, Fig. 2): a tanh network learns the outputs of another one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groktime.fullnet.seeding import generator, global_seed
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.reduced.arguments import number, whole_number

_N_TEST = 100


def teacher_student(n_train: int = 100, tolerance: float = 0.01) -> Task:
    """MLP 5-100-100-5, tanh; 100 training and 100 test inputs ~ N(0, 1), labels from the teacher.

    A sample is right when its squared error, averaged over the 5 outputs, is below `tolerance`
    (0.01 in the paper, 0.001 in the authors' notebook).
    """
    tolerance = number("tolerance", tolerance, "above 0, a squared error", lambda x: x > 0)
    n_train = whole_number("n_train", n_train, 1)

    def problem(seed: int, n_train: int) -> Problem:
        with global_seed(seed, "teacher"):
            teacher = _network()

        def split(samples: int, purpose: str) -> Split:
            inputs = torch.randn(samples, 5, generator=generator(seed, purpose))
            with torch.no_grad():
                return Split(inputs, {"vector": teacher(inputs)})

        return Problem(split(n_train, "train inputs"), split(_N_TEST, "test inputs"))

    def right(output: Tensor, targets: Targets) -> Tensor:
        return _squared_error(output, targets) < tolerance

    return Task(
        name="teacher-student",
        network=_network,
        problem=problem,
        loss=_squared_error,
        right=right,
        loss_name="mse, mean over samples and outputs",
        n_train=n_train,
        optimizer=Adam(3e-4),
        steps=30_000,
        settings={"tolerance": tolerance},
    )


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 100), nn.Tanh(), nn.Linear(100, 100), nn.Tanh(), nn.Linear(100, 5))


def _squared_error(output: Tensor, targets: Targets) -> Tensor:
    return (output - targets["vector"]).square().mean(-1)
