"""What ships: each name opens as what it is, and is a source."""

from __future__ import annotations

import numpy as np
import pytest

from groktime.reduced.decay_path import DecayPath, open_path
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.prediction import predict
from groktime.reduced.shipped import KINDS, kind_of, shipped
from groktime.reduced.sources import open_value


@pytest.mark.parametrize("kind", KINDS)
def test_each_name_opens_as_its_kind(kind: str) -> None:
    assert "teacher-student" in shipped("landscapes")
    assert {"teacher-student-path", "mnist-path"} <= set(shipped("paths"))
    for name in shipped(kind):
        value = open_value(name)
        assert isinstance(value, Landscape if kind == "landscapes" else DecayPath)
        assert value.source == name and kind_of(name) == kind
        assert value.seeds and value.SCHEMA.name == value.attrs["schema"]
    assert not set(shipped("landscapes")) & set(shipped("paths"))


def test_a_name_of_another_kind_or_of_none_tells_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"^teacher-student: no shipped decay path .*teacher-student-path"):
        open_path("teacher-student")
    with pytest.raises(InputError, match=r"^subtraction: no shipped landscape .*teacher-student"):
        open_landscape("subtraction")
    with pytest.raises(InputError, match=r"^subtraction: nothing ships .*teacher-student; paths: mnist-path"):
        open_value("subtraction")
    with pytest.raises(InputError, match=r"^kind = 'forecasts': expected"):
        shipped("forecasts")


def test_a_shipped_path_tells_the_times_of_trained_networks() -> None:
    """α = 3, seeds 0 to 3, η = 3e-4: medians as trained, docs/decay-path.md."""
    told = [
        [predict("teacher-student-path", gamma=gamma, eta_d=3e-4, alpha=3.0, seed=s).t_grok for s in range(4)]
        for gamma in (0.03, 0.223)
    ]
    np.testing.assert_allclose(np.median(told, axis=1), (60_443, 8_366), rtol=0.03)


@pytest.mark.parametrize(("threshold", "trained"), [(0.5, 5_157), (0.7, 7_212), (0.8, 8_963)])
def test_the_path_of_mnist_does(threshold: float, trained: float) -> None:
    """α = 8, γ = 0.1, η = 1e-3, seeds 0 to 2: medians as trained, docs/results/mnist.md."""
    told = predict("mnist-path", gamma=0.1, eta_d=1e-3, alpha=8.0, threshold=threshold)
    assert told.t_grok == pytest.approx(trained, rel=0.03)
    assert told.low < trained < told.high
