"""The table of a comparison as a schema: what `open_comparison` holds a file against."""

from __future__ import annotations

from groktime.fullnet.runs import SETTINGS
from groktime.reduced.schema import FROM_ZERO, Attribute, Axis, Column, Kind, Schema
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


def _column(name: str, dims: tuple[str, ...], kind: Kind) -> Column:
    unit, meaning = NAMES[name]
    number = kind == "number"
    return Column(
        name, dims, meaning, unit, "integer" if name in _WHOLE else kind,
        missing="ruled" if number and name not in _WHOLE else "", coordinate=name in _COORDINATES,
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
