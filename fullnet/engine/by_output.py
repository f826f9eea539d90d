"""The loss of stacked members, and its derivative by what their networks give."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import vmap

from groktime.fullnet.engine.samples import Samples
from groktime.fullnet.task import Task


class ByOutput:
    """Losses of members. A task's loss is of each sample, so that the samples of all members may be given to it
    as those of one; that this is so is tried once, on made-up outputs, and else it is mapped over members."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._joined: bool | None = None
        self._kept: tuple[Samples, dict[str, Tensor]] | None = None

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

            def of_one(out: Tensor, targets: dict[str, Tensor], common: dict[str, Tensor]) -> Tensor:
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


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether each member's values are the same to rounding."""
    found, expected = found.flatten(1) if found.dim() > 1 else found[:, None], expected.view(len(expected), -1)
    tolerance = 1e-4 if found.dtype == torch.float32 else 1e-9
    largest = expected.abs().amax(1, keepdim=True)
    return found.shape == expected.shape and bool(
        torch.isclose(found, expected, rtol=tolerance, atol=0.0, equal_nan=True)
        .logical_or((found - expected).abs() <= tolerance * largest)
        .all()
    )
