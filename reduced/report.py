"""A prediction as a page of text, and as plain numbers: what all sources have in common.

What only one kind of source can say stands in its own module (`flow_text`, `path_text`), which the source
names as its `text`; a source without one gets the common part.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from groktime.reduced.flow import Status
from groktime.reduced.remarks import ONE_SEED
from groktime.reduced.source import COVERAGE, GOOD, about

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction

SCHEMA = "groktime-prediction/1"
INDENT = " " * 12
_NUMBERS = ("t_grok", "t_mem", "low", "high")


def report(p: Prediction) -> str:
    """The prediction as a page that a person can read."""
    text, s = _text_of(p), p.settings
    lines = [
        *(text.header(p) if text else [f"{about(p.source).kind.capitalize():<12}{about(p.source).file}"]),
        f"Start       {start(p)}",
        f"Rates       {rates(p)}",
    ]
    if s.get("metric"):
        sign = ">=" if s["metric"] == "accuracy" else "<="
        limit = number(p.typical.threshold, ".3g")
        lines.append(f"Generalized test {s['metric']} {sign} {limit} (seed {p.typical.seed})")
    good = sum(q.status in GOOD for q in p.seeds)
    lines += ["", f"Status      {p.status.value}: {good} of {len(p.seeds)} seeds generalize"]
    notes: Mapping[Status, str] = text.NOTES if text else {}
    if p.status in notes:
        lines.append(INDENT + notes[p.status])
    if math.isfinite(p.t_grok):
        lines += [
            f"Grokking    {steps(p.t_grok)} steps ({interval(p)})",
            *([f"{INDENT}for a run of another seed; holds {', '.join(p.holds)}"] if p.holds else []),
            f"Memorized   {steps(p.t_mem)} steps; delay {steps(p.delay)}",
            *(text.behind(p) if text else []),
        ]
    lines += [line for remark in p.remarks for line in _wrapped(remark)]
    lines += text.sections(p) if text else []
    if len(p.seeds) > 1:
        lines += ["", "By seed", *_by_seed(p, text)]
    return "\n".join([*lines, *_dash(lines)])


def interval(p: Prediction, number: Callable[[float], str] | None = None) -> str:
    """The 90 % interval in words, and why there is none."""
    number = number or steps
    if not p.holds:
        own = p.seeds[0]
        if not own.low < own.high:
            return ONE_SEED
        return f"{ONE_SEED} over seeds; its own uncertainty {ends(own.low, own.high, number)}"
    return f"{100 * COVERAGE:g} %: " + ends(p.low, p.high, number)


def ends(low: float, high: float, number: Callable[[float], str]) -> str:
    """An interval's ends in words; one that is not known is said to be so."""
    if math.isnan(low) and math.isnan(high):
        return "not known"
    if math.isnan(high):
        return f"from {number(low)}, upper end not known"
    if math.isnan(low):
        return f"to {number(high)}, lower end not known"
    return f"{number(low)} to {number(high)}"


def _wrapped(remark: str) -> list[str]:
    return textwrap.wrap(
        remark, 110, initial_indent="Remark      ", subsequent_indent=INDENT, break_long_words=False
    )


def _dash(lines: list[str]) -> Iterator[str]:
    """What a dash means, where there is one."""
    if any(word.strip(",;") == "-" for line in lines for word in line.split()):
        yield ""
        yield "-  no such number: no time (the status says why), or no contour that a closed form starts from"


def of_seeds(p: Prediction, form: str) -> str:
    """Of how many seeds the median of a form is."""
    return f"{p.form_seeds[form]} of {len(p.seeds)} seeds"


def start(p: Prediction) -> str:
    """Where the network starts, in words."""
    return f"alpha = {p.settings['alpha']:g}" + _optional(", m = ", p.settings["m"])


def rates(p: Prediction) -> str:
    """Weight decay and learning rates, in words."""
    s = p.settings
    beside = implicit_decay(p)
    implicit = f" + {beside}" if beside else ""
    course = "" if p.schedule.constant else f"; {p.schedule}"
    rates = f"gamma = {s['gamma']:g}{implicit}, eta_D = {s['eta_d']:g}" + _optional(", eta_R = ", s["eta_r"])
    return rates + course


def implicit_decay(p: Prediction) -> str:
    """The decay that acts without being set, and from when on, in words; empty where there is none."""
    gamma0, onset = p.settings.get("implicit"), p.settings.get("onset")
    late = f" from step {onset:,.0f}" if onset else ""
    return f"{gamma0:.4g} implicit{late}" if gamma0 else ""


def _optional(name: str, value: float | None) -> str:
    return "" if value is None else f"{name}{value:g}"


def _by_seed(p: Prediction, text: ModuleType | None) -> list[str]:
    columns = {"seed": 4, "status": -11, "t_grok": 10, "low": 10, "high": 10}
    rows = [
        {"seed": str(q.seed), "status": q.status.value}
        | {name: steps(getattr(q, name)) for name in ("t_grok", "low", "high")}
        | (text.columns(q) if text else {})
        for q in p.seeds
    ]
    columns |= dict.fromkeys((name for name in rows[0] if name not in columns), 10)
    widths = [f"<{-width}" if width < 0 else f">{width}" for width in columns.values()]
    head = [format(name, width) for name, width in zip(columns, widths, strict=True)]
    body = [[format(row[name], w) for name, w in zip(columns, widths, strict=True)] for row in rows]
    return ["  " + " ".join(line).rstrip() for line in (head, *body)]


def as_dict(p: Prediction) -> dict[str, Any]:
    """Plain numbers and strings; None where there is no number, and for what is infinite."""
    text = _text_of(p)
    return {
        "schema": SCHEMA,
        "settings": p.settings,
        "status": p.status.value,
        **{name: plain(getattr(p, name)) for name in (*_NUMBERS, "delay")},
        "interval": {"coverage": COVERAGE, "holds": list(p.holds), "note": "" if p.holds else ONE_SEED},
        "forms": {name: plain(time) for name, time in p.forms.items()},
        "form_seeds": dict(p.form_seeds),
        "remarks": list(p.remarks),
        **(text.numbers(p) if text else {}),
        "seeds": [
            {
                "seed": q.seed,
                "status": q.status.value,
                **{name: plain(getattr(q, name)) for name in (*_NUMBERS, "threshold")},
                "forms": {name: plain(time) for name, time in q.forms.items()},
                **(text.seed_numbers(q) if text else {}),
            }
            for q in p.seeds
        ],
    }


def _text_of(p: Prediction) -> ModuleType | None:
    """What only this kind of source can say."""
    found: ModuleType | None = getattr(p.source, "text", None)
    return found


def number(value: float, form: str) -> str:
    """A number by its format, a dash where there is none."""
    return format(value, form) if math.isfinite(value) else "-"


def steps(t: float) -> str:
    """A time in optimizer steps."""
    if math.isnan(t):
        return "-"
    if math.isinf(t):
        return "never"
    return f"{t:,.0f}" if t >= 100 or t == 0 else f"{t:.3g}"


def plain(value: float) -> float | None:
    """A number for JSON, which has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None
