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
from groktime.fullnet.script.own import own_rule
from groktime.fullnet.task import Rule
from groktime.reduced.errors import InputError
from groktime.reduced.law import EPS

Group = dict[str, Any]

_MUON = {"nesterov": True, "ns_steps": 5, "ns_coefficients": (3.4445, -4.775, 2.0315), "adjust_lr_fn": None}
_OFF = ("amsgrad", "maximize", "nesterov", "dampening")  # what no rule has
_FUNCTION = "a function of the model that gives it"


@dataclass(frozen=True)
class Read:
    """What an optimizer says. `no_decay`, `rates`: of its parameter groups, as in `Task`; names of
    parameters. `own`: what it is, where it is none of the engine's."""

    rule: Rule
    rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = EPS
    no_decay: tuple[str, ...] = ()
    rates: dict[str, float] = field(default_factory=dict)
    own: str = ""


def read(given: Any, model: Model, scheduled: bool) -> Read:
    """Of an optimizer, of Muon and AdamW together, or of a function of the model, or of its parameters, that
    gives these.

    Raises
    ------
    InputError : naming what the engine has not: another optimizer, an option, groups that decay at several
        speeds.
    """
    optimizers, make = _optimizers(given, model)
    module = model.trained_as if make is None else model.plain
    groups = _named(optimizers, module, model)
    rates = [_rate(group, scheduled) for _, group in groups]
    decays = [float(group.get("weight_decay", 0.0)) for _, group in groups]
    gamma, lead = _one_decay(decays, rates)
    still = tuple(
        name
        for (names, _), decay in zip(groups, decays, strict=True)
        if gamma and not decay
        for name in names
    )
    own = {n: r / rates[lead] for (names, _), r in zip(groups, rates, strict=True) for n in names}
    own = {name: factor for name, factor in own.items() if factor != 1}
    adams = [(names, group) for names, group in groups if "betas" in group]
    rule, said = _rule(optimizers, groups, gamma, rates[lead]), ""
    if isinstance(rule, str):
        if make is None or len(optimizers) > 1:
            raise InputError(f"optimizer: {rule}")
        rule, said = own_rule(make, model.plain, rates[lead], gamma, still, own)
        adams = []
    betas = _shared(adams, "betas", (0.9, 0.999))
    eps = float(_shared(adams, "eps", EPS))
    return Read(rule, rates[lead], (float(betas[0]), float(betas[1])), eps, still, own, said)


def _optimizers(
    given: Any, model: Model
) -> tuple[list[torch.optim.Optimizer], Callable[[nn.Module], torch.optim.Optimizer] | None]:
    """The optimizers of the plain model, and what makes one of a module; None where they are an instance."""
    if found := _some(given):
        return found, None
    if not callable(given):
        raise InputError(
            f"optimizer: is a {kind(given)}; expected one of torch.optim, or a function that gives it"
        )
    errors: list[str] = []
    ways: Sequence[Callable[[nn.Module], Any]] = (given, lambda module: given(list(module.parameters())))
    for way in reversed(ways) if isinstance(given, type) else ways:
        try:
            made = way(model.plain)
        except Exception as error:
            errors.append(message_of(error))
            continue
        if found := _some(made):
            return found, way
        errors.append(f"gives a {kind(made)}")
    raise InputError(
        f"optimizer: {errors[0]} when it is given the model, and {errors[1]} when its parameters; expected "
        "one of torch.optim"
    )


def _some(given: Any) -> list[torch.optim.Optimizer]:
    """One optimizer, or several; empty if it is neither."""
    several = list(given) if isinstance(given, tuple | list) else [given]
    return several if several and all(isinstance(one, torch.optim.Optimizer) for one in several) else []


def _named(
    optimizers: list[torch.optim.Optimizer], module: nn.Module | None, model: Model
) -> list[tuple[list[str], Group]]:
    """The groups of the optimizers, with the names of their parameters that are trained."""
    known, every = trained(model.plain), [group for one in optimizers for group in one.param_groups]
    held = [p for group in every for p in group["params"] if p.requires_grad]
    if module is None:  # of a module of its own, beside the class that is given
        if len(every) > 1 or [p.shape for p in held] != [p.shape for p in known.values()]:
            raise InputError(
                "optimizer: has parameters that are none of the model's; expected the optimizer of the model "
                "that is given, or a function of the model that gives it"
            )
        return [(list(known), every[0])]
    by_id = {id(p): name for name, p in module.named_parameters()}
    groups, seen = [], set()
    for group in every:
        names = []
        for p in group["params"]:
            if id(p) not in by_id:
                raise InputError(
                    f"optimizer: has a parameter of shape {tuple(p.shape)} that is none of the model's; "
                    "expected the optimizer of this model"
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
    if "lr" not in group:
        raise InputError("optimizer: its groups have no 'lr'; expected a learning rate")
    return float(group["initial_lr"] if "initial_lr" in group else group["lr"])


def _one_decay(decays: list[float], rates: list[float]) -> tuple[float, int]:
    """The decay γ of what decays, and the group whose rate is that of all that does."""
    found = [k for k, decay in enumerate(decays) if decay]
    if len({decays[k] for k in found}) > 1 or len({rates[k] for k in found}) > 1:
        said = ", ".join(f"weight_decay {decays[k]:g} at lr {rates[k]:g}" for k in found)
        raise InputError(
            f"optimizer: has groups that decay at several speeds ({said}), whose norm has no one rate; "
            "expected one lr and weight_decay, and 0 for the rest"
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
    return values[0] if values else default


def _rule(
    optimizers: list[torch.optim.Optimizer], groups: list[tuple[list[str], Group]], gamma: float, rate: float
) -> Rule | str:
    """By which of the engine's rules they step; or why by none, in words."""
    of = {type(one) for one in optimizers}
    if torch.optim.Muon in of and of <= {torch.optim.Muon, torch.optim.AdamW} and len(optimizers) == len(of):
        return Rule("muon", rate, gamma, _muon(groups))
    named = " and ".join(kind(one) for one in optimizers)
    if len(optimizers) > 1:
        return f"has {named}; expected one optimizer, or Muon and AdamW"
    for option in _OFF:
        if any(group.get(option) for _, group in groups):
            return f"{named} has {option}, which no rule of groktime has; expected none, or {_FUNCTION}"
    if of == {torch.optim.AdamW} or (of == {torch.optim.Adam} and not gamma):
        return Rule("adamw", rate, gamma)
    if of == {torch.optim.Adam}:
        decoupled = _shared(groups, "decoupled_weight_decay", False)
        return Rule("adamw" if decoupled else "adam_l2", rate, gamma)
    if of == {torch.optim.SGD}:
        momentum = float(_shared(groups, "momentum", 0.0))
        return Rule("momentum", rate, gamma, momentum) if momentum else Rule("sgd", rate, gamma)
    return f"is {named}, which is none of AdamW, Adam, SGD and Muon; expected one of these, or {_FUNCTION}"


def _muon(groups: list[tuple[list[str], Group]]) -> float:
    """The momentum of Muon, which has all matrices, and AdamW, if there is one, the rest."""
    matrices = [(names, group) for names, group in groups if "ns_steps" in group]
    for option, usual in _MUON.items():
        if _shared(matrices, option, usual) not in (usual, "original"):
            raise InputError(f"optimizer: Muon has another {option} than {usual}; expected torch's default")
    for names, group in groups:
        if "ns_steps" not in group and any(p.ndim == 2 for p in group["params"] if p.requires_grad):
            raise InputError(f"optimizer: AdamW has a matrix among {', '.join(names)}; expected it in Muon")
    return float(_shared(matrices, "momentum", 0.95))
