"""The runs file: what goes in comes out, whole or not at all, and opens without groktime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from groktime.fullnet.runs import CURVES, SCHEMA, Runs, open_runs
from groktime.reduced.errors import InputError

STEP = [0, 10, 100, 1000]
CURVE = np.array([[1.0, 0.5, 0.2, 0.1], [1.0, 0.4, 0.3, np.nan], [1.0, 7.0, np.inf, np.nan]])


def given(**change: Any) -> dict[str, Any]:
    """Three runs: one to the end, one retired as done, one that diverged."""
    return {
        "step": STEP,
        "settings": {
            "gamma": [0.0, 1e-3, 1e-2],
            "eta_d": 1e-2,
            "eta_r": 1e-3,
            "alpha": 3.0,
            "n_train": 50,
            "seed": [0, 1, 2],
            "m_start": 0.1,
        },
        "curves": {
            "train_loss": CURVE,
            "test_loss": 2 * CURVE,
            "train_accuracy": np.clip(1 - CURVE, 0, 1),
            "weight_norm": 5 * CURVE,
            "m": CURVE / 10,
        },
        "w0": 9.0,
        "steps_done": [1000, 100, 100],
        "diverged": [False, False, True],
        "task": "small",
        "loss": "mse",
        "threshold": 0.9,
        "optimizer": "AdamW",
        "batch": 32,
        "representation": "line",
        "configuration": {"persist": 3},
    } | change


def small(**change: Any) -> Runs:
    return Runs.assemble(**given(**change))


def test_what_is_stored() -> None:
    ds = small().dataset
    assert ds.attrs["schema"] == SCHEMA
    assert dict(ds.sizes) == {"run": 3, "time": 4}
    np.testing.assert_array_equal(ds["train_loss"].values, CURVE)
    np.testing.assert_array_equal(ds["eta_d"].values, [1e-2] * 3)
    np.testing.assert_array_equal(ds["gamma"].values, [0.0, 1e-3, 1e-2])
    np.testing.assert_array_equal(ds["step"].values, STEP)
    assert np.isnan(ds["test_accuracy"].values).all()  # was not measured
    assert json.loads(ds.attrs["configuration"]) == {"persist": 3}
    assert {"gamma", "seed", "step", "m_start"} <= set(ds.coords)
    assert ds["w0"].attrs["units"]


def test_how_far_each_run_went() -> None:
    runs = small()
    np.testing.assert_array_equal(runs.trained, ~np.isnan(CURVE))
    np.testing.assert_array_equal(runs.finished, [False, True, False])


def test_a_task_without_messiness() -> None:
    settings = {k: v for k, v in given()["settings"].items() if k != "m_start"} | {"eta_r": np.nan}
    curves = {k: v for k, v in given()["curves"].items() if k != "m"}
    ds = small(settings=settings, curves=curves, representation="fixed").dataset
    assert np.isnan(ds["m_start"].values).all()
    assert np.isnan(ds["m"].values).all()


def test_the_arrays_given_stay_the_callers_own() -> None:
    mine, steps, norms = CURVE.copy(), np.array(STEP), np.full(3, 9.0)
    runs = small(curves=given()["curves"] | {"train_loss": mine}, step=steps, w0=norms)
    mine[:], steps[:], norms[:] = 7, 7, 7
    np.testing.assert_array_equal(runs.dataset["train_loss"].values, CURVE)
    np.testing.assert_array_equal(runs.dataset["step"].values, STEP)
    np.testing.assert_array_equal(runs.dataset["w0"].values, [9.0] * 3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"curves": {}}, "train_loss"),
        ({"curves": {"train_loss": CURVE}}, "weight_norm"),
        ({"curves": {"train_loss": CURVE, "weight_norm": CURVE[:2]}}, "weight_norm"),
        ({"curves": {"train_loss": CURVE, "weight_norm": CURVE, "taste": CURVE}}, "taste"),
        ({"curves": given()["curves"] | {"norm_head": -CURVE}}, "norm_head"),
        ({"curves": given()["curves"] | {"norm_head": CURVE[:2]}}, "norm_head"),
        ({"settings": given()["settings"] | {"colour": 1.0}}, "colour"),
        ({"settings": given()["settings"] | {"alpha": [1.0, 2.0]}}, "alpha"),
        ({"settings": {"gamma": 0.1}}, "eta_d"),
        ({"step": [0, 10, 100]}, "step"),
        ({"step": [0, 100, 10, 1000]}, "step"),
        ({"w0": 0.0}, "w0"),
        ({"w0": "nine"}, "w0"),
        ({"steps_done": [1000, 10, 100]}, "train_loss"),
        ({"steps_done": [1000, 1000, 100]}, "train_loss"),
        ({"diverged": False}, "train_loss"),
        ({"threshold": 1.5}, "accuracy_threshold"),
        ({"batch": -1}, "batch"),
        ({"representation": "loose"}, "representation"),
    ],
)
def test_bad_arrays_are_told_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=rf"\b{named}\b"):
        small(**change)


@pytest.mark.parametrize("name", ["train_loss", "weight_norm"])
def test_a_mask_of_a_curve_is_not_lost(name: str) -> None:
    values = np.ma.masked_array(np.asarray(given()["curves"][name], float))
    values[0, 0] = np.ma.masked
    with pytest.raises(InputError, match=rf"\b{name}\b"):
        small(curves=given()["curves"] | {name: values})


def test_a_mask_of_a_setting_is_not_lost() -> None:
    gamma = np.ma.masked_array(
        np.broadcast_to(given()["settings"]["gamma"], len(small()["gamma"].values)).copy()
    )
    gamma[1] = np.ma.masked
    with pytest.raises(InputError, match=r"\bgamma\b"):
        small(settings=given()["settings"] | {"gamma": gamma})


def test_round_trip(tmp_path: Path) -> None:
    runs, path = small(), tmp_path / "small.nc"
    assert runs.save(path) == path
    back = open_runs(path)
    xr.testing.assert_identical(back.dataset, runs.dataset)
    assert back.source == str(path)
    assert back.task == "small"
    assert back.dataset["diverged"].dtype == bool
    back.save(tmp_path / "again.nc")
    xr.testing.assert_identical(open_runs(tmp_path / "again.nc").dataset, runs.dataset)


def test_files_of_before_are_not_constrained() -> None:
    dataset = small().dataset
    assert dataset.attrs.pop("constrained") == 0
    assert not Runs(dataset, "old").constrained
    with pytest.raises(InputError, match="attribute constrained is 'often'; expected 0 or 1"):
        Runs(dataset.assign_attrs(constrained="often"), "odd")


def test_norms_of_parts_are_curves(tmp_path: Path) -> None:
    runs = small(curves=given()["curves"] | {"norm_head": CURVE / 2})
    assert runs.parts == ["head"]
    runs.save(tmp_path / "small.nc")
    xr.testing.assert_identical(open_runs(tmp_path / "small.nc").dataset, runs.dataset)


def test_single_precision_is_kept(tmp_path: Path) -> None:
    curves = {k: np.asarray(v, np.float32) for k, v in given()["curves"].items()}
    path = small(curves=curves).save(tmp_path / "small.nc")
    back = open_runs(path).dataset
    assert back["train_loss"].dtype == np.float32
    np.testing.assert_array_equal(back["train_loss"].values, CURVE.astype(np.float32))


def test_opens_in_plain_xarray(tmp_path: Path) -> None:
    with xr.open_dataset(small().save(tmp_path / "small.nc")) as opened:
        assert opened.attrs["schema"] == SCHEMA
        assert all(opened[k].dims == ("run", "time") for k in CURVES)
        chosen = opened.where(opened["gamma"] == 1e-3, drop=True)
        np.testing.assert_array_equal(chosen["train_loss"].values, CURVE[1:2])


def test_a_selection_of_runs_is_runs() -> None:
    kept = Runs(small().dataset.isel(run=[0, 2]), "two").dataset
    assert kept.sizes["run"] == 2


def test_an_existing_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "notes.nc"
    path.write_bytes(b"something of the user's")
    with pytest.raises(InputError, match=r"notes\.nc: exists already"):
        small().save(path)
    assert path.read_bytes() == b"something of the user's"
    small().save(path, overwrite=True)
    assert open_runs(path).task == "small"
    assert [p.name for p in tmp_path.iterdir()] == ["notes.nc"]
