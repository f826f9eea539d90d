"""What people give for arguments: plausible, odd and impossible, as text and as values."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch


def _words(text: str) -> list[str]:
    return text.split()


HUGE = "1" + "0" * 23
_NASTY = ["", " ", "a\nb", "\udcff", HUGE, "1" * 5000]
_NAMES = ["", "$x$", "a\nb", "\udcff", "-x", "x" * 260]
NUMBERS = [
    *_words("0.1 1 3 0 -1 -0.0 nan inf -inf 5e-324 1e308 1e400 1e-30 1e30 0x10 1_0 ٣ x 1,5 1e3 True"),
    *_words("1:2:3 1:2:10000000000:log 1:2:2:lin 0:1:5 1e-300:1e300:5 -1:1:3:lin $x$ -- -x"),
    *_NASTY,
]
# numbers that are small, since so much work is done, or so large that they have to be refused
WHOLE = [*_words("1 2 3 0 -1 1e0 2.0 2.5 nan inf 1e400 x"), *_NASTY]
MANY = _words("1e10 1e23")
TASKS = [
    *_words("teacher-student addition own:task own:network own:nothing nowhere:task : :: os:getcwd"),
    *_words("../own:task own.py:task"),
    *_NAMES,
]
INPUTS = [
    *_words("plane.nc runs.nc path.nc teacher-student addition exists.nc folder.nc nowhere.nc . / own.py"),
    *["$x$ \udcff.nc", "a\nb.nc", "x" * 260 + ".nc", "/dev/null", *_NAMES],
]
OUTPUTS = [
    *_words("new.nc new.png new.csv new.svg $x$.png $x$.nc exists.nc exists.png folder.nc . / new new.txt"),
    *_words("nowhere/new.nc -x.nc /dev/null plane.nc exists.nc/new.nc report"),
    *["\udcff.nc", "\udcff.png", "a\nb.png", "x" * 260 + ".nc", "x" * 260 + ".png", "x" * 250 + ".nc"],
    *_NAMES,
]
FIGURES = [*_words("lu sizes gradients fig2 fig99"), *_NAMES]
WORDS = ["small", "official", "x", "0", *_NAMES]


class Mute:
    """Cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


_SPACE = {
    "np": np, "pd": pd, "torch": torch, "Decimal": Decimal, "Fraction": Fraction, "Path": Path,
    "itertools": itertools, "Mute": Mute,
}  # fmt: skip
_TEXTS = """
    0|1|2|3|4.0|0.3|-1|-0.0|5e-324|1e308|10**23|10**400|10**5000|-10**400|float('nan')|float('inf')|1j
    True|np.True_|None|[0.3]|'0.3'|Decimal('0.3')|Decimal('nan')|Decimal('sNaN')|Fraction(3, 10)
    np.float32(0.3)|np.float64(2)|np.int8(2)|np.array(0.3)|np.array([0.3, 0.4])|np.array([1, 2])
    np.array('0.3')|np.array([True])|np.eye(2)|np.array([])|np.ma.masked
    np.ma.array([1.0, 2.0], mask=[True, False])|np.datetime64(1, 's')|np.complex64(1)|np.longdouble(2)
    torch.tensor(0.3)|torch.tensor(2)|torch.tensor([1.0, 2.0])|torch.tensor(True)|torch.tensor(1j)
    torch.zeros(0)|torch.tensor(0.3, requires_grad=True)|range(2)|range(0)|range(1, 2)|range(10**12)
    range(10**23)|{0, 1}|{'a': 1}|{}|(x for x in (1, 2))|itertools.count()|pd.Series([0, 1])
    pd.Series([0.3])|pd.DataFrame({'1': [2]})|pd.NA|pd.Index([1])|'x'|''|'0123'|'1_0'|'a\\nb'|'$x$'
    b'1'|bytearray(b'1')|[]|()|[[1], [2, 3]]|[[0.3]]|[None]|[1, 'x']|[1, 1]|[2, 1]|[0, True]
    [float('nan')]|[10**23]|['0.3', '0.4']|object()|Mute()|[Mute()]|int|len|lambda: 1|Path('x')
    Path('.')|...|'nowhere/x.nc'|'a\\0b.nc'|'loss'|'accuracy'|torch.float64|torch.device('cpu')
    'cuda:99'|'meta'|'hpu'|np.str_('loss')
"""
VALUES: Mapping[str, Callable[[], Any]] = {
    text.strip(): functools.partial(eval, text.strip(), _SPACE)
    for text in _TEXTS.replace("\n", "|").split("|")
    if text.strip()
}
