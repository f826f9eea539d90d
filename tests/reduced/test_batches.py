"""Many lanes at once are each lane alone, and surfaces are fitted once."""

from __future__ import annotations

import numpy as np
import pytest

from groktime.reduced import flow, geometry, system
from groktime.reduced.flow_source import FlowSource
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.source import Lanes
from groktime.reduced.surface import Surface
from groktime.reduced.system import systems


def test_many_lanes_are_each_lane_alone() -> None:
    source, rng = FlowSource(open_landscape("addition")), np.random.default_rng(0)
    axes = ((-2.0, 0.0), (-3.5, -2.5), (0.38, 0.62))
    gamma, eta_d, alpha = (10 ** rng.uniform(*ends, 5) for ends in axes)  # alpha: some are off the grid
    m = rng.uniform(0, 0.1, 5)
    every = source.read(Lanes(gamma, eta_d, alpha, m=m), detail=True, seed=1)
    for k in range(5):
        lane = Lanes(*(x[[k]] for x in (gamma, eta_d, alpha)), m=m[[k]])
        one = source.read(lane, detail=True, seed=1)
        assert every.status[0, k] == one.status[0, 0]
        for name in ("t_grok", "t_mem", "low", "high", "norm"):
            assert getattr(every, name)[0, k] == pytest.approx(
                getattr(one, name)[0, 0], rel=1e-12, nan_ok=True
            )
        for name, times in every.forms.items():
            assert times[0, k] == pytest.approx(one.forms[name][0, 0], rel=1e-12, nan_ok=True)


def test_contours_are_those_of_a_search_of_the_whole_grid() -> None:
    """Row by row over every column, as the definition of the two contours has it."""
    (s,) = systems(open_landscape("addition"), seed=1)
    surface, domain, level, gamma, ratio = s.surface, s.surface.domain, 0.05, 0.1, 1.0
    u, m = domain.u_high - 0.01, 0.08
    lane = {"u": u, "m": m, "gamma": gamma, "ratio": ratio}
    shapes = geometry.contours(
        surface, domain, lambda u, m: -np.ones_like(u), level, **{k: np.array([v]) for k, v in lane.items()}
    )
    grid, rows = np.linspace(domain.u_low, domain.u_high, 601), np.linspace(domain.m_low, m, 61)
    for j, row in enumerate(rows):
        loss, lu, lm, *_ = surface.derivatives(grid, np.full(grid.size, row))
        height = np.log(loss) - np.log(level)
        above = np.flatnonzero(height >= 0)
        at = int(above[-1]) if above.size else 0
        wins = np.where(lu < 0, lu**2 * np.exp(-2 * grid) + ratio * lm**2 + gamma * lu, -np.inf)
        losing = np.flatnonzero(wins[at:] <= 0)
        before = np.flatnonzero(wins[:at] > 0)
        balance = at + int(losing[0]) - 1 if losing[0] > 0 else int(before[-1]) if before.size else None
        for shape, values, k in (
            (shapes[0][0], height, at if above.size else None),
            (shapes[1][0], wins, balance),
        ):
            place = np.nan
            if k is not None:
                share = values[k] / (values[k] - values[k + 1]) if np.isfinite(values[k + 1]) else 0.0
                place = grid[k] + share * (grid[k + 1] - grid[k])
            assert shape.u[j] == pytest.approx(place, abs=1e-10, nan_ok=True)
    assert np.isfinite(shapes[0][0].u).sum() > 30
    assert np.isfinite(shapes[1][0].u).sum() > 30


class _Points:
    """A surface that is known point by point: contours are looked for in every column."""

    def __init__(self, surface: Surface) -> None:
        self.derivatives = surface.derivatives


@pytest.mark.parametrize("level", [0.3, 0.05, 1e-3])
def test_where_a_contour_cannot_be_nothing_is_missed(level: float) -> None:
    rng, count = np.random.default_rng(0), 80
    for s in systems(open_landscape("addition")):
        domain = s.surface.domain
        lanes = {
            "u": rng.uniform(domain.u_low, domain.u_high, count),
            "m": rng.choice([0.0, domain.m_high, *rng.uniform(0, domain.m_high, 30)], count),
            "gamma": 10 ** rng.uniform(-6, 1, count),
            "ratio": 10 ** rng.uniform(-3, 3, count),
        }
        found, expected = (
            geometry.contours(surface, domain, s.generalized, level, **lanes)
            for surface in (s.surface, _Points(s.surface))
        )
        for mine, theirs in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
            np.testing.assert_allclose(mine.u, theirs.u, rtol=1e-12)
            np.testing.assert_allclose(mine.m, theirs.m, rtol=1e-12, atol=1e-12)
    assert sum(np.isfinite(x.L) for x in found[1]) > 3


def test_a_surface_is_fitted_once_and_again_when_its_numbers_change(monkeypatch: pytest.MonkeyPatch) -> None:
    land = open_landscape("teacher-student")
    first = [s.surface for s in systems(land)]
    assert all(a is b.surface for a, b in zip(first, systems(open_landscape("teacher-student")), strict=True))
    other = Landscape(land.dataset.assign(train_loss=2 * land.dataset["train_loss"]))
    assert systems(other, seed=0)[0].surface is not first[0]
    monkeypatch.setattr(system, "_KEPT", 2)
    systems(land)
    assert len(system._FITTED) == 2


def test_the_value_and_the_slopes_alone_are_those_that_come_with_everything() -> None:
    rng = np.random.default_rng(0)
    for name in ("addition", "teacher-student"):
        (s,) = systems(open_landscape(name), seed=1)
        d = s.surface.domain
        u, m = rng.uniform(d.u_low - 0.1, d.u_high + 0.1, 500), rng.uniform(d.m_low, d.m_high, 500)
        for field in (s.surface.train_loss, s.surface.test_accuracy):
            assert field is not None
            whole, slopes = field.derivatives(u, m), field.derivatives(u, m, second=False)
            np.testing.assert_array_equal(np.stack(slopes[:3]), np.stack(whole[:3]))
            np.testing.assert_array_equal(field.value(u, m), whole[0])


def test_lanes_that_are_integrated_in_parts_are_those_of_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    (s,) = systems(open_landscape("addition"), seed=1)
    rng = np.random.default_rng(0)
    gamma, u = np.exp(rng.uniform(np.log(1e-2), 0, 20)), np.log(rng.uniform(2.6, 3.9, 20) * s.w0)
    whole = s.flow(gamma=gamma, ratio=1.0, u=u, m=0.05, wall=False, record=True)[0]
    monkeypatch.setattr(flow, "_TOGETHER", 7)
    parts = s.flow(gamma=gamma, ratio=1.0, u=u, m=0.05, wall=False, record=True)[0]
    for name in ("status", "generalized", "memorized", "u", "m", "steps"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert [p.end for p in parts.trajectories] == [p.end for p in whole.trajectories]
