"""notebooks/*.ipynb: they run as they are, and print what they show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.shown import same

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = sorted(file.name for file in FOLDER.glob("*.ipynb"))


def printed(cells: list[Any]) -> list[str]:
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    texts = ["".join(output["text"]) for output in outputs if output["output_type"] == "stream"]
    return "".join(texts).splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_shows_what_all_of_its_cells_gave(name: str) -> None:
    cells = [c for c in json.loads((FOLDER / name).read_text())["cells"] if c["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert len(printed(cells)) >= 3


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of Jupyter's are not ours
@pytest.mark.parametrize("name", NAMES)
def test_runs_and_prints_what_it_shows(name: str, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(FOLDER / name, as_version=4)
    shown = printed(notebook.cells)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    came = printed(notebook.cells)
    assert len(came) == len(shown)
    for one, other in zip(shown, came, strict=True):
        assert same(one, other), (one, other)


def test_another_number_or_word_is_seen() -> None:
    assert same("0.1  5,518 steps", "  0.1 5,500  steps")
    assert not same("5,518 steps", "5,900 steps")
    assert not same("5,518 steps", "5,518 days")
