"""Arguments are converted once, and the value that was converted is the one that is used."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import groktime as gt
from groktime.reduced.arguments import (
    LARGEST,
    check_count,
    choice,
    file_name,
    flag,
    number,
    numbers,
    shown,
    text,
    whole_number,
    whole_numbers,
)
from groktime.reduced.errors import InputError, one_line

LANE = {"gamma": 0.3, "eta_d": 3e-4, "alpha": 3.0}


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "given",
    [
        0.3,
        [0.3],
        (0.3,),
        "0.3",
        " 0.3\n",
        Decimal("0.3"),
        Fraction(3, 10),
        np.float64(0.3),
        np.array(0.3),
        np.array([0.3]),
        np.longdouble("0.3"),
        pd.Series([0.3]),
        np.array("0.3"),
    ],
)
def test_one_number(given: Any) -> None:
    assert number("gamma", given) == 0.3
    assert type(number("gamma", given)) is float
    p = gt.predict("teacher-student", **LANE | {"gamma": given})
    assert p.settings["gamma"] == 0.3
    assert p.t_grok == gt.predict("teacher-student", **LANE).t_grok
    assert json.loads(json.dumps(p.to_dict()))["settings"]["gamma"] == 0.3


_NONE = [
    10**400,
    -(10**400),
    10**5000,
    float("nan"),
    float("inf"),
    True,
    np.True_,
    None,
    1j,
    np.complex64(1),
    b"0.3",
    bytearray(b"1"),
    "x",
    "",
    [],
    [[0.3]],
    [0.3, 0.4],
    {0.3},
    {"a": 1},
    (x for x in [0.3]),
    itertools.count(),
    np.eye(2),
    np.datetime64(1, "s"),
    np.ma.masked,
    np.ma.array([1.0], mask=[True]),
    Decimal("nan"),
    Decimal("sNaN"),
    pd.NA,
    object(),
    Mute(),
    int,
    5e-324,
    1e308,
    "1" * 5000,
]


@pytest.mark.parametrize("given", _NONE, ids=[str(k) for k in range(len(_NONE))])
def test_no_number(given: Any) -> None:
    with pytest.raises(InputError, match=r"^gamma = .{1,70}: expected ") as told:
        number("gamma", given)
    assert str(told.value).isprintable()
    with pytest.raises(InputError, match=r"^gamma = "):
        gt.predict("teacher-student", **LANE | {"gamma": given})


@pytest.mark.parametrize(
    "given",
    [
        [1, 2],
        (1, 2),
        range(1, 3),
        np.array([1, 2]),
        np.array([1.0, 2.0]),
        pd.Series([1, 2], index=[7, 8]),
        ["1", "2"],
        [Decimal(1), Fraction(2)],
        np.array(["1", "2"]),
        {1: 0, 2: 0}.keys(),
    ],
)
def test_lists(given: Any) -> None:
    if not hasattr(given, "__getitem__"):  # a view of keys is a set
        with pytest.raises(InputError, match="not a dict_keys"):
            numbers("alpha", given)
        return
    assert numbers("alpha", given).tolist() == [1.0, 2.0]
    assert whole_numbers("seeds", given, 0) == [1, 2]
    found = gt.what_if("teacher-student", gamma=0.3, eta_d=3e-4, alpha=given)
    assert found["alpha"].values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "not an empty one"),
        (np.array([]), "not an empty one"),
        ({1, 2}, "not a set"),
        ({}, "not a dict"),
        ((x for x in [1]), "not a generator"),
        (itertools.count(), "not a count"),
        (np.eye(2), "in one dimension"),
        ([[1], [2, 3]], "in one dimension"),
        (pd.DataFrame({"1": [1]}), "in one dimension"),
        ([1, None], "= None"),
        ([1, True], "= True"),
        ([1, "x"], "= 'x'"),
        (np.array([1, np.nan]), "= nan"),
        ("0123x", "= '0123x'"),
        (np.ma.array([1.0, 2.0], mask=[False, True]), "= nan"),
        (range(10**12), "at most 1,000,000"),
        (range(10**23), "at most 1,000,000"),
        (np.array([1, 5e-324]), "1e-30"),
        (np.array([True]), "= True"),
    ],
)
def test_no_lists(given: Any, words: str) -> None:
    with pytest.raises(InputError, match=r"^alpha") as told:
        numbers("alpha", given)
    assert words in str(told.value)


@pytest.mark.parametrize(
    "given", [4, 4.0, "4", "4.0", Decimal(4), Fraction(4), np.int8(4), np.float32(4), [4]]
)
def test_whole_numbers(given: Any) -> None:
    found = whole_number("steps", given, 1)
    assert (found, type(found)) == (4, int)


@pytest.mark.parametrize(
    "given", [4.5, 0, -1, "x", True, None, float("nan"), float("inf"), 10**23, LARGEST + 1]
)
def test_no_whole_numbers(given: Any) -> None:
    with pytest.raises(InputError, match=r"^steps = .*: expected a whole number, 1 "):
        whole_number("steps", given, 1)


def test_exact_to_the_largest() -> None:
    assert whole_number("seed", LARGEST, 0) == 2**53 - 1
    assert whole_number("seed", str(LARGEST), 0) == LARGEST
    with pytest.raises(InputError, match="expected a list of whole numbers"):
        whole_numbers("seeds", "0123", 0, alone=False)


def test_minus_nothing_is_nothing() -> None:
    assert str(number("gamma", -0.0)) == str(numbers("gamma", np.array([-0.0]))[0]) == "0.0"


@pytest.mark.parametrize("given", [True, False, np.True_, np.array(True), 1, 0, 1.0])
def test_flags(given: Any) -> None:
    assert flag("paired", given) is bool(given)


@pytest.mark.parametrize("given", ["no", "True", 2, None, [], [True], float("nan"), np.array([True, False])])
def test_no_flags(given: Any) -> None:
    with pytest.raises(InputError, match=r"^paired = .*: expected True or False$"):
        flag("paired", given)


@pytest.mark.parametrize(
    "given", ["taste", "", None, 0, ["loss"], {}, np.array(["loss", "x"]), b"loss", Mute()]
)
def test_no_choice(given: Any) -> None:
    with pytest.raises(InputError, match=r"^metric = .*: expected 'accuracy' or 'loss'$"):
        choice("metric", given, ("accuracy", "loss"))


def test_choice_and_names() -> None:
    assert choice("metric", np.str_("loss"), ("accuracy", "loss")) == "loss"
    assert file_name("out", Path("a.nc")) == "a.nc"
    bad: list[tuple[Callable[[str, Any], str], Any]] = [
        (file_name, b"a.nc"),
        (file_name, 3),
        (file_name, ""),
        (file_name, "a\0b"),
        (text, None),
        (text, 3),
    ]
    for function, value in bad:
        with pytest.raises(InputError, match=r"^out = .*: expected "):
            function("out", value)


def test_values_in_sentences() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 1000)) == 60
    assert shown(10**5000) == "a value of type int"
    assert shown(Mute()) == "a value of type Mute"
    assert one_line("a\nb\udcff\x1b[31m é α") == r"a\nb\udcff\x1b[31m é α"
    assert str(InputError("a\nb")) == r"a\nb"


def test_combinations_are_counted_first() -> None:
    assert check_count("the runs", (1000, 1000)) == 1_000_000
    lots = np.geomspace(1e-3, 1, 100_000)
    with pytest.raises(InputError, match="10,000,000,000 combinations; expected at most 1,000,000"):
        gt.what_if("teacher-student", gamma=lots, eta_d=lots, alpha=2)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("seed", "x", "seed = 'x'"),
        ("seed", [0, 1], r"seed = \[0, 1\]"),
        ("metric", ["loss"], "metric = "),
        ("level", None, None),
        ("level", np.array([1, 2]), "level = "),
        ("m_rate", 3, "m_rate = 3"),
        ("wall", "no", "wall = 'no'"),
        ("threshold", [0.9, 0.8], "threshold = "),
        ("n_train", 10**23, "n_train = "),
        ("seed", 1.0, None),
        ("threshold", "0.9", None),
        ("sampled_steps", True, "sampled_steps = True"),
    ],
)
def test_options(name: str, value: Any, words: str | None) -> None:
    if words is None:
        assert gt.predict("teacher-student", **LANE, **{name: value}).report()
        return
    with pytest.raises(InputError, match=f"^{words}"):
        gt.predict("teacher-student", **LANE, **{name: value})
