"""An optimizer of a script that none of the engine's rules is: tried, and taken as it is where it decays by
ηγ a step and steps alike when it is made anew for each network."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from groktime.fullnet.check.finding import kind, message_of
from groktime.fullnet.engine.fresh import trained
from groktime.fullnet.engine.optimizer import Optimizer
from groktime.fullnet.engine.rules.own import Own, kept_of
from groktime.fullnet.engine.rules.update import Setting
from groktime.fullnet.seeding import generator
from groktime.fullnet.task import Rule
from groktime.reduced.errors import InputError
from groktime.reduced.law import OWN

Made = torch.optim.Optimizer
_TRIED = 5  # steps by which it is compared
_DECAY = 0.1  # that is tried where the script has none
_CLOSE = (1e-4, 1e-6)  # relative and absolute, of float32
_EXACT = 1e-9  # of what decays, relative, in float64


def own_rule(
    make: Callable[[nn.Module], Made],
    model: nn.Module,
    rate: float,
    gamma: float,
    still: Sequence[str],
    rates: Mapping[str, float],
) -> tuple[Rule, str]:
    """The rule of an optimizer that `make` gives of a module, and its class and options in a word, for files.

    Parameters
    ----------
    rate, gamma : η and γ of what decays.
    still, rates : names of the parameters that do not decay, and what the rate of some is multiplied by.

    Raises
    ------
    InputError : where it does not shrink what decays by ηγ a step, or cannot be stepped by the engine.
    """
    module = copy.deepcopy(model)
    one, named = make(module), trained(module)
    parameters = list(named.values())
    own = _before(one, parameters)
    _decays(own, parameters, rate, gamma or _DECAY)
    flat = _flat(parameters)[None]
    gradients = [torch.randn(flat.shape, generator=generator(k, "slopes")).to(flat) for k in range(_TRIED)]
    for gradient in gradients:
        for p, part in zip(
            parameters, torch.split(gradient[0], [p.numel() for p in parameters]), strict=True
        ):
            p.grad = part.reshape(p.shape).clone()
        _stepped(one)
    update = own.update([tuple(p.shape) for p in parameters], kept_of(one.state, parameters))
    decays = torch.cat([torch.full((p.numel(),), name not in still) for name, p in named.items()])
    factors = torch.cat([torch.full((p.numel(),), rates.get(name, 1.0)) for name, p in named.items()])
    ours = Optimizer(
        OWN, flat, [Setting(rate, gamma)], decays if still else None, factors if rates else None,
        update=update,
    )  # fmt: skip
    for gradient in gradients:
        ours.step(gradient)
    if not torch.allclose(flat[0], _flat(parameters), *_CLOSE):
        raise InputError(
            f"optimizer: {kind(one)} steps otherwise when it is made anew for each network; expected one "
            "that keeps what it needs in its state"
        )
    options = repr([(numbers, sorted(group.items(), key=str)) for numbers, group in own.groups])
    digest = hashlib.blake2b(options.encode(), digest_size=8).hexdigest()
    return Rule(OWN, rate, gamma, update=update), f"{kind(one)} {digest}"


def _before(one: Made, parameters: Sequence[Tensor]) -> Own:
    """It as it is before its first step, but for its parameters."""
    number = {id(p): k for k, p in enumerate(parameters)}
    groups = [
        (
            [number[id(p)] for p in group["params"] if id(p) in number],
            {name: value for name, value in group.items() if name != "params"},
        )
        for group in one.param_groups
    ]
    without = {name: copy.copy(x) for name, x in vars(one).items() if name not in ("state", "param_groups")}
    return Own(type(one), without, groups)


def _flat(parameters: Sequence[Tensor]) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in parameters])


def _stepped(one: Made) -> None:
    try:
        one.step()
    except Exception as error:
        raise InputError(
            f"optimizer: the step of {kind(one)} raises {message_of(error)}; expected one that is called "
            "without arguments, and that makes what it keeps in its first step"
        ) from error


def _decays(own: Own, parameters: Sequence[Tensor], rate: float, decay: float) -> None:
    """Refuse what does not shrink a weight without a gradient by ηγ a step."""
    weights = [p.detach().double().clone().requires_grad_() for p in parameters]
    one = own.of(weights, rate, decay)
    for _ in range(_TRIED):
        for p in weights:
            p.grad = torch.zeros_like(p)
        _stepped(one)
    expected = (1 - rate * decay) ** _TRIED
    for p, before in zip(weights, parameters, strict=True):
        lost, wanted = before.double() - p.detach(), (1 - expected) * before.detach().double()
        if not torch.allclose(lost, wanted, 1e-3, _EXACT * rate * decay):
            raise InputError(
                f"optimizer: {kind(one)} does not shrink weights by the share lr * weight_decay a step where "
                "the gradient is 0, which is the decay that times are forecast by; expected decoupled decay"
            )
