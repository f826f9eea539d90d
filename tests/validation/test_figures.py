"""Figures of a comparison: which settings have a panel, and that every kind of run can be drawn."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from planted import NAN, flat, grid, law, planted

import groktime as gt
from groktime.fullnet.runs import Runs
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.phases import points
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison
from groktime.validation.figures import Panels, plot
from groktime.validation.figures.cells import cells, columns_of, spread
from groktime.validation.figures.trajectory import _prediction as prediction_of
from groktime.validation.headline import by_run, headline
from groktime.validation.same import same_as, told_once

KINDS = ("predicted", "errors", "curves", "trajectory")


def compared(gamma: Any = (0.03, 0.1, 0.3), alpha: Any = (3.0,), seeds: int = 2, **more: Any) -> Comparison:
    runs = grid(gamma, alpha, seeds)
    return compare(flat(), planted(law(runs["gamma"], alpha=runs["alpha"]), **runs, **more))


def messy(land: Landscape, **curves: Any) -> Runs:
    """Runs on the addition landscape: the norm falls, then m; the last run is of a seed unknown to it."""
    step = np.arange(0, 4001, 100)
    fall = np.clip(1 - step / 2000, 0, 1)
    w0 = np.array([float(land.one(s)["w0"]) for s in (0, 1, 0)])
    alpha = 2.8 + 1.1 * np.stack([fall] * 3)
    m = 0.08 * np.stack([np.clip(2 - step / 2000, 0, 1), fall, fall * 3 - 2])
    known = {
        "train_loss": np.full(m.shape, 1e-4), "test_loss": 1 + m, "train_accuracy": np.ones(m.shape),
        "test_accuracy": (m < 0.02) * 1.0, "weight_norm": alpha * w0[:, None], "m": m,
    }  # fmt: skip
    return Runs.assemble(
        step=step,
        settings={
            "gamma": [1e-3, 1e-3, 1e-2], "eta_d": 1e-2, "eta_r": 1e-2, "alpha": 3.9, "n_train": 45,
            "seed": [0, 1, 99], "m_start": 0.08,
        },
        curves=known | curves,
        w0=w0, steps_done=4000, diverged=False, task="addition", loss=land.dataset.attrs["loss"],
        threshold=land.dataset.attrs["accuracy_threshold"], threshold_relative=True, optimizer="adamw",
        representation="line", configuration={"settings": {"dim": 2, "p": 10, "variant": "official"}},
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "found",
    [
        pytest.param(lambda: compared(), id="plain"),
        pytest.param(lambda: compare(flat(1), planted([NAN], gamma=0.0)), id="no decay, no time"),
        pytest.param(lambda: compare(flat(1), planted([50.0], alpha=1.2)), id="there from the start"),
        pytest.param(lambda: compare(flat(1), planted([50.0], alpha=20.0)), id="off the grid"),
        pytest.param(
            lambda: compare(flat(2), planted([50.0, 90.0], seed=[1, 7]), metric="loss", threshold=0.1),
            id="loss",
        ),
        pytest.param(
            lambda: compare(flat(1), planted([400.0, NAN], diverged=[False, True], steps_done=[10**7, 300])),
            id="diverged",
        ),
    ],
)
def test_every_kind_of_run_is_drawn(kind: str, found: Any, tmp_path: Path) -> None:
    file = tmp_path / "figure.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot(found(), file, kind=kind)
    assert file.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="exists already"):
        plot(found(), file, kind=kind)


def test_the_first_source_is_drawn_or_the_predictor_that_is_asked_for() -> None:
    found = compared()
    assert gt.plot is plot
    ax = plot(found)
    assert isinstance(ax, Axes)
    assert "predicted by flow" in ax.get_ylabel()
    assert "predicted by printed" in plot(found, predictor="printed").get_ylabel()
    right = Figure().subplots()
    assert plot(found, ax=right) is right
    with pytest.raises(InputError, match="predictor = 'mine': expected one of flow"):
        plot(found, predictor="mine")
    for kind in ("errors", "curves", "trajectory"):
        figure, axes = plot(found, kind=kind)
        assert isinstance(figure, Figure)
        assert len(axes) >= 2
        with pytest.raises(InputError, match="several panels"):
            plot(found, kind=kind, ax=right)
    with pytest.raises(InputError, match="kind = 'lines': a Comparison has"):
        plot(found, kind="lines")


def test_runs_are_drawn_by_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = planted([50.0, 90.0], gamma=[0.1, 0.3])
    for metric in ("accuracy", "loss"):
        drawn = plot(runs, metric=metric)
        assert isinstance(drawn, Panels)
        assert len(drawn.axes) == 2
    with pytest.raises(InputError, match="metric = 'norm'"):
        plot(runs, metric="norm")
    assert not list(tmp_path.iterdir())


def test_runs_over_a_landscape_of_w_and_m(tmp_path: Path) -> None:
    land = open_landscape("addition")
    for name, runs in {"with": messy(land), "without": messy(land, m=np.full((3, 41), NAN))}.items():
        found = compare(land, runs)
        plot(found, tmp_path / f"{name}.png", kind="trajectory")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_the_trajectory_is_of_the_prediction_in_the_table() -> None:
    """Of a seed that the landscape has, and of one that it has not, whose prediction is the median."""
    found = compare(open_landscape("addition"), messy(open_landscape("addition")))
    told = found.table["predicted"].sel(predictor="flow").values
    for cell in cells(found.table, 4)[0]:
        p = prediction_of(found, cell)
        assert p.t_grok == pytest.approx(told[cell.runs[0]], rel=1e-9)
    last = points(p)[-1]  # seed 99: the trajectory of the seed nearest to the median
    assert last.name == "E"
    assert last.s / p.settings["eta_d"] == pytest.approx(p.typical.t_grok, rel=1e-6)


def test_each_setting_is_drawn_on_the_landscape_of_its_start() -> None:
    """Two landscapes of w, the second of other seeds: the run of the small start is of the first."""
    low, high = flat(1), flat(1)
    cut = low.dataset.isel(alpha=slice(0, -8))
    small = Landscape(cut, "small")
    tops = [float(small.alpha[-1]), float(high.alpha[-1])]
    runs = planted(law([0.1, 0.1]), gamma=0.1, alpha=tops, seed=[0, 0])
    found = compare([high, small], runs)
    for cell in cells(found.table, 4)[0]:
        p = prediction_of(found, cell)
        assert p.source.land.alpha[-1] == cell.alpha
        told = found.table["predicted"].sel(predictor="flow").values[cell.runs[0]]
        assert p.t_grok == pytest.approx(told, rel=1e-9)


def test_few_settings_all_have_a_panel() -> None:
    found, every = cells(compared(alpha=(2.0, 3.0)).table, 9)
    assert every == len(found) == 6
    assert columns_of(found, 4) == 3
    assert found[0].name == "α = 2, γ = 0.03"
    runs = np.concatenate([c.runs for c in found])
    np.testing.assert_array_equal(np.sort(runs), np.arange(12))


def test_of_many_settings_some_are_spread_over_both() -> None:
    gammas, alphas = np.geomspace(0.01, 1, 7), (2.0, 3.0, 4.0, 5.0, 6.0)
    found, every = cells(compared(gammas, alphas).table, 9)
    assert every == 35
    assert len(found) == 9
    assert {c.alpha for c in found} == {2.0, 4.0, 6.0}
    assert {c.gamma for c in found} >= {gammas[0], gammas[-1]}
    # one row of many decays
    found, _ = cells(compared(np.geomspace(0.01, 1, 20)).table, 9)
    assert len(found) == 9


def test_lists_walked_together_are_spread_along_their_line() -> None:
    gamma, alpha = np.geomspace(0.01, 1, 20), np.linspace(2, 6, 20)
    table = compare(flat(), planted(law(gamma, alpha=alpha), gamma=gamma, alpha=alpha)).table
    found, every = cells(table, 9)
    assert (len(found), every) == (9, 20)
    assert (found[0].alpha, found[-1].alpha) == (2.0, 6.0)


def test_of_a_third_setting_the_commonest_is_drawn() -> None:
    runs = grid(np.geomspace(0.01, 1, 6), (2.0, 3.0), 2)
    eta = np.full(len(runs["gamma"]), 1e-3)
    eta[[0, 2]] = 3e-3
    table = compare(flat(), planted(law(runs["gamma"], eta, runs["alpha"]), eta_d=eta, **runs)).table
    found, every = cells(table, 9)
    assert every == 14
    assert all(table["eta_d"].values[c.runs[0]] == 1e-3 for c in found)


def test_spread() -> None:
    assert spread(range(3), 5) == [0, 1, 2]
    assert spread(range(9), 3) == [0, 4, 8]
    assert spread(range(9), 1) == [0]


def test_headline_and_runs_as_text() -> None:
    runs = grid()
    found = compare(flat(), planted([*law(runs["gamma"])[:-1] / 1.1, NAN], **runs))
    told = " ".join(headline(found.table, found.summary))
    assert "8 of 9 runs" in told
    assert "10.0%" in told
    assert "Nothing was fitted" in told
    lines = by_run(found.table).splitlines()
    assert len(lines) == 2 + 9
    assert lines[-1].split()[:3] == ["3", "0.3", "2"]
    assert "> 10000000" in lines[-1]
    assert found.report().splitlines()[-1].startswith("Nothing was fitted")


def test_a_file_is_drawn_by_its_schema(tmp_path: Path) -> None:
    file = planted(law(grid()["gamma"]), **grid()).save(tmp_path / "runs.nc")
    assert len(gt.plot(file).axes) == len(gt.plot(gt.open_runs(file)).axes)
    assert len(gt.plot("teacher-student").axes) == 2
    with pytest.raises(InputError, match="no such file"):
        gt.plot(tmp_path / "none.nc")


def test_a_setting_with_one_value_has_no_panel_of_errors() -> None:
    def labels(found: Comparison) -> list[str]:
        figure = plot(found, kind="errors")[0]
        return [ax.get_xlabel().split(" ")[0] for ax in figure.axes if ax.axison]

    assert labels(compared()) == ["weight", "seed"]
    assert labels(compared(seeds=1)) == ["weight"]
    assert labels(compared(alpha=(3.0, 4.0))) == ["weight", "start", "seed"]
    assert labels(compare(flat(1), planted([50.0]))) == ["weight"]


def test_no_key_of_curves_is_without_its_line() -> None:
    """Eq. 6 of a landscape of w predicts no time of the fit: an arrow, and no line."""
    figure = plot(compared(), kind="curves")[0]
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "t_mem predicted" not in keys
    assert {"t_grok predicted", "t_grok measured"} <= set(keys)


def test_forms_that_say_what_their_source_says_are_told_once() -> None:
    found = compared().table
    left = told_once(found, found)["predictor"].values.tolist()
    assert "flow" in left and "inverse_gamma" in left
    assert not {"printed", "corrected"} & set(left)
    (words,) = same_as(found)
    assert words.startswith("printed, corrected: as flow")
    apart = found.copy(deep=True)
    apart["predicted"].loc[{"predictor": "printed"}] *= 1.02
    assert "printed" in told_once(apart, apart)["predictor"].values
