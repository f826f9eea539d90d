"""The IMDb task on small made files, and on the real one where GROKTIME_DATA has it."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import groktime as gt
from groktime.fullnet.engine.ensemble import Ensemble
from groktime.fullnet.engine.fresh import initial_parameters
from groktime.fullnet.engine.samples import Data
from groktime.fullnet.find import BUILT_IN, find_task
from groktime.fullnet.machine import Machine
from groktime.fullnet.tables import TABLES
from groktime.fullnet.task import Task
from groktime.fullnet.tasks import imdb
from groktime.fullnet.tasks.imdb import _reviews, encoded, vocabulary_of, words_of
from groktime.reduced.errors import InputError

QUIET = Machine(progress=False)

WORDS = ["good", "bad", "film", "the", "it's", "plot", "actor", "dull", "fine", "scene"]


def tiny(n_train: int = 24) -> Task:
    return imdb(n_train=n_train, length=6, hidden=3, embedding=4, n_test=8)


@pytest.fixture
def forgotten() -> Iterator[None]:
    _reviews.cache_clear()
    yield
    _reviews.cache_clear()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None) -> list[str]:
    """A file of 40 reviews, its rows."""
    random = np.random.default_rng(0)
    rows = []
    for k in range(40):
        text = " ".join(random.choice(WORDS, random.integers(2, 12)))
        rows.append(f"{text},{'positive' if k % 2 else 'negative'}\n")
    text = "review,sentiment\n" + "".join(rows)
    (tmp_path / "imdb.csv").write_text(text)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    monkeypatch.setitem(TABLES, "imdb", replace(TABLES["imdb"], sha256=sha256))
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path))
    return rows


@pytest.fixture
def real(forgotten: None) -> None:
    folder = os.environ.get("GROKTIME_DATA")
    if not folder or not (Path(folder) / "imdb").is_dir():
        pytest.skip("GROKTIME_DATA names no folder with imdb/")


def test_the_task_is_made_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROKTIME_DATA", str(tmp_path))
    task = find_task("imdb")
    assert (task.n_train, task.n_total, task.batch, task.clip) == (1000, 37_500, 50, 5.0)
    assert (task.optimizer.rate, task.messiness) == (1e-3, False)
    assert task.settings == {"length": 500, "hidden": 128, "embedding": 64, "n_test": 1000}
    small = imdb(**BUILT_IN["imdb"].presets["small"])
    assert set(small.settings) == set(BUILT_IN["imdb"].settings)
    assert [tiny(n).batch for n in (1, 49, 50)] == [0, 0, 50]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"n_train": 0}, "n_train"),
        ({"n_train": 37_501}, "n_train"),
        ({"n_test": 12_501}, "n_test"),
        ({"length": 0}, "length"),
        ({"hidden": 1.5}, "hidden"),
        ({"embedding": -1}, "embedding"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, int], names: str) -> None:
    with pytest.raises(InputError, match=rf"^{names} = .*expected"):
        imdb(**arguments)


def test_the_network_is_the_papers() -> None:
    """The embedding is nearly all of w² (systems 4), and the logit that of torch's own modules."""
    task = imdb(length=7)
    parameters = initial_parameters(task, 0)
    assert len(parameters) == 1001 * 64 + 4 * 128 * (64 + 128 + 2) + 4 * 128 * (128 + 128 + 2) + 129
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = task.network()
    assert {name.partition(".")[0] + "." for name, _ in network.named_parameters()} == {
        prefix for prefixes in task.parts.values() for prefix in prefixes
    }
    share = network.embedding.weight.detach().square().sum() / parameters.square().sum()
    assert 0.98 < float(share) < 0.995
    theirs = torch.nn.LSTM(64, 128, 2, batch_first=True)
    theirs.load_state_dict(network.lstm.state_dict())
    words = torch.randint(1001, (203, 7), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    with torch.no_grad():
        expected = network.output(theirs(network.embedding(words))[0][:, -1]).squeeze(-1)
        torch.testing.assert_close(network(words), expected, rtol=0, atol=1e-6)


def test_the_loss_and_what_is_right() -> None:
    targets = {"positive": torch.tensor([True, False, True])}
    output = torch.tensor([2.0, -1.0, -1000.0])  # a probability of 0 in float32
    expected = torch.tensor([np.log1p(np.exp(-2)), np.log1p(np.exp(-1)), 1000.0], dtype=torch.float32)
    torch.testing.assert_close(tiny().loss(output, targets), expected)
    assert tiny().right(output, targets).tolist() == [True, True, False]


# --- data -------------------------------------------------------------------------------------


def test_words() -> None:
    text = "The film's 2nd half—it’s GOOD.<br /><br />Bad/dull; naïve 'plot'"
    expected = ["the", "film's", "nd", "half", "it's", "good", "bad", "dull", "naïve", "plot"]
    assert words_of(text) == expected


def test_vocabulary_and_padding() -> None:
    reviews = [["b", "a", "b"], ["c", "b", "a"]]
    assert vocabulary_of(reviews) == {"b": 1, "a": 2, "c": 3}
    many = [[f"w{k}" for k in range(1500)], ["w1400"]]
    vocabulary = vocabulary_of(many)
    assert len(vocabulary) == 1000
    assert (vocabulary["w1400"], vocabulary["w0"], vocabulary["w998"]) == (1, 2, 1000)
    assert encoded(["b", "x", "c"], {"b": 1, "c": 3}, 4).tolist() == [0, 0, 1, 3]
    assert encoded(["b", "x", "c", "b"], {"b": 1, "c": 3}, 2).tolist() == [1, 3]


def test_samples_are_reviews_of_the_file(made: list[str]) -> None:
    problem = tiny().problem(0, 24)
    assert (problem.train.inputs.shape, problem.test.inputs.shape) == ((24, 6), (8, 6))
    labels = [r.endswith("positive\n") for r in made]
    # Of the training reviews alone the vocabulary: the most frequent has number 1.
    counts = Counter(problem.train.inputs[problem.train.inputs > 0].tolist())
    assert set(counts) <= set(range(1, len(WORDS) + 1))
    lengths = {(len(r.split(",")[0].split()), label) for r, label in zip(made, labels, strict=True)}
    for split in (problem.train, problem.test):
        for words, label in zip(split.inputs, split.targets["positive"].tolist(), strict=True):
            count = int((words > 0).sum())
            assert words[: 6 - count].eq(0).all()
            assert any(label == of and (count == n or n > 6 == count) for n, of in lengths)


def test_training_sets_are_nested_and_apart_from_the_test(
    made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[
        "groktime.fullnet.tasks.imdb"
    ]  # the package's attribute of that name is the function
    monkeypatch.setattr(module, "words_of", lambda review: [review])  # a word is a review
    monkeypatch.setattr(module, "vocabulary_of", lambda reviews: every)
    every = {row.split(",")[0]: k for k, row in enumerate(made, 1)}
    assert len(every) == 40
    drawn = {
        (s, n): (p.train.inputs[:, -1].tolist(), p.test.inputs[:, -1].tolist())
        for s in range(3)
        for n in (10, 30)
        for p in [tiny(30).problem(s, n)]
    }
    for s in range(3):
        assert drawn[s, 10][0] == drawn[s, 30][0][:10]
        assert drawn[s, 10][1] == drawn[s, 30][1]
        assert len({*drawn[s, 30][0], *drawn[s, 30][1]}) == 38
    assert drawn[0, 10] != drawn[1, 10]


def test_a_small_file_is_told(made: list[str]) -> None:
    with pytest.raises(InputError, match=r"^n_train = 31: .* has 40 reviews; expected 30 at most"):
        tiny(31).problem(0, 31)
    with pytest.raises(InputError, match=r"^n_test = 11: .* has 40 reviews; expected 10 at most"):
        imdb(n_train=5, n_test=11).problem(0, 5)


def test_empty_reviews_and_other_labels_are_counted(made: list[str], tmp_path: Path) -> None:
    text = "review,sentiment\n" + "".join(made) + '"<br /> 10/10!",positive\nfine,neutral\n'
    (tmp_path / "imdb.csv").write_text(text)
    with pytest.warns(UserWarning, match="it has 40; 2 of 42 rows are left out") as caught:
        tiny().problem(0, 24)
    assert "(1 with a review without a word, 1 with a sentiment other than" in str(caught[0].message)


# --- on the engine ----------------------------------------------------------------------------


def test_nothing_is_found_wrong(made: list[str]) -> None:
    assert gt.check_task(tiny()) == []


def test_members_of_an_ensemble_are_as_one_network_alone(made: list[str]) -> None:
    task = tiny()
    flat = torch.stack([initial_parameters(task, seed).double() for seed in range(3)])
    splits = [task.problem(seed, 24).train for seed in range(3)]
    losses, gradient, _ = Ensemble(task, flat).loss_and_gradient(Data.of(splits).samples())
    network = task.network().double()
    for k, split in enumerate(splits):
        torch.nn.utils.vector_to_parameters(flat[k].detach().clone(), network.parameters())
        alone = task.loss(network(split.inputs), split.targets).mean()
        slope = torch.cat([g.flatten() for g in torch.autograd.grad(alone, list(network.parameters()))])
        torch.testing.assert_close(losses[k], alone.detach(), rtol=0, atol=1e-10)
        torch.testing.assert_close(gradient[k], slope, rtol=0, atol=1e-10)


def test_it_is_trained_and_sampled(made: list[str], tmp_path: Path) -> None:
    runs = gt.train(
        tiny(), gamma=[0.1], alpha=[1, 2], seeds=[0], steps=8, out=tmp_path / "r.nc", machine=QUIET
    )
    loss = runs.dataset["train_loss"].values
    assert np.isfinite(loss).all()
    assert (loss[:, -1] < loss[:, 0]).all()
    land = gt.sample(tiny(), alpha=[1, 2, 3, 4], seeds=[0], steps=4, out=tmp_path / "l.nc", machine=QUIET)
    assert np.isfinite(land.dataset["test_loss"].values).all()


# --- the real file ----------------------------------------------------------------------------


def test_the_real_file(real: None) -> None:
    """Known by its checksum, so that nothing is warned of; its words and labels are as is known of it."""
    problem = imdb(length=100, n_test=200).problem(0, 500)
    train = problem.train
    assert (train.inputs.shape, problem.test.inputs.shape) == ((500, 100), (200, 100))
    assert 0.4 < float(train.targets["positive"].float().mean()) < 0.6
    assert int(train.inputs.max()) == 1000
    counts = torch.bincount(train.inputs.flatten(), minlength=1001)
    assert int(counts[1:].argmax()) == 0  # "the"
    assert 0.05 < float(counts[1]) / float(counts[1:].sum()) < 0.12
