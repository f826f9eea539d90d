"""README's numbers, computed again from the data of the repository; and that a wrong one is seen."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import groktime as gt
from groktime.recipes.__main__ import main
from groktime.recipes.results import external, headline
from groktime.recipes.results.external_page import OfCells, measured
from groktime.recipes.results.readme import NO_CLAIMS, verdicts
from groktime.recipes.shared.claims import Claim, judged, left_over, plain
from groktime.recipes.shared.dataset import FOLDER, ROOT, DataSet
from groktime.reduced.errors import InputError

PAGE = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def data() -> DataSet:
    return DataSet()


def test_every_number_is_computed(data: DataSet) -> None:
    found = verdicts(PAGE, data)
    assert [str(one) for one in found if one.mark == "off"] == []
    assert [one.mark for one in found] == ["OK"] * 20
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 600_000


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("off by 3.3 %", "off by 3.4 %", "came out as 3.3, 8.2, 9.4"),
        ("2,271 steps of each", "2,272 steps of each", "came out as 2,271"),
        ("for eight networks", "for nine networks", "came out as eight"),
        ("| 25 of 25 | 2.5 % |", "| 25 of 25 | 2.4 % |", "came out as 0.03, 3, 25, 25, 2.5,"),
        ("| 4.6 % |", "| 4.5 % |", "came out as 8, 4.6,"),
        ("MIT licence", "MIT licence, 17 stars", "nothing computes it"),
        ("in fourteen cells", "in cells", "stands 0 times on the page"),
    ],
)
def test_a_wrong_number_is_off(right: str, wrong: str, words: str, data: DataSet) -> None:
    assert PAGE.count(right) == 1
    off = [one.told for one in verdicts(PAGE.replace(right, wrong), data) if one.mark == "off"]
    assert off and words in off[0]


def test_what_no_claim_says_stands_on_the_page() -> None:
    page = plain(PAGE)
    assert [phrase for phrase in NO_CLAIMS if phrase not in page] == []


def test_a_claim_is_what_it_formats() -> None:
    claim = Claim("off by {:.1f} % of {:word}", lambda: (2.04, 3))
    assert str(judged(claim, "it is off by 2.0 % of Three now")[0]) == "[OK] off by 2.0 % of Three"
    verdict, rest = judged(claim, "off by 2.1 % of three")
    assert (verdict.mark, rest) == ("off", "|")
    lost = Claim("off by {:.1f} %", lambda: (2.0,), "an hour")
    assert judged(lost, "off by 2.0 %")[0].mark == "not checked"
    assert judged(lost, "off by 2.2 %")[0].mark == "off"
    assert left_over("a 5 and six", ["a 5"]) == ["| and six"]
    page = "a [b 3](c4.md) **5**\n```text\n6\n```\n```console\n$ 7\n```\n<!-- 8 -->![x9](y.png)\n"
    assert plain(page).split() == ["a", "b", "3", "5", "6"]


def test_another_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(FOLDER, tmp_path / "data")
    told = tmp_path / "data" / "external-told.csv"
    told.write_text(told.read_text().replace("20445", "19306"))
    version = json.loads((FOLDER / "set.json").read_text())["version"]
    words = re.escape(f"is not the file of version {version} of the set")
    with pytest.raises(InputError, match=words):
        DataSet(tmp_path / "data")
    assert main(["readme", "-o", str(tmp_path / "out"), "--data", str(tmp_path / "data")]) == 2
    assert re.search(words, capsys.readouterr().err)
    told.unlink()
    with pytest.raises(InputError, match=r"set\.json names it"):
        DataSet(tmp_path / "data")
    assert set(json.loads((FOLDER / "set.json").read_text())) == {"version", "files"}


def test_the_headline_table_is_made_of_its_runs() -> None:
    t = np.array([100.0, 1000.0, 100.0, 100.0, 100.0])
    told = np.full((5, 5), np.nan)
    told[:, 0] = t * [1.01, 1.03, 1.2, 1.09, np.nan]  # path
    told[:, 4] = t * [2.0, 1.0, 3.0, 1.5, 1.5]  # the law
    runs = xr.Dataset(
        {
            "networks": ("run", ["adamw", "adamw", "mnist-50", "mnist-50", "mnist-50"]),
            "gamma": ("run", [0.1, 0.1, 0.1, 0.03, 0.03]),
            "short": ("run", [True, False, False, False, False]),
            "fitted": ("run", [False, True, False, False, False]),
            "t_grok": ("run", t),
            "predicted": (("run", "predictor"), told),
        },
        {"predictor": list(headline.PREDICTORS)},
    )
    rows = {row[0]: row[1:] for row in headline.rows(runs)}
    assert rows[headline.STUDENTS["adamw"]] == ["2", "**2.0 %**", "–", "–", "–", "100 %"]
    assert rows["of these with a delay of at least five times the fit"][:2] == ["1", "**3.0 %**"]
    assert rows["MNIST, N = 1000, to 50 %, γ of 0.1 and 0.3"] == ["1", "**20 %**", "–", "–", "–", "200 %"]
    assert rows["MNIST, to 50 %, γ = 0.03"][:2] == ["2", "**9.0 % (1 not predicted)**"]


def test_what_was_told_is_read_as_it_was_written(tmp_path: Path, data: DataSet) -> None:
    assert len(data.external) == 14
    external.write_told(data.external, tmp_path / "told.csv")
    again = external.read_told(tmp_path / "told.csv")
    assert [told for _, told in again] == [told for _, told in data.external]


def test_the_page_of_the_benchmark_tells_what_was_forecast(data: DataSet) -> None:
    made = [(cell, told) for cell, told in data.external if (cell.name, cell.p) == ("modular-mlp", 59)]
    source = OfCells(made)
    for cell, told in made:
        p = gt.predict(source, gamma=cell.gamma, eta_d=cell.eta_d, alpha=1.0)
        assert [p.t_grok, p.low, p.high] == pytest.approx([told.t_grok, told.low, told.high], rel=1e-6)
    assert gt.predict(source, gamma=0.1, eta_d=1e-3, alpha=1.0).status == "outside"
    assert measured(made).sizes["run"] == 120
    for name in ("modular-mlp", "modular-transformer"):
        page = (ROOT / "docs" / "explorers" / f"{name}.html").read_text()
        assert len(page) < 500_000 and "https:" not in page
