"""The table that landscape files are checked, written and documented by."""

from __future__ import annotations

import numpy as np

from groktime.reduced.drift import CUTOFF, FIELDS, LOOP
from groktime.reduced.law import LAW, law_is_one
from groktime.reduced.schema import FROM_ZERO, SIZE, UNIT, Attribute, Axis, Checked, Column, Range, Schema

SCHEMA = "groktime-landscape/1"
DIMS = ("seed", "n_train", "budget", "m", "alpha")
APART = 1e-6  # of an axis; points that are nearer have no slope between them that could be believed
_CELLS = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
_FOOT = ("seed", "n_train", "m")
_DRIFT = ("seed", "n_train", "cutoff", "m", "alpha")


def _cells_are_finite(checked: Checked) -> None:
    """A cell is NaN where its network `diverged`; what was not measured, throughout m and alpha."""
    arrays, ranges = checked.arrays, {c.name: c.range for c in checked.schema.columns}
    diverged = arrays["diverged"].values.astype(bool) if "diverged" in arrays else False
    for name in _CELLS:
        values = np.asarray(arrays[name].values, float)
        known = np.isfinite(values)
        never = np.isnan(values).all((-2, -1), keepdims=True) & (name != "train_loss")
        unknown = ~known & ~never & ~(np.isnan(values) & diverged)
        checked.nowhere(name, unknown, f"expected a number {ranges[name]}")


def _drift_is_whole(checked: Checked) -> None:
    """The variables of the drift come together, with ascending cutoffs."""
    there = [name in checked.arrays for name in (CUTOFF, *FIELDS)]
    if any(there) and not all(there):
        names = ", ".join((CUTOFF, *FIELDS))
        checked.wrong(f"has some of {names}; expected all of them, or none")
    if all(there):
        values = np.asarray(checked.arrays[CUTOFF].values, float)
        checked.nowhere(CUTOFF, np.diff(values, prepend=0.0) <= 0, "expected ascending values")


LANDSCAPE = Schema(
    SCHEMA,
    "a groktime landscape",
    axes=(
        Axis("seed", "random seed", kind="integer"),
        Axis("n_train", "training-set size", "samples", "integer", FROM_ZERO),
        Axis("budget", "steps of sampling", "optimizer steps", "integer", FROM_ZERO),
        Axis("m", "messiness", range=UNIT, least=4, single=True, apart=APART),
        Axis("alpha", "weight norm relative to initialization", "w / w0", range=SIZE, least=4,
             apart=APART, logarithmic=True),
    ),
    columns=(
        Column("train_loss", DIMS, "reduced training loss", range=FROM_ZERO, missing="ruled", packed=True),
        Column("test_loss", DIMS, "reduced test loss", range=FROM_ZERO, missing="ruled", packed=True),
        Column("train_accuracy", DIMS, "training accuracy", range=UNIT, missing="ruled", packed=True),
        Column("test_accuracy", DIMS, "test accuracy", range=UNIT, missing="ruled", packed=True),
        Column("converged", DIMS, "whether the stop rule ended the cell", kind="flag", packed=True),
        Column("diverged", DIMS, "whether the network diverged", kind="flag", required=False, packed=True),
        Column("turning", DIMS, "|dŵ/du|², ŵ the direction of the weights and u = ln w: from the next larger "
               "sphere", range=FROM_ZERO, required=False, missing="somewhere", packed=True),
        Column("turning_cosine", ("seed", "n_train", "m", "alpha"), "cosine between this turn and the one "
               "before: 1 along a smooth path, 0 of a random walk, -1/2 of jitter", range=Range(-1, 1),
               required=False, missing="somewhere", packed=True),
        Column("cutoff", ("cutoff",), "weight decay at which the drift was measured", range=SIZE,
               required=False, coordinate=True),
        Column("drift_normal", _DRIFT, "share of |weights|² that the training set holds against decay; by a "
               "probe, 1 + (du/dτ of decay), which may lie below 0",
               required=False, missing="somewhere", packed=True),
        Column("drift_overlap", _DRIFT, "how m goes with the part that is held: dm/dτ is this over "
               "(η_D/η_R + drift_turn)", required=False, missing="somewhere", packed=True),
        Column("drift_turn", _DRIFT, "|∂θ/∂m|², θ the weights that keep the training set fitted",
               range=FROM_ZERO, required=False, missing="somewhere", packed=True),
        Column(LOOP, _DRIFT, "by how much drift_overlap/drift_turn differs between two ways to a cell: "
               "fitted at its m, and fitted at the largest m and brought along the largest sphere",
               range=FROM_ZERO, required=False, missing="somewhere", packed=True),
        Column("w0", ("seed",), "L2 norm of the weights that decay at initialization", range=SIZE,
               missing="somewhere"),
        Column("delta_norm", ("seed",), "||R_random - R_linear||", range=FROM_ZERO, required=False,
               missing="somewhere"),
        Column("foot_low", _FOOT, "lower end of the cell that holds the wall's foot", "w / w0",
               range=SIZE, required=False, missing="somewhere"),
        Column("foot_high", _FOOT, "upper end of the cell that holds the wall's foot", "w / w0",
               range=SIZE, required=False, missing="somewhere"),
    ),
    attributes=(
        Attribute("task", "text", "name of the task"),
        Attribute("loss", "text", "what the losses are"),
        Attribute("accuracy_threshold", "number", "test accuracy that counts as generalized",
                  Range(0, 1, open_low=True)),
        Attribute("threshold_relative", "flag", "whether the threshold is a fraction of the ceiling"),
        Attribute("stop_rule", "text", "when a cell was done"),
        LAW,
        Attribute("configuration", "json", "settings of the sampler"),
    ),
    rules=(_cells_are_finite, _drift_is_whole, law_is_one),
)  # fmt: skip
