"""What a network is trained on: small value objects that a user can build for a network of their own.

A task is written for **one** network; the ensemble maps it over its members. Inputs depend on the
representation's messiness m as x(m) = m x_random + (1 - m) x_ordered, which for inputs that are
linear in the representation is R = m R_random + (1 - m) R_linear (Omnigrok, Eq. 4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Generator, Tensor, nn

Targets = Mapping[str, Tensor]


@dataclass(frozen=True)
class Split:
    """Inputs and targets of one set of samples.

    `inputs` and `ordered` are [row, ...]; `ordered` is None where the task has no messiness.
    `targets` is handed to the task's `loss` and `right`: tensors [row, ...], but for those named in
    `common`, which belong to no sample and may have any shape.
    `symbols` [row, place] are the numbers of the symbols that an input is the sum of, for tasks whose
    representation can be trained.
    `rows` [sample] says which rows the samples are (None: all, in order), so that the splits of many
    seeds can share one data set in memory.
    """

    inputs: Tensor
    targets: Targets
    ordered: Tensor | None = None
    symbols: Tensor | None = None
    rows: Tensor | None = None
    common: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.inputs if self.rows is None else self.rows)

    def at(self, messiness: float) -> Tensor:
        """The inputs at messiness m, [sample, ...]."""
        inputs, ordered = (
            x if x is None or self.rows is None else x[self.rows] for x in (self.inputs, self.ordered)
        )
        assert inputs is not None
        return inputs if ordered is None else messiness * inputs + (1.0 - messiness) * ordered


@dataclass(frozen=True)
class Problem:
    """The data of one seed. `ends`: the representations R_random and R_linear [symbol, dimension];
    `delta_norm`: ||R_random - R_linear||. None without messiness."""

    train: Split
    test: Split
    delta_norm: float | None = None
    ends: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Adam:
    """Adam without decay; the sampler's rate is multiplied by `factor` every `every` steps, and a
    training's rises to its full size over the first `warmup` steps."""

    rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    factor: float = 1.0
    every: int = 0
    warmup: int = 0

    def factor_at(self, step: int) -> float:
        """What the rate is multiplied by at optimizer step `step` (the first is 0)."""
        return self.factor ** (step // self.every) if self.every else 1.0

    def warmed(self, step: int) -> float:
        """What a training's rate is multiplied by at optimizer step `step` (the first is 0)."""
        return min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0


@dataclass(frozen=True)
class Task:
    """A learning problem, written for one network.

    Attributes
    ----------
    network : () -> nn.Module
        A fresh module, initialized from torch's global generator (which the ensemble seeds).
    problem : (seed, n_train) -> Problem
        The data of one seed.
    loss, right : (output, targets) -> [sample]
        Loss of each sample, and whether each is right. `loss_name` says what is reduced how.
    n_train : int
        Default number of training samples; `n_total` all there are, None if unlimited.
    batch : int
        Samples of an optimizer step, drawn anew every epoch; a last partial batch is dropped.
        0: all samples.
    messiness : bool
        Whether the inputs depend on m.
    optimizer, steps : the sampler's defaults.
    stop_loss : float
        A sampled cell whose training loss falls below this is done (0: never).
    threshold : float
        Test accuracy that counts as generalized. `relative`: as a share of the landscape's
        ceiling, for tasks whose test accuracy cannot reach 1.
    clip : float
        The gradient of a network that is longer than this is cut to it (0: never), as by
        `torch.nn.utils.clip_grad_norm_`; that of the representation is not.
    augment : (inputs [sample, ...], generator) -> inputs
        What is done to the inputs of every optimizer step, anew each time; None: nothing. Metrics are
        of the inputs as they are. The generator is torch's on the CPU, on every device. Where there is
        messiness, random and ordered inputs get the same draw.
    parts : name -> prefixes of parameter names
        Parts of the network whose norm `train` records, as the curve `norm_NAME`, beside that of all.
    settings : the arguments that made the task, stored with every file.
    """

    name: str
    network: Callable[[], nn.Module]
    problem: Callable[[int, int], Problem]
    loss: Callable[[Tensor, Targets], Tensor]
    right: Callable[[Tensor, Targets], Tensor]
    loss_name: str
    n_train: int
    optimizer: Adam
    steps: int
    threshold: float = 0.95
    relative: bool = False
    n_total: int | None = None
    batch: int = 0
    messiness: bool = False
    stop_loss: float = 0.0
    clip: float = 0.0
    augment: Callable[[Tensor, Generator], Tensor] | None = None
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def handling(self) -> dict[str, Any]:
        """What is done to inputs and gradients, for a file's configuration; nothing where it is nothing, so
        that what was begun before there was any goes on."""
        return ({"clip": self.clip} if self.clip else {}) | ({"augment": True} if self.augment else {})

    @property
    def sizes(self) -> str:
        """The training-set sizes that it can have, in words."""
        return "1 or more" if self.n_total is None else f"1 to {self.n_total}, the samples of {self.name}"
