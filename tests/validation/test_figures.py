"""Figures of a comparison: which settings have a panel, and that every kind of run can be drawn."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import NAN, flat, grid, law, planted

from groktime.fullnet.runs import Runs
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison
from groktime.validation.figures import plot_curves, plot_trajectory
from groktime.validation.figures.cells import cells, columns_of, spread
from groktime.validation.headline import by_run, headline

PLOTS = (plot_curves, plot_trajectory)


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


@pytest.mark.parametrize("plot", PLOTS)
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
def test_every_kind_of_run_is_drawn(plot: Any, found: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = plot(found(), tmp_path / "figure.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="exists already"):
        plot(found(), path)


def test_runs_over_a_landscape_of_w_and_m(tmp_path: Path) -> None:
    land = open_landscape("addition")
    for name, runs in {"with": messy(land), "without": messy(land, m=np.full((3, 41), NAN))}.items():
        found = compare(land, runs)
        assert plot_trajectory(found, tmp_path / f"{name}.png").stat().st_size > 10_000


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
