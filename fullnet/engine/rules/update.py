"""What a rule of the optimizer is: one step of neighbouring members with equal settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from groktime.reduced.law import EPS, MOMENTUM

Shapes = Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class Setting:
    """Learning rate η (per step), decay γ, betas and eps of one member; `momentum` is of the rules that have
    one."""

    rate: float
    decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = MOMENTUM
    eps: float = EPS


@dataclass(frozen=True)
class Rows:
    """Members that are stepped together: `weights`, `gradient` and each of `moments` [row, parameter], which
    a step changes in place but for the gradient; `rate` and `decay` as they are in this step, and `count`,
    the steps so far, which torch's kernels count up. `shapes`: of the parameters, one after the other."""

    weights: Tensor
    gradient: Tensor
    moments: Sequence[Tensor]
    setting: Setting
    rate: float
    decay: float
    count: Tensor
    shapes: Shapes


@dataclass(frozen=True)
class Update:
    """A rule.

    Attributes
    ----------
    step : does one step. With a decay of 0 it does none; where only some columns decay, it is done outside.
    moments : how many tensors like the weights it keeps. `names`: as which they are in a `state_dict`; none
        where no one optimizer keeps them. `second`: which of them is a mean of squares.
    coupled : whether its decay is added to the gradient; if not, weights shrink by ηγ beside the step.
    decays : whether it has any.
    """

    step: Callable[[Rows], None]
    moments: int
    names: tuple[str, ...] = ()
    second: int | None = None
    coupled: bool = False
    decays: bool = True
