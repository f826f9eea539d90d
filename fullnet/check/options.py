"""The check of what is done to rates, inputs and norms: a task's `optimizer`, `augment` and `parts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from groktime.fullnet.check.finding import Finding, Findings, kind, number, short, whole_number
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Adam
from groktime.reduced.law import Schedule


def optimizer_findings(adam: Adam) -> Findings:
    """Numbers of the optimizer that are none."""
    if not (number(adam.rate, 0) and adam.rate > 0):
        yield Finding("optimizer", f"has the rate {short(adam.rate)}; expected a number above 0")
    betas = adam.betas
    if not (isinstance(betas, tuple) and len(betas) == 2 and all(number(b, 0, 1) and b < 1 for b in betas)):
        yield Finding("optimizer", f"has the betas {short(betas)}; expected two numbers in [0, 1)")
    if not number(adam.eps, 0):
        yield Finding("optimizer", f"has the eps {short(adam.eps)}; expected a number from 0")
    if not whole_number(adam.warmup, 0):
        yield Finding(
            "optimizer", f"has warmup = {short(adam.warmup)}; expected a number of steps, 0 for none"
        )
    for name in ("schedule", "sampling"):
        if not isinstance(getattr(adam, name), Schedule):
            yield Finding("optimizer", f"has {name} = {short(getattr(adam, name))}; expected a Schedule")
    if isinstance(adam.schedule, Schedule) and adam.warmup and adam.schedule.warmup:
        yield Finding("optimizer", "has a warm-up of its own and one of its schedule; expected one")


def augment_findings(
    augment: Callable[[Tensor, torch.Generator], Any], inputs: Tensor, seed: int
) -> Findings:
    """What is wrong with an `augment` that is given these inputs; it may raise whatever it does."""
    given, state = inputs.clone(), torch.get_rng_state()
    first, second = (augment(given, generator(seed, "augment 0")) for _ in range(2))
    if not isinstance(first, Tensor):
        yield Finding("augment", f"gives a {kind(first)}; expected the inputs, a tensor")
    elif first.shape != inputs.shape or first.dtype != inputs.dtype:
        yield Finding(
            "augment",
            f"gives {first.dtype} {tuple(first.shape)} for inputs of {inputs.dtype} {tuple(inputs.shape)}; "
            "expected the same type and shape",
        )
    elif not torch.equal(given, inputs):
        yield Finding("augment", "changes its inputs in place; expected them left alone")
    elif first.is_floating_point() and not bool(torch.isfinite(first).all()):
        yield Finding("augment", "gives inputs that are not all finite; expected no NaN")
    elif not torch.equal(state, torch.get_rng_state()) or not torch.equal(first, second):
        yield Finding(
            "augment",
            "gives other inputs when it is called again with the same generator; expected all draws from "
            "the generator that it is given",
        )
