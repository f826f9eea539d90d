"""Several forecasts of the same networks as one: settings that were forecast apart, or seed by seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groktime.reduced.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

    from groktime.reduced.forecast import Forecast

_APART = ("seconds", "configuration")  # attributes that say how it was made
_FLAGS, _COUNTS = ("diverged",), ("real_steps",)


def joined(forecasts: Sequence[Forecast]) -> xr.Dataset:
    """The arrays of all of them on their common grid of seeds, gamma, eta_d and alpha, which they have to
    fill; `seconds` are added up. A cell that several have has to be the same in all.

    Raises
    ------
    InputError : naming the forecast and what does not fit.
    """
    import xarray as xr

    if not forecasts:
        raise InputError("join: no forecast; expected one or more")
    first = forecasts[0]
    for one in forecasts[1:]:
        for name, value in first.attrs.items():
            if name not in _APART and not _equal(one.attrs[name], value):
                raise InputError(
                    f"join: {one.source} has {name} = {one.attrs[name]}, and {first.source} {value}; "
                    "expected forecasts of the same networks"
                )
    made = [_floating(one.dataset) for one in forecasts]
    try:
        whole = xr.merge(made, join="outer", compat="no_conflicts", combine_attrs="override")
    except (xr.MergeError, ValueError) as error:
        raise InputError(
            "join: a network that several of the forecasts have is not the same in them; expected each once"
        ) from error
    whole["real_steps"] = whole["real_steps"].fillna(0).astype(np.int64)
    whole["diverged"] = whole["diverged"].fillna(0).astype(bool)
    if not (whole["real_steps"].sum("efold") > 0).all():
        raise InputError(
            "join: the forecasts do not fill the grid of all their seeds, gamma, eta_d and alpha; "
            "expected every combination"
        )
    whole.attrs = {**first.attrs, "seconds": float(sum(one.seconds for one in forecasts))}
    whole.attrs["configuration"] = json.dumps(
        {"joined": [json.loads(one.attrs["configuration"]) for one in forecasts]}
        | {"batch": json.loads(first.attrs["configuration"])["batch"]}
    )
    return whole


def _floating(dataset: xr.Dataset) -> xr.Dataset:
    """Counts and flags as numbers that can be missing where another forecast has more resolutions."""
    return dataset.assign({name: dataset[name].astype(float) for name in (*_FLAGS, *_COUNTS)})


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, str) and one.startswith("{"):
        return bool(json.loads(one) == json.loads(other))
    return bool(one == other)
