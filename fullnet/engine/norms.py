"""Norms of named parts of a network, such as its embedding (`Task.parts`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

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


def part_norms(parts: Parts, named: Mapping[str, Tensor]) -> Tensor:
    """L2 norm of each part, [part, member], of parameters [member, ...] by name."""
    norms = []
    for prefixes in parts.values():
        own = [p.flatten(1) for name, p in named.items() if name.startswith(prefixes)]
        norms.append(torch.linalg.vector_norm(torch.cat(own, 1), dim=1))
    return torch.stack(norms)
