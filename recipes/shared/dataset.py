"""recipes/data, the versioned set of our own runs that README is checked against, and what is read off it."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from groktime.recipes.results import external, headline
from groktime.recipes.results.forecasts import Scored
from groktime.recipes.shared.common import predicted
from groktime.reduced.errors import InputError
from groktime.reduced.files import read_dataset
from groktime.reduced.forecast import open_forecast
from groktime.validation.compare import compare

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "recipes" / "data"


class DataSet:
    """A folder with set.json, which names its version, its files, the SHA-256 of each, and what made it.

    Raises
    ------
    InputError : a file is missing, or has other bytes than were put there.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        about = json.loads((folder / "set.json").read_text(encoding="utf-8"))
        self.version: str = about["version"]
        self.files: dict[str, dict[str, str]] = about["files"]
        for name, one in self.files.items():
            file = folder / name
            if not file.is_file():
                raise InputError(f"{file}: no such file; set.json names it")
            if hashlib.sha256(file.read_bytes()).hexdigest() != one["sha256"]:
                raise InputError(f"{file}: is not the file of version {self.version} of the set")

    @cached_property
    def example(self) -> tuple[xr.Dataset, int]:
        """The forecast at the top of README over gamma, with the chance by step 20,000; and its seeds."""
        found = open_forecast(self.folder / "example.nc")
        return found.summary(by=[20_000]).squeeze(("eta_d", "alpha", "by")), len(found.seeds)

    @cached_property
    def make_run(self) -> dict[str, float]:
        """`make run`: how many runs, and the mean error of each predictor, in %."""
        forecast = open_forecast(self.folder / "make-run-forecast.nc")
        runs = self.folder / "make-run-runs.nc"
        table = compare(["teacher-student", "teacher-student-path", forecast], runs).table
        return {"runs": table.sizes["run"], **{k: error(table, k) for k in ("flow", "path", "forecast")}}

    @cached_property
    def forecasts(self) -> tuple[int, float] | None:
        """Teacher–student of the recipe `forecasts`: how many networks, and the mean error in %; None where
        they were not kept."""
        name = "forecasts/teacher-student.csv"
        if name not in self.files:
            return None
        made = Scored.read(self.folder / name)
        errors = np.abs(made.told / made.t_grok - 1)
        return len(errors), float(100 * np.mean(errors[np.isfinite(errors)]))

    @cached_property
    def external(self) -> list[tuple[external.Cell, external.Told]]:
        """The public runs with what was forecast of them."""
        return external.read_told(self.folder / "external-told.csv")

    @cached_property
    def headline(self) -> list[list[str]] | None:
        """The lines of the headline table, computed from its runs; None where they were not kept."""
        if headline.FILE not in self.files:
            return None
        return headline.rows(read_dataset(self.folder / headline.FILE, "the runs of the headline table"))


def error(table: Any, predictor: str) -> float:
    """Mean absolute error of t_grok in %, over the runs that got there and of which a time is told."""
    errors = predicted(table, predictor) / table["measured_t_grok"].values - 1
    return float(100 * np.mean(np.abs(errors[np.isfinite(errors)])))


def written(page: str, name: str) -> list[list[str]]:
    """The cells of the table "RECIPE NAME" that a recipe wrote into a page of docs/, line by line."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    _, mark, rest = text.partition(f"<!-- groktime figure {name} -->\n")
    if not mark:
        raise InputError(f"docs/{page}: expected the table {name}")
    lines = [line for line in rest.partition("<!-- end -->")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
