"""Values as people meet them: one line in a session, a small table in a notebook, a frame or a dict."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 20  # of a table in a notebook


class Value:
    """A result that shows itself. A class gives `facts` and `columns`; a dataclass needs `repr=False`."""

    def facts(self) -> Mapping[str, object]:
        """What the value is, by name: its line, and the head of its table."""
        raise NotImplementedError

    def columns(self) -> Mapping[str, Sequence[object]]:
        """The small table, by column; every column is equally long."""
        return {}

    def to_dataframe(self) -> pd.DataFrame:
        """The table of the value as a `pandas.DataFrame`."""
        import pandas as pd

        return pd.DataFrame(dict(self.columns()))

    def to_dict(self) -> dict[str, Any]:
        """The value as numbers, text, lists and dicts alone, ready for `json.dumps`; NaN is None."""
        table = {k: list(v) for k, v in self.columns().items()}
        found: dict[str, Any] = plain({**self.facts(), **table})
        return found

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={_short(value)}" for name, value in self.facts().items())
        return f"{type(self).__name__}({inside})"

    def _repr_html_(self) -> str:
        facts = "; ".join(f"{html.escape(k)}: {html.escape(_short(v))}" for k, v in self.facts().items())
        return f"<p><b>{type(self).__name__}</b> {facts}</p>{table_html(self.columns())}"


def table_html(columns: Mapping[str, Sequence[object]]) -> str:
    """A table with the first rows of some columns; "" where there are none."""
    rows = len(next(iter(columns.values()), ()))
    if not rows:
        return ""
    lines = [_row(columns, "th")]
    lines += [_row((_short(values[k]) for values in columns.values()), "td") for k in range(min(rows, _ROWS))]
    more = f"<p>and {rows - _ROWS} more rows</p>" if rows > _ROWS else ""
    return f"<table>{''.join(lines)}</table>{more}"


def _row(cells: Iterable[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _short(value: object) -> str:
    """A number to four digits, a long list by its ends."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray | list | tuple):
        ends = [_short(v) for v in value]
        return ", ".join(ends) if len(ends) <= 4 else f"{ends[0]} to {ends[-1]} ({len(ends)})"
    return str(value)


def plain(value: Any) -> Any:
    """Numbers, text, lists and dicts alone, as JSON has them; what is not finite is None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
