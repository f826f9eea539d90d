"""Which modules are plain MLPs: a chain of `nn.Linear` and elementwise functions, and nothing else.

A module is run once, and what its forward asks of torch is recorded, so that it does not matter whether it is
an `nn.Sequential` or a class with a `forward` of its own. What is not known for certain is none.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from groktime.fullnet.engine.calls import Call, calls_of

Elementwise = Callable[[Tensor], Tensor]

_TANH = (torch.tanh, Tensor.tanh)
_RELU = (torch.relu, functional.relu, Tensor.relu)
_FLATTEN = (torch.flatten, Tensor.flatten)
_OTHERS = (torch.sigmoid, Tensor.sigmoid, functional.gelu, functional.silu, functional.softplus)
_OTHER_MODULES = (nn.Sigmoid, nn.GELU, nn.SiLU, nn.Softplus)
_MODULES = (nn.Linear, nn.Flatten, nn.Tanh, nn.ReLU, nn.LeakyReLU, *_OTHER_MODULES)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class Activation:
    """An elementwise function: "tanh", "relu", "leaky" with its slope, or `function`, which `kind` names."""

    kind: str
    slope: float = 0.0
    function: Elementwise | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Layer:
    """f(x Wᵀ + b): the names of W and of b (None: there is none), and f (None: the identity)."""

    weight: str
    bias: str | None
    activation: Activation | None = None


@dataclass(frozen=True)
class Mlp:
    """The layers, in order; `flattened`: inputs [sample, ...] are made [sample, input] first."""

    layers: tuple[Layer, ...]
    flattened: bool


def mlp_of(network: nn.Module, names: Sequence[str]) -> Mlp | None:
    """The plain MLP that a module is, whose parameters `names` are all that it has; None if it is none."""
    leaves = [module for module in network.modules() if not any(True for _ in module.children())]
    # by its very type: a subclass, such as one with a parametrization, may be anything
    if any(type(module) not in _MODULES for module in leaves) or any(True for _ in network.buffers()):
        return None
    if any(getattr(module, kind) for module in network.modules() for kind in _HOOKS):
        return None
    training, evaluating = (_traced(network, mode) for mode in (True, False))
    if training is None or training != evaluating:
        return None
    used = [name for layer in training.layers for name in (layer.weight, layer.bias) if name is not None]
    everything = sorted(name for name, _ in network.named_parameters())
    return training if sorted(used) == sorted(names) == everything else None


def _traced(network: nn.Module, training: bool) -> Mlp | None:
    network = copy.deepcopy(network).train(training)  # a forward may leave something in its module
    linear = next((module for module in network.modules() if isinstance(module, nn.Linear)), None)
    if linear is None:
        return None
    state: Any = linear.weight.new_zeros(2, linear.in_features)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            calls, last = calls_of(network, state)
    except Exception:  # whatever a forward makes of such a tensor
        return None
    names = {id(p): name for name, p in network.named_parameters()}
    mlp = Mlp((), flattened=False)
    for call in calls:
        if not call.args or call.args[0] is not state:
            return None
        further = _further(mlp, call, names)
        if further is None:
            return None
        mlp, state = further, call.out
    return mlp if mlp.layers and last is state else None


def _further(mlp: Mlp, call: Call, names: Mapping[int, str]) -> Mlp | None:
    """The MLP with one more operation; None if it is then none."""
    if call.function is functional.linear:
        weight, *bias = (names.get(id(p)) if p is not None else None for p in call.args[1:])
        if weight is None or call.options or (bias and bias[0] is None and call.args[2] is not None):
            return None
        return replace(mlp, layers=(*mlp.layers, Layer(weight, bias[0] if bias else None)))
    if call.function in _FLATTEN:
        whole = (call.args[1:], call.options) in (((1,), {}), ((1, -1), {}), ((), {"start_dim": 1}))
        return replace(mlp, flattened=True) if whole and not mlp.layers else None
    activation = _activation(call)
    if activation is None or not mlp.layers or mlp.layers[-1].activation is not None:
        return None
    return replace(mlp, layers=(*mlp.layers[:-1], replace(mlp.layers[-1], activation=activation)))


def _activation(call: Call) -> Activation | None:
    function, args = call.function, call.args[1:]
    options = {name: value for name, value in call.options.items() if name != "inplace"}
    if any(isinstance(x, Tensor) for x in (*args, *options.values())):
        return None
    if function in _TANH + _RELU:
        return None if args or options else Activation("tanh" if function in _TANH else "relu")
    if function is functional.leaky_relu:
        slope = args[0] if args else options.get("negative_slope", 0.01)
        # of a slope that is not above 0 the sign of the result does not tell that of the argument
        return Activation("leaky", float(slope)) if slope > 0 else None
    if function not in _OTHERS:
        return None
    name = getattr(function, "__name__", str(function))
    return Activation(f"{name} {args} {options}", function=lambda z: function(z, *args, **options))
