"""The ladder: every rung on a small problem of two tasks, and its text and figure."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
import torch
import xarray as xr
from torch import nn

import groktime as gt
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.tasks import addition
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape
from groktime.validation import ladder_networks as module
from groktime.validation.compare import compare
from groktime.validation.ladder import Ladder, ladder
from groktime.validation.ladder_text import middle, ratios, summary, verdict
from groktime.validation.rungs import ONE_DIMENSIONAL, TWO_DIMENSIONAL, Rung, with_drift

NAN = float("nan")


def _problem(seed: int, n_train: int) -> gt.Problem:
    train, test = (gt.Split(torch.ones(1, 1), {"y": torch.full((1,), y)}) for y in (9.0, 1.0))
    return gt.Problem(train, test)


def _norm(out: torch.Tensor, y: Any) -> torch.Tensor:
    return out.square().mean(-1)


class _Length(nn.Module):
    """Its output is its own norm, whose loss is flat: only decay acts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 1.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.vector_norm(self.weight) * x


# right where w <= 1, in training wherever it starts; a loss that has no slope: t = ln(w/1)/(ηγ) on every rung
FLAT = gt.Task(
    name="flat",
    network=_Length,
    problem=_problem,
    loss=lambda out, y: 0.0 * out.square().mean(-1),
    right=lambda out, y: out[:, 0] <= y["y"],
    loss_name="none",
    n_train=1,
    optimizer=gt.Adam(1e-2),
    steps=10,
    threshold=0.5,
)
SETTINGS: dict[str, Any] = {
    "gamma": [0.1, 0.3], "eta_d": 1e-2, "alpha": 2.0, "steps": 3_000, "seeds": [0],
    "machine": gt.Machine(workers=1, progress=False),
    "loop": {"start": 10, "inner": 5, "du": 0.02}, "persist": 1,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def unchecked() -> Iterator[None]:
    """A loss without a slope is what a check would refuse."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("groktime.fullnet.check.before.check_task", lambda task, seed: [])
        yield


def flat_land() -> Landscape:
    alpha = np.geomspace(0.4, 3, 40)
    w0 = float(torch.linalg.vector_norm(initial_parameters(FLAT, 0)))
    accuracy = np.clip(0.5 - 0.3 * np.log(alpha * w0), 0, 1)
    return Landscape.from_arrays(
        alpha=alpha, train_loss=np.full(40, 1e-9), test_loss=1 - accuracy, train_accuracy=np.ones(40),
        test_accuracy=accuracy, w0=w0, task="flat", loss="none", threshold=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    return ladder(FLAT, flat_land(), out=tmp_path_factory.mktemp("flat"), **SETTINGS)


def test_without_slopes_all_rungs_agree(flat: Ladder) -> None:
    law = np.log(2 * np.sqrt(2)) / (1e-2 * np.array([0.1, 0.3]))
    assert [r.name for r in flat.rungs] == ["printed", "eq6", "loop", "gd", "adamw"]
    np.testing.assert_allclose(flat.table["t_grok"][:, 0], np.repeat(law[:, None], 5, 1), rtol=0.025)
    np.testing.assert_allclose(ratios(flat.table)[..., 1:], 1, atol=0.04)
    assert (flat.table["status"] == "generalizes").all()
    assert "form" not in flat.table.dims
    np.testing.assert_allclose(flat.table["threshold"], 0.5)


def test_adamw_decays_as_the_setting_does(flat: Ladder) -> None:
    one = flat.runs["adamw"][0].dataset
    np.testing.assert_allclose(one["eta_d"], 1e-3)
    np.testing.assert_allclose(one["gamma"] * one["eta_d"], [1e-3, 3e-3])


def test_a_landscape_with_drift_has_a_rung_more(flat: Ladder, tmp_path: Path) -> None:
    for name, each in flat.runs.items():
        each[0].save(tmp_path / f"{name}-0.nc")
    dims, shape = ("seed", "n_train", "cutoff", "m", "alpha"), (1, 1, 2, 1, 40)
    drift = {"drift_normal": 0.2, "drift_overlap": np.nan, "drift_turn": np.nan}  # 0.8 of the speed of Eq. 6
    fields = {name: (dims, np.full(shape, value)) for name, value in drift.items()}
    land = Landscape(flat_land().dataset.assign_coords(cutoff=[0.01, 0.1]).assign(fields), "drift")
    found = ladder(FLAT, land, out=tmp_path, **SETTINGS)
    assert found.rungs == with_drift(ONE_DIMENSIONAL)
    assert [r.name for r in found.rungs] == ["printed", "eq6", "drift", "loop", "gd", "adamw"]
    times = found.table["t_grok"]
    np.testing.assert_allclose(times.sel(rung="drift"), times.sel(rung="eq6") / 0.8, rtol=1e-5)
    assert (found.table["status"] == "generalizes").all()
    xr.testing.assert_equal(found.table.drop_sel(rung="drift"), flat.table)
    assert "Eq. 6 on the network's own metric" in found.report()


def test_it_is_read_when_it_is_there(flat: Ladder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, each in flat.runs.items():
        each[0].save(tmp_path / f"{name}-0.nc")
    for name in ("train", "integrate_networks"):
        monkeypatch.setattr(module, name, None)
    again = ladder(FLAT, flat_land(), out=tmp_path, **SETTINGS)
    xr.testing.assert_identical(again.table, flat.table)
    with pytest.raises(InputError, match="holds a ladder of other settings"):
        ladder(FLAT, flat_land(), out=tmp_path, **(SETTINGS | {"alpha": 2.5}))


def test_the_path_may_come_later(flat: Ladder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, each in flat.runs.items():
        each[0].save(tmp_path / f"{name}-0.nc")
    ladder(FLAT, flat_land(), out=tmp_path, **SETTINGS)
    note = (tmp_path / "ladder.json").read_bytes()
    for name in ("train", "integrate_networks"):
        monkeypatch.setattr(module, name, None)
    options = {"dtau": 0.02, "refit": [10, 5], "tau": 1.2}
    found = ladder(FLAT, flat_land(), out=tmp_path, path=options, **SETTINGS)
    assert [r.name for r in found.rungs] == ["printed", "eq6", "loop", "path", "gd", "adamw"]
    law = np.log(2 * np.sqrt(2)) / (1e-2 * np.array([0.1, 0.3]))
    np.testing.assert_allclose(found.table["t_grok"].sel(rung="path")[:, 0], law, rtol=0.01)
    xr.testing.assert_identical(found.table.drop_sel(rung="path"), flat.table)
    assert "decay path sampled at γ_eff of 0.4, 0.2" in found.report()
    found.plot(tmp_path / "ladder.png")
    assert (tmp_path / "ladder.png").stat().st_size > 10_000
    monkeypatch.setattr(module, "sample_path", None)
    again = ladder(FLAT, flat_land(), out=tmp_path, path=options, **SETTINGS)
    xr.testing.assert_identical(again.table, found.table)
    with pytest.raises(InputError, match=r"path-0.nc was sampled with dtau = 0.02, refit = \[5, 10\]"):
        ladder(FLAT, flat_land(), out=tmp_path, path=options | {"refit": [5]}, **SETTINGS)
    without = ladder(FLAT, flat_land(), out=tmp_path, **SETTINGS)
    xr.testing.assert_identical(without.table, flat.table)
    assert (tmp_path / "ladder.json").read_bytes() == note


def test_settings_with_steps_of_their_own(tmp_path: Path) -> None:
    own = SETTINGS | {"steps": [200, 700], "paired": True}
    found = ladder(FLAT, flat_land(), out=tmp_path, **own)
    assert found.table["steps"].values.tolist() == [200, 700]
    trained = found.table.sel(rung=["loop", "gd", "adamw"])
    assert (trained["status"][0] == "censored").all()
    assert (trained["last"][0] == 200).all()
    assert (trained["status"][1] == "generalizes").all()


def test_a_representation_on_all_rungs(tmp_path: Path) -> None:
    """Toy addition, far too short to grok: each rung trains what it says."""
    task = addition(p=4, n_train=7, dim=2, variant="official")
    norms = [float(torch.linalg.vector_norm(initial_parameters(task, s))) for s in (0, 1)]
    alpha, m = np.linspace(2.5, 4, 6), np.linspace(0, 0.1, 5)
    wall = 1 / (1 + np.exp(80 * (np.log(alpha)[None] - np.log(2.7 + 9 * m)[:, None])))
    every = [np.broadcast_to(x, (2, 5, 6)) for x in (1e-5 + 0.1 * wall, 1 - wall, (1 - 4 * m)[:, None])]
    land = Landscape.from_arrays(
        alpha=alpha, m=m, train_loss=every[0], test_loss=every[0], train_accuracy=every[1],
        test_accuracy=every[2], w0=norms, delta_norm=[task.problem(s, 7).delta_norm for s in (0, 1)],
        task=task.name, loss=task.loss_name, threshold=0.95,
    )  # fmt: skip
    found = ladder(
        task, land, gamma=1e-2, eta_d=1e-2, eta_r=1e-3, alpha=3.8, m=0.08, steps=20,
        machine=gt.Machine(workers=1, progress=False), loop={"start": 20, "inner": 5},
        threshold=0.95, out=tmp_path,
    )  # fmt: skip
    assert found.rungs == TWO_DIMENSIONAL
    assert found.table.sizes == {"setting": 1, "seed": 2, "rung": 7, "form": 2}
    assert {n: r[0].dataset.attrs["representation"] for n, r in found.runs.items()} == {
        "loop": "line", "restricted": "line", "gd": "free", "adamw": "free",
    }  # fmt: skip
    assert [r[0].dataset.attrs["optimizer"] for r in found.runs.values()] == ["eq6", "sgd", "sgd", "adamw"]
    np.testing.assert_allclose(found.runs["adamw"][0].dataset["eta_r"], 1e-4)
    assert np.isfinite(found.table["t_grok"].sel(rung="eq6")).all()
    assert np.isfinite(found.table["representation_rate"].sel(form="eq6")).all()


def by_hand(times: list[list[float]], rungs: tuple[Rung, ...] = ONE_DIMENSIONAL) -> Ladder:
    """One setting; times [seed, rung]."""
    t = np.array([times])
    dims = ("setting", "seed", "rung")
    last = np.full(t.shape, 1000.0)
    last[..., :2] = NAN
    table = xr.Dataset(
        {"t_grok": (dims, t), "last": (dims, last)},
        {"rung": [r.name for r in rungs], "seed": range(len(times)), "gamma": ("setting", [0.1]),
         "eta_d": ("setting", [0.01])},
        {"task": "by hand", "landscape": "none", "adamw_rate": 1e-3},
    )  # fmt: skip
    return Ladder(table, rungs, flat_land(), {})


def test_ratios_medians_and_what_is_lost() -> None:
    found = by_hand([[100, 100, 150, 300, 300], [0, 100, 50, 100, NAN], [100, 200, 300, NAN, NAN]])
    expected = [[NAN, 1, 1.5, 2, 1], [NAN, NAN, 0.5, 2, NAN], [NAN, 2, 1.5, NAN, NAN]]
    np.testing.assert_allclose(ratios(found.table)[0], expected)
    np.testing.assert_allclose(middle(found.table)[0], [100, 100, 150, 300, NAN])
    told = summary(found)
    assert told["pairs"] == [0, 2, 3, 2, 1]
    assert told["lost"] == [0, 0, 0, 1, 1]
    assert told["ratio"] == ["-", "1.50", "1.50", "2.00", "1.00"]
    said = verdict(found)
    assert "The costliest assumption is that of a direction that is at its minimum, from the start on" in said
    assert "factor of 2.00 (median of 2" in said
    assert "1 of 3" in said
    assert "300 (2)" in found.report()


def test_without_times_it_says_so(tmp_path: Path) -> None:
    found = by_hand([[NAN] * 5])
    assert "cannot be read from them" in found.report()
    found.plot(tmp_path / "none.png")
    assert (tmp_path / "none.png").stat().st_size > 1000


def test_as_a_value(flat: Ladder, tmp_path: Path) -> None:
    assert repr(flat) == "<Ladder: 2 settings of flat, 1 seeds; rungs printed, eq6, loop, gd, adamw>"
    assert "The costliest assumption" in flat._repr_html_()
    assert len(flat.to_dataframe()) == 2 * 5
    assert flat.to_dict()["schema"] == "groktime-ladder/1"
    assert pickle.loads(pickle.dumps(flat)).table.identical(flat.table)
    folder = flat.write_report(tmp_path / "report")
    assert sorted(p.name for p in folder.iterdir()) == ["ladder.png", "ladder.txt", "table.csv", "table.nc"]
    assert (folder / "ladder.txt").read_text() == flat.report() + "\n"
    with pytest.raises(InputError, match="exists already"):
        flat.write_report(folder)
    flat.write_report(folder, overwrite=True)


def test_a_comparison_shows_it_on_its_page(flat: Ladder, tmp_path: Path) -> None:
    made = compare(planted.flat(), planted.planted(planted.law(planted.grid()["gamma"]), **planted.grid()))
    folder = made.write_report(tmp_path / "report", ladder=flat)
    assert (folder / "ladder.png").is_file()
    text = (folder / "report.html").read_text()
    assert "The ladder" in text and verdict(flat) in text
    assert "The ladder" not in (made.write_report(folder, overwrite=True) / "report.html").read_text()
    assert not (folder / "ladder.png").exists()


def test_the_figure(flat: Ladder, tmp_path: Path) -> None:
    flat.plot(tmp_path / "ladder.png")
    assert (tmp_path / "ladder.png").stat().st_size > 10_000
    with pytest.raises(InputError, match=r"ladder\.txt"):
        flat.plot(tmp_path / "ladder.txt")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seeds": [5]}, r"seeds = \[5\]"),
        ({"m": 0.5}, "m: flat takes a landscape of w alone"),
        ({"steps": [1, 2, 3]}, "steps: 3 values"),
        ({"steps": 0}, "steps = 0"),
        ({"adamw_rate": 0.0}, "adamw_rate = 0"),
        ({"gamma": -1.0}, "gamma = -1"),
        ({"path": {"steps": 5}}, "path: 'steps' is none of its options"),
    ],
)
def test_a_bad_setting_is_told(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ladder(FLAT, flat_land(), out=tmp_path / "x", **(SETTINGS | settings))
    assert not list(tmp_path.iterdir())


def test_another_task_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is of 'flat'; expected a landscape of 'other'"):
        ladder(replace(FLAT, name="other"), flat_land(), out=tmp_path / "x", **SETTINGS)
