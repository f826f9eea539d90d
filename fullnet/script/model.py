"""The model of a script, as a function that makes it anew for each seed, and as the ensemble can call it.

A class or a factory draws each seed as `nn` does. Of an instance, seed 0 is the very weights that it has, and
other seeds are drawn by `reset_parameters`, where that draws as the model was drawn.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from groktime.fullnet.check.finding import kind, message_of
from groktime.fullnet.script.data import Table
from groktime.fullnet.seeding import global_seed, is_seeded
from groktime.reduced.errors import InputError

_ANY = "a function that makes the model has any seed"
_ALIKE = 6.0  # standard errors by which the size of a parameter may differ between two draws


@dataclass(frozen=True)
class Model:
    """`make`: a fresh module, drawn from torch's global generator; `plain`: that of seed 0, and `trained_as`
    the module whose parameters the script's optimizer may hold; `one_seed`: why there is no other seed."""

    make: Callable[[], nn.Module]
    plain: nn.Module
    trained_as: nn.Module | None
    name: str
    one_seed: str = ""


def model_of(given: Any) -> Model:
    """A class, a factory or an instance.

    Raises
    ------
    InputError : on anything else, and on what cannot be called or copied.
    """
    if isinstance(given, nn.Module):
        return _of_instance(given)
    name = getattr(given, "__name__", kind(given)).strip("<>")
    if not callable(given):
        raise InputError(
            f"model: is a {kind(given)}; expected an nn.Module, its class, or a function that makes it"
        )
    try:
        with global_seed(0, "weights"):
            made = given()
    except Exception as error:
        raise InputError(
            f"model: {name}() raises {message_of(error)}; expected one that is called without arguments, "
            f"such as lambda: {name}(…)"
        ) from error
    if not isinstance(made, nn.Module):
        raise InputError(f"model: {name}() gives a {kind(made)}; expected an nn.Module")
    return Model(given, made, None, kind(made))


def _of_instance(given: nn.Module) -> Model:
    try:
        kept = copy.deepcopy(given).cpu()
    except Exception as error:
        raise InputError(
            f"model: cannot be copied ({message_of(error)}); expected its class, or a function that makes it"
        ) from error
    kept.zero_grad()
    one_seed = _why_not_redrawn(kept)

    def make() -> nn.Module:
        made = copy.deepcopy(kept)
        return made if one_seed or is_seeded(0, "weights") else _redrawn(made)

    return Model(make, kept, given, kind(given), one_seed)


def _reset_of(module: nn.Module) -> Callable[[], Any] | None:
    return getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)


def _redrawn(module: nn.Module) -> nn.Module:
    """Its parameters drawn anew, from the inside out, as constructors do."""
    for child in module.children():
        _redrawn(child)
    reset = _reset_of(module)
    if reset is not None:
        reset()
    return module


def _why_not_redrawn(kept: nn.Module) -> str:
    """Why `reset_parameters` does not draw the model as it was drawn; empty if it seems to."""
    for path, module in kept.named_modules():
        if any(True for _ in module.parameters(recurse=False)) and _reset_of(module) is None:
            what = f"{path or 'the model'} ({kind(module)})"
            return f"{what} has parameters of its own and no reset_parameters; {_ANY}"
    with global_seed(0, "redrawn"), torch.no_grad():
        drawn = _redrawn(copy.deepcopy(kept))
    for (name, p), other in zip(kept.named_parameters(), drawn.parameters(), strict=True):
        sizes = [float(x.detach().double().square().mean().sqrt()) for x in (p, other)]
        apart = abs(math.log(sizes[0] / sizes[1])) if all(sizes) else math.inf if any(sizes) else 0.0
        if apart > 0.02 + _ALIKE / math.sqrt(p.numel()):
            return (
                f"its {name} has a root mean square of {sizes[0]:.3g}, and {sizes[1]:.3g} drawn by "
                f"reset_parameters: it was initialized otherwise, or trained; {_ANY}"
            )
    return ""


# --- calling it ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packing:
    """How the inputs of a sample become one tensor, and are taken apart again: several of them are flat and
    side by side, in int64 if all are whole numbers."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    whole: tuple[bool, ...]

    @staticmethod
    def of(table: Table) -> Packing:
        """That of these samples."""
        inputs = table.inputs
        return Packing(
            table.names,
            tuple(tuple(x.shape[1:]) for x in inputs),
            tuple(not x.is_floating_point() for x in inputs),
        )

    @property
    def plain(self) -> bool:
        """Whether the model is called with the tensor as it is."""
        return not self.names and len(self.shapes) == 1

    def packed(self, table: Table) -> Tensor:
        """The inputs of all samples, [row, ...]."""
        if self.plain:
            return table.inputs[0]
        flat = [x.reshape(len(x), -1) for x in table.inputs]
        if all(self.whole):
            return torch.cat([x.long() for x in flat], 1)
        for x in flat:
            if not x.is_floating_point() and x.numel() and int(x.abs().max()) > 2**24:
                raise InputError(
                    "train: has whole numbers above 2**24 beside inputs that are none; expected less"
                )
        dtype = next(x.dtype for x in flat if x.is_floating_point())
        return torch.cat([x.to(dtype) for x in flat], 1)

    def called(self, packed: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """What the model itself is called with, by position and by name."""
        return ((packed,), {}) if self.plain else self.unpacked(packed)

    def unpacked(self, packed: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """The inputs as they were."""
        parts = torch.split(packed, [math.prod(shape) for shape in self.shapes], 1)
        each = zip(parts, self.shapes, self.whole, strict=True)
        inputs = tuple(
            (x.round().long() if whole and x.is_floating_point() else x).reshape(len(x), *shape)
            for x, shape, whole in each
        )
        return ((), dict(zip(self.names, inputs, strict=True))) if self.names else (inputs, {})


def tensor_of(output: Any) -> Tensor:
    """The tensor in what a model gives: `logits` of an object or a dict, the first of a tuple."""
    if isinstance(output, Tensor):
        return output
    logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    if isinstance(output, tuple | list) and output:
        return tensor_of(output[0])
    raise InputError(
        f"model: gives a {kind(output)}; expected a tensor, a tuple that begins with one, or an object or "
        "a dict with logits"
    )


def callable_as_one(make: Callable[[], nn.Module], packing: Packing, bare: bool) -> Callable[[], nn.Module]:
    """The same modules, called with one tensor, that give one tensor. `bare`: their output is one already.
    By hooks, so that parameters keep their names."""
    if packing.plain and bare:
        return make

    def made() -> nn.Module:
        network = make()
        if not packing.plain:
            network.register_forward_pre_hook(
                lambda _, args, kwargs: packing.unpacked(args[0]), with_kwargs=True
            )
        if not bare:
            network.register_forward_hook(lambda _, args, output: tensor_of(output))
        return network

    return made
