"""Forecasts of one setting each become one, which tells what each told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import groktime as gt
from groktime.reduced.errors import InputError

FILE = Path(__file__).parents[2] / "recipes" / "data" / "example.nc"


@pytest.fixture(scope="module")
def whole() -> gt.Forecast:
    return gt.open_forecast(FILE)


def part(whole: gt.Forecast, **places: list[int]) -> gt.Forecast:
    return gt.Forecast(whole.dataset.isel(places), f"part {places}")


def test_parts_are_the_whole_again(whole: gt.Forecast, tmp_path: Path) -> None:
    files = [part(whole, gamma=[k]).save(tmp_path / f"{k}.nc") for k in (2, 0, 1)]
    again = gt.Forecast.join(files)
    for name in (*whole.dataset.coords, *whole.dataset.data_vars):
        np.testing.assert_array_equal(again[name].values, whole[name].values, err_msg=name)
        assert again[name].dtype == whole[name].dtype
    assert again.seconds == pytest.approx(3 * whole.seconds)
    told = [gt.predict(f, gamma=0.05, eta_d=1e-3, alpha=3.0) for f in (whole, again)]
    assert (told[0].t_grok, told[0].low, told[0].high) == (told[1].t_grok, told[1].low, told[1].high)
    assert gt.open_forecast(again.save(tmp_path / "all.nc")).efold == whole.efold


def test_a_resolution_that_one_of_them_lacks_was_not_run(whole: gt.Forecast) -> None:
    coarse = part(whole, gamma=[0], efold=[0])
    again = gt.Forecast.join([coarse, part(whole, gamma=[1])])
    assert (again["real_steps"].values[:, 0, 0, 0, 1] == 0).all()
    assert np.isinf(again.times().error[:, 0]).all()
    np.testing.assert_array_equal(again.times().t_grok[:, 1], whole.times().t_grok[:, 1])


def test_seeds_are_joined_too(whole: gt.Forecast) -> None:
    again = gt.Forecast.join([part(whole, seed=[2, 3]), part(whole, seed=[0, 1, 2])])
    np.testing.assert_array_equal(again.times().t_grok, whole.times().t_grok)


def test_what_does_not_fit_is_refused(whole: gt.Forecast) -> None:
    other = whole.dataset.isel(gamma=[1]).assign_attrs(n_train=50)
    with pytest.raises(InputError, match=r"^join: other has n_train = 50, and part .* 100"):
        gt.Forecast.join([part(whole, gamma=[0]), gt.Forecast(other, "other")])
    with pytest.raises(InputError, match="do not fill the grid"):
        gt.Forecast.join([part(whole, gamma=[0], seed=[0, 1]), part(whole, gamma=[1], seed=[2, 3])])
    changed = whole.dataset.copy(deep=True)
    changed["test_loss"] = changed["test_loss"] * 1.01
    with pytest.raises(InputError, match="is not the same in them"):
        gt.Forecast.join([whole, gt.Forecast(changed, "changed")])
    with pytest.raises(InputError, match="no forecast"):
        gt.Forecast.join([])
