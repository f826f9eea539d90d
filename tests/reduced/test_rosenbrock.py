"""RODAS: its orders, its L-stability, and that lanes do not see each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from groktime.reduced.rosenbrock import ORDER, Floats, Step, rosenbrock_step

START = np.array([1.2, 0.4])


def rate(y: Floats) -> Floats:
    """Two species that eat each other, with a brake that makes it no polynomial."""
    a, b = y
    return np.stack([a * (1 - b) - 0.3 * np.sin(a), b * (a - 0.8) - 0.1 * b * b])


def jacobian(y: Floats) -> Floats:
    a, b = y
    return np.stack([np.stack([1 - b - 0.3 * np.cos(a), -a]), np.stack([b, a - 0.8 - 0.2 * b])])


def step(y: Floats, h: Floats) -> Step:
    return rosenbrock_step(rate, jacobian(y), y, rate(y), h)


def exact(times: Floats) -> Floats:
    tight = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-14}
    path = solve_ivp(lambda _, y: rate(y), (0, times[-1]), START, t_eval=times, **tight)
    return np.asarray(path.y)


def slope(h: Floats, error: Floats) -> float:
    return float(np.polyfit(np.log(h), np.log(error), 1)[0])


def test_order_of_the_step() -> None:
    time, numbers, errors = 2.0, np.array([16, 24, 32, 48, 64]), []
    truth = exact(np.array([time]))
    for n in numbers:
        y, h = START[:, None], np.array([time / n])
        for _ in range(n):
            y = step(y, h).end
        errors.append(np.abs(y - truth).max())
    assert slope(time / numbers, np.array(errors)) == pytest.approx(ORDER, abs=0.25)
    assert ORDER == 4


def test_local_orders_of_step_and_dense_output() -> None:
    """A method of order p errs by h^(p+1) in one step: 5 at the end, 4 within for order 3."""
    h = np.geomspace(0.02, 0.2, 8)
    one = step(np.tile(START[:, None], len(h)), h)

    def error(share: float) -> Floats:
        return np.abs(one.at(np.full(len(h), share)) - exact(share * h)).max(0)

    assert slope(h, error(1.0)) == pytest.approx(5, abs=0.4)
    for share in (0.25, 0.5, 0.75):
        assert slope(h, error(share)) == pytest.approx(4, abs=0.3)
    # the embedded solution is of order 3
    assert slope(h, np.abs(one.error).max(0)) == pytest.approx(4, abs=0.3)


def test_dense_output_meets_both_ends() -> None:
    one = step(START[:, None], np.array([0.1]))
    assert np.array_equal(one.at(np.array([0.0])), one.start)
    assert np.array_equal(one.at(np.array([1.0])), one.end)


def test_stiff_decay_is_gone_after_one_step() -> None:
    """L-stable: y' = -1e8 y from 1 falls to about 0 in one step of 1, its slow neighbour keeps e^-h."""
    matrix = np.array([[-1e8, 0.0], [0.0, -0.1]])
    y = np.ones((2, 1))
    one = rosenbrock_step(lambda z: matrix @ z, matrix[:, :, None], y, matrix @ y, np.ones(1))
    assert abs(one.end[0, 0]) < 1e-6
    assert one.end[1, 0] == pytest.approx(np.exp(-0.1), rel=1e-7)


def test_stability_function_falls_with_stiffness() -> None:
    stiff = -np.geomspace(1e2, 1e12, 11)
    n = len(stiff)
    zero = np.zeros(n)
    matrix = np.array([[stiff, zero], [zero, stiff]])
    y = np.ones((2, n))
    one = rosenbrock_step(lambda z: stiff * z, matrix, y, stiff * y, np.ones(n))
    left = np.abs(one.end[0])
    # R(z) ~ c / z, and below the rounding of the stages no further
    assert (left < 50 / np.abs(stiff) + 1e-12).all()


def test_stiff_forcing_is_followed() -> None:
    """The Prothero-Robinson problem as two equations: x' = 1, y' = -1e6 (y - sin x) + cos x."""

    def forced(z: Floats) -> Floats:
        x, y = z
        return np.stack([np.ones_like(x), -1e6 * (y - np.sin(x)) + np.cos(x)])

    z, h = np.zeros((2, 1)), np.array([0.1])
    for _ in range(10):
        (x,), one = z[0], np.ones(1)
        # d/dx of the second rate is 1e6 cos x - sin x
        matrix = np.array([[0 * one, 0 * one], [1e6 * np.cos(x) * one - np.sin(x), -1e6 * one]])
        z = rosenbrock_step(forced, matrix, z, forced(z), h).end
    assert z[0, 0] == pytest.approx(1.0)
    assert z[1, 0] == pytest.approx(np.sin(1.0), abs=1e-6)


def test_lanes_do_not_see_each_other() -> None:
    rng = np.random.default_rng(0)
    y, h = rng.uniform(0.2, 2, (2, 50)), rng.uniform(0.01, 0.5, 50)
    together = step(y, h)
    share = rng.uniform(0, 1, 50)
    inside = together.at(share)
    for k in range(50):
        lane = np.array([k])
        alone = step(y[:, lane], h[lane])
        for ours, theirs in ((alone.end, together.end), (alone.error, together.error)):
            assert ours[:, 0] == pytest.approx(theirs[:, k], rel=1e-13, abs=1e-15)
        assert alone.at(share[lane])[:, 0] == pytest.approx(inside[:, k], rel=1e-13, abs=1e-15)
        assert np.array_equal(together.lanes(lane).at(share[lane])[:, 0], inside[:, k])


def test_a_bad_lane_spoils_only_itself() -> None:
    y = np.tile(START[:, None], 3)
    y[:, 1] = np.nan
    end = step(y, np.full(3, 0.1)).end
    assert np.isnan(end[:, 1]).all()
    assert np.isfinite(end[:, [0, 2]]).all()
    assert np.array_equal(end[:, 0], end[:, 2])
