"""Statuses and remarks: each rule at a case where it holds and one where it does not, in every output."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from made_up_path import ETA, at, made_up

from groktime.reduced import remarks
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.landscape import Landscape
from groktime.reduced.prediction import Prediction, predict
from groktime.reduced.recommend import THERE, recommend
from groktime.reduced.what_if import what_if

RATES: dict[str, Any] = {"gamma": 1e-2, "eta_d": 1e-2, "alpha": 6.0}


def land(
    floor: float = 1e-4, fit: float | None = None, cells: int = 49, seeds: int = 2, **more: Any
) -> Landscape:
    """Of w alone: a valley above alpha = 0.5, generalized below alpha = 2."""
    alpha = np.geomspace(0.25, 8, cells)
    loss = np.where(alpha > 0.5, floor, 1.0)
    accuracy = np.clip(0.95 - 0.2 * np.log(alpha / 2), 0, 1)
    given: dict[str, Any] = {"train_loss": loss, "test_accuracy": accuracy}
    if fit is not None:
        given["train_accuracy"] = np.where(alpha > 0.5, fit, 0.2)
    given = {k: np.broadcast_to(v, (seeds, 1, cells)) for k, v in given.items()}
    return Landscape.from_arrays(alpha=alpha, w0=10.0, **given, **more)


def told(p: Prediction, sentence: str) -> bool:
    """Whether a remark is made: alike in the report, as plain numbers and of `what_if`."""
    names = ("gamma", "eta_d", "alpha")
    swept = what_if(p.source, **{k: p.settings[k] for k in names})
    inside = [
        sentence in p.remarks,
        sentence in json.loads(json.dumps(p.to_dict(), allow_nan=False))["remarks"],
        " ".join(sentence.split()) in " ".join(p.report().split()),
        sentence in str(swept["remark"].values),
    ]
    assert len(set(inside)) == 1, inside
    return inside[0]


def test_a_plain_prediction_has_no_remark() -> None:
    assert predict(land(), **RATES).remarks == ()
    assert predict(land(fit=1.0), **RATES).remarks == ()


@pytest.mark.parametrize("one", [land(floor=0.2), land(fit=0.7)], ids=["by its loss", "by its accuracy"])
@pytest.mark.parametrize("alpha", [6.0, 1.5])
def test_what_is_never_fitted_does_not_generalize(one: Landscape, alpha: float) -> None:
    """Neither from above alpha_c nor from below it."""
    p = predict(one, **RATES | {"alpha": alpha})
    assert p.status is Status.UNFITTED
    assert np.isnan(p.t_grok)
    assert "Status      unfitted: 0 of 2 seeds generalize" in p.report()
    assert p.to_dict()["status"] == "unfitted"
    ds = what_if(one, **RATES | {"alpha": alpha})
    assert ds["status"].item() == "unfitted"
    assert float(ds["generalizing"]) == 0
    with pytest.raises(InputError, match="unfitted"):
        recommend(one, budget=10_000, eta_d=1e-2, alpha=alpha)


def test_a_time_before_the_fit() -> None:
    early = at(made_up(t_fit=1000.0), gamma=1.0)  # t_grok = 669
    assert 0 < early.t_grok < early.t_mem
    assert told(early, remarks.BEFORE_FIT)
    assert not told(at(made_up()), remarks.BEFORE_FIT)


def test_a_way_on_which_the_training_set_is_never_fitted() -> None:
    """Fitted on small spheres alone, beyond the end of the way."""
    alpha = np.geomspace(0.25, 8, 49)
    one = Landscape.from_arrays(
        alpha=alpha,
        w0=10.0,
        train_loss=np.where(alpha < 1, 1e-4, 0.5),
        train_accuracy=np.where(alpha < 1, 1.0, 0.5),
        test_accuracy=np.clip(0.95 - 0.2 * np.log(alpha / 2), 0, 1),
    )
    assert told(predict(one, **RATES), remarks.NOT_FITTED)


def test_decay_that_is_not_slow() -> None:
    assert told(predict(land(), **RATES | {"gamma": 11.0}), remarks.NOT_SMALL)
    assert not told(predict(land(), **RATES | {"gamma": 9.0}), remarks.NOT_SMALL)
    assert told(at(made_up(), gamma=0.11 / ETA), remarks.NOT_SMALL)


def test_a_grid_that_is_coarse_around_alpha_c() -> None:
    """Cells of 0.069 in ln alpha; ln(2.2/2) is 0.095."""
    assert told(predict(land(), **RATES | {"alpha": 2.2}), remarks.COARSE)
    assert not told(predict(land(), **RATES | {"alpha": 2.4}), remarks.COARSE)
    assert told(predict(land(cells=7), **RATES | {"alpha": 3.5}), remarks.COARSE)


def test_cells_that_had_not_converged() -> None:
    one = land()
    text = remarks.UNCONVERGED.format(remarks.BESIDE)
    ds = one.dataset.copy(deep=True)
    near = np.abs(np.log(ds["alpha"].values / 2)) < 0.1
    ds["converged"][..., ~near] = False
    assert not told(predict(Landscape(ds), **RATES), text)
    ds["converged"][:] = True
    ds["converged"][..., near] = False
    assert told(predict(Landscape(ds), **RATES), text)
    # from above the steps on a sphere are the decay
    ds.attrs["configuration"] = json.dumps({"start": "above"})
    assert not told(predict(Landscape(ds), **RATES), text)


def test_a_decay_above_that_of_spheres_from_above() -> None:
    ds = land().dataset.copy(deep=True)
    step = float(np.diff(np.log(ds["alpha"].values))[0])
    ds.attrs["configuration"] = json.dumps(
        {"start": "above", "budgets": [500], "optimizer": {"rate": step / (500 * 0.02)}}
    )
    assert told(predict(Landscape(ds), **RATES | {"gamma": 0.021}), remarks.FAST)
    assert not told(predict(Landscape(ds), **RATES | {"gamma": 0.019}), remarks.FAST)


def test_a_loss_without_a_valley() -> None:
    alpha = np.geomspace(0.25, 8, 49)
    flat: dict[str, Any] = {"alpha": alpha, "w0": 10.0, "test_accuracy": np.linspace(1, 0.5, 49)}
    level = Landscape.from_arrays(train_loss=np.geomspace(0.02, 0.03, 49), **flat)
    assert told(predict(level, **RATES), remarks.NO_VALLEY)
    assert not told(predict(land(), **RATES), remarks.NO_VALLEY)


def test_seeds_that_are_outside() -> None:
    some = at(made_up(lambda s, a, k: 3.0 if s == 2 else 0.5))
    assert told(some, remarks.SOME_OUTSIDE)
    assert not told(at(made_up(lambda s, a, k: 3.0)), remarks.SOME_OUTSIDE)  # all: that is the status


def test_what_a_path_can_tell() -> None:
    assert told(at(made_up(), gamma=1.5), remarks.ABOVE)
    assert not told(at(made_up(), gamma=0.9), remarks.ABOVE)
    assert told(at(made_up(t_fit=200.0), gamma=1.0), remarks.SHORT)
    assert not told(at(made_up()), remarks.SHORT)
    assert told(at(made_up(refit=(40,))), remarks.ONE_RESOLUTION)


# --- recommend ----------------------------------------------------------------------------------


def test_a_start_that_is_there_already_needs_no_decay() -> None:
    for source, settings in ((land(), {"eta_d": 1e-2, "alpha": 1.5}), (made_up(lambda s, a, k: -1.0), {})):
        r = recommend(source, budget=1000, **{"eta_d": ETA, "alpha": 3.0} | settings)
        assert r.gamma == 0
        assert np.isnan(r.cautious)
        assert r.prediction.status is Status.ALREADY
        assert r.remarks[0] == THERE
        assert THERE in r.to_dict()["remarks"]
        assert THERE in r.report()


def test_a_budget_that_the_fit_alone_exceeds() -> None:
    with pytest.raises(InputError, match=r"budget = 100: .* and fitting the training set alone 150"):
        recommend(made_up(t_fit=150.0), budget=100, eta_d=ETA, alpha=3.0)
    with pytest.raises(InputError) as told:
        recommend(made_up(t_fit=50.0), budget=100, eta_d=ETA, alpha=3.0)
    assert "fitting" not in str(told.value)


def test_one_seed_has_no_cautious_decay() -> None:
    r = recommend(land(), budget=20_000, eta_d=1e-2, alpha=6.0, seed=0)
    assert np.isnan(r.cautious)
    assert "one seed: no interval" in r.report()
    assert np.isfinite(recommend(land(), budget=20_000, eta_d=1e-2, alpha=6.0).cautious)
