"""The report as a page: whole in itself, well-formed, escaped, and drawn by a browser."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from planted import NAN, flat, grid, law, planted
from webpage import CHROMIUM, Page

from groktime.fullnet.runs import Runs
from groktime.reduced.landscape import Landscape
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison
from groktime.validation.folder import FIGURES

RUNS = grid()


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(flat(), planted([*law(RUNS["gamma"])[:-1] / 1.1, NAN], **RUNS))


@pytest.fixture(scope="module")
def report(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return comparison.write_report(tmp_path_factory.mktemp("page") / "report")


def test_needs_nothing_else(report: Path) -> None:
    html = (report / "report.html").read_text(encoding="utf-8")
    found = Page(html)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]+", "", html))
    assert not {"script", "link", "iframe", "object", "a"} & {tag for tag, _ in found.found}
    images = list(found.all("img"))
    assert len(images) == len(FIGURES)
    for image in images:
        assert (image["src"] or "").startswith("data:image/png;base64,")
        assert len(image["alt"] or "") > 20
    assert not [name for _, attrs in found.found for name in attrs if name.startswith("on") or name == "href"]
    assert "$" not in re.sub(r"base64,[^\"]+", "", html)


def test_says_what_came_out_and_what_was_left_out(report: Path, comparison: Comparison) -> None:
    text = " ".join(Page((report / "report.html").read_text(encoding="utf-8")).text.split())
    assert "predicts t_grok of 8 of 9 runs with a mean error of 10.0%" in text
    assert "Left out: 1 never got there (censored)" in text
    for predictor in comparison.table["predictor"].values:
        assert str(predictor).replace("_", " ") in text
    for name in comparison.table.data_vars:
        assert str(name) in text
    for words in (
        "planted",
        "numpy",
        "generalizes later",
        "kappa",
        "rule persist",
        "does not say with which",
    ):
        assert words in text


def test_names_are_escaped(tmp_path: Path) -> None:
    hostile = '<script>alert("1")</script>&$title'
    land, runs = flat(), planted(law(RUNS["gamma"]), **RUNS)
    land = Landscape(land.dataset.assign_attrs(task=hostile), hostile)
    runs = Runs(runs.dataset.assign_attrs(task=hostile), hostile)
    html = (compare(land, runs).write_report(tmp_path / "report") / "report.html").read_text(encoding="utf-8")
    found = Page(html)
    assert not list(found.all("script"))
    assert hostile in found.text


def test_nothing_to_tell_is_told(tmp_path: Path) -> None:
    found = compare(flat(), planted([NAN, NAN], gamma=0.0, seed=[0, 1]))
    html = (found.write_report(tmp_path / "report") / "report.html").read_text(encoding="utf-8")
    assert "no run of 2 has both a predicted and a measured time" in Page(html).text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_draws_it(report: Path, tmp_path: Path, width: int) -> None:
    from matplotlib.image import imread

    shot = tmp_path / "shot.png"
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},3000",
            f"--screenshot={shot}", (report / "report.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pixels = imread(shot)[..., :3]
    assert pixels.shape[1] == width
    # ink in every fifth of the height: neither blank nor cut off
    assert all(np.ptp(part) > 0.5 for part in np.array_split(pixels, 5))
