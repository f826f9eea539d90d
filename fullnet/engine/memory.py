"""Keep freed memory in the process.

A training step frees and reallocates the same temporaries of a few MB. glibc hands such blocks back
to the kernel and takes them anew, page fault by page fault, which costs more time than the
arithmetic of a small ensemble (measured: 1.5 to 2 times on two cores).
"""

from __future__ import annotations

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_NEVER = 2**31 - 1
_LARGEST = 32 * 2**20  # the largest mmap threshold that glibc takes


def keep_freed_memory() -> None:
    """Tell glibc's allocator to reuse freed blocks; elsewhere do nothing."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST)
    mallopt(_M_TRIM_THRESHOLD, _NEVER)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that there was no memory left, here or on a GPU."""
    words = ("can't allocate memory", "out of memory", "not enough memory")
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or (
        isinstance(error, RuntimeError) and any(w in str(error) for w in words)
    )
