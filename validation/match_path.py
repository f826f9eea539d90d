"""Whether a decay path belongs to runs; where it does not, one sentence on what would help."""

from __future__ import annotations

import numpy as np

from groktime.fullnet.runs import Runs
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.validation.match import configuration, free_norm, same_networks, same_settings, threshold_words

_RATIO = 1e-6  # by which η_R/η_D may differ for rounding


def check_path(path: DecayPath, runs: Runs, threshold: float | None, metric: str) -> list[str]:
    """Refuse a path of other networks than those of the runs; returns remarks on what the files do not say.

    Raises
    ------
    InputError : naming what differs.
    """
    here, there = path.dataset.attrs, runs.dataset.attrs

    def differ(name: str, a: object, b: object) -> InputError:
        return InputError(
            f"path: {name} is {a} in {path.source} and {b} in {runs.source}; "
            "expected a decay path of the networks that were trained"
        )

    free_norm(runs)
    for name in ("task", "loss", "optimizer", "representation"):
        a, b = str(here[name]), str(there[name])
        if name == "optimizer":
            b = b.lower()
        if a != b:
            raise differ(name, repr(a), repr(b))
    remarks = same_settings(path, runs, "a path")
    sizes = np.unique(runs.dataset["n_train"].values).astype(int)
    missing = [str(n) for n in sizes if n not in path.n_train]
    if missing:
        raise differ("n_train", ", ".join(map(str, path.n_train)), ", ".join(missing))
    if threshold is None and metric == "accuracy":
        a, b = threshold_words(path), threshold_words(runs)
        if a != b:
            raise differ("the threshold", a, b)
    if here["representation"] != "fixed":
        ratio = float(here["eta_r"]) / path.eta_d
        each = runs.dataset["eta_r"].values / runs.dataset["eta_d"].values
        other = each[~np.isclose(each, ratio, rtol=_RATIO, atol=0)]
        if other.size:
            raise differ("eta_R/eta_D", f"{ratio:g}", f"{other[0]:g}")
    if configuration(path):
        same_networks(path, runs)
    sampled, trained = configuration(path).get("batch"), int(there["batch"])
    if sampled is not None and int(sampled) != trained:
        remarks.append(
            f"{path.source} was sampled with {_batch(int(sampled))}, and {runs.source} trained with "
            f"{_batch(trained)}: what their noise does to the drift is not the same"
        )
    return remarks


def _batch(size: int) -> str:
    return f"batches of {size}" if size else "all samples in each step"
