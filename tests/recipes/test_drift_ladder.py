"""`drift_ladder` on a size that takes seconds, and the releases that it is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from groktime.fullnet.eq6 import integrate_networks
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import addition
from groktime.recipes.results import drift_ladder
from groktime.recipes.results.drift_ladder import COLOURS, TRAINED, climbed
from groktime.recipes.results.drift_sizes import SIZES, Size
from groktime.recipes.results.drift_tables import Found
from groktime.recipes.results.released import Release, Start, released
from groktime.reduced.errors import InputError

TAUS = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.4])
ONE = Release(0.05, 0.05, 0.1, 0.4)


def tiny() -> Task:
    return addition(p=4, n_train=7, dim=2, variant="official")


SIZE = Size(
    "tiny", tiny, 7, 2.0, 0.08, np.geomspace(1.2, 2.0, 4), (0.0, 0.03, 0.06, 0.09), (0.01, 0.1), 50, 10,
    (ONE, ONE, ONE, replace(ONE, gamma=0.02, tau=0.2)), TAUS,
)  # fmt: skip


def test_a_path_in_lumps_of_a_step_is_a_run() -> None:
    start = Start(0, 2.0, 0.08, 7, 100)
    slow = replace(ONE, rate=0.02)
    lumps = replace(slow, lump=slow.gamma * slow.rate)
    assert lumps.refit == 1
    run, path = (released(tiny(), start, [one], TAUS) for one in (slow, lumps))
    for name in ("m", "ln_w", "test_loss"):
        np.testing.assert_allclose(path[name], run[name], rtol=5e-3)
    assert abs(run["m"][0, -1] - 0.08) > 1e-3


def test_lumps_are_as_large_as_they_say() -> None:
    start, lumped = Start(0, 2.0, 0.08, 7, 0), replace(ONE, rate=1e-9, gamma=0.1 / (4 * 1e-9), lump=0.1)
    assert lumped.refit == 4
    found = released(tiny(), start, [lumped], TAUS)["ln_w"][0]
    np.testing.assert_allclose(found - found[0], [0, -0.1, -0.1, -0.2, -0.3, -0.4], atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_every_rung_is_climbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_ladder, "LUMP", 0.05)
    coarse = partial(integrate_networks, inner=4, du=0.05, dm=0.02)
    monkeypatch.setattr(drift_ladder, "integrate_networks", coarse)
    monkeypatch.setitem(SIZES, "tiny", SIZE)
    found = Found.of(SIZE, tmp_path, [1])
    rungs = climbed(SIZE, tmp_path, found, 0)
    assert list(rungs) == list(COLOURS)
    for rung in rungs.values():
        assert rung.m.shape == (1, len(TAUS)) and rung.passed.shape == (1,)
        np.testing.assert_allclose(rung.m[:, 0], 1, rtol=2e-3)
    np.testing.assert_array_equal(rungs[TRAINED].m[0], found.made[1]["m"][0] / SIZE.m)
    kept = sorted(path.name for path in tmp_path.iterdir())
    again = climbed(SIZE, tmp_path, found, 0)
    assert kept == sorted(path.name for path in tmp_path.iterdir())
    for name, rung in rungs.items():
        np.testing.assert_array_equal(again[name].m, rung.m)
    drift_ladder.draw({"tiny": {0: rungs}}, tmp_path / "ladder.png")


def test_an_unknown_size_is_refused_by_the_name_of_its_option(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--sizes p50: expected some of official, p30$"):
        drift_ladder.run(tmp_path, 1, sizes=("p50",))
