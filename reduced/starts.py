"""The settings of a run, checked by name: what each may be, for one value or many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groktime.reduced.errors import InputError
from groktime.reduced.source import check_each

Floats = NDArray[np.float64]

SETTINGS: Mapping[str, tuple[str, Callable[[Floats], Any]]] = {
    "gamma": ("0 or more", lambda x: x >= 0),
    "eta_d": ("above 0", lambda x: x > 0),
    "eta_r": ("0 or more", lambda x: x >= 0),
    "alpha": ("above 0", lambda x: x > 0),
    "m": ("within [0, 1]", lambda x: 0 <= x <= 1),
}


def check_settings(name: str, values: ArrayLike) -> Floats:
    """The values of a setting as floats [n], or one sentence on what is wrong with them."""
    array = check_each(name, values, *SETTINGS[name])
    if array.ndim > 1 or not array.size:
        raise InputError(f"{name}: expected a number or a list of numbers")
    return array
