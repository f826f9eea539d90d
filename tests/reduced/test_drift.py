"""Eq. 6 on the network's own metric: its terms, the flow against scipy, the closed form, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from groktime.recipes.shared.walls import ExponentialWall
from groktime.reduced.drift import Drift, clock, held
from groktime.reduced.drift_form import Flat, Way
from groktime.reduced.errors import InputError
from groktime.reduced.flow import Status, integrate
from groktime.reduced.flow_source import FlowSource
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.prediction import predict
from groktime.reduced.remarks import LOOSE
from groktime.reduced.source import Lanes
from groktime.reduced.surface import Domain

Floats = NDArray[np.float64]

U, M = np.linspace(-0.5, 1.0, 13), np.linspace(0.0, 0.4, 5)
CUTOFFS = np.array([1e-3, 1e-1])
DOMAIN = Domain(-0.5, 1.0, 0.0, 0.4)


def fields(u: Floats, m: Floats) -> tuple[Floats, Floats, Floats]:
    """normal, overlap and turn of a made-up network, smooth."""
    return 0.3 + 0.1 * np.sin(2 * u) - 0.2 * m, -0.5 - m + 0.2 * u, 3.0 + u + 2 * m


def drift(overlap: float = 1.0) -> Drift:
    normal, c, turn = fields(U[None], M[:, None])
    weaker = np.array([1.0, 0.8])[:, None, None]  # of the larger cutoff
    return Drift.of(CUTOFFS, U, M, weaker * normal, weaker * c * overlap, weaker * turn)


def points(count: int = 40) -> tuple[Floats, Floats, Floats, Floats]:
    rng = np.random.default_rng(0)
    u, m = rng.uniform(-0.49, 0.99, count), rng.uniform(0.01, 0.39, count)
    return u, m, np.geomspace(2e-3, 5e-2, count), np.geomspace(0.01, 10, count)


def test_it_reads_what_was_measured() -> None:
    """On the nodes of the grid, at a cutoff, the terms are those of the three numbers."""
    for k, gamma in enumerate(CUTOFFS):
        m, u = (x.ravel() for x in np.meshgrid(M, U, indexing="ij"))
        normal, c, turn = (x.ravel() * (1.0, 0.8)[k] for x in fields(U[None], M[:, None]))
        ratio = 0.3 * np.ones_like(u)
        a, b, mu = drift().terms(u, m, gamma + 0 * u, ratio)[:, 0]
        np.testing.assert_allclose(mu, 1 / (1 / ratio + turn), rtol=1e-9)
        np.testing.assert_allclose(b, -c * mu, rtol=1e-9)
        np.testing.assert_allclose(a, 1 - normal + c**2 * mu * np.exp(-2 * u), rtol=1e-9)


@pytest.mark.parametrize("stands", [False, True])
def test_its_slopes_are_its_differences(stands: bool) -> None:
    u, m, gamma, ratio = points()
    one, h = drift(), 1e-6

    def terms(u: Floats, m: Floats) -> Floats:
        found = one.terms(u, m, gamma, ratio)
        return held(found, u) if stands else found

    found = terms(u, m)
    in_u = (terms(u + h, m) - terms(u - h, m))[:, 0] / (2 * h)
    in_m = (terms(u, m + h) - terms(u, m - h))[:, 0] / (2 * h)
    np.testing.assert_allclose(found[:, 1], in_u, atol=1e-7)
    np.testing.assert_allclose(found[:, 2], in_m, atol=1e-7)


def test_where_m_is_held_only_the_norm_moves() -> None:
    """Then u has the mobility (1 - normal)/w²."""
    u, m, gamma, ratio = points()
    plain = drift(overlap=0.0).terms(u, m, gamma, ratio)
    np.testing.assert_allclose(held(drift().terms(u, m, gamma, ratio), u)[0], plain[0], atol=1e-9)


def test_clock_of_a_drift_is_one_over_its_speed() -> None:
    u, m, gamma, ratio = points()
    terms = drift().terms(u, m, gamma, ratio)
    a, b, _ = terms[:, 0]
    np.testing.assert_allclose(clock(terms, u, -1e-3 * a, -1e-3 * b), 1e-3, rtol=1e-9)


WALL = ExponentialWall(0.05, 200.0, np.radians(60.0), 0.0)
START = (WALL.foot(0.3) + 0.3, 0.3)


def ends(u: Floats, m: Floats) -> Floats:
    return 0.02 - m


def flowing(**more: Any) -> Any:
    settings: dict[str, Any] = {
        "gamma": 1e-2, "ratio": 1.0, "u": START[0], "m": START[1], "generalized": ends, "memorized": ends,
    }  # fmt: skip
    return integrate(WALL, DOMAIN, **{**settings, **more})


def test_the_flow_is_scipys() -> None:
    one, gamma, ratio = drift(), 1e-2, 1.0

    def rate(_: float, y: Floats) -> list[float]:
        u, m = y[:1], y[1:]
        _, lu, lm, *_ = WALL.derivatives(u, m)
        a, b, mu = one.terms(u, m, np.array([gamma]), np.array([ratio]))[:, 0]
        force, shrink = 1 + lu * np.exp(-2 * u) / gamma, np.exp(-2 * u) / gamma
        return [float((-a * force - b * lm * shrink)[0]), float((-b * force - mu * lm / gamma)[0])]

    def event(_: float, y: Floats) -> float:
        return float(y[1] - 0.02)

    event.terminal = True  # type: ignore[attr-defined]
    exact = solve_ivp(rate, (0, 50), START, method="Radau", rtol=1e-9, atol=1e-12, events=event)
    found = flowing(mobility=one)
    assert found.status[0] is Status.GENERALIZES
    assert found.generalized[0] * gamma == pytest.approx(exact.t_events[0][0], rel=1e-4)


def test_a_metric_without_a_turn_is_eq6() -> None:
    still = Drift.of(CUTOFFS, U, M, *(np.zeros((2, len(M), len(U))) + x for x in (0.0, 0.0, 1e-12)))
    for mobility in (still, Flat()):
        found = flowing(mobility=mobility)
        assert found.generalized[0] == pytest.approx(flowing().generalized[0], rel=1e-8)


def test_m_is_held_at_its_end_and_u_goes_on() -> None:
    """From m = 0.05 decay takes m to 0, and from there on u falls at 1 - normal."""

    def far(u: Floats, m: Floats) -> Floats:
        return -0.4 - u

    flat = ExponentialWall(1e-9, 1.0, np.radians(60.0), -5.0)
    found = integrate(
        flat, DOMAIN, gamma=1e-2, ratio=1.0, u=0.9, m=0.05, generalized=far, memorized=far,
        mobility=drift(), record=True,
    )  # fmt: skip
    assert found.status[0] is Status.GENERALIZES and found.m[0] == 0.0
    way = Way(flat, DOMAIN, drift(), far, 1e-2, 1.0)
    assert 1e-2 * found.generalized[0] == pytest.approx(way.tau(0.9, 0.05), rel=0.02)


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
def test_the_closed_form_is_the_flow_beside_a_steep_wall(ratio: float) -> None:
    for mobility in (Flat(), drift()):
        found = flowing(mobility=mobility, ratio=ratio)
        way = Way(WALL, DOMAIN, mobility, ends, 1e-2, ratio)
        assert 1e-2 * found.generalized[0] == pytest.approx(way.tau(*START), rel=0.02)


def test_in_the_metric_of_eq6_it_is_the_corrected_form() -> None:
    from groktime.reduced import closed_form
    from groktime.reduced.geometry import contours

    gamma, ratio = 1e-2, 3.0
    given = zip(("u", "m", "gamma", "ratio"), (*START, gamma, ratio), strict=True)
    lane = {name: np.array([x]) for name, x in given}
    (balance,) = contours(WALL, DOMAIN, ends, 0.05, **lane)[1]
    way = Way(WALL, DOMAIN, Flat(), ends, gamma, ratio)
    assert way.tau(*START) == pytest.approx(
        gamma * closed_form.corrected(balance, gamma, 1.0, ratio), rel=3e-3
    )
    valley = START[0] - np.log(balance.w_boundary)
    assert way.parts(*START)[0] == pytest.approx(valley, abs=6e-3)


def test_off_the_grid_and_already_there() -> None:
    way = Way(WALL, DOMAIN, drift(), ends, 1e-2, 1.0)
    assert np.isnan(way.tau(2.0, 0.3)) and way.tau(0.9, 0.01) == 0.0


R, W0, W_C = 1.5, 3.0, 1.6  # linear regression: what the data fix, and the norms of the start and of the end
ALPHA = np.geomspace(1.55 / W0, 1.0, 40)


def regression(**more: Any) -> Landscape:
    shape = (1, 1, 1, 1, len(ALPHA))
    passed = (1 / (1 + np.exp(40 * np.log(ALPHA * W0 / W_C)))).reshape(shape)
    normal = np.broadcast_to((R / (W0 * ALPHA)) ** 2, (1, 1, 2, 1, len(ALPHA)))
    nothing = np.full_like(normal, np.nan)
    given = {"cutoff": CUTOFFS, "drift_normal": normal, "drift_overlap": nothing, "drift_turn": nothing}
    return Landscape.assemble(
        train_loss=np.full(shape, 1e-12), test_loss=np.full(shape, 1.0), train_accuracy=np.ones(shape),
        test_accuracy=passed, converged=np.ones(shape, bool), w0=np.full(1, W0), delta_norm=None,
        coords={"seed": [0], "n_train": [0], "budget": [0], "m": None, "alpha": ALPHA},
        task="regression", loss="mse", threshold=0.5, stop_rule="given", **{**given, **more},
    )  # fmt: skip


def test_linear_regression_keeps_its_time() -> None:
    p = predict(regression(), gamma=0.01, eta_d=0.1, alpha=1.0)
    exact = 0.5 * np.log((W0**2 - R**2) / (W_C**2 - R**2))
    assert p.t_grok * 1e-3 == pytest.approx(np.log(W0 / W_C), rel=3e-3)
    assert p.forms["drift"] * 1e-3 == pytest.approx(exact, rel=5e-3)
    assert p.forms["drift_closed"] * 1e-3 == pytest.approx(exact, rel=5e-3)
    assert "drift" in p.report()


def test_the_file_keeps_it_and_wants_it_whole(tmp_path: Path) -> None:
    land = regression()
    land.save(tmp_path / "a.nc")
    again = open_landscape(tmp_path / "a.nc")
    assert (
        predict(again, gamma=0.01, eta_d=0.1, alpha=1.0).forms
        == predict(land, gamma=0.01, eta_d=0.1, alpha=1.0).forms
    )
    with pytest.raises(InputError, match=r"cutoff is .* in cutoff 1; expected ascending values"):
        regression(cutoff=CUTOFFS[::-1].copy())


def test_where_two_ways_to_a_start_disagree_it_is_said() -> None:
    land = open_landscape("addition-drift")
    top, lower, each = float(land.alpha[-1]), float(land.alpha[-3]), np.ones(3)
    lanes = Lanes(3e-3 * each, 0.03 * each, np.array([top, top, lower]), m=np.array([0.06, 0.09, 0.06]))
    found = FlowSource(land).read(lanes, metric="loss", threshold=0.5)
    assert [LOOSE in told for told in found.remarks] == [True, False, False]
