"""The built-in tasks, as functions; `fullnet.find.BUILT_IN` lists them by name."""

from __future__ import annotations

from fullnet.tasks.addition import addition
from fullnet.tasks.imdb import imdb
from fullnet.tasks.mnist import mnist
from fullnet.tasks.qm9 import qm9
from fullnet.tasks.teacher_student import teacher_student

__all__ = ["addition", "imdb", "mnist", "qm9", "teacher_student"]
