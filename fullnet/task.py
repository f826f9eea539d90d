"""What a network is trained on: small value objects that a user can build for a network of their own.

A task is written for **one** network; the ensemble maps it over its members. Inputs depend on the
representation's messiness m as x(m) = m x_random + (1 - m) x_ordered, which for inputs that are
linear in the representation is R = m R_random + (1 - m) R_linear (Omnigrok, Eq. 4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Generator, Tensor, nn

from groktime.fullnet.checkpoint import Checkpoint, read_checkpoint
from groktime.fullnet.engine.rules.update import Update
from groktime.fullnet.seeding import global_seed
from groktime.reduced.errors import InputError
from groktime.reduced.law import CONSTANT, EPS, DecayLaw, Schedule, law_by

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
    """The rate, betas and eps of Adam, without decay, and how the rate goes on.

    `schedule`: of every training, of the network's rate and the representation's; its warm-up is of the
    network's alone. `warmup` is short for `schedule=Schedule(warmup=…)`.
    `sampling`: of each cell of a landscape, which no training follows.
    """

    rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: int = 0
    schedule: Schedule = CONSTANT
    sampling: Schedule = CONSTANT
    eps: float = EPS

    @property
    def course(self) -> Schedule:
        """The schedule of a training, with its warm-up.

        Raises
        ------
        InputError : where the warm-up is said twice, or is none.
        """
        if self.warmup and self.schedule.warmup:
            raise InputError(
                f"optimizer: warmup = {self.warmup}, and the schedule has one of {self.schedule.warmup}; "
                "expected one of them"
            )
        return replace(self.schedule, warmup=self.warmup or self.schedule.warmup)


@dataclass(frozen=True)
class Rule:
    """What a task is trained by where a verb is not told: the optimizer's `name`, as `train` takes it, its
    rate η (None: that of `Task.optimizer`), its decay γ (None: a verb has to be told) and its momentum;
    `update` is the step of "own", an optimizer that is none of the engine's."""

    name: str = "adamw"
    rate: float | None = None
    gamma: float | None = None
    momentum: float | None = None
    update: Update | None = None


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
        Samples of an optimizer step, drawn anew every epoch. 0: all samples. With `shuffle` False every epoch
        takes them in their order; a last partial batch is dropped, or, with `drop_last` False, trained.
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
    no_decay : names, or begins of names, of parameters
        Those that do not decay: an optimizer's parameter group without weight decay, such as biases, norms
        and embeddings. A name that a parameter has stands for it alone. The norm w is then that of the
        others: alpha multiplies them, spheres hold it, decay shrinks it; `train` records that of all as the
        curve `norm_all` beside it. Default: every parameter decays.
    rates : names, or begins of names, of parameters -> number
        What the rate η of these is multiplied by: a parameter group with a rate of its own. All that decays
        has one rate, so that these are among those that do not.
    parts : name -> prefixes of parameter names
        Parts of the network whose norm `train` records, as the curve `norm_NAME`, beside that of all.
    rule : what trains it where a verb is not told.
    one_seed : why there is seed 0 alone, in words; empty where any seed will do.
    start : where its networks start instead of at their initial weights: see `at`.
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
    shuffle: bool = True
    drop_last: bool = True
    messiness: bool = False
    stop_loss: float = 0.0
    clip: float = 0.0
    augment: Callable[[Tensor, Generator], Tensor] | None = None
    no_decay: tuple[str, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rule: Rule = Rule()
    one_seed: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: Checkpoint | None = None

    def at(
        self,
        checkpoint: str | Path | Mapping[str, Any],
        optimizer_state: Mapping[str, Any] | None = None,
        step: int | None = None,
    ) -> Task:
        """The task whose networks start where a run has come to: with its weights, the moments of its
        optimizer, and its step, from which steps are then counted. Of every seed; a seed is then that of the
        data and of their order.

        Parameters
        ----------
        checkpoint : a file of `torch.save` or safetensors, or a `state_dict`; with the optimizer's state and
            the step in it, if they are.
        optimizer_state : `optimizer.state_dict()`. Without, moments begin at 0, as those of a new optimizer.
        step : optimizer steps that the run has done.

        Raises
        ------
        InputError : naming the file and the key, and what was expected.
        """
        from groktime.fullnet.engine.norms import decaying

        with global_seed(0, "shape"):
            network = self.network()
        named = dict(network.named_parameters())
        still = {n for n, decays in zip(named, decaying(self.no_decay, named), strict=True) if not decays}
        return replace(self, start=read_checkpoint(checkpoint, network, still, optimizer_state, step))

    @property
    def begin(self) -> int:
        """The step from which its networks are trained: 0, or that of the checkpoint that they start from."""
        return 0 if self.start is None else self.start.step

    @staticmethod
    def from_torch(
        model: Any,
        train: Any,
        test: Any,
        *,
        loss: Any = None,
        optimizer: Any,
        accuracy: Any = None,
        scheduler: Any = None,
        batch: int | None = None,
        clip: float = 0.0,
        augment: Callable[[Tensor, Generator], Tensor] | None = None,
        name: str | None = None,
        steps: int = 5_000,
        threshold: float = 0.95,
    ) -> Task:
        """A task of what a training script has, trained as the script trains it; see docs/own-script.md.

        Parameters
        ----------
        model : an `nn.Module`, its class, or a function that makes it. Of a module, seed 0 is the very
            weights that it has, and other seeds are drawn by `reset_parameters`, where that draws as the
            model was drawn; else there is seed 0 alone. What it gives may be a tensor, a tuple that begins
            with one, or an object or a dict with `logits`.
        train, test : a DataLoader, a Dataset, tensors (x, y), or a dict of tensors with "labels". They are
            made into tensors once, of 4 GiB at most each. A loader's batch size, `shuffle` and `drop_last`
            hold.
        loss : a function (output, target), a mean over the batch or one number a sample (default: the model's
            own `loss`, as Hugging Face's have).
        optimizer : AdamW, Adam or SGD of torch.optim, or a list of Muon and AdamW; or a function of the
            model, or of its parameters, that gives it. Of a function also any other that shrinks weights by
            lr * weight_decay a step, of which one network is stepped after the other. Rate, decay γ, betas,
            eps, momentum and parameter groups hold: `Task.rule`, which every verb takes where it is not told.
        accuracy : a function (output, target), as the loss (default: as loss and targets tell).
        scheduler : of torch.optim.lr_scheduler or a `Schedule`, stepped once an optimizer step.
        batch : samples a step (default: the loader's; 0: all). `clip`, `augment`, `threshold`: as in `Task`.
        name : of the task (default: that of the model's class).
        steps : by which the training set ought to be fitted.

        Raises
        ------
        InputError : naming what of the script the engine would not train as the script does.
        """
        from groktime.fullnet.script.build import Script

        return Script(
            model,
            train,
            test,
            loss,
            optimizer,
            accuracy,
            scheduler,
            batch,
            clip,
            augment,
            name,
            steps,
            threshold,
        ).task()

    @property
    def handling(self) -> dict[str, Any]:
        """The start, and what is done to inputs, gradients and parameters, for a file; nothing where it is
        nothing, so that what was begun before there was any goes on."""
        said = {
            "clip": self.clip,
            "augment": self.augment is not None,
            "no_decay": list(self.no_decay),
            "rates": dict(self.rates),
            "in order": not self.shuffle,
            "partial batches": not self.drop_last,
            "start": {} if self.start is None else self.start.configuration(),
        }
        return {name: value for name, value in said.items() if value}

    def law(self, rule: str, momentum: float | None = None) -> DecayLaw:
        """The law by which this optimizer makes it decay."""
        adam = self.optimizer
        momentum = self.rule.momentum if momentum is None and rule == self.rule.name else momentum
        return law_by(rule, momentum, adam.betas, adam.course, self.no_decay)

    @property
    def sizes(self) -> str:
        """The training-set sizes that it can have, in words."""
        return "1 or more" if self.n_total is None else f"1 to {self.n_total}, the samples of {self.name}"
