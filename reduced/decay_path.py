"""The decay-path file: networks that drift along their zero-loss valley, recorded against τ = ηγt.

A path has dims `seed, n_train, m_start, alpha, refit, tau` and is stored as NetCDF-4. `refit` are the
optimizer steps between two shrinks of the weights by e^(-dtau): the resolution. A curve ends, and is NaN
from there on, where its network was done or diverged.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groktime.reduced import json_text
from groktime.reduced.law import LAW, RULES, DecayLaw, law_is_one, law_of, stored
from groktime.reduced.schema import (
    FROM_ONE,
    FROM_ZERO,
    SIZE,
    UNIT,
    Attribute,
    Axis,
    Checked,
    Column,
    Range,
    Schema,
)
from groktime.reduced.stored import Gridded

Floats = NDArray[np.float64]

SCHEMA = "groktime-path/1"
STARTS = ("seed", "n_train", "m_start", "alpha")
DIMS = (*STARTS, "refit", "tau")
CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm", "m")


def _records_are_even(checked: Checked) -> None:
    """`tau` is 0, dtau, 2 dtau, …"""
    tau, dtau = checked.arrays["tau"].values, float(checked.arrays.attrs["dtau"])
    if tau.size < 2 or not np.allclose(tau, dtau * np.arange(tau.size), rtol=0, atol=1e-6 * dtau):
        checked.wrong(f"axis tau is not 0, dtau, 2 dtau, … with dtau = {dtau:g}")


def _curves_end_in_nan(checked: Checked) -> None:
    """A curve is finite up to where it ends, and NaN from there on."""
    for name in CURVES:
        values = np.asarray(checked.arrays[name].values, float)
        known = ~np.isnan(values)
        gap = known != (np.arange(values.shape[-1]) < known.sum(-1)[..., None])
        checked.nowhere(name, gap, "a gap: a curve is finite up to where it ends, and NaN from there on")


def _curve(name: str, meaning: str, unit: str = "1", range: Range = FROM_ZERO) -> Column:
    return Column(name, DIMS, meaning, unit, range=range, missing="somewhere", packed=True)


PATH = Schema(
    SCHEMA,
    "a groktime decay path",
    axes=(
        Axis("seed", "random seed", kind="integer"),
        Axis("n_train", "training-set size", "samples", "integer", FROM_ZERO),
        Axis("m_start", "messiness at the start", range=UNIT),
        Axis("alpha", "weight norm relative to initialization", "w / w0", range=SIZE),
        Axis("refit", "optimizer steps from shrink to shrink", "optimizer steps", "integer", FROM_ONE),
        Axis("tau", "learning rate * weight decay * steps", range=FROM_ZERO),
    ),
    columns=(
        _curve("train_loss", "training loss"),
        _curve("test_loss", "test loss"),
        _curve("train_accuracy", "training accuracy", range=UNIT),
        _curve("test_accuracy", "test accuracy", range=UNIT),
        _curve("weight_norm", "L2 norm of the weights that decay"),
        _curve("m", "messiness", range=Range()),
        Column("t_fit", STARTS, "steps to 95 % training accuracy, NaN where the training set was not fitted",
               "optimizer steps", range=FROM_ZERO, missing="somewhere"),
        Column("fit_end", STARTS, "steps before the first shrink", "optimizer steps", missing="somewhere"),
        Column("diverged", DIMS[:-1], "whether the network diverged", kind="flag"),
        Column("w0", ("seed",), "L2 norm of the weights that decay at initialization", range=SIZE),
    ),
    attributes=(
        Attribute("task", "text", "name of the task"),
        Attribute("loss", "text", "what the losses are"),
        Attribute("accuracy_threshold", "number", "test accuracy that counts as generalized",
                  Range(0, 1, open_low=True)),
        Attribute("threshold_relative", "flag", "whether the threshold is a fraction of the ceiling"),
        Attribute("stop_rule", "text", "when a network was done"),
        Attribute("eta_d", "number", "learning rate of the network, per optimizer step", SIZE),
        Attribute("eta_r", "number", "learning rate of the representation, per optimizer step", FROM_ZERO,
                  nan=True),
        Attribute("dtau", "number", "τ from record to record", SIZE),
        Attribute("optimizer", "text", "what trained the networks", choices=RULES),
        Attribute("representation", "text", "how the representation moves"),
        Attribute("fit", "text", "whether the training set was fitted first, without decay, or along it",
                  choices=("first", "along"), default="first"),
        LAW,
        Attribute("configuration", "json", "settings of the sampler",
                  entries=(Attribute("batch", "integer", "samples a step, 0 for all", FROM_ZERO),)),
    ),
    rules=(_records_are_even, _curves_end_in_nan, law_is_one),
)  # fmt: skip


class DecayPath(Gridded):
    """Decay paths of one task. `source` is the file or name it came from."""

    SCHEMA = PATH
    SHIPPED = "paths"

    @staticmethod
    def assemble(
        *,
        coords: Mapping[str, Any],
        curves: Mapping[str, NDArray[Any]],
        t_fit: NDArray[Any],
        w0: NDArray[Any],
        fit_end: NDArray[Any] | None = None,
        diverged: NDArray[Any] | None = None,
        eta_d: float,
        eta_r: float | None = None,
        dtau: float,
        optimizer: str = "adamw",
        representation: str = "fixed",
        fit: str = "along",
        task: str = "user",
        loss: str = "loss",
        threshold: float = 0.95,
        threshold_relative: bool = False,
        stop_rule: str = "given as arrays",
        law: DecayLaw | Mapping[str, Any] | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> DecayPath:
        """A path from full arrays: curves [seed, n_train, m_start, alpha, refit, tau] (those left out are
        NaN), `diverged` without the last, `t_fit` and `fit_end` without the last two, `w0` [seed].
        `law`: what is known of the optimizer's beside its name, such as {"momentum": 0.95}."""
        shape = tuple(len(coords[name]) for name in DIMS)
        empty = np.full(shape, np.nan)
        values = {k: coords[k] for k in DIMS} | {k: curves.get(k, empty) for k in CURVES}
        values |= {"t_fit": t_fit, "fit_end": t_fit if fit_end is None else fit_end, "w0": w0}
        values["diverged"] = np.zeros(shape[:-1], bool) if diverged is None else diverged
        attrs = {
            "task": task,
            "loss": loss,
            "accuracy_threshold": float(threshold),
            "threshold_relative": int(threshold_relative),
            "stop_rule": stop_rule,
            "eta_d": float(eta_d),
            "eta_r": float(eta_d if eta_r is None else eta_r),
            "dtau": float(dtau),
            "optimizer": optimizer,
            "representation": representation,
            "fit": fit,
            "law": stored(law),
            "configuration": json_text.dump(configuration),
        }
        return DecayPath(PATH.arrays(values, attrs, task), task)

    @property
    def tau(self) -> Floats:
        """τ of the records, from 0 in steps of `dtau`."""
        return np.asarray(self["tau"].values, float)

    @property
    def m_start(self) -> Floats:
        """Messiness at the start, ascending."""
        return np.asarray(self["m_start"].values, float)

    @property
    def refit(self) -> list[int]:
        """Optimizer steps from shrink to shrink, ascending: the resolutions."""
        return self._whole("refit")

    @property
    def eta_d(self) -> float:
        return float(self.attrs["eta_d"])

    @property
    def dtau(self) -> float:
        return float(self.attrs["dtau"])

    @property
    def law(self) -> DecayLaw:
        """By which law the networks decay that it was sampled for. The path itself follows the warm-up of its
        schedule, and then the full rate."""
        return law_of(self.attrs)

    @property
    def speed(self) -> float:
        """How much faster than ηγ the optimizer decays."""
        return self.law.speed

    @property
    def gamma_eff(self) -> Floats:
        """The weight decay γ that each resolution amounts to, [refit]: dtau is spent in `refit` steps."""
        return self.dtau / (np.array(self.refit) * self.eta_d * self.speed)

    @property
    def fit(self) -> str:
        """Whether the training set was fitted "first", without decay, or "along" the path."""
        return str(self.attrs["fit"])

    def w0(self, seed: int) -> float:
        """Norm of a seed's network as it was initialized."""
        return float(self["w0"].values[self.place("seed", seed)])


def open_path(path: str | os.PathLike[str]) -> DecayPath:
    """Open a shipped decay path by name (`shipped("paths")`) or a file by path.

    Raises
    ------
    InputError : naming the file, the variable and what was expected.
    """
    return DecayPath.open(path)


def path_of(given: DecayPath | str | os.PathLike[str]) -> DecayPath:
    """A decay path itself, or the one in a file."""
    return DecayPath.of(given)
