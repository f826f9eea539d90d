"""Where the networks are trained, and how many of them at once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import torch

from groktime.reduced.arguments import shown
from groktime.reduced.errors import InputError

_KINDS = ("cpu", "cuda", "mps")
_BYTES_PER_PARAMETER = 16  # weights, gradient and two moments in float32
_CACHE = 16 * 2**20  # a piece that stays in the last-level cache trains twice as fast
_ENOUGH = 24  # members beyond which more together save nothing (benchmarks/growth.py)


def device_of(name: str) -> torch.device:
    """The device by name; "auto": a GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        name = "mps" if name == "cpu" and torch.backends.mps.is_available() else name
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except Exception as error:  # each backend that is not there has one of its own
        raise _missing(name) from error
    if device.type not in _KINDS:  # "meta" computes nothing
        raise _missing(name)
    return device


def _missing(name: str) -> InputError:
    return InputError(f"device = {shown(name)}: not available here; expected auto, cpu, cuda or mps")


def members_at_once(
    device: torch.device, parameters: int, members: int, workers: int, activations: Callable[[], int]
) -> int:
    """How many of the members, of so many parameters and bytes of `activations` each, train together: on the
    CPU as many as fit the cache, and the same for every worker in every round; otherwise as many as fit the
    memory."""
    if device.type != "cpu":
        return fitting_memory(memory_of(device), _BYTES_PER_PARAMETER * parameters + activations())
    most = min(max(_CACHE // (_BYTES_PER_PARAMETER * parameters), 8), _ENOUGH)
    rounds = math.ceil(members / (workers * most))
    return math.ceil(members / (workers * rounds))


def memory_of(device: torch.device) -> int:
    """Bytes of memory that the accelerator has, whoever uses it: pieces of work are called by their size, and
    one that goes on later has to be of the same."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return int(torch.mps.recommended_max_memory())


def fitting_memory(memory: int, each: int) -> int:
    """The power of two of members, of so many bytes each, that fit half the memory, or 1: the other half is
    for what the batched backward pass makes on its way, and for evaluations."""
    return 1 << max((memory // 2 // max(each, 1)).bit_length() - 1, 0)


def workers(device: torch.device) -> int:
    """How many pieces train side by side: one a core, and one on a GPU, which is full with one."""
    if device.type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
