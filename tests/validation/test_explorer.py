"""The explorer's table beside the predictions that it was made of, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import CRITICAL, NAN, apart, flat, planted, planted_path

from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape
from groktime.reduced.law import Schedule
from groktime.reduced.prediction import predict
from groktime.reduced.sources import source_of
from groktime.validation.explorer.explore import Explorer, explore
from groktime.validation.explorer.measured import points
from groktime.validation.explorer.sliders import sliders
from groktime.validation.explorer.ways import X, ways
from groktime.validation.measure import measure


def settings(explorer: Explorer, count: int, seed: int = 5) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    ends = {s.name: np.log(s.stops[[0, -1]]) for s in explorer.table.sliders}
    return {name: np.exp(random.uniform(*end, count)) for name, end in ends.items()}


def one_of(at: Mapping[str, Any], k: int) -> dict[str, float]:
    return {name: float(values[k]) for name, values in at.items()}


def test_the_table_reads_what_predict_tells(made: Explorer) -> None:
    at = settings(made, 60)
    read, even = made.table.read(at)
    assert even.sum() > 40
    for k in np.flatnonzero(even):
        p = predict(apart(), **one_of(at, k))
        assert read["status"][k] == p.status
        for name in ("t_grok", "low", "high"):
            np.testing.assert_allclose(read[name][k], getattr(p, name), rtol=0.01, err_msg=name)
    assert made.error < 0.01
    assert made.checks > 50


def test_nodes_are_predictions_themselves(made: Explorer) -> None:
    axes = made.table.axes
    for place in ((0, 0, 0), (-1, 0, -1), (0, -1, len(axes["alpha"]) // 2)):
        p = predict(apart(), **{name: axes[name][k] for name, k in zip(axes, place, strict=True)})
        assert made.table.answers["status"][place] == p.status
        np.testing.assert_array_equal(made.table.answers["t_grok"][place], p.t_grok)
        np.testing.assert_array_equal(made.table.answers["high"][place], p.high)
        np.testing.assert_array_equal(made.table.answers["seeds"][place], [q.t_grok for q in p.seeds])
        assert made.table.answers["remarks"][place] == tuple(r for r in p.remarks if "each step" not in r)


def test_nothing_is_read_across_a_border() -> None:
    table = explore(apart(), gamma=0.1, eta_d=1e-3, alpha=[1, 4]).table
    alpha = np.linspace(1.01, 3.99, 400)
    read, even = table.read({"gamma": np.full(400, 0.1), "eta_d": np.full(400, 1e-3), "alpha": alpha})
    seeds = CRITICAL * np.exp(0.2 * np.arange(3))  # from where each of them has to wait
    assert ((read["t_grok"] == 0) == (read["status"] == "already")).all()
    assert (read["t_grok"][alpha > 1.05 * seeds[1]] > 0).all()
    assert (read["t_grok"][alpha < 0.95 * seeds[1]] == 0).all()
    for critical in seeds:  # cells between two statuses are narrow, and there the nearest node is told
        near = ~even & (np.abs(np.log(alpha / critical)) < 0.1)
        assert near.any()
    assert (np.min(np.abs(np.log(alpha[:, None] / seeds)), 1)[~even] < 0.1).all()


def test_a_path_and_a_schedule_are_asked_as_they_are() -> None:
    made = explore(planted_path(), schedule=Schedule(warmup=500), gamma=[0.03, 1])
    at = settings(made, 20)
    read, even = made.table.read(at)
    for k in np.flatnonzero(even):
        p = predict(planted_path(), **one_of(at, k), schedule=Schedule(warmup=500))
        np.testing.assert_allclose(read["t_grok"][k], p.t_grok, rtol=0.01)
    assert even.sum() > 10
    assert "schedule=gt.Schedule(" in made.html
    assert "--schedule constant,warmup=500" in made.html


def test_ways_pass_their_threshold_at_their_own_time() -> None:
    for source in (source_of(apart()), source_of(planted_path())):
        found = ways(source, sliders(source, {}), {})
        assert found is not None
        curve = found.curves["test_accuracy"][found.timed]  # [way, x]
        assert len(curve) > 10
        at = np.array([np.interp(1.0, X, each) for each in curve])
        np.testing.assert_allclose(at, 0.9, atol=0.004)


def test_one_seed_is_named_as_it_is() -> None:
    made = explore(apart(), seed=2, gamma=0.1, eta_d=1e-3, alpha=[3, 4])
    assert "Predicted from a landscape of seed 2," in made.html
    assert '"names":[2]' in made.html and "--seed 2" in made.html


def test_measured_runs_become_points(tmp_path: Path) -> None:
    source, runs = source_of(flat()), planted([1e3, NAN], gamma=[0.1, 0.2], seed=[0, 1])
    found = points(source, [runs], {})
    assert [p["t_grok"] for p in found] == [1000, None]
    assert [p["gamma"] for p in found] == [0.1, 0.2]
    assert {p["last"] for p in found} == {10**7}
    table = tmp_path / "delays.csv"
    measure(runs).to_dataframe().to_csv(table)
    again = points(source, [str(table)], {})
    assert [(p["gamma"], p["t_grok"]) for p in again] == [(p["gamma"], p["t_grok"]) for p in found]


class Law:
    """A source of a user's own, which says nothing of itself."""

    name = "law"
    seeds = (0,)

    def read(self, lanes: Any, detail: bool = False, **options: Any) -> Any:
        from groktime.reduced.flow import Status
        from groktime.reduced.source import Readings

        t = np.asarray(1 / (lanes.gamma * lanes.eta_d))[None]
        status = np.full(t.shape, Status.GENERALIZES, object)
        return Readings((0,), status, t, t / 100, t, t, np.full(t.shape, 0.9), alone=False)


def test_a_source_of_ones_own_needs_ends() -> None:
    with pytest.raises(InputError, match="gamma: law does not say from where to where; expected two ends"):
        explore(Law())
    made = explore(Law(), gamma=[0.01, 1], eta_d=1e-3, alpha=2)
    np.testing.assert_allclose(
        made.table.read(settings(made, 5) | {"eta_d": np.full(5, 1e-3)})[0]["low"], np.nan
    )
    assert '"ways":null' in made.html
    assert '"shell":null,"python":"source"' in made.html  # which no command can name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"m": [0.1, 0.2]}, "m: landscape is a landscape; it is of w alone; leave m out"),
        ({"eta_ratio": 2}, "eta_ratio: landscape has no messiness; leave eta_ratio out"),
        ({"gamma": [0, 1]}, "gamma: expected ends above 0"),
        ({"alpha": -1}, "alpha = -1: expected a finite number above 0"),
        ({"implicit": 1.0}, "implicit: landscape is a landscape"),
        ({"nothing": 1.0}, "nothing: is no option"),
        ({"runs": "no.nc"}, "no.nc: no such file"),
        ({"runs": ["no.csv"]}, "no.csv: no such file"),
        ({"out": "no/page.html"}, "no/page.html: its folder no does not exist"),
    ],
)
def test_mistakes_are_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        explore(Landscape(flat().dataset, "landscape"), **change)


def test_tables_that_are_none_are_refused(tmp_path: Path) -> None:
    source = source_of(flat())
    for text, words in (
        ("gamma,t_grok\n1,2\n", "has no column eta_d; expected measured times"),
        ("gamma,eta_d,t_grok\n1,x,2\n", "column eta_d holds 'x'; expected numbers"),
        ("gamma,eta_d,t_grok\n,1,2\n", "a run without gamma or eta_d"),
        ("", "has no column gamma"),
    ):
        file = tmp_path / "bad.csv"
        file.write_text(text)
        with pytest.raises(InputError, match=words):
            points(source, [file], {})
    with pytest.raises(InputError, match=r"task: 'planted' in .* and 'other' in"):
        points(source, [planted([10.0], task="other")], {})


def test_a_page_is_not_written_over_another(tmp_path: Path, made: Explorer) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        made.save(page)
    assert page.read_text() == "mine"
    made.save(page, overwrite=True)
    assert page.read_text(encoding="utf-8") == made.html
