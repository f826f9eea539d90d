"""The page of an explorer: what stands on it as data, and the template, style and scripts around it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from groktime.reduced.flow import Status
from groktime.reduced.law import Schedule
from groktime.reduced.source import DEFAULTS, Options, Readings, Source, about
from groktime.validation.explorer.scene import WORDS
from groktime.validation.explorer.sliders import Slider
from groktime.validation.explorer.table import EVEN, TAKEN, TIMES, Asked, Table
from groktime.validation.explorer.ways import Ways, X

SCRIPTS = ("read.js", "draw.js", "panels.js", "page.js")
_NAMES = {
    "gamma": ("γ", "weight decay"),
    "eta_d": ("η", "learning rate"),
    "eta_ratio": ("η_R/η", "rate of the representation"),
    "alpha": ("α", "start, w / w₀"),
    "m": ("m", "start, messiness"),
}
_HEADLINES = {
    Status.NEVER: "does not generalize",
    Status.TRAPPED: "is trapped on the way",
    Status.COLLAPSES: "collapses: decay is too strong",
    Status.OUTSIDE: "outside of what was sampled",
    Status.UNFITTED: "never fits its training set",
}
_DIGITS = {"share": 3, "test_accuracy": 3, "train_accuracy": 3}


@dataclass(frozen=True)
class Content:
    """What a page is made of."""

    source: Source
    options: Options
    schedule: Schedule
    asked: Asked
    table: Table
    error: float
    checks: int
    ways: Ways | None
    scene: Mapping[str, Any]
    runs: Sequence[Mapping[str, float | None]]

    @cached_property
    def first(self) -> Readings:
        """What the source says of the first node: which seeds are read, at which threshold."""
        return self.asked.readings({name: values[:1] for name, values in self.table.axes.items()})


def page(content: Content) -> str:
    """The whole page."""
    source = content.source
    this, folder = about(source), files("groktime.validation")
    title, note = WORDS[content.scene["kind"]]
    count = len(content.first.seeds)
    seeds = f" of {count} seeds" if count > 1 else f" of seed {content.first.seeds[0]}"
    seeds = seeds if len(source.seeds) else ""  # it knows of none
    parts = {
        "title": escape(f"groktime: {Path(this.file).name}"),
        "name": escape(f"When does it grok? {Path(this.file).name}"),
        "about": escape(f"Predicted from a {this.kind}{seeds}, before the long run."),
        "scene_title": title,
        "scene_note": note,
        "provenance": escape(_provenance(content)),
        "palette": (folder / "palette.css").read_text(encoding="utf-8"),
        "style": _file("style.css"),
        "script": "\n".join(_file(name) for name in SCRIPTS),
        "data": json.dumps(_data(content), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    return Template(_file("page.html")).substitute(parts)


def _file(name: str) -> str:
    return (files("groktime.validation") / "explorer" / name).read_text(encoding="utf-8")


def _data(content: Content) -> dict[str, Any]:
    table, source = content.table, content.source
    start = _start(content)
    found = {
        "source": _source(content),
        "sliders": [_slider(s, start[s.name]) for s in table.sliders],
        "budget": _budget(table, start),
        "table": _table(table, content.first.seeds),
        "ways": None if content.ways is None else _ways(content.ways, table),
        "scene": content.scene,
        "runs": content.runs,
        "options": _options(content),
        "notes": _notes(source),
        "headlines": _HEADLINES,
    }
    plain: dict[str, Any] = _plain(found)
    return plain


def _plain(value: Any, digits: int = 6) -> Any:
    """Numbers to so many digits, text, lists and dicts; NaN is null, and what is infinite a sign that the
    page reads as such."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v, _DIGITS.get(str(k), digits)) for k, v in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(v, digits) for v in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, float):
        if math.isnan(value):
            return None
        short = float(f"{value:.{digits}g}") if math.isfinite(value) else value
        return "∞" if math.isinf(value) else int(short) if short == int(short) else short
    return value.item() if isinstance(value, np.generic) else value


def _slider(slider: Slider, start: float) -> dict[str, Any]:
    symbol, words = _NAMES[slider.name]
    return {
        "name": slider.name, "symbol": symbol, "words": words, "stops": slider.stops, "start": start,
        "log": slider.logarithmic, "exact": slider.exact,
    }  # fmt: skip


def _start(content: Content) -> dict[str, float]:
    """Where the sliders stand at first: where most of the runs are, else amid what generalizes."""
    table = content.table
    start = {s.name: s.start for s in table.sliders}
    goes = np.argwhere(table.answers["status"] == Status.GENERALIZES.value)
    for slider, places in zip(table.sliders, goes.T if len(goes) else (), strict=False):
        axis = table.axes[slider.name]
        low, high = float(axis[places.min()]), float(axis[places.max()])
        start[slider.name] = _round_near(slider, math.sqrt(low * high) if low > 0 else (low + high) / 2)
    here, _ = table.read({name: np.array([x]) for name, x in start.items()})
    if len(goes) and here["status"][0] != Status.GENERALIZES.value:
        node = goes[len(goes) // 2]
        start = {s.name: float(table.axes[s.name][k]) for s, k in zip(table.sliders, node, strict=True)}
    for slider in table.sliders:
        values = [x for run in content.runs if (x := run.get(slider.name)) is not None]
        inside = [x for x in values if slider.stops[0] <= x <= slider.stops[-1]]
        if inside:
            start[slider.name] = max(sorted(set(inside)), key=inside.count)
    return start


def _round_near(slider: Slider, value: float) -> float:
    """The roundest of the stops next to a value."""
    order = np.argsort(np.abs(slider.stops - value))[:9]
    near = [float(x) for x in slider.stops[order]]
    return min(near, key=lambda x: len(f"{x:.6g}".replace("0", "").replace(".", "")))


def _budget(table: Table, start: Mapping[str, float]) -> dict[str, Any]:
    """The slider of the budget: from the shortest time of the table to the longest, at first at half of what
    the start takes."""
    times = table.answers["t_grok"]
    known = times[np.isfinite(times) & (times > 0)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (100.0, 1e6)
    decades = np.arange(math.floor(math.log10(max(low, 1.0))), math.ceil(math.log10(high)) + 1)
    stops = np.unique(np.outer(10.0**decades, [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]).ravel())
    stops = stops[(stops >= low / 1.3) & (stops <= high * 1.3)]
    stops = stops if len(stops) else np.array([high])
    here = float(table.read({name: np.array([x]) for name, x in start.items()})[0]["t_grok"][0])
    wanted = here / 2 if here > 0 else stops[len(stops) // 2]
    first = float(stops[int(np.argmin(np.abs(np.log(stops / wanted))))])
    words = {"name": "budget", "symbol": "budget", "words": "of steps"}
    return words | {"stops": stops, "start": first, "log": True, "exact": False}


def _table(table: Table, names: Sequence[int]) -> dict[str, Any]:
    """The answers as flat lists, node by node; statuses, sentences and what the seeds do by their number."""
    answers = table.answers
    statuses = sorted(set(answers["status"].ravel()))
    kinds: dict[tuple[str, ...], int] = {}
    sentences: dict[str, int] = {}
    flat = answers["each"].reshape(-1, answers["each"].shape[-1])
    number = [kinds.setdefault(tuple(line), len(kinds)) for line in flat]
    remarks = [[sentences.setdefault(r, len(sentences)) for r in told] for told in answers["remarks"].ravel()]
    seeds = answers["seeds"].reshape(-1, answers["seeds"].shape[-1])
    return {
        "axes": [{"name": s.name, "values": table.axes[s.name], "log": s.logarithmic} for s in table.sliders],
        "even": EVEN,
        "taken": TAKEN,
        **{name: answers[name].ravel() for name in TIMES},
        "share": answers["generalizing"].ravel(),
        "statuses": statuses,
        "status": [statuses.index(s) for s in answers["status"].ravel()],
        "kind": number,
        "seeds": list(seeds.T),
        "names": list(names),
        "remarks": remarks,
        "sentences": list(sentences),
    }


def _ways(ways: Ways, table: Table) -> dict[str, Any]:
    log = {s.name: s.logarithmic for s in table.sliders}
    return {
        "axes": [{"name": k, "values": v, "log": log[k]} for k, v in ways.axes.items()],
        "seeds": list(ways.seeds),
        "x": X,
        "timed": ways.timed.ravel().astype(int),
        "curves": {name: _plain(values.ravel(), 4) for name, values in ways.curves.items()},
    }


def _source(content: Content) -> dict[str, Any]:
    this, metric = about(content.source), content.options.get("metric", "accuracy")
    name = this.file or content.source.name
    shell = name if all(c.isalnum() or c in "._-/" for c in name) else json.dumps(name)
    own = getattr(content.source, "text", None) is None  # a source of the user's, which no command can name
    return {
        "shell": None if own else shell,
        "python": "source" if own else json.dumps(name, ensure_ascii=False),
        "metric": metric,
        "threshold": float(np.nanmedian(content.first.threshold)),
    }


def _options(content: Content) -> dict[str, str]:
    """What was given beside the sliders, for the command line and for Python."""
    given: dict[str, Any] = {k: v for k, v in content.options.items() if v != DEFAULTS[k]}
    shell = "".join(f" --{k.replace('_', '-')} {v}" for k, v in given.items())
    python = "".join(f", {k}={v!r}" for k, v in given.items())
    course = content.schedule
    if course != about(content.source).schedule:
        python += f", schedule=gt.{course!r}"
        parts = [
            course.shape,
            *(f"{k}={v}" for k in ("steps", "factor", "warmup") if (v := getattr(course, k))),
        ]
        shell += f" --schedule {','.join(parts)}"
    return {"shell": shell, "python": python}


def _notes(source: Source) -> dict[str, str]:
    """What the source's report says of each status."""
    text = getattr(source, "text", None)
    return {
        str(status.value): " ".join(words.split()) for status, words in (text.NOTES if text else {}).items()
    }


def _provenance(content: Content) -> str:
    try:
        made = f"groktime {version('groktime')}"
    except PackageNotFoundError:  # run from a checkout
        made = "groktime"
    holds = content.first.holds()
    words = [f"Made by {made} from {content.table.answers['t_grok'].size:,} predictions."]
    if content.checks:
        words.append(
            f"Between them it reads within {100 * content.error:.1g} % of groktime predict, at "
            f"{content.checks} settings that were asked for this alone."
        )
    if holds:
        words.append(f"The interval is for a run of another seed, and holds {', '.join(holds)}.")
    return " ".join(words)
