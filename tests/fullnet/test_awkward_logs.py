"""Logs as they come: each is read right, or told in one sentence that names it."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from logged import EARLY, LATE, STEP, TIMES, TRAIN, one, two

import groktime as gt
from groktime.reduced.errors import InputError

Change = Callable[[pd.DataFrame], pd.DataFrame]


def _scrambled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sample(frac=1, random_state=0)


def _percent(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        train_accuracy=100 * frame["train_accuracy"], test_accuracy=100 * frame["test_accuracy"]
    )


def _signs(frame: pd.DataFrame) -> pd.DataFrame:
    return _percent(frame).assign(test_accuracy=lambda f: f["test_accuracy"].map("{:.1f}%".format))


def _without_start(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["step"] > 0]


def _resumed(frame: pd.DataFrame) -> pd.DataFrame:
    """A run that was started again at 80 wrote its step 80 twice; the second counts."""
    again = frame[(frame["run"] == "late") & (frame["step"] == 80)].assign(test_accuracy=0.31)
    return pd.concat([frame, again, frame[(frame["run"] == "early") & (frame["step"] == 80)]])


def _gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """The training set was evaluated at every other step; the words for nothing are as people write them."""
    kept = frame.astype({"train_accuracy": object, "train_loss": object})
    kept.loc[kept["step"] == 40, ["train_accuracy", "train_loss"]] = "None"
    kept.loc[kept["step"] == 80, ["train_accuracy", "train_loss"]] = "nan"
    return kept


def _bare(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["run", "step", "train_accuracy", "test_accuracy"]]


def _summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Below the rows stands one of the best values, without a step."""
    return pd.concat([frame, pd.DataFrame({"test_accuracy": [1.0], "run": ["late"]})])


RIGHT: list[Change] = [_scrambled, _percent, _signs, _without_start, _resumed, _gaps, _bare, _summary]


@pytest.mark.parametrize("change", RIGHT)
@pytest.mark.parametrize("file", [True, False])
def test_awkward_and_right(change: Change, file: bool, tmp_path: Path) -> None:
    log: Any = change(two())
    if file:
        log.to_csv(tmp_path / "log.csv", index=False)
        log = tmp_path / "log.csv"
    delays = gt.measure(gt.import_runs(log))
    found = {
        str(n): (m, g)
        for n, m, g in zip(*(delays[k].values for k in ("name", "t_mem", "t_grok")), strict=True)
    }
    assert found == {"late": (20.0, 160.0), "early": (20.0, 40.0)}


def test_what_was_done_to_a_log_is_told() -> None:
    assert gt.import_runs(_resumed(two())).remarks == ["1 evaluations were there twice: the later ones count"]
    assert gt.import_runs(_percent(two())).remarks == ["accuracies were in percent"]
    assert "1 rows without a step" in gt.import_runs(_summary(two())).remarks[0]
    resumed = gt.import_runs(_resumed(two()))
    assert resumed["test_accuracy"].values[0, STEP == 80] == 0.31


def test_a_percent_that_never_exceeds_one() -> None:
    """Of 113 classes, chance is 0.9 %: the unit is that of the training accuracy."""
    frame = one().assign(train_accuracy=100 * TRAIN, test_accuracy=0.9)
    runs = gt.import_runs(frame)
    assert runs["test_accuracy"].values.max() == pytest.approx(0.009)
    assert np.isnan(gt.measure(runs)["t_grok"].values).all()
    assert (
        gt.import_runs(one().assign(test_accuracy=0.9), accuracy="share")["test_accuracy"].values.max() == 0.9
    )


def test_without_losses_or_norm_what_needs_them_is_refused_and_the_rest_goes(tmp_path: Path) -> None:
    runs = gt.import_runs(_bare(two()))
    assert np.isnan(gt.measure(runs)["norm_at_grok"].values).all()
    with pytest.raises(InputError, match="test_loss was not measured"):
        gt.measure(runs, metric="loss", threshold=0.1)
    with pytest.raises(InputError, match="does not tell gamma, eta_d, alpha, n_train, optimizer"):
        gt.compare("teacher-student", runs)


def test_a_run_that_diverged_is_a_result() -> None:
    frame = one().assign(train_loss=[2, 1, 1, 1, 9, 1e9, np.inf, np.inf], test_accuracy=0.1)
    runs = gt.import_runs(frame)
    assert runs["diverged"].values.tolist() == [True]
    assert gt.measure(runs)["test_censored"].values.tolist() == [True]


def test_numbers_with_a_comma(tmp_path: Path) -> None:
    two().to_csv(tmp_path / "log.csv", index=False, sep=";", decimal=",")
    delays = gt.measure(tmp_path / "log.csv")
    assert (delays["t_mem"].values.tolist(), delays["t_grok"].values.tolist()) == TIMES


def test_a_byte_order_mark_and_a_name_behind_a_hash(tmp_path: Path) -> None:
    text = one().to_csv(index=False)
    (tmp_path / "log.csv").write_text("\ufeff# " + text, encoding="utf-8")
    assert gt.measure(tmp_path / "log.csv")["t_grok"].values.tolist() == [160.0]


def test_a_last_line_that_was_cut_off(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in one().to_dict("records")]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"step": 700, "test_acc')
    assert gt.measure(tmp_path / "log.jsonl")["last"].values.tolist() == [640]


def _text(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "log.csv").write_text(text)
        return folder / "log.csv"

    return write


def _csv(frame: pd.DataFrame) -> Callable[[Path], Path]:
    return _text(frame.to_csv(index=False))


def _named(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _objects(folder: Path) -> Path:
    np.savez(folder / "log.npz", steps=STEP, test_acc=np.array([{"a": 1}] * len(STEP), object))
    return folder / "log.npz"


def _lengths(folder: Path) -> Path:
    np.savez(folder / "log.npz", steps=STEP, test_acc=LATE[:-1])
    return folder / "log.npz"


_HALF = gzip.compress(one().to_csv(index=False).encode())[:-20]
REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (_text(""), "is empty"),
    "names alone": (_text("step,test_acc\n"), "holds no rows"),
    "no step": (_csv(one().drop(columns="step")), "no column looks like the step"),
    "no test": (_csv(one()[["step", "train_loss"]]), "no column looks like a test accuracy"),
    "words": (_csv(one().assign(test_accuracy="good")), "test_accuracy is 'good' in row 1"),
    "half steps": (_csv(one(step=STEP + 0.5)), "expected whole numbers"),
    "negative steps": (_csv(one(step=STEP - 5)), "expected whole numbers from 0"),
    "two of a kind": (_csv(one(val_acc=LATE)), "'test_accuracy' and 'val_acc' both look like test_accuracy"),
    "runs in a row": (_csv(pd.concat([one(LATE), one(EARLY)])), "it seems to be several runs"),
    "beyond percent": (_csv(one(200 * LATE).assign(train_accuracy=100)), "test_accuracy goes up to 200"),
    "two units": (_csv(one(100 * LATE)), "expected both in percent or both as shares"),
    "a negative loss": (_csv(one().assign(test_loss=-1.0)), "test_loss is -1 in run 0"),
    "objects": (_objects, "holds Python objects"),
    "lengths": (_lengths, "test_acc has shape (7,)"),
    "no zip": (_named("log.npz", b"PK no"), "cannot be read"),
    "half a gzip": (_named("log.csv.gz", _HALF), "cannot be read as a table"),
    "latin": (_named("log.csv", "step,é\n1,2\n".encode("latin-1")), "expected CSV in UTF-8"),
    "ragged": (_text("step,test_acc\n1,2\n1,2,3,4\n"), "cannot be read as a table"),
    "no json": (_named("log.jsonl", b'{"step": 1}\nhello\n{"step": 2}\n'), "line 2 is not JSON"),
    "no records": (_named("log.json", b"[1, 2]"), "holds no records"),
    "another kind": (_named("log.pkl", b"x"), "is no log that is known by its name"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_awkward_and_one_sentence(what: str, tmp_path: Path) -> None:
    write, words = REFUSED[what]
    path = write(tmp_path)
    with pytest.raises(InputError) as told:
        frame = gt.import_runs(path)
        pytest.fail(f"was read: {frame}")
    sentence = str(told.value)
    assert sentence.startswith(f"{path}: ") and words in sentence and len(sentence) < 400


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"columns": {"test_accuracy": "valid"}}, "has no column 'valid' for test_accuracy; it has"),
        ({"columns": {"accuracy": "val"}}, "columns = 'accuracy': expected"),
        ({"columns": ["a"]}, "columns: expected names by quantity"),
        ({"gamma": [1, 2, 3]}, "gamma: 3 numbers; expected one, or 2, one a run"),
        ({"gamma": -1}, "gamma = -1"),
        ({"accuracy": "per mille"}, "accuracy = 'per mille'"),
    ],
)
def test_what_is_said_of_a_log_is_checked(how: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words.split("'")[0]):
        gt.import_runs(two(), **how)


def test_event_files_need_tensorboard_and_scalars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _named("events.out.tfevents.1", b"no")(tmp_path)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "tensorboard.backend.event_processing.event_accumulator", None)
        with pytest.raises(InputError, match=r"pip install 'groktime\[tensorboard\]'"):
            gt.import_runs(path)
    pytest.importorskip("tensorboard", reason="is an extra")
    with pytest.raises(InputError, match="holds no scalars"):
        gt.import_runs(path)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    for log, words in ((3, "expected a file"), ([], "or several"), (tmp_path / "no.csv", "no such file")):
        with pytest.raises(InputError, match=words):
            gt.import_runs(log)
    saved = gt.import_runs(two()).save(tmp_path / "runs.nc")
    from groktime.fullnet.runs import runs_of

    with pytest.raises(InputError, match="gamma: expected a log"):
        runs_of(saved, gamma=0.1)
