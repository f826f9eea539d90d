"""What is trained beside the network: nothing, the messiness m, or the representation R itself
(Omnigrok §5.1; P Table 1 plus one).

On the line R(m) = m R_random + (1 - m) R_linear an input is x(m) = m x_random + (1 - m) x_ordered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from groktime.fullnet.task import Problem
from groktime.reduced.errors import InputError

Named = Mapping[str, Tensor]


class Representation(Protocol):
    """How the slow variables of a member become its network's inputs."""

    symbols: bool  # whether inputs are made from symbols and R
    trained: bool

    def initial(self, problem: Problem, m: float) -> Tensor:
        """The slow variables [k] at the start."""
        ...

    def inputs(self, slow: Tensor, given: Named) -> Tensor:
        """What one network sees, [sample, ...], from its slow variables and its samples' inputs."""
        ...

    def messiness(self, slow: Tensor, problems: Sequence[Problem]) -> Tensor:
        """m of each member [row], from its slow variables [row, k]; on their device, and not read there."""
        ...


class Line:
    """m alone: fixed (the landscape's setting), or trained, R staying on the line ("restricted")."""

    symbols = False

    def __init__(self, trained: bool) -> None:
        self.trained = trained

    def initial(self, problem: Problem, m: float) -> Tensor:
        return torch.tensor([m], dtype=torch.float64)

    def inputs(self, slow: Tensor, given: Named) -> Tensor:
        if "ordered" not in given:
            return given["x"]
        return slow[0] * given["x"] + (1 - slow[0]) * given["ordered"]

    def messiness(self, slow: Tensor, problems: Sequence[Problem]) -> Tensor:
        none = problems[0].train.ordered is None  # of one task, so of all
        return torch.full_like(slow[:, 0], torch.nan) if none else slow[:, 0]


class Free:
    """R [symbol, dimension] as a whole; m is its projection on the line."""

    symbols = True
    trained = True

    def __init__(self, symbols: int) -> None:
        self._symbols = symbols
        self._ends: tuple[tuple[int, ...], Tensor] | None = None

    def initial(self, problem: Problem, m: float) -> Tensor:
        assert problem.ends is not None
        random, linear = (end.double() for end in problem.ends)
        return (m * random + (1 - m) * linear).flatten()

    def inputs(self, slow: Tensor, given: Named) -> Tensor:
        # [sample, place] -> how often each symbol occurs: the input is the sum of its symbols' rows of R
        count = torch.nn.functional.one_hot(given["symbols"], self._symbols).sum(-2)
        return count.to(slow.dtype) @ slow.reshape(self._symbols, -1)

    def messiness(self, slow: Tensor, problems: Sequence[Problem]) -> Tensor:
        key = tuple(id(p) for p in problems)
        if self._ends is None or self._ends[0] != key:  # once, and again when members have retired
            ends = [torch.stack([end.flatten() for end in p.ends]) for p in problems if p.ends is not None]
            self._ends = key, torch.stack(ends, 1).to(slow)  # [end, row, k]
        random, linear = self._ends[1]
        along = random - linear
        share: Tensor = ((slow - linear) * along).sum(1) / along.square().sum(1)
        return share


def representation_of(name: str, problem: Problem) -> Representation:
    """By name: "fixed" (only the network is trained), "line" (and m) or "free" (and R)."""
    if name not in ("fixed", "line", "free"):
        raise InputError(f"representation = {name!r}: expected 'fixed', 'line' or 'free'")
    if name == "line" and problem.train.ordered is None:
        raise InputError("representation = 'line': this task has no messiness; expected 'fixed'")
    if name != "free":
        return Line(trained=name == "line")
    if problem.ends is None or problem.train.symbols is None:
        raise InputError("representation = 'free': this task has no representation; expected 'fixed'")
    return Free(len(problem.ends[0]))
