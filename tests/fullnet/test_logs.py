"""Logs of every kind that people export, each read by one call into the same runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from logged import EARLY, LATE, NORM, STEP, TIMES, TRAIN, one, two

import groktime as gt
from groktime.fullnet.logs.names import columns_of, rank_of
from groktime.fullnet.runs import Runs


def times(runs: Runs) -> tuple[list[float], list[float]]:
    delays = gt.measure(runs)
    return delays["t_mem"].values.tolist(), delays["t_grok"].values.tolist()


def _long(folder: Path) -> Path:
    two().to_csv(folder / "log.csv", index=False)
    return folder / "log.csv"


def _packed(folder: Path) -> Path:
    two(test_accuracy="val/acc", train_accuracy="train/acc", step="_step").to_csv(
        folder / "log.tsv.gz", sep="\t"
    )
    return folder / "log.tsv.gz"


def _wandb(folder: Path) -> Path:
    """A chart of Weights & Biases: a column a run, each with its band, and empty where a run has no step."""
    columns = {"Step": STEP}
    for name, test in (("late-run-3", LATE), ("early - wd1", EARLY)):
        for metric, values in (("train_acc", TRAIN), ("test_acc", test), ("weight_norm", NORM)):
            columns |= {f"{name} - {metric}{band}": values for band in ("", "__MIN", "__MAX")}
        columns[f"{name} - _step"] = STEP
    pd.DataFrame(columns).to_csv(folder / "wandb_export.csv", index=False)
    return folder / "wandb_export.csv"


def _history(folder: Path) -> Path:
    """Its history: records in which training and test come at steps of their own."""
    lines = []
    for row in two().to_dict("records"):
        shared = {"_step": row["step"], "_runtime": 1.5, "run": row["run"]}
        lines.append(shared | {"train": {"acc": row["train_accuracy"], "loss": row["train_loss"]}})
        lines.append(shared | {"val": {"acc": row["test_accuracy"], "loss": None}})
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "history.jsonl"


def _numbered(folder: Path) -> Path:
    wide = pd.DataFrame({"epoch_": STEP, "iter": STEP})
    for k, test in enumerate((LATE, EARLY)):
        wide[f"train_acc_seed{k}"], wide[f"test_acc_seed{k}"] = TRAIN, test
    wide.to_csv(folder / "wide.csv", index=False)
    return folder / "wide.csv"


def _npz(folder: Path) -> Path:
    arrays = {"train_acc": np.stack([TRAIN, TRAIN]).T, "test_acc": np.stack([LATE, EARLY])}
    config = np.array([{"an": "object that nothing asks for"}], object)
    np.savez(folder / "runs.npz", steps=STEP, lam=np.float32(0.3), lr=[1e-3, 1e-3], config=config, **arrays)
    return folder / "runs.npz"


KINDS: list[Callable[[Path], Path]] = [_long, _packed, _wandb, _history, _numbered, _npz]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_times(kind: Callable[[Path], Path], tmp_path: Path) -> None:
    path = kind(tmp_path)
    assert times(gt.import_runs(path)) == TIMES
    assert times(gt.import_runs(str(path))) == TIMES


def test_a_frame_and_a_file_are_the_same_runs(tmp_path: Path) -> None:
    given = Runs.from_csv(_long(tmp_path), gamma=0.1)
    frame = Runs.from_dataframe(two(), gamma=0.1)
    for name in given.arrays.variables:
        np.testing.assert_array_equal(given[name].values, frame[name].values)
    assert given["name"].values.tolist() == ["late", "early"]
    assert times(frame) == TIMES
    np.testing.assert_allclose(given["weight_norm"].values, [NORM, NORM])


def test_what_is_imported_is_saved_and_opened(tmp_path: Path) -> None:
    runs = gt.import_runs(two())
    back = gt.open_runs(runs.save(tmp_path / "runs.nc"))
    assert back.imported and back.log == runs.log
    assert times(back) == TIMES
    np.testing.assert_array_equal(back["name"].values, ["late", "early"])
    assert back.columns()["test_accuracy"] == [1.0, 1.0]


def test_lightning_writes_train_and_test_in_rows_of_their_own(tmp_path: Path) -> None:
    train = one()[["step", "train_accuracy", "train_loss"]].rename(
        columns={"train_accuracy": "train_acc_epoch", "train_loss": "train_loss_step"}
    )
    train["train_acc_step"] = 0.5  # of a batch
    test = one()[["step", "test_accuracy"]].rename(columns={"test_accuracy": "val_acc"})
    rows = pd.concat([train, test]).sort_values("step", kind="stable").assign(epoch=3)
    (tmp_path / "version_0").mkdir()
    rows.to_csv(tmp_path / "version_0" / "metrics.csv", index=False)
    runs = gt.import_runs(tmp_path / "version_0" / "metrics.csv")
    assert times(runs) == ([20.0], [160.0])
    assert runs["name"].values.tolist() == ["version_0"]  # which tells more than "metrics"


def test_hugging_face_keeps_a_list_of_records(tmp_path: Path) -> None:
    records = [{"step": int(s), "loss": 0.5, "learning_rate": 1e-3 / (1 + s), "epoch": 0.5} for s in STEP]
    records += [
        {"step": int(s), "eval_accuracy": a, "eval_loss": 1.0} for s, a in zip(STEP, LATE, strict=True)
    ]
    records.append({"step": 640, "train_loss": 9.0, "train_runtime": 3.0})  # a mean over the whole training
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": records, "epoch": 1.0}))
    runs = gt.import_runs(tmp_path / "trainer_state.json")
    delays = gt.measure(runs)
    assert delays["t_grok"].values.tolist() == [160.0]
    assert np.isnan(delays["t_mem"].values).all()  # there is no accuracy of the training set
    assert "train_accuracy was not recorded" in delays.attrs["remarks"]
    assert np.nanmax(runs["train_loss"].values) == 0.5
    assert np.isnan(runs["eta_d"].values).all() and "eta_d changes" in " ".join(runs.remarks)


def test_a_tag_of_tensorboard_is_a_file(tmp_path: Path) -> None:
    files = []
    for run, test in (("late", LATE), ("early", EARLY)):
        for tag, values in (("train_acc", TRAIN), ("val_acc", test)):
            table = pd.DataFrame({"Wall time": STEP / 7, "Step": STEP, "Value": values})
            files.append(tmp_path / f"run-{run}-tag-{tag}.csv")
            table.to_csv(files[-1], index=False)
    assert times(gt.import_runs(files)) == TIMES


def test_event_files_are_read_by_tensorboard(tmp_path: Path) -> None:
    board = pytest.importorskip("tensorboard.summary.writer.event_file_writer", reason="is an extra")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    for run, test in (("late", LATE), ("early", EARLY)):
        writer = board.EventFileWriter(str(tmp_path / run))
        for tag, values in (("train/acc", TRAIN), ("val/acc", test)):
            for step, value in zip(STEP, values, strict=True):
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                writer.add_event(Event(step=int(step), wall_time=1.0, summary=summary))
        writer.close()
    runs = gt.import_runs(tmp_path)
    assert sorted(runs["name"].values.tolist()) == ["early", "late"]
    assert sorted(gt.measure(runs)["t_grok"].values.tolist()) == [40.0, 160.0]


def test_runs_keep_steps_of_their_own() -> None:
    late, early = one(LATE, run="late"), one(EARLY, run="early")
    early["step"] = early["step"] + 3
    runs = gt.import_runs(pd.concat([late, early]))
    assert times(runs) == ([20.0, 23.0], [160.0, 43.0])
    np.testing.assert_array_equal(runs["steps_done"].values, [640, 643])


def test_settings_come_from_columns_or_from_the_user() -> None:
    runs = gt.import_runs(
        two(weight_norm="w_norm").assign(weight_decay=0.3, lr=1e-3), alpha=[1.0, 2.0], n_train=50
    )
    assert runs["gamma"].values.tolist() == [0.3, 0.3]
    assert runs["eta_d"].values.tolist() == [1e-3, 1e-3]
    assert runs["n_train"].values.tolist() == [50, 50]
    np.testing.assert_array_equal(runs["w0"].values, NORM[0] / np.array([1.0, 2.0]))


def test_runs_are_told_apart_by_seed_and_settings() -> None:
    frame = pd.concat([one(LATE, wd=0.1, seed=3, lr=0.01), one(EARLY, wd=1.0, seed=3, lr=0.01)])
    runs = gt.import_runs(frame)
    assert runs["name"].values.tolist() == ["gamma 0.1", "gamma 1"]
    assert runs["gamma"].values.tolist() == [0.1, 1.0] and runs["seed"].values.tolist() == [3, 3]


def test_two_logs_of_runs_of_one_name_are_two_runs(tmp_path: Path) -> None:
    for name, test in (("a", LATE), ("b", EARLY)):
        one(test, run=0).to_csv(tmp_path / f"{name}.csv", index=False)
    runs = gt.import_runs([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert runs["name"].values.tolist() == ["0", "b 0"]
    assert times(runs) == TIMES


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("train_acc", "train_accuracy"), ("train/accuracy", "train_accuracy"),
        ("acc_train", "train_accuracy"), ("accuracy", "train_accuracy"), ("val_acc", "test_accuracy"),
        ("eval/acc", "test_accuracy"), ("metrics/test_accuracy_epoch", "test_accuracy"),
        ("testAcc", "test_accuracy"), ("loss", "train_loss"), ("Test Loss", "test_loss"),
        ("eval_loss", "test_loss"), ("w_norm", "weight_norm"), ("Norm", "weight_norm"),
        ("trainer/global_step", "step"), ("_step", "step"), ("Step", "step"), ("iteration", "step"),
        ("Name", "run"), ("wd", "gamma"), ("weight_decay", "gamma"), ("lambda", "gamma"), ("lr", "eta_d"),
    ],
)  # fmt: skip
def test_names_are_known_by_their_words(name: str, quantity: str) -> None:
    assert columns_of([name, "other"], {}, "log") == {quantity: name}


@pytest.mark.parametrize("name", ["grad_norm", "train_time", "test", "alpha", "eff_rank_E", "learning", "m"])
def test_other_names_are_left_alone(name: str) -> None:
    assert columns_of([name], {}, "log") == {}


def test_the_average_of_an_epoch_is_before_that_of_a_batch() -> None:
    assert rank_of("train_acc", "train_accuracy") < rank_of("train_acc_epoch", "train_accuracy")
    assert rank_of("train_acc_epoch", "train_accuracy") < rank_of("train_acc_step", "train_accuracy")
