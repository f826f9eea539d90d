"""The built-in tasks, by name."""

from __future__ import annotations

from collections.abc import Callable

from fullnet.task import Task
from fullnet.tasks.addition import addition
from fullnet.tasks.mnist import mnist
from fullnet.tasks.teacher_student import teacher_student

TASKS: dict[str, Callable[..., Task]] = {
    "addition": addition,
    "mnist": mnist,
    "teacher-student": teacher_student,
}

__all__ = ["TASKS", "addition", "mnist", "teacher_student"]
