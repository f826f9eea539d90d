"""Named parts of a network: those whose norms are recorded (`Task.parts`), those that do not decay, and those
that have a rate of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from groktime.fullnet.engine.fresh import trained
from groktime.fullnet.seeding import global_seed
from groktime.fullnet.task import Task

Parts = Mapping[str, tuple[str, ...]]


def wrong_names(task: Task, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with what a task says of the parameters of these names: each field, and what with it."""
    known = list(names)
    no_decay = wrong_no_decay(task.no_decay, known)
    found = {"parts": wrong_parts(task.parts, known), "no_decay": no_decay}
    found["rates"] = "" if no_decay else wrong_rates(task.rates, task.no_decay, known)
    yield from ((field, wrong) for field, wrong in found.items() if wrong)


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


def wrong_rates(rates: Mapping[str, float], no_decay: tuple[str, ...], names: Iterable[str]) -> str:
    """What is wrong with the parameters that have rates of their own; empty if nothing is."""
    known = list(names)
    if not isinstance(rates, Mapping):
        return (
            f"has {rates!r}; expected a dict of names of parameters, or of what they begin with, and numbers"
        )
    for prefix, factor in rates.items():
        if not (isinstance(prefix, str) and any(name.startswith(prefix) for name in known)):
            return (
                f"has {prefix!r}, with which no parameter's name begins; expected one of {', '.join(known)}"
            )
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 <= factor < math.inf:
            return f"has {factor!r} for {prefix!r}; expected a number from 0"
    decay = decaying(no_decay, known)
    factors = [f for f, decays in zip(rated(rates, known), decay, strict=True) if decays]
    if any(f != 1 for f in factors):
        return (
            "has rates of their own for parameters that decay, whose norm would fall at several speeds; "
            "expected them among no_decay"
        )
    return ""


def _at(prefixes: Iterable[str], names: Sequence[str]) -> list[str | None]:
    """The first of the prefixes that each name is, or begins with. What is the name of a parameter stands for
    that one alone."""
    given = list(prefixes)

    def first(name: str) -> str | None:
        return next((p for p in given if name == p or (p not in names and name.startswith(p))), None)

    return [first(name) for name in names]


def decaying(no_decay: tuple[str, ...], names: Iterable[str]) -> list[bool]:
    """Which parameters decay, in order."""
    return [prefix is None for prefix in _at(no_decay, list(names))]


def rated(rates: Mapping[str, float], names: Iterable[str]) -> list[float]:
    """What the rate of each parameter is multiplied by, in order."""
    return [1.0 if prefix is None else float(rates[prefix]) for prefix in _at(rates, list(names))]


def decayed_columns(task: Task) -> Tensor | None:
    """Which entries of the flat parameters decay, [parameter]; None: all of them."""
    if not task.no_decay:
        return None
    return _columns(task, lambda names: decaying(task.no_decay, names), torch.bool)


def rated_columns(task: Task) -> Tensor | None:
    """What the rate of each of the flat parameters is multiplied by, [parameter]; None: they share one."""
    return _columns(task, lambda names: rated(task.rates, names), torch.float64) if task.rates else None


def _columns(task: Task, of_names: Callable[[Iterable[str]], Sequence[Any]], dtype: torch.dtype) -> Tensor:
    with global_seed(0, "shape"):
        named = trained(task.network())
    each = zip(of_names(named), named.values(), strict=True)
    return torch.cat([torch.full((p.numel(),), value, dtype=dtype) for value, p in each])


def part_norms(parts: Parts, named: Mapping[str, Tensor]) -> Tensor:
    """L2 norm of each part, [part, member], of parameters [member, ...] by name."""
    norms = []
    for prefixes in parts.values():
        own = [p.flatten(1) for name, p in named.items() if name.startswith(prefixes)]
        norms.append(torch.linalg.vector_norm(torch.cat(own, 1), dim=1))
    return torch.stack(norms)
