"""The explorer's page: whole in itself, its scripts under node, and moved in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import apart, flat, grid, law, planted
from webpage import CHROMIUM, Page

from groktime.cli import main
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import predict
from groktime.reduced.recommend import recommend
from groktime.validation.explorer.explore import Explorer, explore

RUNS = grid()
NODE = shutil.which("node")
SCRIPTS = files("groktime.validation") / "explorer"


def data(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_needs_nothing_else(made: Explorer) -> None:
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)|import\(|fetch\(|XMLHttp", made.html)
    found = Page(made.html)
    assert not {"iframe", "object", "a", "img"} & {tag for tag, _ in found.found}
    assert not any("src" in attrs for attrs in found.all("script"))
    policy = next(a["content"] for a in found.all("meta") if a.get("http-equiv"))
    assert policy and policy.startswith("default-src 'none'")
    assert len(made.html.encode()) < 2e6


def test_has_what_a_screen_reader_needs(made: Explorer) -> None:
    found = Page(made.html)
    titles = {a["id"] for _, a in found.found if "id" in a}
    labelled = [a["aria-labelledby"] for a in found.all("section") if "aria-labelledby" in a]
    assert labelled and set(labelled) <= titles
    assert [a for _, a in found.found if a.get("aria-live") == "polite"]
    assert all(a["role"] == "img" for a in found.all("svg"))
    assert all(a.get("aria-label") or a.get("id") == "use" for a in found.all("button"))


def test_names_are_escaped() -> None:
    hostile = '</script><script>alert("1")</script>&$title'
    land = Landscape(flat().dataset.assign_attrs(task=hostile), hostile)
    html = explore(land, gamma=0.1, eta_d=1e-3, alpha=[2, 4]).html
    assert "<script>alert" not in html
    assert json.loads(data(html)["source"]["python"]) == hostile


def test_the_shell_shows_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    land, runs, page = (tmp_path / name for name in ("land.nc", "runs.nc", "page.html"))
    flat().save(land)
    planted(law(RUNS["gamma"]), **RUNS).save(runs)
    call = ["explore", str(land), str(runs), "--alpha", "2", "4", "-o", str(page)]
    assert main(call) == 0
    told = capsys.readouterr()
    assert "Explorer" in told.out and "predictions" in told.out
    assert "explore: following the networks" in told.err
    assert len(data(page.read_text(encoding="utf-8"))["runs"]) == 9
    assert main(call) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*call[:-1], str(tmp_path / "page.txt")]) == 2
    assert capsys.readouterr().err.endswith("expected a name that ends in .html\n")


@pytest.mark.skipif(NODE is None, reason="no node here")
def test_node_reads_the_table_as_python_does(made: Explorer, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    ends = {s.name: np.log(s.stops[[0, -1]]) for s in made.table.sliders}
    at = {name: np.exp(random.uniform(*end, 200)) for name, end in ends.items()}
    lanes = [
        dict(zip(at, values, strict=True)) for values in zip(*(v.tolist() for v in at.values()), strict=True)
    ]
    page, asked = tmp_path / "data.json", tmp_path / "asked.json"
    page.write_text(json.dumps(data(made.html)))
    asked.write_text(json.dumps(lanes))
    code = (
        "const { readTable, weakest } = require(process.argv[1]), fs = require('fs');"
        "const load = (f) => JSON.parse(fs.readFileSync(f), (_, v) => (v === '∞' ? Infinity : v));"
        "const { table } = load(process.argv[2]), lanes = load(process.argv[3]);"
        "const read = lanes.map((at) => ({ ...readTable(table, at), gamma: weakest(table, at, 2e4) }));"
        "console.log(JSON.stringify(read, (_, v) => (v === Infinity ? 1e300 : v)));"
    )
    command = [str(NODE), "-e", code, str(SCRIPTS / "read.js"), str(page), str(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    read, even = made.table.read(at)
    assert [f["status"] for f in found] == read["status"].tolist()
    assert [not f["taken"] for f in found] == even.tolist()
    for name in ("t_grok", "low", "high"):
        mine = np.where(np.isinf(read[name]), 1e300, read[name])
        theirs = [np.nan if f[name] is None else f[name] for f in found]
        np.testing.assert_allclose(theirs, mine, rtol=1e-3, err_msg=name)  # the page has six digits
    for k in np.flatnonzero(even & (read["t_grok"] > 0))[:10]:
        p = predict(apart(), **lanes[k])
        np.testing.assert_allclose(found[k]["t_grok"], p.t_grok, rtol=0.01)
        rest = {name: lanes[k][name] for name in ("eta_d", "alpha")}
        best = recommend(apart(), budget=20_000, **rest).gamma
        if best > 1e-3:  # where the slider begins
            np.testing.assert_allclose(found[k]["gamma"], best, rtol=0.01)


# What a visitor does, in the page itself: sliders are moved, a number is typed, and all is told at the end.
_VISIT = """
<script>
{
const seen = [];
const look = () => seen.push({ ...JSON.parse(document.getElementById("result").dataset.values),
  hash: location.hash, words: document.getElementById("headline").textContent,
  interval: document.getElementById("interval").textContent,
  curves: document.querySelectorAll("#curves path.line").length });
const move = (name, share) => {
  const range = document.getElementById("set-" + name);
  range.value = Math.round(share * range.max);
  range.dispatchEvent(new Event("input", { bubbles: true }));
  look();
};
look();
for (const share of [0.2, 0.7]) for (const name of ["gamma", "eta_d", "alpha"]) move(name, share);
const typed = document.querySelector("#sliders input.value");
typed.value = "0.0314";
typed.dispatchEvent(new Event("change", { bubbles: true }));
look();
const over = document.documentElement.scrollWidth - innerWidth;
const net = performance.getEntriesByType("resource").map((e) => e.name);
const told = { id: "seen", textContent: JSON.stringify({ seen, over, net }) };
document.body.append(Object.assign(document.createElement("pre"), told));
}
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.parametrize("width", [500, 1200])  # the narrowest that a headless window can be, and a wide one
def test_a_browser_moves_the_sliders(made: Explorer, tmp_path: Path, width: int) -> None:
    page = tmp_path / "page.html"
    page.write_text(made.html.replace("</body>", _VISIT + "</body>"), encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900", "--dump-dom", page.as_uri() + "#alpha=3&gamma=0.05",
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, done.stdout[-2000:]
    found = json.loads(told[1].replace("&amp;", "&"))
    assert found["over"] <= 0 and found["net"] == []
    first, *moved = found["seen"]
    start = predict(apart(), gamma=0.05, eta_d=data(made.html)["sliders"][1]["start"], alpha=3)
    np.testing.assert_allclose(first["t_grok"], start.t_grok, rtol=0.01)  # as the address said
    assert "gamma=0.0314" in moved[-1]["hash"]
    for seen in moved:
        at = {
            name: float(re.search(rf"[#&]{name}=([^&]+)", seen["hash"])[1])
            for name in ("gamma", "eta_d", "alpha")
        }
        p = predict(apart(), **at)
        assert seen["status"] == p.status
        if p.t_grok > 0 and not seen["taken"]:
            np.testing.assert_allclose(
                [seen[k] for k in ("t_grok", "low", "high")], [p.t_grok, p.low, p.high], rtol=0.01
            )
            shown = float(re.sub(r"[^0-9.]", "", seen["words"]))
            np.testing.assert_allclose(shown, p.t_grok, rtol=0.01)
            assert seen["curves"] >= 4


@pytest.mark.slow
def test_the_shipped_landscape_makes_a_small_page() -> None:
    made = explore("teacher-student")
    assert len(made.html.encode()) < 2e6
    assert made.error < 0.01
