"""Every number of README.md, computed again from data that the repository holds: [OK] or [off].

`python -m groktime.recipes readme`, in a checkout. The data are recipes/data, a versioned set of forecasts and
trainings, and the public runs of external.csv. A number whose networks were not kept is told as [not checked],
with what has to be run for it, and never as [OK]. Exit 1 where one is off.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from groktime.fullnet.built_in import BUILT_IN
from groktime.recipes.registry import recipe
from groktime.recipes.results import external, headline
from groktime.recipes.shared.claims import Claim, Verdict, judged, left_over, plain
from groktime.recipes.shared.common import predicted
from groktime.reduced.errors import InputError
from groktime.reduced.files import read_dataset, replacing
from groktime.reduced.forecast import open_forecast
from groktime.validation.compare import compare

ROOT = Path(__file__).resolve().parents[2]
SET = ROOT / "recipes" / "data"

NO_CLAIMS = (  # names, settings and rules, but no results
    "ICLR 2023", "arXiv 2210.01117", "Python 3.11", "Eq. 6", "from two landscapes",
    "gamma eta_d alpha t_grok 90 % t_mem", "error by 20,000 steps", "in nine of ten cases", "(two minutes;",
    "inside 90 %", "The 90 % intervals", "ten minutes",
)  # fmt: skip


class Set:
    """recipes/data: its files, and what the claims read off them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        about = json.loads((folder / "set.json").read_text(encoding="utf-8"))
        self.version: str = about["version"]
        self.files: dict[str, dict[str, str]] = about["files"]

    def check(self) -> None:
        """Refuse a file that is not the one that was put there.

        Raises
        ------
        InputError : it is missing, or has other bytes.
        """
        for name, one in self.files.items():
            file = self.folder / name
            if not file.is_file():
                raise InputError(f"{file}: no such file; set.json names it")
            if hashlib.sha256(file.read_bytes()).hexdigest() != one["sha256"]:
                raise InputError(f"{file}: is not the file of version {self.version} of the set")

    @cached_property
    def example(self) -> Any:
        """The forecast at the top of README, by γ, with the chance by step 20,000."""
        found = open_forecast(self.folder / "example.nc")
        return found.summary(by=[20_000]).squeeze(("eta_d", "alpha", "by")), len(found.seeds)

    @cached_property
    def make_run(self) -> dict[str, Any]:
        """`make run` again: how many networks, and the mean error of each predictor, in %."""
        forecast = open_forecast(self.folder / "make-run-forecast.nc")
        made = compare(["teacher-student", "teacher-student-path", forecast], self.folder / "make-run-runs.nc")
        return {"runs": made.table.sizes["run"], **{k: off(made.table, k) for k in ("flow", "path", "forecast")}}

    @cached_property
    def forecasts(self) -> tuple[int, float]:
        """Teacher–student of the recipe `forecasts`: how many networks, and the mean error in %."""
        forecast = open_forecast(self.folder / "forecasts-teacher-student.nc")
        made = compare(forecast, self.folder / "forecasts-teacher-student-runs.nc")
        return made.table.sizes["run"], off(made.table, "forecast")

    @cached_property
    def external(self) -> list[tuple[external.Cell, external.Told]]:
        """The public runs with what was forecast of them."""
        return external.read_told(self.folder / "external-told.csv")

    @cached_property
    def headline(self) -> tuple[list[list[str]], bool]:
        """The lines of the headline table, and whether they are computed from its runs: otherwise they are those
        that the recipe wrote into docs/predicted.md."""
        file = self.folder / headline.FILE
        if headline.FILE in self.files:
            return headline.rows(read_dataset(file, "the runs of the headline table")), True
        page = (ROOT / "docs" / "predicted.md").read_text(encoding="utf-8")
        _, _, table = page.partition("<!-- groktime figure headline errors -->\n")
        lines = table.partition("\n\n")[0].splitlines()[2:]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines], False


def off(table: Any, predictor: str) -> float:
    """Mean absolute error of t_grok in %, over the runs that got there and of which a time is told."""
    errors = predicted(table, predictor) / table["measured_t_grok"].values - 1
    return float(100 * np.mean(np.abs(errors[np.isfinite(errors)])))


def claims(data: Set) -> Iterator[Claim]:
    """All claims of README, from top to bottom."""
    for gamma in (0.03, 0.1, 0.3):
        yield Claim(
            f"{gamma:g} 0.001 3 {{:,.0f}} {{:,.0f}} to {{:,.0f}} {{:,.0f}} generalizes {{:,.0f}} {{:.1f}} {{:.0f}} {{:.0f}}",
            lambda gamma=gamma: line(data, gamma),
        )
    yield Claim(
        "{:word} seeds, trained until they fit and then hastened: with weight decay 0.03 a network of another "
        "seed groks after {:,.0f} to {:,.0f} steps",
        lambda: (data.example[1], *line(data, 0.03)[1:3]),
    )
    yield Claim("is known after {:,.0f} steps of each", lambda: line(data, 0.03)[4:5])
    yield Claim(
        "make run does it for {:word} networks that are new",
        lambda: [data.make_run["runs"]],
    )
    yield Claim(
        "the forecast is off by {:.1f} %, the landscape and the path that ship, whose seeds are others, "
        "by {:.1f} and {:.1f} %",
        lambda: [data.make_run[k] for k in ("forecast", "flow", "path")],
    )
    cells = [cell for cell, _ in data.external]
    yield Claim(
        "{:d} public runs in {:word} cells",
        lambda: [sum(len(cell.t_grok) for cell in cells), len(cells)],
    )
    yield Claim(
        "from {:word} and {:word} seeds of our own",
        lambda: [one(told.seeds for c, told in data.external if c.name == name) for name in external.TASKS],
    )
    for name in external.TASKS:
        yield Claim(
            f"| {name} | {{:.0f}} | {{:.1f}} % | {{:.1f}} % | {{:.1f}} % | {{:.1f}} % | {{:.0f}} % of {{:.0f}} | {{:.1f}} |",
            lambda name=name: numbers(" ".join(external.total(name, data.external)[1:])),
        )
    yield Claim(
        "a forecast of {:d} teacher–student networks is off by {:.1f} %",
        lambda: data.forecasts,
    )
    yield from of_headline(data)
    yield Claim("one of {:word}", lambda: [len(BUILT_IN)])
    yield Claim("the {:word} systems", lambda: [len(BUILT_IN)])


def of_headline(data: Set) -> Iterator[Claim]:
    """Those of the headline table: its columns are the runs, the path, Eq. 6 three times, and the law."""
    rows, kept = data.headline
    needs = "" if kept else (
        "`python -m groktime.recipes headline` (90 minutes on two cores, MNIST), whose headline.nc is not in "
        "recipes/data yet; docs/predicted.md, which it wrote, says the same"
    )
    mnist = [row for row in rows if row[0].startswith("MNIST")]

    def ends(some: Sequence[Sequence[str]], *columns: int) -> list[float]:
        every = [x for row in some for k in columns for x in numbers(row[k])[:1]]
        return [min(every), max(every)]

    def claim(phrase: str, values: Callable[[], Sequence[float]]) -> Claim:
        return Claim(phrase, values, needs)

    yield claim(
        "a decay path by {:.1f} % on {:.0f} of them",
        lambda: [numbers(rows[0][2])[0], numbers(rows[0][1])[0]],
    )
    yield claim(
        "by {:.1f} to {:.1f} % on {:.0f} MNIST networks",
        lambda: [*ends(mnist, 2), sum(numbers(row[1])[0] for row in mnist[:2])],
    )
    yield claim("Eq. 6 on a sampled landscape by {:.0f} to {:.0f} %", lambda: ends(rows, 3, 4))
    yield claim("comes on top ({:.0f} to {:.0f} %)", lambda: ends(rows, 5))
    yield claim("is off by {:.0f} to {:.0f} %", lambda: ends(rows, 6))


def line(data: Set, gamma: float) -> list[float]:
    """The numbers of one line of the table at the top, from t_grok on."""
    one = data.example[0].sel(gamma=gamma)
    names = ("t_grok", "low", "high", "t_mem", "real_steps", "speed_up")
    return [*(float(one[k]) for k in names), 100 * float(one["error"]), 100 * float(one["probability"])]


def numbers(text: str) -> list[float]:
    """Those that a text holds."""
    return [float(x.replace(",", "")) for x in re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)]


def one(values: Iterator[int]) -> int:
    """The value that all of them are."""
    (value,) = set(values)
    return value


def verdicts(page: str, folder: Path = SET) -> list[Verdict]:
    """One a claim, and one a number of the page that none of them covers."""
    data = Set(folder)
    data.check()
    rest, found = plain(page), []
    for each in claims(data):
        verdict, rest = judged(each, rest)
        found.append(verdict)
    return [*found, *(Verdict("off", f"… {text} …: nothing computes it") for text in left_over(rest, NO_CLAIMS))]


@recipe("readme", "every number of README.md again, from data that the repository holds: [OK] or [off]")
def run(
    out: Path,
    *,
    page: Annotated[Path, "the page (README.md of this checkout)"] = ROOT / "README.md",
) -> None:
    if not page.is_file():
        raise InputError(f"{page}: no such file; expected README.md of a checkout")
    found = verdicts(page.read_text(encoding="utf-8"))
    marks = [one.mark for one in found]
    text = "\n".join(map(str, found))
    counts = ", ".join(f"{marks.count(mark)} {mark}" for mark in ("OK", "off", "not checked"))
    text += f"\n\n{page.name}, data of recipes/data, version {Set(SET).version}: {counts}"
    with replacing(out / "readme.txt") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(text)
    if "off" in marks:
        sys.exit(1)
