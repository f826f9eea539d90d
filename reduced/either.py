"""`predict` and `what_if` from either source: a sampled landscape, or a decay path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import xarray as xr

from groktime.reduced import decay_path, landscape, prediction
from groktime.reduced import what_if as of_landscape
from groktime.reduced.decay_path import SCHEMA, DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.files import read_dataset
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.path_prediction import PathPrediction, predict_on_path
from groktime.reduced.path_what_if import what_if_on_path
from groktime.reduced.prediction import Prediction

_OF_LANDSCAPES = {
    "eta_r": "the path was sampled with eta_R/eta_D = {ratio:g}, which holds for every eta_D",
    "sampled_steps": "a path has no sampling budget; its resolution is refit",
    "level": "a path has no contour",
    "m_rate": "a path moves m as the networks do",
    "wall": "a path has no wall, and its numerical error is always in low and high",
}
_DEFAULTS = {"m_rate": "eq6", "wall": False}


@overload
def predict(source: Landscape, **settings: Any) -> Prediction: ...


@overload
def predict(source: DecayPath, **settings: Any) -> PathPrediction: ...


@overload
def predict(source: Landscape | DecayPath, **settings: Any) -> Prediction | PathPrediction: ...


def predict(source: Landscape | DecayPath, **settings: Any) -> Prediction | PathPrediction:
    """Predict when a network that starts at w = alpha w0 generalises, before it is trained.

    Parameters
    ----------
    source : a landscape (`reduced.prediction.predict` has the settings) or a decay path
        (`reduced.path_prediction.predict_on_path`).
    gamma, eta_d : decoupled weight decay, and learning rate of the network, per step.
    alpha, m : start: norm over the norm at initialisation, messiness.
    n_train, seed, threshold, metric : which size and seed, and what counts as generalised.
    eta_r, sampled_steps, level, m_rate : of landscapes only; implicit : of paths only.

    Raises
    ------
    InputError : naming the argument and what was expected.
    """
    settings = refuse(source, settings, "predict")
    if isinstance(source, Landscape):
        return prediction.predict(source, **settings)
    return predict_on_path(source, **settings)


def what_if(source: Landscape | DecayPath, **settings: Any) -> xr.Dataset:
    """Grokking times over every combination of the swept settings, as an `xarray.Dataset`.

    What is given as a list (gamma, eta_d, alpha, m, and of landscapes eta_r) becomes a dimension of the
    result. `reduced.what_if.what_if` has the settings and the variables for a landscape,
    `reduced.path_what_if.what_if_on_path` those for a decay path; `predict` what they mean.

    Raises
    ------
    InputError : naming the argument and what was expected.
    """
    settings = refuse(source, settings, "what_if")
    if isinstance(source, Landscape):
        return of_landscape.what_if(source, **settings)
    return what_if_on_path(source, **settings)


def refuse(source: object, settings: Mapping[str, Any], verb: str) -> dict[str, Any]:
    """The settings that the source takes; refused are those that only the other kind does, and whatever
    is neither."""
    if isinstance(source, Landscape):
        if settings.get("implicit"):
            raise InputError(
                f"implicit: {source.source} is a landscape, which takes no implicit decay; leave it out"
            )
        return {name: value for name, value in settings.items() if name != "implicit"}
    if not isinstance(source, DecayPath):
        raise InputError(f"{verb}: expected a Landscape or a DecayPath, not {type(source).__name__}")
    for name, why in _OF_LANDSCAPES.items():
        given = settings.get(name)
        if given is not None and not (name in _DEFAULTS and given == _DEFAULTS[name]):
            attrs = source.dataset.attrs
            why = why.format(ratio=float(attrs["eta_r"]) / float(attrs["eta_d"]))
            raise InputError(f"{name}: {source.source} is a decay path; {why}; leave {name} out")
    return {name: value for name, value in settings.items() if name not in _OF_LANDSCAPES}


def open_either(name: str | Path) -> Landscape | DecayPath:
    """A decay-path file, or a landscape by name or path."""
    path = Path(name)
    if not path.is_file():  # a shipped landscape, or a mistake that `open_landscape` tells
        return open_landscape(name)
    dataset = read_dataset(path, "a groktime landscape or decay path")
    if dataset.attrs.get("schema") == SCHEMA:
        return DecayPath(decay_path.checked(dataset, str(path)), str(path))
    return Landscape(landscape.checked(dataset, str(path)), str(name))
