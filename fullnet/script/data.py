"""The data of a script, made into tensors once: of a DataLoader, a Dataset, or tensors as they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, default_collate
from torch.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler

from groktime.fullnet.check.finding import kind, message_of
from groktime.fullnet.seeding import generator
from groktime.reduced.errors import InputError

MOST = 4 * 2**30  # bytes that a data set may have once it is made into tensors
LABELS = ("labels", "label", "targets", "target", "y")  # the target of samples that are dicts
_AT_ONCE = 256  # samples to a batch while it is made
_TWICE = 8  # samples that are asked for again


@dataclass(frozen=True)
class Batches:
    """How a loader goes through an epoch: samples a step (0: all), whether they are shuffled, and whether a
    last partial batch is dropped."""

    size: int = 0
    shuffle: bool = True
    drop_last: bool = False


@dataclass(frozen=True)
class Table:
    """Samples as tensors [row, ...]: what the model is called with, by keyword where `names` are given and
    else by position, and the target."""

    inputs: tuple[Tensor, ...]
    names: tuple[str, ...]
    target: Tensor
    batches: Batches = Batches()

    def __len__(self) -> int:
        return len(self.target)

    def to(self, device: torch.device) -> Table:
        """The same on another device."""
        return replace(self, inputs=tuple(x.to(device) for x in self.inputs), target=self.target.to(device))


def table_of(which: str, given: Any) -> Table:
    """The samples of a DataLoader, a Dataset, a pair (x, y), more inputs before the y, or a dict of tensors
    with "labels" among them.

    Raises
    ------
    InputError : on anything else, on data larger than 4 GiB, on samples that are not the same when they are
        asked for again, and on samples of unlike shapes.
    """
    if isinstance(given, Table):
        return given
    if isinstance(given, DataLoader):
        batches = _batches(which, given)
        return _table(which, _materialized(which, given.dataset, given.collate_fn), batches)
    if isinstance(given, TensorDataset):
        return _table(which, given.tensors)
    if isinstance(given, Mapping | tuple) or (isinstance(given, list) and not _is_samples(given)):
        return _table(which, given)
    if isinstance(given, Iterable) or hasattr(given, "__getitem__"):
        return _table(which, _materialized(which, given, default_collate))
    raise InputError(f"{which}: is a {kind(given)}; expected a DataLoader, a Dataset, or tensors (x, y)")


def _is_samples(given: Sequence[Any]) -> bool:
    """Whether a list is one of samples, which is a Dataset, too."""
    return bool(given) and all(isinstance(one, tuple | list | Mapping) for one in given)


def _batches(which: str, loader: DataLoader[Any]) -> Batches:
    """How it goes through an epoch, or the loader refused by name."""
    if isinstance(loader.dataset, IterableDataset):
        raise InputError(
            f"{which}: is a loader of an IterableDataset, whose order is its own; expected a Dataset"
        )
    sampler: Any = loader.sampler
    if type(loader.batch_sampler) not in (BatchSampler, type(None)):
        raise InputError(f"{which}: has a batch_sampler of its own; expected batch_size and shuffle")
    shuffled = type(sampler) is RandomSampler
    if not shuffled and type(sampler) is not SequentialSampler:
        raise InputError(
            f"{which}: has a {kind(sampler)}, whose order is its own; expected shuffle=True or False, or the "
            "samples that it chooses, as a Subset"
        )
    size = len(sampler.data_source)
    if shuffled and (sampler.replacement or sampler.num_samples != size):
        raise InputError(f"{which}: draws samples with replacement; expected every sample once an epoch")
    batch = loader.batch_size or 1
    return Batches(0 if batch >= size else batch, shuffled, loader.drop_last)


def _materialized(which: str, dataset: Any, collate: Any) -> Any:
    """All samples of a data set, collated; torch's global generator is as it was."""
    with torch.random.fork_rng(devices=[]):
        return _drawn(which, dataset, collate)


def _drawn(which: str, dataset: Any, collate: Any) -> Any:
    if hasattr(dataset, "__len__") and not len(dataset):
        raise InputError(f"{which}: has no samples; expected some")
    chunks: list[Any] = []
    total = 0
    try:
        for chunk in DataLoader(dataset, batch_size=_AT_ONCE, collate_fn=collate):
            chunks.append(chunk)
            size = sum(x.nbytes for x in _tensors(chunk))
            total += size
            expected = size * math.ceil(len(dataset) / _AT_ONCE) if hasattr(dataset, "__len__") else total
            if max(total, expected if len(chunks) == 1 else 0) > MOST:
                raise InputError(
                    f"{which}: makes {max(total, expected) / 2**30:.1f} GiB of tensors; expected "
                    f"{MOST // 2**30} GiB at most, which are kept in memory: a part of the data, as a Subset"
                )
        again = collate([dataset[k] for k in range(min(_TWICE, len(dataset)))]) if _indexed(dataset) else None
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{which}: its samples cannot be stacked ({message_of(error)})") from error
    if not chunks:
        raise InputError(f"{which}: has no samples; expected some")
    if again is not None and not all(
        torch.equal(x, y[: len(x)]) for x, y in zip(_tensors(again), _tensors(chunks[0]), strict=True)
    ):
        raise InputError(
            f"{which}: gives other samples when they are asked for again, as an augmentation does; "
            "expected the data as they are, and the augmentation as augment="
        )
    return _joined(which, chunks)


def _indexed(dataset: Any) -> bool:
    return hasattr(dataset, "__len__") and not isinstance(dataset, IterableDataset)


def _joined(which: str, chunks: list[Any]) -> Any:
    first = chunks[0]
    keys: Iterable[Any] = first.keys() if isinstance(first, Mapping) else range(len(first))
    try:
        columns = {k: torch.cat([torch.as_tensor(chunk[k]) for chunk in chunks]) for k in keys}
    except (RuntimeError, TypeError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"{which}: its batches are no tensors of one shape ({message_of(error)}); expected samples "
            "padded to one length"
        ) from error
    return columns if isinstance(first, Mapping) else tuple(columns.values())


def _tensors(batch: Any) -> Iterator[Tensor]:
    values = (
        batch.values()
        if isinstance(batch, Mapping)
        else batch
        if isinstance(batch, tuple | list)
        else [batch]
    )
    return (x for x in values if isinstance(x, Tensor))


def _table(which: str, columns: Any, batches: Batches = Batches()) -> Table:
    """Columns [row, ...], the last of a tuple or "labels" of a dict as the target."""
    named = isinstance(columns, Mapping)
    given = dict(columns) if named else dict(enumerate(columns))
    label: Any = next((name for name in LABELS if name in given), None) if named else len(given) - 1
    if label is None or len(given) < 2:
        expected = f"a dict with {LABELS[0]!r} and inputs" if named else "inputs and targets, (x, y)"
        raise InputError(f"{which}: has {', '.join(map(str, given)) or 'nothing'} alone; expected {expected}")
    try:
        tensors = {k: torch.as_tensor(v).detach().cpu() for k, v in given.items()}
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{which}: is not made of tensors ({message_of(error)})") from error
    target = tensors.pop(label)
    for x in tensors.values():
        if x.ndim == 0 or target.ndim == 0 or len(x) != len(target):
            raise InputError(
                f"{which}: has inputs of shape {tuple(x.shape)} and targets of shape {tuple(target.shape)}; "
                "expected a row of each for every sample"
            )
    names = tuple(map(str, tensors)) if named else ()
    return Table(tuple(tensors.values()), names, target, batches)


def same_layout(train: Table, test: Table) -> None:
    """Refuse a test set that is unlike the training set.

    Raises
    ------
    InputError : naming what differs.
    """
    layout = [
        (one.names, [x.shape[1:] for x in one.inputs], one.target.shape[1:], one.target.is_floating_point())
        for one in (train, test)
    ]
    if layout[0] != layout[1]:
        raise InputError("test: its samples are of other shapes, names or types than those of train")


def first(table: Table, count: int) -> Table:
    """The first samples."""
    return replace(table, inputs=tuple(x[:count] for x in table.inputs), target=table.target[:count])


def some_of(table: Table, most: int) -> Table:
    """As many samples as are wanted, chosen by chance, always the same; all, where there are no more."""
    if len(table) <= most:
        return table
    rows = torch.randperm(len(table), generator=generator(0, "some"))[:most]
    return replace(table, inputs=tuple(x[rows] for x in table.inputs), target=table.target[rows])
