"""Whether what predicts belongs to the runs; where it does not, one sentence on what would help.

One list of checks for landscapes and decay paths. Each looks at what a file says and passes where it says
nothing; a source without a file, such as a law, has nothing that could be checked but the runs themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from groktime.fullnet.logs.reading import UNKNOWN
from groktime.fullnet.runs import Runs
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape
from groktime.reduced.law import RULES, said_of

# Optimizers whose law of decay is known; "adam" is without decay; "eq6" is Eq. 6 itself. SGD with momentum
# and without are one: the same flow at another speed.
KNOWN = (*RULES, "eq6")
_SAME = {"momentum": "sgd", "sgdw": "sgd"}
_W0 = 0.01  # the same seed of the same network starts with the same norm, but for rounding
_RATIO = 1e-6  # by which η_R/η_D may differ for rounding
_ASKED = ("gamma", "eta_d", "alpha", "n_train")  # what a prediction is asked with; a log may lack it
_NAMES = ("task", "loss", "representation")  # of the last a landscape says nothing

Sampled = Landscape | DecayPath


def check_match(one: Sampled | None, runs: Runs, threshold: float | None, metric: str) -> list[str]:
    """Refuse what cannot be compared; returns remarks on what the files do not say.

    `one` is None for a source that is made from no file. A `threshold` that is given counts for all.

    Raises
    ------
    InputError : naming what differs, and what would make the two comparable.
    """
    _log_tells(runs)
    _free_norm(runs)
    if one is None:
        _known_decay(runs)
        return []
    remarks = _same_names(one, runs) + _same_settings(one, runs)
    remarks += _same_sizes(one, runs)
    if threshold is None and metric == "accuracy":
        _same_threshold(one, runs)
    _known_decay(runs)
    remarks += _same_rule(one, runs) if isinstance(one, DecayPath) else []
    remarks += _same_decaying(one, runs)
    _same_rates(one, runs)
    _same_messiness(one, runs)
    if configuration(one):
        _same_networks(one, runs)
    return remarks + _same_batch(one, runs)


def speeds(one: Sampled | None, runs: Runs) -> tuple[float, float]:
    """By what a source that takes its own law for the runs' has to be given η and γ multiplied, so that it
    follows the gradient, and decays, as fast as they do. Only a decay path has a law of its own."""
    law = runs.law
    pace, speed = (one.law.pace, one.law.speed) if isinstance(one, DecayPath) else (1.0, 1.0)
    eta = law.pace / pace
    return eta, law.speed / speed / eta


def configuration(one: Sampled | Runs) -> Mapping[str, Any]:
    """With what a file was made, empty where it does not say."""
    found = json.loads(one.dataset.attrs["configuration"])
    return found if isinstance(found, Mapping) else {}


def _what(one: Sampled) -> str:
    return "decay path" if isinstance(one, DecayPath) else "landscape"


def _log_tells(runs: Runs) -> None:
    """Whether a log tells what a prediction is asked with."""
    missing = [name for name in _ASKED if np.isnan(runs.dataset[name].values.astype(float)).any()]
    missing += ["optimizer"] if runs.imported and runs.dataset.attrs["optimizer"] == UNKNOWN else []
    if missing:
        flags = " ".join(f"--{name.replace('_', '-')} X" for name in missing)
        raise InputError(
            f"{runs.source}: does not tell {', '.join(missing)}, with which every prediction is asked; "
            f"expected columns of these names, or {flags} (import_runs(…, {missing[0]}=…))"
        )


def _same_names(one: Sampled, runs: Runs) -> list[str]:
    here, there = one.dataset.attrs, runs.dataset.attrs
    silent = [name for name in _NAMES if runs.imported and there[name] == UNKNOWN]
    for name in _NAMES:
        if name in silent:
            continue
        if name in here and str(here[name]) != str(there[name]):
            raise InputError(
                f"{name}: {str(here[name])!r} in {one.source} and {str(there[name])!r} in {runs.source}; "
                f"expected a {_what(one)} of the networks that were trained"
            )
    return [f"{runs.source} does not tell its {name}: taken as that of {one.source}" for name in silent]


def _same_settings(one: Sampled, runs: Runs) -> list[str]:
    here, there = (configuration(x).get("settings") for x in (one, runs))
    if not (isinstance(here, Mapping) and isinstance(there, Mapping)):
        silent = one.source if not isinstance(here, Mapping) else runs.source
        return [f"{silent} does not say with which settings of the task it was made: they were not checked"]
    for name in sorted({*here, *there}):
        a, b = here.get(name), there.get(name)
        if a != b:
            raise InputError(
                f"{name}: {a} in {one.source} and {b} in {runs.source}; expected one value: "
                f"sample a {_what(one)} with {name} = {b}, or train with {name} = {a}"
            )
    return []


def _same_sizes(one: Sampled, runs: Runs) -> list[str]:
    sizes = np.unique(runs.dataset["n_train"].values).astype(int)
    if one.n_train == [0]:
        if len(sizes) > 1:
            raise InputError(
                f"n_train: {runs.source} has {', '.join(map(str, sizes))} and {one.source} does not say "
                "which it has; expected runs of one size of the training set"
            )
        return [f"{one.source} does not say its n_train: taken as that of the runs, {sizes[0]}"]
    missing = [str(n) for n in sizes if n not in one.n_train]
    if missing:
        raise InputError(
            f"n_train: {runs.source} has {', '.join(missing)}, and {one.source} only "
            f"{', '.join(map(str, one.n_train))}; expected a {_what(one)} sampled with the runs' n_train"
        )
    return []


def _same_threshold(one: Sampled, runs: Runs) -> None:
    words = _threshold_words(one), _threshold_words(runs)
    if words[0] != words[1]:
        raise InputError(
            f"threshold: test accuracy {words[0]} in {one.source} and {words[1]} in {runs.source}; "
            "expected a threshold for both, threshold=… (--threshold)"
        )


def _threshold_words(one: Sampled | Runs) -> str:
    """The test accuracy that a file counts as generalized."""
    relative = " of the ceiling" if one.dataset.attrs["threshold_relative"] else ""
    return f"{one.dataset.attrs['accuracy_threshold']:g}{relative}"


def _free_norm(runs: Runs) -> None:
    if runs.constrained:
        raise InputError(
            f"constrained: the networks of {runs.source} were kept at their first norm, on which no decay "
            "acts; expected runs trained without it"
        )


def _known_decay(runs: Runs) -> None:
    law = runs.law
    if law.rule not in KNOWN:
        raise InputError(
            f"optimizer: {runs.source} was trained with {law.rule!r}, whose law of decay is not known; "
            f"expected runs trained with {', '.join(KNOWN)}"
        )
    decays, adam = bool(np.any(runs.dataset["gamma"].values > 0)), law.rule.startswith("adam")
    if decays and (law.rule == "adam" or (adam and law.coupled)):
        raise InputError(
            f"optimizer: Adam's decay in {runs.source} goes through its normalization and has no law in "
            "gamma; expected runs trained with 'adamw', whose decay is decoupled"
        )
    named = str(runs.dataset.attrs["optimizer"])
    if decays and named == "SGD" and "momentum" not in said_of(runs.dataset.attrs):
        raise InputError(
            f"optimizer: {runs.source} was trained with torch's 'SGD' and does not say its momentum; "
            'expected it in the attribute law, Runs.assemble(…, law={"momentum": …})'
        )


def _same_rule(one: DecayPath, runs: Runs) -> list[str]:
    """The optimizer's metric decides which way networks drift; its momentum only how fast."""
    here, there = one.law, runs.law
    if _SAME.get(here.rule, here.rule) != _SAME.get(there.rule, there.rule):
        raise InputError(
            f"optimizer: {here.rule!r} in {one.source} and {there.rule!r} in {runs.source}; "
            "expected a decay path of the networks that were trained"
        )
    remarks = []
    if here.momentum != there.momentum:
        remarks.append(
            f"{one.source} was sampled with momentum {here.momentum:g}, and {runs.source} trained with "
            f"{there.momentum:g}: one flow at another speed, as long as the steps are small"
        )
    if here.betas and there.betas and here.betas != there.betas:
        remarks.append(
            f"{one.source} was sampled with betas {_pair(here.betas)}, and {runs.source} trained with "
            f"{_pair(there.betas)}: Adam's steps are not quite the same"
        )
    return remarks


def _pair(betas: tuple[float, float]) -> str:
    return " and ".join(f"{b:g}" for b in betas)


def _same_decaying(one: Sampled, runs: Runs) -> list[str]:
    """The norm w is that of the parameters that decay: both have to mean the same ones."""
    here, there = (sorted(set(x.law.no_decay)) for x in (one, runs))
    if here == there:
        return []
    if "no_decay" not in said_of(one.dataset.attrs) and not configuration(one):
        return [f"{one.source} does not say which parameters decay: taken as those of {runs.source}"]
    words = [", ".join(map(repr, names)) or "every parameter" for names in (here, there)]
    head = [f"without {w}" if names else f"with {w}" for w, names in zip(words, (here, there), strict=True)]
    raise InputError(
        f"no_decay: {one.source} has the decay {head[0]} and {runs.source} {head[1]}; "
        f"expected a {_what(one)} of the same norm"
    )


def _same_rates(one: Sampled, runs: Runs) -> None:
    """A decay path holds for one η_R/η_D, unless its representation is fixed."""
    if not isinstance(one, DecayPath) or one.dataset.attrs["representation"] == "fixed":
        return
    ratio = float(one.dataset.attrs["eta_r"]) / one.eta_d
    each = runs.dataset["eta_r"].values / runs.dataset["eta_d"].values
    other = each[~np.isclose(each, ratio, rtol=_RATIO, atol=0)]
    if other.size:
        raise InputError(
            f"eta_R/eta_D: {ratio:g} in {one.source} and {other[0]:g} in {runs.source}; "
            "expected a decay path sampled at the ratio of the runs"
        )


def _same_messiness(one: Sampled, runs: Runs) -> None:
    """A start outside of a decay path's is a status; a landscape has to be of the right kind."""
    if isinstance(one, DecayPath):
        return
    start = runs.dataset["m_start"].values
    if one.two_dimensional:
        if np.isnan(start).any():
            raise InputError(
                f"m: {one.source} is a landscape of (w, m), and {runs.source} has no m_start; "
                "expected runs that start at a messiness m, or a landscape of w alone"
            )
        return
    known = start[~np.isnan(start)]
    if known.size and (runs.dataset.attrs["representation"] != "fixed" or np.any(known != one.m[0])):
        other = known[known != one.m[0]]
        raise InputError(
            f"m: {runs.source} starts at m = {(other if other.size else known)[0]:g} with a representation "
            f"that is {runs.dataset.attrs['representation']!r}, and {one.source} was sampled at "
            f"m = {one.m[0]:g} alone; expected a landscape of (w, m)"
        )


def _same_networks(one: Sampled, runs: Runs) -> None:
    norms = dict(zip(one.seeds, one.dataset["w0"].values, strict=True))
    for seed, w0 in zip(runs.seeds, runs.dataset["w0"].values, strict=True):
        if seed in norms and abs(np.log(w0 / norms[seed])) > _W0:
            raise InputError(
                f"w0: seed {seed} starts with norm {norms[seed]:.4g} in {one.source} and {w0:.4g} in "
                f"{runs.source}: another network; expected both of one network"
            )


def _same_batch(one: Sampled, runs: Runs) -> list[str]:
    sampled, trained = configuration(one).get("batch"), int(runs.dataset.attrs["batch"])
    if not isinstance(one, DecayPath) or sampled is None or int(sampled) == trained:
        return []
    return [
        f"{one.source} was sampled with {_batch(int(sampled))}, and {runs.source} trained with "
        f"{_batch(trained)}: what their noise does to the drift is not the same"
    ]


def _batch(size: int) -> str:
    return f"batches of {size}" if size else "all samples in each step"
