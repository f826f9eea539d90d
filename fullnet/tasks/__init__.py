"""The built-in tasks, as functions; `fullnet.find.BUILT_IN` lists them by name."""

from __future__ import annotations

from groktime.fullnet.tasks.addition import addition
from groktime.fullnet.tasks.four_operations import four_operations
from groktime.fullnet.tasks.imdb import imdb
from groktime.fullnet.tasks.mnist import mnist
from groktime.fullnet.tasks.mnist_representation import mnist_representation
from groktime.fullnet.tasks.modular_addition import modular_addition
from groktime.fullnet.tasks.modular_mlp import modular_mlp, modular_transformer
from groktime.fullnet.tasks.qm9 import qm9
from groktime.fullnet.tasks.teacher_student import teacher_student

__all__ = [
    "addition",
    "four_operations",
    "imdb",
    "mnist",
    "mnist_representation",
    "modular_addition",
    "modular_mlp",
    "modular_transformer",
    "qm9",
    "teacher_student",
]
