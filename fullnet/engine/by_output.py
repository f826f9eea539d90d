"""The loss of stacked members, and its derivative by what their networks give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional

from groktime.fullnet.engine.calls import Call, calls_of
from groktime.fullnet.engine.samples import Samples
from groktime.fullnet.task import Task

Named = Mapping[str, Tensor]

_MINUS = (torch.sub, Tensor.sub, Tensor.__sub__)
_SQUARE = (torch.square, Tensor.square)
_POWER = (torch.pow, Tensor.pow, Tensor.__pow__)
_MEAN = (torch.mean, Tensor.mean)
_OVER_OUTPUTS: tuple[tuple[tuple[int, ...], dict[str, int]], ...] = (
    ((-1,), {}),
    ((1,), {}),
    ((), {"dim": -1}),
    ((), {"dim": 1}),
)


class ByOutput:
    """Losses of members. A task's loss is of each sample, so that the samples of all members may be given to
    it as those of one; that this is so is tried once, on made-up outputs, and else it is mapped over members.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._joined: bool | None = None
        self._square: str | None = None
        self._kept: tuple[Samples, dict[str, Tensor]] | None = None

    def squared(self, outputs: int, samples: Samples) -> Tensor | None:
        """The targets y [(member,) sample, output], where a sample's loss is the mean of (output - y)²."""
        if self._square is None:
            self._square = _square_of(self._task, outputs, samples)
        if not self._square:
            return None
        return samples.targets[self._square]

    def __call__(self, outputs: Tensor, samples: Samples) -> tuple[Tensor, Tensor]:
        """Mean loss [member], and its derivative by the outputs [member, sample, ...]."""
        if self._joined is None:
            self._joined = self._can_be_joined(outputs, samples)
        return self._of(outputs, samples, self._joined)

    @torch.enable_grad()
    def _of(self, outputs: Tensor, samples: Samples, joined: bool) -> tuple[Tensor, Tensor]:
        outputs = outputs.detach().requires_grad_()
        if joined:
            each = self._task.loss(outputs.flatten(0, 1), self._targets(samples, len(outputs)))
            loss = each.view(outputs.shape[:2]).mean(1)
        else:
            of_samples = 0 if samples.mapped else None

            def of_one(out: Tensor, targets: Named, common: Named) -> Tensor:
                return self._task.loss(out, {**targets, **common}).mean()

            mapped = vmap(of_one, in_dims=(0, of_samples, of_samples), randomness="different")
            loss = mapped(outputs, samples.targets, samples.common)
        (slope,) = torch.autograd.grad(loss.sum(), outputs)
        return loss.detach(), slope.contiguous()

    def _targets(self, samples: Samples, members: int) -> dict[str, Tensor]:
        """Those of all members' samples, one after the other."""
        if self._kept is None or self._kept[0] is not samples:
            each = samples.targets.items()
            if samples.mapped:
                joined = {k: v.flatten(0, 1) for k, v in each}
            else:
                joined = {k: v.expand(members, *v.shape).flatten(0, 1) for k, v in each}
            self._kept = samples, joined
        return self._kept[1]

    def _can_be_joined(self, outputs: Tensor, samples: Samples) -> bool:
        made_up = torch.rand(outputs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        try:
            found = self._of(made_up.to(outputs), samples, joined=True)
        except Exception:  # a loss that wants `common`, or else cannot take them
            return False
        expected = self._of(made_up.to(outputs), samples, joined=False)
        return all(map(close, found, expected))


def _square_of(task: Task, outputs: int, samples: Samples) -> str:
    """The name of the target y, where a loss asks torch for (output - y)² and its mean over outputs, and for
    nothing else; or "". By its calls: no values could tell it from a loss that is so for some."""
    first = {k: v[0] if samples.mapped else v for k, v in samples.targets.items()}
    common = {k: v[0] if samples.mapped else v for k, v in samples.common.items()}
    names = [k for k, v in first.items() if v.is_floating_point() and v.shape == (len(v), outputs)]
    if not names:
        return ""
    output = torch.zeros(len(first[names[0]]), outputs, dtype=first[names[0]].dtype)
    try:
        (*squares, mean), loss = calls_of(task.loss, output, {**first, **common})
    except Exception:  # whatever a loss does with tensors
        return ""
    given = _squared(squares)
    over = (mean.args[1:], mean.options)
    if given is None or mean.function not in _MEAN or over not in _OVER_OUTPUTS or loss is not mean.out:
        return ""
    square, apart = given
    if mean.args[0] is not square or not any(x is output for x in apart):
        return ""
    return next((name for name in names if any(x is first[name] for x in apart)), "")


def _squared(calls: Sequence[Call]) -> tuple[Tensor, tuple[Any, ...]] | None:
    """A square of a difference, and the two that it is of; None of other calls."""
    if len(calls) == 1:
        (one,) = calls
        plain = all(one.options.get(name) is None for name in ("size_average", "reduce", "weight"))
        each = one.options.get("reduction") == "none" and len(one.args) == 2
        return (one.out, one.args) if one.function is functional.mse_loss and plain and each else None
    if len(calls) != 2:
        return None
    apart, square = calls
    squares = (square.function in _SQUARE and not square.args[1:]) or (
        square.function in _POWER and square.args[1:] == (2,)
    )
    whole = apart.function in _MINUS and len(apart.args) == 2 and not (apart.options or square.options)
    return (square.out, apart.args) if squares and whole and square.args[0] is apart.out else None


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether each member's values are the same to rounding."""
    found, expected = (
        found.flatten(1) if found.dim() > 1 else found[:, None],
        expected.view(len(expected), -1),
    )
    tolerance = 1e-4 if found.dtype == torch.float32 else 1e-9
    largest = expected.abs().amax(1, keepdim=True)
    return found.shape == expected.shape and bool(
        torch.isclose(found, expected, rtol=tolerance, atol=0.0, equal_nan=True)
        .logical_or((found - expected).abs() <= tolerance * largest)
        .all()
    )
