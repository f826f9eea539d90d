"""The clock of a turning direction: linear regression in closed form, and the flow against scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad, solve_ivp

from groktime.recipes.shared.walls import ExponentialWall
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status, integrate
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.prediction import predict
from groktime.reduced.surface import Domain
from groktime.reduced.turning import Turning
from groktime.reduced.what_if import what_if

Floats = NDArray[np.float64]

R, W0, W_C = 1.5, 3.0, 1.6  # norm of the minimum-norm solution, of the start, and where it generalizes
TAU = 0.5 * np.log((W0**2 - R**2) / (W_C**2 - R**2))
RATES: dict[str, Any] = {"gamma": 0.01, "eta_d": 0.1, "alpha": 1.0}
U = np.linspace(np.log(1.55 / W0), 0.0, 60)


def kappa(w: Floats) -> Floats:
    """|dŵ/du|² along y + n, y of norm r and n that shrinks."""
    return R**2 / (w**2 - R**2)


def between(u: Floats) -> Floats:
    """What spheres at u = ln(w/w0) record: squared angles per squared ln w."""
    angle = np.arctan(np.sqrt((W0 * np.exp(u)) ** 2 - R**2) / R)
    return (np.diff(angle) / np.diff(u)) ** 2


def regression(turning: Floats | None = None, seeds: int = 1) -> Landscape:
    """Fitted everywhere; the test metric passes half at w_c."""
    shape = (seeds, 1, 1, 1, len(U))
    passed = np.broadcast_to(1 / (1 + np.exp(40 * (U - np.log(W_C / W0)))), shape)
    more = {} if turning is None else {"turning": np.broadcast_to(turning, shape)}
    return Landscape.assemble(
        train_loss=np.full(shape, 1e-12), test_loss=np.full(shape, 1.0), train_accuracy=np.ones(shape),
        test_accuracy=passed.copy(), converged=np.ones(shape, bool), w0=np.full(seeds, W0), delta_norm=None,
        coords={"seed": range(seeds), "n_train": [0], "budget": [0], "m": None, "alpha": np.exp(U)},
        task="regression", loss="mse", threshold=0.5, stop_rule="given", **more,
    )  # fmt: skip


def test_closed_form_is_the_integral_of_the_turning() -> None:
    found, _ = quad(lambda u: 1 + kappa(np.exp(u)), np.log(W_C), np.log(W0))
    assert found == pytest.approx(TAU, rel=1e-10)


def test_the_corrected_time_is_the_closed_form() -> None:
    land = regression(np.append(between(U), np.nan))
    p = predict(land, **RATES)
    assert p.t_grok * 1e-3 == pytest.approx(np.log(W0 / W_C), rel=3e-3)
    assert p.forms["turning"] * 1e-3 == pytest.approx(TAU, rel=5e-3)
    assert "Eq. 6 has lost its clock" in p.report()
    # a direction that hardly turns leaves the clock as it is, and the report without a remark
    p = predict(regression(np.append(0.02 * np.ones(len(U) - 1), np.nan)), **RATES)
    assert p.forms["turning"] == pytest.approx(1.02 * p.t_grok, rel=1e-4)
    assert "lost its clock" not in p.report() and "turns by 0.02 to 0.02" in p.report()


def test_a_seed_whose_turning_is_not_known_has_no_time_of_it() -> None:
    turning = np.full((2, 1, 1, 1, len(U)), 1.0)
    turning[1, ..., 7] = np.nan
    p = predict(regression(turning, seeds=2), **RATES)
    assert p.seeds[0].forms["turning"] == pytest.approx(2 * p.t_grok, rel=1e-4)
    assert np.isnan(p.seeds[1].forms["turning"])
    assert p.to_dict()["seeds"][1]["forms"]["turning"] is None
    p.report()


def test_already_there_and_off_the_grid_have_none() -> None:
    land = regression(np.append(between(U), np.nan))
    for alpha, status in ((0.52, Status.ALREADY), (1.5, Status.OUTSIDE)):
        p = predict(land, **{**RATES, "alpha": alpha})
        assert p.status is status and np.isnan(p.forms["turning"])
        assert "lost its clock" not in p.report()


def test_what_if_is_left_alone() -> None:
    with_it, without = (regression(t) for t in (np.append(between(U), np.nan), None))
    a, b = (what_if(land, gamma=[0.01, 0.1], eta_d=0.1, alpha=1.0) for land in (with_it, without))
    np.testing.assert_array_equal(a["t_grok"], b["t_grok"])


def test_the_file_keeps_it_and_needs_not_have_it(tmp_path: Path) -> None:
    for turning in (np.append(between(U), np.nan), None):
        land = regression(turning)
        land.save(tmp_path / "a.nc", overwrite=True)
        again = open_landscape(tmp_path / "a.nc")
        assert ("turning" in again.arrays) == (turning is not None)
        assert predict(again, **RATES).forms == predict(land, **RATES).forms
    with pytest.raises(InputError, match="turning is -1 at seed 0"):
        regression(np.full(len(U), -1.0))


def rows(m: Floats) -> Turning:
    u = np.linspace(-0.5, 1.0, 9)
    means = np.stack([2 + np.sin(3 * u[:-1] + k) for k in range(len(m))])
    return Turning.of(u, m, means)


@pytest.mark.parametrize("m", [np.array([1.0]), np.array([0.0, 0.3, 1.0])])
def test_the_turning_of_a_cell_is_that_which_was_measured(m: Floats) -> None:
    turning = rows(m)
    for j, at in enumerate(m):
        for low, high, mean in zip(turning.u[:-1], turning.u[1:], turning.mean[j], strict=True):
            fine = np.linspace(low, high, 4001)
            value = turning.derivatives(fine, np.full_like(fine, at))[0]
            assert np.trapezoid(value, fine) / (high - low) == pytest.approx(mean, rel=1e-5)
            assert (value >= 0).all()


@pytest.mark.parametrize("m", [np.array([1.0]), np.array([0.0, 0.3, 1.0])])
def test_its_slopes_are_its_differences(m: Floats) -> None:
    turning, rng, h = rows(m), np.random.default_rng(0), 1e-6
    u, at = rng.uniform(-0.49, 0.99, 50), rng.uniform(0.01, 0.99, 50)
    _, in_u, in_m = turning.derivatives(u, at)
    differences = (turning.derivatives(u + h, at)[0] - turning.derivatives(u - h, at)[0]) / (2 * h)
    np.testing.assert_allclose(in_u, differences, atol=1e-6)
    differences = (turning.derivatives(u, at + h)[0] - turning.derivatives(u, at - h)[0]) / (2 * h)
    np.testing.assert_allclose(in_m, differences, atol=1e-6)


def test_the_flow_with_it_is_scipys() -> None:
    """A wall to slide along, and a turning that depends on u and m: the times at which m falls to 0.02."""
    wall = ExponentialWall(0.05, 20.0, np.radians(60.0), 0.0)
    start, gamma, ratio, turning = (wall.foot(0.3) + 0.2, 0.3), 1e-2, 1.0, rows(np.array([0.0, 0.4, 1.0]))

    def at(u: Floats, m: Floats) -> Floats:
        return 0.02 - m

    def rate(s: float, y: Floats) -> list[float]:
        u, m = y[:1], y[1:]
        _, lu, lm, *_ = wall.derivatives(u, m)
        slow = 1 + turning.derivatives(u, m)[0]
        return [float((-(lu * np.exp(-2 * u) + gamma) / slow)[0]), float((-ratio * lm)[0])]

    def event(s: float, y: Floats) -> float:
        return float(y[1] - 0.02)

    event.terminal = True  # type: ignore[attr-defined]
    exact = solve_ivp(rate, (0, 1e5), start, method="Radau", rtol=1e-9, atol=1e-12, events=event)
    domain = Domain(-0.5, 1.0, 0.0, 1.0)
    settings: dict[str, Any] = {
        "gamma": gamma, "ratio": ratio, "u": start[0], "m": start[1], "generalized": at, "memorized": at,
    }  # fmt: skip
    found = integrate(wall, domain, **settings, mobility=turning)
    assert found.status[0] is Status.GENERALIZES
    assert found.generalized[0] == pytest.approx(exact.t_events[0][0], rel=1e-4)
    plain = integrate(wall, domain, **settings)
    assert found.generalized[0] > 1.5 * plain.generalized[0]
