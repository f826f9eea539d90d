"""Counter-based seeds: every random draw of a member is a function of (seed, purpose) alone.

A member therefore starts from the same bits whatever the size, order or device of the ensemble
that it is trained in.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_GLOBAL = threading.RLock()  # pieces are built side by side, and torch has one global generator


def _entropy(seed: int, purpose: str) -> int:
    sequence = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])
    # 63 bits: torch takes a signed 64-bit seed.
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose ("data", "split", …) of one seed."""
    return torch.Generator().manual_seed(_entropy(seed, purpose))


def is_seeded(seed: int, purpose: str) -> bool:
    """Whether torch's global generator was last seeded for this purpose of this seed."""
    return torch.initial_seed() == _entropy(seed, purpose)


@contextmanager
def global_seed(seed: int, purpose: str) -> Iterator[None]:
    """Seed torch's global generator, which `nn.Module` initializers draw from, and restore it."""
    with _GLOBAL, torch.random.fork_rng(devices=[]):
        torch.manual_seed(_entropy(seed, purpose))
        yield
