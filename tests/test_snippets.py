"""Every command and every piece of Python in README and docs runs, page by page, in the order of the page.

Trainings are cut short (`tests.snippets.SMALL`). A block under `<!-- not run: REASON -->` is only read: its
commands are parsed, its Python is compiled, and the names of groktime's that it uses exist. What a page takes
as given, a log or a checkpoint, is laid beside it first.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import groktime as gt
from groktime.cli import main, parser
from tests.snippets import SMALL, Snippet, briefly, short, snippets

ROOT = Path(__file__).parents[1]
DATA = ROOT / "recipes" / "data"
EVERY = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in EVERY if snippets(page)]
ELSEWHERE = {  # pages whose blocks another test runs
    "docs/own-script.md": "tests/groktime/test_own_script_doc.py",
    "docs/tutorial.md": "tests/test_tutorial.py",
}
NOT_RUN = 6  # blocks


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


PARSED_ONLY = {  # commands that are parsed and not run here, by a word in them
    "mnist": "needs the MNIST files",
    "cuda": "needs a GPU",
    "figure": "a recipe, of minutes or hours",
    "explore": "seconds to minutes of asking; tests/validation/test_explorer_page.py runs it",
}
COUNTED = {"mnist": 4, "cuda": 3, "figure": 1, "explore": 5}


def runs_there() -> None:
    """A runs file."""
    shutil.copy(DATA / "make-run-runs.nc", "runs.nc")


def sources_there() -> None:
    """Runs with their delays, a decay path and a forecast of the same networks."""
    runs_there()
    assert main(["measure", "runs.nc", "-o", "delays.csv"]) == 0
    gt.open_path("teacher-student-path").save("path.nc")
    shutil.copy(DATA / "make-run-forecast.nc", "forecast.nc")


def logs_there() -> None:
    """Two logs of one run, which generalizes after 3,800 steps."""
    steps = np.unique(np.geomspace(1, 5000, 60).astype(int)).tolist()
    rows = [{"step": s, "train_accuracy": min(1, s / 150), "test_accuracy": min(1, s / 4000)} for s in steps]
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    Path("log.csv").write_text("\n".join(lines) + "\n")
    Path("more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def reviews_there() -> None:
    """The archive of reviews, of four."""
    for split in ("train", "test"):
        for kind, stars in (("pos", 9), ("neg", 2)):
            folder = Path("aclImdb") / split / kind
            folder.mkdir(parents=True)
            (folder / f"0_{stars}.txt").write_text(f"{kind}, as it is.")
    shutil.make_archive("aclImdb_v1", "gztar", ".", "aclImdb")


def arrays() -> dict[str, Any]:
    """A landscape of one seed: fitted everywhere, generalizing below α = 1.5."""
    alpha = np.geomspace(0.5, 5, 21)
    return {"np": np, "alpha": alpha, "train_loss": 0 * alpha + 1e-9, "test_accuracy": 1.0 * (alpha < 1.5)}


def script() -> dict[str, Any]:
    """What a training script has by the time that it is watched."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    x = torch.randn(60, 4)
    y = (x[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)

    class Loader(list[Any]):
        """Each batch is stepped as the reader's own lines would."""

        def __iter__(self) -> Any:
            for a, b in super().__iter__():
                yield a, b
                optimizer.zero_grad()
                criterion(model(a), b).backward()
                optimizer.step()

    criterion = nn.CrossEntropyLoss()
    loader = Loader([(x[:40], y[:40])] * 30)
    return {
        "model": model, "optimizer": optimizer, "criterion": criterion, "loader": loader,
        "x": x[:40], "y": y[:40], "x2": x[40:], "y2": y[40:],
    }  # fmt: skip


def own_module() -> None:
    """The page's first block, under the name that it says."""
    Path("parity.py").write_text(snippets(ROOT / "docs" / "own-network.md")[0].text)


GIVEN: dict[str, Callable[[], dict[str, Any] | None]] = {
    "docs/command-line.md": runs_there,
    "docs/comparing.md": sources_there,
    "docs/data.md": reviews_there,
    "docs/explorer.md": sources_there,
    "docs/logs.md": logs_there,
    "docs/own-network.md": own_module,
    "docs/own-landscape.md": arrays,
    "docs/watch.md": script,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, whose modules are found, and trainings that are short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for verb in SMALL:
        name = verb.replace("-", "_")
        monkeypatch.setattr(gt, name, short(name), raising=False)
    return tmp_path


RUN = [(p, kind) for p in PAGES if name_of(p) not in ELSEWHERE for kind in ("python", "console")]
RUN = [(p, kind) for p, kind in RUN if any(one.kind == kind and not one.why for one in snippets(p))]


@pytest.mark.parametrize(("page", "kind"), RUN, ids=lambda x: x if isinstance(x, str) else name_of(x))
def test_it_runs(page: Path, kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Python and commands of a page apart: they often do the same, into the same files."""
    names = GIVEN.get(name_of(page), dict)() or {}
    for one in (one for one in snippets(page) if one.kind == kind):
        if kind == "python" and not one.why:
            exec(compile(one.text, str(page), "exec"), names)
        for words in one.commands if kind == "console" else ():
            command(words, run=not one.why)
    capsys.readouterr()


def command(words: list[str], run: bool) -> None:
    """One command of a page: run, or parsed, or what it names is there."""
    if words[0] == "groktime":
        parser().parse_args(words[1:])
        if run and not any(word in " ".join(words) for word in PARSED_ONLY):
            assert main(briefly(words[1:])) == 0, words
    elif words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    else:
        line = " ".join(words)
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert set(re.findall(r"(?:\.|groktime)\[(\w+)\]", line)) <= set(extras)
        for file in re.findall(r"(?:benchmarks|tests)/[\w/.]+", line):
            assert (ROOT / file).is_file()
        assert re.match(r"(\.venv/bin/)?(python|pip) |eval|register-python-argcomplete", line), line


def test_what_is_not_run_is_read_and_has_a_reason() -> None:
    left = [one for page in EVERY for one in snippets(page) if one.why]
    assert len(left) == NOT_RUN
    for one in left:
        assert len(one.why) > 10
        if one.kind == "python":
            names_exist(one)


def names_exist(one: Snippet) -> None:
    """Its names of groktime's exist, and the arguments that it gives by name."""
    for node in ast.walk(ast.parse(one.text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gt":
            assert node.attr in (*gt.__all__, *gt._CALLBACKS), node.attr


def test_commands_that_are_only_parsed_are_counted() -> None:
    lines = [
        " ".join(words) for page in EVERY for one in snippets(page) if not one.why for words in one.commands
        if one.kind == "console" and words[0] == "groktime"
    ]  # fmt: skip
    assert {word: sum(word in line for line in lines) for word in PARSED_ONLY} == COUNTED


def test_another_test_runs_the_other_pages() -> None:
    for page, test in ELSEWHERE.items():
        assert (ROOT / page).is_file()
        assert Path(page).name in (ROOT / test).read_text()


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_commands_within_sentences_are_parsed(page: Path) -> None:
    for line in re.findall(r"`groktime ([a-z][^`…]* [^`…]*)`", page.read_text().replace("\n", " ")):
        parser().parse_args(line.split())


def test_a_snippet_that_is_wrong_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: takes hours -->\n```python\ngt.nothing()\n```\n\n"
        "```console\n$ groktime predict x\n```\n"
    )
    block, wrong = snippets(page)
    assert (block.why, wrong.commands) == ("takes hours", [["groktime", "predict", "x"]])
    with pytest.raises(AssertionError):
        names_exist(block)
    with pytest.raises(SystemExit):
        command(wrong.commands[0], run=False)
