"""Predictions on made-up paths with known τ_c, and files that are no decay paths."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from made_up_path import DTAU, ETA, REFIT, at, exact, law, made_up

from groktime.cli import main
from groktime.reduced.decay_path import DecayPath, open_path
from groktime.reduced.errors import InputError
from groktime.reduced.interval import predictive
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.path_source import PATH_ERROR
from groktime.reduced.path_text import tau_c
from groktime.reduced.prediction import predict
from groktime.reduced.remarks import ERROR, SOME_OUTSIDE
from groktime.reduced.sources import open_value


@pytest.mark.parametrize("gamma", [1e-4, 0.01, 0.2, 0.25, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("alpha", [2.0, 2.5, 4.0])
def test_what_is_linear_in_gamma_and_ln_alpha_is_told_exactly(gamma: float, alpha: float) -> None:
    p = at(made_up(), gamma=gamma, alpha=alpha)
    assert p.status == "generalizes"
    assert p.detail.resolved
    assert tau_c(p) == pytest.approx(exact(1, alpha, gamma))
    assert p.t_grok == pytest.approx(exact(1, alpha, gamma) / (ETA * gamma))
    assert p.t_mem == 20


def test_below_the_finest_it_goes_on_as_the_two_finest() -> None:
    p = at(made_up())
    assert p.long
    assert p.detail.gamma_eff == pytest.approx([0.5, 0.25])
    assert "carried on below the resolutions gamma_eff = 0.5 and 0.25" in p.report()
    error = 0.1 * (0.25 - 0.01)  # the correction itself; the pair before says the same
    assert p.seeds[0].detail.tau_error == pytest.approx(error)
    times = np.array([[exact(s, 3.0)] for s in range(3)]) / (ETA * 0.01)
    own = error / (ETA * 0.01)
    ends = predictive(times, times - own, times + own, np.zeros((3, 1), bool), PATH_ERROR)
    assert p.interval == pytest.approx((ends[0][0], ends[1][0]))
    assert p.holds == ("3 seeds", "the resolution of the path", "3 % for the path itself")


def test_below_the_finest_a_bend_widens_the_error() -> None:
    bend = made_up(lambda s, a, k: 0.3 + 0.2 * (10 / k) ** 2)
    q = at(bend, gamma=0.1).seeds[0]
    through_finest = 0.3 + 0.2 * (0.25**2 + (0.5**2 - 0.25**2) / 0.25 * (0.1 - 0.25))
    through_coarser = 0.3 + 0.2 * (0.5**2 + (1 - 0.5**2) / 0.5 * (0.1 - 0.5))
    assert q.detail.tau_c == pytest.approx(through_finest)
    assert q.detail.tau_error == pytest.approx(through_finest - through_coarser)
    assert abs(q.detail.tau_c - (0.3 + 0.2 * 0.1**2)) < q.detail.tau_error / 3


def test_beyond_the_finest_never_sooner_than_there() -> None:
    steep = made_up(lambda s, a, k: 2.1 / k - 0.0125)
    at_finest = at(steep, gamma=0.25).t_grok
    assert at_finest == pytest.approx((2.1 / 40 - 0.0125) / (ETA * 0.25))
    assert at(steep).t_grok == pytest.approx(at_finest)
    assert at(steep).interval[1] > 4 * at_finest  # it may yet have to wait


def test_what_passes_in_the_fit_does_so_whatever_the_decay() -> None:
    steps = made_up(lambda s, a, k: 1.5 / k, t_fit=200.0)  # 150 at every resolution
    for gamma in (0.9, 0.4, 0.25, 0.1, 0.01):
        p = at(steps, gamma=gamma)
        assert p.status == "already"
        assert p.t_grok == pytest.approx(150)


def test_a_coarse_network_that_never_passes_does_not_spoil_a_fine_one() -> None:
    p = at(made_up(lambda s, a, k: 0.5 if k == 40 else 3.0))
    assert tau_c(p) == pytest.approx(0.5)
    assert p.interval[1] == np.inf
    assert at(made_up(lambda s, a, k: 0.5 if k == 40 else 3.0), gamma=0.3).status == "outside"
    third = at(made_up(lambda s, a, k: exact(s, a, 10 / k) if k > 10 else 3.0), seed=0)
    assert third.seeds[0].detail.tau_error == pytest.approx(0.024)  # only the correction can tell


def test_among_the_resolutions_it_is_read_at_the_runs_own() -> None:
    p = at(made_up(), gamma=0.3, seed=0)
    assert p.detail.gamma_eff == pytest.approx([0.5, 0.25])
    assert "read at gamma_eff = 0.5 and 0.25" in p.report()
    assert p.seeds[0].detail.tau_error == pytest.approx(0.0125)  # half the difference of the two
    for gamma, k in zip((1.0, 0.5, 0.25), REFIT, strict=True):
        sampled = at(made_up(), gamma=gamma, seed=0)
        assert tau_c(sampled) == pytest.approx(law(0, 3.0, k))
        assert sampled.detail.gamma_eff == pytest.approx([gamma])


def test_a_crossing_is_known_no_better_than_to_half_a_record() -> None:
    assert at(made_up(lambda s, a, k: 0.5)).seeds[0].detail.tau_error == pytest.approx(DTAU / 2)


def test_above_the_coarsest_it_says_so() -> None:
    p = at(made_up(), gamma=2.0, seed=0)
    assert not p.detail.resolved
    assert tau_c(p) == pytest.approx(law(0, 3.0, 10))
    assert p.seeds[0].detail.tau_error == pytest.approx(0.1)  # what the slope would make of it
    assert "resolve" in p.report()


def test_the_rate_scales_time_and_fit_but_not_the_resolution() -> None:
    one, two = at(made_up(), gamma=0.3), at(made_up(), gamma=0.3, eta_d=4 * ETA)
    assert tau_c(two) == pytest.approx(tau_c(one))
    assert two.t_grok == pytest.approx(one.t_grok / 4)
    assert two.t_mem == pytest.approx(one.t_mem / 4)


def test_momentum_is_ten_times_as_fast() -> None:
    momentum = made_up(optimizer="momentum")
    assert momentum.gamma_eff == pytest.approx(made_up().gamma_eff / 10)
    assert at(momentum, gamma=0.001).t_grok == pytest.approx(at(made_up()).t_grok)


def test_never_before_the_fit_where_that_came_first() -> None:
    p = at(made_up(t_fit=1e6, fit="first"))
    assert p.t_grok == p.t_mem == 1e6
    assert not p.long


def test_a_path_fitted_first_may_lose_the_time_of_the_fit() -> None:
    first, along = at(made_up(fit="first", t_fit=500.0)), at(made_up(t_fit=500.0))
    assert first.t_grok == along.t_grok
    assert first.interval[0] == along.interval[0]
    assert first.interval[1] > along.interval[1]
    for one, other in zip(first.seeds, along.seeds, strict=True):
        assert one.high == pytest.approx(other.high + 500)


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        (made_up(), {"gamma": 0.0}, "never"),
        (made_up(), {"gamma": 1 / ETA}, "collapses"),
        (made_up(), {"alpha": 1.9}, "outside"),
        (made_up(), {"alpha": 4.1}, "outside"),
        (made_up(lambda s, a, k: 3.0), {}, "outside"),
        (made_up(t_fit=float("nan")), {}, "unfitted"),
        (made_up(lambda s, a, k: -1.0), {}, "already"),
        (made_up(lambda s, a, k: -1.0, fit="first"), {}, "already"),
        (made_up(t_fit=1e6), {}, "already"),  # while it fits
        (made_up(lambda s, a, k: 3.0, diverged=np.ones((3, 1, 1, 3, 3), bool)), {}, "collapses"),
    ],
)
def test_statuses(path: DecayPath, change: dict[str, Any], status: str) -> None:
    p = at(path, **change)
    assert p.status == status
    if status == "already":
        assert p.t_grok <= p.t_mem
        assert p.delay <= 0
    else:
        assert np.isnan(p.t_grok)
        if status == "outside":
            assert np.isnan(p.interval).all()
        else:
            assert p.interval == (np.inf, np.inf)
    assert f"Status      {status}" in p.report()
    json.dumps(p.to_dict(), allow_nan=False)


def test_seeds_that_never_generalize_count() -> None:
    p = at(made_up(lambda s, a, k: 3.0 if s == 2 else 0.5 + 0.1 * s))
    assert tau_c(p) == pytest.approx(0.55)  # of those that do
    assert p.t_grok == pytest.approx(0.6 / (ETA * 0.01))
    assert np.isfinite(p.interval[0])
    assert np.isnan(p.interval[1])  # a path that ends before it passes tells no end
    assert "upper end not known" in p.report()
    assert SOME_OUTSIDE in p.remarks
    assert at(made_up(lambda s, a, k: 3.0 if s else 0.5)).status == "outside"


def test_resolutions_that_differ_are_remarked_on() -> None:
    rough = made_up(lambda s, a, k: 0.2 + 4 / k, seeds=1, refit=(20, 40))
    assert ERROR in at(rough, gamma=0.25 / 3).remarks
    assert ERROR in at(rough, gamma=0.25 / 3).to_dict()["remarks"]
    assert "numerical error" in at(rough, gamma=0.25 / 3).report()
    assert "numerical error" not in at(made_up(lambda s, a, k: 0.5)).report()


def test_one_resolution_tells_no_error() -> None:
    p = at(made_up(refit=(40,)), seed=0)
    assert np.isnan(p.seeds[0].detail.tau_error)
    assert (p.seeds[0].low, p.seeds[0].high) == pytest.approx((p.t_grok,) * 2)
    assert "tells nothing of its error" in p.report()


def test_a_mask_of_a_curve_is_not_lost() -> None:
    test = np.ma.masked_array(made_up().dataset["test_accuracy"].values)
    test[0, 0, 0, 0, 0, 5] = np.ma.masked
    with pytest.raises(InputError, match=r"test_accuracy is nan .* a gap"):
        made_up(curves={"test_accuracy": test, "train_accuracy": np.ones(test.shape)})


def test_a_pass_has_to_last() -> None:
    path = made_up()
    test = path.dataset["test_accuracy"].values.copy()
    test[..., 5:7] = 1.0
    assert tau_c(at(made_up(curves={"test_accuracy": test, "train_accuracy": np.ones(test.shape)}))) > 0.3


def test_thresholds() -> None:
    relative = made_up(top=0.5, threshold_relative=True)
    assert tau_c(at(relative)) == pytest.approx(exact(1, 3.0))
    assert at(relative).seeds[0].threshold == pytest.approx(0.475)
    assert tau_c(at(made_up(), threshold=0.9)) == pytest.approx(exact(1, 3.0) - 0.05)
    assert tau_c(at(made_up(), metric="loss", threshold=0.1)) == pytest.approx(exact(1, 3.0) - 0.05)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"gamma": -1.0}, "gamma"),
        ({"eta_d": 0.0}, "eta_d"),
        ({"alpha": "x"}, "alpha"),
        ({"seed": 7}, "seed = 7"),
        ({"m": 0.5}, "m_start = 0.5"),
        ({"n_train": 5}, "n_train = 5"),
        ({"metric": "loss"}, "threshold"),
        ({"metric": "norm"}, "metric"),
        ({"threshold": 1.5}, "threshold"),
        ({"eta_r": 0.1}, "eta_R/eta_D = 1"),
        ({"level": 0.1}, "level"),
        ({"sampled_steps": 10}, "sampled_steps"),
        ({"m_rate": "representation"}, "m_rate"),
    ],
)
def test_bad_arguments_are_told_by_name(change: dict[str, Any], word: str) -> None:
    settings: dict[str, Any] = {"gamma": 0.01, "eta_d": ETA, "alpha": 3.0}
    with pytest.raises(InputError, match=word):
        predict(made_up(), **(settings | change))


# --- files --------------------------------------------------------------------------------------


def test_a_file_is_what_was_saved(tmp_path: Path) -> None:
    path = made_up()
    path.save(tmp_path / "p.nc")
    again = open_path(tmp_path / "p.nc")
    assert again.dataset.equals(path.dataset)
    assert isinstance(open_value(tmp_path / "p.nc"), DecayPath)
    assert isinstance(open_value("teacher-student"), Landscape)
    with pytest.raises(InputError, match=r"is a decay path.*open_path"):
        open_landscape(tmp_path / "p.nc")
    with pytest.raises(InputError, match="exists already"):
        path.save(tmp_path / "p.nc")


def _gap(ds: xr.Dataset) -> xr.Dataset:
    ds["test_loss"][0, 0, 0, 0, 0, 3] = np.nan
    return ds


def _over(ds: xr.Dataset) -> xr.Dataset:
    ds["test_accuracy"][0, 0, 0, 0, 0, 3] = 1.5
    return ds


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda ds: ds.assign_attrs(schema="groktime-runs/1"), "schema"),
        (lambda ds: ds.drop_attrs(deep=False).assign_attrs(schema="groktime-path/1"), "'task' is missing"),
        (lambda ds: ds.drop_vars("t_fit"), "'t_fit' is missing"),
        (lambda ds: ds.transpose(), "has dimensions"),
        (lambda ds: ds.isel(alpha=[1, 0, 2]), "alpha is not ascending"),
        (lambda ds: ds.isel(seed=[]), "seed is empty"),
        (
            lambda ds: ds.assign_coords(alpha=[-1.0, 2.0, 3.0]),
            "alpha runs from -1 to 3; expected .* within .1e-100",
        ),
        (lambda ds: ds.assign_coords(m_start=[1.5]), "messiness"),
        (lambda ds: ds.assign_coords(refit=[0, 1, 2]), "refit"),
        (lambda ds: ds.isel(tau=slice(1, None)), "tau is not 0, dtau"),
        (lambda ds: ds.assign_attrs(eta_d=0.0), "eta_d"),
        (lambda ds: ds.assign_attrs(accuracy_threshold=2.0), "accuracy_threshold"),
        (lambda ds: ds.assign_attrs(optimizer="rprop"), "optimizer"),
        (lambda ds: ds.assign_attrs(fit="later"), "fit"),
        (lambda ds: ds.assign(w0=ds["w0"] * 0), "w0"),
        (lambda ds: ds.assign(t_fit=ds["t_fit"] - 100), "t_fit"),
        (_gap, "gap"),
        (_over, "outside"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(
    tmp_path: Path, spoil: Callable[[xr.Dataset], xr.Dataset], word: str
) -> None:
    file = tmp_path / "bad.nc"
    spoil(made_up().dataset.copy(deep=True)).to_netcdf(file, engine="h5netcdf")
    with pytest.raises(InputError, match=word) as told:
        open_path(file)
    assert str(told.value).startswith(str(file))
    assert "\n" not in str(told.value)


def test_what_is_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_path(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no")
    with pytest.raises(InputError, match="expected a groktime decay path"):
        open_path(tmp_path / "text.nc")


# --- the command line ----------------------------------------------------------------------------


def test_predict_takes_both_kinds_of_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(made_up().save(tmp_path / "p.nc"))
    start = ["--gamma", "0.01", "--eta-d", str(ETA), "--alpha", "3"]
    assert main(["predict", file, *start, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["t_grok"] == pytest.approx(exact(1, 3.0) / (ETA * 0.01))
    assert main(["predict", file, *start]) == 0
    assert "tau_c" in capsys.readouterr().out
    assert main(["predict", file, *start, "-o", str(tmp_path / "a.png")]) == 0
    assert "a.png" in capsys.readouterr().out
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert main(["predict", file, *start, "-o", str(tmp_path / "a.png")]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (made_up(), {"alpha": 2.6}),
        (made_up(), {"alpha": 9.0}),
        (made_up(), {"gamma": 0.0}),
        (made_up(lambda s, a, k: 3.0), {}),
        (made_up(lambda s, a, k: 3.0 if s == 2 else 0.5), {}),  # an interval open above
        (made_up(lambda s, a, k: -1.0), {}),
        (made_up(refit=(40,), seeds=1), {}),
        (made_up(), {"metric": "loss", "threshold": 0.1}),
        (made_up(optimizer="momentum", fit="first", t_fit=1e6), {}),
    ],
)
def test_it_is_drawn(path: DecayPath, change: dict[str, Any], tmp_path: Path) -> None:
    at(path, **change).plot(tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
