"""A decay path as one more predictor of a comparison: an exact law, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import LAST, NAN, flat, grid, law, planted, planted_path

from groktime.cli import main
from groktime.reduced.errors import InputError
from groktime.reduced.path_source import PathSource
from groktime.validation.compare import compare
from groktime.validation.comparison import Comparison
from groktime.validation.comparison_text import by_settings

RUNS = grid()
TIMES = law(RUNS["gamma"])


def against(
    times: Any = TIMES, path: dict[str, Any] | None = None, how: dict[str, Any] | None = None, **runs: Any
) -> Comparison:
    return compare([flat(), planted_path(**(path or {}))], planted(times, **(RUNS | runs)), **(how or {}))


def of(found: Comparison, name: str, interval: str = "seed") -> Any:
    """What the path says, [run]."""
    values = found.table[name].sel(predictor="path")
    return (values.sel(interval=interval) if "interval" in values.dims else values).values


def test_without_a_path_there_is_nothing_of_one() -> None:
    found = compare(flat(), planted(TIMES, **RUNS))
    assert "path" not in found.table["predictor"]
    assert "path" not in found.report()
    assert [p.name for p in found.predictors] == ["flow"]


@pytest.mark.parametrize("error", [0.0, 0.1, -0.2])
def test_the_law_and_a_planted_error(error: float) -> None:
    found = against(TIMES / (1 + error))
    scores = found.summary.sel(predictor="path", runs="all")
    np.testing.assert_allclose(of(found, "predicted"), TIMES, rtol=1e-6)
    np.testing.assert_array_equal(of(found, "predicted_t_mem"), 1)
    np.testing.assert_allclose(of(found, "predicted_delay"), TIMES - 1, rtol=1e-6)
    np.testing.assert_allclose(of(found, "log_error"), np.log(1 + error), atol=1e-3)
    assert set(of(found, "status")) == {"generalizes"}
    assert not any(of(found, "remark"))
    assert list(found.summary["predictor"].values).index("path") == 3
    for quantity in ("t_grok", "delay"):
        one = scores.sel(quantity=quantity)
        assert float(one["ape_mean"]) == pytest.approx(abs(error), abs=1e-3)
        assert float(one["slope"]) == pytest.approx(1, abs=1e-3)
        assert int(one["n"]) == 9
    inside = error == 0  # half a record is 0.7 % of tau_c
    assert of(found, "inside").tolist() == [inside] * 9
    assert float(scores["coverage"].sel(interval="seed")) == inside
    assert float(found.summary["gamma_slope"].sel(predictor="path")[0]) == pytest.approx(-1, abs=1e-3)
    assert int(scores["confusion"].sum()) == 9
    assert found.table["predicted"].attrs["units"] == "optimizer steps"


def test_starts_that_were_not_sampled_are_outside_and_counted() -> None:
    alpha = np.where(RUNS["seed"] == 1, 5.0, 3.0)
    found = against(law(RUNS["gamma"], alpha=alpha), alpha=alpha)
    outside = of(found, "status") == "outside"
    assert outside.tolist() == (RUNS["seed"] == 1).tolist()
    assert np.isnan(of(found, "predicted")[outside]).all()
    assert np.isnan(of(found, "high")[outside]).all()
    one = found.summary.sel(predictor="path", quantity="t_grok", runs="all")
    assert int(one["n_excluded"].sel(reason="not_predicted")) == 3
    assert (int(one["n"]), *(int(one[k].sel(interval="seed")) for k in ("n_interval", "n_no_interval"))) == (
        6,
        6,
        3,
    )
    assert int(one["confusion"].sel(predicted="outside", measured="generalized")) == 3
    assert "runs 3 outside of it, which it does not predict" in found.report()


def test_seeds_that_the_path_does_not_hold() -> None:
    found = against(path={"seeds": (1, 7)})
    assert of(found, "seed_matched").tolist() == (RUNS["seed"] == 1).tolist()
    np.testing.assert_allclose(of(found, "predicted"), TIMES, rtol=1e-6)
    assert of(found, "inside").all()
    assert "runs 6 of seeds that it does not have" in found.report()


def test_censored_runs_are_judged() -> None:
    found = against([*TIMES[:-1], NAN], last=LAST)
    assert not of(found, "inside")[-1]  # it ought to have been there long before
    assert int(found.summary["n_censored_interval"].sel(runs="all", predictor="path", interval="seed")) == 1
    assert (
        int(found.summary["confusion"].sel(predictor="path", predicted="generalizes", measured="censored"))
        == 1
    )


def test_another_rate_scales_and_momentum_is_in_the_path() -> None:
    found = against(law(RUNS["gamma"], eta_d=4e-3), eta_d=4e-3)
    np.testing.assert_allclose(of(found, "log_error"), 0, atol=1e-3)
    found = against(TIMES / 10, {"optimizer": "momentum"}, optimizer="momentum")
    np.testing.assert_allclose(of(found, "log_error"), 0, atol=1e-3)


def test_the_threshold_of_the_run_is_that_of_its_prediction() -> None:
    found = against(how={"threshold": 0.93})
    expected = (np.log(3 / 1.5) + 0.1) / (1e-3 * RUNS["gamma"])
    np.testing.assert_allclose(of(found, "predicted"), expected, rtol=1e-6)


def test_medians_of_an_even_number_of_seeds_are_of_one_kind() -> None:
    times = np.array([1e4, 2e4, 3e4, 4e4])
    table = compare([flat(4), planted_path(range(4))], planted(times, seed=np.arange(4))).table
    table["predicted"][:] = times[:, None]
    errors = by_settings(table).splitlines()[-1].split()[-2:]
    assert [float(e) for e in errors] == [0, 0]


def test_what_memorized_means_has_to_agree() -> None:
    found = against(how={"train_threshold": 0.9})
    assert np.isnan(of(found, "predicted_t_mem")).all()
    assert np.isfinite(of(found, "predicted")).all()


_CONFIGURED = {"configuration": {"settings": {"tolerance": 0.01}, "batch": 10}}


@pytest.mark.parametrize(
    ("path", "runs", "named"),
    [
        ({"task": "another"}, {}, "^task: 'another' in"),
        ({"loss": "ce"}, {}, "^loss: 'ce' in"),
        ({"optimizer": "sgd"}, {}, "^optimizer: 'sgd' in"),
        ({"representation": "line"}, {}, "^representation: 'line' in"),
        ({"threshold": 0.95}, {}, "^threshold: test accuracy 0.95 in"),
        ({"threshold_relative": True}, {}, "^threshold: test accuracy 0.9 of the ceiling in"),
        ({}, {"n_train": 60}, "^n_train: .* has 60, and .* only 50"),
        (
            {"representation": "line", "eta_r": 2e-3},
            {"representation": "line", "eta_r": 1e-3},
            "^eta_R/eta_D: 2 in .* and 1 in",
        ),
        (
            _CONFIGURED,
            {"configuration": {"settings": {"tolerance": 0.1}}},
            "tolerance: 0.01 in .* a decay path with",
        ),
        (_CONFIGURED | {"w0": np.array([2.0, 2.5, 2.0])}, {}, "w0: seed 1"),
    ],
)
def test_what_does_not_belong_together(path: dict[str, Any], runs: dict[str, Any], named: str) -> None:
    land = flat()
    if "n_train" in runs:  # the landscape says nothing of its own
        assert land.n_train == [0]
    with pytest.raises(InputError, match=named) as told:
        compare([land, planted_path(**path)], planted(TIMES, **(RUNS | runs)))
    assert "\n" not in str(told.value)


def test_other_batches_are_remarked_on() -> None:
    text = against(path=_CONFIGURED).report()
    assert "was sampled with batches of 10, and planted trained with all samples" in text


def test_a_path_is_asked_once_for_each_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = grid(np.geomspace(0.03, 1, 15).tolist(), (2.0, 2.5, 3.0), 10)
    trained = planted(law(runs["gamma"], alpha=runs["alpha"]), **runs)
    asked, read = [], PathSource.read
    monkeypatch.setattr(
        PathSource, "read", lambda self, lanes, **k: asked.append(lanes) or read(self, lanes, **k)
    )
    found = compare(planted_path(range(10)), trained)
    assert found.table.sizes["run"] == 450
    assert [len(lanes) for lanes in asked] == [45]


def test_report_and_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(tmp_path / f"{name}.nc") for name in ("land", "runs", "path")]
    for one, file in zip((flat(), planted(TIMES, **RUNS), planted_path()), files, strict=True):
        one.save(file)
    asked = ["compare", *files[:2], "--path", files[2]]
    assert main([*asked, "-o", str(tmp_path / "report")]) == 0
    out = capsys.readouterr().out
    assert "Medians of t_grok over the seeds (flow, path)" in out
    assert "error % (path)" in out
    assert "path, of the run's own seed: 100% of 9" in out
    assert "Predicted by path (rows)" in out
    assert ",path," in (tmp_path / "report" / "table.csv").read_text()
    assert main([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["table"]["coords"]["file"]["data"][3] == files[2]
    assert main(["compare", *files[:2], "--path", files[0]]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "groktime-path/1" in err
