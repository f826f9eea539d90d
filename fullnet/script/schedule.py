"""A learning-rate scheduler of torch's, read as a `Schedule`; what it does is compared with that, step by
step."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch.optim import lr_scheduler

from groktime.fullnet.check.finding import kind
from groktime.reduced.errors import InputError
from groktime.reduced.law import CONSTANT, Schedule

_FAR = 200_000  # steps up to which a function of the step is looked at
_SAME = 1e-6  # relative
_COMPARED = 500  # steps for which a scheduler is followed
_EXPECTED = (
    "expected StepLR, LinearLR, CosineAnnealingLR or a LambdaLR of a warm-up and one of these, stepped once "
    "an optimizer step"
)


def schedule_of(scheduler: Any) -> Schedule:
    """A scheduler that is stepped once an optimizer step, or None: a constant rate.

    Raises
    ------
    InputError : on one that no `Schedule` is.
    """
    if scheduler is None:
        return CONSTANT
    if isinstance(scheduler, Schedule):
        return scheduler
    if getattr(scheduler, "last_epoch", 0) > 0:
        raise InputError(f"scheduler: has been stepped {scheduler.last_epoch} times; expected a fresh one")
    if type(scheduler) is lr_scheduler.LambdaLR:
        return _of_function(scheduler)
    found = _of_class(scheduler)
    if found is None:
        raise InputError(f"scheduler: is a {kind(scheduler)}; {_EXPECTED}")
    # torch's cosine rises again after its end, at which a script ends, and where a schedule stays
    compared = min(_COMPARED, found.warmup + found.steps) if found.shape == "cosine" else _COMPARED
    for step, factor in zip(range(compared), _followed(scheduler), strict=False):
        if not math.isclose(factor, found.at(step), rel_tol=_SAME, abs_tol=_SAME):
            raise InputError(
                f"scheduler: multiplies the rate by {factor:g} at step {step}, where a schedule "
                f"{found} does by {found.at(step):g}; {_EXPECTED}"
            )
    return found


def _of_class(s: Any) -> Schedule | None:
    of: Any = type(s)
    if of is lr_scheduler.StepLR:
        return Schedule("step", s.step_size, s.gamma)
    if of is lr_scheduler.CosineAnnealingLR:
        return Schedule("cosine", s.T_max, s.eta_min / _base(s))
    if of is lr_scheduler.LinearLR and s.start_factor == 1:
        return Schedule("linear", s.total_iters, s.end_factor)
    if of is lr_scheduler.LinearLR and s.end_factor == 1:
        return Schedule(warmup=_rising(s))
    if of is lr_scheduler.SequentialLR and len(s._schedulers) == 2:
        first, second = s._schedulers
        after = _of_class(second)
        if (
            type(first) is lr_scheduler.LinearLR
            and first.end_factor == 1
            and after is not None
            and not after.warmup
        ):
            # the second begins at the milestone, which is the first step at the full rate
            return Schedule(
                after.shape, after.steps, after.factor, warmup=min(_rising(first), s._milestones[0])
            )
    return None


def _base(scheduler: Any) -> float:
    """The full rate of the first group."""
    return float(scheduler.optimizer.param_groups[0]["initial_lr"]) or 1.0


def _rising(linear: Any) -> int:
    """The warm-up of a LinearLR that starts at the share `start_factor`."""
    return round(1 / float(linear.start_factor))


def _followed(scheduler: Any) -> Iterator[float]:
    """What the rate is multiplied by, of the first group, step after step from now on, of a copy."""
    fresh = copy.deepcopy(scheduler)
    group = fresh.optimizer.param_groups[0]
    base = _base(fresh)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no optimizer step was done
        while True:
            yield float(group["lr"]) / base
            fresh.step()


def _of_function(scheduler: Any) -> Schedule:
    """A function of the step."""
    functions = scheduler.lr_lambdas
    factors = [float(functions[0](k)) for k in range(_FAR)]
    for other in functions[1:]:
        if other is not functions[0] and any(float(other(k)) != factors[k] for k in range(_COMPARED)):
            raise InputError("scheduler: has other functions for other groups; expected one")
    for found in _candidates(factors):
        if all(math.isclose(f, found.at(k), rel_tol=_SAME, abs_tol=_SAME) for k, f in enumerate(factors)):
            return found
    raise InputError(
        f"scheduler: its function is no warm-up and constant, step, linear or cosine; {_EXPECTED}"
    )


def _candidates(factors: list[float]) -> Iterator[Schedule]:
    """Schedules that these factors may be."""
    full = next((k for k, f in enumerate(factors) if f >= 1 - _SAME), None)
    if full is None:
        return
    from_zero = full > 0 and factors[0] == 0
    warmup = full if from_zero else full + 1 if full else 0
    rising = Schedule(warmup=warmup, from_zero=from_zero)
    start = warmup  # where the shape begins
    yield rising
    drop = next((k for k in range(start, len(factors)) if factors[k] < 1 - _SAME), None)
    if drop is None:
        return
    if 0 < factors[drop] <= 1:
        yield replace(rising, shape="step", steps=drop - start, factor=factors[drop])
    last = factors[-1]
    end = len(factors) - 1
    while end > start and math.isclose(factors[end - 1], last, rel_tol=1e-12, abs_tol=1e-15):
        end -= 1
    for shape in ("linear", "cosine"):
        yield replace(rising, shape=shape, steps=end - start, factor=max(last, 0.0))
