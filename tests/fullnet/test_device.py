"""What a member takes of an accelerator's memory, and how many fit into it."""

from __future__ import annotations

import torch

from groktime.fullnet.engine.device import fitting_memory, members_at_once
from groktime.fullnet.engine.footprint import activation_bytes
from groktime.fullnet.engine.representation import Free, Line
from groktime.fullnet.seeding import global_seed
from groktime.fullnet.tasks import addition, teacher_student

MIB = 2**20


def test_what_a_forward_pass_keeps_is_counted_once() -> None:
    task = teacher_student()  # 5-100-100-5, tanh, 100 samples
    split = task.problem(0, 100).train
    with global_seed(0, "shape"):
        whole, half = activation_bytes(task, split), activation_bytes(task, split, batch=50)
    # inputs, both hidden layers, and the differences that are squared
    assert whole == 4 * (100 * 5 + 2 * 100 * 100 + 100 * 5)
    assert half == whole // 2


def test_a_power_of_two_of_members_fits_half_the_memory() -> None:
    counts = [fitting_memory(memory * MIB, MIB) for memory in (0, 1, 2, 7, 8, 80_000)]
    assert counts == [1, 1, 1, 2, 4, 32_768]


def test_on_the_cpu_no_activations_are_asked_for() -> None:
    def never() -> int:
        raise AssertionError

    assert members_at_once(torch.device("cpu"), 10_000, 100, 2, never) == 17


def test_m_of_all_rows_is_that_of_each() -> None:
    task = addition(variant="official")
    problems = [task.problem(seed, 45) for seed in (0, 1, 0)]
    free = Free(len(problems[0].ends[0]))
    slow = torch.stack([free.initial(p, m) for p, m in zip(problems, (0.0, 0.3, 1.0), strict=True)])
    torch.testing.assert_close(free.messiness(slow, problems), torch.tensor([0.0, 0.3, 1.0]).double())
    torch.testing.assert_close(free.messiness(slow[1:], problems[1:]), torch.tensor([0.3, 1.0]).double())
    line = torch.tensor([[0.2], [0.4]])
    torch.testing.assert_close(Line(True).messiness(line, problems[:2]), line[:, 0])
    of_none = Line(False).messiness(line, [teacher_student().problem(0, 100)] * 2)
    assert bool(of_none.isnan().all())
