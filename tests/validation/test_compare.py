"""Comparisons whose numbers are known: planted times on a landscape with an exact law."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from planted import CRITICAL, LAST, NAN, flat, grid, law, made_with, planted

from groktime.fullnet.runs import Runs
from groktime.reduced.errors import InputError
from groktime.reduced.flow_source import EQ6_ERROR, FlowSource
from groktime.reduced.interval import predictive
from groktime.reduced.landscape import Landscape
from groktime.reduced.law import OWN
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison
from groktime.validation.folder import FILES
from groktime.validation.match import KNOWN

RUNS = grid()
FORMS = ("flow", "printed", "corrected")


def score(
    found: Comparison, name: str, predictor: str = "flow", runs: str = "all", of: str = "t_grok"
) -> float:
    return float(found.summary[name].sel(quantity=of, runs=runs, predictor=predictor))


def of(table: xr.Dataset, name: str, predictor: str = "flow", interval: str = "seeds") -> Any:
    """A variable of the table, [run]."""
    values = table[name]
    if "interval" in values.dims:
        values = values.sel(interval=interval)
    return values.sel(predictor=predictor).values if "predictor" in values.dims else values.values


def confusion(found: Comparison, predictor: str = "flow") -> list[list[int]]:
    counts: list[list[int]] = found.summary["confusion"].sel(predictor=predictor).values.tolist()
    return counts


def test_predictions_are_the_law() -> None:
    table = compare(flat(), planted(law(RUNS["gamma"]), **RUNS)).table
    for form in FORMS:
        np.testing.assert_allclose(of(table, "predicted", form), law(RUNS["gamma"]), rtol=2e-3)
        np.testing.assert_allclose(of(table, "predicted_delay", form), law(RUNS["gamma"]), rtol=2e-3)
    np.testing.assert_allclose(of(table, "predicted_norm"), 2 * 1.5, rtol=2e-3)
    np.testing.assert_allclose(table["norm_at_grok"], 2 * 1.5, rtol=1e-3)
    np.testing.assert_allclose(table["norm_at_mem"], 2 * 3.0, rtol=1e-3)
    np.testing.assert_array_equal(of(table, "predicted_t_mem"), 0)
    assert of(table, "seed_matched").all()
    assert not table["short"].any()
    assert set(of(table, "status")) == {"generalizes"}


@pytest.mark.parametrize("error", [0.0, 0.1, -0.2])
def test_a_planted_error_is_found(error: float) -> None:
    found = compare(flat(), planted(law(RUNS["gamma"]) / (1 + error), **RUNS))
    for form in FORMS:
        assert score(found, "n", form) == 9
        for which in ("median", "mean"):
            assert score(found, f"ape_{which}", form) == pytest.approx(abs(error), abs=3e-3)
            for end in ("low", "high"):
                assert score(found, f"ape_{which}_{end}", form) == pytest.approx(abs(error), abs=3e-3)
        assert score(found, "slope", form) == pytest.approx(1, abs=1e-3)
        assert score(found, "r2", form) == pytest.approx(1, abs=1e-5)
        assert score(found, "rank", form) == pytest.approx(1)
    np.testing.assert_allclose(of(found.table, "log_error"), np.log(1 + error), atol=3e-3)
    for slopes in (found.summary["gamma_slope_measured"], found.summary["gamma_slope"].sel(predictor="flow")):
        assert float(slopes[0]) == pytest.approx(-1, abs=1e-3)


def test_censored_runs_are_counted_and_judged() -> None:
    """Four runs: as predicted; predicted later than watched, soon, and never."""
    gamma = np.array([0.1, 1e-5, 0.3, 0.0])
    runs = planted([law(0.1), NAN, NAN, NAN], gamma=gamma, seed=[0, 1, 2, 0])
    found = compare(flat(), runs)
    table, scores = found.table, found.summary
    np.testing.assert_array_equal(table["test_censored"], [False, True, True, True])
    np.testing.assert_array_equal(np.isnan(of(table, "log_error")), [False, True, True, True])
    assert of(table, "status").tolist() == ["generalizes"] * 3 + ["never"]
    assert score(found, "n") == 1
    left_out = scores["n_excluded"].sel(quantity="t_grok", runs="all", predictor="flow")
    assert left_out.values.tolist() == [0, 3, 0, 0, 0]
    assert confusion(found) == [[1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(of(table, "inside")[1:], [True, False, True])
    assert int(scores["n_consistent"].sel(runs="all", predictor="flow", interval="seeds")) == 2
    assert int(scores["n_censored"].sel(runs="all")) == 3
    assert not table["short"].any()  # watched for long enough to tell


def test_a_diverged_run_is_not_dropped() -> None:
    runs = planted([NAN], diverged=True, steps_done=1)
    found = compare(flat(), runs)
    assert confusion(found) == [[0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert np.isnan(score(found, "ape_median"))
    assert score(found, "n") == 0


def test_off_the_grid_is_no_prediction_of_never() -> None:
    found = compare(flat(), planted([100.0, 200.0], alpha=[20.0, 3.0]))
    assert of(found.table, "status").tolist() == ["outside", "generalizes"]
    assert confusion(found)[3] == [1, 0, 0]
    np.testing.assert_array_equal(np.isnan(of(found.table, "low")), [True, False])
    left_out = found.summary["n_excluded"].sel(quantity="t_grok", runs="all", predictor="flow")
    assert left_out.sel(reason="not_predicted") == 1


def test_short_delays_are_told_apart() -> None:
    times = law([0.1, 0.1, 0.1])
    runs = planted([times[0], times[1], NAN], t_mem=[times[0] / 6, times[1] / 5.9, NAN], gamma=0.1)
    found = compare(flat(), runs)
    # delay 5 and 4.9 times t_mem; one that never fitted is not known to be long
    np.testing.assert_array_equal(found.table["short"], [False, True, True])
    assert score(found, "n", runs="long") == 1
    assert score(found, "n") == 2


def test_a_start_beyond_the_threshold() -> None:
    """Predicted 0 steps: no logarithm, but an error of 100 %. Measured 0 steps: nothing to wait for."""
    found = compare(flat(), planted([40.0, 0.0], t_mem=0.0, alpha=[1.2, 1.2]))
    assert of(found.table, "status").tolist() == ["already"] * 2
    assert score(found, "ape_median") == 1
    assert (score(found, "n"), score(found, "n_log")) == (1, 0)
    assert found.summary["n_excluded"].sel(quantity="t_grok", runs="all", predictor="flow")[2] == 1


def test_seeds_that_the_landscape_does_not_hold() -> None:
    land = flat(3)
    grown = land.dataset.copy(deep=True)
    for seed, factor in enumerate((0.9, 1.0, 1.2)):  # another critical norm each
        moved = np.clip(0.9 - 0.2 * np.log(land.alpha / (1.5 * factor)), 0, 1)
        grown["test_accuracy"][seed, 0, 0, 0] = moved
    land = Landscape(grown, "grown")
    runs = planted(law([0.1] * 4), seed=[0, 1, 2, 7], gamma=0.1)
    table = compare(land, runs).table
    np.testing.assert_array_equal(of(table, "seed_matched"), [True, True, True, False])
    expected = law(0.1) - np.log([0.9, 1.0, 1.2, 1.0]) / 1e-4  # the median over the seeds
    np.testing.assert_allclose(of(table, "predicted"), expected, rtol=5e-3)
    assert np.isnan(of(table, "low", interval="seed")[:3]).all()  # one seed of w alone has no uncertainty
    times = np.broadcast_to(expected[:3, None], (3, 1))
    low, high = predictive(times, times, times, np.zeros((3, 1), bool), EQ6_ERROR["fresh"])
    np.testing.assert_allclose(of(table, "high", interval="seed")[3], high[0], rtol=5e-3)
    np.testing.assert_allclose(of(table, "low"), low[0], rtol=5e-3)
    assert "over the seeds: 3 seeds, 10 % for Eq. 6 itself" in table.attrs["interval_holds"]
    assert "own seed: a single seed has none" in compare(land, runs).report()
    assert of(table, "inside").all()
    assert of(table, "inside", interval="seed").tolist() == [False] * 3 + [True]


def test_of_several_landscapes_each_run_has_that_of_its_start() -> None:
    """Those from above begin where the runs do, and what they say of smaller starts does not count."""
    small, large = (
        Landscape(one.dataset.isel(alpha=slice(0, n)), f"{n}") for one, n in ((flat(), 12), (flat(), 17))
    )
    shifted = large.dataset.assign_coords(alpha=large.dataset["alpha"] * 1.1)
    large = Landscape(shifted, large.source)  # its alpha_c is 1.1 times the other's
    settings = grid(gamma=(0.1,), alpha=(2.0, float(small.alpha[-1]), 4.0))
    runs = planted(np.full(9, 1000.0), **settings)
    table = compare([large, small], runs).table
    told = np.log(settings["alpha"] / CRITICAL) - np.where(settings["alpha"] == 4, np.log(1.1), 0)
    np.testing.assert_allclose(of(table, "predicted"), told / 1e-4, rtol=1e-6)
    assert table["file"].sel(predictor="flow") == "12, 17"
    with pytest.raises(InputError, match="sources: expected a landscape"):
        compare([], runs)


def test_momentum_is_ten_times_as_fast() -> None:
    torch_side = pytest.importorskip("groktime.fullnet.engine.optimizer")
    eq6 = pytest.importorskip("groktime.fullnet.procedures.flow").NAME
    assert {*torch_side.RULES, OWN, eq6} == set(KNOWN)
    runs = planted(law(RUNS["gamma"]) / 10, optimizer="momentum", **RUNS)
    found = compare(flat(), runs)
    np.testing.assert_allclose(of(found.table, "predicted"), law(RUNS["gamma"]) / 10, rtol=2e-3)
    assert score(found, "ape_mean", "inverse_gamma") == pytest.approx(0, abs=3e-3)


def test_what_memorized_means_has_to_agree() -> None:
    runs = planted(law(RUNS["gamma"]), **RUNS)
    for how in ({"train_threshold": 0.9}, {"metric": "loss", "threshold": 0.1}):
        found = compare(flat(), runs, **how)
        assert np.isnan(of(found.table, "predicted_t_mem")).all()
        assert np.isnan(of(found.table, "predicted_delay")).all()
        assert np.isfinite(of(found.table, "predicted")).all()
        assert "t_mem is measured by another threshold" in found.table.attrs["remarks"]


def test_a_threshold_relative_to_the_ceiling() -> None:
    """That of the run's seed of the landscape, for prediction and measurement alike."""
    alpha, m = np.linspace(2.4, 4.0, 17), np.linspace(0, 0.1, 11)
    on_plateau = 1 / (1 + np.exp(200 * (np.log(alpha)[None] - np.log(2.7 + 9 * m)[:, None])))
    ceilings = (0.9, 0.8)
    land = Landscape.from_arrays(
        alpha=alpha,
        m=m,
        train_loss=np.stack([1e-5 + 0.1 * on_plateau] * 2),
        test_accuracy=np.stack([np.repeat((c - 4 * m)[:, None], len(alpha), 1) for c in ceilings]),
        w0=[9.0, 9.0],
        task="planted",
        loss="mse",
        threshold=0.9,
    )
    land = Landscape(land.dataset.assign_attrs(threshold_relative=1), "slope")
    runs = planted(
        [500.0] * 3, seed=[0, 1, 5], alpha=3.6, m_start=0.06, eta_r=1e-2, eta_d=1e-2, gamma=1e-3,
        threshold_relative=True, representation="line", w0=9.0,
    )  # fmt: skip
    table = compare(land, runs).table
    np.testing.assert_allclose(table["threshold"], [0.81, 0.72, 0.765], rtol=1e-3)
    assert (of(table, "low", interval="seed") <= of(table, "predicted")).all()
    assert (of(table, "predicted") <= of(table, "high", interval="seed")).all()
    fixed = planted([500.0], alpha=3.6, m_start=0.06, threshold_relative=True, w0=9.0, gamma=1e-3, eta_d=1e-2)
    assert of(compare(land, fixed).table, "status")[0] != "generalizes"  # m cannot move
    with pytest.raises(InputError, match="has no m_start"):
        compare(land, planted([500.0], threshold_relative=True))


@pytest.mark.parametrize(
    ("land", "runs", "named"),
    [
        ({}, {"task": "another"}, "^task: .*'another'.*expected"),
        ({}, {"loss": "ce"}, "^loss: .*'ce'.*expected"),
        ({}, {"threshold": 0.8}, "^threshold: .*0.9.*0.8.*--threshold"),
        ({}, {"threshold_relative": True}, "^threshold: .*ceiling"),
        (
            {"configuration": made_with(a=1, b=2)},
            {"configuration": {"settings": {"a": 1, "b": 3}}},
            "^b: 2 .*",
        ),
        ({"configuration": made_with()}, {"configuration": {"settings": {"b": 3}}}, "^b: None .*train with"),
        ({"configuration": made_with()}, {"w0": 2.5}, "^w0: seed 0 .*another network"),
        ({}, {"n_train": [50, 60]}, "^n_train: .*50, 60.*one size"),
        ({}, {"optimizer": "rprop"}, "^optimizer: .*'rprop'"),
        ({}, {"optimizer": "adam"}, "^optimizer: .*decoupled"),
        ({}, {"constrained": True}, "^constrained: .*no decay acts; expected runs trained without"),
        ({}, {"m_start": 0.5}, "^m: .*0.5.*landscape of"),
    ],
)
def test_what_does_not_belong_together(land: dict[str, Any], runs: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named) as told:
        compare(flat(**land), planted([100.0, 200.0], **runs))
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 300


def test_another_size_of_the_training_set() -> None:
    land = flat()
    land = Landscape(land.dataset.assign_coords(n_train=[100]), "hundred")
    with pytest.raises(InputError, match=r"^n_train: .*has 50, and hundred only 100"):
        compare(land, planted([100.0]))
    assert compare(land, planted([100.0], n_train=100)).table.sizes["run"] == 1


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"metric": "taste"}, "metric"),
        ({"metric": "loss"}, "threshold"),
        ({"rule": "last"}, "rule"),
        ({"threshold": 1.5}, "threshold"),
        ({"level": 0}, "level"),
        ({"m_rate": "fast"}, "m_rate"),
        ({"sampled_steps": 7}, "budget"),
    ],
)
def test_bad_arguments(how: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        compare(flat(), planted([100.0]), **how)


def test_stopped_below_the_threshold_is_remarked() -> None:
    runs = planted([NAN], steps_done=10**6, configuration={"stop_at": 0.5})
    assert "stopped at test accuracy 0.5" in compare(flat(), runs).table.attrs["remarks"]


def test_a_file_is_predicted_once_for_each_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    read = FlowSource.read
    monkeypatch.setattr(
        FlowSource, "read", lambda self, lanes, **k: calls.append(lanes) or read(self, lanes, **k)
    )
    compare(flat(), planted(law(RUNS["gamma"]), **RUNS))
    assert [len(lanes) for lanes in calls] == [3]


@given(times=st.lists(st.one_of(st.none(), st.integers(2, LAST // 2)), min_size=1, max_size=4))
@settings(max_examples=8, deadline=None)
def test_every_run_is_accounted_for(times: list[int | None]) -> None:
    found = compare(flat(1), planted([NAN if t is None else t for t in times], seed=np.arange(len(times))))
    scores = found.summary
    assert (scores["confusion"].sum(("predicted", "measured")) == len(times)).all()
    whole = scores["n"] + scores["n_excluded"].sum("reason")
    assert (whole == len(times)).all()
    known = ~np.isnan(of(found.table, "log_error"))
    ratio = of(found.table, "predicted") / found.table["measured_t_grok"].values
    np.testing.assert_allclose(np.exp(of(found.table, "log_error")[known]), ratio[known])


# --- the report -------------------------------------------------------------------------------


def test_the_report_is_a_whole_folder(tmp_path: Path) -> None:
    found = compare(flat(), planted([*law(RUNS["gamma"])[:-1], NAN], **RUNS))
    folder = found.write_report(tmp_path / "report")
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
    lines = (folder / "table.csv").read_text().splitlines()
    assert len(lines) == 1 + len(RUNS["gamma"]) * found.table.sizes["predictor"]
    assert {"gamma", "seed", "predictor", "predicted", "low", "low_seeds"} <= set(lines[0].split(","))
    with xr.open_dataset(folder / "table.nc") as opened:
        assert opened.attrs["schema"] == "groktime-comparison/2"
        np.testing.assert_allclose(opened["predicted"], found.table["predicted"])
    with xr.open_dataset(folder / "summary.nc") as opened:
        assert opened["n"].sel(quantity="t_grok", runs="all", predictor="flow") == 8
    assert (folder / "summary.txt").read_text() == found.report() + "\n"
    for name in ("predicted.png", "errors.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")

    with pytest.raises(InputError, match="exists already"):
        found.write_report(folder)
    found.write_report(folder, overwrite=True)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"mine\.txt"):
        found.write_report(folder, overwrite=True)
    assert (folder / "mine.txt").read_text() == "mine"


def test_no_report_is_better_than_half_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    found = compare(flat(), planted([100.0]))
    old = found.write_report(tmp_path / "old")
    before = (old / "table.csv").read_bytes()
    monkeypatch.setattr(Figure, "savefig", full)
    for name in ("new", "old"):
        with pytest.raises(InputError, match="No space left"):
            found.write_report(tmp_path / name, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["old"]
    assert (old / "table.csv").read_bytes() == before


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    found = compare(flat(), planted([NAN]))
    (tmp_path / "file").write_text("mine")
    for place, words in (("file", "not a folder"), ("nowhere/report", "does not exist")):
        with pytest.raises(InputError, match=words):
            found.write_report(tmp_path / place, overwrite=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_report_of_runs_without_any_time(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(flat(), planted([NAN, NAN], gamma=0.0, seed=[0, 1]))
        assert len(list(found.write_report(tmp_path / "report").iterdir())) == len(FILES)
    assert "never got there" in found.report()


def test_a_time_between_two_evaluations_meets_an_interval_that_lies_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A prediction of 1000 exactly, and runs that are seen to have passed at 1020, after 990 or 1010."""
    monkeypatch.setitem(EQ6_ERROR, "fresh", 0.0)
    land = flat(seeds=2)
    gamma = float(law(1.0)) / 1000
    runs = planted([1020.0, 1020.0], gamma=gamma, seed=[0, 1])
    step = runs.dataset["step"].values
    for before, met in ((990, True), (1010, False)):
        moved = np.where(step == 1019, before, step)
        table = compare(land, Runs(runs.dataset.assign_coords(step=("time", moved)), runs.source)).table
        assert table["measured_after"].values.tolist() == [before] * 2
        assert of(table, "inside").tolist() == [met] * 2
