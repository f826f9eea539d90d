"""Torch's fused kernels for attention, which cannot be mapped over members."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch.backends import cuda, mha

# Each kernel's switch, as how it is read and set; torch has one for all threads.
_SWITCHES = (
    (mha.get_fastpath_enabled, mha.set_fastpath_enabled),
    (cuda.flash_sdp_enabled, cuda.enable_flash_sdp),  # on the CPU, too
    (cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
)
_LOCK = threading.Lock()
_inside = 0  # pieces are trained side by side
_before: list[bool] = []


@contextmanager
def unfused() -> Iterator[None]:
    """Attention in plain operations; torch's switches are as they were once nobody is inside."""
    global _inside
    with _LOCK:
        if not _inside:
            _before[:] = [read() for read, _ in _SWITCHES]
            _set([False] * len(_SWITCHES))
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if not _inside:
                _set(_before)


def _set(values: list[bool]) -> None:
    for (_, write), value in zip(_SWITCHES, values, strict=True):
        write(value)
