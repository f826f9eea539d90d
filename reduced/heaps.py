"""Where HDF5 keeps text of any length: damage there makes the library go round forever, so it is found first.

A collection begins with GCOL, its version and its size; then come objects, each with a head of 16 bytes and
its content to the next multiple of 8. The one numbered 0 is what is free, and its size counts the head.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

_BEGIN = b"GCOL\x01"
_HEAD, _LEAST = 16, 4096  # bytes of a head; of a collection


def damaged(path: Path) -> bool:
    """Whether the objects of some collection do not lie end to end."""
    size = path.stat().st_size
    if size < _LEAST:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(not _is_whole(content, start, end) for start, end in _collections(content, size))


def _collections(content: mmap.mmap, size: int) -> Iterator[tuple[int, int]]:
    start = content.find(_BEGIN)
    while start >= 0:
        if start + _HEAD <= size:
            (length,) = struct.unpack_from("<Q", content, start + 8)
            if _LEAST <= length <= size - start:  # or these are five bytes of something else
                yield start, start + length
        start = content.find(_BEGIN, start + 1)


def _is_whole(content: mmap.mmap, start: int, end: int) -> bool:
    place = start + _HEAD
    while end - place >= _HEAD:
        number, _, _, length = struct.unpack_from("<HHIQ", content, place)
        place += _HEAD + -(-length // 8) * 8 if number else length
        if place > end or (not number and length < _HEAD):
            return False
    return True
