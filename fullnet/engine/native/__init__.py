"""The kernel of plain MLPs in C, built once a machine where there is a compiler; without, torch does all.

It is plain C behind ctypes, so that building it takes a second and needs no headers of others. It
is kept in the user's cache, by the digest of the source, the compiler and the processor that it is for.
`GROKTIME_NATIVE=0` goes without.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from groktime.fullnet.engine.recognised import Activation

Places = tuple[Tensor, Tensor | None]

_SOURCE = Path(__file__).with_name("dense.c")
# No -ffast-math: a run that diverges has to find out.
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC", "-std=gnu11")
_COMPILERS = ("cc", "gcc", "clang")
_KINDS = ("identity", "tanh", "relu", "leaky")  # as in the source
_SECONDS = 60
_BUILDING = threading.Lock()


class _Layer(ctypes.Structure):
    """As `struct layer` of the source."""

    _fields_ = (
        *((name, ctypes.c_long) for name in ("inputs", "outputs")),
        *((name, ctypes.c_void_p) for name in ("w", "b")),
        *((name, ctypes.c_long) for name in ("w_by", "b_by")),
        *((name, ctypes.c_void_p) for name in ("by_w", "by_b")),
        *((name, ctypes.c_long) for name in ("by_by", "kind")),
        ("slope", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in ("state", "by_state")),
    )


class Squared:
    """Forward and backward passes of whole networks for the mean squared error, a member after the other, so
    that what is kept of one stays in the cache."""

    def __init__(self, layers: Sequence[tuple[Native, Activation | None]]) -> None:
        self._layers, self._samples = layers, 0
        self._library = layers[0][0].library

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean loss [member] of inputs and targets [member, sample, ...]; gradients are written."""
        members, samples = x.shape[:2]
        if samples != self._samples:
            self._made = (_Layer * len(self._layers))()
            self._buffers = [x.new_empty(2, samples, one.outputs) for one, _ in self._layers]
            for place, (one, activation), buffer in zip(self._made, self._layers, self._buffers, strict=True):
                _fill(place, one, activation, buffer)
            self._samples = samples
        loss = x.new_empty(members)
        size = (members, samples, len(self._layers), self._made)
        self._library.squared(*size, *_by_member(x), *_by_member(y), loss.data_ptr())
        return loss


def _fill(place: _Layer, one: Native, activation: Activation | None, buffer: Tensor) -> None:
    place.inputs, place.outputs = one.inputs, one.outputs
    place.w, place.w_by, place.b, place.b_by = one.parameters
    place.by_w, place.by_b, place.by_by = one.places
    place.kind, place.slope = _kind(activation)
    place.state, place.by_state = buffer[0].data_ptr(), buffer[1].data_ptr()


class Native:
    """A layer of stacked members: W [member, output, input], b [member, output] or None, and the places of
    their gradients."""

    def __init__(self, found: ctypes.CDLL, weight: Tensor, bias: Tensor | None, places: Places) -> None:
        self.library = found
        self._held = (weight, bias, *places)  # for as long as their addresses are used
        self.parameters = (_at(weight), weight.stride(0), *_by_member(bias))
        self._weight = self.parameters[:2]
        self.places = (_at(places[0]), _at(places[1]), places[0].stride(0))
        self._members, self.outputs, self.inputs = weight.shape

    def forward(self, x: Tensor, out: Tensor, activation: Activation | None) -> None:
        """`out` [member, sample, output] = f(x Wᵀ + b)."""
        size = (self._members, x.shape[1], self.inputs, self.outputs)
        given = (*_by_member(x), *self.parameters, *_by_member(out))
        self.library.forward(*size, *given, *_kind(activation))

    def backward(self, x: Tensor, slope: Tensor, out: Tensor | None, activation: Activation | None) -> None:
        """Write the gradients, of the loss's derivative by z [member, sample, output]; and where there is an
        `out`, that by the z of the layer before, whose activation gave x."""
        size = (self._members, x.shape[1], self.inputs, self.outputs)
        given = (*_by_member(x), *self._weight, *_by_member(slope), *self.places, *_by_member(out))
        self.library.backward(*size, *given, *_kind(activation))


def layer(weight: Tensor, bias: Tensor | None, by_weight: Tensor, by_bias: Tensor | None) -> Native | None:
    """A layer by the kernel, if there is one and it can take it."""
    if weight.dtype != torch.float32 or weight.device.type != "cpu" or not fits(weight):
        return None
    found = library()
    return None if found is None else Native(found, weight, bias, (by_weight, by_bias))


def fits(x: Tensor) -> bool:
    """Whether each member's matrix lies row after row."""
    return x.dtype == torch.float32 and x.stride()[1:] == (x.shape[2], 1)


def knows(activation: Activation | None) -> bool:
    """Whether the kernel has it."""
    return activation is None or activation.function is None


def _kind(activation: Activation | None) -> tuple[int, float]:
    return (0, 0.0) if activation is None else (_KINDS.index(activation.kind), activation.slope)


def _at(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _by_member(x: Tensor | None) -> tuple[int | None, int]:
    return (None, 0) if x is None else (x.data_ptr(), x.stride(0))


def library() -> ctypes.CDLL | None:
    """The kernel, or None where there is none to be had."""
    if os.environ.get("GROKTIME_NATIVE") == "0":
        return None
    with _BUILDING:
        return _library()


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(str(_built()))
    except (OSError, subprocess.SubprocessError):  # no compiler, no cache, or a source that it cannot take
        return None
    integer, pointer = ctypes.c_long, ctypes.c_void_p
    size: list[Any] = [integer] * 4
    strided: list[Any] = [pointer, integer]
    ending: list[Any] = [ctypes.c_int, ctypes.c_float]
    found.forward.argtypes = [*size, *strided * 4, *ending]
    found.backward.argtypes = [*size, *strided * 3, pointer, pointer, integer, *strided, *ending]
    found.squared.argtypes = [*[integer] * 3, pointer, *strided * 2, pointer]
    found.squared.restype = None
    found.forward.restype = found.backward.restype = None
    return found


def _built() -> Path:
    """The shared library for this machine."""
    compiler = next((found for name in _COMPILERS if (found := shutil.which(name))), None)
    if compiler is None:
        raise FileNotFoundError("no compiler")
    version = _output(compiler, "--version")
    parts = (_SOURCE.read_text(), compiler, version, " ".join(_FLAGS), platform.machine(), _processor())
    name = hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "groktime" / "native"
    path = folder / f"dense-{name}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:  # moved to its place whole
            made = Path(place) / path.name
            _output(compiler, *_FLAGS, "-o", str(made), str(_SOURCE))
            made.replace(path)
    return path


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS).stdout


def _processor() -> str:
    """What -march=native looks at."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(
        sorted({line for line in lines if line.split(":")[0].strip() in ("model name", "flags")})
    )
