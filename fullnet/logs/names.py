"""What the columns of a log are called: the one table of names, and how a name is read.

A name is taken apart into words ("val/acc_epoch": val, acc, epoch). A quantity is known by the set of its
words, fillers aside. Where several columns fit, the one with the fewest fillers counts; equally good ones are
the user's to choose between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import product

from groktime.reduced.errors import InputError

CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")
SETTINGS = ("gamma", "eta_d", "alpha", "n_train", "seed")
QUANTITIES = ("step", "run", *SETTINGS, *CURVES)

_TRAIN = ("train", "training", "trn", "tr")
_TEST = ("test", "val", "valid", "validation", "eval", "evaluation", "heldout", "dev", "tst")
_LOSS = ("loss", "nll", "mse", "xent", "ce")
_ACCURACY = ("acc", "accuracy", "top1", "acc1")
_FILLERS = ("epoch", "metrics", "metric", "mean", "avg", "average", "logs", "pct", "percent", "step", "batch")
# Names as sets of words, those in front before the others where a log has several.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "step": (
        "global step", "trainer global step", "train global step", "step", "steps", "optimizer step",
        "training step", "train step", "iteration", "iterations", "iter", "iters", "itr", "update", "updates",
        "epoch", "epochs",
    ),
    "run": ("run", "run id", "run name", "run idx", "name", "experiment", "trial", "member"),
    "seed": ("seed", "random seed"),
    "gamma": ("weight decay", "wd", "lambda", "lam", "gamma", "weightdecay"),
    "eta_d": ("learning rate", "lr", "eta", "eta d"),
    "alpha": ("init scale", "initialization scale", "alpha init"),  # alpha alone is as often a share of data
    "n_train": ("n train", "train size", "num train", "ntrain", "training samples"),
    "weight_norm": (
        "weight norm", "weights norm", "w norm", "wnorm", "param norm", "params norm", "parameter norm",
        "norm", "l2 norm", "weight l2",
    ),
    "train_loss": ("loss",),
    "train_accuracy": _ACCURACY,
}  # fmt: skip
_PAIRED = {
    "train_loss": (_TRAIN, _LOSS),
    "test_loss": (_TEST, _LOSS),
    "train_accuracy": (_TRAIN, _ACCURACY),
    "test_accuracy": (_TEST, _ACCURACY),
}
_WITH_FILLERS = (*_PAIRED, "weight_norm")


def words_of(name: str) -> tuple[str, ...]:
    """The words of a column's name, in lower case; capitals begin one ("testAcc")."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(name))
    return tuple(re.findall(r"[a-z0-9]+", apart.lower()))


def _ranks() -> dict[str, dict[frozenset[str], int]]:
    found: dict[str, dict[frozenset[str], int]] = {}
    for quantity in QUANTITIES:
        pairs = [frozenset(pair) for pair in product(*_PAIRED.get(quantity, ((), ())))]
        table = dict.fromkeys(pairs, 0)  # all alike: which of val and test is meant, a user has to say
        plain = _WORDS.get(quantity, ())
        first = 1 if pairs else 0
        alike = quantity in ("train_accuracy", "run")
        table |= {frozenset(name.split()): first + (0 if alike else k) for k, name in enumerate(plain)}
        found[quantity] = table
    return found


_RANKS = _ranks()


def rank_of(name: str, quantity: str) -> tuple[int, int] | None:
    """How well a column's name fits a quantity, less being better; None where it does not."""
    words = frozenset(words_of(name))
    table = _RANKS[quantity]
    if words in table:
        return 0, table[words]
    kept = words.difference(_FILLERS)
    if quantity in _WITH_FILLERS and kept in table:
        # of an epoch is an average over the training set, of a step one of a batch
        return 1 + sum(2 if w in ("step", "batch") else 1 for w in words - kept), table[kept]
    return None


def columns_of(names: Iterable[str], chosen: Mapping[str, str], source: str) -> dict[str, str]:
    """The column of each quantity that a log has: the chosen one, or the one whose name fits best.

    Raises
    ------
    InputError : where a chosen column is not there, or two fit equally well.
    """
    there = [str(name) for name in names]
    found = {}
    for quantity in QUANTITIES:
        if quantity in chosen:
            if chosen[quantity] not in there:
                raise InputError(
                    f"{source}: has no column {chosen[quantity]!r} for {quantity}; it has {listed(there)}"
                )
            found[quantity] = chosen[quantity]
            continue
        ranks = {name: rank_of(name, quantity) for name in there if name not in chosen.values()}
        known = {name: rank for name, rank in ranks.items() if rank is not None}
        best = [name for name in known if known[name] == min(known.values())]
        if len(best) > 1:
            raise InputError(
                f"{source}: {' and '.join(map(repr, best))} both look like {quantity}; expected a choice, "
                f"--column {quantity}={best[0]} (columns={{{quantity!r}: {best[0]!r}}})"
            )
        if best:
            found[quantity] = best[0]
    return found


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names of columns in a sentence."""
    every = [str(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
