"""`sample`: the file it writes, going on after a stop, and what it refuses before any training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from spheres_small import ACCURACIES, ALPHA, GRID, LOSSES, QUIET, Counted, M, small_task, squared
from torch import Tensor

from groktime.fullnet.machine import Machine
from groktime.fullnet.procedures.sphere import Cell, minimize
from groktime.fullnet.sampler import sample
from groktime.fullnet.seeding import global_seed
from groktime.fullnet.task import Adam
from groktime.fullnet.tasks import addition
from groktime.reduced.errors import InputError
from groktime.reduced.landscape import open_landscape
from groktime.reduced.landscape_schema import DIMS, SCHEMA


def test_the_file_has_the_schema_and_every_cell_is_that_of_minimize(tmp_path: Path) -> None:
    out = tmp_path / "small.nc"
    task = small_task()
    land = sample(task, **GRID, out=out)
    assert not list(tmp_path.glob("*.parts"))
    with xr.open_dataset(out, engine="h5netcdf") as opened:
        file = opened.load()
    xr.testing.assert_identical(file, land.dataset)
    xr.testing.assert_identical(file, open_landscape(out).dataset)
    assert file.attrs["schema"] == SCHEMA
    assert (file.attrs["task"], file.attrs["loss"]) == ("small", "mse")
    assert file.attrs["accuracy_threshold"] == 0.9
    for name in (*LOSSES, *ACCURACIES, "converged"):
        assert file[name].dims == DIMS
        assert file[name].shape == (2, 2, 2, 4, 5)
    for name, axis in (("seed", [1, 4]), ("n_train", [10, 20]), ("budget", [4, 12])):
        assert file[name].values.tolist() == axis
    np.testing.assert_array_equal(file["alpha"], ALPHA)
    np.testing.assert_array_equal(file["m"], M)
    for s, n, j, i in ((0, 0, 0, 0), (1, 0, 2, 3), (0, 1, 3, 4), (1, 1, 1, 1)):
        seed, n_train = [1, 4][s], [10, 20][n]
        alone = minimize(task, [Cell(seed, n_train, M[j], ALPHA[i])], [4, 12])
        for name in (*LOSSES, *ACCURACIES, "converged"):
            np.testing.assert_allclose(
                file[name].values[s, n, :, j, i], getattr(alone, name)[:, 0], rtol=1e-4, err_msg=name
            )


def test_norms_are_those_of_the_initial_weights_and_of_the_representations(tmp_path: Path) -> None:
    task = small_task()
    file = sample(task, **GRID, out=tmp_path / "a.nc").dataset
    for k, seed in enumerate((1, 4)):
        with global_seed(seed, "weights"):
            tensors = [p.detach() for p in task.network().parameters()]
        norm = sum(float(p.square().sum()) for p in tensors) ** 0.5
        assert float(file["w0"][k]) == pytest.approx(norm, rel=1e-6)
        assert float(file["delta_norm"][k]) == task.problem(seed, 10).delta_norm


def test_the_configuration_in_the_file_is_the_whole_of_it(tmp_path: Path) -> None:
    task = replace(small_task(), stop_loss=1e-7)
    land = sample(task, **GRID, gradient="full", out=tmp_path / "a.nc")
    held = json.loads(land.dataset.attrs["configuration"])
    optimizer = {"name": "Adam", "rate": 1e-2, "betas": [0.9, 0.999], "factor": 1.0, "every": 0}
    assert held == {
        "task": "small",
        "settings": {"hidden": 8},
        "optimizer": optimizer,
        "gradient": "full",
        "stop_loss": 1e-7,
        "alpha": ALPHA,
        "m": M,
        "seeds": [1, 4],
        "n_train": [10, 20],
        "budgets": [4, 12],
        "refine": 0,
        "dtype": "float32",
        "compiled": False,
    }


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, whole, halved = small_task(), tmp_path / "whole.nc", tmp_path / "halved.nc"
    uninterrupted = Counted(monkeypatch)
    sample(task, **GRID, out=whole)
    assert len(uninterrupted.pieces) == 6

    first = Counted(monkeypatch, fail_at=3)
    with pytest.raises(KeyboardInterrupt):
        sample(task, **GRID, out=halved)
    assert len(first.pieces) == 3
    assert not halved.exists()
    assert (tmp_path / "halved.nc.parts").is_dir()

    second = Counted(monkeypatch)
    sample(task, **GRID, out=halved)
    assert second.pieces == uninterrupted.pieces[2:]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["halved.nc", "whole.nc"]
    xr.testing.assert_identical(open_landscape(halved).dataset, open_landscape(whole).dataset)


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": [0.5, 1.0, 2.0, 3.0, 6.0]},
        {"m": [0.0, 0.25, 0.5, 0.9]},
        {"seeds": [1, 5]},
        {"n_train": [9, 20]},
        {"budgets": [4, 13]},
        {"gradient": "full"},
        {"start": "above"},
        {"refine": 1},
        {"task": replace(small_task(), settings={"hidden": 9})},
        {"task": replace(small_task(), stop_loss=1e-3)},
        {"task": replace(small_task(), optimizer=Adam(2e-2))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_stopped_run_is_not_mixed_with_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Mapping[str, Any]
) -> None:
    out = tmp_path / "small.nc"
    Counted(monkeypatch, fail_at=2)
    with pytest.raises(KeyboardInterrupt):
        sample(small_task(), **GRID, out=out)
    other = Counted(monkeypatch)
    with pytest.raises(InputError, match=r"small\.nc\.parts: holds an unfinished run with other settings"):
        sample(**{"task": small_task(), **GRID, "out": out, **change})
    assert other.pieces == []
    sample(small_task(), **GRID, out=out)  # and the old run can still be finished
    assert len(other.pieces) == 5


def test_an_existing_output_is_refused_before_training_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "small.nc"
    out.write_bytes(b"somebody's work")
    counted = Counted(monkeypatch)
    with pytest.raises(InputError, match=r"small\.nc: exists already"):
        sample(small_task(), **GRID, out=out)
    assert counted.pieces == []
    assert out.read_bytes() == b"somebody's work"
    assert list(tmp_path.iterdir()) == [out]
    sample(small_task(), **GRID, out=out, overwrite=True)
    assert open_landscape(out).seeds == [1, 4]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"alpha": [0.5, 2.0, 1.0, 3.0, 5.0]}, "alpha"),
        ({"alpha": [0.5, 1.0, 1.0, 3.0, 5.0]}, "alpha"),
        ({"alpha": [0.0, 1.0, 2.0, 3.0, 5.0]}, "alpha"),
        ({"alpha": [-1.0, 1.0, 2.0, 3.0, 5.0]}, "alpha"),
        ({"alpha": [0.5, 1.0, 2.0, float("nan")]}, "alpha"),
        ({"alpha": []}, "alpha"),
        ({"m": [0.0, 0.5, 0.25, 1.0]}, "m"),
        ({"m": [0.0, 0.25, 0.5, 1.5]}, "m"),
        ({"m": [-0.1, 0.25, 0.5, 1.0]}, "m"),
        ({"gradient": "natural"}, "gradient"),
        ({"start": "below"}, "start"),
        ({"start": "above", "refine": 1}, "refine"),
        ({"n_train": [10, 21]}, "n_train"),
        ({"n_train": [0, 20]}, "n_train"),
        ({"seeds": [1, 1]}, "seeds"),
        ({"seeds": [-1, 1]}, "seeds"),
        ({"seeds": []}, "seeds"),
        ({"budgets": [12, 4]}, "budgets"),
        ({"budgets": [0, 4]}, "budgets"),
        ({"refine": -1}, "refine"),
        ({"out": "no/such/folder.nc"}, r".*folder\.nc"),
    ],
)
def test_wrong_arguments_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], names: str
) -> None:
    monkeypatch.chdir(tmp_path)
    counted = Counted(monkeypatch)
    with pytest.raises(InputError, match=rf"^{names}\b"):
        sample(**{"task": small_task(), "out": "small.nc", **GRID, **change})
    assert counted.pieces == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"n_train": [20, 10]},
        {"n_train": [20, 20]},
        {"seeds": [4, 1]},
        {"alpha": [0.5, 1.0, 2.0]},
        {"m": [0.0, 0.5]},
    ],
    ids=str,
)
def test_axes_that_no_landscape_can_have_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    counted = Counted(monkeypatch)
    with pytest.raises(InputError):
        sample(**{"task": small_task(), "out": tmp_path / "a.nc", **GRID, **change})
    assert counted.pieces == []


@pytest.mark.parametrize("change", [{"n_train": np.array([10, 20])}, {"budgets": np.array([4, 12])}], ids=str)
def test_axes_may_be_arrays(tmp_path: Path, change: dict[str, Any]) -> None:
    land = sample(**{"task": small_task(), "out": tmp_path / "a.nc", **GRID, **change})
    assert (land.n_train, land.budgets) == ([10, 20], [4, 12])


def test_one_dimension_and_default_budgets(tmp_path: Path) -> None:
    task = replace(small_task(), messiness=False)
    land = sample(task, alpha=ALPHA, seeds=[0], out=tmp_path / "a.nc", machine=QUIET, check=False)
    assert land.budgets == [4, 8, 12]
    assert land.n_train == [20]
    assert not land.two_dimensional
    assert "delta_norm" not in land.dataset
    shorter = sample(task, alpha=ALPHA, seeds=[0], steps=6, out=tmp_path / "b.nc", machine=QUIET, check=False)
    assert shorter.budgets == [2, 4, 6]
    np.testing.assert_array_equal(shorter.dataset["train_loss"][:, :, 1], land.dataset["train_loss"][:, :, 0])


def test_without_test_samples_the_test_metrics_are_nan(tmp_path: Path) -> None:
    land = sample(
        addition(p=4, n_train=10), alpha=ALPHA, seeds=[0], steps=3, out=tmp_path / "a.nc", machine=QUIET
    )
    assert np.isnan(land.dataset["test_loss"]).all()
    assert np.isnan(land.dataset["test_accuracy"]).all()
    assert np.isfinite(land.dataset["train_loss"]).all()


def test_the_result_does_not_depend_on_how_many_cells_are_trained_at_once(tmp_path: Path) -> None:
    def with_pieces_of(cells: int) -> xr.Dataset:
        out = tmp_path / f"{cells}.nc"
        return sample(
            small_task(), **{**GRID, "machine": Machine(members=cells, workers=1, progress=False)}, out=out
        ).dataset

    xr.testing.assert_allclose(with_pieces_of(7), with_pieces_of(1000), rtol=1e-4)


class TestFromAbove:
    """start = "above": each sphere from the solution on the next larger one."""

    def test_the_largest_sphere_starts_afresh(self, tmp_path: Path) -> None:
        fresh, above = (
            sample(small_task(), **GRID, start=start, out=tmp_path / f"{start}.nc").dataset
            for start in ("fresh", "above")
        )
        for name in (*LOSSES, *ACCURACIES):
            np.testing.assert_allclose(above[name][..., -1], fresh[name][..., -1], rtol=1e-5)
            assert not np.allclose(above[name][..., 0], fresh[name][..., 0])

    def test_is_adam_on_one_sphere_after_the_other(self, tmp_path: Path) -> None:
        task, alpha = replace(small_task(), messiness=False), [0.5, 1.0, 2.0, 3.0]
        land = sample(
            task,
            alpha=alpha,
            seeds=[2],
            steps=7,
            budgets=[7],
            start="above",
            out=tmp_path / "a.nc",
            check=False,
        )
        data = task.problem(2, task.n_train).train
        with global_seed(2, "weights"):
            net = task.network()
        with torch.no_grad():
            for p in net.parameters():
                p *= alpha[-1]
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)

        def rescale(to: Tensor) -> None:
            now = torch.cat([p.flatten() for p in net.parameters()]).norm()
            with torch.no_grad():
                for p in net.parameters():
                    p *= to / now

        w0 = torch.cat([p.detach().flatten() for p in net.parameters()]).norm() / alpha[-1]
        for a in reversed(alpha):
            rescale(w0 * a)
            for _ in range(7):
                optimizer.zero_grad()
                squared(net(data.inputs), data.targets).mean().backward()
                grads = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
                flat = torch.cat([p.detach().flatten() for p in net.parameters()])
                radial = (grads @ flat) / (w0 * a) ** 2
                for p in net.parameters():
                    assert p.grad is not None
                    p.grad -= radial * p.detach()
                optimizer.step()
                rescale(w0 * a)
            loss = squared(net(data.inputs), data.targets).mean().item()
            found = float(land.dataset["train_loss"].sel(alpha=a).squeeze())
            assert found == pytest.approx(loss, rel=1e-3), a

    def test_a_column_is_the_same_whoever_is_beside_it(self, tmp_path: Path) -> None:
        one, all_ = (
            sample(
                small_task(),
                **{**GRID, "machine": replace(GRID["machine"], members=n)},
                start="above",
                out=tmp_path / f"{n}.nc",
            ).dataset
            for n in (1, 100)
        )
        for name in (*LOSSES, *ACCURACIES):
            np.testing.assert_allclose(one[name], all_[name], rtol=1e-4)

    def test_says_so_in_the_file(self, tmp_path: Path) -> None:
        land = sample(small_task(), **GRID, start="above", out=tmp_path / "a.nc")
        assert json.loads(land.dataset.attrs["configuration"])["start"] == "above"
