"""The check of a task's data: what `problem(seed, n_train)` gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from groktime.fullnet.check.finding import Finding, Findings, kind, number, short
from groktime.fullnet.task import Problem, Split, Task


def data_findings(task: Task, seed: int, data: Callable[[int, int], Any]) -> Findings:
    """What is wrong with the problems that `data(seed, n_train)` gives."""
    problem = data(seed, task.n_train)
    if not isinstance(problem, Problem):
        yield Finding("problem", f"gives a {kind(problem)}; expected a fullnet.task.Problem")
        return
    wrong = [*_split(task, "train", problem.train), *_split(task, "test", problem.test)]
    if wrong:
        yield from wrong
        return
    if len(problem.train) != task.n_train:
        yield Finding(
            "problem", f"gives {len(problem.train)} training samples; expected n_train = {task.n_train}"
        )
        return
    half = max(task.n_train // 2, 1)
    count = len(data(seed, half).train)
    if count != half:
        yield Finding(
            "problem",
            f"gives {count} training samples for n_train = {half}: it has one size alone",
            note=True,
        )
    if not len(problem.test):
        yield Finding(
            "problem", "gives no test samples, so that nothing tells when it generalizes", note=True
        )
    if not _same(problem, data(seed, task.n_train)):
        yield Finding(
            "problem",
            f"gives other data when it is called again with seed {seed}; expected data drawn from a "
            "generator of the seed's own",
        )
        return
    other = data(seed + 1, task.n_train)
    shapes = [
        _layout(p.train) | {f"test {k}": v for k, v in _layout(p.test).items()} for p in (problem, other)
    ]
    for name in shapes[0]:
        if shapes[0][name] != shapes[1].get(name):
            yield Finding(
                "problem",
                f"gives {name} of shape {shapes[0][name]} with seed {seed} and {shapes[1].get(name)} with "
                f"seed {seed + 1}; expected one shape",
            )
            return
    yield from _ends(task, problem)


def _split(task: Task, which: str, split: object) -> Findings:
    if not isinstance(split, Split):
        yield Finding("problem", f"gives a {kind(split)} as {which}; expected a fullnet.task.Split")
        return
    if (
        not isinstance(split.targets, Mapping)
        or not isinstance(split.inputs, Tensor)
        or not split.inputs.ndim
    ):
        yield Finding("problem", f"gives a {which} split without a tensor of inputs and a dict of targets")
        return
    tensors = {"inputs": split.inputs, **{f"targets[{k!r}]": v for k, v in split.targets.items()}}
    optional = {"ordered": split.ordered, "symbols": split.symbols, "rows": split.rows}
    tensors |= {k: v for k, v in optional.items() if v is not None}
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            yield Finding("problem", f"gives {which} {name} as a {kind(value)}; expected a tensor")
            return
        if value.device.type != "cpu":
            yield Finding("problem", f"gives {which} {name} on {value.device}; expected data on the CPU")
            return
        if value.requires_grad:
            yield Finding(
                "problem",
                f"gives {which} {name} that carry a gradient; expected data made in torch.no_grad()",
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            yield Finding("problem", f"gives {which} {name} that are not all finite; expected no NaN")
    unknown = sorted(set(split.common) - set(split.targets))
    if unknown:
        yield Finding("problem", f"names {unknown[0]!r} in {which} common; expected names of targets")
    rows = len(split.inputs)
    for name, target in split.targets.items():
        if name not in split.common and target.shape[:1] != (rows,):
            yield Finding(
                "problem",
                f"gives {which} targets[{name!r}] of shape {tuple(target.shape)} to {rows} rows of inputs; "
                "expected a row each, or its name in common",
            )
    if split.rows is not None:
        own = split.rows
        whole = own.ndim == 1 and own.dtype == torch.int64
        if not whole or (len(own) and not 0 <= int(own.min()) <= int(own.max()) < rows):
            yield Finding("problem", f"gives {which} rows that are not numbers of its {rows} rows, in int64")
    yield from _messiness(task, which, split)


def _messiness(task: Task, which: str, split: Split) -> Findings:
    if not task.messiness:
        if split.ordered is not None:
            yield Finding(
                "messiness", f"is False, but {which} has ordered inputs; expected True, or ordered=None"
            )
    elif split.ordered is None:
        yield Finding(
            "messiness", f"is True, but {which} has no ordered inputs; expected them beside its inputs"
        )
    elif split.ordered.shape != split.inputs.shape:
        yield Finding(
            "messiness",
            f"is True, but {which} has ordered of shape {tuple(split.ordered.shape)} beside inputs of shape "
            f"{tuple(split.inputs.shape)}; expected the same",
        )
    elif not split.inputs.is_floating_point() or split.ordered.dtype != split.inputs.dtype:
        yield Finding(
            "messiness", f"is True, but {which} inputs and ordered are not of one floating-point type"
        )


def _ends(task: Task, problem: Problem) -> Findings:
    """Messiness' norm, and a representation that can be trained: its symbols and its ends."""
    if task.messiness and not (number(problem.delta_norm, 0) and (problem.delta_norm or 0) > 0):
        yield Finding(
            "messiness",
            f"is True, but delta_norm is {short(problem.delta_norm)}; expected ||R_random - R_linear||",
        )
    has = [split.symbols is not None for split in (problem.train, problem.test)]
    if problem.ends is None:
        if any(has):
            yield Finding("problem", "gives symbols but no ends; expected both, or neither")
        return
    if not all(has):
        yield Finding("problem", "gives ends but not the symbols of all splits; expected both, or neither")
        return
    ends = problem.ends
    pair = isinstance(ends, tuple) and len(ends) == 2 and all(isinstance(e, Tensor) for e in ends)
    if not pair or ends[0].ndim != 2 or ends[0].shape != ends[1].shape:
        yield Finding("problem", "gives ends that are not two tensors [symbol, dimension] of one shape")
        return
    random, linear = ends
    for which, split in (("train", problem.train), ("test", problem.test)):
        numbers_of = split.symbols
        assert numbers_of is not None
        if numbers_of.dtype != torch.int64 or numbers_of.ndim != 2 or len(numbers_of) != len(split.inputs):
            yield Finding(
                "problem", f"gives {which} symbols that are not [row, place] of int64, a row an input"
            )
            return
        if len(numbers_of) and not 0 <= int(numbers_of.min()) <= int(numbers_of.max()) < len(random):
            yield Finding(
                "problem", f"gives {which} symbols outside 0 to {len(random) - 1}, the rows of its ends"
            )
            return
        for name, end, x in (("inputs", random, split.inputs), ("ordered", linear, split.ordered)):
            sums = end[numbers_of].sum(1)
            if x is not None and (sums.shape != x.shape or not torch.allclose(sums, x, 1e-3, 1e-5)):
                yield Finding(
                    "problem", f"gives {which} {name} that are not the sums of their symbols' rows of ends"
                )
                return
    norm = float(torch.linalg.vector_norm(random - linear))
    if problem.delta_norm is not None and not math.isclose(norm, problem.delta_norm, rel_tol=1e-3):
        yield Finding(
            "problem", f"gives delta_norm = {problem.delta_norm:g}; expected {norm:g}, as of its ends"
        )


def _tensors(problem: Problem) -> dict[str, Tensor | None]:
    out: dict[str, Tensor | None] = {}
    for which, split in (("train", problem.train), ("test", problem.test)):
        out |= {f"{which} {k}": v for k, v in split.targets.items()}
        out |= {f"{which} split {k}": getattr(split, k) for k in ("inputs", "ordered", "symbols", "rows")}
    for k, end in enumerate(problem.ends or ()):
        out[f"end {k}"] = end
    return out


def _same(a: Problem, b: object) -> bool:
    if not isinstance(b, Problem):
        return False
    one, other = _tensors(a), _tensors(b)
    return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a is b or (a.dtype == b.dtype and torch.equal(a, b))
    return a is None and b is None


def _layout(split: Split) -> dict[str, tuple[int, ...]]:
    """Shapes that all seeds have to share: splits of unlike seeds are stacked."""
    shapes = {"inputs": (len(split), *split.inputs.shape[1:])}
    for name, target in split.targets.items():
        own = tuple(target.shape)
        shapes[f"targets[{name!r}]"] = own if name in split.common else (len(split), *own[1:])
    return shapes
