"""Handwritten digits with an interpolated representation (Omnigrok §5.2, Fig. 8): images that fade into
templates of their labels."""

from __future__ import annotations

import functools
import threading
from dataclasses import replace

import torch
from torch import Tensor

from groktime.fullnet.task import Problem, Split, Task
from groktime.fullnet.tasks.mnist import mnist
from groktime.reduced.arguments import choice

_CLASSES = 10
_BATCH = 100
_VALUES = {"paper": torch.arange(float(_CLASSES)), "official": torch.linspace(-0.5, 0.5, _CLASSES)}
# Cells are trained in threads; all get the same templates, so that they are stored once.
_MAKING = threading.Lock()


def mnist_representation(n_train: int = 60_000, variant: str = "paper", n_test: int | None = None) -> Task:
    """`mnist` with MSE on x(m) = m image + (1 - m) template (P §5.2), in batches of 100.

    The template of a label is a constant image [784]: of the label itself, 0 to 9 ("paper"), or of
    linspace(-0.5, 0.5, 10) at the label, as in the authors' notebook ("official"). Test images have
    theirs, too: at m = 0 train and test are one problem. `n_test`: as for `mnist`, as all the rest.

    `Problem.delta_norm` is ||X - T||, X the training images of the seed [n_train, 784] and T their
    templates: were the inputs trained as a representation, dm/dt = -η_R ∂l/∂m / ||X - T||². Where m itself
    is what is trained (representation "line"), Eq. 6 holds as it is. There are no symbols, so that the
    representation cannot be trained as a whole ("free").

    Raises
    ------
    InputError : on an unknown variant, and as `mnist`.
    """
    variant = choice("variant", variant, _VALUES)
    plain = mnist(n_train=n_train, n_test=n_test)

    def problem(seed: int, n_train: int) -> Problem:
        images = plain.problem(seed, n_train)
        train, test = (_with_templates(split, variant) for split in (images.train, images.test))
        assert train.ordered is not None
        distance = _distance(train.inputs, train.ordered)
        if len(train) == len(train.inputs):  # all that there are: one object for all seeds, never copied
            train = replace(train, rows=None)
        else:
            distance = distance[train.rows]
        return Problem(train, test, float(torch.linalg.vector_norm(distance)))

    return replace(
        plain,
        name="mnist-representation",
        problem=problem,
        batch=_BATCH if n_train >= _BATCH else 0,
        messiness=True,
        settings={"variant": variant, "n_test": plain.settings["n_test"]},
    )


def _with_templates(split: Split, variant: str) -> Split:
    with _MAKING:
        return replace(split, ordered=_templates(split.targets["label"], variant, split.inputs.shape[1]))


@functools.cache  # tensors are hashed by what object they are
def _templates(label: Tensor, variant: str, pixels: int) -> Tensor:
    """[row, pixel], of which only a column is in memory."""
    return _VALUES[variant][label][:, None].expand(-1, pixels)


@functools.cache
def _distance(images: Tensor, templates: Tensor) -> Tensor:
    """Of each image from its template, [row]."""
    distance: Tensor = torch.linalg.vector_norm(images - templates, dim=1, dtype=torch.float64)
    return distance
