"""`predict`, `what_if` and `recommend`, on landscapes whose answer is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status
from groktime.reduced.flow_source import EQ6_ERROR
from groktime.reduced.interval import predictive
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.prediction import Prediction, predict
from groktime.reduced.recommend import recommend
from groktime.reduced.system import System
from groktime.reduced.what_if import what_if

W0 = 9.0
K = 200  # steepness of the slope's wall: six e-foldings a cell
W_C = 2.0  # of the flat landscape, in units of w0: where its test accuracy is 0.95
FLAT: dict[str, Any] = {"gamma": 1e-2, "eta_d": 1e-2, "alpha": 6.0}
SLOPED: dict[str, Any] = {"gamma": 1e-3, "eta_d": 1e-2, "eta_r": 1e-2, "alpha": 3.6, "m": 0.06}
TIMES = ("t_grok", "t_mem")


def flat(seeds: int = 1) -> Landscape:
    """w alone: no force, test accuracy and ln test loss straight in ln w; seed k has w_c = 2 + 0.1 k."""
    alpha = np.geomspace(0.5, 8, 25)
    beyond = np.log(alpha)[None] - np.log(W_C + 0.1 * np.arange(seeds))[:, None]
    return Landscape.from_arrays(
        alpha=alpha,
        train_loss=np.full((seeds, 1, len(alpha)), 1e-6),
        test_loss=(0.1 * np.exp(2 * beyond))[:, None],
        train_accuracy=np.ones((seeds, 1, len(alpha))),
        test_accuracy=(0.95 - 0.02 * beyond)[:, None],
        w0=W0,
    )


def held_up() -> Landscape:
    """w alone: a wall of the training loss stands above the norm at which the test metric passes."""
    alpha = np.geomspace(0.5, 8, 25)
    u = np.log(alpha)
    return Landscape.from_arrays(
        alpha=alpha,
        train_loss=1e-6 + 50 * np.maximum(np.log(4) - u, 0),
        train_accuracy=np.ones_like(u),
        test_accuracy=0.95 - 0.02 * (u - np.log(W_C)),
        w0=W0,
    )


def sloped(seeds: int = 1, delta_norm: float | None = 2.0) -> Landscape:
    """(w, m): plateau 0.1, floor 1e-5, a smooth wall α_b = 2.7 + 9 m, accuracy falling with m."""
    alpha, m = np.linspace(2.4, 4.0, 17), np.linspace(0, 0.1, 11)
    wall = np.log(2.7 + 9 * m + 0.05 * np.arange(seeds)[:, None])
    on_plateau = 1 / (1 + np.exp(K * (np.log(alpha)[None, None] - wall[:, :, None])))
    return Landscape.from_arrays(
        alpha=alpha,
        m=m,
        train_loss=1e-5 + 0.1 * on_plateau,
        test_loss=1e-2 * np.exp(30 * m)[None, :, None] + 0.1 * on_plateau,
        train_accuracy=1 - on_plateau,
        test_accuracy=np.broadcast_to((1 - 4 * m)[None, :, None], on_plateau.shape),
        w0=W0,
        delta_norm=delta_norm,
        threshold=0.95,
    )


@pytest.fixture(scope="module")
def slope() -> Landscape:
    return sloped()


# --- a landscape of w alone -------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [2.1, 3.0, 7.9])
@pytest.mark.parametrize("gamma", [1e-5, 1e-2, 3.0])
def test_decay_alone_is_the_logarithm(alpha: float, gamma: float) -> None:
    p = predict(flat(), gamma=gamma, eta_d=1e-3, alpha=alpha)
    exact = np.log(alpha / W_C) / (1e-3 * gamma)
    assert p.status is Status.GENERALIZES
    assert p.t_grok == pytest.approx(exact, rel=1e-6)
    assert p.forms["printed"] == pytest.approx(exact, rel=1e-6)
    assert p.forms["corrected"] == p.forms["printed"]
    assert p.t_mem == 0
    assert p.delay == p.t_grok
    assert p.detail.geometry.w_end == pytest.approx(W_C * W0, rel=1e-6)


def test_a_curved_accuracy_within_the_interpolation() -> None:
    alpha = np.geomspace(0.5, 8, 41)
    accuracy = 1 / (1 + (alpha / 3) ** 6)
    land = Landscape.from_arrays(alpha=alpha, train_loss=0 * alpha + 1e-6, test_accuracy=accuracy, w0=W0)
    p = predict(land, gamma=1e-2, eta_d=1e-2, alpha=6.0, threshold=0.9)
    exact = np.log(6 / (3 * (1 / 0.9 - 1) ** (1 / 6))) / 1e-4
    assert p.t_grok == pytest.approx(exact, rel=1e-2)


@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_steps_go_as_one_over_decay_and_rate(factor: float) -> None:
    once = predict(flat(), **FLAT)
    for name in ("gamma", "eta_d"):
        scaled = predict(flat(), **(FLAT | {name: FLAT[name] * factor}))
        assert scaled.t_grok * factor == pytest.approx(once.t_grok, rel=1e-12)
        assert scaled.forms["printed"] * factor == pytest.approx(once.forms["printed"], rel=1e-12)


def test_the_test_loss_as_metric() -> None:
    p = predict(flat(), **FLAT, metric="loss", threshold=0.1)
    assert p.t_grok == pytest.approx(np.log(6 / W_C) / 1e-4, rel=1e-6)
    with pytest.raises(InputError, match="threshold"):
        predict(flat(), **FLAT, metric="loss")


def test_a_threshold_of_ones_own() -> None:
    p = predict(flat(), **FLAT, threshold=0.94)  # at w_c e^(1/2)
    assert p.t_grok == pytest.approx((np.log(6 / W_C) - 0.5) / 1e-4, rel=1e-6)


def test_median_and_interval_over_seeds() -> None:
    p = predict(flat(5), **FLAT)
    each = [q.t_grok for q in p.seeds]
    np.testing.assert_allclose(each, np.log(6 / (2 + 0.1 * np.arange(5))) / 1e-4, rtol=1e-6)
    assert p.t_grok == np.median(each)
    assert p.typical.seed == 2
    times = np.array(each)[:, None]
    low, high = predictive(times, times, times, np.zeros((5, 1), bool), EQ6_ERROR["fresh"])
    assert p.interval == pytest.approx((low[0], high[0]), rel=1e-9)
    assert p.holds == ("5 seeds", "10 % for Eq. 6 itself")
    assert "holds 5 seeds, 10 % for Eq. 6 itself" in p.report()
    assert p.to_dict()["interval"] == {"coverage": 0.9, "holds": list(p.holds), "note": ""}


def test_one_seed_has_no_interval() -> None:
    each = [q.t_grok for q in predict(flat(5), **FLAT).seeds]
    for p in (predict(flat(5), **FLAT, seed=3), predict(flat(1), **FLAT)):
        assert np.isnan(p.interval).all()
        assert "(one seed: no interval)" in p.report()
        assert p.to_dict()["interval"] == {"coverage": 0.9, "holds": [], "note": "one seed: no interval"}
        assert what_if(flat(1), **FLAT).attrs["interval_holds"] == "one seed: no interval"
    assert predict(flat(5), **FLAT, seed=3).t_grok == each[3]
    assert "its own uncertainty" in predict(sloped(), **SLOPED).report()  # of the wall


_ENDS: dict[Status, tuple[Any, dict[str, Any]]] = {
    Status.GENERALIZES: (flat, FLAT),
    Status.ALREADY: (flat, FLAT | {"alpha": 1.5}),
    Status.NEVER: (held_up, FLAT),
    Status.TRAPPED: (sloped, SLOPED | {"eta_r": 0.0}),
    Status.COLLAPSES: (flat, FLAT | {"threshold": 0.99}),
    Status.OUTSIDE: (flat, FLAT | {"alpha": 20.0}),
}
_MORE_ENDS: list[tuple[Any, Status, dict[str, Any]]] = [
    (flat, Status.NEVER, FLAT | {"gamma": 0.0}),
    (flat, Status.COLLAPSES, FLAT | {"gamma": 200.0}),
    (sloped, Status.GENERALIZES, SLOPED),
    (sloped, Status.ALREADY, SLOPED | {"m": 0.005}),
    (sloped, Status.NEVER, SLOPED | {"gamma": 0.0}),
    (sloped, Status.COLLAPSES, SLOPED | {"gamma": 90.0}),
    (sloped, Status.COLLAPSES, SLOPED | {"gamma": 200.0}),
    (sloped, Status.OUTSIDE, SLOPED | {"alpha": 9.0}),
    (sloped, Status.OUTSIDE, SLOPED | {"m": 0.5}),
]
_ALL_ENDS = [pytest.param(f, s, o, id=f"{f.__name__}-{s}") for s, (f, o) in _ENDS.items()] + [
    pytest.param(f, s, o, id=f"{f.__name__}-{s}-{i}") for i, (f, s, o) in enumerate(_MORE_ENDS)
]


@pytest.mark.parametrize(("land", "status", "options"), _ALL_ENDS)
def test_every_end_is_told(land: Any, status: Status, options: dict[str, Any]) -> None:
    p: Prediction = predict(land(), **options)
    assert p.status is status
    if status is Status.ALREADY:
        assert p.t_grok == 0
    elif status is Status.GENERALIZES:
        assert p.t_grok > 0
    else:
        assert np.isnan(p.t_grok)
        assert np.isnan(p.interval).all()  # one seed

    text = p.report()
    assert f"Status      {status.value}" in text
    predictions = ("as printed", "corrected") if p.source.land.two_dimensional else ("closed form",)
    for name in (*predictions, "flow, Eq. 6"):
        assert name in text
    if status is not Status.GENERALIZES:
        remedy = text.split("Status")[1].splitlines()[1]
        assert len(remedy.strip()) > 20

    numbers = json.loads(json.dumps(p.to_dict(), allow_nan=False))
    assert numbers["status"] == status.value
    assert (numbers["t_grok"] is None) == np.isnan(p.t_grok)
    assert len(numbers["seeds"]) == len(p.seeds)


@pytest.mark.parametrize(("land", "status", "options"), _ALL_ENDS)
def test_what_is_not_known_is_not_printed(land: Any, status: Status, options: dict[str, Any]) -> None:
    assert "nan" not in predict(land(), **options).report().lower(), status


def test_each_remedy_is_its_own() -> None:
    texts = [predict(f(), **o).report().split("Status")[1].splitlines()[1] for f, o in _ENDS.values()]
    assert len(set(texts)) == len(texts)


def test_most_seeds_decide() -> None:
    """Of three seeds one starts below its wall: the median still has a time; of two bad, none."""
    land = flat(5)
    p = predict(land, gamma=1e-2, eta_d=1e-2, alpha=2.15)  # below w_c of seeds 2, 3, 4
    assert p.status is Status.ALREADY
    assert p.t_grok == 0


# --- a landscape of (w, m) --------------------------------------------------------------------


def test_three_predictions_on_a_slope(slope: Landscape) -> None:
    p = predict(slope, **SLOPED)
    assert p.status is Status.GENERALIZES
    times = (p.t_grok, p.forms["printed"], p.forms["corrected"])
    assert np.isfinite(times).all()
    assert min(times) > 0
    # Decay to the middle of the wall, at the m that passes (accuracy 0.95 at m = 0.0125), is the most;
    # the flow slides down ahead of it, where the loss's tail holds against the decay.
    decay = np.log(3.6 / (2.7 + 9 * 0.0125)) / 1e-5
    assert 0.7 * decay < p.t_grok < decay
    assert p.forms["corrected"] == pytest.approx(p.t_grok, rel=0.02)
    assert p.forms["printed"] > p.t_grok
    assert p.detail.geometry.h == pytest.approx(0.06 - 0.0125, abs=2e-3)
    assert p.detail.trajectory is not None
    u, m = p.detail.trajectory.at([0.0, p.detail.trajectory.end])
    np.testing.assert_allclose([u[0], m[0]], [np.log(3.6 * W0), 0.06])
    assert m[1] == pytest.approx(0.0125, abs=1e-3)


def test_the_interval_holds_the_median(slope: Landscape) -> None:
    for land in (slope, sloped(3)):
        p = predict(land, **SLOPED)
        assert len(p.seeds) == 1 or 0 < p.interval[0] <= p.t_grok <= p.interval[1] < np.inf
        for q in p.seeds:
            assert q.low <= q.t_grok <= q.high


def test_at_one_ratio_steps_go_as_one_over_the_rate(slope: Landscape) -> None:
    once = predict(slope, **SLOPED)
    twice = predict(slope, **(SLOPED | {"eta_d": 2e-2, "eta_r": 2e-2}))
    for name in ("t_grok", "t_mem"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name) / 2, rel=1e-12)
    for name in ("printed", "corrected"):
        assert twice.forms[name] == pytest.approx(once.forms[name] / 2, rel=1e-12)
    assert predict(slope, **(SLOPED | {"eta_r": None})).t_grok == once.t_grok


def test_the_rate_of_the_representation(slope: Landscape) -> None:
    scaled = predict(slope, **SLOPED, m_rate="representation")  # delta_norm = 2
    by_hand = predict(slope, **(SLOPED | {"eta_r": SLOPED["eta_r"] / 4}))
    assert scaled.t_grok == by_hand.t_grok
    assert scaled.forms["corrected"] == by_hand.forms["corrected"]
    assert scaled.t_grok != predict(slope, **SLOPED).t_grok
    with pytest.raises(InputError, match="delta_norm"):
        predict(sloped(delta_norm=None), **SLOPED, m_rate="representation")


def test_loss_and_threshold_on_a_slope(slope: Landscape) -> None:
    by_loss = predict(slope, **SLOPED, metric="loss", threshold=0.05)
    assert by_loss.status is Status.GENERALIZES
    strict, loose = (predict(slope, **SLOPED, threshold=t).t_grok for t in (0.97, 0.9))
    assert loose < predict(slope, **SLOPED).t_grok < strict


# --- what_if ----------------------------------------------------------------------------------


def test_what_if_is_predict_in_every_cell(slope: Landscape) -> None:
    axes: dict[str, list[float]] = {
        "gamma": [3e-4, 3e-3, 30.0],
        "eta_d": [1e-3, 1e-2],
        "eta_r": [1e-2, 0.0],
        "alpha": [3.6, 9.0],
        "m": [0.05, 0.07],
    }
    ds = what_if(slope, **axes, wall=True)  # type: ignore[arg-type]
    assert ds["t_grok"].dims == ("gamma", "eta_d", "eta_r", "alpha", "m")
    for name, values in axes.items():
        np.testing.assert_array_equal(ds[name].values, values)
    rng = np.random.default_rng(1)
    for _ in range(12):
        where = {name: int(rng.integers(len(values))) for name, values in axes.items()}
        cell = ds.isel(where)
        options: dict[str, Any] = {name: values[where[name]] for name, values in axes.items()}
        p = predict(slope, **options)
        assert str(cell["status"].values) == p.status.value
        for name in TIMES:
            np.testing.assert_allclose(float(cell[name]), getattr(p, name), rtol=1e-6)
        np.testing.assert_allclose([float(cell["low"]), float(cell["high"])], p.interval, rtol=1e-6)


def test_what_if_over_seeds() -> None:
    ds = what_if(flat(3), gamma=[1e-3, 1e-2], eta_d=1e-2, alpha=[6.0, 20.0])
    assert ds["t_grok"].dims == ("gamma", "alpha")
    p = predict(flat(3), **FLAT)
    assert float(ds["t_grok"][1, 0]) == pytest.approx(p.t_grok, rel=1e-9)
    np.testing.assert_allclose([float(ds["low"][1, 0]), float(ds["high"][1, 0])], p.interval, rtol=1e-9)
    np.testing.assert_array_equal(ds["generalizing"].values, [[1, 0], [1, 0]])
    assert ds["status"].values.tolist() == [["generalizes", "outside"]] * 2
    assert np.isnan(ds["t_grok"].values[:, 1]).all()
    assert ds.attrs["eta_d"] == 1e-2


def test_what_if_without_a_list_has_no_dims() -> None:
    ds = what_if(flat(), **FLAT)
    assert ds["t_grok"].dims == ()
    assert float(ds["t_grok"]) == pytest.approx(np.log(3) / 1e-4, rel=1e-6)


def test_only_distinct_lanes_are_integrated(slope: Landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes: list[int] = []
    flow = System.flow

    def counted(self: System, **kwargs: Any) -> Any:
        result, *ends = flow(self, **kwargs)
        lanes.append(len(result.status))
        return result, *ends

    monkeypatch.setattr(System, "flow", counted)
    decays, rates = np.geomspace(1e-4, 1e-2, 20), np.geomspace(1e-4, 1e-1, 20)
    ds = what_if(slope, gamma=decays, eta_d=rates, alpha=3.6, m=0.06)  # eta_r follows: one ratio
    assert ds["t_grok"].shape == (20, 20)
    assert lanes == [20]
    times = ds["t_grok"].values * rates[None]
    np.testing.assert_allclose(times, np.broadcast_to(times[:, :1], times.shape), rtol=1e-12)


# --- recommend --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("land", "start", "budget"),
    [
        pytest.param(flat, {"eta_d": 1e-2, "alpha": 6.0}, 20_000, id="w"),
        pytest.param(sloped, {"eta_d": 1e-2, "alpha": 3.6, "m": 0.06}, 20_000, id="w, m"),
    ],
)
def test_the_recommended_decay_is_the_weakest(land: Any, start: dict[str, Any], budget: int) -> None:
    one = land()
    r = recommend(one, budget=budget, **start)
    assert r.prediction.settings["gamma"] == r.gamma
    assert r.prediction.t_grok <= budget
    assert predict(one, gamma=r.gamma, **start).t_grok <= budget
    assert predict(one, gamma=0.995 * r.gamma, **start).t_grok > budget
    assert np.isnan(r.cautious) or r.cautious >= r.gamma
    assert r.strongest >= r.gamma
    assert f"{r.gamma:.4g}" in r.report()
    assert "nan" not in r.report().lower()


def test_recommend_is_the_logarithm_turned_round() -> None:
    r = recommend(flat(), budget=20_000, eta_d=1e-2, alpha=6.0)
    assert r.gamma == pytest.approx(np.log(3) / (1e-2 * 20_000), rel=2e-3)


def test_recommend_says_why_there_is_none() -> None:
    with pytest.raises(InputError, match="budget = 1:"):
        recommend(flat(), budget=1, eta_d=1e-7, alpha=6.0)
    with pytest.raises(InputError, match="outside"):
        recommend(flat(), budget=1000, eta_d=1e-2, alpha=20.0)


# --- the shipped landscape --------------------------------------------------------------------


def test_teacher_student_critical_norm() -> None:
    land = open_landscape("teacher-student")
    p = predict(land, gamma=1e-3, eta_d=1e-3, alpha=float(land.alpha[-1]))
    assert p.status is Status.GENERALIZES
    assert len(p.seeds) == len(land.seeds) == 8
    w0 = land.dataset["w0"].values
    critical = np.array([q.detail.geometry.w_end for q in p.seeds]) / w0
    assert np.all((critical > 1.74) & (critical < 1.86)), critical
    assert "nan" not in p.report().lower()
