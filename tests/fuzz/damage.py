"""Damages of a file as values that hypothesis draws: each has a name, and does one thing to a path.

Some change what groktime would write (values, axes, attributes), some HDF5 itself (links, groups, types,
storage), some the bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

NAN, INF = float("nan"), float("inf")
NUMBERS = (0, 1, -1, 2, 0.5, NAN, INF, -INF, 1e300, -1e300, 1e23, 5e-324, 1e-300, 2**53 + 1, 2**62)
SETTINGS = (
    "", "{", "3", "null", "[]", '"x"', "{}", '{"a": NaN}', '{"a": 1, "a": 2}', '{"batch": "x"}',
    '{"batch": -1}', '{"batch": 1e400}', '{"stop_at": "often"}', '{"stop_at": [1]}', '{"settings": 3}',
    '{"settings": {"dim": [[1], {}]}}', '{"a": 1' + "0" * 5000 + "}", "[" * 100_000,
    '{"a":' * 500 + "1" + "}" * 500,
    '{"a": "' + "x" * 5_000_000 + '"}', '{"seed": 100000000000000000000000}', '{"\\ud800": 1}', "\x00",
    "{'a': 1}",
)  # fmt: skip
TEXTS = ("", "0", "1", "nan", "a\nb", "\x1b[2J", "x" * 5000, "\u2028", "ä$x$", "sgd", "momentum", "fixed",
         "free",
         "groktime-runs/1", "groktime-path/1", "groktime-landscape/1",
         "groktime-landscape/9")  # fmt: skip
_COMPOUND = np.array([(1, 2.0)], [("a", int), ("b", float)])
ODD: dict[str, Any] = {
    "bytes": np.bytes_(b"\xff\xfe"),
    "empty": h5py.Empty("f8"),
    "pair": np.array([1.0, 2.0]),
    "none": np.zeros(0),
    "true": np.bool_(True),
    "compound": _COMPOUND,
    "complex": 1 + 2j,
    "words": ["a", "b"],
    "latin": np.array([b"\xe9"], h5py.string_dtype()),
    "reference": h5py.regionref_dtype,
    "long": np.longdouble("1e4000"),
}
DTYPES = ("i1", "u8", "i8", "f2", "f4", ">f8", "<f8", ">i4", "g", "?", "c16", "S5", "O", "V3")


@dataclass(frozen=True)
class Damage:
    """What is done to a file; `name` begins with its kind."""

    name: str
    act: Callable[[Path], object]

    def __repr__(self) -> str:
        return self.name


def _in_file(act: Callable[[h5py.File, list[str]], object]) -> Callable[[Path], object]:
    def on(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            act(file, sorted(file))

    return on


def _replaced(file: h5py.File, name: str, **made: Any) -> None:
    """Another dataset under a name, with the dimensions of the old one as far as they fit."""
    old = file[name]
    scales = [file[s[0]].name for s in old.attrs["DIMENSION_LIST"]] if "DIMENSION_LIST" in old.attrs else []
    kept = {k: v for k, v in old.attrs.items() if k in ("units", "long_name", "dtype")}
    del file[name]
    new = file.create_dataset(name, **made)
    new.attrs.update(kept)
    for dim, scale in zip(new.dims, scales, strict=False):
        if scale.lstrip("/") in file and file[scale].shape:
            if not file[scale].is_scale:
                file[scale].make_scale()
            dim.attach_scale(file[scale])
    if not scales and new.shape:
        new.make_scale(name)


def _pick(names: list[str], where: float) -> str:
    return names[int(where * len(names)) % len(names)]


# --- bytes


def _bytes(kind: str, seed: int) -> Damage:
    def act(path: Path) -> None:
        rng, data = random.Random(seed), bytearray(path.read_bytes())
        size = len(data)
        if kind == "truncated":
            data = data[: int(size * rng.random())]
        elif kind == "flipped":
            for _ in range(rng.choice((1, 3, 30, 300))):
                data[rng.randrange(size)] ^= 1 << rng.randrange(8)
        elif kind == "head":
            for _ in range(rng.choice((1, 2, 5))):
                data[rng.randrange(min(size, 2000))] = rng.randrange(256)
        elif kind == "zeroed":
            start = rng.randrange(size)
            data[start : start + 500] = bytes(len(data[start : start + 500]))
        elif kind == "moved":
            a, b = rng.randrange(size - 64), rng.randrange(size - 64)
            data[a : a + 64] = data[b : b + 64]
        else:
            data = bytearray(rng.randbytes(300)) + data[: size // 2] + rng.randbytes(100)
        path.write_bytes(data)

    return Damage(f"bytes {kind} {seed}", act)


# --- values


def _value(where: float, number: float, cells: str, seed: int) -> Damage:
    def act(file: h5py.File, names: list[str]) -> None:
        name = _pick([n for n in names if file[n].dtype.kind in "fiu"], where)
        values = np.asarray(file[name][()])
        if values.dtype.kind != "f":
            values = values.astype(float)
        flat = values.reshape(-1)
        rng = random.Random(seed)
        if cells == "one":
            flat[rng.randrange(flat.size)] = number
        elif cells == "all":
            flat[:] = number
        elif cells == "scaled":
            with np.errstate(all="ignore"):
                flat *= number
        elif cells == "reversed":
            flat[:] = flat[::-1].copy()
        elif cells == "shuffled":
            flat[:] = rng.sample(flat.tolist(), flat.size)
        else:
            flat[:] = flat[0]
        _replaced(file, name, data=values)

    return Damage(f"values {cells} {number:g} at {where:.3f} {seed}", _in_file(act))


def _dtype(where: float, dtype: str) -> Damage:
    def act(file: h5py.File, names: list[str]) -> None:
        name = _pick(names, where)
        values = np.asarray(file[name][()])
        with np.errstate(all="ignore"):
            if dtype == "O":
                made: dict[str, Any] = {
                    "data": values.astype(str).astype(object),
                    "dtype": h5py.string_dtype(),
                }
            elif dtype == "V3":
                made = {"shape": values.shape, "dtype": np.dtype("V3")}
            elif values.dtype.kind == "O":
                made = {"data": np.zeros(values.shape, dtype)}
            else:
                values = np.nan_to_num(values) if dtype[-2] in "iu" and values.dtype.kind == "f" else values
                made = {"data": values.astype(dtype)}
        _replaced(file, name, **made)

    return Damage(f"dtype {dtype} at {where:.3f}", _in_file(act))


def _odd_dtype(where: float, kind: str) -> Damage:
    def act(file: h5py.File, names: list[str]) -> None:
        name = _pick(names, where)
        shape = file[name].shape
        types: dict[str, Any] = {
            "compound": np.dtype([("a", "f8"), ("b", "i4")]),
            "reference": h5py.ref_dtype,
            "vlen": h5py.vlen_dtype(np.dtype("f8")),
            "enum": h5py.enum_dtype({"A": 0, "B": 1}),
            "array": np.dtype(("f8", (2,))),
            "latin": h5py.string_dtype("ascii", 3),
        }
        _replaced(file, name, shape=shape, dtype=types[kind])
        if kind == "latin":
            file[name][...] = np.bytes_(b"\xe9")

    return Damage(f"dtype {kind} at {where:.3f}", _in_file(act))


# --- shapes


def _shape(where: float, kind: str) -> Damage:
    def act(file: h5py.File, names: list[str]) -> None:
        name = _pick(names, where)
        old = file[name]
        shape, rank = old.shape, max(1, len(old.shape))
        huge = (*(10_000,) * (rank - 1), 200_000_000 // 10_000 ** (rank - 1) or 100)
        makes: dict[str, dict[str, Any]] = {
            "none": {"shape": (0,) * rank, "dtype": "f8"},
            "scalar": {"shape": (), "dtype": "f8"},
            "null": {"data": h5py.Empty("f8")},
            "longer": {"shape": tuple(n + 1 for n in shape) or (1,), "dtype": "f8"},
            "flat": {"shape": (int(np.prod(shape)),), "dtype": "f8"},
            "deeper": {"shape": (*shape, 1), "dtype": "f8"},
            "claimed": {"shape": huge, "dtype": "f8", "chunks": tuple(min(n, 100) for n in huge)},
            "packed claim": {"shape": huge, "dtype": "f8", "chunks": tuple(min(n, 100) for n in huge),
                             "compression": "gzip"},
            "late claim": {"shape": huge, "dtype": "f4"},
            "endless claim": {"shape": (2**60,), "dtype": "f8", "chunks": (1000,)},
            "chunk claim": {"shape": shape or (1,), "dtype": "f8", "maxshape": (None,) * rank,
                            "chunks": (1,) * (rank - 1) + (400_000_000,)},
            "never written": {"shape": shape, "dtype": "f8", "fillvalue": 0.5},
            "text claim": {"shape": (50_000_000,), "dtype": h5py.string_dtype(), "chunks": (1000,)},
        }  # fmt: skip
        _replaced(file, name, **makes[kind])

    return Damage(f"shape {kind} at {where:.3f}", _in_file(act))


SHAPES = ("none", "scalar", "null", "longer", "flat", "deeper", "claimed", "packed claim", "late claim",
          "endless claim", "chunk claim", "never written", "text claim")  # fmt: skip


# --- structure


def _structure(where: float, kind: str) -> Damage:
    def act(file: h5py.File, names: list[str]) -> None:
        name, other = _pick(names, where), _pick(names, where + 0.5)
        here = Path(file.filename)
        old = file[name]
        shape, dtype = old.shape, old.dtype
        if kind == "deleted":
            del file[name]
        elif kind == "renamed":
            file.move(name, f"{name}\nnew")
        elif kind == "swapped":
            file.move(name, "between")
            file.move(other, name) if other in file else None
            file.move("between", other)
        elif kind == "soft link":
            file.move(name, "elsewhere")
            file[name] = h5py.SoftLink("/elsewhere")
        elif kind == "loop":
            del file[name]
            file[name] = h5py.SoftLink(f"/{name}")
        elif kind == "external link":
            copy = here.with_name("other.nc")
            with h5py.File(copy, "w") as beside:
                file.copy(name, beside)
            del file[name]
            file[name] = h5py.ExternalLink(copy.name, f"/{name}")
        elif kind == "external storage":
            _replaced(file, name, shape=shape or (1,), dtype="f8", external=[("/etc/hostname", 0, 10**6)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape or (1,), "f8")
            layout[...] = h5py.VirtualSource(str(here), other, shape or (1,))
            del file[name]
            file.create_virtual_dataset(name, layout)
        elif kind == "group":
            file.create_group("more/inside")
        elif kind == "group instead":
            del file[name]
            file.create_group(name)
        elif kind == "type instead":
            del file[name]
            file[name] = np.dtype("f8")
        elif kind == "alias":
            file["again"] = file[name]
        elif kind == "extra":
            file.create_dataset("extra", data=np.arange(3.0))
        elif kind == "extra text":
            file.create_dataset("extra", data="words", dtype=h5py.string_dtype())
        elif kind == "many":
            for k in range(300):
                file.create_dataset(f"extra {k}", data=1.0)
        else:
            assert kind == "all deleted", dtype
            for each in names:
                del file[each]

    return Damage(f"structure {kind} at {where:.3f}", _in_file(act))


STRUCTURES = ("deleted", "renamed", "swapped", "soft link", "loop", "external link", "external storage",
              "virtual", "group", "group instead", "type instead", "alias", "extra", "extra text", "many",
              "all deleted")  # fmt: skip


# --- attributes


def _attribute(where: float, value: Any, label: str) -> Damage:
    def act(file: h5py.File, names: list[str]) -> None:
        name = _pick(sorted(k for k in file.attrs if not k.startswith("_")), where)
        del file.attrs[name]
        if label == "odd reference":
            file.attrs.create(name, file[names[0]].ref, dtype=h5py.ref_dtype)
        elif label != "deleted":
            file.attrs[name] = value

    return Damage(f"attribute {label} at {where:.3f}", _in_file(act))


def _settings(k: int) -> Damage:
    def act(file: h5py.File, names: list[str]) -> None:
        del file.attrs["configuration" if "configuration" in file.attrs else "task"]
        file.attrs["configuration"] = SETTINGS[k].replace("\x00", " ")

    return Damage(f"json {k} {SETTINGS[k][:30]!a}", _in_file(act))


_MARKS: dict[str, tuple[Any, ...]] = {
    "_FillValue": (0.0, 1.0, NAN, "x", np.array([1.0, 2.0]), 2**40),
    "missing_value": (0.0, 1, "x"),
    "scale_factor": (2.0, 0.0, NAN, INF, "x", 1e300),
    "add_offset": (1.0, -1.0, NAN, 1e308, "x"),
    "_Unsigned": ("true", "false", 1),
    "dtype": ("bool", 3, "int"),
    "coordinates": ("nowhere", "alpha", 5, "a " * 100),
    "DIMENSION_LIST": (None, 3, "x"),
    "REFERENCE_LIST": (None, 3),
    "CLASS": (None, "DIMENSION_SCALE", 3),
    "NAME": (None, "This is a netCDF dimension but not a netCDF variable", "x", 3),
    "units": (None, 5, np.bytes_(b"\xff"), "a\nb"),
    "long_name": (None, [1, 2]),
    "_Netcdf4Dimid": (None, 10**6, "x"),
}


def _mark(where: float, mark: str, k: int) -> Damage:
    value = _MARKS[mark][k % len(_MARKS[mark])]

    def act(file: h5py.File, names: list[str]) -> None:
        attrs = file[_pick(names, where)].attrs
        if mark in attrs:
            del attrs[mark]
        if value is not None:
            attrs[mark] = value

    return Damage(f"mark {mark} {value!a} at {where:.3f}", _in_file(act))


def damages() -> st.SearchStrategy[Damage]:
    """Any one damage."""
    where, seed = st.floats(0, 1, exclude_max=True), st.integers(0, 10**6)
    numbers = st.sampled_from(NUMBERS)
    plain = st.one_of(numbers, st.sampled_from(TEXTS))

    def of(*names: str) -> st.SearchStrategy[str]:
        return st.sampled_from(names)

    return st.one_of(
        st.builds(_bytes, of("truncated", "flipped", "head", "zeroed", "moved", "foreign"), seed),
        st.builds(_value, where, numbers, of("one", "all", "scaled", "reversed", "shuffled", "flat"), seed),
        st.builds(_value, where, numbers, st.just("one"), seed),
        st.builds(_dtype, where, st.sampled_from(DTYPES)),
        st.builds(_odd_dtype, where, of("compound", "reference", "vlen", "enum", "array", "latin")),
        st.builds(_shape, where, st.sampled_from(SHAPES)),
        st.builds(_structure, where, st.sampled_from(STRUCTURES)),
        st.builds(lambda w, v: _attribute(w, v, f"plain {v!a:.30}"), where, plain),
        st.builds(lambda w, k: _attribute(w, ODD[k], f"odd {k}"), where, st.sampled_from(sorted(ODD))),
        st.builds(lambda w: _attribute(w, None, "deleted"), where),
        st.builds(_settings, st.integers(0, len(SETTINGS) - 1)),
        st.builds(_mark, where, st.sampled_from(sorted(_MARKS)), st.integers(0, 5)),
    )
