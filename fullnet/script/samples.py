"""A function of a batch, as people write losses and accuracies, as one of each sample.

A task's loss is of each sample, since many networks are trained at once. A mean over the batch becomes that
of each sample by `reduction="none"`, where it is torch's own, and else by being called with each sample
alone; what comes of it is then compared with what was given, on data, and refused where it is another.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from groktime.fullnet.check.finding import kind, message_of
from groktime.reduced.errors import InputError

OfBatch = Callable[[Any, Tensor], Any]  # (output, target) -> a number, or one a sample
OfSamples = Callable[[Tensor, Tensor], Tensor]  # (output [sample, ...], target [sample, ...]) -> [sample]

_ALONE = 3  # samples that are looked at alone
_CLOSE = (1e-4, 1e-6)  # relative and absolute


def of_samples(field: str, given: Any, output: Tensor, target: Tensor) -> OfSamples:
    """The function of each sample, of one of a batch; `output`, `target`: what it is tried on, [sample, ...].

    Raises
    ------
    InputError : where it is no mean over samples, such as a sum, or one that weighs them by each other.
    """
    if not callable(given):
        raise InputError(f"{field}: is a {kind(given)}; expected a function (output, target)")
    if isinstance(given, nn.Module) and any(True for _ in given.parameters()):
        raise InputError(f"{field}: has parameters of its own; expected them in the model")
    whole = _called(field, given, output, target)
    if whole.shape == (len(target),) and not (len(target) == 1 and _mean_of(given)):
        found: OfSamples = functools.partial(_as_it_is, given)
    elif whole.ndim:
        raise InputError(
            f"{field}: has shape {tuple(whole.shape)} for {len(target)} samples; expected one number, their "
            f"mean, or ({len(target)},)"
        )
    else:
        found = _without_reduction(given) or _one_by_one(field, given, output, target)
    _verify(field, given, found, output, target)
    return found


def _called(field: str, given: OfBatch, output: Tensor, target: Tensor) -> Tensor:
    try:
        return torch.as_tensor(given(output, target))
    except Exception as error:
        raise InputError(
            f"{field}: raises {message_of(error)} for outputs of shape {tuple(output.shape)} and targets of "
            f"shape {tuple(target.shape)}"
        ) from error


def _as_it_is(given: OfBatch, output: Tensor, target: Tensor) -> Tensor:
    return torch.as_tensor(given(output, target))


def _mean_of(given: Any) -> bool:
    """Whether it is one of torch's own losses, and reduced to a mean."""
    if isinstance(given, nn.Module):
        return (
            type(given).__module__ == nn.modules.loss.__name__ and getattr(given, "reduction", "") == "mean"
        )
    function = given.func if isinstance(given, functools.partial) else given
    own = getattr(nn.functional, str(getattr(function, "__name__", "")), None) is function
    keywords = given.keywords if isinstance(given, functools.partial) else {}
    return own and keywords.get("reduction", "mean") == "mean" and "reduction" in _names(function)


def _names(function: Any) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return () if code is None else code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _without_reduction(given: Any) -> OfSamples | None:
    """Torch's own loss with reduction="none", averaged over all but the samples."""
    if not _mean_of(given):
        return None
    if isinstance(given, nn.Module):
        each: Any = copy.copy(given)
        each.reduction = "none"
    else:
        each = functools.partial(given, reduction="none")
    return lambda output, target: _mean(each(output, target))


def _mean(each: Tensor) -> Tensor:
    return each if each.ndim == 1 else each.flatten(1).mean(1)


def _one_by_one(field: str, given: OfBatch, output: Tensor, target: Tensor) -> OfSamples:
    """Of each sample alone, all at once where torch can map it, or one after the other."""

    def alone(o: Tensor, y: Tensor) -> Tensor:
        return torch.as_tensor(given(o[None], y[None])).reshape(())

    def looped(o: Tensor, y: Tensor) -> Tensor:
        return torch.stack([alone(o[k], y[k]) for k in range(len(y))])

    mapped = torch.func.vmap(alone)
    try:
        mapped(output, target)
    except Exception:  # of torch's many; the same one by one says it in its own words
        _called(field, looped, output, target)
        return looped
    return mapped


def _verify(field: str, given: OfBatch, found: OfSamples, output: Tensor, target: Tensor) -> None:
    """Refuse what is not the mean of its samples, or not of each sample alone."""
    for count in {len(target), max(len(target) // 2, 1)}:
        o, y = output[:count], target[:count]
        batch, each = _called(field, given, o, y).double().mean(), found(o, y).detach().double()
        if not torch.isfinite(batch) or torch.isclose(batch, each.mean(), *_CLOSE):
            continue
        if torch.isclose(batch, each.sum(), *_CLOSE):
            raise InputError(f"{field}: is the sum over the samples; expected their mean")
        raise InputError(
            f"{field}: is {float(batch):.6g} for {count} samples, whose own have the mean "
            f"{float(each.mean()):.6g}; expected the mean over samples, each counted alike and alone"
        )
    each = found(output, target).detach().double()
    for k in range(min(_ALONE, len(target))):
        one = _called(field, given, output[k : k + 1], target[k : k + 1]).double().mean()
        if torch.isfinite(one) and not torch.isclose(one, each[k], *_CLOSE):
            raise InputError(
                f"{field}: of a sample alone is {float(one):.6g}, and {float(each[k]):.6g} beside others; "
                "expected the same (do outputs and targets have the same shape?)"
            )
