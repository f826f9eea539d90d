"""Whether a landscape and runs belong together; where they do not, one sentence on what would help."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.fullnet.runs import Runs
from groktime.reduced.decay_path import MOMENTUM_SPEED, DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape

Floats = NDArray[np.float64]

# By how much an optimizer's decay and gradient are faster than η says. torch's momentum sums the
# last 1/(1 - 0.9) steps, of the decay as of the gradient; "adam" is without decay; "eq6" is Eq. 6 itself.
SPEED = {"adamw": 1.0, "sgd": 1.0, "adam": 1.0, "momentum": MOMENTUM_SPEED, "eq6": 1.0}
_W0 = 0.01  # the same seed of the same network starts with the same norm, but for rounding


def check_match(land: Landscape, runs: Runs, threshold: float | None, metric: str) -> list[str]:
    """Refuse what cannot be compared; returns remarks on what the files do not say.

    Raises
    ------
    InputError : naming what differs, and what would make the two comparable.
    """
    here, there = land.dataset.attrs, runs.dataset.attrs
    free_norm(runs)
    if land.task != runs.task:
        raise InputError(
            f"task: {land.source} is of {land.task!r} and {runs.source} of {runs.task!r}; "
            "expected a landscape and runs of one task"
        )
    if here["loss"] != there["loss"]:
        raise InputError(
            f"loss: {here['loss']!r} in {land.source} and {there['loss']!r} in {runs.source}; "
            "expected a landscape sampled with the loss that the runs were trained with"
        )
    remarks = same_settings(land, runs) + _same_sizes(land, runs)
    _same_threshold(land, runs, threshold, metric)
    _known_decay(runs)
    _same_messiness(land, runs)
    if configuration(land):
        same_networks(land, runs)
    stop = configuration(runs).get("stop_at")
    limit = threshold if threshold is not None else here["accuracy_threshold"]
    if metric == "accuracy" and stop is not None and limit > stop and runs.finished.any():
        remarks.append(
            f"the runs were stopped at test accuracy {stop:g}, below the threshold: those that had not "
            "passed it by then count as censored"
        )
    return remarks


def starts(land: Landscape, runs: Runs) -> dict[str, Floats]:
    """What `predict` is told of each run, [run]: the rates at which its optimizer really moves.

    A representation that is held fixed has the rate 0; n_train is the landscape's name for it.
    """
    ds = runs.dataset
    speed = SPEED[_optimizer(runs)]
    none = np.zeros(ds.sizes["run"])
    fixed = ds.attrs["representation"] == "fixed"
    return {
        "gamma": np.asarray(ds["gamma"].values, float),
        "eta_d": speed * np.asarray(ds["eta_d"].values, float),
        "eta_r": none if fixed else speed * np.asarray(ds["eta_r"].values, float),
        "alpha": np.asarray(ds["alpha"].values, float),
        "m": np.asarray(ds["m_start"].values, float),
        "n_train": none if land.n_train == [0] else np.asarray(ds["n_train"].values, float),
    }


def configuration(one: Landscape | DecayPath | Runs) -> Mapping[str, Any]:
    """With what a file was made, empty where it does not say."""
    found = json.loads(one.dataset.attrs["configuration"])
    return found if isinstance(found, Mapping) else {}


def _optimizer(runs: Runs) -> str:
    return str(runs.dataset.attrs["optimizer"]).lower()


def same_settings(land: Landscape | DecayPath, runs: Runs, what: str = "a landscape") -> list[str]:
    """Refuse another setting of the task; returns a remark where a file does not say."""
    here, there = (configuration(one).get("settings") for one in (land, runs))
    if not (isinstance(here, Mapping) and isinstance(there, Mapping)):
        silent = land.source if not isinstance(here, Mapping) else runs.source
        return [f"{silent} does not say with which settings of the task it was made: they were not checked"]
    for name in sorted({*here, *there}):
        a, b = here.get(name), there.get(name)
        if a != b:
            raise InputError(
                f"{name}: {a} in {land.source} and {b} in {runs.source}; expected one value: "
                f"sample {what} with {name} = {b}, or train with {name} = {a}"
            )
    return []


def _same_sizes(land: Landscape, runs: Runs) -> list[str]:
    sizes = np.unique(runs.dataset["n_train"].values).astype(int)
    if land.n_train == [0]:
        if len(sizes) > 1:
            raise InputError(
                f"n_train: {runs.source} has {', '.join(map(str, sizes))} and {land.source} does not say "
                "its own; expected runs of one size of the training set"
            )
        return [f"{land.source} does not say its n_train: taken as that of the runs, {sizes[0]}"]
    missing = [str(n) for n in sizes if n not in land.n_train]
    if missing:
        raise InputError(
            f"n_train: {runs.source} has {', '.join(missing)}, and {land.source} only "
            f"{', '.join(map(str, land.n_train))}; expected a landscape sampled with the runs' n_train"
        )
    return []


def _same_threshold(land: Landscape, runs: Runs, threshold: float | None, metric: str) -> None:
    if threshold is not None or metric != "accuracy":
        return
    told = threshold_words(land), threshold_words(runs)
    if told[0] != told[1]:
        raise InputError(
            f"threshold: test accuracy {told[0]} in {land.source} and {told[1]} in {runs.source}; "
            "expected a threshold for both, threshold=… (--threshold)"
        )


def threshold_words(one: Landscape | DecayPath | Runs) -> str:
    """The test accuracy that a file counts as generalised."""
    relative = " of the ceiling" if one.dataset.attrs["threshold_relative"] else ""
    return f"{one.dataset.attrs['accuracy_threshold']:g}{relative}"


def free_norm(runs: Runs) -> None:
    """Refuse runs whose norm was held."""
    if runs.constrained:
        raise InputError(
            f"constrained: the networks of {runs.source} were held at their first norm, on which no decay "
            "acts; expected runs trained without it"
        )


def _known_decay(runs: Runs) -> None:
    name = _optimizer(runs)
    if name not in SPEED:
        raise InputError(
            f"optimizer: {runs.source} was trained with {name!r}, whose law of decay is not known; "
            f"expected runs trained with {', '.join(SPEED)}"
        )
    if name == "adam" and np.any(runs.dataset["gamma"].values > 0):
        raise InputError(
            f"optimizer: Adam's decay in {runs.source} goes through its normalisation and has no law in "
            "gamma; expected runs trained with 'adamw', whose decay is decoupled"
        )


def _same_messiness(land: Landscape, runs: Runs) -> None:
    start = runs.dataset["m_start"].values
    if land.two_dimensional:
        if np.isnan(start).any():
            raise InputError(
                f"m: {land.source} is a landscape of (w, m), and {runs.source} has no m_start; "
                "expected runs that start at a messiness m, or a landscape of w alone"
            )
        return
    known = start[~np.isnan(start)]
    if known.size and (runs.dataset.attrs["representation"] != "fixed" or np.any(known != land.m[0])):
        other = known[known != land.m[0]]
        raise InputError(
            f"m: {runs.source} starts at m = {(other if other.size else known)[0]:g} with a representation "
            f"that is {runs.dataset.attrs['representation']!r}, and {land.source} was sampled at "
            f"m = {land.m[0]:g} alone; expected a landscape of (w, m)"
        )


def same_networks(land: Landscape | DecayPath, runs: Runs) -> None:
    """Refuse a seed that does not start with the same norm in both."""
    norms = dict(zip(land.seeds, land.dataset["w0"].values, strict=True))
    seeds, starts = runs.dataset["seed"].values.astype(int), runs.dataset["w0"].values
    for seed, w0 in zip(seeds, starts, strict=True):
        if seed in norms and abs(np.log(w0 / norms[seed])) > _W0:
            raise InputError(
                f"w0: seed {seed} starts with norm {norms[seed]:.4g} in {land.source} and {w0:.4g} in "
                f"{runs.source}: another network; expected both of one network"
            )
