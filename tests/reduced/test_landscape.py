"""The landscape file: what goes in comes out, whole or not at all, and opens without groktime."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from groktime.reduced.arrays import unmasked
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import Landscape, open_landscape
from groktime.reduced.landscape_schema import DIMS, SCHEMA
from groktime.reduced.prediction import predict
from groktime.reduced.shipped import shipped
from groktime.reduced.surface import surface_of
from groktime.reduced.what_if import what_if

ALPHA = np.linspace(1.0, 3.0, 5)
M = np.linspace(0.0, 0.3, 4)
LOSS_1D = np.linspace(1e-5, 1e-3, 5)
LOSS_2D = np.outer(np.arange(1, 5), LOSS_1D)


def small() -> Landscape:
    """Two seeds on a grid of (w, m), with all that a file can hold from arrays."""
    two = np.stack([LOSS_2D, 2 * LOSS_2D])
    return Landscape.from_arrays(
        alpha=ALPHA,
        m=M,
        train_loss=two,
        test_loss=3 * LOSS_2D,
        train_accuracy=np.ones_like(two),
        test_accuracy=1 - two,
        w0=[8.0, 9.0],
        delta_norm=[2.0, 3.0],
        task="small",
        loss="mse",
        threshold=0.9,
    )


def test_one_dimension_from_arrays() -> None:
    land = Landscape.from_arrays(alpha=list(ALPHA), train_loss=list(LOSS_1D), w0=9)
    assert not land.two_dimensional
    assert land.dataset["train_loss"].dims == DIMS
    assert dict(land.dataset.sizes) == {"seed": 1, "n_train": 1, "budget": 1, "m": 1, "alpha": 5}
    np.testing.assert_array_equal(land.dataset["train_loss"].values.ravel(), LOSS_1D)
    np.testing.assert_array_equal(land.alpha, ALPHA)
    np.testing.assert_array_equal(land.dataset["w0"].values, [9.0])
    for left_out in ("test_loss", "train_accuracy", "test_accuracy"):
        assert np.isnan(land.dataset[left_out].values).all()


def test_two_dimensions_from_arrays() -> None:
    land = Landscape.from_arrays(alpha=ALPHA, m=M, train_loss=LOSS_2D)
    assert land.two_dimensional
    np.testing.assert_array_equal(land.m, M)
    np.testing.assert_array_equal(land.dataset["train_loss"].values[0, 0, 0], LOSS_2D)


def test_seeds_from_arrays() -> None:
    land = small()
    assert land.seeds == [0, 1]
    assert land.task == "small"
    np.testing.assert_array_equal(land.dataset["train_loss"].values[1, 0, 0], 2 * LOSS_2D)
    # given once, it holds for every seed
    np.testing.assert_array_equal(land.dataset["test_loss"].values[1, 0, 0], 3 * LOSS_2D)
    np.testing.assert_array_equal(land.dataset["w0"].values, [8.0, 9.0])
    np.testing.assert_array_equal(land.dataset["delta_norm"].values, [2.0, 3.0])


def test_seeds_of_one_dimension() -> None:
    land = Landscape.from_arrays(alpha=ALPHA, train_loss=np.stack([LOSS_1D, 2 * LOSS_1D])[:, None], w0=3.0)
    assert land.seeds == [0, 1]
    np.testing.assert_array_equal(land.dataset["w0"].values, [3.0, 3.0])


def test_the_arrays_given_stay_the_callers_own() -> None:
    mine = LOSS_1D.copy()
    land = Landscape.from_arrays(alpha=ALPHA, train_loss=mine)
    mine[:] = 7.0
    np.testing.assert_array_equal(land.dataset["train_loss"].values.ravel(), LOSS_1D)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"train_loss": LOSS_1D}, "train_loss"),
        ({"train_loss": LOSS_2D.T}, "train_loss"),
        ({"test_accuracy": LOSS_2D[:, :-1]}, "test_accuracy"),
        ({"test_accuracy": 1.5 + LOSS_2D}, "test_accuracy"),
        ({"train_loss": -LOSS_2D}, "train_loss"),
        ({"train_loss": np.where(LOSS_2D < 1e-3, LOSS_2D, np.nan)}, "train_loss"),
        ({"alpha": ALPHA[::-1]}, "alpha"),
        ({"alpha": ["a", "b"]}, "alpha"),
        ({"m": M + 1}, "m"),
        ({"m": M[:3], "train_loss": LOSS_2D[:3]}, "m"),
        ({"w0": 0.0}, "w0"),
        ({"w0": "nine"}, "w0"),
    ],
)
def test_bad_arrays_are_told_by_name(change: dict[str, Any], named: str) -> None:
    given: dict[str, Any] = {"alpha": ALPHA, "m": M, "train_loss": LOSS_2D} | change
    with pytest.raises(InputError, match=rf"\b{named}\b"):
        Landscape.from_arrays(**given)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"w0": [1.0, 2.0, 3.0]}, id="w0"),
        pytest.param({"delta_norm": [1.0, 2.0, 3.0]}, id="delta_norm"),
        pytest.param({"test_loss": np.stack([LOSS_2D] * 3)}, id="test_loss"),
    ],
)
def test_counts_of_seeds_that_differ_are_told(change: dict[str, Any]) -> None:
    given: dict[str, Any] = {"alpha": ALPHA, "m": M, "train_loss": np.stack([LOSS_2D] * 2)} | change
    with pytest.raises(InputError, match=next(iter(change))):
        Landscape.from_arrays(**given)


def test_a_mask_is_not_lost() -> None:
    """numpy would hand over what lies under the mask: a time of 7,562 steps became "already"."""
    masked = np.ma.masked_greater(LOSS_2D, 3.9e-3)
    given: dict[str, Any] = {"alpha": ALPHA, "m": M, "train_loss": LOSS_2D, "w0": 9.0}
    for name in ("train_loss", "test_loss", "test_accuracy"):
        for values in (masked, [*masked], np.ma.stack([masked])):
            with pytest.raises(InputError, match=rf"{name} is nan at seed 0"):
                Landscape.from_arrays(**given | {name: values})
    for name, values in (
        ("alpha", np.ma.masked_equal(ALPHA, ALPHA[2])),
        ("m", np.ma.masked_equal(M, M[1])),
        ("w0", np.ma.masked_equal([9.0], 9.0)),
        ("delta_norm", np.ma.masked_equal([9.0], 9.0)),
    ):
        with pytest.raises(InputError, match=rf"\b{name}\b"):
            Landscape.from_arrays(**given | {name: values})
    whole = np.ma.masked_array(LOSS_2D, np.zeros(LOSS_2D.shape, bool))  # a mask of nothing is none
    assert Landscape.from_arrays(**given | {"train_loss": whole}).two_dimensional


def test_a_mask_of_whole_numbers_and_flags_is_not_lost() -> None:
    assert np.isnan(unmasked(np.ma.masked_equal([1, 2, 3], 2))[1])
    assert np.isnan(unmasked(np.ma.masked_array([True, False], [True, False]))[0])
    kept = unmasked([1, 2, 3])
    assert kept.dtype.kind == "i"
    full = small().arrays
    coords = {k: full[k].values for k in DIMS}
    named: dict[str, Any] = {
        k: full[k].values for k in ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
    }
    flags = np.ma.masked_array(full["converged"].values, np.zeros(full["converged"].values.shape, bool))
    flags[0, 0, 0, 1, 2] = np.ma.masked
    with pytest.raises(InputError, match=r"converged is nan at seed 0"):
        Landscape.assemble(
            **named, converged=flags, coords=coords, w0=np.array([8.0, 9.0]), delta_norm=None, task="t",
            loss="l", threshold=0.9, stop_rule="s",
        )  # fmt: skip


@pytest.mark.parametrize("bad", [0.0, 1e200, np.inf, np.nan, -1.0])
@pytest.mark.parametrize("name", ["train_loss", "test_loss"])
def test_losses_without_a_logarithm_are_told_by_cell(name: str, bad: float) -> None:
    values = np.stack([LOSS_2D, LOSS_2D])
    values[1, 2, 3] = bad
    if (name, bad) == ("test_loss", 0.0):  # it has a threshold, and no logarithm
        Landscape.from_arrays(alpha=ALPHA, m=M, w0=9.0, train_loss=LOSS_2D, test_loss=values)
        return
    told = rf"{name} is .* at seed 1, m 0.2, alpha 2.5; expected a finite loss"
    with pytest.raises(InputError, match=told):
        Landscape.from_arrays(**{"alpha": ALPHA, "m": M, "w0": 9.0, "train_loss": LOSS_2D, name: values})


def test_w0_is_asked_for_where_it_is_needed() -> None:
    land = Landscape.from_arrays(
        alpha=ALPHA, m=M, train_loss=LOSS_2D, test_accuracy=np.linspace(1, 0.9, 5) * np.ones((4, 1))
    )
    assert np.isnan(land["w0"].values).all()
    assert surface_of(land, 0).domain.u_high == pytest.approx(np.log(3))  # in units of w0
    with pytest.raises(InputError, match=r"w0: user was made without it; Eq. 6 needs the norm"):
        predict(land, gamma=0.1, eta_d=1e-3, alpha=2.5, m=0.2)


def test_a_landscape_without_w0_is_stored_as_such(tmp_path: Path) -> None:
    Landscape.from_arrays(alpha=ALPHA, train_loss=LOSS_1D).save(tmp_path / "l.nc")
    assert np.isnan(open_landscape(tmp_path / "l.nc")["w0"].values).all()


def test_settings_keep_their_mask() -> None:
    land = small()
    with pytest.raises(InputError, match="gamma = nan"):
        what_if(land, gamma=np.ma.masked_equal([0.1, 0.2], 0.2), eta_d=1e-3, alpha=2.5, m=0.2)


def test_round_trip(tmp_path: Path) -> None:
    land, path = small(), tmp_path / "small.nc"
    assert land.save(path) == path
    back = open_landscape(path)
    xr.testing.assert_identical(back.dataset, land.dataset)
    assert back.source == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["small.nc"]


def test_a_second_round_trip_changes_nothing(tmp_path: Path) -> None:
    small().save(tmp_path / "a.nc")
    first = open_landscape(tmp_path / "a.nc")
    first.save(tmp_path / "b.nc")
    xr.testing.assert_identical(open_landscape(tmp_path / "b.nc").dataset, first.dataset)


def test_opens_in_plain_xarray(tmp_path: Path) -> None:
    path = small().save(tmp_path / "small.nc")
    with xr.open_dataset(path) as opened:
        assert opened.attrs["schema"] == SCHEMA
        assert opened["train_loss"].dims == DIMS
        assert opened["w0"].attrs["units"]
        np.testing.assert_array_equal(opened["train_loss"].values[1, 0, 0], 2 * LOSS_2D)


def test_shipped_names_open() -> None:
    assert "teacher-student" in shipped()
    for name in shipped():
        land = open_landscape(name)
        assert land.source == name
        assert land.dataset.attrs["schema"] == SCHEMA
        assert land.seeds


def test_an_unknown_name_tells_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"subtraction.*teacher-student"):
        open_landscape("subtraction")


def test_one_picks() -> None:
    shape = (2, 2, 2, 1, 5)
    loss = np.arange(1.0, 41.0).reshape(shape)
    land = Landscape.assemble(
        coords={"seed": [3, 5], "n_train": [10, 20], "budget": [100, 200], "m": None, "alpha": ALPHA},
        w0=np.array([1.0, 2.0]),
        delta_norm=None,
        task="picked",
        loss="mse",
        threshold=0.9,
        stop_rule="none",
        converged=np.ones(shape, bool),
        train_loss=loss,
        test_loss=loss,
        train_accuracy=0 * loss,
        test_accuracy=0 * loss,
    )
    for (i, seed), (j, n), (k, budget) in itertools.product(
        enumerate((3, 5)), enumerate((10, 20)), enumerate((100, 200))
    ):
        one = land.one(seed, n, budget)
        assert one["train_loss"].dims == ("m", "alpha")
        np.testing.assert_array_equal(one["train_loss"].values, loss[i, j, k])
        assert float(one["w0"]) == i + 1
    # the largest training set and budget, unless told
    np.testing.assert_array_equal(land.one(3)["train_loss"].values, loss[0, 1, 1])
    with pytest.raises(InputError, match=r"seed = 4.*3, 5"):
        land.one(4)
    with pytest.raises(InputError, match=r"n_train = 15.*10, 20"):
        land.one(3, 15)
    with pytest.raises(InputError, match=r"budget = 1.*100, 200"):
        land.one(3, 10, 1)


def _fails_midway(error: BaseException) -> Any:
    def write_bytes(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise error

    return write_bytes


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(28, "No space left on device"), id="disk full"),
        pytest.param(RuntimeError("h5py"), id="h5py"),
        pytest.param(KeyboardInterrupt(), id="stopped"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_never_half_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, overwrite: bool
) -> None:
    path, land = tmp_path / "small.nc", small()
    if overwrite:
        land.save(path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr(Path, "write_bytes", _fails_midway(error))
    expected = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        land.save(path, overwrite=overwrite)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_full_disk_is_told_by_the_files_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", _fails_midway(OSError(28, "No space left on device")))
    with pytest.raises(InputError, match=r"small\.nc.*No space left"):
        small().save(tmp_path / "small.nc")


def test_an_existing_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "notes.nc"
    path.write_bytes(b"something of the user's")
    with pytest.raises(InputError, match=r"notes\.nc: exists already"):
        small().save(path)
    assert path.read_bytes() == b"something of the user's"
    small().save(path, overwrite=True)
    assert open_landscape(path).seeds == [0, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["notes.nc"]
