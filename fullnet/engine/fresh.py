"""A network as a seed draws it: what is trained, what stays as it is, and what lies outside of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groktime.fullnet.seeding import global_seed
from groktime.fullnet.task import Task

_MODULE = frozenset(vars(nn.Module()))  # what every module has: parameters, buffers, hooks


@dataclass(frozen=True)
class Fresh:
    """What a seed gives a member.

    Attributes
    ----------
    flat : Tensor [parameter], all that is trained, each tensor once, and their `shapes`.
    constants : what is not, by name: buffers, and parameters that are frozen (`requires_grad` False).
    hidden : digest of what a module holds beside its parameters and buffers, such as a plain tensor or a
        list of layers. Where seeds differ in it, no module can stand for another.
    """

    seed: int
    flat: Tensor
    shapes: tuple[tuple[int, ...], ...]
    constants: Mapping[str, Tensor]
    hidden: str


def fresh_network(task: Task, seed: int) -> nn.Module:
    """A freshly initialized network of this seed; or one that is where the task's networks start."""
    with global_seed(seed, "weights"):
        network = task.network()
    if task.start is not None:
        task.start.load(network)
    return network


def trained(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name; one that is in several places once."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def constants(network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network that stay as they are: frozen parameters, and buffers."""
    frozen = {name: p.detach() for name, p in network.named_parameters() if not p.requires_grad}
    return frozen | dict(network.named_buffers())


def drawn(task: Task, seed: int) -> Fresh:
    """What this seed draws."""
    network = fresh_network(task, seed)
    named = trained(network).values()
    flat, shapes = torch.cat([p.detach().reshape(-1) for p in named]), tuple(tuple(p.shape) for p in named)
    return Fresh(seed, flat, shapes, constants(network), _hidden(network))


def initial_parameters(task: Task, seed: int) -> Tensor:
    """The flat parameters [parameter] that are trained of a freshly initialized network, each tensor once."""
    network = fresh_network(task, seed)
    return torch.cat([p.detach().reshape(-1) for p in trained(network).values()])


def _hidden(network: nn.Module) -> str:
    """Digest of all that the modules hold outside of their parameters and buffers."""
    known = {id(x) for x in (*network.parameters(), *network.buffers())}
    digest = hashlib.blake2b()
    for place in _held(network, known):
        digest.update(place)
    return digest.hexdigest()


def _held(value: Any, known: set[int]) -> Iterator[bytes]:
    """The bytes of whatever a value holds; `known` are the objects that were seen."""
    if isinstance(value, bool | int | float | complex | str | bytes | None):
        yield repr(value).encode()
        return
    if id(value) in known:
        return
    known.add(id(value))
    if isinstance(value, Tensor):
        if value.layout is torch.strided and value.device.type != "meta":
            yield f"{value.dtype} {tuple(value.shape)}".encode()
            yield value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, np.ndarray):
        yield value.tobytes()
    elif isinstance(value, torch.Generator):
        yield value.get_state().numpy().tobytes()
    elif isinstance(value, nn.Module):
        # one that is registered has its tensors among the known; one in a plain list has not
        own = {k: v for k, v in vars(value).items() if k not in _MODULE}
        yield from _held([own, *value.parameters(False), *value.buffers(False), *value.children()], known)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield repr(key).encode() if isinstance(key, str | int) else b""
            yield from _held(one, known)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _held(one, known)
    elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        yield from _held(vars(value), known)
