"""An optimizer of torch's, read: its rule, rate, decay, betas, eps and momentum, and its parameter groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from groktime.fullnet.check.finding import kind, message_of
from groktime.fullnet.engine.fresh import trained
from groktime.fullnet.script.model import Model
from groktime.fullnet.task import Rule
from groktime.reduced.errors import InputError
from groktime.reduced.law import EPS

Group = dict[str, Any]

_OFF = ("amsgrad", "maximize", "nesterov", "dampening")  # what no rule has


@dataclass(frozen=True)
class Read:
    """What an optimizer says. `no_decay`, `rates`: of its parameter groups, as in `Task`; names of
    parameters."""

    rule: Rule
    rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = EPS
    no_decay: tuple[str, ...] = ()
    rates: dict[str, float] = field(default_factory=dict)


def read(given: Any, model: Model, scheduled: bool) -> Read:
    """Of an optimizer, or of a function of the model, or of its parameters, that gives one.

    Raises
    ------
    InputError : naming what the engine has not: another optimizer, an option, groups that decay at several
        speeds.
    """
    optimizer, module = _optimizer(given, model)
    groups = _named(optimizer, module, model)
    rates = [_rate(group, scheduled) for _, group in groups]
    decays = [float(group.get("weight_decay", 0.0)) for _, group in groups]
    gamma, lead = _one_decay(decays, rates)
    rule = _rule(optimizer, [group for _, group in groups], gamma, rates[lead])
    still = tuple(
        n for (names, _), decay in zip(groups, decays, strict=True) if gamma and not decay for n in names
    )
    own = {
        n: r / rates[lead]
        for (names, _), r in zip(groups, rates, strict=True)
        if r != rates[lead]
        for n in names
    }
    betas = _shared(groups, "betas", (0.9, 0.999))
    return Read(
        rule, rates[lead], (float(betas[0]), float(betas[1])), float(_shared(groups, "eps", EPS)), still, own
    )


def _optimizer(given: Any, model: Model) -> tuple[torch.optim.Optimizer, nn.Module | None]:
    """The optimizer, and the module that it is of; None where that is another one than the model."""
    if isinstance(given, torch.optim.Optimizer):
        return given, model.trained_as
    if not callable(given):
        raise InputError(
            f"optimizer: is a {kind(given)}; expected one of torch.optim, or a function that gives it"
        )
    module, errors = model.plain, []
    ways: Sequence[Callable[[], Any]] = (lambda: given(module), lambda: given(list(module.parameters())))
    for way in reversed(ways) if isinstance(given, type) else ways:
        try:
            made = way()
        except Exception as error:
            errors.append(message_of(error))
            continue
        if isinstance(made, torch.optim.Optimizer):
            return made, module
        errors.append(f"gives a {kind(made)}")
    raise InputError(
        f"optimizer: {errors[0]} when it is given the model, and {errors[1]} when its parameters; expected "
        "one of "
        "torch.optim"
    )


def _named(
    optimizer: torch.optim.Optimizer, module: nn.Module | None, model: Model
) -> list[tuple[list[str], Group]]:
    """The groups of an optimizer, with the names of their parameters that are trained."""
    known = trained(model.plain)
    held = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    if module is None:  # of a module of its own, beside the class that is given
        alike = [p.shape for p in held] == [p.shape for p in known.values()]
        if len(optimizer.param_groups) > 1 or not alike:
            raise InputError(
                "optimizer: has parameters that are none of the model's; expected the optimizer of the "
                "model that is "
                "given, or a function of the model that gives it"
            )
        return [(list(known), optimizer.param_groups[0])]
    by_id = {id(p): name for name, p in module.named_parameters()}
    groups, seen = [], set()
    for group in optimizer.param_groups:
        names = []
        for p in group["params"]:
            if id(p) not in by_id:
                raise InputError(
                    f"optimizer: has a parameter of shape {tuple(p.shape)} that is none of the model's; "
                    "expected the "
                    "optimizer of this model"
                )
            names += [by_id[id(p)]] if p.requires_grad else []
        seen.update(names)
        groups += [(names, group)] if names else []
    for name in known:
        if name not in seen:
            raise InputError(f"optimizer: has no {name}; expected every parameter, or requires_grad=False")
    return groups


def _rate(group: Group, scheduled: bool) -> float:
    """The rate at its full size."""
    if "initial_lr" in group and not scheduled:
        raise InputError("optimizer: a scheduler changes its rate; expected it as scheduler=")
    return float(group["initial_lr"] if "initial_lr" in group else group["lr"])


def _one_decay(decays: list[float], rates: list[float]) -> tuple[float, int]:
    """The decay γ of what decays, and the group whose rate is that of all that does."""
    found = [k for k, decay in enumerate(decays) if decay]
    if len({decays[k] for k in found}) > 1 or len({rates[k] for k in found}) > 1:
        said = ", ".join(f"weight_decay {decays[k]:g} at lr {rates[k]:g}" for k in found)
        raise InputError(
            f"optimizer: has groups that decay at several speeds ({said}), whose norm has no one rate; "
            "expected one "
            "lr and weight_decay, and 0 for the rest"
        )
    if not found and len(set(rates)) > 1:
        raise InputError(
            "optimizer: has groups with rates of their own, and no weight_decay; expected one lr"
        )
    return (decays[found[0]], found[0]) if found else (0.0, 0)


def _shared(groups: list[tuple[list[str], Group]], name: str, default: Any) -> Any:
    """An option that all groups share."""
    values = [group.get(name, default) for _, group in groups]
    if any(value != values[0] for value in values):
        raise InputError(f"optimizer: has groups of unlike {name}; expected one")
    return values[0]


def _rule(optimizer: torch.optim.Optimizer, groups: list[Group], gamma: float, rate: float) -> Rule:
    """By which of the engine's rules it steps."""
    named = kind(optimizer)
    for option in _OFF:
        if any(group.get(option) for group in groups):
            raise InputError(f"optimizer: {named} has {option}, which groktime does not do; expected none")
    if type(optimizer) is torch.optim.AdamW or (
        type(optimizer) is torch.optim.Adam and _decoupled(groups, gamma)
    ):
        return Rule("adamw", rate, gamma)
    if type(optimizer) is torch.optim.Adam:
        raise InputError(
            f"optimizer: Adam adds its weight_decay = {gamma:g} to the gradient and then divides it by the "
            "gradient's "
            "own size, so that weights do not shrink by ηγ a step and no 1/γ law holds; expected AdamW"
        )
    if type(optimizer) is torch.optim.SGD:
        momentum = float(_shared([([], group) for group in groups], "momentum", 0.0))
        return Rule("momentum", rate, gamma, momentum) if momentum else Rule("sgd", rate, gamma)
    raise InputError(
        f"optimizer: is {named}, whose law of decay groktime has not; expected AdamW, Adam or SGD"
    )


def _decoupled(groups: list[Group], gamma: float) -> bool:
    return not gamma or all(group.get("decoupled_weight_decay") for group in groups)
