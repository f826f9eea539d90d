"""Two members of an ensemble beside the plain modules that they stand for: same loss, same gradient?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import Fresh, drawn, fresh_network, trained
from groktime.fullnet.engine.samples import Data
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Split, Task

_MOVE = 0.1  # share of the weights' root mean square by which they are moved off their start
_UNSEEN = (
    "expected all that a seed draws to be in parameters, buffers or attributes of the module, and all that "
    "is trained in its parameters"
)


@dataclass(frozen=True)
class Together:
    """What came of it. `wrong`: a difference that one after the other does not mend; `alone`: why the
    members are not run as one program, though they could; "" where there is nothing to say."""

    wrong: str = ""
    alone: str = ""


def side_by_side(task: Task, seeds: Sequence[int], splits: Sequence[Split]) -> Together:
    """Members of these seeds, each on its samples, with their weights moved off their start, where a
    readout of zeros would hide what lies before it."""
    task = replace(task, clip=0.0)
    fresh = [drawn(task, seed) for seed in seeds]
    flat = torch.stack([_moved(one) for one in fresh])
    alone = ""
    for mapped in (True, False):
        ensemble = Ensemble(task, flat.clone(), _halfway(flat), fresh=fresh, mapped=mapped)
        wrong = _difference(task, ensemble, splits)
        alone = alone or (ensemble.alone if mapped else "")
        if not wrong:
            return Together(alone=alone)
        if not mapped:
            break
        alone = wrong
    return Together(wrong=f"{wrong}; {_UNSEEN}")


def _halfway(flat: Tensor) -> Tensor:
    return torch.full((len(flat), 1), 0.5, dtype=flat.dtype)


def _moved(fresh: Fresh) -> Tensor:
    """Weights a little off their start, those that are 0 there, too."""
    flat = fresh.flat
    noise = torch.randn(flat.shape, generator=generator(fresh.seed, "check weights"), dtype=torch.float64)
    return flat + _MOVE * flat.square().mean().sqrt() * noise.to(flat.dtype)


def _difference(task: Task, ensemble: Ensemble, splits: Sequence[Split]) -> str:
    """What differs between the members of an ensemble and the plain modules; "" if nothing does."""
    samples = Data.of(splits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the mapping, which `Ensemble.alone` tells
        losses, gradient, _ = ensemble.loss_and_gradient(samples.samples())
        slopes, means = gradient.clone(), ensemble.metrics(samples)[0]
    for k, split in enumerate(splits):
        plain = _Plain(task, ensemble, k, split)
        for what, mine, own in (("loss", losses[k], True), ("loss in evaluation", means[k], False)):
            alone = plain.loss(training=own).detach()
            if not torch.allclose(alone.double(), mine.double(), 1e-3, 1e-6):
                return (
                    f"has the {what} {float(mine):g} beside another member and {float(alone):g} alone, with "
                    f"seed {plain.seed}"
                )
        name = plain.unlike(slopes[k])
        if name:
            return f"has another gradient by {name!r} beside another member than alone"
    return ""


class _Plain:
    """The plain module of a member, with the member's weights."""

    def __init__(self, task: Task, ensemble: Ensemble, k: int, split: Split) -> None:
        self.task, self.split, self.seed = task, split, ensemble._fresh[k].seed
        self.network: nn.Module = fresh_network(task, self.seed)
        self.named = trained(self.network)
        self.sizes = [p.numel() for p in self.named.values()]
        with torch.no_grad():
            for p, values in zip(self.named.values(), torch.split(ensemble.flat[k], self.sizes), strict=True):
                p.copy_(values.reshape(p.shape))

    def loss(self, training: bool) -> Tensor:
        """The mean loss."""
        output = self.network.train(training)(self.split.at(0.5).clone())
        return self.task.loss(output, targets_of(self.split)).mean()

    def unlike(self, slopes: Tensor) -> str:
        """The parameter by which the gradient is not this one; "" if it is."""
        self.loss(training=True).backward()  # type: ignore[no-untyped-call]
        largest = float(slopes.abs().max())
        for (name, p), mine in zip(self.named.items(), torch.split(slopes, self.sizes), strict=True):
            expected = torch.zeros_like(p) if p.grad is None else p.grad
            if not torch.allclose(mine, expected.reshape(-1), 1e-3, 1e-4 * largest):
                return name
        return ""


def rows_of(split: Split) -> Tensor:
    """The rows of a split's tensors that are its samples."""
    return torch.arange(len(split.inputs)) if split.rows is None else split.rows


def targets_of(split: Split) -> dict[str, Tensor]:
    """The targets of a split's samples."""
    rows = rows_of(split)
    return {k: v if k in split.common else v[rows] for k, v in split.targets.items()}
