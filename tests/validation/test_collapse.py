"""Runs and a decay path in the one time τ = ηγt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import NAN, grid, law, planted, planted_path

from groktime.reduced.errors import InputError
from groktime.validation.collapse import collapse
from groktime.validation.figures import plot

RUNS = grid((0.0, 0.03, 0.1, 0.3), (3.0,))


def trained(**more: Any) -> Any:
    eta_d = np.where(RUNS["seed"] == 0, 1e-3, 4e-3)
    with np.errstate(divide="ignore"):
        times = law(RUNS["gamma"], eta_d)
    return planted(np.where(np.isfinite(times), times, NAN), **(RUNS | {"eta_d": eta_d} | more))


def test_an_exact_law_collapses() -> None:
    found = collapse(trained(), planted_path((0, 1)))
    assert found.sizes["run"] == 9  # those under decay
    np.testing.assert_allclose(found["tau"], np.log(2), rtol=1e-3)
    np.testing.assert_allclose(found["tau_path"], np.log(2), rtol=1e-6)


def test_a_run_that_never_generalizes_has_no_tau() -> None:
    runs = planted([NAN, *law(np.array([0.1]))], gamma=0.1, seed=[0, 1])
    assert np.isnan(collapse(runs, planted_path())["tau"].values).tolist() == [True, False]


def test_it_is_drawn(tmp_path: Path) -> None:
    def draw(name: str, path: Any, alpha: float) -> Any:
        return plot(trained(), tmp_path / name, kind="collapse", path=path, alpha=alpha)

    assert len(draw("a.png", planted_path(), 3.0).axes) == 2
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="exists already"):
        draw("a.png", planted_path(), 3.0)
    with pytest.raises(InputError, match=r"alpha = 2\.5: the path has 2, 3, 4"):
        draw("b.png", planted_path(), 2.5)
    with pytest.raises(InputError, match=r"^optimizer: .sgd. in"):
        draw("b.png", planted_path(optimizer="sgd"), 3.0)
    with pytest.raises(InputError, match="path: the figure 'collapse' needs it"):
        plot(trained(), kind="collapse")
