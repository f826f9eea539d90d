"""A comparison as one page of HTML that needs nothing else: figures inlined, no scripts, no network."""

from __future__ import annotations

import base64
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from groktime.reduced.source import COVERAGE
from groktime.validation.ask import file_of
from groktime.validation.comparison_text import (
    CHOICES,
    SLOPES,
    confusions,
    fits,
    intervals,
    score_columns,
    settings_columns,
    settings_title,
    slope_columns,
)
from groktime.validation.headline import REASONS, headline
from groktime.validation.ladder_text import heading, tables, verdict
from groktime.validation.report import cell
from groktime.validation.same import same_as, told_once
from groktime.validation.table import sources

if TYPE_CHECKING:
    from groktime.validation.comparison import Comparison
    from groktime.validation.ladder import Ladder

_PACKAGES = ("groktime", "torch", "numpy", "scipy", "xarray")
_RUNS = 2000  # in the tables of the page, which browsers have to hold
_STACKED = 60  # rows of a table, at most, that a narrow screen shows one below the other
_FIRST = ("predicted", "log_error")  # of a predictor
# Of each figure: what it shows to whom cannot see it, and how to read it.
_WORDS = {
    "predicted": (
        "Scatter of predicted against measured t_grok, on logarithmic axes with the line of equality.",
        "Each point is a run: its measured t_grok across, the predicted one upwards, a panel for each "
        "predictor; on the line they are equal. Bars: the 90% interval. Open circles: short delays. "
        "Triangles: runs that never generalized, at the last step to which they were watched.",
    ),
    "errors": (
        "Panels: predicted over measured t_grok against weight decay, start, rate and seed, where they vary.",
        "Predicted over measured t_grok against each setting; lines are medians.",
    ),
    "curves": (
        "Small panels of learning curves by setting, with measured and predicted times.",
        "Training and test curves, one line a run. Vertical lines are medians over the seeds: measured times "
        "solid, predicted ones dashed. Dots: each run's measured t_grok.",
    ),
}
_NO_LANDSCAPE = (
    "Norm of trained networks against the decay.",
    "The norm of trained networks against the decay ηγt, with a dot where each generalized. Dashed: free "
    "decay.",
)
_OVER_LANDSCAPES = (
    "Trajectories of trained networks over the reduced landscape, beside the predicted path.",
    "Colours: sampled training loss of one seed's landscape. Red: the path of Eq. 6 from the start A. Light "
    "blue: where trained networks of the same setting went, with a star where they generalized.",
)
_OVER_DECAY = (
    "Norm of trained networks against the decay, beside the reduced losses over the same norms.",
    "Left: the norm of trained networks against the decay ηγt, with a dot where each generalized. Dashed: "
    "free decay, the prediction; it generalizes where it crosses the critical norm (line: the median; band: "
    "90% over seeds). Right: the losses of the sampled landscape over the same norms.",
)
_LADDER = (
    "Waterfall of the time to generalize, from the printed formula down to full networks.",
    "Each rung drops one assumption of the rung above it.",
)


def page(comparison: Comparison, folder: Path, ladder: Ladder | None = None) -> str:
    """The page of a report whose figures lie in `folder` already."""
    rows, scores, how = comparison.table, comparison.summary, comparison.table.attrs
    count, of = rows.sizes["run"], f"{', '.join(sources(rows))} against {how['runs']}"
    trajectory = _NO_LANDSCAPE
    if comparison.lands:
        trajectory = _OVER_LANDSCAPES if comparison.lands[-1].two_dimensional else _OVER_DECAY
    figures = {
        name: _figure(folder / f"{name}.png", alt, caption)
        for name, (alt, caption) in {**_WORDS, "trajectory": trajectory}.items()
    }
    title, *lines = intervals(rows, scores)
    house = files("groktime.validation")
    parts = figures | {
        "palette": (house / "palette.css").read_text(encoding="utf-8"),
        "title": escape(f"groktime: {of}"),
        "subtitle": escape(f"{of}: {count} runs of {how['task']}"),
        "headline": _paragraphs(headline(rows, scores)),
        "remarks": _list(how["remarks"].splitlines(), "Remarks"),
        "settings": _table(settings_columns(rows), f"{settings_title(rows)}, optimizer steps"),
        "level": f"{COVERAGE:.0%}",
        "scores": _all_scores(rows, scores),
        "same": _paragraphs(same_as(rows)),
        "fitted": _list(
            [f"{k.replace('_', ' ')}: {v}" for k, v in fits(rows).items()],
            "What the baselines were fitted on",
        ),
        "excluded": _all_excluded(rows, scores),
        "slopes": _table(slope_columns(scores), SLOPES),
        "ladder": "" if ladder is None else _ladder(ladder, folder),
        "coverage": _list([line.strip() for line in lines], title),
        "confusion": "\n".join(_table(columns, title) for title, columns in confusions(scores).items()),
        "runs": _run_tables(rows),
        "provenance": _provenance(comparison),
        "configurations": _configurations(comparison),
    }
    template = (house / "page.html").read_text(encoding="utf-8")
    return Template(template).substitute(parts)


def _figure(path: Path, alt: str, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f'<figure><div class="scroll"><img alt="{escape(alt)}" src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _table(columns: Mapping[str, Iterable[object]], caption: str, tall: bool = False) -> str:
    """Columns under their names. On a narrow screen the rows of a short table are stacked."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    lines, each = [], list(zip(*columns.values(), strict=True))
    stacked = len(each) <= _STACKED
    top, *names = [f' data-name="{escape(name)}"' if stacked else "" for name in columns]
    for first, *rest in each:
        others = "".join(f"<td{name}>{_cell(value)}</td>" for name, value in zip(names, rest, strict=True))
        lines.append(f'<tr><th scope="row"{top}>{_cell(first)}</th>{others}</tr>')
    name = escape(caption)
    return (
        f'<p class="above soft">{name}</p>\n'
        f'<div class="scroll{" tall" * tall}{" stack" * stacked}" tabindex="0" role="region" '
        f'aria-label="{name}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(lines) + "\n</tbody></table></div>"
    )


def _cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return escape(cell(value).replace("_", " ") if isinstance(value, str) else cell(value))


def _paragraphs(lines: Iterable[str]) -> str:
    return "\n".join(f"<p>{escape(line)}</p>" for line in lines)


def _list(lines: list[str], title: str) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h3>{escape(title)}</h3>\n<ul>{items}</ul>"


def _ladder(ladder: Ladder, folder: Path) -> str:
    found = [_table(columns, title) for title, columns in tables(ladder).items()]
    figure = _figure(folder / "ladder.png", *_LADDER)
    first, last = _paragraphs([heading(ladder)]), _paragraphs([verdict(ladder)])
    return "\n".join(["<section>", "<h2>The ladder</h2>", first, figure, *found, last, "</section>"])


def ladder_html(ladder: Ladder) -> str:
    """The times of a ladder and its costliest assumption, for a notebook."""
    title, columns = next(iter(tables(ladder).items()))
    return _table(columns, title) + _paragraphs([verdict(ladder)])


def _all_scores(rows: xr.Dataset, scores: xr.Dataset) -> str:
    found = []
    for quantity in scores["quantity"].values:
        for choice, words in CHOICES.items():
            one = told_once(rows, scores.sel(quantity=quantity, runs=choice))
            title = f"{quantity}, {words.format(rows.attrs['long'])}"
            columns = {name or "predictor": values for name, values in score_columns(one).items()}
            none = f'<p class="above soft">{escape(title)}: none</p>'
            found.append(_table(columns, title) if one["n"].values.any() else none)
    return "\n".join(found)


def scores_html(rows: xr.Dataset, scores: xr.Dataset) -> str:
    """The scores of t_grok over all runs, for a notebook."""
    columns = score_columns(scores.sel(quantity="t_grok", runs="all"))
    named = {name or "predictor": values for name, values in columns.items()}
    return _table(named, f"t_grok of {rows.sizes['run']} runs of {rows.attrs['task']}")


def _all_excluded(rows: xr.Dataset, scores: xr.Dataset) -> str:
    found = []
    for choice, words in CHOICES.items():
        one = told_once(rows, scores.sel(quantity="t_grok", runs=choice))
        columns: dict[str, Iterable[object]] = {
            "predictor": [str(p) for p in one["predictor"].values],
            "scored": one["n"].values,
        }
        for reason in one["reason"].values:
            left_out = one["n_excluded"].sel(reason=reason).values
            if left_out.any():
                columns[REASONS[str(reason)]] = left_out
        found.append(_table(columns, f"t_grok, {words.format(rows.attrs['long'])}: how many"))
    return "\n".join(found)


def _run_tables(rows: xr.Dataset) -> str:
    """What was measured of each run, and a table for each predictor; of many runs, some spread over all."""
    count = rows.sizes["run"]
    shown = np.unique(np.linspace(0, count - 1, min(count, _RUNS)).round().astype(int))
    each = "One row a run" if len(shown) == count else f"{len(shown)} of {count} runs (table.csv has all)"
    rows = rows.isel(run=shown)
    settings = [str(k) for k in rows.coords if rows[k].dims == ("run",) and k != "run"]
    settings = [k for k in settings if not np.isnan(rows[k].values.astype(float)).all()]
    named: dict[str, Iterable[object]] = {"run": shown}
    named |= {k: rows[k].values for k in settings}
    measured = [str(k) for k in rows.data_vars if rows[k].dims == ("run",)]
    tables = [_table(named | {k: rows[k].values for k in measured}, f"{each}, measured", tall=True)]
    of_predictors = [str(k) for k in rows.data_vars if "predictor" in rows[k].dims]
    order = [*_FIRST, *(k for k in of_predictors if k not in _FIRST)]
    for name in told_once(rows, rows)["predictor"].values:
        columns = named | _columns(rows[order].sel(predictor=name))
        tables.append(_table(columns, f"{each}, predicted by {str(name).replace('_', ' ')}", tall=True))
    return "\n".join(tables)


def _columns(one: xr.Dataset) -> dict[str, Iterable[object]]:
    """What a predictor says of the runs, [run] each; without the intervals that it does not have."""
    found: dict[str, Iterable[object]] = {}
    for name, values in one.data_vars.items():
        if "interval" not in values.dims:
            found[str(name)] = values.values
            continue
        for which in one["interval"].values:
            if not np.isnan(one["low"].sel(interval=which)).all():
                found[f"{name}, {which}"] = values.sel(interval=which).values
    return found


def _provenance(comparison: Comparison) -> str:
    how, trained = comparison.table.attrs, comparison.runs.dataset.attrs
    limits = np.unique(comparison.table["threshold"].values)
    span = " to ".join(cell(x) for x in dict.fromkeys((limits[0], limits[-1])))
    lasting = "" if how["rule"] == "first" else f", {how['persist']} evaluations or more"
    batch = f"batches of {trained['batch']}" if trained["batch"] else "full batches"
    facts = {
        "Task": how["task"],
        "Loss": how["loss"],
        **{
            f"Predictor {name}": _origin(comparison.table.sel(predictor=name))
            for name in sources(comparison.table)
        },
        "Runs": how["runs"],
        "Training": f"{trained['optimizer']}, {batch}, representation {trained['representation']}",
        "Generalized": f"test {how['metric']} passes {span}; rule {how['rule']}{lasting}",
        "Memorized": f"train {how['metric']} passes {cell(how['train_threshold'])}",
        "Made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}, {_versions()}",
    }
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    return f"<dl>{items}</dl>"


def _origin(one: xr.Dataset) -> str:
    words = f"{one['kind'].item()} {one['file'].item()}"
    return f"{words} ({one['options'].item()})" if one["options"].item() else words


def _versions() -> str:
    """Of what is installed here; torch is not imported for it, and need not be there."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def _configurations(comparison: Comparison) -> str:
    made = {}
    for predictor in comparison.predictors:
        file = file_of(predictor.sources[-1])
        if file is not None:
            made[f"How {predictor.name} was sampled"] = file.dataset.attrs["configuration"]
    made["How the runs were trained"] = comparison.runs.dataset.attrs["configuration"]
    return "\n".join(
        f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"
        for name, text in made.items()
    )
