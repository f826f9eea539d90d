"""Handwritten digits (MNIST): an MLP on a thousand of the 60,000 images."""

from __future__ import annotations

import functools
import threading
from importlib import import_module

import numpy as np
import torch
from torch import Generator, Tensor, nn

from groktime.fullnet.data import fetch, read_idx
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.reduced.arguments import choice, whole_number
from groktime.reduced.errors import InputError

_N_TOTAL = 60_000
_N_TEST = 10_000
_HIDDEN = 200
_CLASSES = 10
_BATCH = 200
_SIDE = 28  # pixels
_DEGREES = 30.0
# What the poster does not say is as in torchvision's GaussianBlur: sigma in pixels, and of its kernel
# sizes that which holds most of the widest blur in the fewest pixels.
_SIGMA = (0.1, 2.0)
_KERNEL = (5, 5)
# Cells are trained in threads; the first to ask reads the files, and all get the same tensors.
_READING = threading.Lock()


def mnist(
    n_train: int = 1000, loss: str = "mse", n_test: int | None = None, augment: str | None = None
) -> Task:
    """MLP 784-200-200-10, ReLU; pixels in [0, 1]; batches of 200 (all, if fewer), Adam 1e-3.

    `n_train` images are drawn from the 60,000 by the seed; smaller sets are nested in larger ones.
    All 10,000 test images are used, or for a quick look the first `n_test`. `loss` is "mse", against
    the one-hot label and averaged over the 10 outputs, or "ce", the cross-entropy of the outputs as
    logits. A sample is right when the largest output is that of its label.

    `augment` "rotate-blur" turns and blurs the images of every optimizer step, each by an angle of its own
    within 30 degrees and a Gaussian of its own, 0.1 to 2 pixels wide (systems 10, a remedy of the poster);
    it needs kornia.

    The threshold is 70 % right: with 1000 training images the network never reaches 95 %.

    The files are read (and, without GROKTIME_DATA, downloaded) at the first problem, not here.
    """
    loss = choice("loss", loss, _LOSSES)
    n_train = whole_number("n_train", n_train, 1, _N_TOTAL, "the training images of MNIST")
    n_test = whole_number(
        "n_test", _N_TEST if n_test is None else n_test, 1, _N_TEST, "the test images of MNIST"
    )
    augment = None if augment is None else choice("augment", augment, _AUGMENTS)
    if augment is not None:
        try:  # now, and not in the middle of a long command
            import_module("kornia")
        except ImportError as error:
            raise InputError(
                f"augment = {augment!r}: needs kornia: pip install 'groktime[images]'"
            ) from error

    def problem(seed: int, n_train: int) -> Problem:
        with _READING:
            train, test = _digits("train"), _first(n_test)
        rows = torch.randperm(len(train), generator=generator(seed, "split"))[:n_train]
        return Problem(Split(train.inputs, train.targets, rows=rows), test)

    function, loss_name = _LOSSES[loss]
    return Task(
        name="mnist",
        network=_network,
        problem=problem,
        loss=function,
        right=_largest_output,
        loss_name=loss_name,
        n_train=n_train,
        n_total=_N_TOTAL,
        batch=_BATCH if n_train >= _BATCH else 0,
        optimizer=Adam(1e-3),
        steps=10_000,
        threshold=0.7,
        augment=None if augment is None else _AUGMENTS[augment],
        settings={"loss": loss, "n_test": n_test} | ({} if augment is None else {"augment": augment}),
    )


@functools.cache
def _digits(part: str) -> Split:
    """All images [sample, pixel] of "train" or "t10k" and their labels [sample]."""
    images = read_idx(fetch("mnist", f"{part}-images-idx3-ubyte.gz"), dimensions=3)
    labels = read_idx(fetch("mnist", f"{part}-labels-idx1-ubyte.gz"), dimensions=1)
    pixels = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32)).div_(255)
    return Split(pixels, {"label": torch.from_numpy(labels.astype(np.int64))})


@functools.cache
def _first(n_test: int) -> Split:
    """The first test images, one object for all seeds so that they can share it in memory."""
    whole = _digits("t10k")
    return Split(whole.inputs[:n_test], {"label": whole.targets["label"][:n_test]})


def _network() -> nn.Module:
    return nn.Sequential(
        nn.Linear(_SIDE * _SIDE, _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, _CLASSES),
    )


def _squared_error(output: Tensor, targets: Targets) -> Tensor:
    one_hot = nn.functional.one_hot(targets["label"], _CLASSES)
    return (output - one_hot).square().mean(-1)


def _cross_entropy(output: Tensor, targets: Targets) -> Tensor:
    return nn.functional.cross_entropy(output, targets["label"], reduction="none")


def _largest_output(output: Tensor, targets: Targets) -> Tensor:
    return output.argmax(-1) == targets["label"]


def _rotate_blur(pixels: Tensor, generator: Generator) -> Tensor:
    """Images [sample, pixel], each turned by up to 30 degrees and blurred by 0.1 to 2 pixels, drawn alone."""
    from kornia.filters import gaussian_blur2d
    from kornia.geometry.transform import rotate

    turn, width = torch.rand(2, len(pixels), generator=generator).to(pixels)
    images = rotate(pixels.view(-1, 1, _SIDE, _SIDE), _DEGREES * (2 * turn - 1))
    sigma = _SIGMA[0] + (_SIGMA[1] - _SIGMA[0]) * width
    # one kernel of 25 pixels is twice as fast as two of 5
    blurred = gaussian_blur2d(images, _KERNEL, sigma[:, None].expand(-1, 2), separable=False)
    return blurred.reshape(pixels.shape)


_LOSSES = {
    "mse": (_squared_error, "mse, mean over samples and outputs"),
    "ce": (_cross_entropy, "cross-entropy, mean over samples"),
}
_AUGMENTS = {"rotate-blur": _rotate_blur}
