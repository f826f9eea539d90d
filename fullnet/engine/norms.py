"""Named parts of a network: those whose norms are recorded (`Task.parts`), and those that do not decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from groktime.fullnet.engine.fresh import trained
from groktime.fullnet.seeding import global_seed
from groktime.fullnet.task import Task, decaying

Parts = Mapping[str, tuple[str, ...]]


def wrong_parts(parts: Parts, names: Iterable[str]) -> str:
    """What is wrong with the parts of a network with parameters of these names; empty if nothing is."""
    known = list(names)
    for part, prefixes in parts.items():
        if not (isinstance(part, str) and f"_{part}".isidentifier()):  # it becomes the name of a variable
            return f"has a part {part!r}; expected a name of letters, digits and _"
        if not (isinstance(prefixes, tuple) and prefixes and all(isinstance(p, str) for p in prefixes)):
            return f"has {prefixes!r} as {part!r}; expected a tuple of prefixes of parameter names"
        for prefix in prefixes:
            if not any(name.startswith(prefix) for name in known):
                return (
                    f"has {prefix!r} in {part!r}, with which no parameter's name begins; expected a prefix "
                    f"of {', '.join(known)}"
                )
    return ""


def wrong_no_decay(no_decay: tuple[str, ...], names: Iterable[str]) -> str:
    """What is wrong with the names of what does not decay; empty if nothing is."""
    known = list(names)
    if not (isinstance(no_decay, tuple) and all(isinstance(p, str) and p for p in no_decay)):
        return f"has {no_decay!r}; expected a tuple of names of parameters, or of what they begin with"
    for prefix in no_decay:
        if not any(name.startswith(prefix) for name in known):
            return (
                f"has {prefix!r}, with which no parameter's name begins; expected one of {', '.join(known)}, "
                "or what they begin with"
            )
    if no_decay and not any(decaying(no_decay, known)):
        return f"has {', '.join(map(repr, no_decay))}, all of the network; expected some parameter to decay"
    return ""


def decayed_columns(task: Task) -> Tensor | None:
    """Which entries of the flat parameters decay, [parameter]; None: all of them."""
    if not task.no_decay:
        return None
    with global_seed(0, "shape"):
        named = trained(task.network())
    each = zip(decaying(task.no_decay, named), named.values(), strict=True)
    return torch.cat([torch.full((p.numel(),), decays) for decays, p in each])


def part_norms(parts: Parts, named: Mapping[str, Tensor]) -> Tensor:
    """L2 norm of each part, [part, member], of parameters [member, ...] by name."""
    norms = []
    for prefixes in parts.values():
        own = [p.flatten(1) for name, p in named.items() if name.startswith(prefixes)]
        norms.append(torch.linalg.vector_norm(torch.cat(own, 1), dim=1))
    return torch.stack(norms)
