"""recipes/data, the versioned set of our own runs that README is checked against, and what is read off it."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from groktime.recipes.results import external
from groktime.recipes.results.forecasts import Scored
from groktime.recipes.shared.common import predicted
from groktime.reduced.errors import InputError
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
    def forecasts(self) -> dict[str, Scored]:
        """The networks of the recipe `forecasts`, by system."""
        files = [self.folder / name for name in self.files if name.startswith("forecasts/")]
        return {file.stem: Scored.read(file) for file in files}

    @cached_property
    def external(self) -> list[tuple[external.Cell, external.Told]]:
        """The public runs with what was forecast of them."""
        return external.read_told(self.folder / "external-told.csv")


def error(table: Any, predictor: str) -> float:
    """Mean absolute error of t_grok in %, over the runs that got there and of which a time is told."""
    errors = predicted(table, predictor) / table["measured_t_grok"].values - 1
    return float(100 * np.mean(np.abs(errors[np.isfinite(errors)])))
