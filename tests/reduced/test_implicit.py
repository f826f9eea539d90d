"""Predictions with an implicit decay γ0, on paths whose refits drift by it too: known exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_path import DTAU, ETA, at, made_up

from groktime.cli import main
from groktime.reduced.decay_path import DecayPath
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import open_landscape
from groktime.reduced.path_text import tau_c
from groktime.reduced.prediction import predict
from groktime.reduced.recommend import recommend
from groktime.reduced.what_if import what_if

GAMMA0, FAR = 0.05, 0.4  # the drift, and how far the threshold lies along the valley


def drifting(**change: Any) -> DecayPath:
    """A refit of k steps drifts by γ0 η k, too: at γ_eff = 10/k, τ_c (1 + γ0/γ_eff) = FAR."""
    return made_up(lambda s, a, k: FAR / (1 + GAMMA0 * k / 10), **change)


@pytest.mark.parametrize("gamma", [0.0, 1e-4, 0.01, 0.25, 0.4, 1.0])
def test_the_drift_adds_to_gamma(gamma: float) -> None:
    p = at(drifting(), gamma=gamma, implicit=GAMMA0)
    assert p.status == "generalizes"
    assert tau_c(p) == pytest.approx(FAR)
    assert p.t_grok == pytest.approx(FAR / (ETA * (gamma + GAMMA0)))
    assert p.t_grok * p.detail.clock.rate == pytest.approx(tau_c(p))


def test_at_a_resolution_itself_it_changes_nothing() -> None:
    """There the path is the run, drift and all."""
    for gamma in made_up().gamma_eff:
        one, two = (at(made_up(), gamma=float(gamma), implicit=g) for g in (0.0, GAMMA0))
        assert two.t_grok == pytest.approx(one.t_grok)
        assert two.detail.gamma_eff == one.detail.gamma_eff


def setting_in(onset: float) -> DecayPath:
    """The same, of which a refit's steps drift only after the first `onset`: k/DTAU steps to a τ of 1."""

    def tau_c(seed: int, alpha: float, k: int) -> float:
        before, stronger = onset * DTAU / k, GAMMA0 * ETA * k / DTAU
        return FAR if before >= FAR else (FAR + stronger * before) / (1 + stronger)

    return made_up(tau_c)


@pytest.mark.parametrize("onset", [0.0, 300.0, 1000.0, 1e6])
@pytest.mark.parametrize("gamma", [1e-4, 0.01, 0.25, 0.4, 1.0])
def test_it_may_set_in_late(gamma: float, onset: float) -> None:
    """Before the onset decay is alone, in the path as in the run."""
    p = at(setting_in(onset), gamma=gamma, implicit=GAMMA0, onset=onset)
    early = FAR / (ETA * gamma)
    late = (FAR / ETA + GAMMA0 * onset) / (gamma + GAMMA0)
    assert p.t_grok == pytest.approx(early if early <= onset else late, rel=1e-6)
    assert float(p.detail.clock.tau(p.t_grok)) == pytest.approx(FAR)
    assert float(p.detail.clock.steps(FAR)) == pytest.approx(p.t_grok)


def test_a_drift_alone_waits_for_its_onset() -> None:
    p = at(setting_in(1000.0), gamma=0.0, implicit=GAMMA0, onset=1000.0)
    assert p.t_grok == pytest.approx(1000 + FAR / (ETA * GAMMA0))
    assert "gamma = 0 + 0.05 implicit from step 1,000" in p.report()
    r = recommend(setting_in(1000.0), budget=5000, eta_d=ETA, alpha=3.0, implicit=GAMMA0, onset=1000.0)
    assert r.gamma == pytest.approx((FAR / ETA + GAMMA0 * 1000) / 5000 - GAMMA0, rel=3e-3)
    assert "beside 0.05 implicit from step 1,000 groks within" in r.report()
    ds = what_if(setting_in(1000.0), gamma=[0.0], eta_d=ETA, alpha=3.0, implicit=GAMMA0, onset=1000.0)
    assert ds.attrs["onset"] == 1000
    assert ds["t_grok"].values == pytest.approx(p.t_grok)


def test_it_is_told() -> None:
    p = at(drifting(), implicit=GAMMA0)
    assert p.settings["implicit"] == GAMMA0
    assert "gamma = 0.01 + 0.05 implicit" in p.report()
    assert "implicit" not in at(drifting()).report()
    assert at(drifting(), gamma=0.0).status == "never"


def test_momentum_speeds_it_up() -> None:
    path = drifting(optimizer="momentum")  # its gamma_eff are a tenth
    p = at(path, gamma=0.0, implicit=GAMMA0 / 10)
    assert tau_c(p) == pytest.approx(FAR)
    assert p.t_grok == pytest.approx(FAR / (ETA * GAMMA0))


def test_maps_and_recommendations_take_it() -> None:
    ds = what_if(drifting(), gamma=[0.0, 0.01, 0.3], eta_d=ETA, alpha=3.0, implicit=GAMMA0)
    assert ds["t_grok"].values == pytest.approx(FAR / (ETA * (np.array([0.0, 0.01, 0.3]) + GAMMA0)), rel=1e-6)
    assert ds.attrs["implicit"] == GAMMA0
    r = recommend(drifting(), budget=5000, eta_d=ETA, alpha=3.0, implicit=GAMMA0)
    assert r.gamma == pytest.approx(FAR / (ETA * 5000) - GAMMA0, rel=3e-3)
    assert "beside 0.05 implicit groks within 5,000 steps" in r.report()


def test_a_bad_one_is_told_by_name() -> None:
    with pytest.raises(InputError, match="implicit"):
        at(made_up(), implicit=-0.1)
    with pytest.raises(InputError, match="onset"):
        at(made_up(), implicit=0.1, onset=-1.0)
    with pytest.raises(InputError, match="implicit"):
        what_if(made_up(), gamma=[0.1], eta_d=ETA, alpha=3.0, implicit=float("nan"))
    land, start = open_landscape("teacher-student"), {"gamma": 0.1, "eta_d": ETA, "alpha": 2.0}
    with pytest.raises(InputError, match=r"implicit: .* is a landscape"):
        predict(land, **start, implicit=0.1)
    assert predict(land, **start, implicit=0.0).t_grok > 0


def test_the_command_line_takes_it_and_it_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(drifting().save(tmp_path / "p.nc"))
    start = ["--gamma", "0", "--eta-d", str(ETA), "--alpha", "3", "--implicit", str(GAMMA0)]
    assert main(["predict", file, *start, "-o", str(tmp_path / "p.png")]) == 0
    assert "0.05 implicit" in capsys.readouterr().out
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert main(["whatif", file, *start, "--json"]) == 0
    assert main(["predict", "teacher-student", *start]) == 2
    assert "is a landscape" in capsys.readouterr().err
