"""`watch`: record a script as it trains, at geometric steps, cheaply, into a runs file."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from groktime.fullnet.check.finding import kind
from groktime.fullnet.procedures.recording import share
from groktime.fullnet.runs import PART, WHOLE, Runs
from groktime.fullnet.script.data import same_layout, some_of, table_of
from groktime.fullnet.script.judge import judge_of
from groktime.fullnet.task import Task
from groktime.fullnet.watch.measured import Direction, evaluating, loss_and_accuracy, norm_of
from groktime.reduced.arguments import flag, whole_number
from groktime.reduced.errors import InputError
from groktime.reduced.files import check_output
from groktime.reduced.law import CONSTANT, law_by

_MINUTE = 60.0  # seconds from one writing of the file to the next
_CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm", PART + WHOLE)
_RULES = {"AdamW": "adamw", "SGD": "sgd"}  # of torch, by which a file names it


@dataclass(frozen=True)
class Decay:
    """Of an optimizer: the parameters that decay, all that it has, and the group whose rate and decay are
    those of what decays; the first, where nothing does."""

    decaying: list[Tensor]
    every: list[Tensor]
    group: dict[str, Any]

    @staticmethod
    def of(optimizer: torch.optim.Optimizer) -> Decay:
        """Read off the parameter groups."""
        groups = optimizer.param_groups
        decays = [g for g in groups if g.get("weight_decay")]
        lead = decays or groups
        return Decay(_parameters(lead), _parameters(groups), lead[0])


def _parameters(groups: Sequence[dict[str, Any]]) -> list[Tensor]:
    return [p for group in groups for p in group["params"] if p.requires_grad]


class Watch:
    """A script that is watched; see `watch`.

    Attributes
    ----------
    steps : optimizer steps seen so far. `tau` : the sum of ηγ over them.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        data: tuple[Any, Any],
        judged_by: Mapping[str, Any],
        out: str | Path | None,
        resolution: float,
        samples: int | None,
        cost: float | None,
        overwrite: bool,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(f"model: is a {kind(model)}; expected an nn.Module")
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise InputError(f"optimizer: is a {kind(optimizer)}; expected one of torch.optim")
        self.model, self.optimizer, self.resolution = model, optimizer, share("resolution", resolution)
        self.cost = None if cost is None else share("cost", cost)
        self._judged_by = dict(judged_by)
        self.train, self.test = (table_of(name, x) for name, x in zip(("train", "test"), data, strict=True))
        same_layout(self.train, self.test)
        most = None if samples is None else whole_number("samples", samples, 1)
        self._seen = [table if most is None else some_of(table, most) for table in (self.train, self.test)]
        with evaluating(model):
            self.judge = judge_of(model, self.train, **judged_by)
        self.decay = Decay.of(optimizer)
        lead = self.decay.group
        self._scheduled = "initial_lr" in lead
        self._gamma, self._eta = float(lead.get("weight_decay", 0)), float(lead.get("initial_lr", lead["lr"]))
        self._direction = Direction(self.decay.decaying)
        self.steps, self.tau, self._next, self._diverged = 0, 0.0, 0, False
        self._records: dict[int, list[float]] = {}
        self.out, self._overwrite = (None if out is None else Path(out)), flag("overwrite", overwrite)
        if self.out is not None:
            check_output(self.out, self._overwrite)
        self._written = time.monotonic()
        self._began = self._spent = self._last = 0.0  # seconds: when it began, of all looks, of the last one
        self._hook: Any = None

    def step(self) -> None:
        """Count an optimizer step, and look at the model where it is time to. The hook of `watch` calls
        it."""
        self.steps += 1
        group = self.decay.group
        self.tau += float(group["lr"]) * group.get("weight_decay", 0.0)
        if self.steps >= self._next:
            if self._affordable():
                self.look()
            else:
                self._next = self._after(self.steps)

    def _affordable(self) -> bool:
        """Whether looks, with one more of them, have taken no more than their share of the time so far."""
        so_far = time.perf_counter() - self._began - self._spent
        return self.cost is None or self._spent + self._last <= self.cost * so_far

    def _after(self, step: int) -> int:
        """The step of the next look."""
        return max(step + 1, int(step * (1 + self.resolution)))

    def look(self) -> None:
        """Record the model as it is now, if it has not been."""
        if self.steps in self._records or self._diverged:
            return
        began = time.perf_counter()
        with evaluating(self.model):
            of = [loss_and_accuracy(self.model, self.judge, table) for table in self._seen]
        (train_loss, train_accuracy), (test_loss, test_accuracy) = of
        norms = [norm_of(parameters) for parameters in (self.decay.decaying, self.decay.every)]
        turn = self._direction.turned() if self._records else 0.0
        found = [train_loss, test_loss, train_accuracy, test_accuracy, *norms, turn, self.tau]
        self._diverged = not all(map(math.isfinite, found))
        self._records[self.steps] = found
        self._next = self._after(self.steps)
        self._last = time.perf_counter() - began
        self._spent += self._last
        if self.out is not None and time.monotonic() - self._written > _MINUTE:
            self.save()

    def runs(self) -> Runs:
        """What was seen so far, as a runs file of one run.

        Raises
        ------
        InputError : before anything was.
        """
        if not self._records:
            raise InputError("watch: nothing was recorded; expected it inside its `with`")
        steps = sorted(self._records)
        values = np.array([self._records[k] for k in steps]).T[:, None]
        curves = dict(zip((*_CURVES, "turn", "tau"), values, strict=True))
        momentum = float(self.decay.group.get("momentum", 0.0))
        rule = _RULES.get(kind(self.optimizer), kind(self.optimizer).lower())
        rule = "momentum" if rule == "sgd" and momentum else rule
        law = law_by(rule, momentum or None, self.decay.group.get("betas"))
        return Runs.assemble(
            step=steps,
            settings={
                "gamma": self._gamma, "eta_d": self._eta, "eta_r": np.nan, "alpha": 1.0,
                "n_train": len(self.train), "seed": 0,
            },
            curves=curves,
            w0=self._records[steps[0]][_CURVES.index("weight_norm")],
            steps_done=steps[-1],
            diverged=self._diverged,
            task=kind(self.model),
            loss=self.judge.name,
            threshold=0.95,
            optimizer=rule,
            law=law if rule in ("adamw", "sgd", "momentum") else None,
            batch=self.train.batches.size,
            configuration={
                "watched": kind(self.optimizer), "resolution": self.resolution, "scheduled": self._scheduled,
            },
        )  # fmt: skip

    def save(self, out: str | Path | None = None, overwrite: bool = False) -> Path:
        """Write what was seen so far to the runs file `out` (default: that of the watch, again and again).

        Raises
        ------
        InputError : where there is no name, or on a file that exists.
        """
        if out is None and self.out is None:
            raise InputError("out: expected the name of a runs file (.nc)")
        own = out is None
        path = self.out if out is None else out
        assert path is not None
        written = self.runs().save(path, self._overwrite if own else overwrite)
        self._overwrite = self._overwrite or own  # it is ours from now on
        self._written = time.monotonic()
        return written

    def task(self) -> Task:
        """A task whose seed 0 starts where the script stands: at its weights, the optimizer's moments and its
        step (`Task.at`). `gt.forecast(w.task())` says how long it still takes, at the optimizer's full rate.

        Raises
        ------
        InputError : as of `Task.from_torch`.
        """
        task = Task.from_torch(
            self.model,
            self.train,
            self.test,
            optimizer=self.optimizer,
            scheduler=CONSTANT if self._scheduled else None,
            **self._judged_by,
        )
        one = replace(task, one_seed="its start is where the script that is watched stands")
        state = self.optimizer.state_dict() if self.steps else None
        return one.at(self.model.state_dict(), state, self.steps)

    def __enter__(self) -> Self:
        self.look()
        self._began, self._spent = time.perf_counter(), 0.0  # the first look is no step's
        self._hook = self.optimizer.register_step_post_hook(lambda *_: self.step())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The last step is recorded, and the file is written, whatever ended the script."""
        self._hook.remove()
        self.finish()

    def finish(self) -> None:
        """Record the last step, and write the file."""
        self.look()
        if self.out is not None:
            self.save()


def watch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    train: Any,
    test: Any,
    loss: Any = None,
    accuracy: Any = None,
    out: str | Path | None = None,
    resolution: float = 0.15,
    samples: int | None = 512,
    cost: float | None = 0.02,
    overwrite: bool = False,
) -> Watch:
    """Watch a script as it trains: `with gt.watch(model, optimizer, …) as w:` around its loop.

    A hook of the optimizer counts its steps. At steps a share `resolution` apart, and at the first and the
    last, the model is evaluated: losses and accuracies, the norm of what decays and that of all parameters
    (`norm_all`), the angle by which the direction of what decays has turned since (`turn`), and the decay
    time τ = Σ ηγ (`tau`). Gradients, moments, random numbers and modes of modules are left as they are.

    Parameters
    ----------
    model, optimizer : as the script has them. What decays are the parameter groups with a weight_decay;
        without any, all parameters count.
    train, test, loss, accuracy : as in `Task.from_torch`.
    out : the runs file, written once a minute and at the end, whatever ends the script (default: none;
        `w.runs()` are the runs, `w.save(…)` writes them).
    resolution : as of `train`.
    samples : of the training and of the test set, chosen once by chance, on which the model is evaluated
        (None: all), which is nearly all that a watch costs: 2 * 512 forward passes a look.
    cost : the most that looks may take, as a share of the script's time: until they have earned it, steps
        are left out, which are the first ones (None: none are, and the same steps are seen every time).

    Returns
    -------
    Watch
        With `runs()`, `save()` and `task()`, by which it is forecast where it stands.

    Raises
    ------
    InputError : on a bad setting or an output that exists.
    """
    judged_by = {"loss": loss, "accuracy": accuracy}
    return Watch(model, optimizer, (train, test), judged_by, out, resolution, samples, cost, overwrite)
