"""The file formats as Markdown, from the tables that check them: `python -m groktime.schemas`.

`docs/files.md` is what this prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from groktime.fullnet.runs import RUNS
from groktime.reduced.decay_path import PATH
from groktime.reduced.forecast import FORECAST
from groktime.reduced.landscape_schema import LANDSCAPE
from groktime.reduced.schema import Attribute, Axis, Column, Schema
from groktime.validation.formats import COMPARISON

SCHEMAS: tuple[Schema, ...] = (LANDSCAPE, PATH, FORECAST, RUNS, COMPARISON)

_HEAD = """# Files

Every file is NetCDF-4 and opens in plain xarray. Its attribute `schema` says what it is; coordinates come
first, and every variable has `units` and `long_name`. The tables below are those that groktime checks
a file by (`python -m groktime.schemas` prints this page).

Attributes, dimensions and types are checked before any values are read. Refused are a file whose variables
claim more than 200 times its size (and more than 64 MB; real ones claim a few times their size at most),
links, groups, virtual or external data, types that are no numbers and no text, text that is not UTF-8, whole
numbers that 64 bits do not hold exactly, and settings in JSON that are nested deeper than 64, hold NaN or
name something twice. Numbers that are packed (`scale_factor`, `add_offset`, `_FillValue`) are unpacked."""


def markdown(schemas: Iterable[Schema] = SCHEMAS) -> str:
    """The page: a section a schema, with its axes, variables and attributes."""
    return "\n\n".join([_HEAD, *(_section(schema) for schema in schemas)]) + "\n"


def _section(schema: Schema) -> str:
    axes = [
        [f"`{a.name}`", a.dims[0], a.kind, a.unit, str(a.range), a.meaning, _sizes(a)] for a in schema.axes
    ]
    columns = [
        [f"`{c.name}`", ", ".join(c.dims), c.kind, c.unit, str(c.range), c.meaning, _missing(c)]
        for c in schema.columns
    ]
    attributes = [[f"`{a.name}`", _expected(a), a.meaning] for a in schema.attributes]
    parts = [
        f"## `{schema.name}`: {schema.title}",
        _table(["Axis", "along", "kind", "unit", "range", "meaning", "points"], axes),
        _table(["Variable", "dimensions", "kind", "unit", "range", "meaning", "NaN"], columns),
        _table(["Attribute", "value", "meaning"], attributes),
    ]
    rules = [(rule.__doc__ or rule.__name__.strip("_").replace("_", " ") + ".") for rule in schema.rules]
    if rules:
        parts.append("Also checked:\n\n" + "\n".join(f"- {rule}" for rule in rules))
    return "\n\n".join(parts)


def _sizes(axis: Axis) -> str:
    return f"{'1, or ' if axis.single else ''}{axis.least} or more"


def _missing(column: Column) -> str:
    if isinstance(column.missing, tuple):
        text = f"along {', '.join(column.missing)}, where it was not measured"
    else:
        text = {"": "no", "somewhere": "yes", "ruled": "see below"}[column.missing]
    return text if column.required else f"{text}; may be left out"


def _expected(attribute: Attribute) -> str:
    default = "" if attribute.default is None else f" ({attribute.default} where older files have none)"
    return attribute.expected() + (" or NaN" if attribute.nan else "") + default


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    print(markdown(), end="")
