"""What `compare` returns: a table, its scores, and the ways to read and keep them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from groktime.fullnet.runs import Runs
from groktime.reduced.arrays import Arrays
from groktime.reduced.errors import InputError
from groktime.reduced.files import read_dataset
from groktime.reduced.landscape import Landscape
from groktime.validation.ask import INTERVALS, Predictor, file_of, prediction
from groktime.validation.score import summary
from groktime.validation.table import SCHEMA, missing, sources

if TYPE_CHECKING:
    from groktime.reduced.prediction import Prediction
    from groktime.validation.ladder import Ladder


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare` returns: `table` over run and predictor, and `summary`, the scores.

    docs/comparing.md says what each variable is; `validation.score.summary` what each score is.
    `predictors` hold the sources; both they and the runs are missing of one that was opened from a file.
    """

    table: xr.Dataset
    summary: xr.Dataset
    predictors: tuple[Predictor, ...] = ()
    trained: Runs | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> Runs:
        """The runs that were compared.

        Raises
        ------
        InputError : of a comparison that was opened from a file, which does not hold them.
        """
        if self.trained is None:
            raise InputError("comparison: its file holds no learning curves; expected one made by gt.compare")
        return self.trained

    @property
    def lands(self) -> tuple[Landscape, ...]:
        """The landscapes among the sources of the first predictor that has some, by their largest alpha."""
        for predictor in self.predictors:
            found = tuple(one for one in map(file_of, predictor.sources) if isinstance(one, Landscape))
            if found:
                return found
        return ()

    def prediction(self, run: int, predictor: str | None = None) -> Prediction:
        """The prediction that a run was given, with what is behind it; `predictor`: default the first.

        Raises
        ------
        InputError : for a predictor that is none of the sources.
        """
        for one in self.predictors:
            if predictor is None or one.name == predictor:
                limit = float(self.table["threshold"].values[run])
                return prediction(one, self.runs, run, limit, self.options)
        names = ", ".join(p.name for p in self.predictors) or "none"
        raise InputError(f"predictor = {predictor!r}: expected one of {names}")

    def report(self) -> str:
        """Medians by settings and the scores, as tables for a person."""
        from groktime.validation.comparison_text import text

        return text(self.table, self.summary)

    def write_report(self, path: str | Path, overwrite: bool = False, ladder: Ladder | None = None) -> Path:
        """Write report.html, tables and figures into a folder, complete or not at all; docs/comparing.md
        lists them. `ladder`, of the same networks, is one more section of the page.

        Raises
        ------
        InputError : for a folder or file that exists (unless `overwrite`, and never one that holds
            anything else than such a report), or one that cannot be written.
        """
        from groktime.validation.folder import write_report

        return write_report(self, Path(path), overwrite, ladder)

    def plot(self, file: str | Path | None = None, overwrite: bool = False, **options: Any) -> Any:
        """`gt.plot` of this comparison; `kind`: "predicted" (default), "errors", "curves" or "trajectory"."""
        from groktime.validation.figures import plot

        return plot(self, file, overwrite=overwrite, **options)

    def to_dict(self) -> dict[str, Any]:
        """Table and summary as plain dicts, for scripts."""
        return {"schema": SCHEMA, "table": self.table.to_dict(), "summary": self.summary.to_dict()}

    def to_dataframe(self) -> Any:
        """One row a run and predictor; `low`, `high` and `inside` of the run's own seed, and those over the
        source's seeds as `low_seeds`, …"""
        parts = [self.table.sel(interval=which, drop=True) for which in INTERVALS]
        over = parts[1][["low", "high", "inside"]]
        flat = parts[0].assign({f"{name}_{INTERVALS[1]}": over[name] for name in over})
        frame = flat.to_dataframe(dim_order=["run", "predictor"]).reset_index()
        first = [
            "run",
            "predictor",
            *(str(k) for k in self.table.coords if k in frame and k not in ("run", "predictor")),
        ]
        return frame[[*first, *(k for k in frame if k not in first)]]

    def __repr__(self) -> str:
        scores, each = self.summary["ape_mean"].sel(quantity="t_grok", runs="all"), []
        for name in sources(self.table):
            mean = 100 * float(scores.sel(predictor=name))
            each.append(f"{name} {mean:.1f} %" if np.isfinite(mean) else f"{name} –")
        how = self.table.attrs
        return (
            f"<Comparison: {self.table.sizes['run']} runs of {how['task']}; mean error of t_grok: "
            f"{', '.join(each)}>"
        )

    def _repr_html_(self) -> str:
        from groktime.validation.page import scores_html

        return scores_html(self.table, self.summary)


def open_comparison(path: str | os.PathLike[str]) -> Comparison:
    """A comparison from the folder of its report, or from the table.nc in it; also of files of schema
    "groktime-comparison/1". It holds table and scores, and no runs: `write_report` needs those.

    Raises
    ------
    InputError : for a file that is no comparison's table.
    """
    from groktime.validation.convert import FIRST, from_first
    from groktime.validation.formats import COMPARISON

    file = Path(path) / "table.nc" if Path(path).is_dir() else Path(path)
    table = read_dataset(file, "the table of a comparison")
    schema = table.attrs.get("schema")
    if schema not in (SCHEMA, FIRST):
        raise InputError(f"{file}: its schema is {schema!r}; expected {SCHEMA} or {FIRST}")
    if schema == FIRST:
        try:
            table = from_first(table)
        except (KeyError, ValueError, TypeError) as error:
            words = " ".join(str(error).split())
            raise InputError(f"{file}: is no whole table of schema {FIRST} ({words[:80]})") from error
    table = COMPARISON.conform(Arrays.of(table), str(file)).dataset
    lacks = missing(table)
    if lacks:
        raise InputError(f"{file}: lacks {lacks[0]}; expected a table as gt.compare makes it")
    return Comparison(table, summary(table))
