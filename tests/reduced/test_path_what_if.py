"""`what_if` and `recommend` from decay paths: what `predict` says, and the law turned round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from made_up_path import ETA, at, exact, made_up

from groktime.cli import main
from groktime.reduced.crossings import crossings
from groktime.reduced.errors import InputError
from groktime.reduced.figures import plot
from groktime.reduced.prediction import predict
from groktime.reduced.recommend import recommend
from groktime.reduced.what_if import what_if

GAMMA = [0.0, 0.01, 0.3, 2.0, 1 / ETA]
ALPHA = [1.5, 2.0, 2.7, 4.0]
RATES = [ETA / 2, ETA]


@pytest.mark.parametrize(
    "change",
    [{}, {"fit": "first"}, {"refit": (40,)}, {"seeds": 1}, {"optimizer": "momentum"}, {"alpha": (2.0,)}],
)
def test_it_is_predict_at_every_place(change: dict[str, Any]) -> None:
    path = made_up(**change)
    ds = what_if(path, gamma=GAMMA, eta_d=RATES, alpha=ALPHA)
    assert ds["t_grok"].dims == ("gamma", "eta_d", "alpha")
    assert ds.attrs["schema"] == "groktime-what-if/2"
    assert ds.attrs["source"] == "user"
    for g in GAMMA:
        for eta in RATES:
            for a in ALPHA:
                p, here = predict(path, gamma=g, eta_d=eta, alpha=a), ds.sel(gamma=g, eta_d=eta, alpha=a)
                told = (p.t_grok, p.t_mem, *p.interval)
                names = ("t_grok", "t_mem", "low", "high")
                assert [float(here[n]) for n in names] == pytest.approx(told, nan_ok=True)
                assert str(here["status"].values) == p.status
                assert str(here["remark"].values) == " ".join(p.remarks)


def test_what_is_fixed_is_no_dimension() -> None:
    ds = what_if(made_up(), gamma=0.01, eta_d=ETA, alpha=3.0, seed=2)
    assert ds["t_grok"].dims == ()
    assert float(ds["t_grok"]) == pytest.approx(exact(2, 3.0) / (ETA * 0.01))
    assert (ds.attrs["gamma"], ds.attrs["alpha"]) == (0.01, 3.0)
    assert float(ds["generalizing"]) == 1


def test_messiness_is_one_of_the_paths() -> None:
    one = made_up()
    other = one.dataset.assign_coords(m_start=[0.5])
    both = xr.concat([other, one.dataset], "m_start", data_vars="minimal")
    both["t_fit"] = both["t_fit"] + 10 * both["m_start"]
    path = type(one)(both.transpose(*one.dataset["test_loss"].dims))
    ds = what_if(path, gamma=[0.01, 0.1], eta_d=ETA, alpha=3.0, m=[1.0, 0.5])
    assert ds["t_mem"].sel(m=[0.5, 1.0]).values == pytest.approx(np.array([[25, 30]] * 2))
    with pytest.raises(InputError, match=r"m_start = 0\.2: the path has 0\.5, 1"):
        what_if(path, gamma=0.01, eta_d=ETA, alpha=3.0, m=[0.5, 0.2])


def test_curves_are_read_once_for_a_whole_map(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def counted(*args: Any) -> Any:
        asked.append(args[3])
        return crossings(*args)

    monkeypatch.setattr("groktime.reduced.path_source.crossings", counted)
    what_if(made_up(seeds=8), gamma=np.geomspace(1e-3, 1, 25), eta_d=ETA, alpha=np.linspace(2, 4, 25))
    assert len(asked) == 1


@pytest.mark.parametrize("swept", [{"alpha": 3.0}, {"alpha": [1.0, 2.0, 3.0]}])
def test_it_is_drawn(swept: dict[str, Any], tmp_path: Path) -> None:
    ds = what_if(made_up(), gamma=[0.0, 0.01, 0.1, 1.0, 3.0], eta_d=ETA, **swept)
    plot(ds, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"gamma": -1.0}, "gamma"),
        ({"alpha": [[2.0]]}, "alpha"),
        ({"eta_r": 0.1}, "eta_R/eta_D = 1"),
        ({"wall": True}, "wall"),
        ({"m_rate": "representation"}, "m_rate"),
        ({"sampled_steps": 5}, "sampled_steps"),
        ({"seed": 9}, "seed = 9"),
        ({"metric": "loss"}, "threshold"),
    ],
)
def test_bad_arguments_are_told_by_name(change: dict[str, Any], word: str) -> None:
    settings: dict[str, Any] = {"gamma": [0.01], "eta_d": ETA, "alpha": 3.0}
    with pytest.raises(InputError, match=word):
        what_if(made_up(), **(settings | change))
    with pytest.raises(InputError, match=r"path\.nc: no such file"):
        what_if("path.nc", **settings)  # type: ignore[arg-type]


# --- recommend ------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [3_000, 50_000, 10**7])
def test_the_recommended_decay_is_the_law_turned_round(budget: int) -> None:
    r = recommend(made_up(), budget=budget, eta_d=ETA, alpha=3.0)
    # t = (a + 0.1 gamma)/(eta gamma)
    assert r.gamma == pytest.approx(exact(1, 3.0, 0.0) / (budget * ETA - 0.1), rel=2e-3)
    assert r.prediction.t_grok <= budget
    assert r.cautious > r.gamma
    assert at(made_up(), gamma=r.cautious).interval[1] <= budget
    assert r.strongest == pytest.approx(1.0)
    assert "the decay path resolves nothing" in r.report()


def test_no_decay_is_recommended_that_the_path_does_not_resolve() -> None:
    fastest = (exact(1, 3.0, 1.0)) / ETA
    assert recommend(made_up(), budget=int(fastest) + 1, eta_d=ETA, alpha=3.0).gamma == pytest.approx(
        1, rel=3e-3
    )
    with pytest.raises(InputError, match=r"budget = 600: .* up to gamma = 1, .* takes 669"):
        recommend(made_up(), budget=600, eta_d=ETA, alpha=3.0)
    with pytest.raises(InputError, match=r"no weight decay generalizes from alpha = 9 \(status: outside\)"):
        recommend(made_up(), budget=600, eta_d=ETA, alpha=9.0)
    with pytest.raises(InputError, match="level"):
        recommend(made_up(), budget=600, eta_d=ETA, alpha=3.0, level=0.1)


# --- the command line -----------------------------------------------------------------------------


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(made_up().save(tmp_path / "p.nc"))
    start = ["--eta-d", str(ETA), "--alpha", "3"]
    assert main(["whatif", file, "--gamma", "0.01:1:3", *start, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data_vars"]["t_grok"]["data"]
    assert told == pytest.approx([exact(1, 3.0, g) / (ETA * g) for g in (0.01, 0.1, 1.0)])
    assert main(["whatif", file, "--gamma", "0.01", "0.1", *start, "-o", str(tmp_path / "w.png")]) == 0
    assert (tmp_path / "w.png").exists()
    assert main(["recommend", file, "--budget", "50000", *start, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["prediction"]["t_grok"] <= 50000
    assert main(["recommend", file, "--budget", "50000", *start]) == 0
    assert "groks within 50,000 steps" in capsys.readouterr().out
    assert main(["whatif", file, "--gamma", "0.01", *start, "--eta-r", "1"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "leave eta_r out" in err
