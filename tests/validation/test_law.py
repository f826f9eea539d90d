"""A source that nothing in the package knows of is a column everywhere."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from law import Law
from planted import NAN, flat, grid, law, planted, planted_path

import groktime as gt
from groktime.reduced.errors import InputError
from groktime.reduced.flow_source import FlowSource
from groktime.validation.comparison import Comparison
from groktime.validation.figures.columns import errors_shown

RUNS = grid()
PUBLISHED = Law(c=np.log(2), t_mem=1.0)


@pytest.fixture(scope="module")
def found() -> Comparison:
    return gt.compare([flat(), planted_path(), PUBLISHED], planted([*law(RUNS["gamma"])[:-1], NAN], **RUNS))


def test_in_the_table_and_the_scores(found: Comparison) -> None:
    one = found.table.sel(predictor="law")
    np.testing.assert_allclose(one["predicted"], law(RUNS["gamma"]) + 1)
    np.testing.assert_allclose(one["predicted_delay"], law(RUNS["gamma"]))
    assert set(one["status"].values) == {"generalizes"}
    assert np.isnan(one["low"]).all()
    assert not one["seed_matched"].any()
    scores = found.summary.sel(predictor="law")
    assert float(scores["ape_mean"].sel(quantity="t_grok", runs="all")) < 1e-3
    assert float(scores["gamma_slope"][0]) == pytest.approx(-1, abs=1e-3)
    assert int(scores["confusion"].sel(predicted="generalizes", measured="censored")) == 1
    assert int(scores["n_interval"].sum()) == 0


def test_in_text_page_and_figures(found: Comparison, tmp_path: Path) -> None:
    text = found.report()
    assert "law predicts t_grok of 8 of 9 runs" in text
    assert "Predicted by law (rows)" in text
    assert "law: source law" in text
    folder = found.write_report(tmp_path / "report")
    html = (folder / "report.html").read_text(encoding="utf-8")
    rows = [len(re.findall(f'<th scope="row"[^>]*>{name}</th>', html)) for name in ("law", "flow")]
    assert rows[0] == rows[1] > 4
    assert "predicted by law" in html
    assert ",law," in (folder / "table.csv").read_text()
    assert errors_shown(found.table) == ["flow", "path", "law"]
    ax = gt.plot(found, tmp_path / "predicted.png", predictor="law")
    assert ax.get_ylabel().startswith("predicted by law")


def test_alone_and_from_files(tmp_path: Path) -> None:
    planted(law(RUNS["gamma"]), **RUNS).save(tmp_path / "runs.nc")
    found = gt.compare(PUBLISHED, tmp_path / "runs.nc")
    assert found.table["predictor"].values[0] == "law"
    assert len(list(found.write_report(tmp_path / "report").iterdir())) == 9
    again = gt.open_comparison(tmp_path / "report")
    np.testing.assert_allclose(again.summary["ape_mean"], found.summary["ape_mean"])
    with pytest.raises(InputError, match=r"^level: .* a path has no contour; leave level out"):
        gt.compare([planted_path()], tmp_path / "runs.nc", level=0.2)


def test_as_a_value(found: Comparison) -> None:
    assert repr(found).startswith("<Comparison: 9 runs of planted; mean error of t_grok: flow 0.0 %")
    assert re.search('<th scope="row"[^>]*>law</th>', found._repr_html_())
    frame = found.to_dataframe()
    assert len(frame) == 9 * found.table.sizes["predictor"]
    assert list(frame.columns[:3]) == ["run", "predictor", "gamma"]
    plain = found.to_dict()
    assert plain["schema"] == "groktime-comparison/2"
    json.dumps(plain)
    again = pickle.loads(pickle.dumps(found))
    assert again.table.identical(found.table)
    assert again.report() == found.report()
    for name, variable in found.table.variables.items():
        assert {"units", "long_name"} <= set(variable.attrs), name


def test_two_of_one_name_are_told_apart() -> None:
    runs = planted(law(RUNS["gamma"]), **RUNS)
    with pytest.raises(InputError, match="2 of them are called 'law'"):
        gt.compare([PUBLISHED, PUBLISHED], runs)
    found = gt.compare([flat(), FlowSource(flat(), "fine")], runs)
    names = ["flow", "printed", "corrected", "fine", "fine_printed", "fine_corrected"]
    assert found.table["predictor"].values[:6].tolist() == names


def test_an_older_table_opens() -> None:
    """Two further numbers of it by hand: the flow's mean error, and the coverage of the path."""
    found = gt.open_comparison(Path(__file__).parents[1] / "files" / "comparison-1.nc")
    assert found.table.attrs["schema"] == "groktime-comparison/2"
    assert found.table["predictor"].values[:4].tolist() == ["flow", "printed", "corrected", "path"]
    scores = found.summary.sel(quantity="t_grok", runs="all")
    assert float(scores["ape_mean"].sel(predictor="flow")) == pytest.approx(0.285, abs=5e-4)
    assert float(scores["ape_mean"].sel(predictor="path")) == pytest.approx(0.029, abs=5e-4)
    assert float(scores["coverage"].sel(predictor="path", interval="seed")) == pytest.approx(15 / 16)
    assert "path predicts t_grok of 16 of 16 runs" in found.report()
    with pytest.raises(InputError, match="holds no learning curves"):
        _ = found.runs
    with pytest.raises(InputError, match="no such file"):
        gt.open_comparison("nowhere.nc")
