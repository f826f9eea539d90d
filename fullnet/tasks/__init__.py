"""The built-in tasks, as functions; `fullnet.find.BUILT_IN` lists them by name."""

from __future__ import annotations

from fullnet.tasks.addition import addition
from fullnet.tasks.four_operations import four_operations
from fullnet.tasks.imdb import imdb
from fullnet.tasks.mnist import mnist
from fullnet.tasks.mnist_representation import mnist_representation
from fullnet.tasks.modular_addition import modular_addition
from fullnet.tasks.qm9 import qm9
from fullnet.tasks.teacher_student import teacher_student

__all__ = [
    "addition",
    "four_operations",
    "imdb",
    "mnist",
    "mnist_representation",
    "modular_addition",
    "qm9",
    "teacher_student",
]
