"""Film reviews (IMDb; Omnigrok §4, App. A, Fig. 4): an LSTM tells whether a review is positive."""

from __future__ import annotations

import functools
import re
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groktime.fullnet.networks import WIDEST
from groktime.fullnet.networks.lstm import LSTM
from groktime.fullnet.seeding import generator
from groktime.fullnet.tables import find_table, read_table
from groktime.fullnet.task import Adam, Problem, Split, Targets, Task
from groktime.reduced.arguments import whole_number
from groktime.reduced.errors import InputError

_N_TOTAL = 37_500  # three quarters of the 50,000 reviews: a quarter is held out
_N_HELD = 12_500
_VOCABULARY = 1000
_LAYERS = 2
_BATCH = 50
# How many reviews the network takes at once: what is kept of every step of many stays out of memory.
_AT_ONCE = 100
_READING = threading.Lock()
_MARK = re.compile(r"<br\s*/?>")
# A word is a run of letters, with apostrophes inside; digits and other signs separate words.
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def imdb(
    n_train: int = 1000, length: int = 500, hidden: int = 128, embedding: int = 64, n_test: int = 1000
) -> Task:
    """Embedding of 1000 words, LSTM of 2 layers, logistic output on the last step; batches of 50 (all, if
    fewer), Adam 1e-3, gradients clipped at 5.

    Parameters
    ----------
    n_train : reviews drawn by the seed from three quarters of all; smaller sets are nested in larger ones.
    length : words of a review that are read, the first that are in the vocabulary; shorter ones are padded
        on the left.
    hidden : width of the LSTM (the authors' notebook: 256).
    embedding : width of the embedding.
    n_test : reviews drawn by the seed from the quarter that is held out.

    The vocabulary is the 1000 most frequent words of the training reviews; other words are left out. Words
    are lower-case runs of letters, apostrophes inside included, without `<br />` marks. (The authors' code
    also drops stop words; the paper does not say so.) Loss is the binary cross-entropy; a review is right
    when the logit has the sign of its label. The threshold is 70 % right: from 1000 reviews
    a linear model of the words that occur gets 77 %.

    The norms of the embedding, nearly all of w², and of the rest are recorded apart.

    The file (see `fullnet.tables`) is read at the first problem, not here.
    """
    length, hidden, embedding = (
        whole_number("length", length, 1, WIDEST),
        whole_number("hidden", hidden, 1, WIDEST),
        whole_number("embedding", embedding, 1, WIDEST),
    )
    n_train = whole_number("n_train", n_train, 1, _N_TOTAL, "three quarters of the reviews")
    n_test = whole_number("n_test", n_test, 1, _N_HELD, "the quarter that is held out")

    def problem(seed: int, n_train: int) -> Problem:
        return _problem(find_table("imdb"), seed, n_train, n_test, length)

    return Task(
        name="imdb",
        network=lambda: Reviewer(embedding, hidden),
        problem=problem,
        loss=_cross_entropy,
        right=_of_its_sign,
        loss_name="binary cross-entropy, mean over samples",
        n_train=n_train,
        n_total=_N_TOTAL,
        batch=_BATCH if n_train >= _BATCH else 0,
        optimizer=Adam(1e-3),
        steps=2_000,
        threshold=0.7,
        clip=5.0,
        parts={"embedding": ("embedding.",), "lstm": ("lstm.",), "output": ("output.",)},
        settings={"length": length, "hidden": hidden, "embedding": embedding, "n_test": n_test},
    )


class Reviewer(nn.Module):
    """The logit of words [sample, time], numbers from 0 (no word) to 1000: [sample]."""

    def __init__(self, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1 + _VOCABULARY, embedding)
        self.lstm = LSTM(embedding, hidden, _LAYERS)
        self.output = nn.Linear(hidden, 1)

    def forward(self, words: Tensor) -> Tensor:
        if self.lstm.by_torch:
            last = [self.lstm(self.embedding(some))[:, -1] for some in torch.split(words, _AT_ONCE)]
            alone: Tensor = self.output(torch.cat(last)).squeeze(-1)
            return alone
        # A word's share of the gates is the same wherever it stands: 1001 products instead of one a place.
        table = self.lstm.projected(self.embedding.weight)
        states = [
            self.lstm.scan(nn.functional.embedding(some.transpose(0, 1), table))[-1]
            for some in torch.split(words, _AT_ONCE)
        ]
        logit: Tensor = self.output(torch.cat(states)).squeeze(-1)
        return logit


def _cross_entropy(output: Tensor, targets: Targets) -> Tensor:
    label = targets["positive"].to(output.dtype)
    return nn.functional.binary_cross_entropy_with_logits(output, label, reduction="none")


def _of_its_sign(output: Tensor, targets: Targets) -> Tensor:
    return (output > 0) == targets["positive"]


# --- data -------------------------------------------------------------------------------------


def _review(review: str, sentiment: str) -> tuple[str, bool]:
    if sentiment not in ("positive", "negative"):
        raise ValueError("a sentiment other than positive or negative")
    if not _WORD.search(_MARK.sub(" ", review)):
        raise ValueError("a review without a word")
    return review, sentiment == "positive"


@functools.cache
def _reviews(path: Path) -> list[tuple[str, bool]]:
    """The reviews and whether they are positive."""
    return read_table("imdb", path, _review)


def words_of(review: str) -> list[str]:
    """The words of a review, in order."""
    return _WORD.findall(_MARK.sub(" ", review).lower().replace("’", "'"))


def vocabulary_of(reviews: list[list[str]]) -> dict[str, int]:
    """The numbers, from 1, of the most frequent words; of equally frequent ones, the first to occur."""
    count = Counter(word for words in reviews for word in words)
    return {word: 1 + k for k, (word, _) in enumerate(count.most_common(_VOCABULARY))}


def encoded(words: list[str], vocabulary: dict[str, int], length: int) -> NDArray[np.int32]:
    """The numbers of the first `length` known words [length], after zeros if there are fewer."""
    known = [vocabulary[word] for word in words if word in vocabulary][:length]
    return np.array([0] * (length - len(known)) + known, np.int32)


def _problem(path: Path, seed: int, n_train: int, n_test: int, length: int) -> Problem:
    with _READING:
        reviews = _reviews(path)
    order = torch.randperm(len(reviews), generator=generator(seed, "split")).tolist()
    free = len(reviews) - len(reviews) // 4
    for name, value, most in (("n_train", n_train, free), ("n_test", n_test, len(reviews) - free)):
        if value > most:
            raise InputError(f"{name} = {value}: {path} has {len(reviews)} reviews; expected {most} at most")
    drawn = {"train": order[:n_train], "test": order[free : free + n_test]}
    words = {part: [words_of(reviews[row][0]) for row in rows] for part, rows in drawn.items()}
    vocabulary = vocabulary_of(words["train"])
    train, test = (
        Split(
            torch.from_numpy(np.stack([encoded(w, vocabulary, length) for w in words[part]])),
            {"positive": torch.tensor([reviews[row][1] for row in rows])},
        )
        for part, rows in drawn.items()
    )
    return Problem(train, test)
