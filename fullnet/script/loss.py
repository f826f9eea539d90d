"""The loss and the accuracy of a script, of each sample, and what of them can be told from the data alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from groktime.fullnet.check.finding import kind
from groktime.fullnet.script.samples import OfSamples, of_samples
from groktime.reduced.errors import InputError

# What models that have a loss of their own, such as Hugging Face's, make of logits and labels: whole
# sequences, a token each, the next token each, a class, a number, bits.
_Pair = tuple[OfSamples, OfSamples]


def _tokens(output: Tensor, target: Tensor) -> Tensor:
    each = functional.cross_entropy(output.transpose(1, 2), target, reduction="none")
    return each.mean(1)


def _tokens_right(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(-1) == target).all(1)


def _next(of: OfSamples) -> OfSamples:
    return lambda output, target: of(output[:, :-1], target[:, 1:])


def _classes(output: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(output, target, reduction="none")


def _square(output: Tensor, target: Tensor) -> Tensor:
    each = (output.reshape(target.shape) - target).square()
    return each if each.ndim == 1 else each.flatten(1).mean(1)


def _bits(output: Tensor, target: Tensor) -> Tensor:
    each = functional.binary_cross_entropy_with_logits(output, target.to(output.dtype), reduction="none")
    return each.flatten(1).mean(1)


def _classes_right(output: Tensor, target: Tensor) -> Tensor:
    return output.argmax(-1) == target


def _bits_right(output: Tensor, target: Tensor) -> Tensor:
    return ((output > 0) == (target > 0.5)).flatten(1).all(1)


_OWN: dict[str, tuple[OfSamples, OfSamples | None]] = {
    "cross-entropy": (_classes, _classes_right),
    "cross-entropy of tokens": (_tokens, _tokens_right),
    "cross-entropy of next tokens": (_next(_tokens), _next(_tokens_right)),
    "mse": (_square, None),
    "binary cross-entropy": (_bits, _bits_right),
}


def own_loss(
    value: Callable[[int], Any], output: Tensor, target: Tensor
) -> tuple[str, OfSamples, OfSamples | None]:
    """The loss of a model that gives its own, by name, of each sample, and whether each is right: whichever
    of the usual ones has the same value. `value(count)`: what the model says of the first samples.

    Raises
    ------
    InputError : where none has.
    """
    counts = sorted({len(target), max(len(target) // 2, 1)})
    said = [value(count) for count in counts]
    for name, (loss, right) in _OWN.items():
        try:
            found = [loss(output[:n], target[:n]).mean() for n in counts]
        except (RuntimeError, IndexError, ValueError):  # of other shapes
            continue
        if all(torch.isclose(a.double(), b.double(), 1e-4, 1e-6) for a, b in zip(said, found, strict=True)):
            return name, loss, right
    raise InputError(
        f"loss: the model's own is {float(said[-1]):.6g}, which is none of {', '.join(_OWN)} of its "
        "logits, each sample counted alike; expected loss=, a function (logits, labels)"
    )


def loss_name(given: Any) -> str:
    """What is reduced how, for files."""
    named = getattr(given, "__name__", "") or getattr(getattr(given, "func", None), "__name__", "")
    return (kind(given) if isinstance(given, nn.Module) else named.strip("<>")) or kind(given)


def right_of(accuracy: Any, loss: Any, output: Tensor, target: Tensor) -> OfSamples:
    """Whether each sample is right: by the function that is given, or as the loss and the targets tell.

    Raises
    ------
    InputError : where nothing tells.
    """
    if accuracy is None:
        return _told_by(loss, output, target)
    found = of_samples("accuracy", accuracy, output, target)
    if found(output, target).dtype == torch.bool:
        return found
    return lambda o, y: found(o, y) > 0.5


def _told_by(loss: Any, output: Tensor, target: Tensor) -> OfSamples:
    single = output.numel() == target.numel() == len(target)
    if not target.is_floating_point() and output.ndim == target.ndim + 1:
        shape = (*output.shape[:1], *output.shape[2:])
        dim = 1 if shape == target.shape else -1
        if dim == 1 or output.shape[:-1] == target.shape:
            return lambda o, y: _all(o.argmax(dim) == y)
    if single and bool((target.abs() == 1).all()):  # -1 and 1
        return lambda o, y: (o.reshape(y.shape) > 0).reshape(len(y)) == (y > 0).reshape(len(y))
    bits = bool(((target == 0) | (target == 1)).all())
    level = {"BCEWithLogitsLoss": 0.0, "binary_cross_entropy_with_logits": 0.0, "BCELoss": 0.5,
             "binary_cross_entropy": 0.5}.get(loss_name(loss))  # fmt: skip
    if bits and level is not None and output.shape == target.shape:
        return lambda o, y: _all((o > level) == (y > 0.5))
    if bits and output.shape == target.shape and output.ndim == 2 and bool((target.sum(1) == 1).all()):
        return lambda o, y: o.argmax(1) == y.argmax(1)  # one-hot
    raise InputError(
        f"accuracy: cannot be told from outputs of shape {tuple(output.shape)} and targets of "
        f"{str(target.dtype)[6:]} and shape "
        f"{tuple(target.shape)}; expected accuracy=, a function (output, target)"
    )


def _all(right: Tensor) -> Tensor:
    return right if right.ndim == 1 else right.flatten(1).all(1)
