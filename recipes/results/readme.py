"""Every number of README.md, computed again from data that the repository holds: [OK] or [off].

`python -m groktime.recipes readme`, in a checkout. The data are recipes/data, a versioned set of forecasts
and trainings, and the public runs of external.csv. A claim may say what has to be run for it, where its
networks were not kept: it is then [not checked], and never [OK]. Exit 1 where one is off.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

from groktime.fullnet.built_in import BUILT_IN
from groktime.recipes.registry import recipe
from groktime.recipes.results import external, forecasts
from groktime.recipes.shared.claims import Claim, Verdict, judged, left_over, plain
from groktime.recipes.shared.dataset import FOLDER, ROOT, DataSet
from groktime.reduced.errors import InputError
from groktime.reduced.files import replacing

NO_CLAIMS = (  # names, settings, rules and times of a clock, but no results
    "ICLR 2023", "arXiv 2210.01117", "Python 3.11", "Eq. 6", "1/γ", "gamma eta_d alpha t_grok 90 % t_mem",
    "by 20,000 steps", "in nine of ten cases", "(two minutes;", "inside 90 %", "The 90 % intervals",
    "ten minutes", "--gamma 0.1 --eta-d 3e-4 --alpha 3", "--gamma 0.03 0.1", "--step 12000 --gamma 0.1",
    "--budget 20000",
)  # fmt: skip


def claims(data: DataSet) -> Iterator[Claim]:
    """All claims of README, from top to bottom."""
    times = "{:,.0f} {:,.0f} to {:,.0f} {:,.0f} generalizes {:,.0f} {:.1f} {:.0f} {:.0f}"
    for gamma in (0.03, 0.1, 0.3):
        yield Claim(f"{gamma:g} 0.001 3 {times}", partial(line, data, gamma))
    yield Claim(
        "{:word} seeds, trained until they fit and then hastened: with weight decay 0.03 a network of "
        "another seed groks after {:,.0f} to {:,.0f} steps",
        lambda: (data.example[1], *line(data, 0.03)[1:3]),
    )
    yield Claim("is known after {:,.0f} steps of each", lambda: line(data, 0.03)[4:5])
    yield Claim("does it for {:word} networks that are new", lambda: [data.make_run["runs"]])
    yield Claim(
        "the forecast is off by {:.1f} %, the landscape and the path that ship, whose seeds are others, "
        "by {:.1f} and {:.1f} %",
        lambda: [data.make_run[k] for k in ("forecast", "flow", "path")],
    )
    cells = [cell for cell, _ in data.external]
    yield Claim("{:d} public runs in {:word} cells", lambda: [sum(len(c.t_grok) for c in cells), len(cells)])
    yield Claim(
        "from {:word} and {:word} seeds of our own",
        lambda: [the_one(told.seeds for c, told in data.external if c.name == k) for k in external.TASKS],
    )
    scores = "{:.0f} | {:.1f} % | {:.1f} % | {:.1f} % | {:.1f} % | {:.0f} % of {:.0f} | {:.1f}"
    for name in external.TASKS:
        yield Claim(f"| {name} | {scores} |", partial(of_external, data, name))
    scores = "{:g} – {:g} | {:.0f} of {:.0f} | {:.1f} % | {:.1f} % | {:.1f} % | {:.1f}"
    for name, made in data.forecasts.items():
        if not made.scored:
            continue
        title, *rest = forecasts.short(name, made)
        yield Claim(f"| {title} | {scores} |", partial(numbers, " ".join(rest)))
    yield Claim("one of {:word}", lambda: [len(BUILT_IN)])
    yield Claim("the {:word} systems", lambda: [len(BUILT_IN)])


def line(data: DataSet, gamma: float) -> list[float]:
    """The numbers of one line of the table at the top, from t_grok on."""
    one = data.example[0].sel(gamma=gamma)
    names = ("t_grok", "low", "high", "t_mem", "real_steps", "speed_up")
    return [*(float(one[k]) for k in names), 100 * float(one["error"]), 100 * float(one["probability"])]


def of_external(data: DataSet, name: str) -> list[float]:
    """The numbers of one line of the table of the external benchmark."""
    return numbers(" ".join(external.total(name, data.external)[1:]))


def numbers(text: str) -> list[float]:
    """Those that a text holds."""
    return [float(x.replace(",", "")) for x in re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)]


def the_one(values: Iterable[int]) -> int:
    """The value that all of them are."""
    (value,) = set(values)
    return value


def verdicts(page: str, data: DataSet) -> list[Verdict]:
    """One a claim, and one a number of the page that none of them covers."""
    rest, found = plain(page), []
    for each in claims(data):
        verdict, rest = judged(each, rest)
        found.append(verdict)
    bare = left_over(rest, NO_CLAIMS)
    return [*found, *(Verdict("off", f"… {text} …: nothing computes it") for text in bare)]


@recipe("readme", "every number of README.md again, from data that the repository holds: [OK] or [off]")
def run(
    out: Path,
    *,
    page: Annotated[Path, "the page (README.md of this checkout)"] = ROOT / "README.md",
    data: Annotated[Path, "the data set (recipes/data)"] = FOLDER,
) -> None:
    if not page.is_file():
        raise InputError(f"{page}: no such file; expected README.md of a checkout")
    known = DataSet(data)
    found = verdicts(page.read_text(encoding="utf-8"), known)
    marks = [one.mark for one in found]
    counts = ", ".join(f"{marks.count(mark)} {mark}" for mark in ("OK", "off", "not checked"))
    text = "\n".join([*map(str, found), "", f"{page.name}, version {known.version} of the data: {counts}"])
    with replacing(out / "readme.txt") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(text)
    if "off" in marks:
        sys.exit(1)
