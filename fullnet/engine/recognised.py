"""Which modules are plain MLPs: a chain of `nn.Linear` and elementwise functions, and nothing else.

A module is traced by torch.fx, so that it does not matter whether it is an `nn.Sequential` or a class with a
`forward` of its own. What is not known for certain is none.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

Elementwise = Callable[[Tensor], Tensor]

_TANH = (torch.tanh, functional.tanh, "tanh")
_RELU = (torch.relu, functional.relu, "relu")
_LEAKY = (functional.leaky_relu,)
_OTHERS = (torch.sigmoid, functional.sigmoid, functional.gelu, functional.silu, functional.softplus)
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            *nodes, last = fx.Tracer().trace(network).nodes
    except Exception:  # whatever a forward makes of a tensor without values
        return None
    if nodes[0].op != "placeholder" or last.op != "output" or last.args != (nodes[-1],):
        return None
    mlp = Mlp((), flattened=False)
    for before, node in zip(nodes, nodes[1:], strict=False):
        if node.all_input_nodes != [before] or node.args[:1] != (before,):
            return None
        further = _further(mlp, node, network)
        if further is None:
            return None
        mlp = further
    return mlp if mlp.layers else None


def _further(mlp: Mlp, node: fx.Node, network: nn.Module) -> Mlp | None:
    """The MLP with one more operation; None if it is then none."""
    name = str(node.target)
    module = network.get_submodule(name) if node.op == "call_module" else None
    if isinstance(module, nn.Linear):
        bias = None if module.bias is None else f"{name}.bias"
        return replace(mlp, layers=(*mlp.layers, Layer(f"{name}.weight", bias)))
    if _flattens(node, module):
        return None if mlp.layers else replace(mlp, flattened=True)
    activation = _of_module(module) if module is not None else _of_function(node)
    if activation is None or not mlp.layers or mlp.layers[-1].activation is not None:
        return None
    return replace(mlp, layers=(*mlp.layers[:-1], replace(mlp.layers[-1], activation=activation)))


def _flattens(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether all but the first dimension become one."""
    if isinstance(module, nn.Flatten):
        return (module.start_dim, module.end_dim) == (1, -1)
    named = node.target in (torch.flatten, "flatten") and node.op != "call_module"
    return named and (node.args[1:], dict(node.kwargs)) in (((1,), {}), ((), {"start_dim": 1}))


def _of_module(module: nn.Module) -> Activation | None:
    if isinstance(module, nn.Tanh | nn.ReLU):
        return Activation(type(module).__name__.lower())
    if isinstance(module, nn.LeakyReLU):
        return _leaky(module.negative_slope)
    return Activation(repr(module), function=module) if isinstance(module, _OTHER_MODULES) else None


def _of_function(node: fx.Node) -> Activation | None:
    target, args, options = (
        node.target,
        node.args[1:],
        {k: v for k, v in node.kwargs.items() if k != "inplace"},
    )
    if target in _TANH + _RELU:
        return None if args or options else Activation("tanh" if target in _TANH else "relu")
    if target in _LEAKY:
        slope = options.get("negative_slope", args[0] if args else 0.01)
        return _leaky(slope) if len(args) < 2 else None
    if target not in _OTHERS or args or node.op != "call_function" or node.kwargs.get("inplace"):
        return None
    function: Elementwise = target
    return Activation(f"{target} {options}", function=lambda z: function(z, **options))


def _leaky(slope: object) -> Activation | None:
    # of a slope that is not above 0 the sign of the result does not tell that of the argument
    return Activation("leaky", float(slope)) if isinstance(slope, int | float) and slope > 0 else None
