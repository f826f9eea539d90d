"""The settings of a run and the options of a prediction, by name: what each may be, for one value or many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from groktime.reduced.arguments import Floats, choice, flag, number, numbers, whole_number

Kind = tuple[str, Callable[[float], Any]]  # what a number is expected to be, in words and as a test

POSITIVE: Kind = "above 0", lambda x: x > 0
SETTINGS: Mapping[str, Kind] = {
    "gamma": ("0 or more", lambda x: x >= 0),
    "eta_d": POSITIVE,
    "eta_r": ("0 or more", lambda x: x >= 0),
    "alpha": POSITIVE,
    "m": ("within [0, 1]", lambda x: 0 <= x <= 1),
}
_OPTIONAL = ("eta_r", "m")
METRICS = ("accuracy", "loss")
M_RATES = ("eq6", "representation")

_OPTIONS: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("n_train", "sampled_steps", "seed"), partial(whole_number, least=0)),
    "threshold": partial(number, expected=POSITIVE[0], holds=POSITIVE[1]),
    "metric": partial(choice, known=METRICS),
    "level": partial(number, expected="above 0, a training loss", holds=lambda x: x > 0),
    "m_rate": partial(choice, known=M_RATES),
    **dict.fromkeys(("implicit", "onset"), partial(number, expected="0 or more", holds=lambda x: x >= 0)),
    "wall": flag,
}


def check_start(**given: Any) -> dict[str, float]:
    """Each setting's one value, or one sentence on what is wrong with it; eta_r and m may be None."""
    return {k: number(k, given[k], *SETTINGS[k]) for k in _known(given)}


def check_settings(**given: Any) -> dict[str, Floats]:
    """Each setting's values as floats [n], or one sentence on what is wrong with them; eta_r and m may be
    None. In the order of the table."""
    return {k: numbers(k, given[k], *SETTINGS[k]) for k in _known(given)}


def _known(given: Mapping[str, Any]) -> list[str]:
    return [k for k in SETTINGS if k in given and not (k in _OPTIONAL and given[k] is None)]


def check_option(name: str, value: Any) -> Any:
    """An option of a prediction; None where it is not given."""
    return None if value is None else _OPTIONS[name](name, value)
