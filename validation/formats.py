"""The table of a comparison as a schema: what `open_comparison` holds a file against."""

from __future__ import annotations

from groktime.fullnet.runs import SETTINGS
from groktime.reduced.schema import FROM_ZERO, RATE, SIZE, Attribute, Axis, Column, Kind, Range, Schema
from groktime.validation.table import NAMES, SCHEMA

_RUN, _BOTH, _ALL = ("run",), ("run", "predictor"), ("run", "predictor", "interval")
# dimensions and kind of the variables; units and meanings are those of `validation.table`
_GROUPS: tuple[tuple[tuple[str, ...], Kind, tuple[str, ...]], ...] = (
    (_RUN, "number", SETTINGS),
    (("predictor",), "text", ("role", "form_of", "kind", "file", "options", "fit")),
    (_RUN, "number", ("measured_t_mem", "measured_t_grok", "measured_after", "measured_delay", "last",
                      "watched", "norm_at_mem", "norm_at_grok", "threshold", "decay_rate")),
    (_RUN, "flag", ("train_censored", "test_censored", "diverged", "short")),
    (_BOTH, "number", ("predicted", "predicted_t_mem", "predicted_delay", "predicted_norm", "log_error")),
    (_BOTH, "text", ("status", "remark")),
    (_BOTH, "flag", ("seed_matched", "fitted")),
    (_ALL, "number", ("low", "high")),
    (_ALL, "flag", ("inside",)),
)  # fmt: skip
_COORDINATES = (*SETTINGS, "role", "form_of", "kind", "file", "options", "fit")
_WHOLE = ("n_train", "seed")
_EVERYWHERE = ("gamma", "eta_d", "alpha", "last", "watched", "threshold", "decay_rate", *_WHOLE)
_OPEN = ("low", "high")  # infinite, where it may never be
_RANGES = {"gamma": RATE, "eta_d": SIZE, "alpha": SIZE, "n_train": FROM_ZERO, "seed": Range()}
_SIGNED = ("measured_delay", "predicted_delay", "log_error")  # the others are from 0


def _column(name: str, dims: tuple[str, ...], kind: Kind) -> Column:
    unit, meaning = NAMES[name]
    missing = "somewhere" if kind == "number" and name not in _EVERYWHERE else ""
    usual = Range() if kind != "number" or name in _SIGNED else FROM_ZERO if name in _OPEN else RATE
    return Column(
        name, dims, meaning, unit, "integer" if name in _WHOLE else kind, _RANGES.get(name, usual),
        "ruled" if name in _OPEN else missing, coordinate=name in _COORDINATES,
    )  # fmt: skip


def _axis(name: str, kind: Kind) -> Axis:
    unit, meaning = NAMES[name]
    return Axis(name, meaning, unit, kind)


COMPARISON = Schema(
    SCHEMA,
    "the table of a comparison",
    axes=(_axis("run", "integer"), _axis("predictor", "text"), _axis("interval", "text")),
    columns=tuple(_column(name, dims, kind) for dims, kind, names in _GROUPS for name in names),
    attributes=(
        Attribute("task", "text", "name of the task"),
        Attribute("loss", "text", "what the losses are"),
        Attribute("runs", "text", "file or name of the runs"),
        Attribute("metric", "text", "what was held against the threshold", choices=("accuracy", "loss")),
        Attribute("rule", "text", "which pass of the threshold counts"),
        Attribute("persist", "integer", "evaluations that a pass lasts", FROM_ZERO),
        Attribute("level", "number", "training loss of the contour of the printed closed form"),
        Attribute("m_rate", "text", "the rate at which m moves"),
        Attribute("long", "number", "delays of so many t_mem are long"),
        Attribute("remarks", "lines", "what a reader has to know, a line each"),
    ),
)  # fmt: skip
