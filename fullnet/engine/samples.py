"""The samples of many members: every distinct row once in memory, and who trains on which.

Members of one seed share its rows, and members of all seeds share a data set that they all draw from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Generator, Tensor

from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Split

Named = Mapping[str, Tensor]
Augment = Callable[[Tensor, Generator], Tensor]

_AHEAD, _LARGEST = 256, 2**22  # steps, and entries, of the orders that a device is sent at once


@dataclass(frozen=True)
class Samples:
    """What a forward pass takes. [member, sample, ...] each, or, unless `mapped`, [sample, ...]: the
    same for all members. `common` are the targets that belong to no sample."""

    inputs: Named
    targets: Named
    common: Named
    mapped: bool

    def __len__(self) -> int:
        return next(iter(self.inputs.values())).shape[1 if self.mapped else 0]

    def slice(self, first: int, last: int) -> Samples:
        """The samples from `first` up to `last`."""
        cut = (slice(None), slice(first, last)) if self.mapped else (slice(first, last),)
        inputs, targets = ({k: v[cut] for k, v in d.items()} for d in (self.inputs, self.targets))
        return replace(self, inputs=inputs, targets=targets)


@dataclass(frozen=True)
class Data:
    """Inputs, targets [row, ...] and `common` [origin, ...] of all distinct splits; member i has the
    rows `rows[i]` and comes from `origin[i]`. `alike`: all members have the same."""

    inputs: Named
    targets: Named
    common: Named
    rows: Tensor
    origin: Tensor
    alike: bool

    @staticmethod
    def of(
        splits: Sequence[Split],
        *,
        symbols: bool = False,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> Data:
        """The data of the members, given one split each; splits that hold the same tensors are stored
        once. `symbols`: inputs are the splits' symbols (`fullnet.engine.representation.Free`). `dtype` of the
        floating-point tensors: their own, unless given."""
        pools: dict[tuple[int, ...], int] = {}
        parts: list[Split] = []
        offsets: list[int] = []
        origin, rows = [], []
        for split in splits:
            held = (split.inputs, split.ordered, split.symbols, *split.targets.values())
            pool = pools.setdefault(tuple(id(x) for x in held), len(parts))
            if pool == len(parts):
                parts.append(split)
                offsets.append(offsets[-1] + len(parts[-2].inputs) if offsets else 0)
            own = torch.arange(len(split.inputs)) if split.rows is None else split.rows
            rows.append(own + offsets[pool])
            origin.append(pool)
        alike = len(parts) == 1 and len({id(split.rows) for split in splits}) == 1

        def joined(values: Sequence[Tensor]) -> Tensor:
            whole = values[0] if len(values) == 1 else torch.cat(list(values))
            return whole.to(device, dtype if whole.is_floating_point() else None)

        common = parts[0].common
        if symbols:
            inputs = {"symbols": joined([_symbols(p) for p in parts])}
        else:
            inputs = {"x": joined([p.inputs for p in parts])}
            if parts[0].ordered is not None:
                inputs["ordered"] = joined([_ordered(p) for p in parts])
        names = parts[0].targets.keys()
        return Data(
            inputs,
            {k: joined([p.targets[k] for p in parts]) for k in names if k not in common},
            {k: joined([p.targets[k][None] for p in parts]) for k in names if k in common},
            torch.stack(rows).to(device),
            torch.tensor(origin, device=device),
            alike,
        )

    def keep(self, members: Tensor) -> Data:
        """The data of some of the members."""
        return replace(self, rows=self.rows[members], origin=self.origin[members])

    @cached_property
    def _in_order(self) -> bool:
        """Whether the rows of the first member are those that come first, one after the other."""
        return torch.equal(self.rows[0], torch.arange(len(self.rows[0]), device=self.rows.device))

    @property
    def empty(self) -> bool:
        return self.rows.shape[1] == 0

    def samples(self, positions: Tensor | None = None) -> Samples:
        """All samples, or those at each member's positions [member, sample]."""
        mapped = not self.alike or positions is not None
        rows = self.rows if mapped else self.rows[0]
        if positions is not None:
            rows = rows.gather(1, positions)
        whole = not mapped and self._in_order  # of which nothing has to be copied
        inputs, targets = (
            {k: v[: len(rows)] if whole else _taken(v, rows) for k, v in d.items()}
            for d in (self.inputs, self.targets)
        )
        origin = self.origin if mapped else self.origin[0]
        return Samples(inputs, targets, {k: v[origin] for k, v in self.common.items()}, mapped)


def _taken(values: Tensor, rows: Tensor) -> Tensor:
    """values[rows], by whole rows, which is twice as fast for wide ones."""
    return values.index_select(0, rows.flatten()).view(*rows.shape, *values.shape[1:])


def _symbols(split: Split) -> Tensor:
    assert split.symbols is not None
    return split.symbols


def _ordered(split: Split) -> Tensor:
    assert split.ordered is not None
    return split.ordered


class Minibatches:
    """Which samples an optimizer step takes: each member walks through permutations that are a function
    of its seed and the epoch alone, whoever is trained beside it, or with `shuffle` False through the samples
    in their order. A last partial batch is dropped, or with `drop_last` False taken as it is. `augment`, of
    the task, is done to their inputs: a function of the seed and the step alone."""

    def __init__(
        self,
        seeds: Sequence[int],
        n_train: int,
        batch: int,
        device: torch.device,
        augment: Augment | None = None,
        shuffle: bool = True,
        drop_last: bool = True,
    ) -> None:
        self.seeds, self.n_train, self.device = list(seeds), n_train, device
        self.augment = augment
        self.batch = batch if 0 < batch < n_train else 0
        self.shuffle = shuffle
        self._per_epoch = n_train // (self.batch or n_train) + (
            not drop_last and n_train % (self.batch or 1) > 0
        )
        # a device that is fed step by step would be waited for at each
        self.epochs_ahead = 1 if device.type == "cpu" else max(1, _AHEAD // self._per_epoch)
        self._first = self._known = 0  # epochs whose orders are on the device
        self._all: Samples | None = None

    def of_step(self, data: Data, step: int) -> Samples:
        """The samples of optimizer step `step` (the first is 0); all of them without minibatches."""
        samples = self._drawn(data, step)
        return samples if self.augment is None else _augmented(samples, self.augment, self.seeds, step)

    def _drawn(self, data: Data, step: int) -> Samples:
        if not self.batch:
            if self._all is None:
                self._all = data.samples()
            return self._all
        epoch, number = divmod(step, self._per_epoch)
        if not self._first <= epoch < self._first + self._known:
            self._draw(epoch)
        orders = self._orders[epoch - self._first]
        return data.samples(orders[:, number * self.batch : (number + 1) * self.batch])

    def _draw(self, epoch: int) -> None:
        """The orders of this epoch and of those that follow, [epoch, member, sample]."""
        most = max(1, _LARGEST // (self.n_train * len(self.seeds)))
        self._first, self._known = epoch, min(self.epochs_ahead, most)
        each = []
        for k in range(epoch, epoch + self._known):
            orders = {seed: self._order(seed, k) for seed in set(self.seeds)}
            each.append(torch.stack([orders[s] for s in self.seeds]))
        self._orders = torch.stack(each).to(self.device)

    def _order(self, seed: int, epoch: int) -> Tensor:
        if not self.shuffle:
            return torch.arange(self.n_train)
        return torch.randperm(self.n_train, generator=generator(seed, f"epoch {epoch}"))

    def keep(self, members: Tensor) -> None:
        """Retire all other members."""
        self.seeds = [self.seeds[k] for k in members.tolist()]
        self._known, self._all = 0, None


@torch.no_grad()
def _augmented(samples: Samples, augment: Augment, seeds: Sequence[int], step: int) -> Samples:
    """The samples of members with these seeds, augmented; one draw for all members of a seed, since they
    have the same samples, and for all of its inputs, since these are mixed (x and ordered)."""
    first = {seed: k for k, seed in reversed(list(enumerate(seeds)))}

    def of_members(x: Tensor) -> Tensor:
        drawn = {
            seed: augment(x[k] if samples.mapped else x, generator(seed, f"augment {step}"))
            for seed, k in first.items()
        }
        return torch.stack([drawn[seed] for seed in seeds])

    inputs = {name: of_members(x) for name, x in samples.inputs.items()}
    if samples.mapped:
        return replace(samples, inputs=inputs)
    targets, common = (
        {k: v.expand(len(seeds), *v.shape) for k, v in d.items()} for d in (samples.targets, samples.common)
    )
    return Samples(inputs, targets, common, mapped=True)


def slices(samples: int, members: int, at_once: int = 2**14) -> list[tuple[int, int]]:
    """Cuts of an evaluation over many samples, so that its activations stay in the cache."""
    step = max(64, math.ceil(at_once / max(members, 1)))
    return [(k, min(k + step, samples)) for k in range(0, samples, step)]
