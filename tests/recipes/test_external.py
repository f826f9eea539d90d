"""The public runs that forecasts are scored against, and how they are scored."""

from __future__ import annotations

import numpy as np
import pytest

from groktime.recipes.results.external import TASKS, Cell, Told, cells, line, total
from groktime.recipes.shared.common import check_systems
from groktime.reduced.errors import InputError


def test_the_public_runs_are_all_there() -> None:
    found = cells()
    assert [sum(c.name == name for c in found) for name in TASKS] == [8, 6]
    assert sum(len(c.t_grok) for c in found) == 232
    first = found[0]
    assert (first.name, first.p, first.gamma, first.eta_d, first.last) == (
        "modular-mlp",
        59,
        0.3,
        3e-4,
        60_000,
    )
    assert first.t_grok[:3].tolist() == [27046, 19306, 19907]
    assert [c.task.n_train for c in found if c.name == "modular-mlp"] == [1740] * 6 + [840, 4704]
    assert {c.task.n_train for c in found if c.name == "modular-transformer"} == {2016}


def test_a_cell_and_a_system_are_scored_by_hand() -> None:
    at_one = Cell("modular-mlp", 59, 1.0, 1e-3, 60_000, np.array([80.0, 100.0, 125.0, np.nan]))
    weak = Cell("modular-mlp", 59, 0.5, 1e-3, 60_000, np.array([200.0, 250.0]))
    assert at_one.median == 112.5
    told = Told(t_grok=112.5, low=90.0, high=130.0, steps=45.0, seconds=3.0)
    row = line(at_one, told)
    assert row[4:9] == ["3 of 4", "1 (0)", "112", "112", "+0 %"]
    error = np.mean([112.5 / 80 - 1, 112.5 / 100 - 1, 1 - 112.5 / 125])
    assert row[9] == f"{100 * error:.1f} %"
    assert (row[11], row[14]) == ("67 %", "2.5")
    found = total("modular-mlp", [(at_one, told), (weak, Told(250.0, 180.0, 300.0, 100.0, 1.0))])
    assert found[2] == f"{100 * (0 + 250 / 225 - 1) / 2:.1f} %"
    assert found[5] == f"{100 * np.mean([225 / 200 - 1, 1 - 225 / 250]):.1f} %"  # 112.5 at γ = 1
    assert found[6] == "80 % of 5"
    assert float(found[7]) == pytest.approx((112.5 + 225) / 145, abs=0.05)


def test_a_system_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"^--systems b: expected some of a, c$"):
        check_systems(("a", "b"), {"a": 1, "c": 2})
